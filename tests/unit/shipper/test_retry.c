#include "shipper/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS 1000000ull
#define MIN (500 * MS)
#define MAX (30000 * MS)

static struct retry fresh(void)
{
    struct retry retry;

    retry_init(&retry, MIN, MAX);
    return retry;
}

static struct retry_failure failure(uint64_t now, uint64_t sent)
{
    return (struct retry_failure){.now_ns = now, .sent_ns = sent, .random = UINT64_MAX};
}

static void test_open(void **state)
{
    struct retry retry = fresh();

    (void)state;
    assert_true(retry_may_send(&retry, 0));
    retry_sent(&retry);
    assert_true(retry_may_send(&retry, 0)); /* several in flight */
    assert_int_equal(retry_wake_ns(&retry), UINT64_MAX);
    assert_false(retry_succeeded(&retry, 0));
}

static void test_one_try_at_a_time(void **state)
{
    struct retry retry = fresh();
    struct retry_failure f = failure(1000, 10);

    (void)state;
    f.random = 100 * MS;
    assert_true(retry_failed(&retry, &f));
    assert_int_equal(retry.tries, 1);
    assert_int_equal(retry_wake_ns(&retry), 1000 + 100 * MS);
    assert_false(retry_may_send(&retry, 999 + 100 * MS));
    assert_true(retry_may_send(&retry, 1000 + 100 * MS));
    retry_sent(&retry);
    assert_false(retry_may_send(&retry, 1000 + 200 * MS));
    assert_int_equal(retry_wake_ns(&retry), UINT64_MAX);
    assert_true(retry_succeeded(&retry, 1000 + 100 * MS));
    assert_int_equal(retry.tries, 0);
    assert_true(retry_may_send(&retry, 1000 + 200 * MS));
}

static void test_one_wave_is_one_failure(void **state)
{
    struct retry retry = fresh();
    struct retry_failure f = failure(1000, 10);
    uint64_t until;

    (void)state;
    assert_true(retry_failed(&retry, &f));
    until = retry.until_ns;
    f = failure(1001, 11);
    assert_false(retry_failed(&retry, &f));
    assert_int_equal(retry.tries, 1);
    assert_int_equal(retry.until_ns, until);
    f.retry_after_ns = 100000 * MS; /* but what it asks for counts */
    assert_false(retry_failed(&retry, &f));
    assert_int_equal(retry.until_ns, 1001 + 100000 * MS);
    assert_int_equal(retry.tries, 1);
    assert_false(retry_succeeded(&retry, 12)); /* sent before the failure: says nothing */
    assert_int_equal(retry.state, RETRY_BACKOFF);
    assert_false(retry_held(&retry, &f));
    assert_int_equal(retry.state, RETRY_BACKOFF);
}

static void test_retry_after_is_the_least(void **state)
{
    struct retry retry = fresh();
    struct retry_failure f = failure(1000, 10);

    (void)state;
    f.random = 0;
    f.retry_after_ns = 9000 * MS;
    retry_failed(&retry, &f);
    assert_int_equal(retry.until_ns, 1000 + 9000 * MS);
}

static void test_held(void **state)
{
    struct retry retry = fresh();
    struct retry_failure f = failure(1000, 10);

    (void)state;
    assert_true(retry_held(&retry, &f));
    assert_int_equal(retry.until_ns, 1000 + MAX);
    retry_sent(&retry);
    f = failure(1000 + MAX + 5, 1000 + MAX);
    assert_false(retry_held(&retry, &f));
    assert_int_equal(retry.tries, 2);
    assert_true(retry_may_send(&retry, f.now_ns + MAX));
    retry_sent(&retry);
    f = failure(f.now_ns + MAX + 5, f.now_ns + MAX);
    assert_true(retry_failed(&retry, &f)); /* held → backoff */
    assert_int_equal(retry.state, RETRY_BACKOFF);
}

/* Whatever the dice say: within the doubling ceiling, never nothing, and it spreads. */
static void test_delays(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 500; seed++) {
        struct retry retry = fresh();
        uint64_t now = 5000, ceiling = MIN;
        unsigned random = seed;

        for (unsigned i = 0; i < 40; i++) {
            struct retry_failure f = failure(now, now);
            uint64_t delay;

            f.random = (uint64_t)rand_r(&random) << 32 | (uint64_t)rand_r(&random);
            f.now_ns = now + (unsigned)rand_r(&random) % 1000;
            assert_true(retry_may_send(&retry, now));
            retry_sent(&retry);
            retry_failed(&retry, &f);
            delay = retry.until_ns - f.now_ns;
            assert_true(delay >= MIN / 10);
            assert_true(delay <= ceiling);
            assert_int_equal(retry.tries, i + 1);
            ceiling = ceiling * 2 < MAX ? ceiling * 2 : MAX;
            now = retry.until_ns;
        }
    }
}

static void test_ceiling_is_used(void **state)
{
    uint64_t below = 0, above = 0;
    unsigned random = 7;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct retry retry = fresh();
        struct retry_failure f = failure(1, 1);

        retry.tries = 20;
        f.random = (uint64_t)rand_r(&random) << 32 | (uint64_t)rand_r(&random);
        retry_failed(&retry, &f);
        below += retry.until_ns < 1 + MAX / 4;
        above += retry.until_ns > 1 + MAX * 3 / 4;
    }
    assert_in_range(below, 400, 600); /* a quarter each: full jitter */
    assert_in_range(above, 400, 600);
}

static void test_no_overflow(void **state)
{
    struct retry retry;
    struct retry_failure f = failure(1, 1);

    (void)state;
    retry_init(&retry, UINT64_MAX / 3, UINT64_MAX / 3);
    retry.tries = UINT32_MAX;
    retry_failed(&retry, &f);
    assert_int_equal(retry.tries, UINT32_MAX);
    retry_init(&retry, 20, 10); /* min above max: max counts */
    assert_int_equal(retry.min_ns, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_one_try_at_a_time),
        cmocka_unit_test(test_one_wave_is_one_failure),
        cmocka_unit_test(test_retry_after_is_the_least),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_ceiling_is_used),
        cmocka_unit_test(test_no_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
