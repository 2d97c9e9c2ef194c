#include "shared/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

static void test_grows_to_its_limit(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
    assert_int_equal(buf.n, 1000);
    assert_int_equal(buf_append(&buf, "x", 1), -ENOMEM);
    assert_int_equal(buf_append(&buf, NULL, 0), 0);
    assert_int_equal(buf_grow(&buf, SIZE_MAX), -ENOMEM);
    assert_int_equal(buf.n, 1000);
    assert_memory_equal(buf.p + 990, "0123456789", 10);
    buf_fini(&buf);
    assert_int_equal(buf_append(&buf, "x", 1), 0);
    buf_fini(&buf);
}

static void test_trim_gives_back(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1 << 20);
    assert_int_equal(buf_reserve(&buf, 100000), 0);
    assert_int_equal(buf_append(&buf, "abc", 3), 0);
    buf_trim(&buf, 2);
    assert_true(buf.cap >= 100000);
    buf_trim(&buf, 64);
    assert_int_equal(buf.cap, 64);
    assert_memory_equal(buf_slice(&buf).p, "abc", 3);
    buf.n = 0;
    buf_trim(&buf, 0);
    assert_null(buf.p);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_to_its_limit),
        cmocka_unit_test(test_trim_gives_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
