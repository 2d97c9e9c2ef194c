/*
 * restart_policy: how long to wait before a stage that died is started again. Pure.
 *
 * The first restart is at once; then the delay doubles from RESTART_DELAY_FIRST_NS up to a limit,
 * with jitter (a half to the whole of it), so that stages that fail together do not come back
 * together for ever. A stage that was healthy for RESTART_HEALTHY_NS starts over. A stage that was
 * asked to stop never waits and does not count.
 */
#ifndef SUPERVISOR_RESTART_POLICY_H
#define SUPERVISOR_RESTART_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define RESTART_DELAY_FIRST_NS 100000000ull /* 100 ms */
#define RESTART_HEALTHY_NS 60000000000ull   /* 60 s */

struct restart_policy {
    unsigned failures; /* in a row */
};

struct restart_facts {
    bool asked;          /* the stage was told to stop */
    uint64_t healthy_ns; /* how long it had been running; 0: it never became ready */
    uint64_t delay_max_ns;
    uint64_t random; /* any 64 random bits */
};

/* The delay in nanoseconds before the next start. */
uint64_t restart_policy_next(struct restart_policy *policy, const struct restart_facts *facts);

#endif
