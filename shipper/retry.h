/*
 * retry: when an output may send again after a failure. Pure: time and randomness are parameters.
 *
 *     OPEN ──failed──▶ BACKOFF ──held──▶ HELD
 *      ▲ ◀─────────── a try sent after the failure succeeded ──────┘
 *
 * In BACKOFF and HELD one try at a time is sent, when its time has come. The delay doubles from
 * min to max, with full jitter (a random part of it), and is never shorter than the server's
 * Retry-After. In HELD it is always max: somebody must act first.
 *
 * Several requests are in flight when a server goes down, and all of them fail: that is one
 * failure. So only a request that was sent after the last decision changes anything (but for its
 * Retry-After).
 */
#ifndef SHIPPER_RETRY_H
#define SHIPPER_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum retry_state { RETRY_OPEN, RETRY_BACKOFF, RETRY_HELD };

struct retry {
    uint64_t min_ns, max_ns;
    enum retry_state state;
    unsigned tries;      /* failed ones since the last success */
    bool trying;         /* a try is under way */
    uint64_t decided_ns; /* when the last failure was counted */
    uint64_t until_ns;   /* no try before */
};

/* How a request failed. */
struct retry_failure {
    uint64_t now_ns;         /* all of CLOCK_MONOTONIC */
    uint64_t sent_ns;        /* when it was sent */
    uint64_t retry_after_ns; /* 0: not said */
    uint64_t random;         /* any 64 bits */
};

void retry_init(struct retry *retry, uint64_t min_ns, uint64_t max_ns);

bool retry_may_send(const struct retry *retry, uint64_t now_ns);
/* When retry_may_send can become true by time alone; UINT64_MAX: not by time. */
uint64_t retry_wake_ns(const struct retry *retry);
/* A request is sent now. */
void retry_sent(struct retry *retry);

/* Each returns whether the state changed, for the caller's log line. */
bool retry_failed(struct retry *retry, const struct retry_failure *failure);
bool retry_held(struct retry *retry, const struct retry_failure *failure);
bool retry_succeeded(struct retry *retry, uint64_t sent_ns);

#endif
