#include "shared/base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_sums_and_products(void **state)
{
    size_t size = 7;
    uint64_t number = 7;

    (void)state;
    assert_int_equal(num_add_size(1, 2, &size), 0);
    assert_int_equal(size, 3);
    assert_int_equal(num_add_size(SIZE_MAX, 1, &size), -EOVERFLOW);
    assert_int_equal(num_mul_size(SIZE_MAX / 2, 3, &size), -EOVERFLOW);
    assert_int_equal(size, 3);
    assert_int_equal(num_mul_size(SIZE_MAX / 2, 2, &size), 0);
    assert_int_equal(num_add_u64(UINT64_MAX, 0, &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(num_add_u64(UINT64_MAX, 1, &number), -EOVERFLOW);
    assert_int_equal(num_mul_u64(1ull << 32, 1ull << 32, &number), -EOVERFLOW);
    assert_true(number == UINT64_MAX);
}

static void test_align_up(void **state)
{
    uint64_t number = 0;

    (void)state;
    assert_int_equal(num_align_up(0, 4096, &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(num_align_up(1, 4096, &number), 0);
    assert_int_equal(number, 4096);
    assert_int_equal(num_align_up(4096, 4096, &number), 0);
    assert_int_equal(number, 4096);
    assert_int_equal(num_align_up(UINT64_MAX, 8, &number), -EOVERFLOW);
    assert_true(num_is_power_of_two(1));
    assert_false(num_is_power_of_two(0));
    assert_false(num_is_power_of_two(12));
}

static void test_numbers_from_text(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x10", "1.0", "ten", "1_000"};
    uint64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(num_parse_u64(slice_string(bad[i]), &number), -EINVAL);
    assert_int_equal(num_parse_u64(SLICE_LITERAL("18446744073709551616"), &number), -EOVERFLOW);
    assert_int_equal(num_parse_u64(SLICE_LITERAL("99999999999999999999x"), &number), -EINVAL);
    assert_int_equal(number, 7);
    assert_int_equal(num_parse_u64(SLICE_LITERAL("18446744073709551615"), &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(num_parse_u64(SLICE_LITERAL("007"), &number), 0);
    assert_int_equal(number, 7);
    /* Not NUL-terminated: the digit behind the slice is not read. */
    assert_int_equal(num_parse_u64(slice_of("1234", 2), &number), 0);
    assert_int_equal(number, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_and_products),
        cmocka_unit_test(test_align_up),
        cmocka_unit_test(test_numbers_from_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
