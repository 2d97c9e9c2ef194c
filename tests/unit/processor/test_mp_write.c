/* Every form that is written, at the borders between them, and the buffer's limit. */
#include "processor/mp.h"
#include "processor/mp_write.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

static void assert_bytes(const struct buf *b, const char *hex)
{
    struct buf want = new_buf();

    put_hex(&want, hex);
    assert_int_equal(b->n, want.n);
    assert_memory_equal(b->p, want.p, want.n);
    buf_fini(&want);
}

static const struct {
    int64_t v;
    const char *hex;
} integers[] = {
    {0, "00"},
    {127, "7f"},
    {128, "cc 80"},
    {255, "cc ff"},
    {256, "cd 0100"},
    {65535, "cd ffff"},
    {65536, "ce 00010000"},
    {4294967295, "ce ffffffff"},
    {4294967296, "cf 0000000100000000"},
    {INT64_MAX, "cf 7fffffffffffffff"},
    {-1, "ff"},
    {-32, "e0"},
    {-33, "d0 df"},
    {-128, "d0 80"},
    {-129, "d1 ff7f"},
    {-32768, "d1 8000"},
    {-32769, "d2 ffff7fff"},
    {INT32_MIN, "d2 80000000"},
    {(int64_t)INT32_MIN - 1, "d3 ffffffff7fffffff"},
    {INT64_MIN, "d3 8000000000000000"},
};

static void integers_take_the_shortest_form(void **state)
{
    struct buf b = new_buf();
    struct mp_writer w = mp_writer_of(&b);

    (void)state;
    for (size_t i = 0; i < sizeof(integers) / sizeof(*integers); i++) {
        b.n = 0;
        mp_put_int(&w, integers[i].v);
        assert_bytes(&b, integers[i].hex);
        if (integers[i].v < 0)
            continue;
        b.n = 0;
        mp_put_uint(&w, (uint64_t)integers[i].v);
        assert_bytes(&b, integers[i].hex);
    }
    b.n = 0;
    mp_put_uint(&w, UINT64_MAX);
    assert_bytes(&b, "cf ffffffffffffffff");
    assert_false(w.failed);
    buf_fini(&b);
}

static void constants_and_floats(void **state)
{
    struct buf b = new_buf();
    struct mp_writer w = mp_writer_of(&b);

    (void)state;
    mp_put_nil(&w);
    mp_put_bool(&w, false);
    mp_put_bool(&w, true);
    mp_put_float(&w, 1.5);
    mp_put_float(&w, -0.0);
    assert_bytes(&b, "c0 c2 c3 cb 3ff8000000000000 cb 8000000000000000");
    buf_fini(&b);
}

/* Lengths around every border, and how many bytes the head has. */
static const struct {
    size_t n;
    unsigned head;
} lengths[] = {
    {0, 1}, {1, 1}, {31, 1}, {32, 2}, {255, 2}, {256, 3}, {65535, 3}, {65536, 5}, {100000, 5},
};

static uint8_t *letters(size_t n)
{
    uint8_t *p = malloc(n + (n == 0));

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)('a' + i % 26);
    return p;
}

static void assert_one_str(const struct buf *b, const uint8_t *p, size_t n)
{
    struct mp in = mp_of(buf_slice(b));
    struct mp_value v;

    assert_int_equal(mp_next(&in, &v), 0);
    assert_int_equal(v.type, MP_STR);
    assert_int_equal(v.bytes.n, n);
    if (n > 0)
        assert_memory_equal(v.bytes.p, p, n);
    assert_int_equal(mp_left(&in), 0);
}

static void strings_of_every_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        size_t n = lengths[i].n;
        uint8_t *p = letters(n);
        struct buf b = new_buf();
        struct mp_writer w = mp_writer_of(&b);

        mp_put_str(&w, slice_of(p, n));
        assert_false(w.failed);
        assert_int_equal(b.n, lengths[i].head + n);
        assert_one_str(&b, p, n);
        free(p);
        buf_fini(&b);
    }
}

/* For every announced most, every length up to it that is in the table; written in two pieces. */
static void strings_of_unknown_length(void **state)
{
    (void)state;
    for (size_t most = 0; most < sizeof(lengths) / sizeof(*lengths); most++) {
        for (size_t i = 0; i <= most; i++) {
            size_t n = lengths[i].n, content;
            uint8_t *p = letters(n);
            struct buf b = new_buf();
            struct mp_writer w = mp_writer_of(&b);

            content = mp_str_begin(&w, lengths[most].n);
            assert_int_equal(content, lengths[most].head);
            assert_int_equal(b.n, content);
            mp_put_raw(&w, p, n / 3);
            mp_put_raw(&w, p + n / 3, n - n / 3);
            mp_str_end(&w, content);
            assert_false(w.failed);
            assert_one_str(&b, p, n);
            free(p);
            buf_fini(&b);
        }
    }
}

static void a_string_longer_than_announced_is_an_error(void **state)
{
    static const size_t most[] = {31, 255, 65535};
    uint8_t *p = letters(65536);

    (void)state;
    for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
        struct buf b = new_buf();
        struct mp_writer w = mp_writer_of(&b);
        size_t content = mp_str_begin(&w, most[i]);

        mp_put_raw(&w, p, most[i] + 1);
        assert_false(w.failed);
        mp_str_end(&w, content);
        assert_true(w.failed);
        buf_fini(&b);
    }
    free(p);
}

static void containers(void **state)
{
    struct buf b = new_buf();
    struct mp_writer w = mp_writer_of(&b);
    size_t outer, inner;

    (void)state;
    put_hex(&b, "aa");
    outer = mp_array_begin(&w);
    mp_put_uint(&w, 1);
    inner = mp_map_begin(&w);
    mp_map_end(&w, inner, 0);
    inner = mp_array_begin(&w);
    mp_array_end(&w, inner, 0);
    inner = mp_map_begin(&w);
    mp_put_str(&w, SLICE_LITERAL("k"));
    mp_put_nil(&w);
    mp_map_end(&w, inner, 1);
    mp_array_end(&w, outer, 4);
    assert_false(w.failed);
    assert_bytes(&b, "aa dd 00000004 01 80 90 df 00000001 a16b c0");
    buf_fini(&b);
}

static void pairs_are_counted(void **state)
{
    struct buf b = new_buf();
    struct mp_writer w = mp_writer_of(&b);

    (void)state;
    mp_put_pair(&w, "level", SLICE_LITERAL("info"));
    mp_put_pair(&w, "", slice_of(NULL, 0));
    assert_int_equal(w.pairs, 2);
    assert_bytes(&b, "a5 6c6576656c a4 696e666f a0 a0");
    buf_fini(&b);
}

/* All of it, into a buffer that may have `max` bytes. */
static bool write_everything(struct buf *b, size_t max, uint32_t *ret_pairs)
{
    struct mp_writer w;
    size_t map, text;

    buf_init(b, max);
    w = mp_writer_of(b);
    mp_put_nil(&w);
    mp_put_bool(&w, true);
    mp_put_uint(&w, 70000);
    mp_put_int(&w, -70000);
    mp_put_float(&w, 0.25);
    map = mp_map_begin(&w);
    mp_put_pair(&w, "key", SLICE_LITERAL("text"));
    mp_map_end(&w, map, 1);
    map = mp_array_begin(&w);
    mp_array_end(&w, map, 0);
    text = mp_str_begin(&w, 100);
    mp_put_raw(&w, "abcdef", 6);
    mp_str_end(&w, text);
    *ret_pairs = w.pairs;
    return !w.failed;
}

/* Under every limit: either all is there, or it says so, and never a byte above the limit. */
static void the_limit(void **state)
{
    struct buf whole, b;
    uint32_t pairs;
    bool fits = false;

    (void)state;
    assert_true(write_everything(&whole, 1000, &pairs));
    for (size_t max = 0; max < whole.n + 16; max++) {
        bool now = write_everything(&b, max, &pairs);

        assert_true(b.n <= max);
        assert_true(now || !fits); /* once it fits, it fits */
        fits = now;
        if (now)
            assert_true(slice_equal(buf_slice(&b), buf_slice(&whole)));
        buf_fini(&b);
    }
    assert_true(fits);
    assert_false(write_everything(&b, 0, &pairs));
    assert_int_equal(pairs, 0);
    assert_int_equal(b.n, 0);
    buf_fini(&b);
    buf_fini(&whole);
}

static void after_an_error_nothing_is_written(void **state)
{
    static const uint8_t bytes[200];
    struct buf b;
    struct mp_writer w;

    (void)state;
    buf_init(&b, 100);
    w = mp_writer_of(&b);
    mp_put_uint(&w, 5);
    mp_put_str(&w, slice_of(bytes, sizeof(bytes)));
    assert_true(w.failed);
    assert_int_equal(b.n, 1);
    mp_put_uint(&w, 6);
    mp_put_raw(&w, bytes, 1);
    mp_put_pair(&w, "a", SLICE_LITERAL("b"));
    mp_array_end(&w, mp_array_begin(&w), 0);
    mp_str_end(&w, mp_str_begin(&w, 3));
    assert_int_equal(b.n, 1);
    assert_int_equal(w.pairs, 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_the_shortest_form),
        cmocka_unit_test(constants_and_floats),
        cmocka_unit_test(strings_of_every_width),
        cmocka_unit_test(strings_of_unknown_length),
        cmocka_unit_test(a_string_longer_than_announced_is_an_error),
        cmocka_unit_test(containers),
        cmocka_unit_test(pairs_are_counted),
        cmocka_unit_test(the_limit),
        cmocka_unit_test(after_an_error_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
