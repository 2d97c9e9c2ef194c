/*
 * parcel: frames of one lane and one codec that go out together: what one HTTP request or one write
 * of the file output is made of. The frames' payloads are copied behind each other, so that any run
 * of them is a run of bytes, and a refused request can be halved without reading again.
 *
 * The frames tile a range of the lane: from `from` to the last frame's end, without gaps. What a
 * reader skipped (bad frames) belongs to the frame after it.
 *
 * A frame may be a piece of one in the journal: where the server took only some of its records
 * before (the payload is whole then, `first` and `held` say what is wanted of it: recode.h cuts
 * it), or because it was cut since (parcel_splice).
 *
 * Ownership: the caller's storage, reused for the life of the process. Memory: the compressed
 * bytes of one request, kept for the next one until parcel_trim.
 */
#ifndef SHIPPER_PARCEL_H
#define SHIPPER_PARCEL_H

#include "shared/base/buf.h"
#include "shared/journal/cursor.h"
#include "shared/journal/reader.h"
#include "shared/otlp/frame.h"

#include <stdbool.h>

#define PARCEL_MAX_FRAMES 2048u
#define PARCEL_KEEP_BYTES (64u << 10)

struct parcel_frame {
    struct frame_info info;       /* records: those that are wanted of it */
    uint32_t first, held;         /* they begin at `first` of `held` in the payload */
    size_t offset, bytes;         /* of its payload in parcel.bytes */
    struct cursor_position start; /* of its first record in the lane */
    struct cursor_position end;   /* behind it in the lane */
};

struct parcel {
    unsigned lane; /* index in the source */
    struct cursor_position from;
    struct parcel_frame *frames;
    uint32_t count, capacity;
    struct buf bytes;
    uint64_t plain_bytes, records;
};

void parcel_init(struct parcel *parcel);
void parcel_fini(struct parcel *parcel);

/* Empty, beginning at `from`. */
void parcel_reset(struct parcel *parcel, unsigned lane, struct cursor_position from);

/* Of an empty parcel: gives memory above PARCEL_KEEP_BYTES back. For when there is nothing to do. */
void parcel_trim(struct parcel *parcel);

/* Copies the frame in. 0, or -ENOMEM and the parcel is as before. */
int parcel_add(struct parcel *parcel, const struct journal_frame *frame);
/* The same, but only the records [first, end) of it are wanted; they are some. */
int parcel_add_part(struct parcel *parcel, const struct journal_frame *frame, uint32_t first,
                    uint32_t end);

/*
 * Puts `count` frames (at least 1) in the place of frame `index`, of whose records and range they
 * must be the whole. Their offsets count from the beginning of `bytes`, where their payloads lie
 * behind each other. 0, or -ENOMEM and the parcel is as before.
 */
int parcel_splice(struct parcel *parcel, uint32_t index, const struct parcel_frame *frames,
                  uint32_t count, struct slice bytes);

/* Not all records of the payload are wanted. */
static inline bool parcel_frame_is_part(const struct parcel_frame *frame)
{
    return frame->info.records != frame->held;
}

/* Of the run of frames [first, end), which is not empty. Plain bytes: of the payloads. */
struct cursor_range parcel_range(const struct parcel *parcel, uint32_t first, uint32_t end);
struct slice parcel_bytes(const struct parcel *parcel, uint32_t first, uint32_t end);
uint64_t parcel_records(const struct parcel *parcel, uint32_t first, uint32_t end);
uint64_t parcel_plain_bytes(const struct parcel *parcel, uint32_t first, uint32_t end);

/* Where the lane goes on after a frame. */
struct cursor_position parcel_after(const struct journal_frame *frame);

#endif
