#include "shipper/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110. */
#define EXAMPLE_S 784111777ull

static struct verdict of_status(unsigned status, const char *type, struct slice body)
{
    struct verdict_answer answer = {.transport = VERDICT_ANSWERED,
                                    .status = status,
                                    .content_type = slice_string(type),
                                    .body = body};
    struct verdict verdict;

    verdict_of(&answer, &verdict);
    return verdict;
}

/* Every status that a server may send, so that a changed row shows. */
static void test_every_status(void **state)
{
    (void)state;
    for (unsigned status = 100; status < 1000; status++) {
        enum verdict_kind expected = VERDICT_HOLD;

        if (status >= 200 && status < 300)
            expected = VERDICT_SUCCESS;
        if (status == 400 || status == 413)
            expected = VERDICT_SPLIT;
        if (status == 429 || status == 502 || status == 503 || status == 504)
            expected = VERDICT_RETRY;
        assert_int_equal(of_status(status, "", SLICE_LITERAL("")).kind, expected);
        assert_int_equal(of_status(status, "", SLICE_LITERAL("")).too_large, status == 413);
    }
}

static void test_transport(void **state)
{
    struct verdict_answer answer = {.transport = VERDICT_UNREACHABLE, .failure = "timed out"};
    struct verdict verdict;

    (void)state;
    verdict_of(&answer, &verdict);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_string_equal(verdict.words, "timed out");
    answer.transport = VERDICT_UNTRUSTED;
    answer.failure = NULL;
    verdict_of(&answer, &verdict);
    assert_int_equal(verdict.kind, VERDICT_HOLD);
}

static void test_partial_success(void **state)
{
    /* {partial_success {rejected_log_records: 3, error_message: "too old"}} */
    static const uint8_t partial[] = "\x0a\x0b\x08\x03\x12\x07too old";
    static const uint8_t negative[] = "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    struct verdict v;

    (void)state;
    v = of_status(200, "application/x-protobuf", slice_of(partial, sizeof(partial) - 1));
    assert_int_equal(v.kind, VERDICT_SUCCESS);
    assert_int_equal(v.rejected, 3);
    assert_true(v.has_words);
    assert_string_equal(v.words, "200 from the server: too old");

    v = of_status(200, "application/x-protobuf", slice_of(negative, sizeof(negative) - 1));
    assert_int_equal(v.rejected, 0);

    v = of_status(200, "application/json; charset=utf-8",
                  SLICE_LITERAL("{\"partialSuccess\":{\"rejectedLogRecords\":\"12\","
                                "\"errorMessage\":\"a\\nb\"}}"));
    assert_int_equal(v.rejected, 12);
    assert_string_equal(v.words, "200 from the server: a b");
    v = of_status(200, "application/json",
                  SLICE_LITERAL("{\"partialSuccess\":{\"rejectedLogRecords\":7}}"));
    assert_int_equal(v.rejected, 7);
    assert_false(v.has_words);

    v = of_status(200, "application/json", SLICE_LITERAL("{}"));
    assert_int_equal(v.rejected, 0);
    v = of_status(202, "application/x-protobuf", SLICE_LITERAL(""));
    assert_int_equal(v.kind, VERDICT_SUCCESS);
    assert_false(v.has_words);
}

/* Whatever a body is, the status decides; and every cut of it is read without harm. */
static void test_bad_bodies(void **state)
{
    static const uint8_t partial[] = "\x0a\x0b\x08\x03\x12\x07too old";
    static const char json[] =
        "{\"partialSuccess\":{\"rejectedLogRecords\":{},\"errorMessage\":[1]}}";

    (void)state;
    for (size_t n = 0; n < sizeof(partial); n++) {
        uint8_t *copy = malloc(n + 1); /* its own block, so that a read beyond shows */

        memcpy(copy, partial, n);
        assert_int_equal(of_status(200, "application/x-protobuf", slice_of(copy, n)).kind,
                         VERDICT_SUCCESS);
        assert_int_equal(of_status(503, "application/x-protobuf", slice_of(copy, n)).kind,
                         VERDICT_RETRY);
        free(copy);
    }
    for (size_t n = 0; n < sizeof(json); n++) {
        char *copy = malloc(n + 1);

        memcpy(copy, json, n);
        assert_int_equal(of_status(200, "application/json", slice_of(copy, n)).rejected, 0);
        free(copy);
    }
    assert_int_equal(of_status(200, "text/html", SLICE_LITERAL("<html>")).kind, VERDICT_SUCCESS);
}

static void test_words_of_errors(void **state)
{
    static const uint8_t rpc_status[] = "\x08\x0e\x12\x08too many";
    char long_text[2000];
    struct verdict v;

    (void)state;
    v = of_status(429, "application/x-protobuf", slice_of(rpc_status, sizeof(rpc_status) - 1));
    assert_string_equal(v.words, "429 from the server: too many");
    v = of_status(401, "application/json", SLICE_LITERAL("{\"code\":16,\"message\":\"no token\"}"));
    assert_string_equal(v.words, "401 from the server: no token");
    v = of_status(502, "text/plain", SLICE_LITERAL("\r\n bad\x1b[31m  gateway \xc3\xa4\n"));
    assert_string_equal(v.words, "502 from the server: bad [31m gateway ??");
    v = of_status(502, "text/html", SLICE_LITERAL("<html>"));
    assert_string_equal(v.words, "502 from the server");
    memset(long_text, 'x', sizeof(long_text));
    v = of_status(502, "text/plain", slice_of(long_text, sizeof(long_text)));
    assert_int_equal(strlen(v.words), VERDICT_WORDS_BYTES - 1);
}

static void test_retry_after(void **state)
{
    (void)state;
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL("7"), 0), 7000);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL(" 7\r\n"), 0), 7000);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL("0"), 0), 0);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL(""), 0), 0);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL("-5"), 0), 0);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL("soon"), 0), 0);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL("99999999999999999999999"), 0), 0);
    assert_int_equal(verdict_retry_after_ms(SLICE_LITERAL("864000"), 0),
                     VERDICT_RETRY_AFTER_MAX_MS);
    assert_int_equal(
        verdict_retry_after_ms(SLICE_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT"), EXAMPLE_S - 9),
        9000);
    assert_int_equal(
        verdict_retry_after_ms(SLICE_LITERAL("Sunday, 06-Nov-94 08:49:37 GMT"), EXAMPLE_S - 8),
        8000);
    assert_int_equal(
        verdict_retry_after_ms(SLICE_LITERAL("Sun Nov  6 08:49:37 1994"), EXAMPLE_S - 7), 7000);
    assert_int_equal(
        verdict_retry_after_ms(SLICE_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT"), EXAMPLE_S), 0);
    assert_int_equal(
        verdict_retry_after_ms(SLICE_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT, junk"), 0), 0);
}

static void test_retry_after_in_answers(void **state)
{
    struct verdict_answer answer = {
        .transport = VERDICT_ANSWERED, .status = 503, .retry_after = SLICE_LITERAL("3")};
    struct verdict verdict;

    (void)state;
    verdict_of(&answer, &verdict);
    assert_int_equal(verdict.retry_after_ms, 3000);
    answer.status = 200;
    verdict_of(&answer, &verdict);
    assert_int_equal(verdict.retry_after_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status),           cmocka_unit_test(test_transport),
        cmocka_unit_test(test_partial_success),        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_words_of_errors),        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retry_after_in_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
