#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/control.h"

static int parse(const char *packet, size_t n, const char *words[CONTROL_WORDS])
{
    static char copy[4096];

    memcpy(copy, packet, n);
    return control_parse(copy, n, words);
}

static void test_words(void **state)
{
    const char *words[CONTROL_WORDS];

    (void)state;
    assert_int_equal(parse("status", 7, words), 1);
    assert_string_equal(words[0], "status");
    assert_int_equal(parse("restart\0receiver.1", 19, words), 2);
    assert_string_equal(words[0], "restart");
    assert_string_equal(words[1], "receiver.1");
    assert_int_equal(parse("a\0b\0c\0d\0e\0f\0g\0h", 16, words), 8);
    assert_string_equal(words[7], "h");
}

static void test_malformed(void **state)
{
    const char *words[CONTROL_WORDS];
    char big[CONTROL_REQUEST_BYTES + 1];

    (void)state;
    assert_int_equal(parse("", 0, words), -EINVAL);
    assert_int_equal(parse("", 1, words), -EINVAL);
    assert_int_equal(parse("status", 6, words), -EINVAL); /* no NUL at its end */
    assert_int_equal(parse("a\0\0", 3, words), -EINVAL);  /* an empty word */
    assert_int_equal(parse("\0a", 3, words), -EINVAL);
    assert_int_equal(parse("a\nb", 4, words), -EINVAL);
    assert_int_equal(parse("a\x7f", 3, words), -EINVAL);
    assert_int_equal(parse("a\x80", 3, words), -EINVAL);
    assert_int_equal(parse("a\0b\0c\0d\0e\0f\0g\0h\0i", 18, words), -EINVAL);
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(parse(big, sizeof(big), words), -EINVAL);
    big[sizeof(big) - 2] = '\0';
    assert_int_equal(parse(big, sizeof(big) - 1, words), 1);
}

static void never(void *data, struct control_request *request, const char *const *words,
                  size_t count)
{
    (void)data;
    (void)request;
    (void)words;
    (void)count;
    fail();
}

static void test_socket(void **state)
{
    char folder[] = "/tmp/test_control.XXXXXX", path[64], below[80], longest[200];
    struct control *first = NULL, *second = NULL;
    sd_event *event = NULL;
    struct err err = {0};
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(sd_event_new(&event) >= 0);
    snprintf(below, sizeof(below), "%s/a", folder);
    snprintf(path, sizeof(path), "%s/a/control", folder);
    assert_int_equal(control_open(event, path, getegid(), never, NULL, &first, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    /* Somebody answers there: it is not taken over. */
    assert_int_equal(control_open(event, path, getegid(), never, NULL, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, path));
    control_close(&first);
    assert_int_equal(stat(path, &st), -1);
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(control_open(event, longest, getegid(), never, NULL, &first, &err),
                     -ENAMETOOLONG);
    assert_null(first);
    control_close(&first);
    sd_event_unref(event);
    rmdir(below);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_socket),
    };

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
