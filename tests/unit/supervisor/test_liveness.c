#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/ipc/status_page.h"
#include "supervisor/liveness.h"

#define S 1000000000ull

static struct liveness_look look_at(uint64_t now_s, uint64_t progress, uint64_t phase)
{
    return (struct liveness_look){.now_ns = now_s * S,
                                  .hang_timeout_ns = 30 * S,
                                  .progress = progress,
                                  .phase = phase,
                                  .phase_since_ns = now_s * S};
}

static enum liveness_verdict check(struct liveness *liveness, uint64_t now_s, uint64_t progress,
                                   uint64_t phase)
{
    struct liveness_look look = look_at(now_s, progress, phase);

    return liveness_check(liveness, &look);
}

static void test_hang(void **state)
{
    struct liveness liveness;

    (void)state;
    liveness_reset(&liveness, 100 * S);
    assert_int_equal(check(&liveness, 101, 5, STATUS_COMPUTING), LIVENESS_FINE);
    assert_int_equal(check(&liveness, 130, 5, STATUS_COMPUTING), LIVENESS_FINE);
    assert_int_equal(check(&liveness, 131, 5, STATUS_COMPUTING), LIVENESS_HUNG);
}

static void test_progress_is_life(void **state)
{
    struct liveness liveness;

    (void)state;
    liveness_reset(&liveness, 0);
    for (uint64_t now = 1; now < 1000; now += 29)
        assert_int_equal(check(&liveness, now, now, STATUS_COMPUTING), LIVENESS_FINE);
    /* Any change, also to less: a successor counts anew. */
    assert_int_equal(check(&liveness, 1001, 1, STATUS_COMPUTING), LIVENESS_FINE);
}

static void test_waiting_may_be_silent(void **state)
{
    struct liveness liveness;

    (void)state;
    liveness_reset(&liveness, 0);
    assert_int_equal(check(&liveness, 1, 7, STATUS_IDLE), LIVENESS_FINE);
    assert_int_equal(check(&liveness, 100000, 7, STATUS_IDLE), LIVENESS_FINE);
    assert_int_equal(check(&liveness, 100000, 7, STATUS_DRAINING), LIVENESS_FINE);
    assert_int_equal(check(&liveness, 100000, 7, 4711), LIVENESS_FINE);
}

static void test_disk(void **state)
{
    struct liveness liveness;
    struct liveness_look look = look_at(100, 7, STATUS_IN_SYNC);

    (void)state;
    liveness_reset(&liveness, 0);
    look.phase_since_ns = 96 * S;
    assert_int_equal(liveness_check(&liveness, &look), LIVENESS_FINE);
    look.phase_since_ns = 95 * S;
    assert_int_equal(liveness_check(&liveness, &look), LIVENESS_IN_DISK);
    /* The sync thread, while the main thread goes on. */
    look = look_at(200, 8, STATUS_IDLE);
    look.sync_since_ns = 195 * S;
    assert_int_equal(liveness_check(&liveness, &look), LIVENESS_IN_DISK);
    look.sync_since_ns = 201 * S; /* a clock ahead of ours is no age */
    assert_int_equal(liveness_check(&liveness, &look), LIVENESS_FINE);
}

/* A stage that waits for its dead disk's thread computes nothing: it is not killed for it. */
static void test_disk_is_no_hang(void **state)
{
    struct liveness liveness;
    struct liveness_look look = look_at(1000, 0, STATUS_COMPUTING);

    (void)state;
    liveness_reset(&liveness, 0);
    look.sync_since_ns = 10 * S;
    assert_int_equal(liveness_check(&liveness, &look), LIVENESS_IN_DISK);
}

static void test_slow_start(void **state)
{
    struct liveness liveness;

    (void)state;
    liveness_reset(&liveness, 100 * S);
    assert_int_equal(check(&liveness, 129, 0, STATUS_STARTING), LIVENESS_FINE);
    assert_int_equal(check(&liveness, 130, 0, STATUS_STARTING), LIVENESS_SLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hang),       cmocka_unit_test(test_progress_is_life),
        cmocka_unit_test(test_disk),       cmocka_unit_test(test_waiting_may_be_silent),
        cmocka_unit_test(test_slow_start), cmocka_unit_test(test_disk_is_no_hang),
    };

    return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
