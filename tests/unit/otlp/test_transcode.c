/* OTLP protobuf to OTLP/JSON: golden pairs, damage, depth. */
#include "shared/otlp/json_put.h"
#include "shared/otlp/pb.h"
#include "shared/otlp/transcode.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((random_state >> 33) % n);
}

static unsigned digit(char c)
{
    return (unsigned)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

/*
 * Bytes in hex; a parenthesis is a length and what is in it: "0a(12())" is 0a 02 12 00. Checks the
 * lengths by itself, so that the examples below say only what matters.
 */
static struct buf bytes_of(const char *hex)
{
    size_t open[64], depth = 0;
    struct buf b;

    buf_init(&b, 1 << 24);
    for (; *hex != '\0'; hex++) {
        uint8_t length[PB_MAX_VARINT_BYTES], byte;
        size_t n, width;

        if (*hex == ' ')
            continue;
        if (*hex == '(') {
            open[depth++] = b.n;
            continue;
        }
        if (*hex == ')') {
            n = b.n - open[--depth];
            width = (size_t)(pb_put_varint(length, n) - length);
            assert_int_equal(buf_append(&b, length, width), 0);
            memmove(b.p + open[depth] + width, b.p + open[depth], n);
            memcpy(b.p + open[depth], length, width);
            continue;
        }
        byte = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        assert_int_equal(buf_append(&b, &byte, 1), 0);
        hex++;
    }
    assert_int_equal(depth, 0);
    return b;
}

/* Transcodes an exactly sized copy, so that the sanitizer sees a step too far. */
static int transcode(struct slice from, unsigned flags, struct buf *out, struct err *err)
{
    uint8_t *copy = malloc(from.n + (from.n == 0));
    int r;

    if (from.n > 0)
        memcpy(copy, from.p, from.n);
    r = transcode_json(slice_of(copy, from.n), flags, out, err);
    free(copy);
    return r;
}

static void check_flags(const char *hex, unsigned flags, const char *want)
{
    struct buf in = bytes_of(hex), out;
    struct err err;

    buf_init(&out, 1 << 24);
    if (transcode(buf_slice(&in), flags, &out, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal((const char *)out.p, want);
    buf_fini(&in);
    buf_fini(&out);
}

static void check(const char *hex, const char *want)
{
    check_flags(hex, 0, want);
}

static void check_bad(const char *hex, const char *reason)
{
    struct buf in = bytes_of(hex), out;
    struct err err;

    buf_init(&out, 1 << 24);
    assert_int_equal(buf_append(&out, "kept", 4), 0);
    assert_int_equal(transcode(buf_slice(&in), 0, &out, &err), -EBADMSG);
    assert_int_equal(out.n, 4);
    if (strstr(err.text, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
    buf_fini(&in);
    buf_fini(&out);
}

/* The worked example of 127 bytes that other servers accept. */
static const char example[] =
    "0a7d 0a17 0a15 0a0c 736572766963652e6e616d65 1205 0a03 737663 1262 0a08 0a06 666c75656e74"
    "1256 0915cd853dfe9c9717 1011 1a05 4552524f52 2a06 0a04 626f6f6d"
    "3210 0a01 6e 120b 18 ffffffffffffffffff01 4501000000"
    "4a10 5b8efff798038103d269b633813fc60c 5208 eee19b7ec3c1b174 5900cac471fe9c9717";

static void the_worked_example(void **state)
{
    (void)state;
    check(
        example,
        "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"svc\"}}]},\"scopeLogs\":[{\"scope\":{\"name\":\"fluent\"},"
        "\"logRecords\":[{\"timeUnixNano\":\"1700000000123456789\","
        "\"observedTimeUnixNano\":\"1700000001000000000\",\"severityNumber\":17,"
        "\"severityText\":\"ERROR\",\"body\":{\"stringValue\":\"boom\"},\"attributes\":"
        "[{\"key\":\"n\",\"value\":{\"intValue\":\"-1\"}}],\"flags\":1,"
        "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\"}]}]}]}");
    check("", "{\"resourceLogs\":[]}");
    check("0a()", "{\"resourceLogs\":[{\"scopeLogs\":[]}]}");
    check("0a(12())", "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[]}]}]}");
    /* two frames joined are one request */
    check("0a() 0a()", "{\"resourceLogs\":[{\"scopeLogs\":[]},{\"scopeLogs\":[]}]}");
}

/* One log record around these bytes, and what comes out between its braces. */
static void check_record(const char *record, const char *want)
{
    char hex[4096], json[4096];

    snprintf(hex, sizeof(hex), "0a(12(12(%s)))", record);
    snprintf(json, sizeof(json), "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{%s}]}]}]}",
             want);
    check(hex, json);
}

static void values(void **state)
{
    (void)state;
    check_record("2a()", "\"body\":{}");
    check_record("2a(0a())", "\"body\":{\"stringValue\":\"\"}");
    check_record("2a(1000)", "\"body\":{\"boolValue\":false}");
    check_record("2a(1005)", "\"body\":{\"boolValue\":true}");
    check_record("2a(1800)", "\"body\":{\"intValue\":\"0\"}");
    check_record("2a(18ffffffffffffffff7f)", "\"body\":{\"intValue\":\"9223372036854775807\"}");
    check_record("2a(1880808080808080808001)", "\"body\":{\"intValue\":\"-9223372036854775808\"}");
    check_record("2a(219a9999999999b93f)", "\"body\":{\"doubleValue\":0.1}");
    check_record("2a(210000000000000080)", "\"body\":{\"doubleValue\":-0.0}");
    check_record("2a(21000000000000f87f)", "\"body\":{\"doubleValue\":\"NaN\"}");
    check_record("2a(21000000000000f07f)", "\"body\":{\"doubleValue\":\"Infinity\"}");
    check_record("2a(21000000000000f0ff)", "\"body\":{\"doubleValue\":\"-Infinity\"}");
    check_record("2a(3a())", "\"body\":{\"bytesValue\":\"\"}");
    check_record("2a(3a(ff))", "\"body\":{\"bytesValue\":\"/w==\"}");
    check_record("2a(3a(fbff))", "\"body\":{\"bytesValue\":\"+/8=\"}");
    check_record("2a(3a(666f6f))", "\"body\":{\"bytesValue\":\"Zm9v\"}");
    /* of a oneof the last member counts; others are unknown */
    check_record("2a(0a(61)1801)", "\"body\":{\"intValue\":\"1\"}");
    check_record("2a(0a(61)4007)", "\"body\":{\"stringValue\":\"a\"}");
}

static void containers(void **state)
{
    (void)state;
    check_record("2a(2a())", "\"body\":{\"arrayValue\":{\"values\":[]}}");
    check_record("2a(32())", "\"body\":{\"kvlistValue\":{\"values\":[]}}");
    check_record("2a(2a(0a(0a(61))0a()0a(2a(0a(1001)))0a(1802)))",
                 "\"body\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"a\"},{},"
                 "{\"arrayValue\":{\"values\":[{\"boolValue\":true}]}},{\"intValue\":\"2\"}]}}");
    check_record("2a(32(0a(0a(61)12(32(0a(0a(62)12(2a()))0a(0a(63)))))0a(12(1801)0a(64))))",
                 "\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":"
                 "{\"kvlistValue\":{\"values\":[{\"key\":\"b\",\"value\":{\"arrayValue\":"
                 "{\"values\":[]}}},{\"key\":\"c\"}]}}},{\"key\":\"d\",\"value\":"
                 "{\"intValue\":\"1\"}}]}}");
}

static void text(void **state)
{
    (void)state;
    check_record("1a(22 5c 08 0c 0a 0d 09 01 1f 7f 41)",
                 "\"severityText\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"
                 "A\"");
    check_record("1a(e282ac ff 61)", "\"severityText\":\"\xe2\x82\xac\xef\xbf\xbd"
                                     "a\"");
    check_record("1a(e282)", "\"severityText\":\"\xef\xbf\xbd\"");
    check_record("1a(eda080)", "\"severityText\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    check_record("32(0a(22ff0a))", "\"attributes\":[{\"key\":\"\\\"\xef\xbf\xbd\\n\"}]");
    /* the special byte at every place of a long text */
    for (size_t n = 0; n < 40; n++) {
        char hex[128] = "1a(", want[128] = "\"severityText\":\"";
        size_t h = strlen(hex), w = strlen(want);

        for (size_t i = 0; i < 40; i++) {
            h += (size_t)snprintf(hex + h, sizeof(hex) - h, i == n ? "22" : "61");
            w += (size_t)snprintf(want + w, sizeof(want) - w, i == n ? "\\\"" : "a");
        }
        snprintf(hex + h, sizeof(hex) - h, ")");
        snprintf(want + w, sizeof(want) - w, "\"");
        check_record(hex, want);
    }
}

/* Fields in any order, unknown ones, several of a single one, and all that a record can have. */
static void order_and_unknown_fields(void **state)
{
    (void)state;
    check_record("32(0a(61)) 1a(58) f8ffffff0f05 32(0a(62)) fa0f(616263) 1009 1a(59) 6d01000000",
                 "\"severityNumber\":9,\"severityText\":\"Y\","
                 "\"attributes\":[{\"key\":\"a\"},{\"key\":\"b\"}]");
    check_record("3805 62(65) 4501000000 4a(01) 52(ff)",
                 "\"droppedAttributesCount\":5,\"flags\":1,\"traceId\":\"01\",\"spanId\":\"ff\","
                 "\"eventName\":\"e\"");
    check(
        "0a(1a(75) 12(1a(76) 0a(2007 1a(0a(6b)) 12(76) 0a(6e))) 0a(1003 0a(0a(72)) 1a(0a(74))))",
        "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"r\"}],"
        "\"droppedAttributesCount\":3},\"scopeLogs\":[{\"scope\":{\"name\":\"n\",\"version\":\"v\","
        "\"attributes\":[{\"key\":\"k\"}],\"droppedAttributesCount\":7},\"logRecords\":[],"
        "\"schemaUrl\":\"v\"}],\"schemaUrl\":\"u\"}]}");
}

/* Numbers at the edges of their types. */
static void numbers(void **state)
{
    (void)state;
    check_record("10ffffffffffffffffff01", "\"severityNumber\":-1");
    check_record("1080808080 f8ffffffff01", "\"severityNumber\":-2147483648");
    check_record("10ffffffff07", "\"severityNumber\":2147483647");
    check_record("10808080808001", ""); /* 2^35: nothing of it is in an int32 */
    check_record("38ffffffff0f", "\"droppedAttributesCount\":4294967295");
    check_record("38808080808001", "");
    check_record("45ffffffff", "\"flags\":4294967295");
    check_record("09ffffffffffffffff 590100000000000000",
                 "\"timeUnixNano\":\"18446744073709551615\",\"observedTimeUnixNano\":\"1\"");
    check_record("2a(1001 21000000000000f87f)", "\"body\":{\"doubleValue\":\"NaN\"}");
    check_record("2a(10ffffffffffffffffff01)", "\"body\":{\"boolValue\":true}");
}

/* A request of several frames is made of their elements. */
static void elements(void **state)
{
    struct buf one = bytes_of(example), out, whole, both;
    struct err err;

    (void)state;
    buf_init(&out, 1 << 16);
    buf_init(&whole, 1 << 16);
    buf_init(&both, 1 << 16);
    assert_int_equal(transcode_json_elements((struct slice){NULL, 0}, 0, &out, &err), 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(buf_append(&out, TRANSCODE_JSON_HEAD, strlen(TRANSCODE_JSON_HEAD)), 0);
    assert_int_equal(transcode_json_elements(buf_slice(&one), 0, &out, &err), 0);
    assert_int_equal(buf_append(&out, ",", 1), 0);
    assert_int_equal(transcode_json_elements(buf_slice(&one), 0, &out, &err), 0);
    assert_int_equal(buf_append(&out, TRANSCODE_JSON_TAIL, strlen(TRANSCODE_JSON_TAIL)), 0);
    assert_int_equal(buf_append(&both, one.p, one.n), 0);
    assert_int_equal(buf_append(&both, one.p, one.n), 0);
    assert_int_equal(transcode_json(buf_slice(&both), 0, &whole, &err), 0);
    assert_int_equal(out.n, whole.n);
    assert_memory_equal(out.p, whole.p, out.n);
    assert_int_equal(transcode_json_elements(SLICE_LITERAL("\x0a"), 0, &out, &err), -EBADMSG);
    assert_int_equal(out.n, whole.n);
    buf_fini(&one);
    buf_fini(&out);
    buf_fini(&whole);
    buf_fini(&both);
}

static void verbatim_trace_ids(void **state)
{
    const char *with =
        "0a(12(12(4a(0102) 32(0a(61)12(0a(62))) 32(0a(74726163655f6964)12(0a(616263))))))";
    const char *number = "0a(12(12(4a(0102) 32(0a(74726163655f6964)12(1805)))))";

    (void)state;
    check(with,
          "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[{\"key\":\"a\","
          "\"value\":{\"stringValue\":\"b\"}},{\"key\":\"trace_id\",\"value\":"
          "{\"stringValue\":\"abc\"}}],\"traceId\":\"0102\"}]}]}]}");
    check_flags(
        with, TRANSCODE_VERBATIM_TRACE_ID,
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[{\"key\":\"a\","
        "\"value\":{\"stringValue\":\"b\"}},{\"key\":\"trace_id\",\"value\":"
        "{\"stringValue\":\"abc\"}}],\"traceId\":\"abc\"}]}]}]}");
    check_flags(number, TRANSCODE_VERBATIM_TRACE_ID,
                "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[{\"key\":"
                "\"trace_id\",\"value\":{\"intValue\":\"5\"}}],\"traceId\":\"0102\"}]}]}]}");
}

static void damage_is_named(void **state)
{
    (void)state;
    check_bad("0a", "damaged field at offset 0");
    check_bad("0a05", "damaged field at offset 0");
    check_bad("0800", "wrong wire type at offset 0");
    check_bad("0a(12(12(0801)))", "wrong wire type at offset 6");
    check_bad("0a(12(12(2a(0801))))", "wrong wire type in a value at offset 8");
    check_bad("0a(12(12(2a(0a05))))", "damaged value at offset 8");
    check_bad("0a(12(12(2a(2a(0801)))))", "wrong wire type at offset 10");
    check_bad("0a(12(12(32(0801))))", "wrong wire type at offset 8");
    check_bad("0a(12(12(0b0c)))", "damaged field");
}

/* 64 levels pass, 65 do not; a million do not use up the stack. */
static void depth(void **state)
{
    static const unsigned levels[] = {TRANSCODE_MAX_DEPTH, TRANSCODE_MAX_DEPTH + 1, 1000000};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t size = (size_t)levels[i] * 16 + 64;
        uint8_t *bytes = malloc(size), *p = bytes + size, *end = p;
        struct buf out;
        struct err err;

        /* From the inside out: an array of one array. */
        for (unsigned n = 0; n < levels[i]; n++) {
            for (int part = 0; part < 2; part++) {
                size_t length = (size_t)(end - p);

                p -= pb_varint_bytes(length);
                pb_put_varint(p, length);
                *--p = part == 0 ? 0x2a : n + 1 == levels[i] ? 0x2a : 0x0a;
            }
        }
        for (int part = 0; part < 3; part++) {
            size_t length = (size_t)(end - p);

            p -= pb_varint_bytes(length);
            pb_put_varint(p, length);
            *--p = part == 2 ? 0x0a : 0x12;
        }
        buf_init(&out, 1 << 24);
        assert_int_equal(transcode(slice_of(p, (size_t)(end - p)), 0, &out, &err),
                         i == 0 ? 0 : -EBADMSG);
        if (i > 0)
            assert_non_null(strstr(err.text, "nested too deeply"));
        buf_fini(&out);
        free(bytes);
    }
}

/* Any damage of a good request: an error, or JSON that a parser reads. */
static void random_damage(void **state)
{
    struct buf good = bytes_of(
        "0a(0a(0a(0a(6b)12(0a(76))))12(0a(0a(6e))12(0915cd853dfe9c9717 1011 2a(32(0a(0a(61)12(2a("
        "0a(0a(62))0a(219a9999999999b93f)0a(3a(0102)))))))32(0a(78)12(18ff01))4501000000"
        "4a(5b8efff798038103d269b633813fc60c))))");
    struct buf out;
    struct err err;
    unsigned parsed = 0;

    (void)state;
    buf_init(&out, 1 << 24);
    for (unsigned i = 0; i < 50000; i++) {
        struct buf bytes;

        buf_init(&bytes, 1 << 16);
        assert_int_equal(
            buf_append(&bytes, good.p, random_below(8) ? good.n : random_below((uint32_t)good.n)),
            0);
        for (uint32_t k = random_below(4); k > 0 && bytes.n > 0; k--)
            bytes.p[random_below((uint32_t)bytes.n)] = (uint8_t)random_below(256);
        out.n = 0;
        if (transcode(buf_slice(&bytes), i % 2, &out, &err) == 0) {
            json_object *root;

            assert_int_equal(buf_append(&out, "", 1), 0);
            root = json_tokener_parse((const char *)out.p);
            if (root == NULL)
                fail_msg("no JSON: %s", (const char *)out.p);
            json_object_put(root);
            parsed++;
        } else {
            assert_int_equal(out.n, 0);
        }
        buf_fini(&bytes);
    }
    assert_true(parsed > 1000);
    buf_fini(&good);
    buf_fini(&out);
}

/* The shortest form that reads back equal. */
static void doubles(void **state)
{
    static const double values[] = {0.1, 1.0 / 3, 1e300, 5e-324, DBL_MAX, 123456789.125, -2.5};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct json_put put;
        struct buf out;
        double v;

        if (i < 7) {
            v = values[i];
        } else {
            uint64_t bits = (uint64_t)random_below(1u << 31) << 33 ^
                            (uint64_t)random_below(1u << 31) ^ (uint64_t)random_below(4) << 31;

            memcpy(&v, &bits, 8);
        }
        if (!isfinite(v))
            continue;
        buf_init(&out, 1024);
        put = (struct json_put){&out, 0};
        json_put_double(&put, v);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_true(strtod((const char *)out.p, NULL) == v);
        if (i == 0)
            assert_string_equal((const char *)out.p, "0.1");
        buf_fini(&out);
    }
}

static void out_of_room(void **state)
{
    struct buf in = bytes_of(example), out;
    struct err err;
    size_t n;

    (void)state;
    buf_init(&out, 1 << 16);
    assert_int_equal(transcode(buf_slice(&in), 0, &out, &err), 0);
    n = out.n;
    buf_fini(&out);
    for (size_t max = 0; max <= n; max++) {
        buf_init(&out, max);
        assert_int_equal(transcode(buf_slice(&in), 0, &out, &err), max < n ? -ENOMEM : 0);
        assert_int_equal(out.n, max < n ? 0 : n);
        buf_fini(&out);
    }
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_example),
        cmocka_unit_test(values),
        cmocka_unit_test(containers),
        cmocka_unit_test(text),
        cmocka_unit_test(order_and_unknown_fields),
        cmocka_unit_test(numbers),
        cmocka_unit_test(elements),
        cmocka_unit_test(verbatim_trace_ids),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(depth),
        cmocka_unit_test(random_damage),
        cmocka_unit_test(doubles),
        cmocka_unit_test(out_of_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
