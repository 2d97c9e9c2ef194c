/*
 * writer: appends sealed batches to a lane and makes them durable. Used by the lane's sync thread,
 * and by recovery. One thread.
 *
 * The rule that everything rests on: writer_commit returns 0 only when the batch, the segment it
 * stands in and that segment's name in the folder are on the disk. After any failure nothing was
 * promised, the segment under it is given up where it stood (its pages may be clean and lost, so
 * neither the write nor the sync is tried again on it), and the next commit begins a new one whose
 * header says where the old one validly ends.
 *
 * The next segment is prepared ahead (made, allocated, its name synced) when the present one is
 * half full; a batch that is larger than a segment gets a segment of its own size.
 */
#ifndef SHARED_JOURNAL_WRITER_H
#define SHARED_JOURNAL_WRITER_H

#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/journal/disk.h"

struct journal_writer;

struct writer_config {
    uint32_t lane;
    uint64_t segment_bytes;
    /*
     * Asked before a segment is made: may the journal take `bytes` more? 0, or -ENOSPC with the
     * reason. NULL: always.
     */
    int (*may_grow)(void *context, uint64_t bytes, struct err *err);
    void *context;
};

/* Where a lane stands. */
struct writer_position {
    uint64_t segment; /* 0: none yet, the next will be number 1 */
    uint64_t end;     /* durable bytes of it */
    uint64_t records; /* committed to the lane, for the ledger */
};

/* Borrows disk. Takes nothing from the disk yet. */
int writer_new(struct disk *disk, const struct writer_config *config,
               struct journal_writer **ret_writer, struct err *err);
void writer_free(struct journal_writer **writer);

/*
 * Goes on in segment `position.segment` behind `position.end`: what lies behind is cut off, later
 * segments are removed, and the segment is made whole again. Where that fails, the next commit
 * begins a new segment.
 */
void writer_resume(struct journal_writer *writer, const struct writer_position *position);

/* Goes on behind `position` with a new segment. */
void writer_renew(struct journal_writer *writer, const struct writer_position *position);

/* True where a batch of `bytes` would begin a new segment: the caller then gives the window. */
bool writer_would_roll(const struct journal_writer *writer, uint64_t bytes);

struct writer_batch {
    struct slice bytes;  /* sealed (batch.h) */
    uint64_t sequence;   /* its number */
    uint32_t records;    /* in it */
    struct slice window; /* the durable resend window (struct segment_key) where writer_would_roll
                            said so, else empty */
    uint64_t now_ns;     /* CLOCK_REALTIME, for a new segment's header */
};

/*
 * Writes and syncs one batch. On success the position names its end. -errno: see above; -ENOSPC:
 * no room now.
 */
int writer_commit(struct journal_writer *writer, const struct writer_batch *batch, struct err *err);

struct writer_position writer_position(const struct journal_writer *writer);

/* To be called when nothing is urgent: prepares the next segment where it is time. */
void writer_prepare(struct journal_writer *writer);

struct writer_counts {
    uint64_t bytes; /* written */
    uint64_t syncs;
    uint64_t errors;
};
const struct writer_counts *writer_counts(const struct journal_writer *writer);

#endif
