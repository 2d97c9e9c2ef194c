#include "shipper/source.h"

#include "tests/unit/shipper/fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE (4u << 20)

struct world {
    struct fixture *fixture;
    struct disk *folder;
    struct source *source;
    struct parcel parcel;
};

static void open_source(struct world *w)
{
    unsigned damaged;
    struct err err = {0};

    if (source_open(w->folder, fixture_lanes(w->fixture), FIXTURE_LANES, &w->source, &damaged,
                    &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(damaged, 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char path[128];

    w->fixture = fixture_new();
    snprintf(path, sizeof(path), "%s/cursors", fixture_folder(w->fixture));
    assert_int_equal(disk_posix_open(path, true, &w->folder, NULL), 0);
    parcel_init(&w->parcel);
    open_source(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    source_close(&w->source);
    parcel_fini(&w->parcel);
    disk_free(&w->folder);
    fixture_free(w->fixture);
    free(w);
    return 0;
}

static void reopen(struct world *w)
{
    source_close(&w->source);
    open_source(w);
}

static int fill(struct world *w, uint64_t max)
{
    struct err err = {0};
    int r = source_fill(w->source, max, &w->parcel, &err);

    if (r < 0)
        fail_msg("%s", err.text);
    return r;
}

/* All of the parcel is delivered. */
static void done(struct world *w)
{
    assert_int_equal(source_done(w->source, &w->parcel, 0, w->parcel.count, NULL), 0);
    source_finished(w->source, &w->parcel);
}

static const struct cursor_ranges *ranges(struct world *w, unsigned lane)
{
    return cursor_done(source_cursor(w->source, lane));
}

/* Flips a byte of the lane's only segment where this text stands (codec "none" only). */
static void damage(struct world *w, unsigned lane, const char *text)
{
    char path[160];
    static uint8_t bytes[1 << 20];
    uint8_t *found;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/lanes/%02u/0000000000000001.seg", fixture_folder(w->fixture),
             lane);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, bytes, sizeof(bytes));
    assert_true(n > 0);
    found = memmem(bytes, (size_t)n, text, strlen(text));
    assert_non_null(found);
    assert_int_equal(pwrite(fd, "X", 1, found - bytes), 1);
    close(fd);
}

/* ---- tests ---- */

static void test_nothing_is_there(void **state)
{
    struct world *w = *state;

    assert_int_equal(fill(w, LARGE), 0); /* no lane page was published yet */
    assert_int_equal(source_lag(w->source), 0);
    assert_false(source_is_dirty(w->source));
    fixture_commit(w->fixture, 0, 1, 1);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(fill(w, LARGE), 0);
}

static void test_lanes_take_turns(void **state)
{
    struct world *w = *state;
    unsigned lanes[4];

    for (unsigned i = 0; i < 4; i++)
        fixture_commit(w->fixture, i / 2, 1, 100); /* 1,800 bytes each */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fill(w, 2000), 1);
        lanes[i] = w->parcel.lane;
        assert_int_equal(w->parcel.count, 1);
        assert_int_equal(w->parcel.records, 100);
        done(w);
    }
    assert_int_equal(lanes[0], lanes[2]);
    assert_int_equal(lanes[1], lanes[3]);
    assert_int_not_equal(lanes[0], lanes[1]);
    assert_int_equal(fill(w, 2000), 0);
}

static void test_parcels_tile_the_lane(void **state)
{
    struct world *w = *state;
    struct cursor_position at = {0};

    for (unsigned i = 0; i < 10; i++)
        fixture_commit(w->fixture, 0, 1 + i % 4, 50);
    while (fill(w, 2000) > 0) {
        struct cursor_range range = parcel_range(&w->parcel, 0, w->parcel.count);

        assert_int_equal(cursor_compare(range.from, at), 0);
        assert_true(w->parcel.plain_bytes <= 2000);
        at = range.to;
        done(w);
        assert_int_equal(cursor_compare(ranges(w, 0)->done, at), 0);
    }
    assert_int_equal(at.sequence, fixture_next_sequence(w->fixture, 0));
    assert_int_equal(source_lag(w->source), 0);
    assert_int_equal(cursor_records(source_cursor(w->source, 0)), fixture_committed(w->fixture));
}

static void test_a_large_frame_goes_alone(void **state)
{
    struct world *w = *state;

    fixture_commit(w->fixture, 0, 1, 1);
    fixture_commit(w->fixture, 0, 1, 1000);
    fixture_commit(w->fixture, 0, 1, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fill(w, 100), 1);
        assert_int_equal(w->parcel.count, 1);
    }
    assert_int_equal(fill(w, 100), 0);
}

static void test_one_codec_each(void **state)
{
    struct world *w = *state;

    fixture_commit(w->fixture, 0, 2, 5);
    fixture_set_codec(w->fixture, FRAME_ZSTD);
    fixture_commit(w->fixture, 0, 3, 5);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(w->parcel.count, 2);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(w->parcel.count, 3);
    assert_int_equal(w->parcel.frames[0].info.codec, FRAME_ZSTD);
}

static void test_not_delivered_comes_again(void **state)
{
    struct world *w = *state;

    fixture_commit(w->fixture, 0, 4, 5);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(source_done(w->source, &w->parcel, 0, 1, NULL), 0); /* one of four */
    reopen(w);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(w->parcel.count, 3);
    assert_int_equal(w->parcel.from.frame, 1);
}

static void test_done_pieces_are_passed(void **state)
{
    struct world *w = *state;
    unsigned counts[FIXTURE_RECORDS] = {0};

    fixture_set_codec(w->fixture, FRAME_NONE);
    for (unsigned i = 0; i < 20; i++)
        fixture_commit(w->fixture, 0, 1, 10);
    for (unsigned i = 0; i < 20; i++) { /* every other one is delivered, then it dies */
        assert_int_equal(fill(w, 200), 1);
        if (i % 2 == 1)
            done(w);
    }
    assert_int_equal(ranges(w, 0)->count, 10);
    reopen(w);
    while (fill(w, LARGE) > 0) {
        fixture_count(parcel_bytes(&w->parcel, 0, w->parcel.count), counts);
        done(w);
    }
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(counts[i], i / 10 % 2 == 0);
    assert_int_equal(ranges(w, 0)->count, 0);
    assert_int_equal(ranges(w, 0)->done.sequence, fixture_next_sequence(w->fixture, 0));
}

/* A frame that the reader must skip, right before a piece that is done: the prefix must get past
 * it, or the segment would never be removed. */
static void test_skipped_before_a_done_piece(void **state)
{
    struct world *w = *state;

    fixture_set_codec(w->fixture, FRAME_NONE);
    for (unsigned i = 0; i < 4; i++)
        fixture_commit(w->fixture, 0, 1, 10);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fill(w, 200), 1);
        if (i == 2)
            done(w);
    }
    source_close(&w->source);
    damage(w, 0, "r-000015"); /* in the second batch */
    open_source(w);
    while (fill(w, LARGE) > 0)
        done(w);
    assert_int_equal(ranges(w, 0)->count, 0);
    assert_int_equal(ranges(w, 0)->done.sequence, fixture_next_sequence(w->fixture, 0));
    assert_int_equal(source_skipped(w->source), 1);
    assert_int_equal(source_lag(w->source), 0); /* put right, though ten records are missing */
}

/* A batch without frames, or one that cannot be read, at the very end. */
static void test_nothing_to_deliver_at_the_end(void **state)
{
    struct world *w = *state;
    struct parcel other;

    parcel_init(&other);
    fixture_set_codec(w->fixture, FRAME_NONE);
    fixture_commit(w->fixture, 0, 1, 10);
    fixture_commit(w->fixture, 0, 1, 10);
    damage(w, 0, "r-000015");
    fixture_commit(w->fixture, 0, 0, 0);
    assert_int_equal(fill(w, 100), 1);
    assert_int_equal(source_fill(w->source, 100, &other, NULL), 0);
    assert_int_equal(ranges(w, 0)->done.sequence, 0); /* the first is under way */
    done(w);
    assert_int_equal(fill(w, 100), 0);
    assert_int_equal(ranges(w, 0)->done.sequence, 4);
    assert_int_equal(source_lag(w->source), 0);
    fixture_commit(w->fixture, 0, 1, 10);
    assert_int_equal(fill(w, 100), 1);
    done(w);
    assert_int_equal(ranges(w, 0)->done.sequence, 5);
    parcel_fini(&other);
}

/* More pieces out of order than a cursor can hold: what it forgets comes again, and at the end
 * everything was delivered. */
static void test_forgotten_pieces_come_again(void **state)
{
    struct world *w = *state;
    unsigned counts[FIXTURE_RECORDS] = {0};
    struct parcel first[50];

    fixture_set_codec(w->fixture, FRAME_NONE);
    for (unsigned i = 0; i < 100; i++)
        fixture_commit(w->fixture, 0, 1, 10);
    for (unsigned i = 0; i < 50; i++) { /* two by two, the second delivered first */
        parcel_init(&first[i]);
        assert_int_equal(source_fill(w->source, 200, &first[i], NULL), 1);
        assert_int_equal(fill(w, 200), 1);
        fixture_count(parcel_bytes(&w->parcel, 0, 1), counts);
        done(w);
    }
    assert_int_equal(ranges(w, 0)->count, CURSOR_RANGES);
    assert_int_equal(fill(w, 200), 0); /* not while something is under way */
    for (unsigned i = 0; i < 50; i++) {
        fixture_count(parcel_bytes(&first[i], 0, 1), counts);
        assert_int_equal(source_done(w->source, &first[i], 0, 1, NULL), 0);
        source_finished(w->source, &first[i]);
        parcel_fini(&first[i]);
    }
    while (fill(w, LARGE) > 0) {
        fixture_count(parcel_bytes(&w->parcel, 0, w->parcel.count), counts);
        done(w);
    }
    assert_int_equal(ranges(w, 0)->done.sequence, fixture_next_sequence(w->fixture, 0));
    for (unsigned i = 0; i < 1000; i++)
        assert_in_range(counts[i], 1, 2);
}

/* Marks the records [from, to) of the lane's first frame as delivered, as a cut frame's part is. */
static void mark_records(struct world *w, uint32_t from, uint32_t to)
{
    struct cursor *cursor = source_cursor(w->source, 0);
    struct cursor_range range = {{1, 0, from}, {1, 0, to}}, forgotten;

    assert_false(cursor_mark(cursor, &range, to - from, &forgotten));
    assert_int_equal(cursor_write(cursor, NULL), 0);
}

/* Some records of a frame were delivered before it died: only the others come again. */
static void test_a_frame_half_delivered(void **state)
{
    struct world *w = *state;
    static const struct {
        uint32_t first, end;
    } wanted[] = {{0, 20}, {30, 60}, {70, 100}};

    fixture_commit(w->fixture, 0, 2, 100);
    mark_records(w, 20, 30);
    mark_records(w, 60, 70);
    reopen(w);
    for (unsigned i = 0; i < 3; i++) {
        const struct parcel_frame *frame;

        assert_int_equal(fill(w, LARGE), 1);
        frame = &w->parcel.frames[0];
        assert_int_equal(w->parcel.count, i == 2 ? 2 : 1); /* and then the next frame */
        assert_int_equal(frame->first, wanted[i].first);
        assert_int_equal(frame->info.records, wanted[i].end - wanted[i].first);
        assert_int_equal(frame->held, 100);
        assert_int_equal(frame->start.record, wanted[i].first);
        if (i < 2)
            assert_int_equal(frame->end.record, wanted[i].end);
        assert_int_equal(w->parcel.from.record, wanted[i].first);
        done(w);
    }
    assert_int_equal(fill(w, LARGE), 0);
    assert_int_equal(ranges(w, 0)->count, 0);
    assert_int_equal(ranges(w, 0)->done.sequence, 2);
    assert_int_equal(source_lag(w->source), 0);
    assert_int_equal(cursor_records(source_cursor(w->source, 0)), 200);
}

/* The prefix ends inside a frame; and at a record that the frame does not have. */
static void test_a_prefix_inside_a_frame(void **state)
{
    struct world *w = *state;

    fixture_commit(w->fixture, 0, 1, 100);
    fixture_commit(w->fixture, 0, 1, 100);
    mark_records(w, 0, 40);
    reopen(w);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(w->parcel.count, 2);
    assert_int_equal(w->parcel.frames[0].first, 40);
    assert_int_equal(w->parcel.frames[1].first, 0);
    assert_int_equal(w->parcel.records, 160);
    mark_records(w, 0, 500);
    reopen(w);
    assert_int_equal(fill(w, LARGE), 1);
    assert_int_equal(w->parcel.count, 1);
    assert_int_equal(w->parcel.frames[0].start.sequence, 2);
    done(w);
    assert_int_equal(ranges(w, 0)->done.sequence, 3);
}

static void test_sync(void **state)
{
    struct world *w = *state;

    fixture_commit(w->fixture, 1, 1, 1);
    assert_int_equal(fill(w, LARGE), 1);
    done(w);
    assert_true(source_is_dirty(w->source));
    assert_int_equal(cursor_durable(source_cursor(w->source, 1)).sequence, 0);
    assert_int_equal(source_sync(w->source, NULL), 1);
    assert_false(source_is_dirty(w->source));
    assert_int_equal(cursor_durable(source_cursor(w->source, 1)).sequence, 2);
    assert_int_equal(source_sync(w->source, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_there),
        TEST(test_lanes_take_turns),
        TEST(test_parcels_tile_the_lane),
        TEST(test_a_large_frame_goes_alone),
        TEST(test_one_codec_each),
        TEST(test_not_delivered_comes_again),
        TEST(test_done_pieces_are_passed),
        TEST(test_skipped_before_a_done_piece),
        TEST(test_nothing_to_deliver_at_the_end),
        TEST(test_forgotten_pieces_come_again),
        TEST(test_a_frame_half_delivered),
        TEST(test_a_prefix_inside_a_frame),
        TEST(test_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
