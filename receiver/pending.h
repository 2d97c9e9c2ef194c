/*
 * pending: the acks that one ring owes, in the order of its entries, matched with the verdicts that
 * come back. Pure; producer.c has one per ring.
 *
 * An ack waits under the end position of its entry. Verdicts come in rising positions, one per
 * entry that wants one; those that nobody waits for match nothing. What the processor writes is
 * untrusted: a position that skips one that is waited for leaves the skipped ack lost, never sent
 * to somebody else.
 *
 * Invariant: positions in the queue rise strictly. Memory: 80 bytes an ack, the id included up to
 * 40 bytes (longer ones are allocated); the queue shrinks to its first size when it is empty and
 * pending_trim is called.
 */
#ifndef RECEIVER_PENDING_H
#define RECEIVER_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/slice.h"

struct pending;

/* Who waits for the ack. */
struct pending_owner {
    uint64_t handle; /* of the connection, as its table gave it */
    uint64_t serial; /* of the chunk on it */
};

/* max: the most acks that may wait. NULL: out of memory. */
struct pending *pending_new(size_t max);
void pending_free(struct pending **pending);

/* True where pending_push would find room, without looking at memory. */
bool pending_has_room(const struct pending *pending);

/*
 * The entry that ends at `position` wants an ack with these id bytes (copied). 0; -ENOBUFS: full;
 * -ENOMEM; -EINVAL: the position is not above the last one.
 */
int pending_push(struct pending *pending, uint64_t position, struct pending_owner owner,
                 struct slice id);

/*
 * The verdict for `position` came. True: an ack waited for it; ret_id is borrowed until the next
 * call. *ret_lost grows by the acks before it that got no verdict and are dropped.
 */
bool pending_match(struct pending *pending, uint64_t position, struct pending_owner *ret_owner,
                   struct slice *ret_id, uint64_t *ret_lost);

size_t pending_count(const struct pending *pending);
size_t pending_bytes(const struct pending *pending); /* memory held */
void pending_trim(struct pending *pending);

#endif
