#include "supervisor/liveness.h"

#include "shared/ipc/status_page.h"

void liveness_reset(struct liveness *liveness, uint64_t now_ns)
{
    liveness->progress = 0;
    liveness->since_ns = now_ns;
}

static uint64_t age(uint64_t now_ns, uint64_t since_ns)
{
    return now_ns > since_ns ? now_ns - since_ns : 0;
}

enum liveness_verdict liveness_check(struct liveness *liveness, const struct liveness_look *look)
{
    uint64_t silent_ns;

    if (look->progress != liveness->progress) {
        liveness->progress = look->progress;
        liveness->since_ns = look->now_ns;
    }
    silent_ns = age(look->now_ns, liveness->since_ns);
    if (look->sync_since_ns != 0 && age(look->now_ns, look->sync_since_ns) >= LIVENESS_DISK_NS)
        return LIVENESS_IN_DISK;
    switch (look->phase) {
    case STATUS_COMPUTING:
        return silent_ns >= look->hang_timeout_ns ? LIVENESS_HUNG : LIVENESS_FINE;
    case STATUS_IN_SYNC:
        return age(look->now_ns, look->phase_since_ns) >= LIVENESS_DISK_NS ? LIVENESS_IN_DISK
                                                                           : LIVENESS_FINE;
    case STATUS_STARTING:
        return silent_ns >= look->hang_timeout_ns ? LIVENESS_SLOW : LIVENESS_FINE;
    default:
        return LIVENESS_FINE;
    }
}
