/* UTF-8: what is valid, and what is replaced by how many U+FFFD. */
#include "shared/otlp/utf8.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

/* Sanitises, from a heap copy of the exact size so that the sanitizer sees a step too far. */
static void check(const char *from, size_t n, const char *want)
{
    uint8_t *copy = malloc(n + (n == 0)), *out = malloc(3 * n + 1);
    struct slice s = {copy, n};
    size_t want_n = strlen(want);

    memcpy(copy, from, n);
    assert_int_equal(utf8_sanitized_bytes(s), want_n);
    assert_int_equal(utf8_sanitize(out, s) - out, want_n);
    assert_memory_equal(out, want, want_n);
    assert_int_equal(utf8_is_valid(s), want_n == n && memcmp(from, want, n) == 0);
    free(copy);
    free(out);
}

#define R "\xef\xbf\xbd"

static void valid_text_stays(void **state)
{
    static const char *const rows[] = {
        "",
        "a",
        "ascii that is longer than sixteen bytes",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "sixteen bytes of ascii, then \xe2\x82\xac and \xf0\x9f\x98\x80 and more text behind it",
        "\x01\x7f\t\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check(rows[i], strlen(rows[i]), rows[i]);
}

/* The expected ones are Python's bytes.decode("utf-8", "replace"). */
static void invalid_text_is_replaced(void **state)
{
    (void)state;
    check("\x80", 1, R);
    check("\xff", 1, R);
    check("a\xc3", 2, "a" R);
    check("\xc0\xaf", 2, R R);
    check("\xc1\xbf", 2, R R);
    check("\xe0\x80\xaf", 3, R R R);
    check("\xed\xa0\x80", 3, R R R);
    check("\xf0\x80\x80\x80", 4, R R R R);
    check("\xf4\x90\x80\x80", 4, R R R R);
    check("\xf5\x80", 2, R R);
    check("\xe2\x82", 2, R);
    check("\xe2\x82xyz", 5, R "xyz");
    check("\xf0\x9f\x98", 3, R);
    check("\xf0\x9f\x98\xf0\x9f\x98\x80", 7, R "\xf0\x9f\x98\x80");
    check("sixteen bytes of\x80 and sixteen more bytes \xfe", 42,
          "sixteen bytes of" R " and sixteen more bytes " R);
}

/* A bad byte is found at every place of every length. */
static void every_position(void **state)
{
    char text[70];

    (void)state;
    for (size_t n = 1; n < sizeof(text); n++) {
        for (size_t at = 0; at < n; at++) {
            memset(text, 'a', n);
            text[at] = '\x80';
            assert_false(utf8_is_valid(slice_of(text, n)));
            assert_int_equal(utf8_valid_bytes(slice_of(text, n)), at);
            assert_int_equal(utf8_sanitized_bytes(slice_of(text, n)), n + 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_text_stays),
        cmocka_unit_test(invalid_text_is_replaced),
        cmocka_unit_test(every_position),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
