/* Frames: their size, their groups, and what an aborted chunk leaves (nothing). */
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "shared/otlp/pb.h"

#include <errno.h>
#include <stdio.h>

static struct frames frames;
static struct frame_builder *builder;

static void begin(enum frame_codec_id codec)
{
    struct frame_sink sink;
    struct err err;

    frames_init(&frames);
    sink = frames_sink(&frames);
    assert_int_equal(frame_builder_new(codec, &sink, &builder, &err), 0);
}

static void end(void)
{
    frame_builder_free(&builder);
    assert_null(builder);
    frame_builder_free(&builder);
    frames_fini(&frames);
}

/* What ResourceLogs or ScopeLogs say beside their content: field 1, a message that begins {name}. */
static struct slice header(char *to, const char *name)
{
    size_t n = strlen(name);

    to[0] = 0x0a;
    to[1] = (char)(n + 2);
    to[2] = 0x0a;
    to[3] = (char)n;
    memcpy(to + 4, name, n);
    return slice_of(to, n + 4);
}

static void choose(const char *resource, const char *scope)
{
    static uint64_t ids;
    char a[64], b[64];
    const struct frame_head heads[2] = {frame_head_of(++ids, header(a, resource)),
                                        frame_head_of(++ids, header(b, scope))};

    assert_int_equal(frame_builder_group(builder, &heads[0], &heads[1]), 0);
}

/* A record that says `number` in its time and fills n bytes; n is at least 24. */
static int add(uint64_t number, size_t n)
{
    struct buf *records = frame_builder_records(builder);
    size_t body_n;
    uint8_t *p, *start;

    assert_int_equal(buf_reserve(records, n + 64), 0);
    start = p = records->p + records->n;
    body_n = n - 16;
    *p++ = 0x12;
    p = pb_put_varint(p, 9 + 1 + pb_varint_bytes(body_n) + body_n);
    p = pb_put_fixed64(p, 0x09, number);
    *p++ = 0x1a; /* severity_text, which is only text */
    p = pb_put_varint(p, body_n);
    memset(p, 'x', body_n);
    return frame_builder_record(builder, (size_t)(p + body_n - start), number);
}

/* "resource/scope: 1 2 3, resource/scope: 4" of all frames, in order; "|" between frames. */
static const char *contents(void)
{
    static char text[65536];
    struct pb_field rl = {0}, sl = {0}, f = {0}, lr = {0}, t = {0};
    size_t at = 0, from = 0;

    text[0] = '\0';
    for (size_t i = 0; i < frames.count; i++) {
        struct pb_reader r = {frames.plain.p + from, frames.plain.p + frames.ends[i]};
        uint32_t records = 0;
        uint64_t first = UINT64_MAX, last = 0;

        from = frames.ends[i];
        if (i > 0)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "|");
        while (pb_next(&r, &rl) > 0) {
            struct pb_reader rr = pb_reader_of(rl.bytes);

            assert_int_equal(pb_next(&rr, &f), 1);
            assert_int_equal(f.number, 1);
            at += (size_t)snprintf(text + at, sizeof(text) - at, "[%.*s", (int)f.bytes.n - 2,
                                   f.bytes.p + 2);
            while (pb_next(&rr, &sl) > 0) {
                struct pb_reader sr = pb_reader_of(sl.bytes);

                assert_int_equal(sl.number, 2);
                assert_int_equal(pb_next(&sr, &f), 1);
                at += (size_t)snprintf(text + at, sizeof(text) - at, " %.*s:", (int)f.bytes.n - 2,
                                       f.bytes.p + 2);
                while (pb_next(&sr, &lr) > 0) {
                    struct pb_reader lrr = pb_reader_of(lr.bytes);

                    assert_int_equal(lr.number, 2);
                    assert_int_equal(pb_next(&lrr, &t), 1);
                    at += (size_t)snprintf(text + at, sizeof(text) - at, " %lu", t.value);
                    first = t.value < first ? t.value : first;
                    last = t.value > last ? t.value : last;
                    assert_int_equal(pb_next(&lrr, &t) == 1 && pb_next(&lrr, &f) == 0, 1);
                    for (size_t k = 0; k < t.bytes.n; k++)
                        assert_int_equal(t.bytes.p[k], 'x');
                    records++;
                }
                assert_ptr_equal(sr.p, sr.end);
            }
            at += (size_t)snprintf(text + at, sizeof(text) - at, "]");
        }
        assert_ptr_equal(r.p, r.end);
        assert_int_equal(frames.infos[i].records, records);
        assert_int_equal(frames.infos[i].first_time_ns, first);
        assert_int_equal(frames.infos[i].last_time_ns, last);
    }
    return text;
}

static void groups_share_resources(void **state)
{
    (void)state;
    for (int codec = 0; codec < FRAME_CODECS; codec++) {
        begin((enum frame_codec_id)codec);
        assert_int_equal(frame_builder_flush(builder), 0);
        assert_int_equal(frames.count, 0); /* nothing gives no frame */
        frame_builder_chunk_begin(builder);
        choose("A", "one");
        assert_int_equal(add(5, 100), 0);
        choose("B", "one");
        assert_int_equal(add(2, 100), 0);
        choose("A", "two");
        assert_int_equal(add(3, 30000), 0);
        choose("A", "one");
        assert_int_equal(add(4, 100), 0);
        choose("C", "empty");
        frame_builder_chunk_end(builder);
        assert_int_equal(frame_builder_flush(builder), 0);
        assert_string_equal(contents(), "[A one: 5 4 two: 3][B one: 2]");
        assert_int_equal(frames.infos[0].first_time_ns, 2);
        assert_int_equal(frames.infos[0].last_time_ns, 5);
        assert_int_equal(frame_builder_pending_bytes(builder), 0);
        end();
    }
}

static void a_full_frame_goes_out(void **state)
{
    (void)state;
    begin(FRAME_GZIP);
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(add(i, 400000), 0);
    frame_builder_chunk_end(builder);
    assert_int_equal(frame_builder_flush(builder), 0);
    assert_string_equal(contents(), "[A one: 1 2]|[A one: 3 4]|[A one: 5]");
    end();
}

static void a_large_record_has_its_own_frame(void **state)
{
    (void)state;
    begin(FRAME_GZIP);
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    assert_int_equal(add(1, 100), 0);
    assert_int_equal(add(2, 3 << 20), 0);
    assert_int_equal(add(3, 100), 0);
    assert_int_equal(add(4, 100), 0);
    frame_builder_chunk_end(builder);
    assert_int_equal(frame_builder_flush(builder), 0);
    assert_string_equal(contents(), "[A one: 1]|[A one: 2]|[A one: 3 4]");
    assert_true(frames.infos[1].plain_bytes > (3 << 20));
    end();
}

static void a_record_beyond_all_is_refused(void **state)
{
    (void)state;
    begin(FRAME_NONE);
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    assert_int_equal(frame_builder_record(builder, FRAME_BUILDER_MAX_RECORD_BYTES + 1, 1), -EFBIG);
    frame_builder_chunk_abort(builder);
    assert_int_equal(frame_builder_flush(builder), 0);
    assert_int_equal(frames.count, 0);
    end();
}

/* Frames during a chunk hold only its records: so it can be cut off and leaves nothing. */
static void an_aborted_chunk_leaves_nothing(void **state)
{
    (void)state;
    begin(FRAME_GZIP);
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    assert_int_equal(add(1, 400000), 0);
    choose("A", "two");
    assert_int_equal(add(2, 100), 0);
    frame_builder_chunk_end(builder);
    assert_int_equal(frames.count, 0);
    /* small: nothing has gone out */
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    assert_int_equal(add(11, 100), 0);
    choose("B", "one");
    assert_int_equal(add(12, 100), 0);
    frame_builder_chunk_abort(builder);
    /* large: the earlier ones first, alone, then frames of its own */
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    for (uint64_t i = 21; i <= 26; i++)
        assert_int_equal(add(i, 300000), 0);
    assert_string_equal(contents(), "[A one: 1 two: 2]|[A one: 21 22 23]");
    frame_builder_chunk_abort(builder);
    assert_int_equal(frames.kept, 1); /* the earlier chunks' frame stays */
    frames_cut(&frames, frames.kept);
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    assert_int_equal(add(31, 100), 0);
    frame_builder_chunk_end(builder);
    assert_int_equal(frame_builder_flush(builder), 0);
    assert_string_equal(contents(), "[A one: 1 two: 2]|[A one: 31]");
    end();
}

/* More groups than there is room for. */
static void many_groups(void **state)
{
    char name[16];

    (void)state;
    begin(FRAME_GZIP);
    for (uint64_t i = 0; i < 1000; i++) {
        if (i % 10 == 0)
            frame_builder_chunk_begin(builder);
        snprintf(name, sizeof(name), "s%lu", i);
        choose(i % 2 ? "odd" : "even", name);
        assert_int_equal(add(i + 1, 100), 0);
        if (i % 10 == 9)
            frame_builder_chunk_end(builder);
    }
    assert_int_equal(frame_builder_flush(builder), 0);
    assert_true(frames.count >= 1000 / 256 && frames.count <= 40);
    {
        const char *text = contents();

        for (uint64_t i = 0; i < 1000; i++) {
            char want[40];

            snprintf(want, sizeof(want), " s%lu: %lu", i, i + 1);
            assert_non_null(strstr(text, want));
        }
    }
    end();
}

static void a_failing_sink(void **state)
{
    (void)state;
    begin(FRAME_GZIP);
    frames.fail = -ENOSPC;
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    for (uint64_t i = 1; i <= 2; i++)
        assert_int_equal(add(i, 400000), 0);
    assert_int_equal(add(3, 400000), -ENOSPC);
    frame_builder_chunk_abort(builder);
    frame_builder_reset(builder);
    assert_int_equal(frame_builder_pending_bytes(builder), 0);
    frames.fail = 0;
    frame_builder_chunk_begin(builder);
    choose("A", "one");
    assert_int_equal(add(4, 100), 0);
    frame_builder_chunk_end(builder);
    assert_int_equal(frame_builder_flush(builder), 0);
    assert_string_equal(contents(), "[A one: 4]");
    end();
}

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((random_state >> 33) % n);
}

/* Chunks that end or are aborted, in any order: each kept record is there once, no other is. */
static void random_chunks(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        static bool kept[4096];
        uint64_t next = 1, sum = 0;
        const char *text;

        random_state = seed;
        memset(kept, 0, sizeof(kept));
        begin((enum frame_codec_id)(seed % 3));
        for (int chunk = 0; chunk < 30; chunk++) {
            uint64_t first = next;
            uint32_t records = random_below(12);
            bool abort_it = random_below(3) == 0;

            frames.kept = frames.count;
            frame_builder_chunk_begin(builder);
            for (uint32_t i = 0; i < records; i++) {
                char scope[8];

                snprintf(scope, sizeof(scope), "s%u", random_below(4));
                choose(random_below(4) ? "A" : "B", scope);
                assert_int_equal(add(next++, 24 + random_below(random_below(4) ? 2000 : 700000)),
                                 0);
            }
            if (abort_it) {
                frame_builder_chunk_abort(builder);
                frames_cut(&frames, frames.kept);
            } else {
                frame_builder_chunk_end(builder);
            }
            for (uint64_t n = first; n < next && !abort_it; n++)
                kept[n] = true;
            if (random_below(5) == 0)
                assert_int_equal(frame_builder_flush(builder), 0);
        }
        assert_int_equal(frame_builder_flush(builder), 0);
        text = contents();
        for (uint64_t n = 1; n < next; n++) {
            char want[24];
            const char *found;

            snprintf(want, sizeof(want), " %lu", n);
            for (found = strstr(text, want); found != NULL; found = strstr(found + 1, want))
                if (found[strlen(want)] == ' ' || found[strlen(want)] == ']')
                    break;
            if ((found != NULL) != kept[n])
                fail_msg("seed %u: record %lu %s", seed, n, kept[n] ? "is lost" : "is there");
            sum += kept[n];
        }
        for (size_t i = 0; i < frames.count; i++)
            sum -= frames.infos[i].records;
        assert_int_equal(sum, 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_share_resources),
        cmocka_unit_test(a_full_frame_goes_out),
        cmocka_unit_test(a_large_record_has_its_own_frame),
        cmocka_unit_test(a_record_beyond_all_is_refused),
        cmocka_unit_test(an_aborted_chunk_leaves_nothing),
        cmocka_unit_test(many_groups),
        cmocka_unit_test(a_failing_sink),
        cmocka_unit_test(random_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
