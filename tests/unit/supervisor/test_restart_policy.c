#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/restart_policy.h"

static struct restart_facts death(uint64_t healthy_ns)
{
    return (struct restart_facts){.healthy_ns = healthy_ns, .delay_max_ns = 10000000000ull};
}

static void test_first_at_once(void **state)
{
    struct restart_policy policy = {0};
    struct restart_facts facts = death(1);

    (void)state;
    assert_int_equal(restart_policy_next(&policy, &facts), 0);
    assert_int_not_equal(restart_policy_next(&policy, &facts), 0);
}

/* random 0 gives a half of the delay, the largest gives all of it. */
static void test_doubles_up_to_the_limit(void **state)
{
    static const uint64_t halves_ms[] = {50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
    struct restart_policy policy = {0};
    struct restart_facts facts = death(0);

    (void)state;
    assert_int_equal(restart_policy_next(&policy, &facts), 0);
    for (size_t i = 0; i < sizeof(halves_ms) / sizeof(halves_ms[0]); i++)
        assert_int_equal(restart_policy_next(&policy, &facts), halves_ms[i] * 1000000);
    policy.failures = 1;
    facts.random = 50000000; /* of 0 … 50,000,000 */
    assert_int_equal(restart_policy_next(&policy, &facts), 100000000);
}

static void test_jitter_stays_in_range(void **state)
{
    struct restart_policy policy;
    struct restart_facts facts = death(0);
    uint64_t low = UINT64_MAX, high = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t delay;

        policy.failures = 2;
        facts.random = i * 0x9e3779b97f4a7c15ull;
        delay = restart_policy_next(&policy, &facts);
        assert_true(delay >= 100000000 && delay <= 200000000);
        low = delay < low ? delay : low;
        high = delay > high ? delay : high;
    }
    assert_true(low < 110000000 && high > 190000000);
}

/* For ever, without an overflow of the shift. */
static void test_never_above_the_limit(void **state)
{
    struct restart_policy policy = {0};
    struct restart_facts facts = death(0);

    (void)state;
    facts.random = UINT64_MAX;
    for (int i = 0; i < 1000; i++)
        assert_true(restart_policy_next(&policy, &facts) <= facts.delay_max_ns);
    policy.failures = UINT32_MAX - 1;
    assert_true(restart_policy_next(&policy, &facts) >= facts.delay_max_ns / 2);
}

static void test_health_starts_over(void **state)
{
    struct restart_policy policy = {.failures = 7};
    struct restart_facts facts = death(RESTART_HEALTHY_NS - 1);

    (void)state;
    assert_int_not_equal(restart_policy_next(&policy, &facts), 0);
    facts.healthy_ns = RESTART_HEALTHY_NS;
    assert_int_equal(restart_policy_next(&policy, &facts), 0);
    assert_int_equal(policy.failures, 1);
}

static void test_asked_does_not_count(void **state)
{
    struct restart_policy policy = {.failures = 7};
    struct restart_facts facts = death(0);

    (void)state;
    facts.asked = true;
    assert_int_equal(restart_policy_next(&policy, &facts), 0);
    assert_int_equal(policy.failures, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_at_once),
        cmocka_unit_test(test_doubles_up_to_the_limit),
        cmocka_unit_test(test_jitter_stays_in_range),
        cmocka_unit_test(test_never_above_the_limit),
        cmocka_unit_test(test_health_starts_over),
        cmocka_unit_test(test_asked_does_not_count),
    };

    return cmocka_run_group_tests_name("restart_policy", tests, NULL, NULL);
}
