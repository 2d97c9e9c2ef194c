/*
 * producer: this receiver's side of its rings, one ring per lane. Puts chunks in, learns from the
 * reply rings which of them are durable, and says so to whoever owes the acks.
 *
 * Entries are written at once and made visible by producer_publish, which also rings a sleeping
 * processor's door: once per turn of the loop, not per chunk.
 *
 * Ends of connections go into every ring that a connection used. Where a ring is full they wait in
 * a list, and no chunk overtakes them: a chunk that is sent again on a new connection must find the
 * end of the old one before it. The list is bounded by the connections that used the ring while it
 * had room.
 *
 * Waiting:
 *     producer_woke(p);                    first thing after waking
 *     ... put, publish ...
 *     while (producer_next(p, &verdict))   acks
 *     retry who waits for room
 *     if (producer_sleep(p)) wait;         false: verdicts or room came meanwhile
 *
 * One thread. Owns its rings; borrows the doors.
 */
#ifndef RECEIVER_PRODUCER_H
#define RECEIVER_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "receiver/forward_frame.h"
#include "receiver/pending.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"

#define PRODUCER_LANES 8u /* the most: the range of processor.count */

struct producer;

struct producer_setup {
    uint64_t incarnation;
    unsigned lanes;
    int rings[PRODUCER_LANES]; /* memfds; borrowed during producer_new */
    int doors[PRODUCER_LANES]; /* the processors' eventfds; borrowed for good */
};

/* Maps and takes over all rings, and rings all doors. */
int producer_new(const struct producer_setup *setup, struct producer **ret_producer,
                 struct err *err);
void producer_free(struct producer **producer);

unsigned producer_lanes(const struct producer *producer);

struct producer_chunk {
    const struct forward_message *message;
    struct slice peer;         /* who the dedup key names; at most 65,535 bytes */
    uint64_t received_ns;      /* CLOCK_REALTIME */
    uint64_t connection;       /* its number in this incarnation */
    uint64_t serial;           /* of this chunk on it */
    uint64_t handle;           /* given back with the verdict */
    const uint64_t *confirmed; /* per lane: the highest serial whose ack surely arrived */
};

/*
 * Writes the chunk into the ring of its lane: the one that the dedup key names, or, without an id,
 * the connection's, so that order is kept. *ret_lane is set in any case.
 * 0; -EAGAIN: no room now, wait for that lane; -EMSGSIZE: it is larger than the ring ever takes;
 * -ENOMEM.
 */
int producer_put(struct producer *producer, const struct producer_chunk *chunk, unsigned *ret_lane);

/*
 * After -EAGAIN every chunk for that lane gets it, so that a small one does not overtake a large
 * one for ever, until this is called: then the caller tries those that wait, in their order.
 */
void producer_retry(struct producer *producer, unsigned lane);

struct producer_end {
    uint64_t connection;
    uint64_t confirmed;
    uint64_t received_ns;
    bool clean; /* closed with nothing unsent: all that was acked has arrived */
};

/* The connection will send nothing more. Written at once or as soon as there is room. 0, -ENOMEM. */
int producer_end(struct producer *producer, unsigned lane, const struct producer_end *end);

/* Ends that still wait for room, in all lanes. */
size_t producer_ends_waiting(const struct producer *producer);

/* Makes what was written visible, rings where a processor sleeps. */
void producer_publish(struct producer *producer);

struct producer_verdict {
    unsigned lane;
    uint32_t verdict; /* enum ring_verdict; untrusted: may be another value */
    struct pending_owner owner;
    struct slice id; /* as it came, to be echoed; borrowed until the next call */
};

/* The next verdict that an ack waits for, from any lane. False: none now. */
bool producer_next(struct producer *producer, struct producer_verdict *ret);

/* Acks that waited for a verdict which never came (a broken processor); counts up. */
uint64_t producer_lost(const struct producer *producer);

/* True: all processors know that they must ring; the caller may wait. */
bool producer_sleep(struct producer *producer);
void producer_woke(struct producer *producer);

/*
 * Gives back pages of rings that have been empty and unused for idle_ns, and queues' memory.
 * Returns when to call it again (CLOCK_MONOTONIC), 0: not before the next put.
 */
uint64_t producer_idle(struct producer *producer, uint64_t now_ns, uint64_t idle_ns);

size_t producer_bytes(const struct producer *producer);   /* memory of waiting acks and ends */
size_t producer_pending(const struct producer *producer); /* acks that wait for verdicts */

#endif
