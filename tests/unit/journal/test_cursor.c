#include "shared/journal/cursor.h"

#include "shared/base/err.h"
#include "shared/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a disk of one file that keeps what is cached apart from what is durable ---- */

#define SECTOR 512

struct test_disk {
    struct disk disk;
    bool exists;
    uint8_t cached[CURSOR_FILE_BYTES];
    uint8_t durable[CURSOR_FILE_BYTES];
    bool dirty[CURSOR_FILE_BYTES / SECTOR];
    size_t size;
    int fail_sync;  /* this many syncs fail */
    int fail_write; /* this many writes fail, half done */
    unsigned syncs, writes;
    uint64_t last_offset; /* of the last write */
};

static struct test_disk *test_disk_of(struct disk *disk)
{
    return (struct test_disk *)disk;
}

static int test_open(struct disk *disk, const char *name, enum disk_open how)
{
    struct test_disk *t = test_disk_of(disk);

    assert_string_equal(name, "03.cursor");
    if (!t->exists && how == DISK_READ)
        return -ENOENT;
    t->exists = true;
    return 3;
}

static void test_close(struct disk *disk, int file)
{
    (void)disk;
    (void)file;
}

static ssize_t test_pread(struct disk *disk, int file, void *p, size_t n, uint64_t offset)
{
    struct test_disk *t = test_disk_of(disk);

    (void)file;
    if (offset >= t->size)
        return 0;
    if (n > t->size - offset)
        n = t->size - offset;
    memcpy(p, t->cached + offset, n);
    return (ssize_t)n;
}

static int test_pwrite(struct disk *disk, int file, const void *p, size_t n, uint64_t offset)
{
    struct test_disk *t = test_disk_of(disk);

    (void)file;
    assert_true(offset + n <= CURSOR_FILE_BYTES);
    t->writes++;
    t->last_offset = offset;
    for (size_t i = offset / SECTOR; i * SECTOR < offset + n; i++)
        t->dirty[i] = true;
    if (t->fail_write > 0) {
        t->fail_write--;
        memcpy(t->cached + offset, p, n / 2);
        return -EIO;
    }
    memcpy(t->cached + offset, p, n);
    if (t->size < offset + n)
        t->size = offset + n;
    return 0;
}

/* After a failed sync pages are clean and lost, as on Linux. */
static int test_datasync(struct disk *disk, int file)
{
    struct test_disk *t = test_disk_of(disk);
    bool fails = t->fail_sync > 0;

    (void)file;
    t->syncs++;
    t->fail_sync -= fails;
    for (size_t i = 0; i < CURSOR_FILE_BYTES / SECTOR; i++) {
        if (t->dirty[i] && !fails)
            memcpy(t->durable + i * SECTOR, t->cached + i * SECTOR, SECTOR);
        t->dirty[i] = false;
    }
    return fails ? -EIO : 0;
}

static int test_sync_folder(struct disk *disk)
{
    (void)disk;
    return 0;
}

static const struct disk_ops test_ops = {
    .open = test_open,
    .close = test_close,
    .pread = test_pread,
    .pwrite = test_pwrite,
    .datasync = test_datasync,
    .sync_folder = test_sync_folder,
};

/* Each sector that was not synced is there or is not. */
static void power_cut(struct test_disk *t, unsigned *seed)
{
    for (size_t i = 0; i < CURSOR_FILE_BYTES / SECTOR; i++) {
        if (t->dirty[i] && rand_r(seed) % 2 == 0)
            memcpy(t->durable + i * SECTOR, t->cached + i * SECTOR, SECTOR);
        memcpy(t->cached + i * SECTOR, t->durable + i * SECTOR, SECTOR);
        t->dirty[i] = false;
    }
}

/* ---- helpers ---- */

static struct cursor_position at(uint64_t sequence, uint32_t frame)
{
    return (struct cursor_position){sequence, frame, 0};
}

static struct cursor_range range(uint64_t from, uint64_t to)
{
    return (struct cursor_range){at(from, 0), at(to, 0)};
}

static bool mark(struct cursor_ranges *ranges, uint64_t from, uint64_t to)
{
    struct cursor_range piece = range(from, to), forgotten;

    return cursor_ranges_mark(ranges, &piece, &forgotten);
}

static void mark_file(struct cursor *cursor, uint64_t from, uint64_t to)
{
    struct cursor_range piece = range(from, to), forgotten;

    assert_false(cursor_mark(cursor, &piece, to - from, &forgotten));
}

static struct cursor *open_cursor(struct test_disk *t, enum cursor_found expected)
{
    struct cursor *cursor = NULL;
    enum cursor_found found;
    struct err err = {0};

    t->disk.ops = &test_ops;
    assert_int_equal(cursor_open(&t->disk, 3, &cursor, &found, &err), 0);
    assert_int_equal(found, expected);
    return cursor;
}

/* ---- ranges ---- */

static void test_compare(void **state)
{
    (void)state;
    assert_true(cursor_compare(at(1, 9), at(2, 0)) < 0);
    assert_true(cursor_compare(at(2, 1), at(2, 0)) > 0);
    assert_true(cursor_compare((struct cursor_position){2, 1, 5}, at(2, 1)) > 0);
    assert_int_equal(cursor_compare(at(2, 1), at(2, 1)), 0);
    assert_true(cursor_compare(CURSOR_END, at(UINT64_MAX, 0)) > 0);
}

static void test_prefix_and_pieces(void **state)
{
    struct cursor_ranges r = {0};
    struct cursor_position from, limit;

    (void)state;
    assert_false(mark(&r, 0, 2));
    assert_int_equal(r.done.sequence, 2);
    assert_false(mark(&r, 5, 6));
    assert_false(mark(&r, 8, 9));
    assert_int_equal(r.done.sequence, 2);
    assert_int_equal(r.count, 2);

    cursor_ranges_next(&r, at(0, 0), &from, &limit);
    assert_int_equal(from.sequence, 2);
    assert_int_equal(limit.sequence, 5);
    cursor_ranges_next(&r, at(5, 3), &from, &limit);
    assert_int_equal(from.sequence, 6);
    assert_int_equal(limit.sequence, 8);
    cursor_ranges_next(&r, at(8, 0), &from, &limit);
    assert_int_equal(from.sequence, 9);
    assert_int_equal(cursor_compare(limit, CURSOR_END), 0);

    assert_false(mark(&r, 6, 8)); /* joins both pieces */
    assert_int_equal(r.count, 1);
    assert_false(mark(&r, 4, 5)); /* touches from below */
    assert_int_equal(r.count, 1);
    assert_int_equal(r.ranges[0].from.sequence, 4);
    assert_false(mark(&r, 2, 4)); /* the gap: the prefix swallows all */
    assert_int_equal(r.done.sequence, 9);
    assert_int_equal(r.count, 0);
    assert_false(mark(&r, 9, 9)); /* empty */
    assert_false(mark(&r, 3, 4)); /* old */
    assert_int_equal(r.done.sequence, 9);
}

static void test_newest_piece_is_forgotten(void **state)
{
    struct cursor_ranges r = {0};
    struct cursor_range piece, forgotten;

    (void)state;
    for (uint64_t i = 0; i < CURSOR_RANGES; i++)
        assert_false(mark(&r, 10 + 2 * i, 11 + 2 * i));
    assert_int_equal(r.count, CURSOR_RANGES);
    piece = range(500, 501);
    assert_true(cursor_ranges_mark(&r, &piece, &forgotten));
    assert_int_equal(forgotten.from.sequence, 500);
    piece = range(5, 6);
    assert_true(cursor_ranges_mark(&r, &piece, &forgotten));
    assert_int_equal(forgotten.from.sequence, 10 + 2 * (CURSOR_RANGES - 1));
    assert_int_equal(r.ranges[0].from.sequence, 5);
    assert_true(cursor_ranges_valid(&r));
    assert_false(mark(&r, 0, 5)); /* frees one */
    assert_int_equal(r.count, CURSOR_RANGES - 1);
    assert_false(mark(&r, 500, 501));
}

static void test_invalid_ranges(void **state)
{
    struct cursor_ranges r = {.done = at(5, 0), .count = 1, .ranges = {range(5, 6)}};

    (void)state;
    assert_false(cursor_ranges_valid(&r)); /* touches the prefix */
    r.ranges[0] = range(7, 7);
    assert_false(cursor_ranges_valid(&r));
    r.ranges[0] = range(7, 8);
    assert_true(cursor_ranges_valid(&r));
    r.count = CURSOR_RANGES + 1;
    assert_false(cursor_ranges_valid(&r));
}

/* ---- random order against a bitmap ---- */

#define CELLS 600

static struct cursor_position cell(unsigned i)
{
    return (struct cursor_position){i / 12, i / 3 % 4, i % 3};
}

static unsigned cell_index(struct cursor_position p)
{
    return p.sequence >= CELLS ? CELLS : (unsigned)(p.sequence * 12 + p.frame * 3 + p.record);
}

static void check_model(const struct cursor_ranges *r, const bool *model, unsigned *seed)
{
    struct cursor_position from, limit;
    unsigned prefix = 0, i = (unsigned)rand_r(seed) % CELLS, end;

    assert_true(cursor_ranges_valid(r));
    while (prefix < CELLS && model[prefix])
        prefix++;
    assert_int_equal(cell_index(r->done), prefix);
    cursor_ranges_next(r, cell(i), &from, &limit);
    while (i < CELLS && model[i])
        i++;
    assert_int_equal(cell_index(from), i);
    for (end = i; end < CELLS && !model[end]; end++)
        ;
    if (end < CELLS)
        assert_int_equal(cell_index(limit), end);
    else
        assert_int_equal(cursor_compare(limit, CURSOR_END), 0);
}

static void run_random_order(unsigned seed, unsigned window)
{
    struct cursor_range pieces[CELLS];
    bool model[CELLS] = {false};
    struct cursor_ranges r = {0};
    unsigned count = 0;

    for (unsigned i = 0; i < CELLS;) {
        unsigned n = 1 + (unsigned)rand_r(&seed) % 7;
        unsigned end = i + n > CELLS ? CELLS : i + n;

        pieces[count++] = (struct cursor_range){cell(i), cell(end)};
        i = end;
    }
    for (unsigned first = 0; first < count;) {
        unsigned pick = first + (unsigned)rand_r(&seed) % window;
        struct cursor_range piece, forgotten;

        pick = pick < count ? pick : count - 1;
        piece = pieces[pick];
        if (cursor_ranges_mark(&r, &piece, &forgotten))
            for (unsigned i = cell_index(forgotten.from); i < cell_index(forgotten.to); i++)
                model[i] = false;
        else
            forgotten = (struct cursor_range){CURSOR_END, CURSOR_END};
        for (unsigned i = cell_index(piece.from); i < cell_index(piece.to); i++)
            model[i] = cursor_compare(cell(i), forgotten.from) < 0 ||
                       cursor_compare(cell(i), forgotten.to) >= 0;
        check_model(&r, model, &seed);
        while (first < count && model[cell_index(pieces[first].from)])
            first++;
    }
    assert_int_equal(cell_index(r.done), CELLS);
    assert_int_equal(r.count, 0);
}

static void test_random_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        run_random_order(seed, 4);
        run_random_order(seed, 32);
        run_random_order(seed, CELLS);
    }
}

/* ---- the file ---- */

static void test_fresh_then_loaded(void **state)
{
    struct test_disk t = {0};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);
    struct cursor_file place = {12345, 77, 88};

    (void)state;
    assert_false(cursor_is_dirty(cursor));
    mark_file(cursor, 0, 4);
    mark_file(cursor, 6, 7);
    cursor_set_file(cursor, place);
    assert_true(cursor_is_dirty(cursor));
    assert_int_equal(cursor_write(cursor, NULL), 0);
    assert_int_equal(cursor_durable(cursor).sequence, 0);
    cursor_close(&cursor);

    cursor = open_cursor(&t, CURSOR_LOADED); /* the process died, the machine did not */
    assert_int_equal(cursor_done(cursor)->done.sequence, 4);
    assert_int_equal(cursor_done(cursor)->count, 1);
    assert_int_equal(cursor_records(cursor), 5);
    assert_int_equal(cursor_file(cursor).offset, 12345);
    assert_int_equal(cursor_file(cursor).inode, 77);
    assert_int_equal(cursor_file(cursor).born_ns, 88);
    assert_int_equal(cursor_durable(cursor).sequence, 4);
    cursor_close(&cursor);
    assert_null(cursor);
}

/* A crash while it is made is no damage; once made, it is there. */
static void test_unfinished_file_is_fresh(void **state)
{
    struct test_disk t = {.exists = true, .size = 5000};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);

    (void)state;
    cursor_close(&cursor);
    cursor = open_cursor(&t, CURSOR_LOADED);
    assert_int_equal(cursor_done(cursor)->done.sequence, 0);
    cursor_close(&cursor);
}

static void test_one_slot_is_rewritten_between_syncs(void **state)
{
    struct test_disk t = {0};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);
    uint64_t before;
    unsigned writes;

    (void)state;
    mark_file(cursor, 0, 1);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    assert_int_equal(cursor_durable(cursor).sequence, 1);
    before = t.last_offset;
    for (uint64_t i = 1; i < 6; i++) {
        mark_file(cursor, i, i + 1);
        assert_int_equal(cursor_write(cursor, NULL), 0);
        assert_int_not_equal(t.last_offset, before);
    }
    writes = t.writes;
    assert_int_equal(cursor_write(cursor, NULL), 0); /* nothing changed */
    assert_int_equal(t.writes, writes);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    assert_int_equal(t.writes, writes);
    mark_file(cursor, 6, 7);
    assert_int_equal(cursor_write(cursor, NULL), 0);
    assert_int_equal(t.last_offset, before);
    cursor_close(&cursor);
}

static void test_torn_slot_falls_back(void **state)
{
    struct test_disk t = {0};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);

    (void)state;
    mark_file(cursor, 0, 3);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    mark_file(cursor, 3, 9);
    assert_int_equal(cursor_write(cursor, NULL), 0);
    cursor_close(&cursor);
    t.cached[t.last_offset + offsetof(struct cursor_slot, done)] ^= 1;
    cursor = open_cursor(&t, CURSOR_LOADED);
    assert_int_equal(cursor_done(cursor)->done.sequence, 3);
    cursor_close(&cursor);
}

static void test_both_slots_bad(void **state)
{
    struct test_disk t = {0};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);
    uint64_t next = 99;

    (void)state;
    mark_file(cursor, 0, 3);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    cursor_close(&cursor);
    t.cached[20] ^= 1;
    t.cached[CURSOR_SLOT_STRIDE + 20] ^= 1;
    assert_int_equal(cursor_peek(&t.disk, 3, &next, NULL), 0);
    assert_int_equal(next, 0);
    cursor = open_cursor(&t, CURSOR_DAMAGED);
    assert_int_equal(cursor_done(cursor)->done.sequence, 0);
    mark_file(cursor, 0, 1);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    cursor_close(&cursor);
    cursor = open_cursor(&t, CURSOR_LOADED);
    assert_int_equal(cursor_done(cursor)->done.sequence, 1);
    cursor_close(&cursor);
}

/* Whole and well, but copied from another lane's file. */
static void test_slot_of_another_lane_is_bad(void **state)
{
    struct test_disk t = {0};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);

    (void)state;
    mark_file(cursor, 0, 3);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    cursor_close(&cursor);
    for (size_t i = 0; i < 2; i++) {
        struct cursor_slot slot;
        struct slice bytes = slice_of(&slot, offsetof(struct cursor_slot, checksum));

        memcpy(&slot, t.cached + i * CURSOR_SLOT_STRIDE, sizeof(slot));
        assert_int_equal(slot.lane, 3);
        assert_int_equal(slot.checksum, hash_slices(&bytes, 1).low);
        slot.lane = 4;
        slot.checksum = hash_slices(&bytes, 1).low;
        memcpy(t.cached + i * CURSOR_SLOT_STRIDE, &slot, sizeof(slot));
    }
    cursor = open_cursor(&t, CURSOR_DAMAGED);
    cursor_close(&cursor);
}

static void test_failed_sync_and_write(void **state)
{
    struct test_disk t = {0};
    struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);
    struct err err = {0};
    unsigned writes;

    (void)state;
    mark_file(cursor, 0, 1);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    mark_file(cursor, 1, 2);
    t.fail_sync = 1;
    assert_int_equal(cursor_sync(cursor, &err), -EIO);
    assert_non_null(strstr(err.text, "lane 3"));
    assert_true(cursor_is_dirty(cursor));
    assert_int_equal(cursor_durable(cursor).sequence, 1);
    writes = t.writes;
    assert_int_equal(cursor_sync(cursor, NULL), 0); /* written again, then synced */
    assert_int_equal(t.writes, writes + 1);
    assert_int_equal(cursor_durable(cursor).sequence, 2);

    mark_file(cursor, 2, 3);
    t.fail_write = 1;
    assert_int_equal(cursor_write(cursor, NULL), -EIO);
    assert_true(cursor_is_dirty(cursor));
    cursor_close(&cursor); /* and the process dies: the half-written slot must not count */
    cursor = open_cursor(&t, CURSOR_LOADED);
    assert_int_equal(cursor_done(cursor)->done.sequence, 2);
    cursor_close(&cursor);
}

/* Works for a while: some writes tear, some syncs fail. Returns how far it has marked. */
static uint64_t work(struct test_disk *t, struct cursor *cursor, uint64_t marked, unsigned *seed)
{
    unsigned steps = 1 + (unsigned)rand_r(seed) % 12;

    for (unsigned i = 0; i < steps; i++) {
        mark_file(cursor, marked, marked + 1);
        marked++;
        t->fail_sync = rand_r(seed) % 5 == 0;
        t->fail_write = rand_r(seed) % 7 == 0;
        if (rand_r(seed) % 3 == 0)
            (void)cursor_sync(cursor, NULL);
        else
            (void)cursor_write(cursor, NULL);
    }
    t->fail_sync = t->fail_write = 0;
    return marked;
}

/* An open that fails in the middle, and perhaps the power with it. */
static void fail_to_open(struct test_disk *t, unsigned *seed)
{
    struct cursor *cursor = NULL;
    enum cursor_found found;

    t->fail_sync = rand_r(seed) % 2;
    t->fail_write = !t->fail_sync;
    assert_int_equal(cursor_open(&t->disk, 3, &cursor, &found, NULL), -EIO);
    t->fail_sync = t->fail_write = 0;
    if (rand_r(seed) % 2 == 0)
        power_cut(t, seed);
}

/*
 * Whatever kills and power cuts leave is at least what was durable and at most what was marked,
 * and never two bad slots.
 */
static void test_kills_and_power_cuts(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2000; seed++) {
        struct test_disk t = {0};
        struct cursor *cursor = open_cursor(&t, CURSOR_FRESH);
        unsigned random = seed;
        uint64_t marked = 0, durable;

        for (unsigned end = 0; end < 12; end++) {
            marked = work(&t, cursor, marked, &random);
            durable = cursor_durable(cursor).sequence;
            cursor_close(&cursor);
            if (rand_r(&random) % 2 == 0)
                power_cut(&t, &random);
            while (rand_r(&random) % 3 == 0)
                fail_to_open(&t, &random);
            cursor = open_cursor(&t, CURSOR_LOADED);
            assert_true(cursor_done(cursor)->done.sequence >= durable);
            assert_true(cursor_done(cursor)->done.sequence <= marked);
            assert_int_equal(cursor_records(cursor), cursor_done(cursor)->done.sequence);
            marked = cursor_done(cursor)->done.sequence;
            assert_int_equal(cursor_durable(cursor).sequence, marked);
        }
        cursor_close(&cursor);
    }
}

/* ---- peek ---- */

static void test_peek(void **state)
{
    struct test_disk t = {.disk = {&test_ops}};
    struct cursor_range piece = {at(4, 0), at(4, 2)}, forgotten;
    struct cursor *cursor;
    uint64_t next = 99;

    (void)state;
    assert_int_equal(cursor_peek(&t.disk, 3, &next, NULL), 0);
    assert_int_equal(next, 0);
    assert_false(t.exists); /* it makes nothing */
    cursor = open_cursor(&t, CURSOR_FRESH);
    mark_file(cursor, 0, 4);
    assert_int_equal(cursor_write(cursor, NULL), 0);
    assert_int_equal(cursor_peek(&t.disk, 3, &next, NULL), 0);
    assert_int_equal(next, 4);
    assert_false(cursor_mark(cursor, &piece, 1, &forgotten)); /* batch 4 in part */
    assert_int_equal(cursor_write(cursor, NULL), 0);
    assert_int_equal(cursor_peek(&t.disk, 3, &next, NULL), 0);
    assert_int_equal(next, 5);
    mark_file(cursor, 8, 10);
    assert_int_equal(cursor_write(cursor, NULL), 0);
    assert_int_equal(cursor_peek(&t.disk, 3, &next, NULL), 0);
    assert_int_equal(next, 10);
    cursor_close(&cursor);
}

static void write_cursor(const char *folder, uint64_t sequence)
{
    struct disk *disk = NULL;
    struct cursor *cursor = NULL;
    enum cursor_found found;

    assert_int_equal(disk_posix_open(folder, true, &disk, NULL), 0);
    assert_int_equal(cursor_open(disk, 3, &cursor, &found, NULL), 0);
    mark_file(cursor, 0, sequence);
    assert_int_equal(cursor_sync(cursor, NULL), 0);
    cursor_close(&cursor);
    disk_free(&disk);
}

static void test_peek_all(void **state)
{
    char folder[] = "/tmp/test_cursor.XXXXXX", path[64];
    uint64_t next = 99;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/none", folder);
    assert_int_equal(cursor_peek_all(path, 3, &next, NULL), 0);
    assert_int_equal(next, 0);
    snprintf(path, sizeof(path), "%s/a", folder);
    write_cursor(path, 7);
    snprintf(path, sizeof(path), "%s/b", folder);
    write_cursor(path, 5);
    assert_int_equal(cursor_peek_all(folder, 3, &next, NULL), 0);
    assert_int_equal(next, 7);
    assert_int_equal(cursor_peek_all(folder, 4, &next, NULL), 0);
    assert_int_equal(next, 0);
    snprintf(path, sizeof(path), "%s/a/03.cursor", folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/b/03.cursor", folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/a", folder);
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof(path), "%s/b", folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_prefix_and_pieces),
        cmocka_unit_test(test_newest_piece_is_forgotten),
        cmocka_unit_test(test_invalid_ranges),
        cmocka_unit_test(test_random_order),
        cmocka_unit_test(test_fresh_then_loaded),
        cmocka_unit_test(test_unfinished_file_is_fresh),
        cmocka_unit_test(test_one_slot_is_rewritten_between_syncs),
        cmocka_unit_test(test_torn_slot_falls_back),
        cmocka_unit_test(test_both_slots_bad),
        cmocka_unit_test(test_slot_of_another_lane_is_bad),
        cmocka_unit_test(test_failed_sync_and_write),
        cmocka_unit_test(test_kills_and_power_cuts),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_peek_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
