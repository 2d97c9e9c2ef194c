#include "tests/unit/shipper/fixture.h"

#include "shared/base/clock.h"
#include "shared/otlp/frame.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a test's world ---- */

struct world {
    struct fixture *fixture;
    struct output *output;
    char path[128];
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));

    w->fixture = fixture_new();
    snprintf(w->path, sizeof(w->path), "%s/out.jsonl", fixture_folder(w->fixture));
    fixture_set(w->fixture, OPT_FILE_PATH, w->path);
    return w;
}

static void world_open(struct world *w)
{
    w->output = fixture_open(w->fixture, &output_file_ops);
}

static void world_free(struct world *w)
{
    if (w->output != NULL)
        output_close(&w->output);
    fixture_free(w->fixture);
    free(w);
}

static char *read_file(const char *path, size_t *ret_n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *p;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *ret_n = (size_t)st.st_size;
    p = calloc(1, *ret_n + 1);
    assert_int_equal(read(fd, p, *ret_n), *ret_n);
    close(fd);
    return p;
}

static void write_file(const char *path, const char *p, size_t n, bool append)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

/* Adds a file's records; every line must be a whole JSON object. */
static void count_lines(const char *path, unsigned *counts)
{
    size_t n;
    char *p = read_file(path, &n);

    assert_true(n == 0 || p[n - 1] == '\n');
    for (char *line = p; line < p + n;) {
        char *end = memchr(line, '\n', (size_t)(p + n - line));
        struct json_object *root, *logs = NULL;

        *end = '\0';
        root = json_tokener_parse(line);
        assert_non_null(root);
        assert_true(json_object_object_get_ex(root, "resourceLogs", &logs));
        json_object_put(root);
        fixture_count(slice_of(line, (size_t)(end - line)), counts);
        line = end + 1;
    }
    free(p);
}

static void check_once(struct world *w, const unsigned *counts)
{
    for (unsigned i = 0; i < FIXTURE_RECORDS; i++)
        assert_int_equal(counts[i], i < fixture_committed(w->fixture));
}

static void check_file(struct world *w)
{
    unsigned counts[FIXTURE_RECORDS] = {0};

    count_lines(w->path, counts);
    check_once(w, counts);
}

static void deliver(struct world *w, unsigned batches)
{
    for (unsigned i = 0; i < batches; i++)
        fixture_commit(w->fixture, i % FIXTURE_LANES, 2, 5);
    fixture_run_idle(w->fixture, w->output);
}

/* ---- tests ---- */

static void test_lines(void **state)
{
    struct world *w = world_new();
    struct stat st;

    (void)state;
    world_open(w);
    deliver(w, 10);
    check_file(w);
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0640, 0);
    assert_int_equal(status_get(fixture_status(w->fixture), METRIC_RECORDS_DELIVERED),
                     fixture_committed(w->fixture));
    assert_int_equal(status_get(fixture_status(w->fixture), METRIC_BYTES_OUT), st.st_size);
    assert_int_equal(source_lag(w->output->source), 0);
    deliver(w, 3);
    check_file(w);
    world_free(w);
}

static void test_all_codecs(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_open(w);
    for (unsigned codec = 0; codec < 3; codec++) {
        fixture_set_codec(w->fixture, codec);
        deliver(w, 2);
    }
    check_file(w);
    world_free(w);
}

static void test_more_than_one_group(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_open(w);
    fixture_commit(w->fixture, 0, 1, 10000);
    fixture_commit(w->fixture, 1, 1, 5000);
    deliver(w, 2);
    check_file(w);
    world_free(w);
}

/* A timer that soon wants to be called again. */
static int on_tick(sd_event_source *source, uint64_t now, void *userdata)
{
    unsigned *ticks = userdata;

    (void)now; /* when it should have been called */
    (*ticks)++;
    sd_event_source_set_time(source, clock_monotonic_ns() / NS_PER_US + 1000);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* With a backlog, what else is on the loop gets its turn between any two groups. */
static void test_backlog_starves_nobody(void **state)
{
    struct world *w = world_new();
    sd_event_source *timer = NULL;
    unsigned ticks = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) { /* a group is of one codec: 200 groups, 200 syncs */
        fixture_set_codec(w->fixture, i % 2 == 0 ? FRAME_GZIP : FRAME_NONE);
        fixture_commit(w->fixture, 0, 1, 5);
    }
    world_open(w);
    assert_true(sd_event_add_time(fixture_event(w->fixture), &timer, CLOCK_MONOTONIC, 0, 1, on_tick,
                                  &ticks) >= 0);
    fixture_run_idle(w->fixture, w->output);
    check_file(w);
    assert_true(ticks >= 2);
    sd_event_source_unref(timer);
    world_free(w);
}

static void test_restart(void **state)
{
    struct world *w = world_new();

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        world_open(w);
        deliver(w, 3);
        output_close(&w->output);
        check_file(w);
    }
    world_free(w);
}

/* The lane that was written last goes: what its cursor alone knew of the file is not lost. */
static void test_lane_leaves(void **state)
{
    struct world *w = world_new();
    char path[160];

    (void)state;
    world_open(w);
    fixture_commit(w->fixture, 0, 1, 5);
    fixture_run_idle(w->fixture, w->output);
    fixture_commit(w->fixture, 1, 1, 5);
    fixture_run_idle(w->fixture, w->output);
    output_sync(w->output);
    assert_int_equal(output_leave_lane(w->output, 1, NULL), 0);
    snprintf(path, sizeof(path), "%s/lanes/01/0000000000000001.seg", fixture_folder(w->fixture));
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/cursors/file/01.cursor", fixture_folder(w->fixture));
    assert_int_equal(unlink(path), 0);
    fixture_run_idle(w->fixture, w->output);
    output_close(&w->output);
    world_open(w);
    fixture_commit(w->fixture, 0, 1, 5);
    fixture_run_idle(w->fixture, w->output);
    check_file(w);
    world_free(w);
}

static void test_torn_line_is_cut(void **state)
{
    struct world *w = world_new();

    (void)state;
    world_open(w);
    deliver(w, 4);
    output_close(&w->output);
    write_file(w->path, "{\"resourceLogs\":[{\"torn", 23, true);
    world_open(w);
    deliver(w, 2);
    check_file(w);
    world_free(w);
}

/* Killed after the lines were synced and before the cursor was written: the cursors are as before,
 * the lines are there. `first` says which delivery it was. */
static void kill_before_cursor(bool first)
{
    struct world *w = world_new();
    char cursors[FIXTURE_LANES][160], *saved[FIXTURE_LANES];
    size_t n[FIXTURE_LANES], before = 0, after;
    char *p;

    world_open(w);
    if (!first)
        deliver(w, 4);
    for (unsigned i = 0; i < FIXTURE_LANES; i++)
        snprintf(cursors[i], sizeof(cursors[i]), "%s/cursors/file/%02u.cursor",
                 fixture_folder(w->fixture), i);
    if (first) { /* the place is known before the first line */
        fixture_commit(w->fixture, 0, 1, 1);
        fixture_run_idle(w->fixture, w->output);
    }
    for (unsigned i = 0; i < FIXTURE_LANES; i++)
        saved[i] = read_file(cursors[i], &n[i]);
    free(read_file(w->path, &before));
    deliver(w, 3);
    output_close(&w->output);
    free(read_file(w->path, &after));
    assert_true(after > before);
    for (unsigned i = 0; i < FIXTURE_LANES; i++) {
        write_file(cursors[i], saved[i], n[i], false);
        free(saved[i]);
    }
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_file(w);
    p = read_file(w->path, &n[0]);
    assert_int_equal(n[0], after);
    free(p);
    world_free(w);
}

static void test_killed_before_the_cursor(void **state)
{
    (void)state;
    kill_before_cursor(true);
    kill_before_cursor(false);
}

static void test_file_of_somebody_else(void **state)
{
    struct world *w = world_new();
    size_t n;
    char *p;

    (void)state;
    write_file(w->path, "{\"resourceLogs\":[]}\n{\"resourceLogs\":[]}", 39, false); /* no end */
    world_open(w);
    deliver(w, 2);
    p = read_file(w->path, &n);
    assert_int_equal(strncmp(p, "{\"resourceLogs\":[]}\n{\"resourceLogs\":[]}\n{\"", 42), 0);
    free(p);
    check_file(w);
    world_free(w);
}

static void test_rotated_while_running(void **state)
{
    struct world *w = world_new();
    unsigned counts[FIXTURE_RECORDS] = {0};
    char away[160];

    (void)state;
    world_open(w);
    deliver(w, 3);
    snprintf(away, sizeof(away), "%s.1", w->path);
    assert_int_equal(rename(w->path, away), 0);
    deliver(w, 3);
    count_lines(away, counts);
    count_lines(w->path, counts);
    check_once(w, counts);

    output_close(&w->output); /* and a restart goes on in the new one */
    world_open(w);
    deliver(w, 2);
    memset(counts, 0, sizeof(counts));
    count_lines(away, counts);
    count_lines(w->path, counts);
    check_once(w, counts);
    world_free(w);
}

static void test_rotated_while_stopped(void **state)
{
    struct world *w = world_new();
    unsigned counts[FIXTURE_RECORDS] = {0};
    char away[160];

    (void)state;
    world_open(w);
    deliver(w, 3);
    output_close(&w->output);
    snprintf(away, sizeof(away), "%s.1", w->path);
    assert_int_equal(rename(w->path, away), 0);
    world_open(w);
    deliver(w, 3);
    count_lines(away, counts);
    count_lines(w->path, counts);
    check_once(w, counts);
    world_free(w);
}

/* copytruncate: what was copied is gone from the file, nothing is torn. */
static void test_truncated_while_running(void **state)
{
    struct world *w = world_new();
    unsigned counts[FIXTURE_RECORDS] = {0};
    unsigned before;

    (void)state;
    world_open(w);
    deliver(w, 3);
    before = fixture_committed(w->fixture);
    assert_int_equal(truncate(w->path, 0), 0);
    deliver(w, 3);
    count_lines(w->path, counts);
    for (unsigned i = 0; i < fixture_committed(w->fixture); i++)
        assert_int_equal(counts[i], i >= before);
    world_free(w);
}

static bool cannot_open(void *context)
{
    struct world *w = context;
    char note[160];

    output_note(w->output, note, sizeof(note));
    return strstr(note, "file: cannot open ") != NULL && w->output->retry.tries >= 2;
}

static void test_words_of_one_and_more(void **state)
{
    struct output output = {
        .ops = &output_file_ops,
        .retry = {.state = RETRY_BACKOFF, .tries = 1, .until_ns = UINT64_MAX / 2, .trying = true},
        .words = "no room",
    };
    char note[160];

    (void)state;
    output_note(&output, note, sizeof(note));
    assert_string_equal(note, "file: no room, 1 try, trying now");
    output.retry.tries = 2;
    output_note(&output, note, sizeof(note));
    assert_string_equal(note, "file: no room, 2 tries, trying now");
}

static void test_folder_is_missing(void **state)
{
    struct world *w = world_new();
    char folder[100], note[160];

    (void)state;
    snprintf(folder, sizeof(folder), "%s/deeper", fixture_folder(w->fixture));
    snprintf(w->path, sizeof(w->path), "%s/out.jsonl", folder);
    fixture_set(w->fixture, OPT_FILE_PATH, w->path);
    world_open(w);
    fixture_commit(w->fixture, 0, 1, 10);
    fixture_run(w->fixture, w->output, cannot_open, w);
    assert_int_equal(mkdir(folder, 0700), 0);
    fixture_run_idle(w->fixture, w->output);
    check_file(w);
    output_note(w->output, note, sizeof(note));
    assert_string_equal(note, "");
    world_free(w);
}

/* The bytes of the only file in quarantine. */
static char *quarantined(struct world *w, size_t *ret_n)
{
    char folder[128], path[512] = "";
    struct dirent *entry;
    DIR *stream;

    snprintf(folder, sizeof(folder), "%s/quarantine", fixture_folder(w->fixture));
    stream = opendir(folder);
    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL)
        if (entry->d_name[0] != '.') {
            assert_string_equal(path, "");
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        }
    closedir(stream);
    assert_string_not_equal(path, "");
    return read_file(path, ret_n);
}

/* Made wrongly: whole by its checksum, and no OTLP. It is kept, and holds up nothing. */
static void test_frame_that_cannot_be_read(void **state)
{
    struct world *w = world_new();
    struct status_slot *status = fixture_status(w->fixture);
    size_t n;
    char *p;

    (void)state;
    fixture_set_codec(w->fixture, FRAME_NONE);
    world_open(w);
    fixture_commit(w->fixture, 0, 1, 5);
    fixture_commit_plain(w->fixture, 0, SLICE_LITERAL("\x0a\xffnot protobuf"));
    fixture_commit(w->fixture, 0, 1, 5);
    fixture_run_idle(w->fixture, w->output);
    check_file(w);
    p = quarantined(w, &n);
    assert_int_equal(n, 14);
    assert_memory_equal(p, "\x0a\xffnot protobuf", 14);
    free(p);
    assert_int_equal(status_get(status, METRIC_RECORDS_DELIVERED), 10);
    assert_int_equal(status_get(status, METRIC_RECORDS_QUARANTINED), 1);
    assert_int_equal(source_lag(w->output->source), 0);
    world_free(w);
}

static void test_damaged_cursor_is_told(void **state)
{
    struct world *w = world_new();
    char path[160], note[160];

    (void)state;
    world_open(w);
    deliver(w, 2);
    output_close(&w->output);
    snprintf(path, sizeof(path), "%s/cursors/file/01.cursor", fixture_folder(w->fixture));
    write_file(path, "garbage", 7, false);
    world_open(w);
    output_note(w->output, note, sizeof(note));
    assert_non_null(strstr(note, "file: damaged cursors of 1 lane:"));
    world_free(w);
}

static bool has_failed(void *context)
{
    return ((struct world *)context)->output->retry.tries >= 2;
}

static void test_not_a_plain_file(void **state)
{
    struct world *w = world_new();

    (void)state;
    fixture_set(w->fixture, OPT_FILE_PATH, "/dev/null");
    world_open(w);
    fixture_commit(w->fixture, 0, 1, 10);
    fixture_run(w->fixture, w->output, has_failed, w);
    assert_non_null(strstr(w->output->words, "not a plain file"));
    world_free(w);
}

/* The limit on a file's size stands for a full disk: a write is done in part, then fails. */
static void test_no_room(void **state)
{
    struct world *w = world_new();
    unsigned counts[FIXTURE_RECORDS] = {0};
    struct rlimit before, small;
    struct stat st;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    world_open(w);
    deliver(w, 40);
    fixture_commit(w->fixture, 0, 2, 5);
    assert_int_equal(stat(w->path, &st), 0);
    assert_true(st.st_size > CURSOR_FILE_BYTES); /* cursors are not hit */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){(rlim_t)st.st_size + 50, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fixture_run(w->fixture, w->output, has_failed, w);
    count_lines(w->path, counts); /* no torn line is left meanwhile */
    for (unsigned i = 0; i < fixture_committed(w->fixture); i++)
        assert_int_equal(counts[i], i + 10 < fixture_committed(w->fixture));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    fixture_run_idle(w->fixture, w->output);
    check_file(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_all_codecs),
        cmocka_unit_test(test_more_than_one_group),
        cmocka_unit_test(test_backlog_starves_nobody),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_lane_leaves),
        cmocka_unit_test(test_torn_line_is_cut),
        cmocka_unit_test(test_killed_before_the_cursor),
        cmocka_unit_test(test_file_of_somebody_else),
        cmocka_unit_test(test_rotated_while_running),
        cmocka_unit_test(test_rotated_while_stopped),
        cmocka_unit_test(test_truncated_while_running),
        cmocka_unit_test(test_words_of_one_and_more),
        cmocka_unit_test(test_folder_is_missing),
        cmocka_unit_test(test_frame_that_cannot_be_read),
        cmocka_unit_test(test_damaged_cursor_is_told),
        cmocka_unit_test(test_not_a_plain_file),
        cmocka_unit_test(test_no_room),
    };

    log_open("test", 0, LOG_FORMAT_TEXT, LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
