/* Unique keys in nested maps: kvlist_keys, through the real converter. */
#include "processor/kvlist_keys.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The KeyValueList under the attribute "m" of a record {"m": {pairs}}. */
static json_object *nested(struct rig *rig, const struct buf *pairs, uint32_t count,
                           json_object **ret_root)
{
    struct buf record = new_buf();
    json_object *log, *values;

    put_map(&record, 1);
    put_str(&record, "m");
    put_map(&record, count);
    put_bytes(&record, pairs->p, pairs->n);
    log = one_record(rig, &record, ret_root);
    values = at(attribute(log, "m"), "kvlistValue/values");
    assert_int_equal(json_object_array_length(values), count);
    buf_fini(&record);
    return values;
}

static const char *key_at(json_object *values, size_t i)
{
    return text_at(json_object_array_get_idx(values, i), "key");
}

static const char *text_of(json_object *values, size_t i)
{
    return text_at(json_object_array_get_idx(values, i), "value/stringValue");
}

/* Pairs of these keys, each with its number as value, become pairs of those keys. */
static void check(const char *const *in, const char *const *out, uint32_t count)
{
    struct rig rig;
    struct buf pairs = new_buf();
    json_object *root, *values;

    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    for (uint32_t i = 0; i < count; i++) {
        char number[12];

        snprintf(number, sizeof(number), "%u", i);
        put_pair(&pairs, in[i], number);
    }
    values = nested(&rig, &pairs, count, &root);
    for (uint32_t i = 0; i < count; i++) {
        char number[12];

        snprintf(number, sizeof(number), "%u", i);
        assert_string_equal(key_at(values, i), out[i]);
        assert_string_equal(text_of(values, i), number);
    }
    json_object_put(root);
    buf_fini(&pairs);
    rig_fini(&rig);
}

static void small_maps(void **state)
{
    (void)state;
    check((const char *[]){"a", "b", "aa", "A", "ab"}, (const char *[]){"a", "b", "aa", "A", "ab"},
          5);
    check((const char *[]){"a", "a"}, (const char *[]){"a", "a#2"}, 2);
    check((const char *[]){"a", "b", "a", "a", "b"},
          (const char *[]){"a", "b", "a#2", "a#3", "b#2"}, 5);
    /* as at the top level: the first that has a name keeps it */
    check((const char *[]){"a", "a", "a#2", "a"}, (const char *[]){"a", "a#2", "a#2#2", "a#3"}, 4);
    check((const char *[]){"a", "a#2", "a"}, (const char *[]){"a", "a#2", "a#3"}, 3);
    check((const char *[]){"", "_", ""}, (const char *[]){"_", "_#2", "_#3"}, 3);
}

/* Keys of 120 to 130 and of 16,380 to 16,390 bytes: where the lengths grow. */
static void long_keys(void **state)
{
    static char key[16400], renamed[16403];

    (void)state;
    for (size_t n = 110; n < 16390; n += n == 130 ? 16250 : 1) {
        memset(key, 'k', n);
        key[n] = '\0';
        memcpy(renamed, key, n);
        memcpy(renamed + n, "#2", 3);
        check((const char *[]){key, "x", key}, (const char *[]){key, "x", renamed}, 3);
    }
}

/* Around the size at which a table takes over, and some sizes beyond, with and without twins. */
static void larger_maps(void **state)
{
    static const uint32_t sizes[] = {15, 16, 17, 18, 31, 32, 33, 64, 100, 1000};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (uint32_t twin = 0; twin < 4; twin++) {
            static char text[1000][16], want[1000][16];
            static const char *in[1000], *out[1000];
            uint32_t n = sizes[s];

            for (uint32_t i = 0; i < n; i++) {
                snprintf(text[i], sizeof(text[i]), "key%u", i);
                snprintf(want[i], sizeof(want[i]), "key%u", i);
                in[i] = text[i];
                out[i] = want[i];
            }
            /* the last is like the first, like the one before it, or like an empty key's text */
            if (twin > 0) {
                uint32_t other = twin == 1 ? 0 : n - 2;

                snprintf(text[n - 1], 16, "key%u", other);
                snprintf(want[n - 1], 16, "key%u#2", other);
            }
            if (twin == 3) {
                text[0][0] = '\0';
                snprintf(want[0], 16, "_");
            }
            check(in, out, n);
        }
    }
}

/* Keys are compared as they are written: spelled and sanitised. */
static void odd_keys(void **state)
{
    static const char *const want[] = {"1",
                                       "1#2",
                                       "1#3",
                                       "-5",
                                       "null",
                                       "null#2",
                                       "true",
                                       "1.5",
                                       "0.1",
                                       "nan",
                                       "inf",
                                       "-0",
                                       "ext:01",
                                       "ext:01#2",
                                       "array:",
                                       "map:a16bc0",
                                       "a\xef\xbf\xbd",
                                       "a\xef\xbf\xbd#2",
                                       "a\xef\xbf\xbd#3",
                                       "_",
                                       "_#2",
                                       "bin",
                                       "bin#2",
                                       "18446744073709551615",
                                       "nan#2"};
    struct rig rig;
    struct buf p = new_buf();
    json_object *root, *values;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_uint(&p, 1), put_nil(&p);
    put_str(&p, "1"), put_nil(&p);
    put_double(&p, 1), put_nil(&p);
    put_int(&p, -5), put_nil(&p);
    put_nil(&p), put_nil(&p);
    put_str(&p, "null"), put_nil(&p);
    put_bool(&p, true), put_nil(&p);
    put_double(&p, 1.5), put_nil(&p);
    put_double(&p, 0.1), put_nil(&p);
    put_double(&p, NAN), put_nil(&p);
    put_double(&p, INFINITY), put_nil(&p);
    put_double(&p, -0.0), put_nil(&p);
    put_hex(&p, "d40501"), put_nil(&p); /* ext of type 5, and of type 6 */
    put_hex(&p, "d40601"), put_nil(&p);
    put_hex(&p, "90"), put_nil(&p);
    put_hex(&p, "81a16bc0"), put_nil(&p);
    put_str_n(&p, "a\xff", 2), put_nil(&p);
    put_str_n(&p, "a\xfe", 2), put_nil(&p);
    put_str(&p, "a\xef\xbf\xbd"), put_nil(&p);
    put_str(&p, ""), put_nil(&p);
    put_bin(&p, "", 0), put_nil(&p);
    put_bin(&p, "bin", 3), put_nil(&p);
    put_str(&p, "bin"), put_nil(&p);
    put_uint(&p, UINT64_MAX), put_nil(&p);
    put_double(&p, -NAN), put_nil(&p);
    values = nested(&rig, &p, sizeof(want) / sizeof(*want), &root);
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
        assert_string_equal(key_at(values, i), want[i]);
    json_object_put(root);
    buf_fini(&p);
    rig_fini(&rig);
}

/* Each map has its own keys; a renamed pair keeps a map as its value. */
static void maps_in_maps(void **state)
{
    struct rig rig;
    struct buf p = new_buf();
    json_object *root, *values;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_str(&p, "a"), put_map(&p, 2), put_pair(&p, "a", "1"), put_pair(&p, "a", "2");
    put_str(&p, "a"), put_array(&p, 1), put_map(&p, 2), put_pair(&p, "b", "3"),
        put_pair(&p, "b", "4");
    put_str(&p, "b"), put_map(&p, 1), put_pair(&p, "a", "5");
    values = nested(&rig, &p, 3, &root);
    assert_string_equal(
        json_object_to_json_string_ext(values, 0),
        "[{\"key\":\"a\",\"value\":{\"kvlistValue\":{\"values\":["
        "{\"key\":\"a\",\"value\":{\"stringValue\":\"1\"}},"
        "{\"key\":\"a#2\",\"value\":{\"stringValue\":\"2\"}}]}}},"
        "{\"key\":\"a#2\",\"value\":{\"arrayValue\":{\"values\":[{\"kvlistValue\":{\"values\":["
        "{\"key\":\"b\",\"value\":{\"stringValue\":\"3\"}},"
        "{\"key\":\"b#2\",\"value\":{\"stringValue\":\"4\"}}]}}]}}},"
        "{\"key\":\"b\",\"value\":{\"kvlistValue\":{\"values\":["
        "{\"key\":\"a\",\"value\":{\"stringValue\":\"5\"}}]}}}]");
    json_object_put(root);
    buf_fini(&p);
    rig_fini(&rig);
}

/* A hundred thousand pairs: equal, distinct, alike where a quick hash looks, names taken before. A
 * quadratic step would take minutes under the sanitizers, and the test's patience is theirs. */
static void hostile_maps(void **state)
{
    const uint32_t n = 100000;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct rig rig;
        struct buf p = new_buf();
        json_object *root, *values;

        rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
        for (uint32_t i = 0; i < n; i++) {
            char key[64];

            if (kind == 0)
                snprintf(key, sizeof(key), "same");
            else if (kind == 1)
                snprintf(key, sizeof(key), "key%u", i);
            else if (kind == 2)
                snprintf(key, sizeof(key), "12345678%06u12345678", i);
            else if (i < n / 2)
                snprintf(key, sizeof(key), i == 0 ? "a" : "a#%u", i + 1);
            else
                snprintf(key, sizeof(key), "a");
            put_str(&p, key);
            put_uint(&p, i);
        }
        values = nested(&rig, &p, n, &root);
        assert_string_equal(key_at(values, n - 1), kind == 0   ? "same#100000"
                                                   : kind == 1 ? "key99999"
                                                   : kind == 2 ? "1234567809999912345678"
                                                               : "a#100000");
        json_object_put(root);
        buf_fini(&p);
        rig_fini(&rig);
    }
}

/* The same rule in the simplest words: the first free "key#n", n from 2 on per key. */
static void model(char (*key)[32], uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        char base[32];
        bool taken = true;

        memcpy(base, key[i], sizeof(base));
        for (unsigned n = 1; taken; n++) {
            if (n > 1)
                snprintf(key[i], sizeof(key[i]), "%.20s#%u", base, n);
            taken = false;
            for (uint32_t k = 0; k < i; k++)
                taken = taken || strcmp(key[k], key[i]) == 0;
        }
    }
}

static void random_maps(void **state)
{
    static const char *const words[] = {"a",   "a#2", "a#3", "a#2#2", "b",  "b#2",
                                        "c#4", "c",   "d",   "dd",    "d#", "d#2"};
    static char key[60][32];
    static const char *in[60], *out[60];

    (void)state;
    srand(5);
    for (int round = 0; round < 300; round++) {
        uint32_t n = 2 + (uint32_t)rand() % 58;
        uint32_t variety = 1 + (uint32_t)rand() % 12;

        for (uint32_t i = 0; i < n; i++) {
            in[i] = words[(uint32_t)rand() % variety];
            snprintf(key[i], sizeof(key[i]), "%s", in[i]);
            out[i] = key[i];
        }
        model(key, n);
        check(in, out, n);
    }
}

/* At the output's limit it gives up, and says so. */
static void no_room(void **state)
{
    struct buf b;
    struct otlp_out o;

    (void)state;
    buf_init(&b, 256);
    assert_int_equal(buf_reserve(&b, 200), 0);
    o = otlp_out_of(&b);
    for (unsigned i = 0; i < 20; i++) {
        const uint8_t pair[] = {0x0a, 5, 0x0a, 1, (uint8_t)('a' + i), 0x12, 0};

        o.w = pb_put_raw(o.w, pair, sizeof(pair));
    }
    assert_int_equal(kvlist_keys_unique(&o, 0, 20), -EFBIG);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_maps),   cmocka_unit_test(long_keys),
        cmocka_unit_test(larger_maps),  cmocka_unit_test(odd_keys),
        cmocka_unit_test(maps_in_maps), cmocka_unit_test(hostile_maps),
        cmocka_unit_test(random_maps),  cmocka_unit_test(no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
