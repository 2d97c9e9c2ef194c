/* segment: every damage of a batch or a header is seen. */
#include "shared/journal/segment.h"

#include "tests/unit/journal/rig.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <string.h>

static void test_names(void **state)
{
    static const char *const others[] = {"x", "0000000000000001.se", "0000000000000001.segx",
                                         "000000000000000A.seg", "00000000000000001.seg"};
    struct segment_list list;
    struct rig rig;
    char name[SEGMENT_NAME_BYTES];

    (void)state;
    segment_name(0xa1, name);
    assert_string_equal(name, "00000000000000a1.seg");
    rig_init(&rig, 1);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_true(rig.disk->ops->open(rig.disk, others[i], DISK_CREATE) >= 0);
    for (uint64_t n = 300; n > 0; n -= 100) {
        segment_name(n, name);
        assert_true(rig.disk->ops->open(rig.disk, name, DISK_CREATE) >= 0);
    }
    assert_int_equal(segment_list_read(rig.disk, &list, NULL), 0);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.numbers[0], 100);
    assert_int_equal(list.numbers[2], 300);
    segment_list_fini(&list);
    rig_fini(&rig);
}

/* A file with one sealed batch at 0. */
static int batch_file(struct rig *rig, uint64_t *ret_size)
{
    struct rig_batch made;
    int file = rig->disk->ops->open(rig->disk, "b", DISK_CREATE);

    rig_build(rig, 2, 30, &made);
    assert_int_equal(
        rig->disk->ops->pwrite(rig->disk, file, rig->batch.bytes.p, rig->batch.bytes.n, 0), 0);
    *ret_size = rig->batch.bytes.n;
    return file;
}

static int read_batch(struct rig *rig, int file, uint64_t size)
{
    struct segment_batch batch;
    struct buf bytes;
    int r;

    buf_init(&bytes, 1u << 20);
    r = segment_batch_read(rig->disk, file, 0, size, &bytes, &batch);
    if (r == 0) {
        assert_int_equal(batch.length, size);
        assert_int_equal(batch.commit.keys, 1);
    }
    buf_fini(&bytes);
    return r;
}

/* Bytes that no CRC covers: the zeros behind a payload. */
static bool is_padding(uint64_t at)
{
    return (at >= 64 + 64 + 30 && at < 64 + 64 + 32) ||
           (at >= 64 + 96 + 64 + 30 && at < 64 + 96 + 64 + 32);
}

static void test_every_flipped_byte(void **state)
{
    struct rig rig;
    uint64_t size;
    int file;

    (void)state;
    rig_init(&rig, 1);
    file = batch_file(&rig, &size);
    assert_int_equal(read_batch(&rig, file, size), 0);
    for (uint64_t at = 0; at < size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            int r;

            sim_disk_damage(rig.disk, "b", at, (uint8_t)(1u << bit));
            r = read_batch(&rig, file, size);
            if (is_padding(at))
                assert_int_equal(r, 0);
            else
                assert_int_equal(r, -ENODATA);
            sim_disk_damage(rig.disk, "b", at, (uint8_t)(1u << bit));
        }
    }
    assert_int_equal(read_batch(&rig, file, size), 0);
    rig_fini(&rig);
}

static void test_every_truncation(void **state)
{
    struct rig rig;
    uint64_t size;
    int file;

    (void)state;
    rig_init(&rig, 1);
    file = batch_file(&rig, &size);
    for (uint64_t n = 0; n < size; n++)
        assert_int_equal(read_batch(&rig, file, n), -ENODATA); /* the caller's end */
    for (uint64_t n = size; n-- > 0;) {
        assert_int_equal(rig.disk->ops->truncate(rig.disk, file, n), 0);
        assert_int_equal(read_batch(&rig, file, size), -ENODATA); /* the file's */
    }
    rig_fini(&rig);
}

static void test_header(void **state)
{
    struct segment_header header = {.number = 7, .first_sequence = 3}, got;
    struct segment_key keys[2] = {{.serial = 1}, {.serial = 2}};
    struct rig rig;
    struct buf read;
    int file;

    (void)state;
    rig_init(&rig, 1);
    buf_init(&read, 1u << 20);
    file = rig.disk->ops->open(rig.disk, "h", DISK_CREATE);
    segment_header_seal(&header, keys, sizeof(keys));
    assert_int_equal(rig.disk->ops->pwrite(rig.disk, file, &header, sizeof(header), 0), 0);
    assert_int_equal(rig.disk->ops->pwrite(rig.disk, file, keys, sizeof(keys), 4096), 0);
    assert_int_equal(segment_header_read(rig.disk, file, 8, &got), -ENODATA);
    assert_int_equal(segment_header_read(rig.disk, file, 7, &got), 0);
    assert_int_equal(got.first_sequence, 3);
    assert_int_equal(got.data_offset, 4096 + sizeof(keys));
    assert_int_equal(segment_window_read(rig.disk, file, &got, &read), 0);
    assert_int_equal(read.n, sizeof(keys));
    for (uint64_t at = 0; at < sizeof(header); at++) {
        sim_disk_damage(rig.disk, "h", at, 0x40);
        assert_int_equal(segment_header_read(rig.disk, file, 7, &got), -ENODATA);
        sim_disk_damage(rig.disk, "h", at, 0x40);
    }
    for (uint64_t at = 0; at < sizeof(keys); at++) {
        sim_disk_damage(rig.disk, "h", 4096 + at, 0x40);
        assert_int_equal(segment_window_read(rig.disk, file, &got, &read), -ENODATA);
        sim_disk_damage(rig.disk, "h", 4096 + at, 0x40);
    }
    assert_int_equal(rig.disk->ops->truncate(rig.disk, file, 4000), 0);
    assert_int_equal(segment_header_read(rig.disk, file, 7, &got), -ENODATA);
    buf_fini(&read);
    rig_fini(&rig);
}

static void test_find_batch(void **state)
{
    struct rig rig;
    uint64_t size, found = 0;
    struct rig_batch made;
    int file;

    (void)state;
    rig_init(&rig, 1);
    file = batch_file(&rig, &size);
    rig.state.next_sequence = 9;
    rig_build(&rig, 1, 30, &made);
    /* Far behind the first, over more than one step of the search. */
    assert_int_equal(
        rig.disk->ops->pwrite(rig.disk, file, rig.batch.bytes.p, rig.batch.bytes.n, 3u << 20), 0);
    assert_int_equal(segment_find_batch(rig.disk, file, 8, 5u << 20, 1, &found), 0);
    assert_int_equal(found, 3u << 20);
    assert_int_equal(segment_find_batch(rig.disk, file, 0, 5u << 20, 2, &found), 0);
    assert_int_equal(found, 3u << 20);
    assert_int_equal(segment_find_batch(rig.disk, file, 0, 5u << 20, 1, &found), 0);
    assert_int_equal(found, 0);
    assert_int_equal(segment_find_batch(rig.disk, file, 8, 5u << 20, 10, &found), -ENODATA);
    assert_int_equal(segment_find_batch(rig.disk, file, 8, (3u << 20) + 63, 1, &found), -ENODATA);
    /* At every place relative to the steps. */
    for (uint64_t at = (1u << 20) - 80; at <= (1u << 20) + 16; at += 8) {
        int other = rig.disk->ops->open(rig.disk, "c", DISK_CREATE);

        assert_int_equal(
            rig.disk->ops->pwrite(rig.disk, other, rig.batch.bytes.p, rig.batch.bytes.n, at), 0);
        assert_int_equal(segment_find_batch(rig.disk, other, 0, 2u << 20, 1, &found), 0);
        assert_int_equal(found, at);
        rig.disk->ops->close(rig.disk, other);
        rig.disk->ops->remove(rig.disk, "c");
    }
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_flipped_byte),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_find_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
