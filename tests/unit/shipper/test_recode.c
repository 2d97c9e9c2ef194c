/* Bodies made anew, frames cut by their records, parcels spliced. */
#include "shipper/recode.h"

#include "shared/otlp/frame_codec.h"
#include "shared/otlp/gzip_join.h"
#include "shared/otlp/pb.h"
#include "shared/otlp/transcode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define MAX_RECORDS 2000u
#define NO_LIMIT UINT64_MAX

struct world {
    struct frame_codec *codec;
    struct parcel parcel;
    struct buf body, plain;
    unsigned serial;
    uint64_t sequence;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_int_equal(frame_codec_new(&w->codec, NULL), 0);
    parcel_init(&w->parcel);
    parcel_reset(&w->parcel, 3, (struct cursor_position){1, 0, 0});
    buf_init(&w->body, 64 << 20);
    buf_init(&w->plain, 64 << 20);
    w->sequence = 1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    frame_codec_free(&w->codec);
    parcel_fini(&w->parcel);
    buf_fini(&w->body);
    buf_fini(&w->plain);
    free(w);
    return 0;
}

/* resource_logs { scope_logs { log_records { body { string_value "r-000042xxx" } } ... } } */
static uint8_t *put_records(uint8_t *p, unsigned *serial, unsigned records, size_t padding)
{
    uint8_t *resource = pb_nest_begin(p, 0x0a, 4), *scope = pb_nest_begin(resource, 0x12, 4);
    uint8_t *q = scope;

    for (unsigned i = 0; i < records; i++) {
        uint8_t *record = pb_nest_begin(q, 0x12, 4), *body = pb_nest_begin(record, 0x2a, 4);
        char text[16];

        snprintf(text, sizeof(text), "r-%06u", (*serial)++);
        *body = 0x0a;
        q = pb_put_varint(body + 1, 8 + padding);
        memcpy(q, text, 8);
        memset(q + 8, 'x', padding);
        q = pb_nest_end(record, 4, pb_nest_end(body, 4, q + 8 + padding));
    }
    return pb_nest_end(resource, 4, pb_nest_end(scope, 4, q));
}

/* Adds a frame, alone in its batch. `says`: how many records its head says it has. */
static void add_frame(struct world *w, enum frame_codec_id id, unsigned records, size_t padding,
                      unsigned says)
{
    uint8_t *plain = malloc(records * (padding + 32) + 64);
    size_t n = (size_t)(put_records(plain, &w->serial, records, padding) - plain), bytes;
    size_t bound = frame_codec_bound(id, n);
    uint8_t *payload = malloc(bound + 1);
    struct slice piece = slice_of(plain, n);
    struct frame_info info = {0};
    struct journal_frame frame = {.sequence = w->sequence++, .frames = 1, .records = says};

    assert_int_equal(frame_codec_compress(w->codec, id, &piece, 1,
                                          (struct frame_codec_out){payload, bound}, &bytes, &info),
                     0);
    frame.codec = id;
    frame.plain_bytes = info.plain_bytes;
    frame.plain_crc = info.plain_crc32;
    frame.payload = slice_of(payload, bytes);
    assert_int_equal(parcel_add(&w->parcel, &frame), 0);
    free(plain);
    free(payload);
}

static void add(struct world *w, enum frame_codec_id id, unsigned records, size_t padding)
{
    add_frame(w, id, records, padding, records);
}

static struct recode *new_recode(bool json, int codec)
{
    struct recode_form form = {.json = json, .any_codec = codec < 0};
    struct recode *recode = NULL;

    if (codec >= 0)
        form.codec = (enum frame_codec_id)codec;
    assert_int_equal(recode_new(&form, &recode, NULL), 0);
    return recode;
}

/* ---- decoders that are not ours ---- */

static struct slice gunzip_one(struct world *w, struct slice body)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)body.p, .avail_in = (unsigned)body.n};

    w->plain.n = 0;
    assert_int_equal(buf_reserve(&w->plain, 32 << 20), 0);
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    z.next_out = w->plain.p;
    z.avail_out = 32 << 20;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0); /* exactly one member */
    w->plain.n = z.total_out;
    inflateEnd(&z);
    return buf_slice(&w->plain);
}

static struct slice decoded(struct world *w, enum frame_codec_id id)
{
    struct slice body = buf_slice(&w->body);
    size_t n;

    if (id == FRAME_NONE)
        return body;
    if (id == FRAME_GZIP)
        return gunzip_one(w, body);
    w->plain.n = 0;
    assert_int_equal(buf_reserve(&w->plain, 32 << 20), 0);
    n = ZSTD_decompress(w->plain.p, 32 << 20, body.p, body.n);
    assert_false(ZSTD_isError(n));
    w->plain.n = n;
    return buf_slice(&w->plain);
}

/* The serials in it are first, first + 1, ... end - 1. */
static void check_serials(struct slice text, unsigned first, unsigned end)
{
    for (size_t i = 0; i + 8 <= text.n; i++) {
        if (text.p[i] != 'r' || text.p[i + 1] != '-')
            continue;
        assert_int_equal(strtoul((const char *)text.p + i + 2, NULL, 10), first);
        first++;
        i += 7;
    }
    assert_int_equal(first, end);
}

static bool begins(struct slice text, const char *with)
{
    return text.n >= strlen(with) && memcmp(text.p, with, strlen(with)) == 0;
}

/* ---- bodies ---- */

static void test_every_form(void **state)
{
    struct world *w = *state;

    for (int from = 0; from < FRAME_CODECS; from++) {
        for (int to = -1; to < FRAME_CODECS; to++) {
            for (int json = 0; json < 2; json++) {
                enum frame_codec_id id = (enum frame_codec_id)(to < 0 ? from : to);
                struct recode *recode = new_recode(json, to);
                struct recode_run run = {0, 5, NO_LIMIT, 0};
                struct err err = {0};
                struct slice plain;

                w->serial = 0;
                parcel_reset(&w->parcel, 0, (struct cursor_position){1, 0, 0});
                for (unsigned i = 0; i < 5; i++)
                    add(w, (enum frame_codec_id)from, 1 + i * 40, i * 30);
                assert_int_equal(recode_is_wanted(recode, (enum frame_codec_id)from),
                                 json || (int)id != from);
                assert_int_equal(recode_codec(recode, (enum frame_codec_id)from), id);
                if (recode_body(recode, &w->parcel, &run, &w->body, &err) < 0)
                    fail_msg("%s", err.text);
                assert_int_equal(run.end, 5);
                plain = decoded(w, id);
                assert_int_equal(plain.n, run.plain_bytes);
                assert_int_equal(begins(plain, TRANSCODE_JSON_HEAD), json);
                if (!json)
                    assert_int_equal(plain.n, parcel_plain_bytes(&w->parcel, 0, 5));
                check_serials(plain, 0, w->serial);
                recode_free(&recode);
            }
        }
    }
}

/* As many frames as fit, in both encodings, at each limit; never more bytes than it. */
static void test_limits(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < 8; i++)
        add(w, FRAME_GZIP, 10, 20);
    for (int json = 0; json < 2; json++) {
        struct recode *recode = new_recode(json, FRAME_ZSTD);
        uint32_t before = 0;

        for (uint64_t max = 100; max < 8000; max += 7) {
            struct recode_run run = {0, 8, max, 0};
            int r = recode_body(recode, &w->parcel, &run, &w->body, NULL);

            if (r == RECODE_TOO_LARGE) {
                assert_true(run.plain_bytes > max);
                assert_int_equal(before, 0);
                continue;
            }
            assert_int_equal(r, 0);
            assert_true(run.plain_bytes <= max);
            assert_true(run.end >= before && run.end > 0);
            check_serials(decoded(w, FRAME_ZSTD), 0, run.end * 10);
            before = run.end;
        }
        assert_int_equal(before, 8);
        recode_free(&recode);
    }
}

/* One record goes out, however large. */
static void test_a_single_large_record(void **state)
{
    struct world *w = *state;
    struct recode *recode = new_recode(true, -1);
    struct recode_run run = {0, 2, 65536, 0};

    add(w, FRAME_GZIP, 1, 5 << 20);
    add(w, FRAME_GZIP, 1, 10);
    assert_int_equal(recode_body(recode, &w->parcel, &run, &w->body, NULL), 0);
    assert_int_equal(run.end, 1);
    assert_true(run.plain_bytes > 5 << 20);
    check_serials(decoded(w, FRAME_GZIP), 0, 1);
    recode_free(&recode);
}

static void damage(struct world *w, uint32_t index)
{
    w->parcel.bytes.p[w->parcel.frames[index].offset + w->parcel.frames[index].bytes / 2] ^= 0x55;
}

static void test_unreadable_frames(void **state)
{
    struct world *w = *state;
    struct recode *recode = new_recode(true, -1);
    struct recode_run run = {0, 4, NO_LIMIT, 0};
    struct err err = {0};

    for (unsigned i = 0; i < 4; i++)
        add(w, FRAME_NONE, 10, 20);
    damage(w, 2);
    assert_int_equal(recode_body(recode, &w->parcel, &run, &w->body, &err), 0);
    assert_int_equal(run.end, 2); /* up to it */
    check_serials(buf_slice(&w->body), 0, 20);
    run = (struct recode_run){2, 4, NO_LIMIT, 0};
    assert_int_equal(recode_body(recode, &w->parcel, &run, &w->body, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "CRC"));
    assert_int_equal(w->body.n, 0);
    run = (struct recode_run){3, 4, NO_LIMIT, 0};
    assert_int_equal(recode_body(recode, &w->parcel, &run, &w->body, &err), 0);
    check_serials(buf_slice(&w->body), 30, 40);
    recode_free(&recode);
}

/* A frame whose plain bytes are none would be an empty request. */
static void test_empty_frame(void **state)
{
    struct world *w = *state;
    struct journal_frame frame = {.sequence = 1, .frames = 1, .records = 1, .codec = FRAME_NONE};

    frame.payload = slice_of("", 0);
    assert_int_equal(parcel_add(&w->parcel, &frame), 0);
    for (int json = 0; json < 2; json++) {
        struct recode *recode = new_recode(json, FRAME_GZIP);
        struct recode_run run = {0, 1, NO_LIMIT, 0};
        struct err err = {0};

        assert_int_equal(recode_body(recode, &w->parcel, &run, &w->body, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "no records"));
        recode_free(&recode);
    }
}

/* ---- parts ---- */

/* Each frame holds the serials that its place in the lane says, and they tile the lane. */
static void check_parcel(struct world *w, const unsigned *first_serials)
{
    const struct parcel *parcel = &w->parcel;
    struct cursor_position at = parcel->from;
    uint64_t plain = 0, records = 0;
    size_t offset = 0;

    for (uint32_t i = 0; i < parcel->count; i++) {
        const struct parcel_frame *frame = &parcel->frames[i];
        unsigned first = first_serials[frame->start.sequence] + frame->start.record;

        assert_int_equal(frame->offset, offset);
        assert_int_equal(cursor_compare(frame->start, at), 0);
        assert_true(cursor_compare(frame->start, frame->end) < 0);
        assert_false(parcel_frame_is_part(frame));
        w->plain.n = 0;
        assert_int_equal(frame_codec_decompress(w->codec, &frame->info,
                                                parcel_bytes(parcel, i, i + 1), &w->plain, NULL),
                         0);
        check_serials(buf_slice(&w->plain), first, first + frame->info.records);
        offset += frame->bytes;
        plain += frame->info.plain_bytes;
        records += frame->info.records;
        at = frame->end;
    }
    assert_int_equal(parcel->bytes.n, offset);
    assert_int_equal(parcel->plain_bytes, plain);
    assert_int_equal(parcel->records, records);
    assert_int_equal(at.sequence, w->sequence);
    assert_int_equal(at.record, 0);
}

static void test_cut(void **state)
{
    struct world *w = *state;

    for (int id = 0; id < FRAME_CODECS; id++) {
        struct recode *recode = new_recode(false, -1);
        unsigned first_serials[8];
        uint32_t parts = 0, whole;

        w->serial = 0;
        w->sequence = 1;
        parcel_reset(&w->parcel, 0, (struct cursor_position){1, 0, 0});
        for (unsigned i = 1; i <= 5; i++) {
            first_serials[i] = w->serial;
            add(w, (enum frame_codec_id)id, 30 * i + 1, 40);
        }
        assert_int_equal(recode_cut(recode, &w->parcel, 2, 2, &parts, NULL), 0);
        assert_int_equal(parts, 2);
        check_parcel(w, first_serials);
        assert_int_equal(recode_cut(recode, &w->parcel, 3, 7, &parts, NULL), 0); /* a part again */
        assert_int_equal(parts, 7);
        check_parcel(w, first_serials);
        assert_int_equal(recode_cut(recode, &w->parcel, 0, 1000000, &parts, NULL), 0);
        assert_int_equal(parts, 31); /* one record each */
        check_parcel(w, first_serials);
        assert_int_equal(recode_cut(recode, &w->parcel, 0, 2, &parts, NULL), 0);
        assert_int_equal(parts, 1);
        whole = w->parcel.count;
        assert_int_equal(recode_cut(recode, &w->parcel, whole - 1, UINT64_MAX, &parts, NULL), 0);
        assert_int_equal(parts, RECODE_PARTS_MAX);
        check_parcel(w, first_serials);
        if (id == FRAME_GZIP) { /* and still join to one member */
            struct gzip_join join;

            w->body.n = 0;
            assert_int_equal(gzip_join_begin_buf(&join, &w->body), 0);
            for (uint32_t i = 0; i < w->parcel.count; i++)
                assert_int_equal(gzip_join_add_buf(&join, &w->parcel.frames[i].info,
                                                   parcel_bytes(&w->parcel, i, i + 1), &w->body),
                                 0);
            assert_int_equal(gzip_join_end_buf(&join, &w->body), 0);
            check_serials(decoded(w, FRAME_GZIP), 0, w->serial);
        }
        recode_free(&recode);
    }
}

/* What was delivered of a frame before a restart is cut off. */
static void test_parts_of_frames(void **state)
{
    struct world *w = *state;
    struct recode *recode = new_recode(true, -1);
    struct journal_frame frame = {.sequence = 1, .frames = 2, .records = 10, .codec = FRAME_NONE};
    uint8_t plain[1024];
    uint32_t parts = 0;
    unsigned serial = 0;
    size_t n = (size_t)(put_records(plain, &serial, 10, 3) - plain);

    frame.payload = slice_of(plain, n);
    frame.plain_bytes = (uint32_t)n;
    frame.plain_crc = (uint32_t)crc32(0, plain, (unsigned)n);
    assert_int_equal(parcel_add_part(&w->parcel, &frame, 4, 7), 0);
    assert_true(parcel_frame_is_part(&w->parcel.frames[0]));
    assert_int_equal(w->parcel.records, 3);
    assert_int_equal(w->parcel.frames[0].end.record, 7);
    assert_int_equal(recode_cut(recode, &w->parcel, 0, 1, &parts, NULL), 0);
    assert_int_equal(parts, 1);
    assert_false(parcel_frame_is_part(&w->parcel.frames[0]));
    check_serials(parcel_bytes(&w->parcel, 0, 1), 4, 7);
    assert_int_equal(w->parcel.frames[0].start.record, 4);
    assert_int_equal(w->parcel.frames[0].end.record, 7);
    assert_int_equal(w->parcel.frames[0].end.frame, 0);
    assert_int_equal(recode_cut(recode, &w->parcel, 0, 3, &parts, NULL), 0);
    check_serials(parcel_bytes(&w->parcel, 1, 2), 5, 6);
    assert_int_equal(w->parcel.frames[1].start.record, 5);
    assert_int_equal(w->parcel.frames[1].end.record, 6);

    parcel_reset(&w->parcel, 0, (struct cursor_position){0}); /* the last of it: the next frame */
    assert_int_equal(parcel_add_part(&w->parcel, &frame, 9, 10), 0);
    assert_int_equal(w->parcel.frames[0].end.frame, 1);
    assert_int_equal(w->parcel.frames[0].end.record, 0);
    recode_free(&recode);
}

static void test_uncuttable(void **state)
{
    struct world *w = *state;
    struct recode *recode = new_recode(false, -1);
    struct err err = {0};
    uint32_t parts = 0;

    add_frame(w, FRAME_GZIP, 10, 5, 11); /* says more than it holds */
    add(w, FRAME_NONE, 10, 20);
    damage(w, 1);
    assert_int_equal(recode_cut(recode, &w->parcel, 0, 2, &parts, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "says that it holds 11 records, and holds 10"));
    assert_int_equal(recode_cut(recode, &w->parcel, 1, 2, &parts, &err), -EBADMSG);
    assert_int_equal(w->parcel.count, 2);
    assert_int_equal(parts, 0);
    recode_trim(recode);
    recode_free(&recode);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_form),        TEST(test_limits),      TEST(test_a_single_large_record),
        TEST(test_unreadable_frames), TEST(test_empty_frame), TEST(test_cut),
        TEST(test_parts_of_frames),   TEST(test_uncuttable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
