/*
 * batch: frames of one lane and one codec that go out together: what one HTTP request or one write
 * of the file output is made of. The frames' payloads are copied behind each other, so that any run
 * of them is a run of bytes, and a refused request can be halved without reading again.
 *
 * The frames tile a range of the lane: from `from` to the last frame's end, without gaps. What a
 * reader skipped (bad frames) belongs to the frame after it.
 *
 * Ownership: the caller's storage, reused for the life of the process. Memory: the compressed
 * bytes of one request, kept for the next one until batch_trim.
 */
#ifndef SHIPPER_BATCH_H
#define SHIPPER_BATCH_H

#include "shared/base/buf.h"
#include "shared/journal/cursor.h"
#include "shared/journal/reader.h"
#include "shared/otlp/frame.h"

#define BATCH_MAX_FRAMES 2048u
#define BATCH_KEEP_BYTES (64u << 10)

struct batch_frame {
    struct frame_info info;
    size_t offset, bytes;       /* of its payload in batch.bytes */
    struct cursor_position end; /* behind it in the lane */
};

struct batch {
    unsigned lane; /* index in the source */
    struct cursor_position from;
    struct batch_frame *frames;
    uint32_t count, capacity;
    struct buf bytes;
    uint64_t plain_bytes, records;
};

void batch_init(struct batch *batch);
void batch_fini(struct batch *batch);

/* Empty, beginning at `from`. */
void batch_reset(struct batch *batch, unsigned lane, struct cursor_position from);

/* Of an empty batch: gives memory above BATCH_KEEP_BYTES back. For when there is nothing to do. */
void batch_trim(struct batch *batch);

/* Copies the frame in. 0, or -ENOMEM and the batch is as before. */
int batch_add(struct batch *batch, const struct journal_frame *frame);

/* Of the run of frames [first, end), which is not empty. */
struct cursor_range batch_range(const struct batch *batch, uint32_t first, uint32_t end);
struct slice batch_bytes(const struct batch *batch, uint32_t first, uint32_t end);
uint64_t batch_records(const struct batch *batch, uint32_t first, uint32_t end);

/* Where the lane goes on after a frame. */
struct cursor_position batch_after(const struct journal_frame *frame);

#endif
