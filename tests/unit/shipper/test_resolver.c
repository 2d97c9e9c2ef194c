#include "shipper/resolver.h"

#include "shared/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct answers {
    unsigned count;
    char addresses[512], failure[200];
};

static void on_answer(void *context, const char *addresses, const char *failure)
{
    struct answers *answers = context;

    answers->count++;
    snprintf(answers->addresses, sizeof(answers->addresses), "%s",
             addresses != NULL ? addresses : "");
    snprintf(answers->failure, sizeof(answers->failure), "%s", failure);
}

static void run(sd_event *event, struct answers *answers, unsigned count)
{
    uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

    while (answers->count < count) {
        assert_true(sd_event_run(event, 100000) >= 0);
        assert_true(clock_monotonic_ns() < end);
    }
}

static void test_names(void **state)
{
    struct answers answers = {0};
    struct resolver *resolver = NULL;
    sd_event *event = NULL;

    (void)state;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(resolver_start(event, "localhost", on_answer, &answers, &resolver, NULL), 0);
    assert_false(resolver_is_asking(resolver));
    resolver_ask(resolver);
    resolver_ask(resolver); /* one question */
    assert_true(resolver_is_asking(resolver));
    run(event, &answers, 1);
    assert_true(strstr(answers.addresses, "127.0.0.1") != NULL ||
                strstr(answers.addresses, "[::1]") != NULL);
    assert_false(resolver_is_asking(resolver));
    resolver_ask(resolver);
    run(event, &answers, 2);
    resolver_stop(&resolver);
    assert_null(resolver);

    assert_int_equal(
        resolver_start(event, "no.such.host.invalid", on_answer, &answers, &resolver, NULL), 0);
    resolver_ask(resolver);
    run(event, &answers, 3);
    assert_string_equal(answers.addresses, "");
    assert_non_null(strstr(answers.failure, "cannot resolve no.such.host.invalid: "));
    resolver_stop(&resolver);
    sd_event_unref(event);
}

/* Stopping with a question under way neither waits nor calls back. */
static void test_stop_while_asking(void **state)
{
    struct answers answers = {0};
    sd_event *event = NULL;

    (void)state;
    assert_true(sd_event_new(&event) >= 0);
    for (unsigned i = 0; i < 20; i++) {
        struct resolver *resolver = NULL;

        assert_int_equal(resolver_start(event, "localhost", on_answer, &answers, &resolver, NULL),
                         0);
        resolver_ask(resolver);
        resolver_stop(&resolver);
    }
    assert_int_equal(sd_event_run(event, 0), 0);
    assert_int_equal(answers.count, 0);
    sd_event_unref(event);
}

static void test_is_address(void **state)
{
    (void)state;
    assert_true(resolver_is_address("192.0.2.1"));
    assert_true(resolver_is_address("[2001:db8::1]"));
    assert_true(resolver_is_address("::1"));
    assert_false(resolver_is_address("localhost"));
    assert_false(resolver_is_address("1.example"));
    assert_false(resolver_is_address(""));
    assert_false(resolver_is_address("["));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_stop_while_asking),
        cmocka_unit_test(test_is_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
