#include "shipper/lane_removal.h"

#include "shared/journal/cursor.h"
#include "tests/unit/shipper/fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LANE 1u

struct world {
    struct fixture *fixture;
    struct disk *lanes, *cursors;
    struct cursor *cursor;
    char path[128];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    enum cursor_found found;
    char path[128];

    w->fixture = fixture_new();
    snprintf(path, sizeof(path), "%s/lanes", fixture_folder(w->fixture));
    assert_int_equal(disk_posix_open(path, false, &w->lanes, NULL), 0);
    snprintf(w->path, sizeof(w->path), "%s/lanes/%02u", fixture_folder(w->fixture), LANE);
    snprintf(path, sizeof(path), "%s/cursors", fixture_folder(w->fixture));
    assert_int_equal(disk_posix_open(path, true, &w->cursors, NULL), 0);
    assert_int_equal(cursor_open(w->cursors, LANE, &w->cursor, &found, NULL), 0);
    fixture_commit(w->fixture, LANE, 2, 3);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    cursor_close(&w->cursor);
    disk_free(&w->cursors);
    disk_free(&w->lanes);
    fixture_free(w->fixture);
    free(w);
    return 0;
}

static void make_file(const struct world *w, const char *name)
{
    char path[192];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", w->path, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
}

static bool exists(const char *folder, const char *name)
{
    struct stat st;
    char path[192];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return stat(path, &st) == 0;
}

static int remove_lane(struct world *w, unsigned *ret_removed)
{
    struct lane_removal removal = {
        .lanes = w->lanes,
        .lane = fixture_lanes(w->fixture)[LANE].disk,
        .path = w->path,
        .number = LANE,
        .cursors = &w->cursors,
        .cursor_count = 1,
    };
    struct err err = {0};

    return lane_removal(&removal, ret_removed, &err);
}

static void test_all_goes(void **state)
{
    struct world *w = *state;
    char cursors[160];
    unsigned removed = 99;

    snprintf(cursors, sizeof(cursors), "%s/cursors", fixture_folder(w->fixture));
    make_file(w, "lock");
    assert_true(exists(w->path, "0000000000000001.seg"));
    assert_true(exists(cursors, "01.cursor"));
    assert_int_equal(remove_lane(w, &removed), 0);
    assert_int_equal(removed, 1);
    assert_false(exists(w->path, ""));
    assert_false(exists(cursors, "01.cursor"));
    /* Where one call failed late, the next finds nothing that it could remove. */
    assert_int_equal(remove_lane(w, &removed), 0);
    assert_int_equal(removed, 0);
}

static void test_other_things_stay(void **state)
{
    struct world *w = *state;
    char path[192];
    unsigned removed = 99;

    make_file(w, "somebody's");
    assert_int_equal(remove_lane(w, &removed), -ENOTEMPTY);
    assert_int_equal(removed, 1);
    assert_false(exists(w->path, "0000000000000001.seg"));
    assert_true(exists(w->path, "somebody's"));
    snprintf(path, sizeof(path), "%s/somebody's", w->path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(remove_lane(w, &removed), 0);
    assert_false(exists(w->path, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_things_stay, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
