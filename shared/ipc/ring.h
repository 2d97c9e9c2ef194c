/*
 * ring: single-producer single-consumer byte ring with a reply ring, between one receiver (the
 * producer) and one processor (the consumer). Layout and picture: ring_layout.h.
 *
 * The supervisor makes the memfd (ring_create); each side maps it (ring_open). An entry is taken
 * from the consumer's own cursor on; the shared consumer position moves only after the commit, so
 * whatever was not committed is there for the next processor. What the other side wrote is
 * untrusted: lengths are read once and checked, broken positions are an error, never a crash.
 *
 * Doorbells are the caller's eventfds. A function that returns `bool wake` means: ring the other
 * side's doorbell now. A side that wants to sleep calls ring_*_sleep first and sleeps only if it
 * returns true; after waking it calls ring_*_woke. (Store flag, seq_cst fence, re-read, on both
 * sides: no lost wake-up.) After attaching, a side rings the other's doorbell once.
 *
 * Threads: the consumer's `ring_consumer_publish` may run on another thread than
 * `ring_consumer_next`; everything else of one side belongs to one thread.
 *
 *     producer                                        consumer
 *     p = ring_reserve(ring, n);                      while (ring_consumer_next(ring, &e) > 0)
 *     ... fill ...                                        take(e);
 *     end = ring_commit(ring, n);                     ring_reply_put(ring, i++, &verdict);
 *     if (ring_publish(ring)) ring(door);             after fdatasync:
 *     while (ring_reply_next(ring, &reply))               if (ring_consumer_publish(ring, position,
 *         ack(reply);                                                               reply)) ring(door);
 */
#ifndef SHARED_IPC_RING_H
#define SHARED_IPC_RING_H

#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/ipc/ring_layout.h"

struct ring;

/* Data bytes of a ring that takes messages of max_chunk bytes: more than twice that, page aligned. */
uint64_t ring_size_for(uint64_t max_chunk_bytes);

/*
 * Supervisor: makes the sealed memfd. size_bytes as from ring_size_for. *ret_fd is the caller's.
 * Returns 0, -errno.
 */
int ring_create(uint32_t receiver, uint32_t lane, uint64_t size_bytes, int *ret_fd,
                struct err *err);

/* Maps it, checks magic, version, seals and sizes. Borrows fd during the call only. */
int ring_open(int fd, struct ring **ret_ring, struct err *err);
void ring_close(struct ring **ring);

uint64_t ring_size(const struct ring *ring);

/* Drawn at creation: tells a ring from its predecessor in a former life of the supervisor. */
uint64_t ring_identity(const struct ring *ring);

/* ---- producer ---- */

/*
 * Takes over as the producer, as incarnation `incarnation` (larger than every one before).
 * Returns the position from which this producer writes; replies for entries that end at or before
 * it belong to a predecessor's connections and are skipped.
 */
uint64_t ring_producer_attach(struct ring *ring, uint64_t incarnation);

/*
 * `size` contiguous bytes to write an entry into (size: a multiple of RING_ALIGN, at most half of
 * the ring); NULL where there is no room now. Reserving again without a commit starts over. It may
 * put an entry that holds nothing before the reservation (RING_PAD), so that a ring which is far
 * from full lives in its first quarter: in the caches, and in little memory.
 */
uint8_t *ring_reserve(struct ring *ring, uint64_t size);

/* Where an entry of `size` bytes in the reservation would end: what names it in verdicts. */
uint64_t ring_reserved_end(const struct ring *ring, uint64_t size);

/* The entry in the reservation is complete. Returns its end. Visible only after ring_publish. */
uint64_t ring_commit(struct ring *ring, uint64_t size);

/* Makes the committed entries visible. Returns wake. */
bool ring_publish(struct ring *ring);

/*
 * The next verdict, in the order of the entries. Skips a predecessor's. False: none now, or the
 * consumer's count is impossible (and stays so until it is another).
 */
bool ring_reply_next(struct ring *ring, struct ring_reply *ret_reply);

/*
 * Wants to sleep until replies or space come. True: nothing came meanwhile, sleep. `need` is the
 * room waited for, 0 for none.
 */
bool ring_producer_sleep(struct ring *ring, uint64_t need);
void ring_producer_woke(struct ring *ring);

/* Bytes published or committed that the consumer has not released, for fill and status. */
uint64_t ring_used(const struct ring *ring);

/*
 * Gives the data pages back when the ring is empty. The producer calls it, when it has been idle
 * for a while and before it begins the next entry. Cost: a system call, and page faults later.
 */
void ring_give_back(struct ring *ring);

/* ---- consumer ---- */

struct ring_taken {
    struct ring_entry entry; /* a private copy, lengths checked against `length` */
    struct slice peer, tag, id, options, payload; /* in shared memory: may change, copy first */
    uint64_t end;                                 /* position that names the entry */
};

/*
 * Takes over as the consumer: the positions come from the lane page (what is committed), which
 * may be ahead of the ring's own where the predecessor died between the two. Sets both positions
 * and the reply position. Returns 0, or -EPROTO where they do not fit the ring.
 */
int ring_consumer_attach(struct ring *ring, uint64_t position, uint64_t replies, struct err *err);

/* Takes the next entry. 1: taken; 0: none now; -EPROTO: the ring is broken (panic of the producer). */
int ring_consumer_next(struct ring *ring, struct ring_taken *ret_taken, struct err *err);

/* True where something is published that was not taken yet. */
bool ring_pending(const struct ring *ring);

/* The consumer's cursor: the end of the last entry taken. */
uint64_t ring_consumer_cursor(const struct ring *ring);
/* Moves the cursor back (after a batch was given up) to a position at or above the committed one. */
void ring_consumer_rewind(struct ring *ring, uint64_t position);

/* True where a reply slot is free for index `reply` (counted since the ring was made). */
bool ring_reply_room(const struct ring *ring, uint64_t reply);

/* Writes the verdict with index `reply`, beyond the published ones. Not visible yet. */
void ring_reply_put(struct ring *ring, uint64_t reply, const struct ring_reply *verdict);

/*
 * After the batch is durable and the lane page says so: publishes verdicts up to `replies`
 * (count since the ring was made), then the consumer position. Returns wake.
 */
bool ring_consumer_publish(struct ring *ring, uint64_t position, uint64_t replies);

bool ring_consumer_sleep(struct ring *ring);
void ring_consumer_woke(struct ring *ring);

#endif
