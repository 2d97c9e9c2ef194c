/* batch: the bytes of a batch as segment_layout.h draws them. */
#include "shared/journal/batch.h"

#include "shared/journal/crc32c.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

static void add_frame(struct batch *batch, const char *payload, uint32_t records)
{
    struct frame_info info = {.codec = FRAME_GZIP,
                              .plain_bytes = 99,
                              .plain_crc32 = 0x1234,
                              .records = records,
                              .first_time_ns = 7,
                              .last_time_ns = 8};
    uint8_t *p = batch_frame_reserve(batch, strlen(payload) + 50);

    assert_non_null(p);
    memset(p, 0xee, strlen(payload) + 50); /* as a compressor's scratch */
    memcpy(p, payload, strlen(payload));
    assert_int_equal(batch_frame_commit(batch, &info, strlen(payload)), 0);
}

static void check_frame(const uint8_t *at, uint32_t index, const char *payload)
{
    struct frame_header frame;
    size_t n = strlen(payload);

    memcpy(&frame, at, sizeof(frame));
    assert_int_equal(frame.magic, FRAME_MAGIC);
    assert_int_equal(frame.index, index);
    assert_int_equal(frame.sequence, 42);
    assert_int_equal(frame.codec, FRAME_GZIP);
    assert_int_equal(frame.payload_bytes, n);
    assert_int_equal(frame.plain_bytes, 99);
    assert_int_equal(frame.plain_crc, 0x1234);
    assert_int_equal(frame.first_time_ns, 7);
    assert_int_equal(frame.last_time_ns, 8);
    assert_int_equal(frame.payload_crc, crc32c(0, payload, n));
    assert_int_equal(frame.crc, crc32c(0, &frame, offsetof(struct frame_header, crc)));
    assert_memory_equal(at + sizeof(frame), payload, n);
    for (size_t i = n; i % 8 != 0; i++)
        assert_int_equal(at[sizeof(frame) + i], 0);
}

static void test_layout(void **state)
{
    const struct commit_record wanted = {.durable_segment = 3, .durable_end = 4, .chunks_taken = 5};
    struct segment_key key = {.key = {9}, .serial = 6};
    struct segment_confirmation confirmation = {.serial = 7};
    struct batch_header header;
    struct commit_record commit;
    struct batch batch;
    size_t tail;
    uint32_t crc;

    (void)state;
    batch_init(&batch, 1u << 20);
    add_frame(&batch, "hello", 1);
    add_frame(&batch, "eight by", 2);
    assert_int_equal(batch_key(&batch, &key), 0);
    assert_int_equal(batch_confirmation(&batch, &confirmation), 0);
    assert_int_equal(batch_seal(&batch, 42, &wanted), 0);

    memcpy(&header, batch.bytes.p, sizeof(header));
    tail = sizeof(commit) + sizeof(key) + sizeof(confirmation);
    assert_int_equal(header.magic, BATCH_MAGIC);
    assert_int_equal(header.frames, 2);
    assert_int_equal(header.records, 3);
    assert_int_equal(header.sequence, 42);
    assert_int_equal(header.commit_bytes, tail);
    assert_int_equal(header.length, 64 + 64 + 8 + 64 + 8 + tail);
    assert_int_equal(header.length, batch.bytes.n);
    assert_int_equal(header.crc, crc32c(0, &header, offsetof(struct batch_header, crc)));
    check_frame(batch.bytes.p + 64, 0, "hello");
    check_frame(batch.bytes.p + 64 + 72, 1, "eight by");

    memcpy(&commit, batch.bytes.p + batch.bytes.n - tail, sizeof(commit));
    assert_int_equal(commit.magic, COMMIT_MAGIC);
    assert_int_equal(commit.sequence, 42);
    assert_int_equal(commit.frames, 2);
    assert_int_equal(commit.length, header.length);
    assert_int_equal(commit.commit_bytes, tail);
    assert_int_equal(commit.keys, 1);
    assert_int_equal(commit.confirmations, 1);
    assert_int_equal(commit.durable_segment, 3);
    assert_int_equal(commit.durable_end, 4);
    assert_int_equal(commit.chunks_taken, 5);
    crc = crc32c(0, batch.bytes.p, 64);
    crc = crc32c(crc, batch.bytes.p + 64, 64);
    crc = crc32c(crc, batch.bytes.p + 64 + 72, 64);
    assert_int_equal(commit.batch_crc, crc);
    assert_memory_equal(batch.bytes.p + batch.bytes.n - sizeof(confirmation), &confirmation,
                        sizeof(confirmation));
    assert_memory_equal(batch.bytes.p + batch.bytes.n - sizeof(confirmation) - sizeof(key), &key,
                        sizeof(key));
    batch_fini(&batch);
}

/* What a corrupt chunk had put in is cut off as if it had never been. */
static void test_cut(void **state)
{
    const struct commit_record commit = {0};
    struct batch batch, plain;
    struct batch_mark mark;

    (void)state;
    batch_init(&batch, 1u << 20);
    batch_init(&plain, 1u << 20);
    mark = batch_mark(&batch);
    add_frame(&batch, "gone", 3);
    batch_cut(&batch, mark);
    assert_int_equal(batch.frames, 0);
    assert_int_equal(batch.bytes.n, 0);
    add_frame(&batch, "stays", 1);
    mark = batch_mark(&batch);
    add_frame(&batch, "gone too", 5);
    batch_cut(&batch, mark);
    add_frame(&plain, "stays", 1);
    assert_int_equal(batch_seal(&batch, 42, &commit), 0);
    assert_int_equal(batch_seal(&plain, 42, &commit), 0);
    assert_int_equal(batch.bytes.n, plain.bytes.n);
    assert_memory_equal(batch.bytes.p, plain.bytes.p, plain.bytes.n);
    batch_fini(&batch);
    batch_fini(&plain);
}

static void test_clear(void **state)
{
    const struct commit_record commit = {0};
    struct segment_key key = {0};
    struct batch batch;

    (void)state;
    batch_init(&batch, 1u << 20);
    add_frame(&batch, "first", 3);
    assert_int_equal(batch_key(&batch, &key), 0);
    assert_int_equal(batch_seal(&batch, 1, &commit), 0);
    batch_clear(&batch, 64);
    assert_true(batch.bytes.cap <= 64);
    assert_int_equal(batch.records, 0);
    assert_int_equal(batch_seal(&batch, 2, &commit), 0); /* confirmations alone */
    assert_int_equal(batch.bytes.n, sizeof(struct batch_header) + sizeof(struct commit_record));
    batch_fini(&batch);
}

static void test_limit(void **state)
{
    struct batch batch;

    (void)state;
    batch_init(&batch, 1000);
    assert_null(batch_frame_reserve(&batch, 1000));
    add_frame(&batch, "fits", 1);
    assert_null(batch_frame_reserve(&batch, 900));
    assert_int_equal(batch.frames, 1);
    batch_fini(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
