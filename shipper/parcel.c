#include "shipper/parcel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int reserve_frames(struct parcel *parcel, uint32_t count)
{
    uint32_t capacity = parcel->capacity == 0 ? 64 : parcel->capacity;
    struct parcel_frame *frames;

    if (count <= parcel->capacity)
        return 0;
    while (capacity < count)
        capacity *= 2;
    frames = realloc(parcel->frames, capacity * sizeof(*frames));
    if (frames == NULL)
        return -ENOMEM;
    parcel->frames = frames;
    parcel->capacity = capacity;
    return 0;
}

int parcel_add(struct parcel *parcel, const struct journal_frame *frame)
{
    return parcel_add_part(parcel, frame, 0, frame->records);
}

int parcel_add_part(struct parcel *parcel, const struct journal_frame *frame, uint32_t first,
                    uint32_t end)
{
    struct parcel_frame *added;

    if (reserve_frames(parcel, parcel->count + 1) < 0)
        return -ENOMEM;
    added = &parcel->frames[parcel->count];
    *added = (struct parcel_frame){
        .info = {.codec = (uint8_t)frame->codec,
                 .plain_bytes = frame->plain_bytes,
                 .plain_crc32 = frame->plain_crc,
                 .records = end - first,
                 .first_time_ns = frame->first_time_ns,
                 .last_time_ns = frame->last_time_ns},
        .first = first,
        .held = frame->records,
        .offset = parcel->bytes.n,
        .bytes = frame->payload.n,
        .start = {frame->sequence, frame->index, first},
        .end = {frame->sequence, frame->index, end},
    };
    if (end == frame->records)
        added->end = parcel_after(frame);
    if (buf_append(&parcel->bytes, frame->payload.p, frame->payload.n) < 0)
        return -ENOMEM;
    parcel->count++;
    parcel->plain_bytes += frame->plain_bytes;
    parcel->records += added->info.records;
    return 0;
}

int parcel_splice(struct parcel *parcel, uint32_t index, const struct parcel_frame *frames,
                  uint32_t count, struct slice bytes)
{
    const struct parcel_frame old = parcel->frames[index];
    const uint32_t behind = parcel->count - index - 1;
    const size_t tail = old.offset + old.bytes;
    struct parcel_frame *at;

    if (reserve_frames(parcel, parcel->count + count - 1) < 0 ||
        buf_reserve(&parcel->bytes, bytes.n) < 0)
        return -ENOMEM;
    memmove(parcel->bytes.p + old.offset + bytes.n, parcel->bytes.p + tail, parcel->bytes.n - tail);
    memcpy(parcel->bytes.p + old.offset, bytes.p, bytes.n);
    parcel->bytes.n = parcel->bytes.n - old.bytes + bytes.n;
    at = parcel->frames + index;
    memmove(at + count, at + 1, behind * sizeof(*at));
    memcpy(at, frames, count * sizeof(*at));
    parcel->plain_bytes -= old.info.plain_bytes;
    for (uint32_t i = 0; i < count; i++) {
        at[i].offset += old.offset;
        parcel->plain_bytes += at[i].info.plain_bytes;
    }
    for (uint32_t i = count; i < count + behind; i++)
        at[i].offset = at[i].offset - old.bytes + bytes.n;
    parcel->count += count - 1;
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

uint64_t parcel_plain_bytes(const struct parcel *parcel, uint32_t first, uint32_t end)
{
    uint64_t bytes = 0;

    for (uint32_t i = first; i < end; i++)
        bytes += parcel->frames[i].info.plain_bytes;
    return bytes;
}
