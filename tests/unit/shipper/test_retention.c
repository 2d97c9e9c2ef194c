#include "shipper/retention.h"

#include "tests/unit/shipper/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

static bool segment_exists(struct fixture *f, unsigned lane, unsigned number)
{
    struct stat st;
    char path[160];

    snprintf(path, sizeof(path), "%s/lanes/%02u/%016x.seg", fixture_folder(f), lane, number);
    return stat(path, &st) == 0;
}

/* Commits until the lane has segment `number`. */
static void grow(struct fixture *f, unsigned lane, unsigned number)
{
    fixture_set_codec(f, FRAME_NONE);
    while (!segment_exists(f, lane, number))
        fixture_commit(f, lane, 1, 500); /* 9,000 bytes */
}

static void test_only_what_all_have_passed(void **state)
{
    struct fixture *f = fixture_new();
    struct retention *retention = NULL;
    unsigned removed = 99;

    (void)state;
    grow(f, 0, 2); /* a segment is 256 KiB */
    fixture_commit(f, 0, 1, 500);
    assert_true(segment_exists(f, 0, 1));
    assert_int_equal(retention_new(fixture_lanes(f), FIXTURE_LANES, &retention, NULL), 0);
    assert_true(retention_bytes(retention) > 0);
    assert_int_equal(retention_pass(retention, 0, 1, &removed, NULL), 0);
    assert_int_equal(removed, 0);
    assert_true(segment_exists(f, 0, 1));
    assert_int_equal(retention_pass(retention, 0, fixture_next_sequence(f, 0), &removed, NULL), 0);
    assert_int_equal(removed, 1);
    assert_false(segment_exists(f, 0, 1));
    assert_true(segment_exists(f, 0, 2)); /* it takes batches now */
    retention_free(&retention);
    fixture_free(f);
}

static void test_lane_without_a_page(void **state)
{
    struct fixture *f = fixture_new();
    struct retention *retention = NULL;
    unsigned removed = 99;

    (void)state;
    assert_int_equal(retention_new(fixture_lanes(f), FIXTURE_LANES, &retention, NULL), 0);
    assert_int_equal(retention_pass(retention, 1, 100, &removed, NULL), 0);
    assert_int_equal(removed, 0);
    retention_free(&retention);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_all_have_passed),
        cmocka_unit_test(test_lane_without_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
