/* reader: order, the live end, seeking, damage, and what it removes. */
#include "tests/unit/journal/rig.h"

#include "shared/journal/segment.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <string.h>

static struct journal_reader *open_reader(struct rig *rig)
{
    struct journal_reader *reader;

    assert_int_equal(reader_open(rig->disk, rig->page, &reader, NULL), 0);
    return reader;
}

/* The next frame is that one; 0, 0: there is none. */
static void expect(struct journal_reader *reader, uint64_t sequence, uint32_t index)
{
    struct journal_frame frame;
    struct err err = {0};
    int r = reader_next(reader, &frame, &err);

    assert_int_equal(r, sequence > 0);
    if (r == 1) {
        assert_int_equal(frame.sequence, sequence);
        assert_int_equal(frame.index, index);
    }
}

static void test_empty(void **state)
{
    struct journal_reader *reader;
    struct rig rig;
    uint64_t first, next;

    (void)state;
    rig_init(&rig, 1);
    reader = open_reader(&rig);
    expect(reader, 0, 0);
    assert_int_equal(reader_range(reader, &first, &next), 0);
    assert_int_equal(first, 1);
    assert_int_equal(next, 1);
    reader_close(&reader);
    rig_new_page(&rig); /* nothing published */
    reader = open_reader(&rig);
    expect(reader, 0, 0);
    assert_int_equal(reader_range(reader, &first, &next), -ENODATA);
    reader_close(&reader);
    rig_fini(&rig);
}

/* A reader that waits at the end sees each batch when it is published, over rolls too. */
static void test_live_tail(void **state)
{
    struct journal_reader *reader;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    reader = open_reader(&rig);
    for (uint64_t sequence = 1; sequence <= 60; sequence++) {
        expect(reader, 0, 0);
        assert_int_equal(rig_commit(&rig, 2, 500), 0);
        expect(reader, sequence, 0);
        expect(reader, sequence, 1);
    }
    expect(reader, 0, 0);
    assert_true(rig.state.segment > 3);
    reader_close(&reader);
    rig_fini(&rig);
}

/* What is written and not published is not there. */
static void test_not_beyond_the_page(void **state)
{
    struct journal_reader *reader;
    struct lane_state before;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    before = rig.state;
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    lane_page_publish(rig.page, &before);
    reader = open_reader(&rig);
    expect(reader, 1, 0);
    expect(reader, 0, 0);
    lane_page_publish(rig.page, &rig.state);
    expect(reader, 2, 0);
    reader_close(&reader);
    rig_fini(&rig);
}

static void test_seek(void **state)
{
    struct journal_reader *reader;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(rig_commit(&rig, 3, 300), 0);
    assert_true(rig.state.segment > 2);
    reader = open_reader(&rig);
    for (uint64_t sequence = 1; sequence <= 40; sequence++) {
        for (uint32_t index = 0; index < 3; index++) {
            assert_int_equal(reader_seek(reader, sequence, index, NULL), 0);
            expect(reader, sequence, index);
        }
        assert_int_equal(reader_seek(reader, sequence, 3, NULL), 0);
        expect(reader, sequence < 40 ? sequence + 1 : 0, 0);
    }
    assert_int_equal(reader_seek(reader, 41, 0, NULL), 0);
    expect(reader, 0, 0);
    assert_int_equal(rig_commit(&rig, 1, 300), 0);
    expect(reader, 41, 0);
    assert_int_equal(reader_seek(reader, 0, 0, NULL), 0);
    expect(reader, 1, 0);
    reader_close(&reader);
    rig_fini(&rig);
}

/*
 * A segment that was begun and never published must not attract a reader that seeks the next batch:
 * a new processor may put it into the present one.
 */
static void test_seek_past_the_end_beside_a_begun_segment(void **state)
{
    struct journal_reader *reader;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(rig_commit(&rig, 1, 5000), 0);
    rig_build(&rig, 1, 5000, &rig.pending);
    rig.machine.process.crash_at = rig.machine.process.operations + 4;
    assert_true(rig_again(&rig) < 0);
    rig_die(&rig);
    reader = open_reader(&rig);
    assert_int_equal(reader_seek(reader, 3, 0, NULL), 0);
    expect(reader, 0, 0);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    assert_int_equal(rig.state.segment, 1);
    expect(reader, 3, 0);
    reader_close(&reader);
    rig_fini(&rig);
}

static uint64_t frame_offset(const struct rig *rig, uint64_t batch_end, size_t frame_bytes,
                             uint32_t index)
{
    (void)rig;
    return batch_end + 64 + index * (64 + frame_bytes);
}

static void test_bad_frame(void **state)
{
    struct journal_reader *reader;
    struct rig rig;
    uint64_t start;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 80), 0);
    start = rig.state.end;
    assert_int_equal(rig_commit(&rig, 3, 80), 0);
    assert_int_equal(rig_commit(&rig, 1, 80), 0);
    /* A payload: only that frame goes. */
    rig_damage(&rig, 1, frame_offset(&rig, start, 80, 1) + 64 + 40);
    reader = open_reader(&rig);
    expect(reader, 1, 0);
    expect(reader, 2, 0);
    expect(reader, 2, 2);
    expect(reader, 3, 0);
    expect(reader, 0, 0);
    assert_int_equal(reader_counts(reader)->bad_frames, 1);
    reader_close(&reader);
    /* A frame's header: nothing tells where the next one begins. */
    rig_damage(&rig, 1, frame_offset(&rig, start, 80, 1) + 20);
    reader = open_reader(&rig);
    expect(reader, 1, 0);
    expect(reader, 2, 0);
    expect(reader, 3, 0);
    assert_int_equal(reader_counts(reader)->bad_frames, 2);
    reader_close(&reader);
    /* The batch's header. */
    rig_damage(&rig, 1, start + 9);
    reader = open_reader(&rig);
    expect(reader, 1, 0);
    expect(reader, 3, 0);
    expect(reader, 0, 0);
    assert_int_equal(reader_counts(reader)->bad_batches, 1);
    reader_close(&reader);
    rig_fini(&rig);
}

/* A damaged segment header costs no records: the batches behind it are found. */
static void test_bad_segment_header(void **state)
{
    static const unsigned from[] = {1, 3, 5};

    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
            struct journal_reader *reader;
            unsigned removed = 0;
            struct rig rig;

            rig_init(&rig, 1);
            /* two batches to a segment */
            for (unsigned k = 0; k < 6; k++)
                assert_int_equal(rig_commit(&rig, 1, RIG_SEGMENT_BYTES / 3), 0);
            assert_int_equal(rig.state.segment, 3);
            reader = open_reader(&rig);
            /* What stands before was passed and is gone, as the shipper does it. */
            assert_int_equal(reader_remove_passed(reader, from[i], &removed, NULL), 0);
            rig_damage(&rig, segment > removed ? segment : 3, 100);
            assert_int_equal(reader_seek(reader, from[i], 0, NULL), 0);
            for (unsigned k = from[i]; k <= 6; k++)
                expect(reader, k, 0);
            expect(reader, 0, 0);
            assert_in_range(reader_counts(reader)->bad_batches, 0, 1); /* the window's keys */
            reader_close(&reader);
            rig_fini(&rig);
        }
    }
}

/* Whatever byte of a segment is damaged: the reader comes to the end, and what it gives is whole. */
static void test_any_damage(void **state)
{
    struct rig rig;
    uint64_t end;

    (void)state;
    rig_init(&rig, 1);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rig_commit(&rig, 2, 40), 0);
    end = rig.state.end;
    for (uint64_t at = 0; at < end; at++) {
        struct journal_reader *reader = open_reader(&rig);
        struct journal_frame frame;
        unsigned frames = 0;

        rig_damage(&rig, 1, at);
        while (reader_next(reader, &frame, NULL) == 1) {
            uint64_t tag;

            memcpy(&tag, frame.payload.p, sizeof(tag));
            assert_int_equal(tag, frame.sequence);
            frames++;
        }
        assert_true(frames >= 6);
        rig_damage(&rig, 1, at);
        reader_close(&reader);
    }
    rig_fini(&rig);
}

static void test_disk_failure_is_no_end(void **state)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 80), 0);
    reader = open_reader(&rig);
    rig.machine.process.crashed = true;
    assert_int_equal(reader_next(reader, &frame, NULL), -EIO);
    rig.machine.process.crashed = false;
    expect(reader, 1, 0);
    reader_close(&reader);
    rig_fini(&rig);
}

static unsigned remove_passed(struct rig *rig, struct journal_reader *reader, uint64_t sequence)
{
    unsigned removed = 99;

    assert_int_equal(reader_remove_passed(reader, sequence, &removed, NULL), 0);
    (void)rig;
    return removed;
}

static void test_remove_passed(void **state)
{
    struct journal_reader *reader;
    uint64_t first_of[8] = {0}, first, next;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    while (rig.state.segment < 5) {
        uint64_t segment = rig.state.segment;

        assert_int_equal(rig_commit(&rig, 1, 1500), 0);
        if (rig.state.segment != segment)
            first_of[rig.state.segment] = rig.state.next_sequence - 1;
    }
    reader = open_reader(&rig);
    assert_int_equal(remove_passed(&rig, reader, 1), 0);
    assert_int_equal(remove_passed(&rig, reader, first_of[2] - 1), 0);
    assert_int_equal(remove_passed(&rig, reader, first_of[2]), 1);
    assert_int_equal(remove_passed(&rig, reader, first_of[2] + 1), 0);
    assert_int_equal(remove_passed(&rig, reader, first_of[4]), 2);
    assert_int_equal(reader_range(reader, &first, &next), 0);
    assert_int_equal(first, first_of[4]);
    assert_int_equal(next, rig.state.next_sequence);
    /* All is passed: the one that takes batches stays. */
    assert_int_equal(remove_passed(&rig, reader, rig.state.next_sequence), 1);
    assert_int_equal(reader_usage(reader) > 0, 1);
    expect(reader, first_of[5], 0);
    /* And the names are gone for good. */
    reader_close(&reader);
    rig_power_cut(&rig);
    assert_int_equal(rig_recover(&rig), 0);
    reader = open_reader(&rig);
    assert_int_equal(reader_range(reader, &first, &next), 0);
    assert_int_equal(first, first_of[5]);
    reader_close(&reader);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_live_tail),
        cmocka_unit_test(test_not_beyond_the_page),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_seek_past_the_end_beside_a_begun_segment),
        cmocka_unit_test(test_bad_frame),
        cmocka_unit_test(test_bad_segment_header),
        cmocka_unit_test(test_any_damage),
        cmocka_unit_test(test_disk_failure_is_no_end),
        cmocka_unit_test(test_remove_passed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
