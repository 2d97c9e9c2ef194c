#include "shipper/retry.h"

#include "shared/base/num.h"

void retry_init(struct retry *retry, uint64_t min_ns, uint64_t max_ns)
{
    *retry = (struct retry){.min_ns = num_min_u64(min_ns, max_ns), .max_ns = max_ns};
}

bool retry_may_send(const struct retry *retry, uint64_t now_ns)
{
    return retry->state == RETRY_OPEN || (!retry->trying && now_ns >= retry->until_ns);
}

uint64_t retry_wake_ns(const struct retry *retry)
{
    return retry->state == RETRY_OPEN || retry->trying ? UINT64_MAX : retry->until_ns;
}

void retry_sent(struct retry *retry)
{
    retry->trying = retry->state != RETRY_OPEN;
}

static bool is_old(const struct retry *retry, uint64_t sent_ns)
{
    return retry->state != RETRY_OPEN && sent_ns < retry->decided_ns;
}

static void decide(struct retry *retry, const struct retry_failure *failure, uint64_t delay_ns)
{
    retry->trying = false;
    retry->decided_ns = failure->now_ns;
    retry->tries += retry->tries < UINT32_MAX;
    retry->until_ns = failure->now_ns + num_max_u64(delay_ns, failure->retry_after_ns);
}

/* min, doubled with each try, up to max. */
static uint64_t ceiling_ns(const struct retry *retry)
{
    uint64_t ceiling = retry->min_ns;

    for (unsigned i = 0; i < retry->tries && ceiling < retry->max_ns; i++)
        ceiling = ceiling > retry->max_ns / 2 ? retry->max_ns : ceiling * 2;
    return num_min_u64(ceiling, retry->max_ns);
}

bool retry_failed(struct retry *retry, const struct retry_failure *failure)
{
    bool changed = retry->state != RETRY_BACKOFF;
    uint64_t ceiling = ceiling_ns(retry);
    uint64_t delay;

    if (is_old(retry, failure->sent_ns)) {
        retry->until_ns = num_max_u64(retry->until_ns, failure->now_ns + failure->retry_after_ns);
        return false;
    }
    /* Full jitter, but not nothing: a tenth of the first delay is the least. */
    delay = num_max_u64(failure->random % (ceiling + 1), retry->min_ns / 10);
    decide(retry, failure, delay);
    retry->state = RETRY_BACKOFF;
    return changed;
}

bool retry_held(struct retry *retry, const struct retry_failure *failure)
{
    bool changed = retry->state != RETRY_HELD;

    if (is_old(retry, failure->sent_ns))
        return false;
    decide(retry, failure, retry->max_ns);
    retry->state = RETRY_HELD;
    return changed;
}

bool retry_succeeded(struct retry *retry, uint64_t sent_ns)
{
    bool changed = retry->state != RETRY_OPEN;

    if (is_old(retry, sent_ns))
        return false;
    retry->state = RETRY_OPEN;
    retry->tries = 0;
    retry->trying = false;
    return changed;
}
