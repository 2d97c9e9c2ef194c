#include "shipper/parcel.h"

#include <errno.h>
#include <stdlib.h>

void parcel_init(struct parcel *parcel)
{
    *parcel = (struct parcel){0};
    buf_init(&parcel->bytes, SIZE_MAX / 2);
}

void parcel_fini(struct parcel *parcel)
{
    buf_fini(&parcel->bytes);
    free(parcel->frames);
    parcel->frames = NULL;
}

void parcel_reset(struct parcel *parcel, unsigned lane, struct cursor_position from)
{
    parcel->lane = lane;
    parcel->from = from;
    parcel->count = 0;
    parcel->plain_bytes = 0;
    parcel->records = 0;
    parcel->bytes.n = 0;
}

void parcel_trim(struct parcel *parcel)
{
    buf_trim(&parcel->bytes, PARCEL_KEEP_BYTES);
}

struct cursor_position parcel_after(const struct journal_frame *frame)
{
    if (frame->index + 1 >= frame->frames)
        return (struct cursor_position){frame->sequence + 1, 0, 0};
    return (struct cursor_position){frame->sequence, frame->index + 1, 0};
}

static int grow_frames(struct parcel *parcel)
{
    uint32_t capacity = parcel->capacity == 0 ? 64 : parcel->capacity * 2;
    struct parcel_frame *frames = realloc(parcel->frames, capacity * sizeof(*frames));

    if (frames == NULL)
        return -ENOMEM;
    parcel->frames = frames;
    parcel->capacity = capacity;
    return 0;
}

int parcel_add(struct parcel *parcel, const struct journal_frame *frame)
{
    struct parcel_frame *added;

    if (parcel->count == parcel->capacity && grow_frames(parcel) < 0)
        return -ENOMEM;
    added = &parcel->frames[parcel->count];
    *added = (struct parcel_frame){
        .info = {.codec = (uint8_t)frame->codec,
                 .plain_bytes = frame->plain_bytes,
                 .plain_crc32 = frame->plain_crc,
                 .records = frame->records,
                 .first_time_ns = frame->first_time_ns,
                 .last_time_ns = frame->last_time_ns},
        .offset = parcel->bytes.n,
        .bytes = frame->payload.n,
        .end = parcel_after(frame),
    };
    if (buf_append(&parcel->bytes, frame->payload.p, frame->payload.n) < 0)
        return -ENOMEM;
    parcel->count++;
    parcel->plain_bytes += frame->plain_bytes;
    parcel->records += frame->records;
    return 0;
}

struct cursor_range parcel_range(const struct parcel *parcel, uint32_t first, uint32_t end)
{
    return (struct cursor_range){first == 0 ? parcel->from : parcel->frames[first - 1].end,
                                 parcel->frames[end - 1].end};
}

struct slice parcel_bytes(const struct parcel *parcel, uint32_t first, uint32_t end)
{
    size_t from = parcel->frames[first].offset;
    size_t to = parcel->frames[end - 1].offset + parcel->frames[end - 1].bytes;

    return slice_of(parcel->bytes.p + from, to - from);
}

uint64_t parcel_records(const struct parcel *parcel, uint32_t first, uint32_t end)
{
    uint64_t records = 0;

    for (uint32_t i = first; i < end; i++)
        records += parcel->frames[i].info.records;
    return records;
}
