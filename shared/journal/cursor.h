/*
 * cursor: how far one output is with one lane. The shipper owns and writes it; the processor
 * peeks at it in a recovery; sluicectl lists it.
 *
 * Two parts. `cursor_ranges` is pure: what is done, a contiguous prefix and up to CURSOR_RANGES
 * pieces beyond it, because requests in flight end out of order. `cursor` keeps that in a
 * preallocated file of two checksummed slots (cursor_layout.h).
 *
 *     cursor_open(disk, lane, &cursor, &found, &err);
 *     cursor_next(cursor_done(cursor), at, &from, &limit);    what to send next
 *     ...
 *     cursor_mark(cursor, &range, records, &forgotten);       a verdict came
 *     cursor_write(cursor, &err);                             survives this process
 *     cursor_sync(cursor, &err);                              every 100 ms: survives the machine
 *
 * cursor_write always rewrites the same slot until cursor_sync has returned 0, and then the other
 * one: so one slot is always as the last sync left it, and a power cut in the middle of a write
 * falls back to that. What lies behind cursor_durable() may be removed from the journal.
 *
 * Errors: a failed write or sync leaves everything as it was in memory; the next one writes the
 * whole slot again, so nothing depends on what became of the failed one.
 */
#ifndef SHARED_JOURNAL_CURSOR_H
#define SHARED_JOURNAL_CURSOR_H

#include "shared/base/err.h"
#include "shared/journal/cursor_layout.h"
#include "shared/journal/disk.h"

#include <stdbool.h>

/* ---- pure: what is done ---- */

struct cursor_ranges {
    struct cursor_position done; /* everything before it */
    uint32_t count;
    struct cursor_range ranges[CURSOR_RANGES]; /* ascending, apart from each other and from done */
};

/* Beyond everything. */
#define CURSOR_END ((struct cursor_position){UINT64_MAX, UINT32_MAX, UINT32_MAX})

/* < 0, 0, > 0. */
int cursor_compare(struct cursor_position a, struct cursor_position b);

/*
 * Marks a range as done. When a piece more than CURSOR_RANGES would be needed, the newest
 * isolated one (which may be this very range) is forgotten: true, and *ret_forgotten has it; it
 * must be sent again. An empty range does nothing. O(CURSOR_RANGES).
 */
bool cursor_ranges_mark(struct cursor_ranges *ranges, const struct cursor_range *range,
                        struct cursor_range *ret_forgotten);

/*
 * The first position at or after `at` that is not done, and where the next done piece begins
 * (CURSOR_END: there is none).
 */
void cursor_ranges_next(const struct cursor_ranges *ranges, struct cursor_position at,
                        struct cursor_position *ret_from, struct cursor_position *ret_limit);

/* Whether it holds to the rules above; for bytes from the disk. */
bool cursor_ranges_valid(const struct cursor_ranges *ranges);

/* ---- the file ---- */

struct cursor;

enum cursor_found {
    CURSOR_FRESH, /* there was none: starts at the oldest */
    CURSOR_LOADED,
    CURSOR_DAMAGED, /* neither slot is valid: starts at the oldest, and somebody should know */
};

/* The output's own part: where the file output is in its file. */
struct cursor_file {
    uint64_t offset;
    uint64_t inode; /* 0: no file yet */
    uint64_t born_ns;
};

/*
 * Opens, or makes and syncs, the cursor of `lane` in the output's folder. Borrows the disk. What
 * was loaded is synced, so cursor_durable is its prefix at once.
 */
int cursor_open(struct disk *disk, uint32_t lane, struct cursor **ret_cursor,
                enum cursor_found *ret_found, struct err *err);
/* Does not write. */
void cursor_close(struct cursor **cursor);

/* Borrowed for the cursor's life; changes with every mark. */
const struct cursor_ranges *cursor_done(const struct cursor *cursor);
/* As cursor_ranges_mark, and counts `records` as passed. In memory only. */
bool cursor_mark(struct cursor *cursor, const struct cursor_range *range, uint64_t records,
                 struct cursor_range *ret_forgotten);

uint64_t cursor_records(const struct cursor *cursor);
/* For a cursor that began in the middle of a lane's life. */
void cursor_set_records(struct cursor *cursor, uint64_t records);

struct cursor_file cursor_file(const struct cursor *cursor);
void cursor_set_file(struct cursor *cursor, struct cursor_file file);

/* Writes the slot, if something changed since the last write. One pwrite. 0 or -errno. */
int cursor_write(struct cursor *cursor, struct err *err);
/* Writes and syncs, if something changed since the last sync. May take long. */
int cursor_sync(struct cursor *cursor, struct err *err);
/* Whether cursor_sync has something to do. */
bool cursor_is_dirty(const struct cursor *cursor);

/* Removes the lane's cursor file, for certain; none is there: 0. Where the lane itself is gone. */
int cursor_remove(struct disk *disk, uint32_t lane, struct err *err);

/* The prefix that is done for certain, even after a power cut. */
struct cursor_position cursor_durable(const struct cursor *cursor);

/*
 * Recovery: the lowest batch sequence of `lane` that the cursor in this folder says nothing is
 * done of, nor of any above it; 0 where there is no (valid) cursor. A new batch takes at least
 * that. Reads only.
 */
int cursor_peek(struct disk *disk, uint32_t lane, uint64_t *ret_next_sequence, struct err *err);

/* The highest of cursor_peek over all outputs' folders in `path`, which need not exist. */
int cursor_peek_all(const char *path, uint32_t lane, uint64_t *ret_next_sequence, struct err *err);

#endif
