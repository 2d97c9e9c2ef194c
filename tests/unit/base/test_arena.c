#include "shared/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const struct arena_limits small = {
    .block_bytes = 1024,
    .keep_bytes = 4096,
    .max_bytes = 16384,
};

static void test_things_are_aligned_and_apart(void **state)
{
    struct arena arena;
    uint8_t *before = NULL;

    (void)state;
    arena_init(&arena, small);
    for (size_t align = 1; align <= alignof(max_align_t); align *= 2) {
        uint8_t *p = arena_alloc(&arena, 3, align);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        if (before != NULL)
            assert_true(p >= before + 3);
        memset(p, 0xaa, 3);
        before = p;
    }
    arena_fini(&arena);
}

static void test_blocks_grow_and_bytes_stay(void **state)
{
    struct arena arena;
    uint32_t *things[1000];

    (void)state;
    arena_init(&arena, small);
    for (uint32_t i = 0; i < 1000; i++) {
        things[i] = arena_new(&arena, uint32_t);
        assert_non_null(things[i]);
        *things[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(*things[i], i);
    assert_true(arena.owned_bytes >= 4000);
    arena_fini(&arena);
    assert_int_equal(arena.owned_bytes, 0);
}

static void test_limit_gives_null_and_leaves_it_usable(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, small);
    assert_null(arena_alloc(&arena, small.max_bytes, 1));
    assert_null(arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15, 16));
    assert_null(arena_new_array(&arena, SIZE_MAX / 4, uint64_t));
    assert_non_null(arena_alloc(&arena, 8000, 8));
    assert_null(arena_alloc(&arena, 9000, 8));
    assert_non_null(arena_alloc(&arena, 100, 8));
    assert_true(arena.owned_bytes <= small.max_bytes);
    arena_fini(&arena);
}

static void test_reset_keeps_little_and_reuses_it(void **state)
{
    struct arena arena;
    void *first;

    (void)state;
    arena_init(&arena, small);
    first = arena_alloc(&arena, 1000, 8);
    for (int i = 0; i < 12; i++)
        assert_non_null(arena_alloc(&arena, 1000, 8));
    assert_true(arena.owned_bytes > small.keep_bytes);
    arena_reset(&arena);
    assert_true(arena.owned_bytes <= small.keep_bytes);
    assert_true(arena.owned_bytes > 0);
    for (int round = 0; round < 5; round++) {
        size_t owned = arena.owned_bytes;

        assert_ptr_equal(arena_alloc(&arena, 1000, 8), first);
        assert_non_null(arena_alloc(&arena, 1000, 8));
        assert_int_equal(arena.owned_bytes, owned);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void test_one_huge_batch_does_not_stay(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, small);
    assert_non_null(arena_alloc(&arena, 9000, 8));
    arena_reset(&arena);
    assert_true(arena.owned_bytes <= small.keep_bytes);
    assert_non_null(arena_alloc(&arena, 9000, 8));
    arena_fini(&arena);
}

/* A kept block that is too small for the next thing is passed over, not lost. */
static void test_large_thing_between_kept_blocks(void **state)
{
    struct arena arena;
    size_t owned;

    (void)state;
    arena_init(&arena, small);
    for (int i = 0; i < 3; i++)
        assert_non_null(arena_alloc(&arena, 1000, 8));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 1000, 8));
    assert_non_null(memset(arena_alloc(&arena, 5000, 8), 1, 5000));
    owned = arena.owned_bytes;
    for (int i = 0; i < 2; i++)
        assert_non_null(memset(arena_alloc(&arena, 1000, 8), 2, 1000));
    assert_int_equal(arena.owned_bytes, owned);
    arena_reset(&arena);
    assert_true(arena.owned_bytes <= small.keep_bytes);
    arena_fini(&arena);
}

static void test_copy_and_empty(void **state)
{
    struct arena arena;
    char *copy;

    (void)state;
    arena_init(&arena, small);
    arena_reset(&arena);
    copy = arena_copy(&arena, "words", 6);
    assert_string_equal(copy, "words");
    assert_non_null(arena_copy(&arena, NULL, 0));
    assert_non_null(arena_alloc(&arena, 0, 1));
    arena_fini(&arena);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things_are_aligned_and_apart),
        cmocka_unit_test(test_blocks_grow_and_bytes_stay),
        cmocka_unit_test(test_limit_gives_null_and_leaves_it_usable),
        cmocka_unit_test(test_reset_keeps_little_and_reuses_it),
        cmocka_unit_test(test_one_huge_batch_does_not_stay),
        cmocka_unit_test(test_large_thing_between_kept_blocks),
        cmocka_unit_test(test_copy_and_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
