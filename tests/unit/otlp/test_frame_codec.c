/* Frames there and back, damaged frames, and fragments joined to one gzip member. */
#include "shared/otlp/frame_codec.h"
#include "shared/otlp/gzip_join.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static struct frame_codec *codec;
static struct err err;
static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((random_state >> 33) % n);
}

/* kind 0: random bytes; 1: log-like; 2: one byte over and over */
static uint8_t *make(size_t n, int kind)
{
    static const char words[] = "timestamp level info message Job processing started trace_id ";
    uint8_t *p = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        p[i] = kind == 0 ? (uint8_t)random_below(256)
               : kind == 1
                   ? (uint8_t)(random_below(20) ? (uint8_t)words[i % 60] : random_below(256))
                   : 'x';
    return p;
}

static size_t compress_pieces(enum frame_codec_id id, const struct slice *pieces, size_t count,
                              uint8_t **ret_p, struct frame_info *info)
{
    struct frame_codec_out out;
    size_t n = 0, bytes = 0;

    for (size_t i = 0; i < count; i++)
        n += pieces[i].n;
    out.cap = frame_codec_bound(id, n);
    out.p = malloc(out.cap + 1);
    assert_int_equal(frame_codec_compress(codec, id, pieces, count, out, &bytes, info), 0);
    assert_true(bytes <= out.cap);
    assert_int_equal(info->codec, id);
    assert_int_equal(info->plain_bytes, n);
    *ret_p = out.p;
    return bytes;
}

static void there_and_back(void **state)
{
    static const size_t sizes[] = {0, 1, 5, 100, 4000, 65535, 65536, 300000, 1 << 20, 3 << 20};

    (void)state;
    for (int id = 0; id < FRAME_CODECS; id++) {
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            for (int kind = 0; kind < 6; kind++) {
                uint8_t *plain = make(sizes[s], kind % 3), *payload;
                size_t cut = sizes[s] / 3, n, count = kind < 3 ? 1 : 3;
                const struct slice one = {plain, sizes[s]};
                const struct slice three[] = {
                    {plain, cut}, {plain + cut, cut}, {plain + 2 * cut, sizes[s] - 2 * cut}};
                struct frame_info info = {.records = 7};
                struct buf out;

                buf_init(&out, (size_t)8 << 20);
                assert_int_equal(buf_append(&out, "before", 6), 0);
                n = compress_pieces((enum frame_codec_id)id, count == 1 ? &one : three, count,
                                    &payload, &info);
                assert_int_equal(info.records, 7);
                assert_int_equal(info.plain_crc32, crc32(0, plain, (uInt)sizes[s]));
                if (frame_codec_decompress(codec, &info, slice_of(payload, n), &out, &err) < 0)
                    fail_msg("codec %d, %zu bytes, kind %d: %s", id, sizes[s], kind, err.text);
                assert_int_equal(out.n, 6 + sizes[s]);
                assert_memory_equal(out.p + 6, plain, sizes[s]);
                buf_fini(&out);
                free(payload);
                free(plain);
            }
        }
    }
}

/* Every kind of damage is noticed, nothing is written, and nothing crashes. */
static void damaged_frames(void **state)
{
    const size_t size = 5000;

    (void)state;
    for (int id = 0; id < FRAME_CODECS; id++) {
        uint8_t *plain = make(size, 1), *payload;
        const struct slice one = {plain, size};
        struct frame_info good, info;
        struct buf out;
        size_t n = compress_pieces((enum frame_codec_id)id, &one, 1, &payload, &good);

        buf_init(&out, 1 << 20);
        for (int i = 0; i < 3000; i++) {
            size_t at = random_below((uint32_t)n);
            uint8_t was = payload[at];

            payload[at] ^= (uint8_t)(1 + random_below(255));
            /* zstd has bits that change nothing: then the bytes must be right */
            if (frame_codec_decompress(codec, &good, slice_of(payload, n), &out, &err) == 0) {
                assert_int_equal(out.n, size);
                assert_memory_equal(out.p, plain, size);
                out.n = 0;
            }
            assert_int_equal(out.n, 0);
            payload[at] = was;
        }
        for (size_t k = 0; k < n; k += 1 + n / 300) {
            /* Where the blocks happen to end aligned, the flush alone may be missing: harmless. */
            if (frame_codec_decompress(codec, &good, slice_of(payload, k), &out, &err) == 0) {
                assert_true(id == FRAME_GZIP && k + 5 >= n && out.n == size);
                out.n = 0;
            }
        }
        payload[n] = 0; /* one byte too many */
        assert_int_equal(frame_codec_decompress(codec, &good, slice_of(payload, n + 1), &out, &err),
                         -EBADMSG);
        info = good;
        info.plain_bytes--;
        assert_int_equal(frame_codec_decompress(codec, &info, slice_of(payload, n), &out, &err),
                         -EBADMSG);
        info.plain_bytes += 2;
        assert_int_equal(frame_codec_decompress(codec, &info, slice_of(payload, n), &out, &err),
                         -EBADMSG);
        info = good;
        info.plain_crc32 ^= 1;
        assert_int_equal(frame_codec_decompress(codec, &info, slice_of(payload, n), &out, &err),
                         -EBADMSG);
        info = good;
        info.codec = 77;
        assert_int_equal(frame_codec_decompress(codec, &info, slice_of(payload, n), &out, &err),
                         -EBADMSG);
        info = good;
        info.plain_bytes = 1 << 30; /* more than the caller's buffer may take */
        assert_int_equal(frame_codec_decompress(codec, &info, slice_of(payload, n), &out, &err),
                         -ENOMEM);
        assert_int_equal(out.n, 0);
        buf_fini(&out);
        free(payload);
        free(plain);
    }
}

/* A fragment that is final, or not byte-aligned, could not be joined. */
static void fragments_must_be_joinable(void **state)
{
    static const uint8_t final_block[] = {0x03, 0x00};
    static const uint8_t unaligned[] = {0x02, 0x00}; /* an empty block of fixed codes: 10 bits */
    struct frame_info info = {.codec = FRAME_GZIP};
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(frame_codec_decompress(codec, &info, slice_of(final_block, 2), &out, &err),
                     -EBADMSG);
    assert_int_equal(frame_codec_decompress(codec, &info, slice_of(unaligned, 2), &out, &err),
                     -EBADMSG);
    buf_fini(&out);
}

/* zlib's inflate sees one member, and nothing behind it. */
static void check_member(const struct buf *member, const struct buf *plain)
{
    uint8_t *back = malloc(plain->n + 1);
    z_stream z = {0};

    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    z.next_in = member->p;
    z.avail_in = (uInt)member->n;
    z.next_out = back;
    z.avail_out = (uInt)plain->n + 1;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, plain->n);
    if (plain->n > 0)
        assert_memory_equal(back, plain->p, plain->n);
    inflateEnd(&z);
    free(back);
}

static void check_gzip_program(const struct buf *member)
{
    char path[] = "/tmp/sluice-test-XXXXXX", command[64];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, member->p, member->n), (ssize_t)member->n);
    close(fd);
    snprintf(command, sizeof(command), "gzip -t < %s", path);
    assert_int_equal(system(command), 0);
    unlink(path);
}

static void fragments_become_one_member(void **state)
{
    (void)state;
    for (size_t fragments = 0; fragments <= 20; fragments++) {
        struct gzip_join join;
        struct buf member, plain;

        buf_init(&member, (size_t)32 << 20);
        buf_init(&plain, (size_t)32 << 20);
        assert_int_equal(gzip_join_begin_buf(&join, &member), 0);
        for (size_t i = 0; i < fragments; i++) {
            size_t size = random_below(4) ? random_below(3000) : random_below(400000), n;
            uint8_t *bytes = make(size, (int)random_below(3)), *payload;
            const struct slice pieces[] = {{bytes, size / 2}, {bytes + size / 2, size - size / 2}};
            const struct slice one = {bytes, size};
            struct frame_info info;

            n = compress_pieces(FRAME_GZIP, i % 2 ? &one : pieces, i % 2 ? 1 : 2, &payload, &info);
            assert_int_equal(gzip_join_add_buf(&join, &info, slice_of(payload, n), &member), 0);
            assert_int_equal(buf_append(&plain, bytes, size), 0);
            free(payload);
            free(bytes);
        }
        assert_int_equal(gzip_join_end_buf(&join, &member), 0);
        check_member(&member, &plain);
        if (fragments % 5 == 0)
            check_gzip_program(&member);
        buf_fini(&member);
        buf_fini(&plain);
    }
}

static void names(void **state)
{
    enum frame_codec_id id;

    (void)state;
    for (int i = 0; i < FRAME_CODECS; i++) {
        assert_int_equal(frame_codec_parse(frame_codec_name((enum frame_codec_id)i), &id), 0);
        assert_int_equal(id, i);
    }
    assert_int_equal(frame_codec_parse("lz4", &id), -EINVAL);
}

static int setup(void **state)
{
    (void)state;
    return frame_codec_new(&codec, &err);
}

static int teardown(void **state)
{
    (void)state;
    frame_codec_free(&codec);
    frame_codec_free(&codec);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(damaged_frames),
        cmocka_unit_test(fragments_must_be_joinable),
        cmocka_unit_test(fragments_become_one_member),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
