#include "shared/journal/segment.h"

#include "shared/base/bytes.h"
#include "shared/journal/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SEGMENT_DIGITS 16
#define SEGMENT_FIND_STEP (1u << 20)
#define SEGMENT_MAX_WINDOW_KEYS (1u << 20)

void segment_name(uint64_t number, char ret_name[SEGMENT_NAME_BYTES])
{
    snprintf(ret_name, SEGMENT_NAME_BYTES, "%016" PRIx64 SEGMENT_SUFFIX, number);
}

static bool parse_name(const char *name, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (int i = 0; i < SEGMENT_DIGITS; i++) {
        char c = name[i];

        if (c >= '0' && c <= '9')
            number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_number = number;
    return strcmp(name + SEGMENT_DIGITS, SEGMENT_SUFFIX) == 0;
}

static int take_name(void *context, const char *name)
{
    struct segment_list *list = context;
    uint64_t number;
    uint64_t *grown;

    if (!parse_name(name, &number))
        return 0;
    grown = reallocarray(list->numbers, list->count + 1, sizeof(*grown));
    if (grown == NULL)
        return -ENOMEM;
    list->numbers = grown;
    list->numbers[list->count++] = number;
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

int segment_list_read(struct disk *disk, struct segment_list *ret_list, struct err *err)
{
    struct segment_list list = {0};
    int r = disk->ops->list(disk, take_name, &list);

    if (r < 0) {
        segment_list_fini(&list);
        return err_errno(err, -r, "cannot list the segments");
    }
    if (list.count > 0)
        qsort(list.numbers, list.count, sizeof(list.numbers[0]), compare_numbers);
    *ret_list = list;
    return 0;
}

void segment_list_fini(struct segment_list *list)
{
    free(list->numbers);
    *list = (struct segment_list){0};
}

uint64_t segment_data_offset(uint32_t keys)
{
    uint64_t end = SEGMENT_HEADER_BYTES + (uint64_t)keys * sizeof(struct segment_key);

    return (end + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;
}

int segment_header_read(struct disk *disk, int file, uint64_t number,
                        struct segment_header *ret_header)
{
    struct segment_header header;
    ssize_t n = disk->ops->pread(disk, file, &header, sizeof(header), 0);

    if (n < 0)
        return (int)n;
    if (n != (ssize_t)sizeof(header) || header.magic != SEGMENT_MAGIC ||
        header.version != SEGMENT_VERSION || header.number != number ||
        header.crc != crc32c(0, &header, offsetof(struct segment_header, crc)) ||
        header.window_keys > SEGMENT_MAX_WINDOW_KEYS ||
        header.data_offset != segment_data_offset(header.window_keys))
        return -ENODATA;
    *ret_header = header;
    return 0;
}

void segment_header_seal(struct segment_header *header, const void *window, size_t window_bytes)
{
    header->magic = SEGMENT_MAGIC;
    header->version = SEGMENT_VERSION;
    header->window_keys = (uint32_t)(window_bytes / sizeof(struct segment_key));
    header->window_crc = crc32c(0, window, window_bytes);
    header->data_offset = segment_data_offset(header->window_keys);
    header->zero = 0;
    header->crc = crc32c(0, header, offsetof(struct segment_header, crc));
}

int segment_window_read(struct disk *disk, int file, const struct segment_header *header,
                        struct buf *keys)
{
    size_t bytes = (size_t)header->window_keys * sizeof(struct segment_key);
    ssize_t n;

    if (buf_reserve(keys, bytes) < 0)
        return -ENOMEM;
    n = disk->ops->pread(disk, file, keys->p + keys->n, bytes, SEGMENT_HEADER_BYTES);
    if (n < 0)
        return (int)n;
    if ((size_t)n != bytes || crc32c(0, keys->p + keys->n, bytes) != header->window_crc)
        return -ENODATA;
    keys->n += bytes;
    return 0;
}

bool segment_is_batch(const struct batch_header *header)
{
    return header->magic == BATCH_MAGIC &&
           header->crc == crc32c(0, header, offsetof(struct batch_header, crc)) &&
           header->length % SEGMENT_ALIGN == 0 &&
           header->commit_bytes >= sizeof(struct commit_record) &&
           header->length >= sizeof(*header) + header->commit_bytes;
}

bool segment_is_frame(const struct frame_header *header)
{
    return header->magic == FRAME_MAGIC &&
           header->crc == crc32c(0, header, offsetof(struct frame_header, crc));
}

/* Walks the frames of the batch in `p`, checks them, and continues the CRC over their headers. */
static int check_frames(const uint8_t *p, const struct batch_header *batch, uint32_t *crc)
{
    uint64_t end = batch->length - batch->commit_bytes;
    uint64_t at = sizeof(*batch);

    for (uint32_t i = 0; i < batch->frames; i++) {
        struct frame_header frame;
        uint64_t next;

        if (end - at < sizeof(frame))
            return -ENODATA;
        memcpy(&frame, p + at, sizeof(frame));
        if (!segment_is_frame(&frame) || frame.index != i || frame.sequence != batch->sequence)
            return -ENODATA;
        next = at + sizeof(frame) + ((uint64_t)frame.payload_bytes + 7) / 8 * 8;
        if (next > end ||
            crc32c(0, p + at + sizeof(frame), frame.payload_bytes) != frame.payload_crc)
            return -ENODATA;
        *crc = crc32c(*crc, &frame, sizeof(frame));
        at = next;
    }
    return at == end ? 0 : -ENODATA;
}

static int check_commit(const uint8_t *p, const struct batch_header *batch, uint32_t batch_crc,
                        struct segment_batch *ret_batch)
{
    const uint8_t *at = p + batch->length - batch->commit_bytes;
    struct commit_record commit;
    uint64_t need;
    uint32_t crc, stored;

    memcpy(&commit, at, sizeof(commit));
    stored = commit.crc;
    need = sizeof(commit) + (uint64_t)commit.keys * sizeof(struct segment_key) +
           (uint64_t)commit.confirmations * sizeof(struct segment_confirmation);
    if (commit.magic != COMMIT_MAGIC || commit.sequence != batch->sequence ||
        commit.length != batch->length || commit.frames != batch->frames ||
        commit.commit_bytes != batch->commit_bytes || need != batch->commit_bytes ||
        commit.batch_crc != batch_crc)
        return -ENODATA;
    commit.crc = 0;
    crc = crc32c(0, &commit, sizeof(commit));
    crc = crc32c(crc, at + sizeof(commit), batch->commit_bytes - sizeof(commit));
    if (crc != stored)
        return -ENODATA;
    commit.crc = stored;
    ret_batch->commit = commit;
    ret_batch->keys = at + sizeof(commit);
    ret_batch->confirmations = ret_batch->keys + commit.keys * sizeof(struct segment_key);
    return 0;
}

int segment_batch_read(struct disk *disk, int file, uint64_t offset, uint64_t size,
                       struct buf *bytes, struct segment_batch *ret_batch)
{
    struct segment_batch batch = {.offset = offset};
    uint32_t crc;
    ssize_t n;
    int r;

    if (offset > size || size - offset < sizeof(batch.header))
        return -ENODATA;
    n = disk->ops->pread(disk, file, &batch.header, sizeof(batch.header), offset);
    if (n < 0)
        return (int)n;
    if (n != (ssize_t)sizeof(batch.header) || !segment_is_batch(&batch.header) ||
        batch.header.length > size - offset)
        return -ENODATA;
    bytes->n = 0;
    if (buf_reserve(bytes, batch.header.length) < 0)
        return -ENOMEM;
    n = disk->ops->pread(disk, file, bytes->p, batch.header.length, offset);
    if (n < 0)
        return (int)n;
    if ((uint64_t)n != batch.header.length ||
        memcmp(bytes->p, &batch.header, sizeof(batch.header)) != 0)
        return -ENODATA;
    bytes->n = (size_t)n;
    batch.length = batch.header.length;
    crc = crc32c(0, &batch.header, sizeof(batch.header));
    r = check_frames(bytes->p, &batch.header, &crc);
    if (r == 0)
        r = check_commit(bytes->p, &batch.header, crc, &batch);
    if (r == 0)
        *ret_batch = batch;
    return r;
}

int segment_find_batch(struct disk *disk, int file, uint64_t offset, uint64_t end,
                       uint64_t sequence, uint64_t *ret_offset)
{
    uint8_t *step = malloc(SEGMENT_FIND_STEP);
    int r = -ENODATA;

    if (step == NULL)
        return -ENOMEM;
    offset = (offset + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;
    while (r == -ENODATA && offset + sizeof(struct batch_header) <= end) {
        uint64_t want = end - offset < SEGMENT_FIND_STEP ? end - offset : SEGMENT_FIND_STEP;
        ssize_t n = disk->ops->pread(disk, file, step, want, offset);
        size_t at;

        if (n < 0)
            r = (int)n;
        if (n < (ssize_t)sizeof(struct batch_header))
            break;
        for (at = 0; at + sizeof(struct batch_header) <= (size_t)n; at += SEGMENT_ALIGN) {
            struct batch_header header;

            if (bytes_get_le32(step + at) != BATCH_MAGIC)
                continue;
            memcpy(&header, step + at, sizeof(header));
            if (segment_is_batch(&header) && header.sequence >= sequence) {
                *ret_offset = offset + at;
                r = 0;
                break;
            }
        }
        offset += at;
    }
    free(step);
    return r;
}
