#include "shared/journal/recovery.h"

#include "shared/journal/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECOVERY_MAX_BATCH_BYTES (1ull << 32)
#define RECOVERY_STEP_BYTES (1u << 20)
#define RECOVERY_FIRST_ROOM 64u

/* A batch found in the segment. */
struct found {
    uint64_t offset, length, sequence;
    uint64_t records; /* committed to the lane with it */
};

/* The last segment as it was found. */
struct scan {
    const struct recovery *recovery;
    struct segment_header header;
    int file;
    uint64_t size;
    struct buf bytes; /* the batch under the scan */
    struct found *found;
    size_t count, room;
    uint64_t valid_end;   /* behind the last valid batch */
    uint64_t trusted_end; /* the highest end in this segment that a commit record names */
    struct recovery_result *result;
};

static int scan_open(struct scan *scan, uint64_t number)
{
    struct disk *disk = scan->recovery->disk;
    char name[SEGMENT_NAME_BYTES];
    int64_t size;
    int r;

    segment_name(number, name);
    scan->file = disk->ops->open(disk, name, DISK_WRITE);
    if (scan->file < 0)
        return scan->file;
    r = segment_header_read(disk, scan->file, number, &scan->header);
    size = r < 0 ? r : disk->ops->size(disk, scan->file);
    if (size < 0) {
        disk->ops->close(disk, scan->file);
        scan->file = -1;
        return (int)size;
    }
    scan->size = (uint64_t)size;
    return 0;
}

static void scan_fini(struct scan *scan)
{
    if (scan->file >= 0)
        scan->recovery->disk->ops->close(scan->recovery->disk, scan->file);
    scan->file = -1;
    buf_fini(&scan->bytes);
    free(scan->found);
    scan->found = NULL;
}

static int remember(struct scan *scan, const struct segment_batch *batch)
{
    if (scan->count == scan->room) {
        size_t room = scan->room == 0 ? RECOVERY_FIRST_ROOM : 2 * scan->room;
        struct found *grown = reallocarray(scan->found, room, sizeof(*grown));

        if (grown == NULL)
            return -ENOMEM;
        scan->found = grown;
        scan->room = room;
    }
    scan->found[scan->count++] = (struct found){
        batch->offset, batch->length, batch->header.sequence, batch->commit.records_committed};
    scan->valid_end = batch->offset + batch->length;
    /* What was durable when a batch was written ends before it; another end is no truth. */
    if (batch->commit.durable_segment == scan->header.number &&
        batch->commit.durable_end <= batch->offset && batch->commit.durable_end > scan->trusted_end)
        scan->trusted_end = batch->commit.durable_end;
    scan->result->totals = batch->commit;
    return 0;
}

/* Walks the whole batches from the first on, up to `end`; looks past what is none. */
static int scan_batches(struct scan *scan, uint64_t end)
{
    struct disk *disk = scan->recovery->disk;
    uint64_t offset = scan->header.data_offset;
    uint64_t sequence = scan->header.first_sequence;

    scan->valid_end = scan->trusted_end = offset;
    for (;;) {
        struct segment_batch batch;
        int r = segment_batch_read(disk, scan->file, offset, end, &scan->bytes, &batch);

        if (r == 0 && batch.header.sequence >= sequence) {
            r = remember(scan, &batch);
            if (r < 0)
                return r;
            sequence = batch.header.sequence + 1;
            offset += batch.length;
            continue;
        }
        if (r < 0 && r != -ENODATA)
            return r;
        r = segment_find_batch(disk, scan->file, offset + SEGMENT_ALIGN, end, sequence, &offset);
        if (r == -ENODATA)
            return 0;
        if (r < 0)
            return r;
        scan->result->batches_bad++;
    }
}

/* Loads what the batches in [from, to) remember of chunks and connections into the window. */
static int load_batches(struct scan *scan, uint64_t from, uint64_t to, bool cold)
{
    struct resend_window *window = scan->recovery->window;

    for (size_t i = 0; window != NULL && i < scan->count; i++) {
        struct segment_batch batch;
        int r;

        if (scan->found[i].offset < from || scan->found[i].offset >= to)
            continue;
        r = segment_batch_read(scan->recovery->disk, scan->file, scan->found[i].offset, scan->size,
                               &scan->bytes, &batch);
        if (r < 0)
            return r;
        /* First the ends: a resend in this batch takes the place of a chunk whose end is in it. */
        r = resend_window_load_confirmations(
            window, slice_of(batch.confirmations,
                             batch.commit.confirmations * sizeof(struct segment_confirmation)));
        if (r == 0)
            r = resend_window_load(
                window, slice_of(batch.keys, batch.commit.keys * sizeof(struct segment_key)), cold);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_head(struct scan *scan, bool cold)
{
    struct buf keys;
    int r;

    if (scan->recovery->window == NULL)
        return 0;
    buf_init(&keys, RECOVERY_MAX_BATCH_BYTES);
    r = segment_window_read(scan->recovery->disk, scan->file, &scan->header, &keys);
    if (r == 0)
        r = resend_window_load(scan->recovery->window, buf_slice(&keys), cold);
    buf_fini(&keys);
    return r == -ENODATA ? 0 : r; /* a damaged window costs duplicates, never records */
}

int recovery_warm(const struct recovery *recovery, const struct writer_position *position,
                  struct recovery_result *ret_result, struct err *err)
{
    struct recovery_result result = {.position = *position};
    struct scan scan = {.recovery = recovery, .file = -1, .result = &result};
    int r;

    if (position->segment == 0) {
        *ret_result = result;
        return 0;
    }
    buf_init(&scan.bytes, RECOVERY_MAX_BATCH_BYTES);
    r = scan_open(&scan, position->segment);
    if (r == 0)
        r = scan_batches(&scan, position->end);
    if (r == 0)
        r = load_head(&scan, false);
    if (r == 0)
        r = load_batches(&scan, 0, position->end, false);
    result.position = *position;
    scan_fini(&scan);
    /* Gone or damaged: that costs the window, and the next batch begins a new segment. */
    if (r == -ENOENT || r == -ENODATA)
        r = 0;
    if (scan.count == 0)
        result.totals.records_committed = position->records;
    if (r < 0)
        return err_errno(err, -r, "cannot read segment %" PRIu64, position->segment);
    *ret_result = result;
    return 0;
}

/* ---- cold ---- */

/* The offset behind the last byte of [from, size) that is not zero; from: there is none. */
static int find_nonzero_end(struct disk *disk, int file, uint64_t from, uint64_t size,
                            uint64_t *ret_end)
{
    uint8_t *step = malloc(RECOVERY_STEP_BYTES);
    uint64_t end = from;

    if (step == NULL)
        return -ENOMEM;
    for (uint64_t at = from; at < size;) {
        uint64_t want = size - at < RECOVERY_STEP_BYTES ? size - at : RECOVERY_STEP_BYTES;
        ssize_t n = disk->ops->pread(disk, file, step, want, at);

        if (n <= 0) {
            free(step);
            *ret_end = end;
            return n < 0 ? (int)n : 0;
        }
        for (size_t i = (size_t)n; i > 0; i--) {
            if (step[i - 1] != 0) {
                end = at + i;
                break;
            }
        }
        at += (uint64_t)n;
    }
    free(step);
    *ret_end = end;
    return 0;
}

static int copy_range(struct disk *from, int source, uint64_t at, uint64_t end, struct disk *to,
                      int target)
{
    uint8_t *step = malloc(RECOVERY_STEP_BYTES);
    uint64_t written = 0;
    int r = step == NULL ? -ENOMEM : 0;

    while (r == 0 && at < end) {
        uint64_t want = end - at < RECOVERY_STEP_BYTES ? end - at : RECOVERY_STEP_BYTES;
        ssize_t n = from->ops->pread(from, source, step, want, at);

        if (n <= 0) {
            r = n < 0 ? (int)n : -EIO;
            break;
        }
        r = to->ops->pwrite(to, target, step, (size_t)n, written);
        at += (uint64_t)n;
        written += (uint64_t)n;
    }
    free(step);
    return r;
}

/* Keeps [from, end of what is not zero) of a segment in quarantine. */
static int keep_tail(const struct recovery *recovery, int file, uint64_t number, uint64_t from,
                     uint64_t size, struct recovery_result *result)
{
    struct disk *to = recovery->quarantine;
    char name[96];
    uint64_t end;
    int target;
    int r = find_nonzero_end(recovery->disk, file, from, size, &end);

    if (r < 0 || end == from)
        return r;
    snprintf(name, sizeof(name), "lane-%02u-segment-%016" PRIx64 "-at-%" PRIu64 ".tail",
             recovery->lane, number, from);
    target = to->ops->open(to, name, DISK_CREATE);
    if (target < 0)
        return target;
    r = copy_range(recovery->disk, file, from, end, to, target);
    if (r == 0)
        r = to->ops->datasync(to, target);
    to->ops->close(to, target);
    if (r == 0)
        r = to->ops->sync_folder(to);
    result->bytes_cut += end - from;
    return r;
}

/* A file with a segment's name and no header: prepared, or torn. What is in it is kept. */
static int discard_headless(const struct recovery *recovery, uint64_t number,
                            struct recovery_result *result)
{
    struct disk *disk = recovery->disk;
    char name[SEGMENT_NAME_BYTES];
    int64_t size;
    int file, r;

    segment_name(number, name);
    file = disk->ops->open(disk, name, DISK_READ);
    if (file < 0)
        return file;
    size = disk->ops->size(disk, file);
    r = size < 0 ? (int)size : keep_tail(recovery, file, number, 0, (uint64_t)size, result);
    disk->ops->close(disk, file);
    if (r == 0)
        r = disk->ops->remove(disk, name);
    return r;
}

/* Opens the last segment with a header. -ENODATA: the lane has none. *ret_highest: of all names. */
static int open_last(struct scan *scan, uint64_t *ret_highest, struct err *err)
{
    const struct recovery *recovery = scan->recovery;
    struct segment_list list;
    int r = segment_list_read(recovery->disk, &list, err);

    if (r < 0)
        return r;
    *ret_highest = list.count > 0 ? list.numbers[list.count - 1] : 0;
    r = -ENODATA;
    for (size_t i = list.count; i > 0 && r == -ENODATA; i--) {
        r = scan_open(scan, list.numbers[i - 1]);
        if (r == -ENODATA) {
            int discarded = discard_headless(recovery, list.numbers[i - 1], scan->result);

            if (discarded < 0)
                r = discarded;
        }
    }
    segment_list_fini(&list);
    return r;
}

/* The first found batch at or beyond the trusted end; count: none. */
static size_t first_untrusted(const struct scan *scan)
{
    size_t i = scan->count;

    while (i > 0 && scan->found[i - 1].offset >= scan->trusted_end)
        i--;
    return i;
}

static int write_batches(struct scan *scan, size_t first, int target, uint64_t at,
                         uint64_t *ret_end)
{
    struct disk *disk = scan->recovery->disk;

    for (size_t i = first; i < scan->count; i++) {
        const struct found *f = &scan->found[i];
        struct segment_batch batch;
        int r = segment_batch_read(disk, scan->file, f->offset, scan->size, &scan->bytes, &batch);

        if (r == 0)
            r = disk->ops->pwrite(disk, target, scan->bytes.p, scan->bytes.n, at);
        if (r < 0)
            return r;
        at += f->length;
    }
    *ret_end = at;
    return disk->ops->datasync(disk, target);
}

/* Fills the new segment: window and batches, sync, then the header, sync, then its name. */
static int fill_segment(struct scan *scan, size_t first, int target, struct slice window,
                        struct segment_header *header, uint64_t *ret_end)
{
    struct disk *disk = scan->recovery->disk;
    int r = 0;

    segment_header_seal(header, window.p, window.n);
    if (window.n > 0)
        r = disk->ops->pwrite(disk, target, window.p, window.n, SEGMENT_HEADER_BYTES);
    if (r == 0)
        r = write_batches(scan, first, target, header->data_offset, ret_end);
    if (r == 0)
        r = disk->ops->pwrite(disk, target, header, sizeof(*header), 0);
    if (r == 0)
        r = disk->ops->datasync(disk, target);
    if (r == 0)
        r = disk->ops->sync_folder(disk);
    return r;
}

/* Writes the batches from `first` on into segment `number`. position: what it follows. */
static int rewrite(struct scan *scan, size_t first, uint64_t number,
                   const struct writer_position *position)
{
    const struct recovery *recovery = scan->recovery;
    struct disk *disk = recovery->disk;
    struct segment_header header = {
        .lane = recovery->lane,
        .number = number,
        .first_sequence = scan->found[first].sequence,
        .previous = position->segment,
        .previous_end = position->end,
        .created_ns = recovery->now_ns,
        .records_before = position->records,
    };
    char name[SEGMENT_NAME_BYTES];
    struct buf window;
    uint64_t end = 0;
    int target, r = 0;

    segment_name(number, name);
    target = disk->ops->open(disk, name, DISK_FRESH);
    if (target < 0)
        return target;
    buf_init(&window, RECOVERY_MAX_BATCH_BYTES);
    if (recovery->window != NULL)
        r = resend_window_save(recovery->window, &window);
    if (r == 0)
        r = fill_segment(scan, first, target, buf_slice(&window), &header, &end);
    buf_fini(&window);
    disk->ops->close(disk, target);
    if (r < 0) {
        /* No room, most likely: what is there now would be kept in quarantine the next time. */
        disk->ops->remove(disk, name);
        return r;
    }
    scan->result->batches_rewritten += scan->count - first;
    scan->result->position.segment = number;
    scan->result->position.end = end;
    return 0;
}

/* Gives back what lies behind the trusted end, or all of a segment that holds nothing trusted. */
static int cut_old(struct scan *scan, bool is_void)
{
    struct disk *disk = scan->recovery->disk;
    char name[SEGMENT_NAME_BYTES];

    if (!is_void)
        return disk->ops->truncate(disk, scan->file, scan->trusted_end);
    segment_name(scan->header.number, name);
    return disk->ops->remove(disk, name);
}

/*
 * Gives back what the segment has allocated and not written. On a disk that it fills there is no
 * other room for what recovery writes; and without that nothing would be delivered and removed.
 */
static int give_back(struct scan *scan)
{
    struct disk *disk = scan->recovery->disk;
    uint64_t end;
    int r = find_nonzero_end(disk, scan->file, scan->valid_end, scan->size, &end);

    if (r < 0 || end >= scan->size)
        return r;
    r = disk->ops->truncate(disk, scan->file, end);
    if (r == 0)
        scan->size = end;
    return r;
}

static int recover_last(struct scan *scan, uint64_t highest)
{
    struct recovery_result *result = scan->result;
    struct writer_position before;
    bool is_void;
    size_t first;
    int r = scan_batches(scan, scan->size);

    if (r < 0)
        return r;
    first = first_untrusted(scan);
    /* Without one trusted batch the segment itself may be in the page cache only. */
    is_void = first == 0;
    before = (struct writer_position){
        .segment = is_void ? scan->header.previous : scan->header.number,
        .end = is_void ? scan->header.previous_end : scan->trusted_end,
        .records = is_void ? scan->header.records_before : scan->found[first - 1].records,
    };
    result->position = before;
    result->position.records =
        scan->count > 0 ? result->totals.records_committed : scan->header.records_before;
    if (scan->count == 0) /* no commit record is left that says so */
        result->totals.records_committed = scan->header.records_before;
    result->next_sequence =
        scan->count > 0 ? scan->found[scan->count - 1].sequence + 1 : scan->header.first_sequence;
    r = give_back(scan);
    if (r == 0)
        r = keep_tail(scan->recovery, scan->file, scan->header.number, scan->valid_end, scan->size,
                      result);
    if (r == 0)
        r = load_head(scan, true);
    if (r == 0)
        r = load_batches(scan, 0, scan->trusted_end, true);
    if (r == 0 && first < scan->count)
        r = rewrite(scan, first, highest + 1, &before);
    if (r == 0)
        r = load_batches(scan, scan->trusted_end, UINT64_MAX, true);
    if (r == 0)
        r = cut_old(scan, is_void);
    return r;
}

int recovery_cold(const struct recovery *recovery, struct recovery_result *ret_result,
                  struct err *err)
{
    struct recovery_result result = {.next_sequence = 1};
    struct scan scan = {.recovery = recovery, .file = -1, .result = &result};
    uint64_t highest = 0;
    int r;

    buf_init(&scan.bytes, RECOVERY_MAX_BATCH_BYTES);
    r = open_last(&scan, &highest, err);
    if (r == 0)
        r = recover_last(&scan, highest);
    scan_fini(&scan);
    if (r < 0 && r != -ENODATA)
        return err_errno(err, -r, "cannot recover lane %u", recovery->lane);
    *ret_result = result;
    return 0;
}
