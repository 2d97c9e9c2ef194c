#include "shared/journal/cursor.h"

#include "shared/base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pure: what is done ---- */

int cursor_compare(struct cursor_position a, struct cursor_position b)
{
    if (a.sequence != b.sequence)
        return a.sequence < b.sequence ? -1 : 1;
    if (a.frame != b.frame)
        return a.frame < b.frame ? -1 : 1;
    if (a.record != b.record)
        return a.record < b.record ? -1 : 1;
    return 0;
}

static struct cursor_position position_min(struct cursor_position a, struct cursor_position b)
{
    return cursor_compare(a, b) < 0 ? a : b;
}

static struct cursor_position position_max(struct cursor_position a, struct cursor_position b)
{
    return cursor_compare(a, b) > 0 ? a : b;
}

/* Moves the prefix to `to` and over each piece that it now touches. */
static void extend_prefix(struct cursor_ranges *ranges, struct cursor_position to)
{
    uint32_t gone = 0;

    ranges->done = position_max(ranges->done, to);
    while (gone < ranges->count && cursor_compare(ranges->ranges[gone].from, ranges->done) <= 0) {
        ranges->done = position_max(ranges->done, ranges->ranges[gone].to);
        gone++;
    }
    ranges->count -= gone;
    memmove(ranges->ranges, ranges->ranges + gone, ranges->count * sizeof(ranges->ranges[0]));
}

/* Puts `range`, which touches no other piece, at `index`; the last one falls out of a full list. */
static bool insert_piece(struct cursor_ranges *ranges, uint32_t index,
                         const struct cursor_range *range, struct cursor_range *ret_forgotten)
{
    bool full = ranges->count == CURSOR_RANGES;

    if (full && index == CURSOR_RANGES) {
        *ret_forgotten = *range;
        return true;
    }
    if (full)
        *ret_forgotten = ranges->ranges[--ranges->count];
    memmove(ranges->ranges + index + 1, ranges->ranges + index,
            (ranges->count - index) * sizeof(ranges->ranges[0]));
    ranges->ranges[index] = *range;
    ranges->count++;
    return full;
}

bool cursor_ranges_mark(struct cursor_ranges *ranges, const struct cursor_range *range,
                        struct cursor_range *ret_forgotten)
{
    struct cursor_range joined = *range;
    uint32_t first = 0, behind;

    if (cursor_compare(range->from, range->to) >= 0)
        return false;
    if (cursor_compare(range->from, ranges->done) <= 0) {
        extend_prefix(ranges, range->to);
        return false;
    }
    while (first < ranges->count && cursor_compare(ranges->ranges[first].to, range->from) < 0)
        first++;
    behind = first;
    while (behind < ranges->count && cursor_compare(ranges->ranges[behind].from, range->to) <= 0) {
        joined.from = position_min(joined.from, ranges->ranges[behind].from);
        joined.to = position_max(joined.to, ranges->ranges[behind].to);
        behind++;
    }
    if (behind == first)
        return insert_piece(ranges, first, &joined, ret_forgotten);
    ranges->ranges[first] = joined;
    memmove(ranges->ranges + first + 1, ranges->ranges + behind,
            (ranges->count - behind) * sizeof(ranges->ranges[0]));
    ranges->count -= behind - first - 1;
    return false;
}

void cursor_ranges_next(const struct cursor_ranges *ranges, struct cursor_position at,
                        struct cursor_position *ret_from, struct cursor_position *ret_limit)
{
    struct cursor_position from = position_max(at, ranges->done);
    struct cursor_position limit = CURSOR_END;

    for (uint32_t i = 0; i < ranges->count; i++) {
        if (cursor_compare(from, ranges->ranges[i].from) < 0) {
            limit = ranges->ranges[i].from;
            break;
        }
        from = position_max(from, ranges->ranges[i].to);
    }
    *ret_from = from;
    *ret_limit = limit;
}

bool cursor_ranges_valid(const struct cursor_ranges *ranges)
{
    struct cursor_position before = ranges->done;

    if (ranges->count > CURSOR_RANGES)
        return false;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct cursor_range *range = &ranges->ranges[i];

        if (cursor_compare(before, range->from) >= 0 || cursor_compare(range->from, range->to) >= 0)
            return false;
        before = range->to;
    }
    return true;
}

/* ---- the file ---- */

struct cursor {
    struct disk *disk; /* borrowed */
    int file;
    uint32_t lane;
    uint32_t writing; /* index of the slot that may be rewritten; the other is as last synced */
    uint64_t generation;
    bool unwritten; /* memory is ahead of the file */
    bool unsynced;  /* the file is ahead of the disk */
    struct cursor_ranges ranges;
    uint64_t records;
    struct cursor_file place;
    struct cursor_position durable;
};

static uint64_t slot_checksum(const struct cursor_slot *slot)
{
    struct slice bytes = slice_of(slot, offsetof(struct cursor_slot, checksum));

    return hash_slices(&bytes, 1).low;
}

static void slot_ranges(const struct cursor_slot *slot, struct cursor_ranges *ret_ranges)
{
    ret_ranges->done = slot->done;
    ret_ranges->count = slot->range_count;
    memcpy(ret_ranges->ranges, slot->ranges, sizeof(slot->ranges));
}

static bool slot_valid(const struct cursor_slot *slot, uint32_t lane)
{
    struct cursor_ranges ranges;

    if (slot->magic != CURSOR_MAGIC || slot->version != CURSOR_VERSION || slot->lane != lane ||
        slot->generation == 0 || slot->checksum != slot_checksum(slot))
        return false;
    slot_ranges(slot, &ranges);
    return cursor_ranges_valid(&ranges);
}

/* 1: *ret_slot is the newest valid one, number *ret_index; 0: none is valid; -errno. */
static int read_slots(struct disk *disk, int file, uint32_t lane, struct cursor_slot *ret_slot,
                      uint32_t *ret_index)
{
    uint64_t best = 0;

    for (uint32_t i = 0; i < 2; i++) {
        struct cursor_slot slot;
        ssize_t n = disk->ops->pread(disk, file, &slot, sizeof(slot), i * CURSOR_SLOT_STRIDE);

        /* A page that cannot be read is a bad slot: the other may do. */
        if (n == -EIO)
            continue;
        if (n < 0)
            return (int)n;
        if ((size_t)n < sizeof(slot) || !slot_valid(&slot, lane) || slot.generation <= best)
            continue;
        best = slot.generation;
        *ret_slot = slot;
        *ret_index = i;
    }
    return best > 0;
}

static void cursor_name(uint32_t lane, char *ret_name, size_t size)
{
    snprintf(ret_name, size, "%02u" CURSOR_SUFFIX, lane);
}

/* Nothing but zeros, or not even those: its making was not finished. */
static bool is_untouched(struct disk *disk, int file)
{
    uint8_t bytes[CURSOR_FILE_BYTES];
    ssize_t n = disk->ops->pread(disk, file, bytes, sizeof(bytes), 0);

    for (ssize_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return n >= 0;
}

/*
 * Zeros are written, not only allocated: a sync then never has to change the file system's
 * metadata, and a cursor can be written on a full disk.
 */
static int fill_file(struct disk *disk, int file)
{
    static const uint8_t zeros[CURSOR_FILE_BYTES];
    int r = disk->ops->pwrite(disk, file, zeros, sizeof(zeros), 0);

    if (r == 0)
        r = disk->ops->datasync(disk, file);
    return r < 0 ? r : disk->ops->sync_folder(disk);
}

static int load(struct cursor *cursor, enum cursor_found *ret_found)
{
    struct disk *disk = cursor->disk;
    struct cursor_slot slot;
    uint32_t index = 0;
    int r = read_slots(disk, cursor->file, cursor->lane, &slot, &index);

    if (r < 0)
        return r;
    if (r == 0) {
        *ret_found = is_untouched(disk, cursor->file) ? CURSOR_FRESH : CURSOR_DAMAGED;
        r = fill_file(disk, cursor->file);
        /* A valid slot from the start: a power cut in the first write has one to fall back to. */
        cursor->unwritten = true;
        return r < 0 ? r : cursor_sync(cursor, NULL);
    }
    slot_ranges(&slot, &cursor->ranges);
    cursor->generation = slot.generation;
    cursor->records = slot.records;
    cursor->place = (struct cursor_file){slot.file_offset, slot.file_inode, slot.file_born_ns};
    *ret_found = CURSOR_LOADED;
    /*
     * What was read may be in the page cache only, and a sync alone proves nothing: after one that
     * failed, the page is clean and lost, and the next succeeds. So it is written again, with the
     * very same bytes in the very same place: if it was durable, even a torn write changes
     * nothing, and if it was not, the other slot is.
     */
    r = disk->ops->pwrite(disk, cursor->file, &slot, sizeof(slot),
                          (uint64_t)index * CURSOR_SLOT_STRIDE);
    if (r == 0)
        r = disk->ops->datasync(disk, cursor->file);
    if (r < 0)
        return r;
    cursor->durable = cursor->ranges.done;
    cursor->writing = 1 - index;
    return 0;
}

int cursor_open(struct disk *disk, uint32_t lane, struct cursor **ret_cursor,
                enum cursor_found *ret_found, struct err *err)
{
    struct cursor *cursor = calloc(1, sizeof(*cursor));
    enum cursor_found found = CURSOR_FRESH;
    char name[32];
    int r;

    if (cursor == NULL)
        return err_errno(err, ENOMEM, "cannot open a cursor");
    cursor_name(lane, name, sizeof(name));
    cursor->disk = disk;
    cursor->lane = lane;
    cursor->file = disk->ops->open(disk, name, DISK_CREATE);
    if (cursor->file < 0) {
        r = err_errno(err, -cursor->file, "cannot open the cursor %s", name);
        free(cursor);
        return r;
    }
    r = load(cursor, &found);
    if (r < 0) {
        cursor_close(&cursor);
        return err_errno(err, -r, "cannot read or prepare the cursor %s", name);
    }
    *ret_cursor = cursor;
    *ret_found = found;
    return 0;
}

void cursor_close(struct cursor **cursor)
{
    struct cursor *c = *cursor;

    *cursor = NULL;
    if (c == NULL)
        return;
    c->disk->ops->close(c->disk, c->file);
    free(c);
}

const struct cursor_ranges *cursor_done(const struct cursor *cursor)
{
    return &cursor->ranges;
}

bool cursor_mark(struct cursor *cursor, const struct cursor_range *range, uint64_t records,
                 struct cursor_range *ret_forgotten)
{
    cursor->records += records;
    cursor->unwritten = true;
    return cursor_ranges_mark(&cursor->ranges, range, ret_forgotten);
}

uint64_t cursor_records(const struct cursor *cursor)
{
    return cursor->records;
}

void cursor_set_records(struct cursor *cursor, uint64_t records)
{
    cursor->unwritten = cursor->unwritten || cursor->records != records;
    cursor->records = records;
}

struct cursor_file cursor_file(const struct cursor *cursor)
{
    return cursor->place;
}

void cursor_set_file(struct cursor *cursor, struct cursor_file file)
{
    cursor->place = file;
    cursor->unwritten = true;
}

int cursor_write(struct cursor *cursor, struct err *err)
{
    struct cursor_slot slot;
    int r;

    if (!cursor->unwritten)
        return 0;
    memset(&slot, 0, sizeof(slot));
    slot.magic = CURSOR_MAGIC;
    slot.version = CURSOR_VERSION;
    slot.lane = cursor->lane;
    slot.generation = cursor->generation + 1;
    slot.done = cursor->ranges.done;
    slot.records = cursor->records;
    slot.file_offset = cursor->place.offset;
    slot.file_inode = cursor->place.inode;
    slot.file_born_ns = cursor->place.born_ns;
    slot.range_count = cursor->ranges.count;
    memcpy(slot.ranges, cursor->ranges.ranges,
           cursor->ranges.count * sizeof(cursor->ranges.ranges[0]));
    slot.checksum = slot_checksum(&slot);
    r = cursor->disk->ops->pwrite(cursor->disk, cursor->file, &slot, sizeof(slot),
                                  (uint64_t)cursor->writing * CURSOR_SLOT_STRIDE);
    if (r < 0)
        return err_errno(err, -r, "cannot write the cursor of lane %u", cursor->lane);
    cursor->generation = slot.generation;
    cursor->unwritten = false;
    cursor->unsynced = true;
    return 0;
}

int cursor_sync(struct cursor *cursor, struct err *err)
{
    int r = cursor_write(cursor, err);

    if (r < 0 || !cursor->unsynced)
        return r;
    r = cursor->disk->ops->datasync(cursor->disk, cursor->file);
    if (r < 0) {
        /* Its page may be clean and lost now: only a new write makes a later sync mean something. */
        cursor->unwritten = true;
        return err_errno(err, -r, "cannot sync the cursor of lane %u", cursor->lane);
    }
    cursor->unsynced = false;
    cursor->durable = cursor->ranges.done;
    cursor->writing = 1 - cursor->writing;
    return 0;
}

bool cursor_is_dirty(const struct cursor *cursor)
{
    return cursor->unwritten || cursor->unsynced;
}

struct cursor_position cursor_durable(const struct cursor *cursor)
{
    return cursor->durable;
}

int cursor_remove(struct disk *disk, uint32_t lane, struct err *err)
{
    char name[32];
    int r;

    cursor_name(lane, name, sizeof(name));
    r = disk->ops->remove(disk, name);
    if (r == 0 || r == -ENOENT)
        r = disk->ops->sync_folder(disk);
    return r < 0 ? err_errno(err, -r, "cannot remove the cursor %s", name) : 0;
}

/* ---- recovery ---- */

static uint64_t first_untouched(const struct cursor_slot *slot)
{
    struct cursor_position end = slot->done;

    if (slot->range_count > 0)
        end = slot->ranges[slot->range_count - 1].to;
    return end.frame > 0 || end.record > 0 ? end.sequence + 1 : end.sequence;
}

int cursor_peek(struct disk *disk, uint32_t lane, uint64_t *ret_next_sequence, struct err *err)
{
    struct cursor_slot slot;
    uint32_t index;
    char name[32];
    int file, r;

    cursor_name(lane, name, sizeof(name));
    file = disk->ops->open(disk, name, DISK_READ);
    if (file == -ENOENT) {
        *ret_next_sequence = 0;
        return 0;
    }
    if (file < 0)
        return err_errno(err, -file, "cannot open the cursor %s", name);
    r = read_slots(disk, file, lane, &slot, &index);
    disk->ops->close(disk, file);
    if (r < 0)
        return err_errno(err, -r, "cannot read the cursor %s", name);
    *ret_next_sequence = r > 0 ? first_untouched(&slot) : 0;
    return 0;
}

static int peek_output(const char *path, const char *output, uint32_t lane, uint64_t *ret_next,
                       struct err *err)
{
    struct disk *disk = NULL;
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof(folder), "%s/%s", path, output);
    int r;

    if (n < 0 || (size_t)n >= sizeof(folder))
        return err_errno(err, ENAMETOOLONG, "%s/%s", path, output);
    r = disk_posix_open(folder, false, &disk, err);
    if (r == -ENOTDIR) {
        *ret_next = 0;
        return 0;
    }
    if (r < 0)
        return r;
    r = cursor_peek(disk, lane, ret_next, err);
    disk_free(&disk);
    return r;
}

int cursor_peek_all(const char *path, uint32_t lane, uint64_t *ret_next_sequence, struct err *err)
{
    struct dirent *entry;
    uint64_t highest = 0, next = 0;
    DIR *folder = opendir(path);
    int r = 0;

    if (folder == NULL && errno != ENOENT)
        return err_errno(err, errno, "cannot open the folder %s", path);
    while (folder != NULL && r == 0) {
        errno = 0;
        entry = readdir(folder);
        if (entry == NULL) {
            r = errno != 0 ? err_errno(err, errno, "cannot read the folder %s", path) : 0;
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        r = peek_output(path, entry->d_name, lane, &next, err);
        if (r == 0 && next > highest)
            highest = next;
    }
    if (folder != NULL)
        closedir(folder);
    if (r == 0)
        *ret_next_sequence = highest;
    return r;
}
