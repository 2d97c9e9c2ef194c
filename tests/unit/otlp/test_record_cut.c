/* Some records of a request as one of their own: shape, ranges, damage. */
#include "shared/otlp/pb.h"
#include "shared/otlp/record_cut.h"
#include "shared/otlp/transcode.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#define KEY_1 PB_KEY(1, PB_BYTES)
#define KEY_2 PB_KEY(2, PB_BYTES)
#define KEY_3 PB_KEY(3, PB_BYTES)

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((random_state >> 33) % n);
}

/* A body of "N" and some padding, so that lengths of one and of two bytes occur. */
static uint8_t *put_record(uint8_t *p, unsigned serial)
{
    uint8_t *record = pb_nest_begin(p, KEY_2, 2), *body = pb_nest_begin(record, 0x2a, 2), *q;
    char text[256];
    int n = snprintf(text, sizeof(text), "%u", serial);

    q = pb_put_bytes(body, KEY_1, slice_of(text, (size_t)n));
    q = pb_nest_end(body, 2, q);
    memset(text, 'x', sizeof(text));
    q = pb_put_bytes(q, KEY_3, slice_of(text, serial % 7 == 0 ? 200 : serial % 5));
    return pb_nest_end(record, 2, q);
}

/* Scope logs with so many records, the scope before, between or behind them. */
static uint8_t *put_scope(uint8_t *p, unsigned records, unsigned *serial)
{
    uint8_t *scope = pb_nest_begin(p, KEY_2, 3), *q = scope;
    unsigned place = random_below(records + 1);

    for (unsigned i = 0; i <= records; i++) {
        if (i == place)
            q = pb_put_bytes(q, KEY_1, SLICE_LITERAL("\x0a\x01s"));
        if (i < records)
            q = put_record(q, (*serial)++);
    }
    q = pb_put_fixed32(q, 0x7d, 7); /* unknown: copied */
    return pb_nest_end(scope, 3, q);
}

static struct buf random_request(unsigned *ret_records)
{
    unsigned serial = 0;
    struct buf b;
    uint8_t *p;

    buf_init(&b, 1 << 20);
    assert_int_equal(buf_reserve(&b, 1 << 18), 0);
    p = b.p;
    for (unsigned i = 1 + random_below(4); i > 0; i--) {
        uint8_t *resource = pb_nest_begin(p, KEY_1, 3);

        p = resource;
        if (random_below(2))
            p = pb_put_bytes(p, KEY_1, SLICE_LITERAL("\x0a\x03\x0a\x01r"));
        for (unsigned k = 1 + random_below(3); k > 0; k--)
            p = put_scope(p, 1 + random_below(12), &serial);
        p = pb_put_bytes(p, KEY_3, SLICE_LITERAL("schema"));
        p = pb_nest_end(resource, 3, p);
    }
    b.n = (size_t)(p - b.p);
    *ret_records = serial;
    return b;
}

/* Cuts an exactly sized copy, so that the sanitizer sees a step too far. */
static int cut(struct slice from, uint64_t first, uint64_t end, struct buf *out,
               uint64_t *ret_records, struct err *err)
{
    uint8_t *copy = malloc(from.n + (from.n == 0));
    int r;

    if (from.n > 0)
        memcpy(copy, from.p, from.n);
    r = record_cut(slice_of(copy, from.n), first, end, out, ret_records, err);
    free(copy);
    return r;
}

/* The bodies of the request's records must be first, first + 1, ... end - 1. */
static void check_bodies(struct slice request, unsigned first, unsigned end)
{
    static const char mark[] = "\"body\":{\"stringValue\":\"";
    struct buf json;
    const char *at;
    struct err err;

    buf_init(&json, 1 << 20);
    if (transcode_json(request, 0, &json, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(buf_append(&json, "", 1), 0);
    at = (const char *)json.p;
    for (unsigned i = first; i < end; i++) {
        at = strstr(at, mark);
        assert_non_null(at);
        at += sizeof(mark) - 1;
        assert_int_equal(strtoul(at, NULL, 10), i);
    }
    assert_null(strstr(at, mark));
    /* Nothing without records, and what is there has its scope. */
    assert_null(strstr((const char *)json.p, "\"logRecords\":[]"));
    assert_null(strstr((const char *)json.p, "\"scopeLogs\":[]"));
    assert_null(strstr((const char *)json.p, "{\"logRecords\""));
    buf_fini(&json);
}

static void every_range(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        unsigned records;
        struct buf request = random_request(&records), out;
        uint64_t held = 0;
        struct err err;

        buf_init(&out, 1 << 20);
        for (unsigned first = 0; first <= records; first++) {
            for (unsigned end = first; end <= records; end += 1 + random_below(5)) {
                out.n = 0;
                if (cut(buf_slice(&request), first, end, &out, &held, &err) < 0)
                    fail_msg("%s", err.text);
                assert_int_equal(held, records);
                assert_true(out.n <= request.n);
                if (first == end)
                    assert_int_equal(out.n, 0);
                else
                    check_bodies(buf_slice(&out), first, end);
            }
        }
        out.n = 0; /* all of it is the same bytes */
        assert_int_equal(cut(buf_slice(&request), 0, UINT64_MAX, &out, &held, &err), 0);
        assert_int_equal(out.n, request.n);
        assert_memory_equal(out.p, request.p, out.n);
        buf_fini(&request);
        buf_fini(&out);
    }
}

static void appends(void **state)
{
    static const uint8_t request[] = {0x0a, 4, 0x12, 2, 0x12, 0};
    uint64_t held;
    struct buf out;

    (void)state;
    buf_init(&out, 64);
    assert_int_equal(buf_append(&out, "ab", 2), 0);
    assert_int_equal(record_cut(slice_of(request, sizeof(request)), 0, 1, &out, &held, NULL), 0);
    assert_int_equal(out.n, 2 + sizeof(request));
    assert_memory_equal(out.p, "ab", 2);
    assert_int_equal(record_cut((struct slice){NULL, 0}, 0, 1, &out, &held, NULL), 0);
    assert_int_equal(held, 0);
    assert_int_equal(out.n, 2 + sizeof(request));
    buf_fini(&out);

    buf_init(&out, 4);
    assert_int_equal(record_cut(slice_of(request, sizeof(request)), 0, 1, &out, &held, NULL),
                     -ENOMEM);
    buf_fini(&out);
}

/* Any damage: an error that leaves nothing, or a request that the transcoder judges by itself. */
static void random_damage(void **state)
{
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned records;
        struct buf request = random_request(&records), out;
        uint64_t held = 0;
        struct err err = {0};

        for (uint32_t k = 1 + random_below(3); k > 0; k--)
            request.p[random_below((uint32_t)request.n)] = (uint8_t)random_below(256);
        if (random_below(4) == 0)
            request.n = random_below((uint32_t)request.n);
        buf_init(&out, 1 << 20);
        if (cut(buf_slice(&request), random_below(records), records, &out, &held, &err) < 0) {
            assert_int_equal(out.n, 0);
            assert_non_null(strstr(err.text, "OTLP: damaged field"));
            refused++;
        }
        buf_fini(&request);
        buf_fini(&out);
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range),
        cmocka_unit_test(appends),
        cmocka_unit_test(random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
