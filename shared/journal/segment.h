/*
 * segment: names, headers and checks of segment files; what recovery, the writer and the readers
 * share. Layout: segment_layout.h. Everything read is untrusted: lengths are checked against what
 * is really there before anything is allocated or read by them.
 */
#ifndef SHARED_JOURNAL_SEGMENT_H
#define SHARED_JOURNAL_SEGMENT_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/journal/disk.h"
#include "shared/journal/segment_layout.h"

#define SEGMENT_NAME_BYTES 24

/* "00000000000000a1.seg" */
void segment_name(uint64_t number, char ret_name[SEGMENT_NAME_BYTES]);

/* A folder's segment numbers, ascending. */
struct segment_list {
    uint64_t *numbers;
    size_t count;
};

/* Lists the folder. The caller calls segment_list_fini. */
int segment_list_read(struct disk *disk, struct segment_list *ret_list, struct err *err);
void segment_list_fini(struct segment_list *list);

/*
 * Reads and checks a header. 0; -ENODATA where it is none (a prepared segment, or torn); -errno
 * where the disk failed.
 */
int segment_header_read(struct disk *disk, int file, uint64_t number,
                        struct segment_header *ret_header);

/* Fills in magic, version and crc of `header`; the window's bytes must be what window_crc says. */
void segment_header_seal(struct segment_header *header, const void *window, size_t window_bytes);

/* Where the first batch begins behind a window of `keys` keys. */
uint64_t segment_data_offset(uint32_t keys);

/* Appends the window's keys to `keys` (struct segment_key). -ENODATA where they are damaged. */
int segment_window_read(struct disk *disk, int file, const struct segment_header *header,
                        struct buf *keys);

/* True where this is a batch header whose check holds. */
bool segment_is_batch(const struct batch_header *header);
/* True where this is a frame header whose check holds. */
bool segment_is_frame(const struct frame_header *header);

/* A whole batch in memory. */
struct segment_batch {
    uint64_t offset;
    uint64_t length;
    struct batch_header header;
    struct commit_record commit;
    const uint8_t *keys;          /* struct segment_key, commit.keys of them */
    const uint8_t *confirmations; /* struct segment_confirmation */
};

/*
 * Reads the batch at `offset` into `bytes` (its memory grows, ret_batch borrows it) and checks all
 * of it: header, frames, payloads, commit record. `size` is the file's. 0; -ENODATA where there is
 * no whole batch; -errno.
 */
int segment_batch_read(struct disk *disk, int file, uint64_t offset, uint64_t size,
                       struct buf *bytes, struct segment_batch *ret_batch);

/*
 * The offset of the next batch header (only the header is checked) at or after `offset`, below
 * `end`, whose sequence is at least `sequence`. -ENODATA: there is none. Cost: reads up to `end`.
 */
int segment_find_batch(struct disk *disk, int file, uint64_t offset, uint64_t end,
                       uint64_t sequence, uint64_t *ret_offset);

#endif
