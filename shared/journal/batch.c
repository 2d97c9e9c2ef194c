#include "shared/journal/batch.h"

#include "shared/journal/crc32c.h"

#include <errno.h>

#define BATCH_SIDE_BYTES (64u << 20)

static size_t padded(size_t n)
{
    return (n + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;
}

void batch_init(struct batch *batch, size_t max_bytes)
{
    *batch = (struct batch){0};
    buf_init(&batch->bytes, max_bytes);
    buf_init(&batch->keys, BATCH_SIDE_BYTES);
    buf_init(&batch->confirmations, BATCH_SIDE_BYTES);
}

void batch_fini(struct batch *batch)
{
    buf_fini(&batch->bytes);
    buf_fini(&batch->keys);
    buf_fini(&batch->confirmations);
}

void batch_clear(struct batch *batch, size_t keep_bytes)
{
    batch->bytes.n = 0;
    batch->keys.n = 0;
    batch->confirmations.n = 0;
    batch->frames = 0;
    batch->records = 0;
    buf_trim(&batch->bytes, keep_bytes);
}

void batch_cut(struct batch *batch, struct batch_mark mark)
{
    batch->bytes.n = mark.bytes;
    batch->frames = mark.frames;
    batch->records = mark.records;
}

/* The batch header's place is kept free in front of the first frame. */
static int make_room(struct batch *batch, size_t bytes)
{
    size_t head = batch->bytes.n == 0 ? sizeof(struct batch_header) : 0;
    int r = buf_reserve(&batch->bytes, head + bytes);

    if (r < 0)
        return r;
    memset(batch->bytes.p + batch->bytes.n, 0, head);
    batch->bytes.n += head;
    return 0;
}

uint8_t *batch_frame_reserve(struct batch *batch, size_t max_bytes)
{
    if (make_room(batch, sizeof(struct frame_header) + padded(max_bytes)) < 0)
        return NULL;
    return batch->bytes.p + batch->bytes.n + sizeof(struct frame_header);
}

int batch_frame_commit(struct batch *batch, const struct frame_info *info, size_t bytes)
{
    uint8_t *at = batch->bytes.p + batch->bytes.n;
    struct frame_header header = {
        .magic = FRAME_MAGIC,
        .index = batch->frames,
        .codec = info->codec,
        .payload_bytes = (uint32_t)bytes,
        .plain_bytes = info->plain_bytes,
        .plain_crc = info->plain_crc32,
        .records = info->records,
        .first_time_ns = info->first_time_ns,
        .last_time_ns = info->last_time_ns,
    };

    if (bytes > UINT32_MAX)
        return -EFBIG;
    header.payload_crc = crc32c(0, at + sizeof(header), bytes);
    memcpy(at, &header, sizeof(header));
    memset(at + sizeof(header) + bytes, 0, padded(bytes) - bytes);
    batch->bytes.n += sizeof(header) + padded(bytes);
    batch->frames++;
    batch->records += info->records;
    return 0;
}

int batch_key(struct batch *batch, const struct segment_key *key)
{
    return buf_append(&batch->keys, key, sizeof(*key));
}

int batch_confirmation(struct batch *batch, const struct segment_confirmation *confirmation)
{
    return buf_append(&batch->confirmations, confirmation, sizeof(*confirmation));
}

/* Gives every frame header its batch sequence and its check; returns the CRC over all headers. */
static uint32_t seal_frames(struct batch *batch, uint64_t sequence, uint32_t crc)
{
    size_t at = sizeof(struct batch_header);

    for (uint32_t i = 0; i < batch->frames; i++) {
        struct frame_header header;

        memcpy(&header, batch->bytes.p + at, sizeof(header));
        header.sequence = sequence;
        header.crc = crc32c(0, &header, offsetof(struct frame_header, crc));
        memcpy(batch->bytes.p + at, &header, sizeof(header));
        crc = crc32c(crc, &header, sizeof(header));
        at += sizeof(header) + padded(header.payload_bytes);
    }
    return crc;
}

/* What commit->crc is over: the record with that field 0, keys and confirmations. */
static uint32_t commit_crc(const struct commit_record *commit, const struct batch *batch)
{
    uint32_t crc = crc32c(0, commit, sizeof(*commit));

    crc = crc32c(crc, batch->keys.p, batch->keys.n);
    return crc32c(crc, batch->confirmations.p, batch->confirmations.n);
}

int batch_seal(struct batch *batch, uint64_t sequence, const struct commit_record *commit)
{
    size_t tail = sizeof(*commit) + batch->keys.n + batch->confirmations.n;
    struct commit_record record = *commit;
    struct batch_header header = {
        .magic = BATCH_MAGIC,
        .frames = batch->frames,
        .sequence = sequence,
        .commit_bytes = (uint32_t)tail,
        .records = batch->records,
    };
    int r = make_room(batch, tail);

    if (r < 0)
        return r;
    header.length = batch->bytes.n + tail;
    header.crc = crc32c(0, &header, offsetof(struct batch_header, crc));
    memcpy(batch->bytes.p, &header, sizeof(header));
    record.magic = COMMIT_MAGIC;
    record.frames = batch->frames;
    record.sequence = sequence;
    record.length = header.length;
    record.keys = (uint32_t)(batch->keys.n / sizeof(struct segment_key));
    record.confirmations = (uint32_t)(batch->confirmations.n / sizeof(struct segment_confirmation));
    record.commit_bytes = (uint32_t)tail;
    record.batch_crc = seal_frames(batch, sequence, crc32c(0, &header, sizeof(header)));
    record.zero = 0;
    record.crc = 0;
    record.crc = commit_crc(&record, batch);
    if (buf_append(&batch->bytes, &record, sizeof(record)) < 0 ||
        buf_append(&batch->bytes, batch->keys.p, batch->keys.n) < 0 ||
        buf_append(&batch->bytes, batch->confirmations.p, batch->confirmations.n) < 0)
        return -ENOMEM;
    return 0;
}
