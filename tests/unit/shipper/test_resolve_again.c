#include "tests/unit/shipper/fixture.h"
#include "tests/unit/shipper/test_server.h"

#include "shared/base/clock.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/*
 * A server whose name is not known any more, at an address that still works. The clock and the
 * resolver are this program's: it is linked before the libraries that have others.
 */

static uint64_t passed_ns; /* how far this program's clock is ahead */

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec + passed_ns;
}

uint64_t clock_realtime_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool name_is_gone;
static unsigned questions;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    static struct sockaddr_in address = {.sin_family = AF_INET};
    static struct addrinfo one = {.ai_family = AF_INET,
                                  .ai_socktype = SOCK_STREAM,
                                  .ai_addr = (struct sockaddr *)&address,
                                  .ai_addrlen = sizeof(address)};

    (void)node;
    (void)service;
    (void)hints;
    __atomic_add_fetch(&questions, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&name_is_gone, __ATOMIC_SEQ_CST))
        return EAI_NONAME;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *result = &one;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

static struct test_answer accept_all(void *context, const struct test_request *request)
{
    (void)context;
    (void)request;
    return (struct test_answer){.status = 200};
}

static unsigned asked(void)
{
    return __atomic_load_n(&questions, __ATOMIC_SEQ_CST);
}

static void test_name_that_went_away(void **state)
{
    struct fixture *f = fixture_new();
    struct test_server *server = test_server_start(0, accept_all, NULL);
    struct output *output;
    unsigned before;
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "http://backend.test:%u/v1/logs", test_server_port(server));
    fixture_set(f, OPT_OTLP_ENDPOINT, url);
    fixture_commit(f, 0, 1, 10);
    output = fixture_open(f, &output_http_ops);
    fixture_run_idle(f, output);

    /* The addresses are old now, and there are no new ones: the old ones are used. */
    __atomic_store_n(&name_is_gone, true, __ATOMIC_SEQ_CST);
    passed_ns += 120 * NS_PER_S;
    before = asked();
    fixture_commit(f, 0, 1, 10);
    fixture_run_idle(f, output);
    assert_int_equal(status_get(fixture_status(f), METRIC_RECORDS_DELIVERED), 20);
    for (unsigned i = 0; i < 200; i++)
        assert_true(sd_event_run(fixture_event(f), 1000) >= 0);
    assert_int_equal(asked(), before + 1); /* and not again at each answer */

    passed_ns += 10 * NS_PER_S;
    fixture_commit(f, 0, 1, 10);
    fixture_run_idle(f, output);
    for (unsigned i = 0; i < 200 && asked() == before + 1; i++)
        assert_true(sd_event_run(fixture_event(f), 1000) >= 0);
    assert_int_equal(asked(), before + 2); /* but after a while */
    output_close(&output);
    test_server_stop(&server);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_that_went_away),
    };

    log_open("test", 0, LOG_FORMAT_TEXT, LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
