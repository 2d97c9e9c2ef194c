#include "shared/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct hash128 hash2(const char *a, const char *b)
{
    struct slice parts[] = {slice_string(a), slice_string(b)};

    return hash_slices(parts, 2);
}

static void test_borders_and_order_matter(void **state)
{
    struct hash128 ab = hash2("ab", "c");

    (void)state;
    assert_true(hash_equal(ab, hash2("ab", "c")));
    assert_false(hash_equal(ab, hash2("a", "bc")));
    assert_false(hash_equal(ab, hash2("abc", "")));
    assert_false(hash_equal(ab, hash2("", "abc")));
    assert_false(hash_equal(ab, hash2("c", "ab")));
    assert_false(hash_equal(hash2("", ""), hash_slices(&(struct slice){0}, 1)));
}

/* The value is on disks: it may never change. From xxhsum -H2 over 02 00.. "ab" 01 00.. "c". */
static void test_value_is_stable(void **state)
{
    struct hash128 ab = hash2("ab", "c");

    (void)state;
    assert_true(ab.low == 0xc05c0ee4c9f60440ull);
    assert_true(ab.high == 0xf2eda2708bcfd51cull);
}

static void test_long_slices(void **state)
{
    static uint8_t bytes[300000];
    struct slice part = slice_of(bytes, sizeof(bytes));
    struct hash128 zero = hash_slices(&part, 1);

    (void)state;
    bytes[299999] = 1;
    assert_false(hash_equal(zero, hash_slices(&part, 1)));
    bytes[299999] = 0;
    assert_true(hash_equal(zero, hash_slices(&part, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_borders_and_order_matter),
        cmocka_unit_test(test_value_is_stable),
        cmocka_unit_test(test_long_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
