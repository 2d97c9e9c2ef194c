#include "shared/options/option_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

static const struct option_row size_row = {
    .path = "x", .type = OPTION_TYPE_SIZE, .min = 1024, .max = 1ull << 40};
static const struct option_row time_row = {
    .path = "x", .type = OPTION_TYPE_TIME, .min = 0, .max = 3600000};
static const struct option_row int_row = {
    .path = "x", .type = OPTION_TYPE_INT, .min = 1, .max = 65535};
static const struct option_row bool_row = {.path = "x", .type = OPTION_TYPE_BOOL};
static const struct option_row choice_row = {
    .path = "x", .type = OPTION_TYPE_CHOICE, .words = "batch|interval"};
static const struct option_row path_row = {.path = "x", .type = OPTION_TYPE_PATH};
static const struct option_row secret_row = {
    .path = "x", .type = OPTION_TYPE_STRING, .flags = OPTION_SECRET};

static void assert_number(const struct option_row *row, const char *text, uint64_t wanted)
{
    struct err err = {0};
    uint64_t number = ~wanted;

    if (option_value_check(row, slice_string(text), &number, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    assert_true(number == wanted);
}

static void assert_refused(const struct option_row *row, const char *text, const char *reason)
{
    struct err err = {0};
    uint64_t number = 7;

    assert_int_equal(option_value_check(row, slice_string(text), &number, &err), -EINVAL);
    assert_int_equal(number, 7);
    if (strstr(err.text, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_number(&size_row, "1024", 1024);
    assert_number(&size_row, "64k", 65536);
    assert_number(&size_row, "64K", 65536);
    assert_number(&size_row, "16M", 16 << 20);
    assert_number(&size_row, "8G", 8ull << 30);
    assert_number(&size_row, "8589934592", 8ull << 30);
    assert_refused(&size_row, "", "the value is empty");
    assert_refused(&size_row, "M", "is not a size");
    assert_refused(&size_row, "16X", "\"16X\" is not a size");
    assert_refused(&size_row, "16 M", "is not a size");
    assert_refused(&size_row, "1.5G", "is not a size");
    assert_refused(&size_row, "-1", "below the least allowed, 1k");
    assert_refused(&size_row, "1023", "below the least allowed, 1k");
    assert_refused(&size_row, "1025G", "above the most allowed, 1024G");
    assert_refused(&size_row, "99999999999G", "above the most allowed");
    assert_refused(&size_row, "99999999999999999999999", "above the most allowed");
    assert_refused(&size_row, "18446744073709551615", "above the most allowed");
}

static void test_times(void **state)
{
    (void)state;
    assert_number(&time_row, "0", 0);
    assert_number(&time_row, "0s", 0);
    assert_number(&time_row, "500ms", 500);
    assert_number(&time_row, "30s", 30000);
    assert_number(&time_row, "10m", 600000);
    assert_number(&time_row, "1h", 3600000);
    /* 30 of what? */
    assert_refused(&time_row, "30", "\"30\" is not a time");
    assert_refused(&time_row, "30 s", "is not a time");
    assert_refused(&time_row, "s", "is not a time");
    assert_refused(&time_row, "2h", "above the most allowed, 1h");
    assert_refused(&time_row, "-5s", "below the least allowed, 0");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_number(&int_row, "24224", 24224);
    assert_refused(&int_row, "0", "below the least allowed, 1");
    assert_refused(&int_row, "-5", "below the least allowed, 1");
    assert_refused(&int_row, "65536", "above the most allowed, 65535");
    assert_refused(&int_row, "1k", "is not a whole number");
    assert_refused(&int_row, "-", "is not a whole number");
    assert_refused(&int_row, "0x10", "is not a whole number");
}

static void test_bools_and_choices(void **state)
{
    (void)state;
    assert_number(&bool_row, "true", 1);
    assert_number(&bool_row, "on", 1);
    assert_number(&bool_row, "1", 1);
    assert_number(&bool_row, "no", 0);
    assert_refused(&bool_row, "TRUE!", "neither true nor false");
    assert_refused(&bool_row, "-5", "neither true nor false");
    assert_refused(&bool_row, "", "the value is empty");
    assert_int_equal(option_value_check(&choice_row, SLICE_LITERAL("interval"), NULL, NULL), 0);
    assert_refused(&choice_row, "inter", "is not one of its values: batch or interval");
    assert_refused(&choice_row, "batch|interval", "is not one of its values");
    assert_refused(&choice_row, "", "is not one of its values");
}

static void test_text(void **state)
{
    static char word[OPTION_TEXT_MAX_BYTES + 2];

    (void)state;
    assert_int_equal(option_value_check(&path_row, SLICE_LITERAL("/a"), NULL, NULL), 0);
    assert_int_equal(option_value_check(&path_row, SLICE_LITERAL(""), NULL, NULL), 0);
    assert_refused(&path_row, "a/b", "\"a/b\" is not an absolute path");
    assert_refused(&path_row, "/a\nb", "a control character");
    memset(word, 'w', sizeof(word) - 1);
    assert_refused(&secret_row, word, "is longer than 4096 bytes");
    assert_int_equal(option_value_check(&secret_row, slice_of(word, 4096), NULL, NULL), 0);
}

/* A key with a line break would break its header; and no message shows it. */
static void test_secrets_do_not_show(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(option_value_check(&secret_row, SLICE_LITERAL("auth_hunter2\n"), NULL, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "a line break"));
    assert_null(strstr(err.text, "hunter2"));
}

static void test_format_reads_back(void **state)
{
    static const uint64_t numbers[] = {0,    1,     999,   1000,    1024,       1500,
                                       4096, 60000, 90000, 3600000, 8ull << 30, (8ull << 30) + 1};
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct option_row row = {.type = OPTION_TYPE_SIZE, .max = UINT64_MAX};

        assert_number(&row, option_value_format(&row, numbers[i], text, sizeof(text)), numbers[i]);
        row.type = OPTION_TYPE_TIME;
        assert_number(&row, option_value_format(&row, numbers[i], text, sizeof(text)), numbers[i]);
        row.type = OPTION_TYPE_INT;
        assert_number(&row, option_value_format(&row, numbers[i], text, sizeof(text)), numbers[i]);
    }
    assert_string_equal(option_value_format(&size_row, 16 << 20, text, sizeof(text)), "16M");
    assert_string_equal(option_value_format(&time_row, 90000, text, sizeof(text)), "90s");
    assert_string_equal(option_value_format(&time_row, 600000, text, sizeof(text)), "10m");
    assert_string_equal(option_value_format(&bool_row, 1, text, sizeof(text)), "true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bools_and_choices),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_secrets_do_not_show),
        cmocka_unit_test(test_format_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
