/* The memory budget, the pool of buffers and the table of handles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "receiver/budget.h"
#include "receiver/pool.h"
#include "receiver/table.h"

#define MB (1u << 20)

static void the_shared_part_ends(void **state)
{
    struct budget budget;
    struct budget_share a = {0};

    (void)state;
    budget_init(&budget, 64 * MB, 16 * MB);
    assert_true(budget_has(&budget, &a, 42 * MB)); /* alone: all but the last eighth */
    assert_false(budget_has(&budget, &a, 42 * MB + 1));
    budget_take(&budget, &a, 40 * MB, false);
    assert_true(budget_has(&budget, &a, 2 * MB));
    assert_false(budget_has(&budget, &a, 3 * MB));
    budget_give(&budget, &a, 40 * MB, false);
    assert_int_equal(budget.used, 0);
    assert_int_equal(budget.peers, 0);
}

static void never_less_than_twice_a_message(void **state)
{
    struct budget budget;
    struct budget_share a = {0};

    (void)state;
    budget_init(&budget, 1 * MB, 16 * MB);
    assert_true(budget_has(&budget, &a, 14 * MB));
}

static void a_peer_that_takes_all_leaves_room_for_others(void **state)
{
    struct budget budget;
    struct budget_share greedy = {0}, late = {0};

    (void)state;
    budget_init(&budget, 64 * MB, 16 * MB);
    while (budget_has(&budget, &greedy, 64 * 1024))
        budget_take(&budget, &greedy, 64 * 1024, false);
    assert_true(budget_has(&budget, &late, 5 * MB));
    budget_take(&budget, &late, 5 * MB, false);
    assert_false(budget_has(&budget, &greedy, 64 * 1024));
    assert_false(budget_has(&budget, &late, 2 * MB));
}

static void a_peer_gets_its_share_under_pressure(void **state)
{
    struct budget budget;
    struct budget_share greedy = {0}, small = {0};

    (void)state;
    budget_init(&budget, 64 * MB, 16 * MB);
    budget_take(&budget, &greedy, 22 * MB, false);
    budget_take(&budget, &small, 1 * MB, false);
    assert_true(budget_has(&budget, &greedy, 1 * MB));  /* up to half, all is free */
    assert_false(budget_has(&budget, &greedy, 3 * MB)); /* 48 MB between two */
    assert_true(budget_has(&budget, &small, 19 * MB));
}

static void one_can_always_finish(void **state)
{
    struct budget budget;
    struct budget_share a = {0}, b = {0};

    (void)state;
    budget_init(&budget, 32 * MB, 16 * MB);
    budget_take(&budget, &a, 8 * MB, false);
    budget_take(&budget, &b, 8 * MB, false);
    assert_false(budget_has(&budget, &a, 1));
    assert_false(budget_has(&budget, &b, 1));
    /* a becomes the finisher with what it holds, grows to a whole message, ends. */
    budget_begin_finish(&budget, 8 * MB);
    budget_take(&budget, &a, 8 * MB, true);
    assert_true(budget.used <= 32 * MB);
    budget_give(&budget, &a, 16 * MB, true);
    budget_end_finish(&budget);
    assert_true(budget_has(&budget, &b, 6 * MB));
}

static void buffers_come_in_classes_and_grow(void **state)
{
    struct pool *pool = pool_new(16 * MB + 64 * 1024, 1 * MB);
    struct pool_buffer buffer = {0}, other = {0};

    (void)state;
    assert_int_equal(pool_class(pool, 1), 4096);
    assert_int_equal(pool_class(pool, 4097), 8192);
    assert_int_equal(pool_class(pool, 100 * MB), 16 * MB + 64 * 1024);
    assert_int_equal(pool_take(pool, 5000, &buffer), 0);
    assert_int_equal(buffer.bytes, 8192);
    memset(buffer.p, 'x', 8192);
    /* Through the border between allocated and mapped memory, up to the largest class. */
    while (buffer.bytes < 16 * MB + 64 * 1024) {
        size_t used = buffer.bytes;

        assert_int_equal(pool_grow(pool, &buffer, used, used + 1), 0);
        assert_true(buffer.bytes > used);
        assert_int_equal(buffer.p[8191], 'x');
        memset(buffer.p + used, 'y', buffer.bytes - used);
    }
    assert_int_equal(buffer.p[0], 'x');
    pool_give(pool, &buffer); /* above what is kept: freed at once */
    assert_null(buffer.p);
    assert_true(pool_kept(pool) <= 1 * MB);
    assert_int_equal(pool_take(pool, 200 * 1024, &buffer), 0);
    pool_give(pool, &buffer);
    assert_int_equal(pool_take(pool, 256 * 1024, &other), 0); /* the kept one, again */
    pool_give(pool, &other);
    pool_trim(pool);
    assert_int_equal(pool_kept(pool), 0);
    pool_free(&pool);
}

static void a_handle_finds_nobody_elses(void **state)
{
    struct table *table = table_new();
    int members[200];
    uint64_t handles[200], again;

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(table_add(table, &members[i], &handles[i]), 0);
    for (unsigned i = 0; i < 200; i++)
        assert_ptr_equal(table_find(table, handles[i]), &members[i]);
    table_remove(table, handles[7]);
    assert_null(table_find(table, handles[7]));
    table_remove(table, handles[7]); /* nothing */
    assert_int_equal(table_count(table), 199);
    assert_int_equal(table_add(table, &members[7], &again), 0);
    assert_true(again != handles[7] && again < TABLE_HANDLE_LIMIT);
    assert_null(table_find(table, handles[7]));
    assert_ptr_equal(table_find(table, again), &members[7]);
    assert_null(table_find(table, 123456));
    table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shared_part_ends),
        cmocka_unit_test(never_less_than_twice_a_message),
        cmocka_unit_test(a_peer_gets_its_share_under_pressure),
        cmocka_unit_test(a_peer_that_takes_all_leaves_room_for_others),
        cmocka_unit_test(one_can_always_finish),
        cmocka_unit_test(buffers_come_in_classes_and_grow),
        cmocka_unit_test(a_handle_finds_nobody_elses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
