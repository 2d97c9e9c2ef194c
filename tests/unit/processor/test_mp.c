/* Every form of MessagePack, at every cut, and skipping. */
#include "processor/mp.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

static const struct {
    const char *hex;
    enum mp_type type;
    int64_t number; /* the integer, the bool, the count, the length, the double times 1000 */
    int ext_type;
} rows[] = {
    {"c0", MP_NIL, 0, 0},
    {"c2", MP_BOOL, 0, 0},
    {"c3", MP_BOOL, 1, 0},
    {"00", MP_UINT, 0, 0},
    {"7f", MP_UINT, 127, 0},
    {"ff", MP_INT, -1, 0},
    {"e0", MP_INT, -32, 0},
    {"cc 80", MP_UINT, 128, 0},
    {"cd 0100", MP_UINT, 256, 0},
    {"ce 80000000", MP_UINT, 2147483648, 0},
    {"cf 7fffffffffffffff", MP_UINT, INT64_MAX, 0},
    {"d0 80", MP_INT, -128, 0},
    {"d0 7f", MP_UINT, 127, 0},
    {"d1 8000", MP_INT, -32768, 0},
    {"d2 80000000", MP_INT, -2147483648ll, 0},
    {"d2 00000005", MP_UINT, 5, 0},
    {"d3 8000000000000000", MP_INT, INT64_MIN, 0},
    {"ca 3fc00000", MP_FLOAT, 1500, 0},
    {"cb 3ff8000000000000", MP_FLOAT, 1500, 0},
    {"a0", MP_STR, 0, 0},
    {"a3 616263", MP_STR, 3, 0},
    {"d9 00", MP_STR, 0, 0},
    {"d9 03 616263", MP_STR, 3, 0},
    {"da 0003 616263", MP_STR, 3, 0},
    {"db 00000003 616263", MP_STR, 3, 0},
    {"c4 03 616263", MP_BIN, 3, 0},
    {"c5 0003 616263", MP_BIN, 3, 0},
    {"c6 00000003 616263", MP_BIN, 3, 0},
    {"d4 05 61", MP_EXT, 1, 5},
    {"d5 ff 6162", MP_EXT, 2, -1},
    {"d6 00 61626364", MP_EXT, 4, 0},
    {"d7 00 6162636465666768", MP_EXT, 8, 0},
    {"d8 80 61626364656667686162636465666768", MP_EXT, 16, -128},
    {"c7 03 05 616263", MP_EXT, 3, 5},
    {"c7 00 05", MP_EXT, 0, 5},
    {"c8 0003 05 616263", MP_EXT, 3, 5},
    {"c9 00000003 05 616263", MP_EXT, 3, 5},
    {"90", MP_ARRAY, 0, 0},
    {"9f", MP_ARRAY, 15, 0},
    {"dc 0102", MP_ARRAY, 258, 0},
    {"dd ffffffff", MP_ARRAY, 4294967295, 0},
    {"80", MP_MAP, 0, 0},
    {"8f", MP_MAP, 15, 0},
    {"de 0102", MP_MAP, 258, 0},
    {"df 00010000", MP_MAP, 65536, 0},
};

static int64_t number_of(const struct mp_value *v)
{
    switch (v->type) {
    case MP_NIL:
        return 0;
    case MP_BOOL:
    case MP_UINT:
        return (int64_t)v->u;
    case MP_INT:
        return v->i;
    case MP_FLOAT:
        return (int64_t)(v->d * 1000);
    case MP_ARRAY:
    case MP_MAP:
        return v->count;
    default:
        return (int64_t)v->bytes.n;
    }
}

static void every_form_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf b = new_buf();

        put_hex(&b, rows[i].hex);
        for (size_t n = 0; n <= b.n; n++) {
            uint8_t *copy = malloc(n + (n == 0));
            struct mp in = {copy, copy + n};
            struct mp_value v;
            struct slice text;

            if (n > 0)
                memcpy(copy, b.p, n);
            if (n < b.n) {
                assert_int_equal(mp_next(&in, &v), -ENODATA);
                assert_ptr_equal(in.p, copy);
                assert_null(mp_short_str(copy, copy + n, &text));
            } else {
                assert_int_equal(mp_next(&in, &v), 0);
                assert_ptr_equal(in.p, copy + n);
                assert_int_equal(v.type, rows[i].type);
                assert_true(number_of(&v) == rows[i].number);
                if (v.type == MP_EXT)
                    assert_int_equal(v.ext_type, rows[i].ext_type);
                if (v.type >= MP_STR && v.type <= MP_EXT && v.bytes.n > 0)
                    assert_memory_equal(v.bytes.p, "abcdefgh", v.bytes.n < 8 ? v.bytes.n : 8);
                if (mp_short_str(copy, copy + n, &text) != NULL)
                    assert_int_equal(text.n, rows[i].number);
            }
            free(copy);
        }
        buf_fini(&b);
    }
}

static void the_unused_byte(void **state)
{
    const uint8_t c1 = 0xc1;
    struct mp in = {&c1, &c1 + 1};
    struct mp_value v;

    (void)state;
    assert_int_equal(mp_next(&in, &v), -EBADMSG);
    assert_int_equal(mp_skip(&in, 1), -EBADMSG);
}

static void skipping(void **state)
{
    struct buf b = new_buf();
    struct mp in;
    struct mp_value v;

    (void)state;
    put_hex(&b, "92 83 a161 93 01 02 03 a162 80 a163 c0 cb 0000000000000000 a3 656e64");
    in = mp_of(buf_slice(&b));
    assert_int_equal(mp_skip(&in, 1), 0);
    assert_int_equal(mp_next(&in, &v), 0);
    assert_true(slice_is(v.bytes, "end"));
    assert_int_equal(mp_skip(&in, 0), 0);
    assert_int_equal(mp_skip(&in, 1), -ENODATA);
    for (size_t n = 0; n + 4 < b.n; n++) {
        in = (struct mp){b.p, b.p + n};
        assert_int_equal(mp_skip(&in, 1), -ENODATA);
    }
    /* a million levels: no stack; four thousand million elements: refused at once */
    b.n = 0;
    for (int i = 0; i < 1000000; i++)
        put_hex(&b, "91");
    put_hex(&b, "c0");
    in = mp_of(buf_slice(&b));
    assert_int_equal(mp_skip(&in, 1), 0);
    b.n = 0;
    put_hex(&b, "dd ffffffff 00 00 00");
    in = mp_of(buf_slice(&b));
    assert_int_equal(mp_skip(&in, 1), -ENODATA);
    b.n = 0;
    put_hex(&b, "df ffffffff df ffffffff");
    in = mp_of(buf_slice(&b));
    assert_int_equal(mp_skip(&in, 1), -ENODATA);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_at_every_cut),
        cmocka_unit_test(the_unused_byte),
        cmocka_unit_test(skipping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
