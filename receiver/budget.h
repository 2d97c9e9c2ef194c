/*
 * budget: how much memory half-received messages and waiting acks may take, and each peer's fair
 * share of it. Pure arithmetic; pool.c and connection.c do what it says.
 *
 *     total = shared part + reserve
 *
 * Everyone takes from the shared part. Where it is used up, the connection that asks may become the
 * *finisher* if there is none: the finisher may take whatever one message can need, because the
 * reserve is kept for it. So there is always one message that can be finished, and its memory comes
 * back; connection.c hands the role on in the order of waiting. Nothing is ever refused here, only
 * put off.
 *
 * Fair share: while more than half of the shared part is in use, a peer that would hold more than
 * the shared part divided by the number of peers that hold something must wait. The last eighth is
 * for peers that hold no more than an eighth: one that takes all it can get leaves room for others.
 */
#ifndef RECEIVER_BUDGET_H
#define RECEIVER_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct budget {
    size_t shared;   /* bytes of the shared part */
    size_t reserve;  /* bytes kept for the finisher */
    size_t used;     /* by all, the finisher included */
    size_t finisher; /* of these by the finisher */
    size_t peers;    /* that hold something */
};

/* One peer's part. Zeroed at start; lives with the peer. */
struct budget_share {
    size_t used;
};

/* reserve_bytes: the most that one connection can need. The total is never less than twice that. */
void budget_init(struct budget *budget, size_t total_bytes, size_t reserve_bytes);

/* True where `bytes` more may be taken from the shared part for this peer. */
bool budget_has(const struct budget *budget, const struct budget_share *share, size_t bytes);

/* Books bytes that were asked for with budget_has, or that the finisher needs. */
void budget_take(struct budget *budget, struct budget_share *share, size_t bytes, bool finisher);
void budget_give(struct budget *budget, struct budget_share *share, size_t bytes, bool finisher);

/* The connection that holds `bytes` already becomes the finisher, or is it no more. */
void budget_begin_finish(struct budget *budget, size_t bytes);
void budget_end_finish(struct budget *budget);
/* True where all that is in use would fit into the shared part. */
bool budget_may_end_finish(const struct budget *budget);

#endif
