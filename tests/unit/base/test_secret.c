#include "shared/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

static void test_set_and_wipe(void **state)
{
    struct secret secret = {0};

    (void)state;
    assert_string_equal(secret_text(&secret), "");
    assert_int_equal(secret_set(&secret, SLICE_LITERAL("open sesame")), 0);
    assert_string_equal(secret_text(&secret), "open sesame");
    assert_int_equal(secret_slice(&secret).n, 11);
    assert_int_equal(secret_set(&secret, SLICE_LITERAL("a\0b")), -EINVAL);
    assert_string_equal(secret_text(&secret), "open sesame");
    assert_int_equal(secret_set(&secret, SLICE_LITERAL("")), 0);
    assert_null(secret.p);
    secret_fini(&secret);
    secret_fini(&secret);
    assert_string_equal(secret_text(&secret), "");
}

static void test_wipe_overwrites(void **state)
{
    char bytes[] = "key";

    (void)state;
    secret_wipe(bytes, 3);
    assert_memory_equal(bytes, "\0\0\0", 4);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(secret_equal(SLICE_LITERAL("abc"), SLICE_LITERAL("abc")));
    assert_false(secret_equal(SLICE_LITERAL("abc"), SLICE_LITERAL("abd")));
    assert_false(secret_equal(SLICE_LITERAL("abc"), SLICE_LITERAL("ab")));
    assert_true(secret_equal(SLICE_LITERAL(""), (struct slice){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_wipe),
        cmocka_unit_test(test_wipe_overwrites),
        cmocka_unit_test(test_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
