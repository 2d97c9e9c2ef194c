#include "shipper/output.h"

#include "shared/base/clock.h"
#include "shared/base/num.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A failure that goes on has a line so often; and so much time is between it and the next one's. */
#define TELL_AGAIN_NS (60 * NS_PER_S)
#define TELL_NEXT_NS (10 * NS_PER_S)

/* ---- opening ---- */

/* data_dir/cursors/NAME */
static int open_folder(struct output *output, struct err *err)
{
    const char *data = options_string(output->env.options, OPT_DATA_DIR);
    char path[PATH_MAX];
    int r;

    if ((size_t)snprintf(path, sizeof(path), "%s/cursors", data) >= sizeof(path))
        return err_errno(err, ENAMETOOLONG, "%s", data);
    r = disk_posix_open(path, true, &output->folder, err);
    if (r < 0)
        return r;
    disk_free(&output->folder);
    if ((size_t)snprintf(path, sizeof(path), "%s/cursors/%s", data, output->ops->name) >=
        sizeof(path))
        return err_errno(err, ENAMETOOLONG, "%s", data);
    return disk_posix_open(path, true, &output->folder, err);
}

static int open_source(struct output *output, struct err *err)
{
    unsigned damaged = 0;
    int r = source_open(output->folder, output->env.lanes, output->env.lane_count, &output->source,
                        &damaged, err);

    if (r < 0)
        return r;
    if (damaged > 0) {
        log_error("%s: damaged cursors of %u lane%s; what is still in the journal there is "
                  "delivered from its beginning, some of it for the second time",
                  output->ops->name, damaged, damaged == 1 ? "" : "s");
        snprintf(output->trouble, sizeof(output->trouble),
                 "damaged cursors of %u lane%s: started again at the oldest", damaged,
                 damaged == 1 ? "" : "s");
    }
    return 0;
}

int output_open(const struct output_ops *ops, const struct output_env *env,
                struct output **ret_output, struct err *err)
{
    struct output *output = calloc(1, ops->size);
    int r;

    if (output == NULL)
        return err_errno(err, ENOMEM, "cannot make the output %s", ops->name);
    output->ops = ops;
    output->env = *env;
    retry_init(&output->retry, options_time_ms(env->options, OPT_RETRY_MIN) * NS_PER_MS,
               options_time_ms(env->options, OPT_RETRY_MAX) * NS_PER_MS);
    r = open_folder(output, err);
    if (r == 0)
        r = open_source(output, err);
    if (r == 0)
        r = ops->open(output, err);
    output->env.api_key = (struct slice){NULL, 0};
    if (r < 0) {
        err_prefix(err, "output %s", ops->name);
        output_close(&output);
        return r;
    }
    *ret_output = output;
    return 0;
}

int output_start(struct output *output, struct err *err)
{
    return output->ops->start != NULL ? output->ops->start(output, err) : 0;
}

void output_close(struct output **output)
{
    struct output *o = *output;

    *output = NULL;
    if (o == NULL)
        return;
    o->ops->close(o);
    source_close(&o->source);
    disk_free(&o->folder);
    free(o);
}

/* ---- running ---- */

void output_pump(struct output *output)
{
    output->ops->pump(output);
}

void output_reload(struct output *output, struct slice api_key)
{
    output->env.api_key = api_key;
    if (output->ops->reload != NULL)
        output->ops->reload(output);
    output->env.api_key = (struct slice){NULL, 0};
}

void output_set_phase(struct output *output, enum output_phase phase)
{
    output->phase = phase;
}

bool output_is_idle(const struct output *output)
{
    return output->ops->is_idle(output);
}

int output_leave_lane(struct output *output, unsigned index, struct err *err)
{
    int r = 0;

    if (output->ops->leave_lane != NULL)
        r = output->ops->leave_lane(output, index, err);
    if (r == 0)
        source_retire(output->source, index);
    return r;
}

void output_trim(struct output *output)
{
    output->ops->trim(output);
}

void output_sync(struct output *output)
{
    struct status_slot *status = output->env.status;
    struct err err = {0};
    int r;

    if (!source_is_dirty(output->source))
        return;
    status_phase(status, STATUS_IN_SYNC);
    r = source_sync(output->source, &err);
    status_phase(status, STATUS_COMPUTING);
    if (r < 0)
        output_disk_failed(output, &err);
    else
        output_disk_works(output);
}

void output_disk_failed(struct output *output, const struct err *err)
{
    snprintf(output->trouble, sizeof(output->trouble), "%.200s", err->text);
    output->disk_failed = true;
    if (log_limit_pass(&output->disk_limit, clock_monotonic_ns(), 60 * NS_PER_S))
        log_error("%s: %s; trying again", output->ops->name, err->text);
}

void output_disk_works(struct output *output)
{
    if (!output->disk_failed)
        return;
    output->disk_failed = false;
    output->trouble[0] = '\0';
}

bool output_fill(struct output *output, uint64_t max_plain_bytes, struct parcel *parcel)
{
    struct err err = {0};
    int r = source_fill(output->source, max_plain_bytes, parcel, &err);

    output->exhausted = r == 0;
    output_count_skipped(output);
    if (r < 0)
        output_disk_failed(output, &err);
    return r > 0;
}

void output_count_skipped(struct output *output)
{
    uint64_t skipped = source_skipped(output->source);

    if (skipped == output->skipped)
        return;
    log_error("%s: damaged batches or frames of the journal, skipped: %llu", output->ops->name,
              (unsigned long long)(skipped - output->skipped));
    status_add(output->env.status, METRIC_BATCHES_SKIPPED, skipped - output->skipped);
    output->skipped = skipped;
}

/* ---- what became of a try ---- */

void output_delivered(struct output *output, const struct parcel *parcel, uint32_t first,
                      uint32_t end, struct output_missing missing)
{
    struct status_slot *status = output->env.status;
    uint64_t records = parcel_records(parcel, first, end);
    struct err err = {0};

    records -= num_min_u64(missing.quarantined, records);
    missing.rejected = num_min_u64(missing.rejected, records);
    status_add(status, METRIC_RECORDS_DELIVERED, records - missing.rejected);
    status_add(status, METRIC_RECORDS_REJECTED, missing.rejected);
    status_add(status, METRIC_RECORDS_QUARANTINED, missing.quarantined);
    if (source_done(output->source, parcel, first, end, &err) < 0)
        output_disk_failed(output, &err);
}

static uint64_t random_bits(void)
{
    uint64_t bits = 0;

    /* Not enough entropy yet, at an early boot: the delay is the shortest then. */
    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) < 0)
        bits = 0;
    return bits;
}

/* A failure that lasts is told again and again; one server that fails now and then, not each time. */
static bool is_to_be_told(const struct output *output, uint64_t now)
{
    uint64_t pause_ns = output->told ? TELL_AGAIN_NS : TELL_NEXT_NS;

    if (output->told_ns == 0 || now >= output->told_ns + pause_ns)
        return true;
    return output->retry.state == RETRY_HELD && !output->told_held;
}

static const char *tries_word(unsigned tries)
{
    return tries == 1 ? "try" : "tries";
}

/* "in 0.4 s", or "at once" */
static void say_when(uint64_t wait_ns, char *ret_text, size_t size)
{
    if (wait_ns < NS_PER_S / 10)
        snprintf(ret_text, size, "at once");
    else
        snprintf(ret_text, size, "in %llu.%llu s", (unsigned long long)(wait_ns / NS_PER_S),
                 (unsigned long long)(wait_ns % NS_PER_S / (NS_PER_S / 10)));
}

static void log_failure(struct output *output, const char *words)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t wait = output->retry.until_ns > now ? output->retry.until_ns - now : 0;
    char when[48];

    if (!is_to_be_told(output, now))
        return;
    say_when(wait, when, sizeof(when));
    output->told = true;
    output->told_ns = now;
    output->told_held = output->retry.state == RETRY_HELD;
    if (output->retry.state == RETRY_HELD)
        log_error("%s: held until somebody acts: %s. Nothing is lost: it waits in the journal. "
                  "Next try %s",
                  output->ops->name, words, when);
    else
        log_warn("%s: %s; %u %s, next %s", output->ops->name, words, output->retry.tries,
                 tries_word(output->retry.tries), when);
}

void output_failed(struct output *output, const struct output_failure *failure)
{
    struct retry_failure how = {
        .now_ns = clock_monotonic_ns(),
        .sent_ns = failure->sent_ns,
        .retry_after_ns = failure->retry_after_ms * NS_PER_MS,
        .random = random_bits(),
    };

    snprintf(output->words, sizeof(output->words), "%s", failure->words);
    if (failure->kind == VERDICT_HOLD)
        retry_held(&output->retry, &how);
    else
        retry_failed(&output->retry, &how);
    log_failure(output, output->words);
}

void output_succeeded(struct output *output, uint64_t sent_ns)
{
    unsigned tries = output->retry.tries;

    if (!retry_succeeded(&output->retry, sent_ns))
        return;
    if (output->told)
        log_info("%s: delivering again, after %u %s", output->ops->name, tries, tries_word(tries));
    output->told = false;
}

/* ---- words ---- */

void output_note(const struct output *output, char *ret_text, size_t size)
{
    uint64_t now = clock_monotonic_ns();
    const struct retry *retry = &output->retry;
    char next[48];

    if (retry->state == RETRY_OPEN) {
        snprintf(ret_text, size, "%s%s%s", output->trouble[0] != '\0' ? output->ops->name : "",
                 output->trouble[0] != '\0' ? ": " : "", output->trouble);
        return;
    }
    if (retry->trying || retry->until_ns <= now)
        snprintf(next, sizeof(next), "trying now");
    else
        snprintf(next, sizeof(next), "next in %llu s",
                 (unsigned long long)((retry->until_ns - now + NS_PER_S - 1) / NS_PER_S));
    snprintf(ret_text, size, "%s: %s%.90s, %u %s, %s", output->ops->name,
             retry->state == RETRY_HELD ? "held: " : "", output->words, retry->tries,
             tries_word(retry->tries), next);
}
