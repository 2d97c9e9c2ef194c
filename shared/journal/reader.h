/*
 * reader: walks the durable frames of one lane in order. The shipper delivers from it; export,
 * replay and tail are readers too.
 *
 * A reader reads up to the lane page's end and no further: what lies behind may be cut. It needs
 * read access only. It never fails for bad bytes: a frame whose checks do not hold is skipped and
 * counted, a batch whose header is broken is looked past (the next valid batch header in the
 * segment, else the next segment), so it always makes progress. Where a segment's own header is
 * broken, its batches are looked for behind it.
 *
 * Owner: one thread. Memory: a read window of about 1 MiB, or the largest frame.
 *
 *     reader_open(disk, page, &reader, &err);
 *     reader_seek(reader, cursor.sequence, cursor.frame, &err);
 *     while (reader_next(reader, &frame, &err) > 0)
 *         body_add(&frame);
 */
#ifndef SHARED_JOURNAL_READER_H
#define SHARED_JOURNAL_READER_H

#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/ipc/lane_page.h"
#include "shared/journal/disk.h"

struct journal_reader;

struct journal_frame {
    uint64_t sequence; /* of the batch */
    uint32_t index;    /* of the frame in the batch */
    uint32_t frames;   /* in the batch: index + 1 == frames is the batch's last */
    uint32_t codec;    /* enum frame_codec, shared/otlp/frame.h */
    uint32_t plain_bytes;
    uint32_t plain_crc; /* CRC-32 of the plain bytes */
    uint32_t records;
    uint64_t first_time_ns, last_time_ns;
    uint64_t segment;     /* number of the segment it stands in */
    struct slice payload; /* borrowed until the next call on this reader */
};

struct reader_counts {
    uint64_t bad_frames;  /* skipped: their checks did not hold */
    uint64_t bad_batches; /* looked past: their header was broken */
    uint64_t bytes;       /* skipped in all */
};

/* Borrows both for its life. Starts at the oldest frame there is. */
int reader_open(struct disk *disk, const struct lane_page *page, struct journal_reader **ret_reader,
                struct err *err);
void reader_close(struct journal_reader **reader);

/*
 * The next reader_next gives the first frame at or after frame `index` of batch `sequence`.
 * Cost: a scan of one segment's batch headers.
 */
int reader_seek(struct journal_reader *reader, uint64_t sequence, uint32_t index, struct err *err);

/* 1: a frame; 0: nothing durable beyond; -errno: the disk failed (the reader stays where it is). */
int reader_next(struct journal_reader *reader, struct journal_frame *ret_frame, struct err *err);

/*
 * The sequence of the batch that the reader has come to the end of, with frames or without; 0: it
 * is within one, or has seen none since it was opened or sought. Where reader_next has returned 0
 * and this is the last batch of the lane, nothing was left out.
 */
uint64_t reader_finished(const struct journal_reader *reader);

const struct reader_counts *reader_counts(const struct journal_reader *reader);

/* The lane's oldest batch that is still on the disk, and the next that will be written. */
int reader_range(struct journal_reader *reader, uint64_t *ret_first, uint64_t *ret_next);

/*
 * Removes each segment that holds only batches below `sequence` (never the one that takes batches
 * now), oldest first, syncing the folder after. The caller has synced its cursors. Write access to
 * the folder is needed.
 */
int reader_remove_passed(struct journal_reader *reader, uint64_t sequence, unsigned *ret_removed,
                         struct err *err);

/* Bytes that the lane's segments occupy. */
int64_t reader_usage(struct journal_reader *reader);

#endif
