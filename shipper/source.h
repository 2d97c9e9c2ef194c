/*
 * source: where an output's work comes from: all lanes of the journal, each from this output's own
 * cursor, in turn. It hands out parcels (parcel.h), and takes back what became of them.
 *
 *     while (a slot is free && source_fill(source, max, parcel, &err) > 0)
 *         send it
 *     ...
 *     source_done(source, parcel, first, end);        a verdict: these frames are delivered
 *     source_finished(source, parcel);                nothing of the parcel is under way any more
 *
 * A parcel is of one lane, so that it is one range of one cursor; lanes with data take turns.
 *
 * Pieces that were delivered out of order before a restart are not read again. When a cursor must
 * forget a piece (cursor.h), the lane is read again from its prefix as soon as nothing of it is
 * under way, past what is done.
 *
 * Ownership: one output, one thread. Owns its cursors and readers; borrows the lanes.
 */
#ifndef SHIPPER_SOURCE_H
#define SHIPPER_SOURCE_H

#include "shared/base/err.h"
#include "shared/ipc/lane_page.h"
#include "shared/journal/cursor.h"
#include "shared/journal/disk.h"
#include "shipper/parcel.h"

#include <stdbool.h>

#define SOURCE_LANES 64u

/* A lane as the shipper has it, for all outputs. */
struct source_lane {
    struct lane_page *page;
    struct disk *disk; /* its folder */
    uint32_t number;   /* as in the folder's name */
};

struct source;

/*
 * Opens the cursors in `folder` (borrowed). *ret_damaged counts cursors of which neither slot was
 * valid: their lanes start at the oldest.
 */
int source_open(struct disk *folder, const struct source_lane *lanes, unsigned count,
                struct source **ret_source, unsigned *ret_damaged, struct err *err);
void source_close(struct source **source);

/*
 * Fills the parcel with up to `max_plain_bytes` (at least one frame) of the next lane that has
 * something. 1; 0: nothing is there; -errno: the disk failed, the next call tries again.
 */
int source_fill(struct source *source, uint64_t max_plain_bytes, struct parcel *parcel,
                struct err *err);

/*
 * Frames [first, end) of the parcel are delivered: marks and writes the cursor. -errno: the write
 * failed; in memory they are done, and source_sync writes again.
 */
int source_done(struct source *source, const struct parcel *parcel, uint32_t first, uint32_t end,
                struct err *err);
/* Nothing of the parcel is under way any more, all delivered or given back for a later start. */
void source_finished(struct source *source, const struct parcel *parcel);

/* Syncs cursors that changed. 1: some did; 0: none; -errno of the first that failed. */
int source_sync(struct source *source, struct err *err);
bool source_is_dirty(const struct source *source);

/*
 * Lane `index` is delivered to its end, and goes (lane_removal.h): it is not read any more, and no
 * file of it is kept open. Its cursor stays in memory.
 */
void source_retire(struct source *source, unsigned index);

/* The output's cursor of lane `index`. Borrowed. */
struct cursor *source_cursor(struct source *source, unsigned index);
unsigned source_lanes(const struct source *source);

/* Records that are durable and not yet delivered. */
uint64_t source_lag(const struct source *source);
/* Bad batches and frames that the readers skipped. */
uint64_t source_skipped(const struct source *source);

#endif
