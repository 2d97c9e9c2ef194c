#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "supervisor/data_dir.h"

static char top[64];
static struct options *options;
static const struct spawn_identity self;

static const char *below(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static int setup(void **state)
{
    struct err err;

    (void)state;
    snprintf(top, sizeof(top), "/tmp/test_data_dir.XXXXXX");
    options = options_new();
    if (mkdtemp(top) == NULL || options == NULL)
        return -1;
    return options_set(options, OPT_DATA_DIR, slice_string(below("a/b/data")), &err) |
           options_set(options, OPT_FILE_PATH, slice_string(below("out/x/otlp.jsonl")), &err);
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    options_free(&options);
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command);
}

static void is_folder(const char *name, mode_t mode)
{
    struct stat st;

    assert_int_equal(stat(below(name), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, mode);
}

static void test_made(void **state)
{
    struct err err;

    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(data_dir_make(options, &self, &err), 0);
        is_folder("a/b/data", 0750);
        is_folder("a/b/data/lanes", 0750);
        is_folder("a/b/data/cursors", 0750);
        is_folder("a/b/data/quarantine", 0750);
        is_folder("a/b/data/backup", 0750);
        is_folder("out/x", 0750);
    }
    assert_int_equal(data_dir_make_lane(options, &self, 7, &err), 0);
    is_folder("a/b/data/lanes/07", 0750);
}

static void test_in_the_way(void **state)
{
    struct err err = {0};
    FILE *file;

    (void)state;
    file = fopen(below("a"), "w");
    assert_non_null(file);
    fclose(file);
    assert_true(data_dir_make(options, &self, &err) < 0);
    assert_non_null(strstr(err.text, "data_dir"));
}

static void test_lanes(void **state)
{
    static const char *const others[] = {"1", "001", "0x", "x0", "lost+found", "-1"};
    bool exists[DATA_DIR_LANES_MAX] = {false};
    char name[64];
    struct err err;

    (void)state;
    assert_int_equal(data_dir_make(options, &self, &err), 0);
    assert_int_equal(data_dir_make_lane(options, &self, 0, &err), 0);
    assert_int_equal(data_dir_make_lane(options, &self, 42, &err), 0);
    assert_int_equal(data_dir_make_lane(options, &self, 99, &err), 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        snprintf(name, sizeof(name), "a/b/data/lanes/%s", others[i]);
        assert_int_equal(mkdir(below(name), 0700), 0);
    }
    assert_int_equal(data_dir_find_lanes(options, exists, &err), 0);
    for (unsigned n = 0; n < DATA_DIR_LANES_MAX; n++)
        assert_int_equal(exists[n], n == 0 || n == 42 || n == 99);
}

/* A child that got the descriptor holds the lock on when its parent has closed it. */
static void test_lock_is_inherited(void **state)
{
    int go[2], ours = -1, other = -1, status;
    char text[64], pid_text[16];
    struct err err;
    pid_t pid;

    (void)state;
    assert_int_equal(data_dir_make(options, &self, &err), 0);
    assert_int_equal(data_dir_open_lock(options, "lock", &ours, &err), 0);
    assert_int_equal(data_dir_open_lock(options, "lock", &other, &err), 0);
    assert_int_equal(data_dir_try_lock(ours), 0);
    assert_int_equal(data_dir_try_lock(other), -EAGAIN);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        char byte;

        close(go[1]);
        close(other); /* in life only the lock's holder hands it on */
        (void)!read(go[0], &byte, 1);
        _exit(0);
    }
    fd_close(&ours);
    assert_int_equal(data_dir_try_lock(other), -EAGAIN);
    snprintf(pid_text, sizeof(pid_text), "%d", pid);
    assert_string_equal(data_dir_holders(other, text, sizeof(text)), pid_text);
    close(go[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(data_dir_try_lock(other), 0);
    assert_string_equal(data_dir_holders(other, text, sizeof(text)), "");
    close(go[0]);
    fd_close(&other);
}

static void test_alert(void **state)
{
    struct options *memory = options_new();
    struct err err;

    (void)state;
    if (access("/dev/shm", F_OK) == 0) {
        assert_int_equal(options_set(memory, OPT_DATA_DIR, SLICE_LITERAL("/dev/shm"), &err), 0);
        assert_non_null(data_dir_alert(memory));
    }
    assert_int_equal(options_set(memory, OPT_DATA_DIR, SLICE_LITERAL("/proc"), &err), 0);
    assert_null(data_dir_alert(memory));
    options_free(&memory);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_made),  TEST(test_in_the_way), TEST(test_lanes), TEST(test_lock_is_inherited),
        TEST(test_alert),
    };

    return cmocka_run_group_tests_name("data_dir", tests, NULL, NULL);
}
