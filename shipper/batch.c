#include "shipper/batch.h"

#include <errno.h>
#include <stdlib.h>

void batch_init(struct batch *batch)
{
    *batch = (struct batch){0};
    buf_init(&batch->bytes, SIZE_MAX / 2);
}

void batch_fini(struct batch *batch)
{
    buf_fini(&batch->bytes);
    free(batch->frames);
    batch->frames = NULL;
}

void batch_reset(struct batch *batch, unsigned lane, struct cursor_position from)
{
    batch->lane = lane;
    batch->from = from;
    batch->count = 0;
    batch->plain_bytes = 0;
    batch->records = 0;
    batch->bytes.n = 0;
}

void batch_trim(struct batch *batch)
{
    buf_trim(&batch->bytes, BATCH_KEEP_BYTES);
}

struct cursor_position batch_after(const struct journal_frame *frame)
{
    if (frame->index + 1 >= frame->frames)
        return (struct cursor_position){frame->sequence + 1, 0, 0};
    return (struct cursor_position){frame->sequence, frame->index + 1, 0};
}

static int grow_frames(struct batch *batch)
{
    uint32_t capacity = batch->capacity == 0 ? 64 : batch->capacity * 2;
    struct batch_frame *frames = realloc(batch->frames, capacity * sizeof(*frames));

    if (frames == NULL)
        return -ENOMEM;
    batch->frames = frames;
    batch->capacity = capacity;
    return 0;
}

int batch_add(struct batch *batch, const struct journal_frame *frame)
{
    struct batch_frame *added;

    if (batch->count == batch->capacity && grow_frames(batch) < 0)
        return -ENOMEM;
    added = &batch->frames[batch->count];
    *added = (struct batch_frame){
        .info = {.codec = (uint8_t)frame->codec,
                 .plain_bytes = frame->plain_bytes,
                 .plain_crc32 = frame->plain_crc,
                 .records = frame->records,
                 .first_time_ns = frame->first_time_ns,
                 .last_time_ns = frame->last_time_ns},
        .offset = batch->bytes.n,
        .bytes = frame->payload.n,
        .end = batch_after(frame),
    };
    if (buf_append(&batch->bytes, frame->payload.p, frame->payload.n) < 0)
        return -ENOMEM;
    batch->count++;
    batch->plain_bytes += frame->plain_bytes;
    batch->records += frame->records;
    return 0;
}

struct cursor_range batch_range(const struct batch *batch, uint32_t first, uint32_t end)
{
    return (struct cursor_range){first == 0 ? batch->from : batch->frames[first - 1].end,
                                 batch->frames[end - 1].end};
}

struct slice batch_bytes(const struct batch *batch, uint32_t first, uint32_t end)
{
    size_t from = batch->frames[first].offset;
    size_t to = batch->frames[end - 1].offset + batch->frames[end - 1].bytes;

    return slice_of(batch->bytes.p + from, to - from);
}

uint64_t batch_records(const struct batch *batch, uint32_t first, uint32_t end)
{
    uint64_t records = 0;

    for (uint32_t i = first; i < end; i++)
        records += batch->frames[i].info.records;
    return records;
}
