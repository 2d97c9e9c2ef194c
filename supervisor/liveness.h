/*
 * liveness: tells from a stage's slot of the status page whether it still lives. Pure.
 *
 * A stage that computes changes `progress` at least once in hang_timeout; one that waits in the
 * event loop or in a call on the disk need not: killing a process in fdatasync achieves nothing,
 * so that is only an alert.
 */
#ifndef SUPERVISOR_LIVENESS_H
#define SUPERVISOR_LIVENESS_H

#include <stdint.h>

struct liveness {
    uint64_t progress; /* as last seen */
    uint64_t since_ns; /* when it was seen to change */
};

enum liveness_verdict {
    LIVENESS_FINE,
    LIVENESS_IN_DISK, /* in a disk call for longer than LIVENESS_DISK_NS */
    LIVENESS_SLOW,    /* starting for longer than hang_timeout */
    LIVENESS_HUNG,    /* computing without progress for hang_timeout: kill it */
};

#define LIVENESS_DISK_NS 5000000000ull /* 5 s */

/* One look; the words are the supervisor's own copies of the slot's. */
struct liveness_look {
    uint64_t now_ns;
    uint64_t hang_timeout_ns;
    uint64_t progress;
    uint64_t phase; /* untrusted: any value */
    uint64_t phase_since_ns;
    uint64_t sync_since_ns;
};

void liveness_reset(struct liveness *liveness, uint64_t now_ns);
enum liveness_verdict liveness_check(struct liveness *liveness, const struct liveness_look *look);

#endif
