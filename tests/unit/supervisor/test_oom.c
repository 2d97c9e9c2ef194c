#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/oom.h"

static void write_events(const char *path, unsigned oom, unsigned kills)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fprintf(file, "low 9\nhigh 8\nmax 7\noom %u\noom_kill %u\noom_group_kill 5\n", oom, kills);
    fclose(file);
}

static void test_counts(void **state)
{
    char path[] = "/tmp/test_oom.XXXXXX";
    struct oom oom = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(oom.path, sizeof(oom.path), "%s", path);
    write_events(path, 0, 0);
    assert_false(oom_happened(&oom));
    write_events(path, 3, 0); /* reclaimed, nothing was killed */
    assert_false(oom_happened(&oom));
    write_events(path, 3, 1);
    assert_true(oom_happened(&oom));
    assert_false(oom_happened(&oom)); /* once for each growth */
    write_events(path, 3, 3);
    assert_true(oom_happened(&oom));
    unlink(path);
    assert_false(oom_happened(&oom));
}

static void test_none(void **state)
{
    struct oom oom;

    (void)state;
    oom_init(&oom);
    assert_false(oom_happened(&oom));
    oom.path[0] = '\0';
    assert_false(oom_happened(&oom));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_none)};

    return cmocka_run_group_tests_name("oom", tests, NULL, NULL);
}
