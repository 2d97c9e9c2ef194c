/* Every MessagePack value as an AnyValue: otlp_value, bytes in, JSON out. */
#include "processor/otlp_value.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The value of the attribute "v" of a record {"v": bytes}, as JSON text; the caller puts *ret_root. */
static const char *converted(struct rig *rig, const struct buf *value, json_object **ret_root)
{
    struct buf record = new_buf();
    json_object *log;

    put_map(&record, 1);
    put_str(&record, "v");
    put_bytes(&record, value->p, value->n);
    log = one_record(rig, &record, ret_root);
    buf_fini(&record);
    return json_object_to_json_string_ext(attribute(log, "v"), JSON_C_TO_STRING_NOSLASHESCAPE);
}

#define EXT(type, data)                                         \
    "{\"kvlistValue\":{\"values\":["                            \
    "{\"key\":\"type\",\"value\":{\"intValue\":\"" type "\"}}," \
    "{\"key\":\"data\",\"value\":{\"bytesValue\":\"" data "\"}}]}}"

static const struct {
    const char *hex;
    const char *json;
} rows[] = {
    {"c0", "{}"},
    {"c2", "{\"boolValue\":false}"},
    {"c3", "{\"boolValue\":true}"},
    /* integers, in every width */
    {"00", "{\"intValue\":\"0\"}"},
    {"7f", "{\"intValue\":\"127\"}"},
    {"ff", "{\"intValue\":\"-1\"}"},
    {"e0", "{\"intValue\":\"-32\"}"},
    {"cc ff", "{\"intValue\":\"255\"}"},
    {"cd ffff", "{\"intValue\":\"65535\"}"},
    {"ce ffffffff", "{\"intValue\":\"4294967295\"}"},
    {"cf 0000000000000001", "{\"intValue\":\"1\"}"},
    {"cf 7fffffffffffffff", "{\"intValue\":\"9223372036854775807\"}"},
    {"cf 8000000000000000", "{\"stringValue\":\"9223372036854775808\"}"},
    {"cf ffffffffffffffff", "{\"stringValue\":\"18446744073709551615\"}"},
    {"d0 80", "{\"intValue\":\"-128\"}"},
    {"d1 8000", "{\"intValue\":\"-32768\"}"},
    {"d2 80000000", "{\"intValue\":\"-2147483648\"}"},
    {"d3 8000000000000000", "{\"intValue\":\"-9223372036854775808\"}"},
    {"d3 7fffffffffffffff", "{\"intValue\":\"9223372036854775807\"}"},
    {"d0 7f", "{\"intValue\":\"127\"}"},
    /* floats: float32 is widened, nothing is rounded */
    {"ca 3fc00000", "{\"doubleValue\":1.5}"},
    {"ca 3dcccccd", "{\"doubleValue\":0.10000000149011612}"},
    {"ca 7f800000", "{\"doubleValue\":\"Infinity\"}"},
    {"ca ff800000", "{\"doubleValue\":\"-Infinity\"}"},
    {"ca 7fc00000", "{\"doubleValue\":\"NaN\"}"},
    {"cb 3fb999999999999a", "{\"doubleValue\":0.1}"},
    {"cb 7ff0000000000000", "{\"doubleValue\":\"Infinity\"}"},
    {"cb fff0000000000000", "{\"doubleValue\":\"-Infinity\"}"},
    {"cb 7ff8000000000000", "{\"doubleValue\":\"NaN\"}"},
    {"cb fff8000000000001", "{\"doubleValue\":\"NaN\"}"},
    /* text: valid, empty, in every width, with what is no UTF-8 */
    {"a0", "{\"stringValue\":\"\"}"},
    {"a3 616263", "{\"stringValue\":\"abc\"}"},
    {"d9 03 616263", "{\"stringValue\":\"abc\"}"},
    {"da 0003 616263", "{\"stringValue\":\"abc\"}"},
    {"db 00000003 616263", "{\"stringValue\":\"abc\"}"},
    {"a3 e282ac", "{\"stringValue\":\"\xe2\x82\xac\"}"},
    {"a1 00", "{\"stringValue\":\"\\u0000\"}"},
    {"a3 61ff62", "{\"stringValue\":\"a\xef\xbf\xbd"
                  "b\"}"},
    {"a4 61e28262", "{\"stringValue\":\"a\xef\xbf\xbd"
                    "b\"}"},
    {"a2 c0af", "{\"stringValue\":\"\xef\xbf\xbd\xef\xbf\xbd\"}"},
    /* bytes stay bytes, also where they could be text */
    {"c4 00", "{\"bytesValue\":\"\"}"},
    {"c4 03 616263", "{\"stringValue\":\"abc\"}"},
    {"c4 03 616200", "{\"bytesValue\":\"YWIA\"}"},
    {"c4 02 c3a9", "{\"stringValue\":\"é\"}"},
    {"c5 0003 00ff10", "{\"bytesValue\":\"AP8Q\"}"},
    {"c6 00000001 ff", "{\"bytesValue\":\"/w==\"}"},
    /* ext, in every width */
    {"d4 05 01", EXT("5", "AQ==")},
    {"d5 7f 0102", EXT("127", "AQI=")},
    {"d6 ff 01020304", EXT("-1", "AQIDBA==")},
    {"d7 00 0102030405060708", EXT("0", "AQIDBAUGBwg=")},
    {"d8 80 000102030405060708090a0b0c0d0e0f", EXT("-128", "AAECAwQFBgcICQoLDA0ODw==")},
    {"c7 00 01", EXT("1", "")},
    {"c7 03 80 010203", EXT("-128", "AQID")},
    {"c8 0001 02 ff", EXT("2", "/w==")},
    {"c9 00000001 03 ff", EXT("3", "/w==")},
    /* containers, in every width */
    {"90", "{\"arrayValue\":{\"values\":[]}}"},
    {"92 c0 01", "{\"arrayValue\":{\"values\":[{},{\"intValue\":\"1\"}]}}"},
    {"dc 0001 c3", "{\"arrayValue\":{\"values\":[{\"boolValue\":true}]}}"},
    {"dd 00000001 90", "{\"arrayValue\":{\"values\":[{\"arrayValue\":{\"values\":[]}}]}}"},
    {"80", "{\"kvlistValue\":{\"values\":[]}}"},
    {"81 a161 c0", "{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{}}]}}"},
    {"de 0001 a161 01",
     "{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{\"intValue\":\"1\"}}]}}"},
    {"df 00000001 a161 80", "{\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{"
                            "\"kvlistValue\":{\"values\":[]}}}]}}"},
};

static void every_type(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf value = new_buf();
        json_object *root;
        const char *json;

        put_hex_text(&value, rows[i].hex);
        json = converted(&rig, &value, &root);
        if (strcmp(json, rows[i].json) != 0)
            fail_msg("%s: %s, not %s", rows[i].hex, json, rows[i].json);
        json_object_put(root);
        buf_fini(&value);
    }
    rig_fini(&rig);
}

/* Doubles are copied bit by bit: the sign of zero, what a NaN carries. */
static void double_bits(void **state)
{
    static const uint64_t bits[] = {0x8000000000000000ull, 0x7ff8000000000001ull,
                                    0xfff0000000000000ull, 1};

    (void)state;
    for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
        uint8_t in_bytes[9] = {0xcb}, want[11] = {PB_KEY(2, PB_BYTES), 9};
        struct mp in = mp_of(slice_of(in_bytes, sizeof(in_bytes)));
        struct buf out = new_buf();
        struct otlp_out o;
        struct mp_value v;

        assert_int_equal(buf_reserve(&out, 1), 0);
        o = otlp_out_of(&out);
        bytes_put_be64(in_bytes + 1, bits[i]);
        pb_put_fixed64(want + 2, PB_KEY(4, PB_FIXED64), bits[i]);
        assert_int_equal(mp_next(&in, &v), 0);
        assert_int_equal(otlp_value_put(&o, PB_KEY(2, PB_BYTES), &in, &v), 0);
        assert_int_equal(otlp_out_offset(&o), sizeof(want));
        assert_memory_equal(out.p, want, sizeof(want));
        buf_fini(&out);
    }
}

/* Arrays and maps in turn: what is deeper than OTLP_VALUE_MAX_DEPTH is its MessagePack. */
static void depth(void **state)
{
    (void)state;
    for (unsigned levels = OTLP_VALUE_MAX_DEPTH - 1; levels <= OTLP_VALUE_MAX_DEPTH + 2; levels++) {
        struct rig rig;
        struct buf value = new_buf();
        json_object *root, *any;
        unsigned seen = 0;

        rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
        for (unsigned i = 0; i < levels; i++) {
            if (i % 2 == 0) {
                put_array(&value, 1);
            } else {
                put_map(&value, 1);
                put_str(&value, "k");
            }
        }
        put_uint(&value, 7);
        converted(&rig, &value, &root);
        any = attribute(at(root, "resourceLogs/0/scopeLogs/0/logRecords/0"), "v");
        while (at(any, "arrayValue") != NULL || at(any, "kvlistValue") != NULL) {
            any = at(any, at(any, "arrayValue") != NULL ? "arrayValue/values/0"
                                                        : "kvlistValue/values/0/value");
            seen++;
        }
        if (levels <= OTLP_VALUE_MAX_DEPTH) {
            assert_int_equal(seen, levels);
            assert_string_equal(text_at(any, "intValue"), "7");
        } else {
            assert_int_equal(seen, OTLP_VALUE_MAX_DEPTH);
            /* 91 07, or 91 81 a1 6b 07 */
            assert_string_equal(text_at(any, "bytesValue"),
                                levels == OTLP_VALUE_MAX_DEPTH + 1 ? "kQc=" : "kYGhawc=");
        }
        json_object_put(root);
        buf_fini(&value);
        rig_fini(&rig);
    }
}

/* Every cut of every value is an end, and nothing is read behind it. */
static void damaged_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf value = new_buf();

        put_hex_text(&value, rows[i].hex);
        for (size_t n = 0; n < value.n; n++) {
            uint8_t *copy = malloc(n + 1);
            struct mp in = mp_of(slice_of(copy, n));
            struct buf out = new_buf();
            struct mp_value v;
            int r;

            assert_int_equal(buf_reserve(&out, 1), 0);
            memcpy(copy, value.p, n);
            r = mp_next(&in, &v);
            if (r == 0) {
                struct otlp_out o = otlp_out_of(&out);

                r = otlp_value_put(&o, PB_KEY(2, PB_BYTES), &in, &v);
            }
            assert_int_equal(r, -ENODATA);
            free(copy);
            buf_fini(&out);
        }
        buf_fini(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(double_bits),
        cmocka_unit_test(depth),
        cmocka_unit_test(damaged_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
