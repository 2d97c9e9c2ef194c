/* The protobuf writer's lengths and the reader's limits. */
#include "shared/otlp/pb.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

static void varints_are_minimal(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t values[] = {1ull << bit, (1ull << bit) - 1, UINT64_MAX >> bit};

        for (size_t i = 0; i < 3; i++) {
            uint8_t bytes[PB_MAX_VARINT_BYTES];
            size_t n = (size_t)(pb_put_varint(bytes, values[i]) - bytes);
            struct pb_reader r = {bytes, bytes + n};
            uint64_t back;

            assert_int_equal(n, pb_varint_bytes(values[i]));
            assert_true(n == 1 || bytes[n - 1] != 0);
            assert_int_equal(pb_get_varint(&r, &back), 0);
            assert_true(back == values[i]);
            assert_ptr_equal(r.p, r.end);
            /* cut off at every byte */
            for (size_t k = 0; k < n; k++) {
                r = (struct pb_reader){bytes, bytes + k};
                assert_int_equal(pb_get_varint(&r, &back), -EBADMSG);
            }
        }
    }
}

static void nested_lengths(void **state)
{
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 100000, 2097151, 2097152};
    static uint8_t bytes[2097152 + 32];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        for (unsigned width = 1; width <= 5; width++) {
            uint8_t *content = pb_nest_begin(bytes, 0x0a, width), *end;
            struct pb_reader r;
            struct pb_field f = {0};

            memset(content, 0xab, lengths[i]);
            end = pb_nest_end(content, width, content + lengths[i]);
            assert_int_equal(end - bytes, 1 + pb_varint_bytes(lengths[i]) + lengths[i]);
            r = (struct pb_reader){bytes, end};
            assert_int_equal(pb_next(&r, &f), 1);
            assert_int_equal(f.number, 1);
            assert_int_equal(f.bytes.n, lengths[i]);
            for (size_t k = 0; k < f.bytes.n; k++)
                assert_int_equal(f.bytes.p[k], 0xab);
            assert_int_equal(pb_next(&r, &f), 0);
        }
    }
}

static void bad_fields(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\x00", 1},                                          /* field 0 */
        {"\x0a", 1},                                          /* no length */
        {"\x0a\x02x", 3},                                     /* longer than there is */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* a length of 2^64-1 */
        {"\x08", 1},                                          /* no varint */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, /* above 64 bits */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12},
        {"\x09\x01\x02\x03\x04\x05\x06\x07", 8}, /* a cut fixed64 */
        {"\x0d\x01\x02\x03", 4},                 /* a cut fixed32 */
        {"\x0b\x0c", 2},                         /* a group */
        {"\x0e", 1},                             /* wire type 6 */
        {"\xff\xff\xff\xff\x7f\x00", 6},         /* a field number above 2^29-1 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct pb_reader r = pb_reader_of(slice_of(rows[i].bytes, rows[i].n));
        struct pb_field f = {0};

        assert_int_equal(pb_next(&r, &f), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_are_minimal),
        cmocka_unit_test(nested_lengths),
        cmocka_unit_test(bad_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
