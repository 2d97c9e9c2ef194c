/*
 * test_server: a small OTLP/HTTP server in threads of the test: it reads whole requests, checks
 * that a gzip body is exactly one member, a zstd body frames and nothing else, and that the body is
 * what Content-Type says, counts the records it has taken, and answers as told.
 */
#ifndef TESTS_UNIT_SHIPPER_TEST_SERVER_H
#define TESTS_UNIT_SHIPPER_TEST_SERVER_H

#include "shared/base/slice.h"
#include "tests/unit/shipper/fixture.h"

#include <stdbool.h>

enum test_cut {
    CUT_NOT,
    CUT_BEFORE_ANSWER, /* the connection ends instead of an answer */
    CUT_HALF,          /* half of the answer, then the end */
    CUT_HANG,          /* no answer */
};

struct test_answer {
    unsigned status;
    const char *headers; /* each with its line end; or NULL */
    struct slice body;
    size_t endless; /* so many bytes of nothing behind the body, as far as the client takes them */
    enum test_cut cut;
};

struct test_request {
    unsigned number;    /* from 0 */
    const char *head;   /* request line and headers, NUL-terminated */
    struct slice plain; /* the decompressed body */
    bool has[FIXTURE_RECORDS];
    unsigned records;
};

/* Called in the server's thread, one at a time. */
typedef struct test_answer (*test_decide)(void *context, const struct test_request *request);

struct test_server;

/* port 0: any. */
struct test_server *test_server_start(unsigned port, test_decide decide, void *context);
void test_server_stop(struct test_server **server);
unsigned test_server_port(const struct test_server *server);

/* How often each record was in a request that was answered with a 2xx, whole or not. */
void test_server_counts(struct test_server *server, unsigned counts[FIXTURE_RECORDS]);
unsigned test_server_requests(struct test_server *server);
/* What was wrong with a request, or "". */
const char *test_server_violation(struct test_server *server);

#endif
