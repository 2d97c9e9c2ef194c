#include "shared/options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/bytes.h"

#define ALL (OPTION_RECEIVER | OPTION_PROCESSOR | OPTION_SHIPPER)

static struct buf snapshot_of(const struct options *options, unsigned role)
{
    struct buf buf;

    buf_init(&buf, 1 << 20);
    assert_int_equal(options_snapshot(options, role, &buf), 0);
    return buf;
}

/* Reads a heap copy of exactly that length, so that the sanitizer sees a byte too far. */
static int read_snapshot(struct slice bytes, unsigned role, struct options **ret, struct err *err)
{
    uint8_t *copy = malloc(bytes.n > 0 ? bytes.n : 1);
    int r;

    memcpy(copy, bytes.p, bytes.n);
    r = options_from_snapshot(slice_of(copy, bytes.n), role, ret, err);
    free(copy);
    return r;
}

static void test_round_trip(void **state)
{
    struct options *options = options_new(), *read = NULL;
    struct err err = {0};
    struct buf buf;

    (void)state;
    assert_int_equal(options_set(options, OPT_DATA_DIR, SLICE_LITERAL("/srv"), NULL), 0);
    assert_int_equal(options_set(options, OPT_OTLP_ENDPOINT, SLICE_LITERAL("http://x/"), NULL), 0);
    assert_int_equal(options_set(options, OPT_RETRY_MAX, SLICE_LITERAL("90s"), NULL), 0);
    buf = snapshot_of(options, OPTION_SHIPPER);
    assert_int_equal(read_snapshot(buf_slice(&buf), OPTION_SHIPPER, &read, &err), 0);
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        struct options_changes changes;

        options_diff(options, read, &changes);
        if ((option_roles(i) & OPTION_SHIPPER) != 0)
            assert_false(changes.changed[i]);
    }
    assert_string_equal(options_string(read, OPT_DATA_DIR), "/srv");
    assert_int_equal(options_time_ms(read, OPT_RETRY_MAX), 90000);
    assert_int_equal(options_origin(read, OPT_DATA_DIR), OPTION_FROM_SNAPSHOT);
    options_free(&read);
    options_free(&options);
    buf_fini(&buf);
}

static bool holds(const struct buf *buf, const char *text)
{
    return memmem(buf->p, buf->n, text, strlen(text)) != NULL;
}

static void test_no_secrets_and_no_strangers(void **state)
{
    struct options *options = options_new();
    struct buf buf;

    (void)state;
    assert_int_equal(options_set(options, OPT_OTLP_API_KEY, SLICE_LITERAL("hunter2"), NULL), 0);
    assert_int_equal(options_set(options, OPT_FORWARD_SHARED_KEY, SLICE_LITERAL("hunter3"), NULL),
                     0);
    buf = snapshot_of(options, ALL);
    assert_false(holds(&buf, "hunter"));
    assert_false(holds(&buf, "key"));
    assert_false(holds(&buf, "control.path"));
    buf_fini(&buf);
    buf = snapshot_of(options, OPTION_RECEIVER);
    assert_true(holds(&buf, "receiver.memory"));
    assert_false(holds(&buf, "otlp."));
    assert_false(holds(&buf, "data_dir"));
    buf_fini(&buf);
    options_free(&options);
}

/* Builds a snapshot by hand: header, then pairs of path and value up to NULL. */
static void assert_refused(uint32_t count, const char *const *pairs, unsigned role,
                           const char *reason)
{
    struct options *read = NULL;
    struct err err = {0};
    uint8_t number[4];
    struct buf buf;

    buf_init(&buf, 1 << 20);
    bytes_put_le32(number, 0x31504f53);
    buf_append(&buf, number, 4);
    bytes_put_le32(number, 1);
    buf_append(&buf, number, 4);
    bytes_put_le32(number, count);
    buf_append(&buf, number, 4);
    for (; *pairs != NULL; pairs += 2) {
        uint8_t length[2] = {(uint8_t)strlen(pairs[0]), (uint8_t)(strlen(pairs[0]) >> 8)};

        buf_append(&buf, length, 2);
        buf_append(&buf, pairs[0], strlen(pairs[0]));
        bytes_put_le32(number, (uint32_t)strlen(pairs[1]));
        buf_append(&buf, number, 4);
        buf_append(&buf, pairs[1], strlen(pairs[1]));
    }
    assert_int_equal(read_snapshot(buf_slice(&buf), role, &read, &err), -EINVAL);
    assert_null(read);
    assert_string_equal(err.text, reason);
    buf_fini(&buf);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_strict_reading(void **state)
{
    static char name[301];

    (void)state;
    memset(name, 'n', 300);
    assert_refused(1, PAIRS("retry.mix", "1s"), ALL,
                   "the options name one that is not known here: retry.mix");
    assert_refused(1, PAIRS(name, "1s"), ALL, "the options name a path of 300 bytes");
    assert_refused(1, PAIRS("retry.min", "1s"), OPTION_RECEIVER,
                   "the options name one that is not for this stage: retry.min");
    assert_refused(1, PAIRS("otlp.api_key", "x"), OPTION_SHIPPER,
                   "the options name one that is not for this stage: otlp.api_key");
    assert_refused(1, PAIRS("control.path", "/x"), ALL,
                   "the options name one that is not for this stage: control.path");
    assert_refused(2, PAIRS("retry.min", "1s", "retry.min", "1s"), ALL,
                   "the options name retry.min twice");
    assert_refused(1, PAIRS("retry.min", "1"), ALL,
                   "retry.min: \"1\" is not a time: write a number and its unit, ms, s, m or h, as "
                   "in 30s");
    assert_refused(2, PAIRS("retry.min", "1s"), ALL, "the options are cut short");
    assert_refused(UINT32_MAX, PAIRS("retry.min", "1s"), ALL, "the options are cut short");
    assert_refused(0, PAIRS("retry.min", "1s"), ALL, "17 bytes follow the options");
}

/* Every cut and every flipped byte ends in an answer, and what is taken is valid. */
static void test_damaged_bytes(void **state)
{
    struct options *options = options_new(), *read = NULL;
    struct buf buf = snapshot_of(options, ALL);

    (void)state;
    for (size_t n = 0; n < buf.n; n++)
        assert_int_equal(read_snapshot(slice_of(buf.p, n), ALL, &read, NULL), -EINVAL);
    for (size_t i = 0; i < buf.n; i++) {
        buf.p[i] ^= 0xff;
        if (read_snapshot(buf_slice(&buf), ALL, &read, NULL) == 0)
            options_free(&read);
        buf.p[i] ^= 0xff;
    }
    buf_fini(&buf);
    options_free(&options);
}

static void test_no_room(void **state)
{
    struct options *options = options_new();
    struct buf buf;

    (void)state;
    buf_init(&buf, 300);
    buf_append(&buf, "before", 6);
    assert_int_equal(options_snapshot(options, ALL, &buf), -ENOMEM);
    assert_int_equal(buf.n, 6);
    buf_fini(&buf);
    options_free(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_no_secrets_and_no_strangers),
        cmocka_unit_test(test_strict_reading), cmocka_unit_test(test_damaged_bytes),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
