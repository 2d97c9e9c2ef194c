/*
 * resend_window: tells a chunk that is sent again from one that merely looks the same. Pure: no
 * clock, no disk. One per lane; the processor's main thread owns it.
 *
 * A chunk that wants an ack has a key (a hash of peer, tag, id and bytes). It is a resend of a
 * remembered chunk when all of this holds:
 *   - the key is the same and it came on another connection;
 *   - the first one's connection had ended by then, or its receiver had died;
 *   - the first one's ack was not confirmed (design: nothing came after it on that connection, and
 *     it did not close with nothing unsent).
 * Two equal chunks on one connection, or on two open ones, are two chunks. In doubt a chunk is
 * stored twice; it is never dropped in doubt. The same serial of the same connection is the same
 * chunk (a processor takes entries again after its predecessor's death).
 *
 * Each remembered chunk is consumed by at most one resend at a time: the resend takes its place,
 * with the new connection, so a second resend of it is recognised too.
 *
 *     keys:  ring of the last N, oldest forgotten first          connections: counted by their keys
 *     [k0][k1][k2]..[kn]  each -> its connection  ------------>  {receiver, incarnation, number,
 *       found by hash, equal keys chained                         confirmed serial, ended}
 *
 * A key is pending until its batch is durable (resend_window_durable); only durable ones are written
 * into a segment's head. A batch whose commit fails is committed again as it is, so no key is ever
 * taken back after sealing.
 */
#ifndef SHARED_JOURNAL_RESEND_WINDOW_H
#define SHARED_JOURNAL_RESEND_WINDOW_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/journal/segment_layout.h"

#include <stdbool.h>

struct resend_window;

/* Where a chunk, or the end of a connection, comes from. */
struct resend_origin {
    uint32_t receiver;
    uint64_t incarnation; /* of the receiver; grows with each start of it */
    uint64_t connection;
    uint64_t serial;
    uint64_t confirmed; /* the highest serial on this connection whose ack surely arrived */
};

/* keys: how many are remembered; time_ns: for how long. */
int resend_window_new(uint32_t keys, uint64_t time_ns, struct resend_window **ret_window,
                      struct err *err);
void resend_window_free(struct resend_window **window);

uint32_t resend_window_count(const struct resend_window *window);

/*
 * Takes in what an entry says of its connection and receiver: what was confirmed, and that an older
 * incarnation of the receiver is dead. To be called for every entry, before resend_window_check.
 * Returns 0 or -ENOMEM.
 */
int resend_window_hear(struct resend_window *window, const struct resend_origin *origin);

/* The connection ended; origin->confirmed is its last word. Returns 0 or -ENOMEM. */
int resend_window_ended(struct resend_window *window, const struct resend_origin *origin);

enum resend_verdict {
    RESEND_NEW,   /* remembered as pending now; store it */
    RESEND_AGAIN, /* stored, or pending, already; do not store it */
};

/*
 * Judges a chunk and remembers it. `now_ns`: CLOCK_REALTIME, for forgetting. O(1).
 * Returns an enum resend_verdict, or -ENOMEM.
 */
int resend_window_check(struct resend_window *window, const uint8_t key[16],
                        const struct resend_origin *origin, uint64_t now_ns);

/* The chunk just judged new was not stored after all. */
void resend_window_forget_last(struct resend_window *window);

/* Everything judged so far goes into the batch that is sealed now. Gives its keys and the
 * confirmations since the last batch. Returns 0 or -ENOMEM. */
int resend_window_seal(struct resend_window *window,
                       int (*key)(void *context, const struct segment_key *key),
                       int (*confirmation)(void *context, const struct segment_confirmation *c),
                       void *context);

/* True where there is something to seal: keys or confirmations that no batch holds yet. */
bool resend_window_dirty(const struct resend_window *window);

/* The sealed batch is durable. */
void resend_window_durable(struct resend_window *window);

/* Appends the durable keys, oldest first, for a new segment's head (struct segment_key). */
int resend_window_save(struct resend_window *window, struct buf *ret_keys);

/*
 * Takes back what the journal says: a segment's head, then each batch's keys and confirmations in
 * order. `cold`: every connection of that time is gone. Damaged or odd values are harmless.
 */
int resend_window_load(struct resend_window *window, struct slice keys, bool cold);
int resend_window_load_confirmations(struct resend_window *window, struct slice confirmations);

#endif
