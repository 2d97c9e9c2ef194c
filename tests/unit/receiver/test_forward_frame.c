/*
 * Framing: every capture gives the messages of the index, however it is cut; hostile streams end in
 * the result that they should; the wire's rules one by one.
 */
#include "receiver/forward_frame.h"

#include "tests/unit/receiver/feed.h"
#include "tests/unit/receiver/fixture.h"

#define LIMIT (16u << 20)
#define ROUNDS 40

/* ---- captures ---- */

static enum ring_carrier carrier_of(const char *word)
{
    if (strcmp(word, "forward") == 0)
        return RING_FORWARD;
    return strcmp(word, "packed") == 0 ? RING_PACKED : RING_MESSAGE;
}

static enum ring_compression compression_of(const char *word)
{
    if (strcmp(word, "gzip") == 0)
        return RING_GZIP;
    return strcmp(word, "zstd") == 0 ? RING_ZSTD : RING_PLAIN;
}

static void expect_slice(struct slice got, const struct fixture *fixture, unsigned long at,
                         unsigned long n)
{
    assert_int_equal(got.n, n);
    if (n > 0)
        assert_memory_equal(got.p, fixture->bytes + at, n);
}

static void expect_message(const struct forward_message *got, const struct fixture *fixture,
                           const struct fixture_message *want)
{
    assert_int_equal(got->carrier, carrier_of(want->carrier));
    assert_int_equal(got->compression, compression_of(want->compression));
    assert_int_equal(got->signal, want->signal);
    assert_int_equal(got->declared, want->declared);
    assert_int_equal(got->wants_ack, want->id_n > 0);
    expect_slice(got->tag, fixture, want->tag_at, want->tag_n);
    expect_slice(got->id, fixture, want->id_at, want->id_n);
    expect_slice(got->options, fixture, want->option_at, want->option_n);
    expect_slice(got->payload, fixture, want->payload_at, want->payload_n);
}

/* Frames the whole stream in pieces of at most `most` bytes. */
static void frame_in_pieces(const struct fixture *fixture, size_t most, uint64_t *seed)
{
    struct forward_frame frame;
    struct feed feed = {0};
    size_t i = 0, at = 0;

    forward_frame_init(&frame, LIMIT);
    /* Handshakes are test_handshake's. */
    if (fixture->count > 0 && fixture->messages[0].ping)
        at = fixture->messages[i++].end;
    while (at < fixture->n) {
        size_t piece = 1 + fixture_random(seed) % most;
        struct forward_message message;

        if (piece > fixture->n - at)
            piece = fixture->n - at;
        feed_add(&feed, fixture->bytes + at, piece);
        at += piece;
        while (feed.n > 0) {
            enum forward_frame_result result = forward_frame_next(&frame, feed.p, feed.n, &message);

            if (result == FORWARD_FRAME_MORE) {
                assert_true(forward_frame_need(&frame) > feed.n);
                break;
            }
            assert_int_equal(result, FORWARD_FRAME_CHUNK);
            assert_true(i < fixture->count);
            expect_message(&message, fixture, &fixture->messages[i]);
            /* Asked again before the reset it says the same. */
            assert_int_equal(forward_frame_next(&frame, feed.p, feed.n, &message), result);
            expect_message(&message, fixture, &fixture->messages[i]);
            assert_int_equal(at - feed.n + message.bytes, fixture->messages[i].end);
            i++;
            forward_frame_reset(&frame);
            feed_drop(&feed, message.bytes);
        }
    }
    assert_int_equal(i, fixture->count);
    assert_true(forward_frame_at_boundary(&frame));
    free(feed.p);
}

static void try_capture(const struct fixture *fixture, void *argument)
{
    uint64_t seed = 0x5eed0001;

    (void)argument;
    frame_in_pieces(fixture, 1, &seed);
    frame_in_pieces(fixture, fixture->n + 1, &seed);
    for (unsigned i = 0; i < ROUNDS; i++)
        frame_in_pieces(fixture, 1 + fixture_random(&seed) % 700, &seed);
}

static void captures_in_any_pieces(void **state)
{
    (void)state;
    assert_true(fixture_each(try_capture, NULL) > 40);
}

/* ---- hostile streams ---- */

/* The results of a stream, in order; MORE is the end. */
static size_t results_of(const uint8_t *p, size_t n, size_t most, uint64_t *seed,
                         enum forward_frame_result *ret, size_t max)
{
    struct forward_frame frame;
    struct feed feed = {0};
    size_t at = 0, count = 0;
    bool over = false;

    forward_frame_init(&frame, LIMIT);
    while (at < n && !over) {
        size_t piece = 1 + fixture_random(seed) % most;

        if (piece > n - at)
            piece = n - at;
        feed_add(&feed, p + at, piece);
        at += piece;
        while (feed.n > 0 && !over) {
            struct forward_message message;
            enum forward_frame_result result = forward_frame_next(&frame, feed.p, feed.n, &message);

            if (result == FORWARD_FRAME_MORE)
                break;
            assert_true(count < max);
            ret[count++] = result;
            over = result == FORWARD_FRAME_BROKEN || result == FORWARD_FRAME_OVERSIZE;
            if (over)
                assert_non_null(message.reason);
            else
                feed_drop(&feed, message.bytes);
            forward_frame_reset(&frame);
        }
    }
    free(feed.p);
    return count;
}

static char letter(enum forward_frame_result result)
{
    static const char letters[] = "?CIRBO";

    return letters[result];
}

static void hostile(const char *name, const char *want)
{
    char path[96], got[256];
    enum forward_frame_result results[255];
    uint64_t seed = 0x5eed0002;
    size_t n;
    uint8_t *p;

    snprintf(path, sizeof(path), "malformed/%s.bin", name);
    p = fixture_read(path, &n);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t most = round == 0 ? 1 : round == 1 ? n + 1 : 1 + fixture_random(&seed) % 300;
        size_t count = results_of(p, n, most, &seed, results, 255);

        for (size_t i = 0; i < count; i++)
            got[i] = letter(results[i]);
        got[count] = '\0';
        assert_string_equal(got, want);
    }
    free(p);
}

/* C chunk, I ignored, R refused, B broken, O oversize. Chunks go to the decoder, which judges them. */
static void hostile_streams(void **state)
{
    (void)state;
    hostile("deep-nesting", "CCC");
    hostile("ext-unknown", "CCCC");
    hostile("gzip-bad-crc", "CC");
    hostile("gzip-not-gzip", "CC");
    hostile("huge-array32", "CO");
    hostile("huge-bin32", "CO");
    hostile("huge-map32", "CO");
    hostile("huge-str32", "CO");
    hostile("option-not-a-map", "CB");
    hostile("packed-cut-entry", "CCC");
    hostile("reserved-c1", "CB");
    hostile("tag-empty", "CCC");
    hostile("truncated-packed", "C");
    hostile("truncated-record", "C");
    hostile("truncated-tag", "C");
    hostile("utf8-tag-and-keys", "CCCC");
    hostile("wrong-tag", "CRC");
    hostile("wrong-toplevel", "CIC");
    hostile("zstd-window-and-cut", "CCCC");
}

static void random_bytes_end(void **state)
{
    uint64_t seed = 0x5eed0003;
    enum forward_frame_result results[4096];
    uint8_t bytes[2048];

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        size_t n = 1 + fixture_random(&seed) % sizeof(bytes);

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)fixture_random(&seed);
        /* Half of them begin like a message. */
        if (round % 2 == 0)
            bytes[0] = (uint8_t)(0x92 + round % 3);
        results_of(bytes, n, 1 + fixture_random(&seed) % 400, &seed, results, 4096);
    }
}

/* A capture with bytes turned over: any result is right but a crash, or reading beyond the end. */
static void try_damage(const struct fixture *fixture, void *argument)
{
    uint64_t *seed = argument;
    enum forward_frame_result *results = calloc(fixture->n + 1, sizeof(*results));

    assert_non_null(results);
    for (unsigned round = 0; round < ROUNDS && fixture->n > 0; round++) {
        uint8_t *bytes = malloc(fixture->n);

        assert_non_null(bytes);
        memcpy(bytes, fixture->bytes, fixture->n);
        for (unsigned i = 0; i < 1 + round / 8; i++)
            bytes[fixture_random(seed) % fixture->n] = (uint8_t)fixture_random(seed);
        results_of(bytes, fixture->n, 1 + fixture_random(seed) % 3000, seed, results,
                   fixture->n + 1);
        free(bytes);
    }
    free(results);
}

static void damaged_captures_end(void **state)
{
    uint64_t seed = 0x5eed0004;

    (void)state;
    fixture_each(try_damage, &seed);
}

/* ---- single rules ---- */

static enum forward_frame_result frame_one(const char *bytes, size_t n, struct forward_message *ret)
{
    struct forward_frame frame;

    forward_frame_init(&frame, 1000);
    return forward_frame_next(&frame, (const uint8_t *)bytes, n, ret);
}

#define FRAME(text, ret) frame_one(text, sizeof(text) - 1, ret)

static void top_level_values(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(FRAME("\xc0", &m), FORWARD_FRAME_IGNORED);
    assert_null(m.reason); /* a keepalive */
    assert_int_equal(FRAME("\x05", &m), FORWARD_FRAME_IGNORED);
    assert_non_null(m.reason);
    assert_int_equal(FRAME("\xa2hi", &m), FORWARD_FRAME_IGNORED);
    assert_int_equal(m.bytes, 3);
    assert_int_equal(FRAME("\x81\xa1k\x01", &m), FORWARD_FRAME_IGNORED);
    assert_int_equal(m.bytes, 4);
    assert_int_equal(FRAME("\x90", &m), FORWARD_FRAME_IGNORED);
    assert_int_equal(FRAME("\x91\xa1t", &m), FORWARD_FRAME_IGNORED);
    assert_int_equal(m.bytes, 3);
    assert_int_equal(FRAME("\xc1", &m), FORWARD_FRAME_BROKEN);
}

static void empty_carriers(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(FRAME("\x92\xa1t\x90", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.carrier, RING_FORWARD);
    assert_int_equal(m.payload.n, 0);
    assert_int_equal(FRAME("\x92\xa1t\xa0", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.carrier, RING_PACKED);
    assert_int_equal(FRAME("\x92\xc4\x01t\xc4\x00", &m), FORWARD_FRAME_CHUNK); /* a bin tag */
    assert_true(slice_is(m.tag, "t"));
    assert_int_equal(FRAME("\x93\xa1t\x90\xc0", &m), FORWARD_FRAME_CHUNK); /* nil for options */
    assert_int_equal(m.options.n, 0);
    assert_false(m.wants_ack);
    assert_int_equal(FRAME("\x93\xa1t\x90\x80", &m), FORWARD_FRAME_CHUNK);
    assert_false(m.wants_ack);
}

static void chunk_ids_of_any_type(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(FRAME("\x93\xa1t\x90\x81\xa5"
                           "chunk\x07",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_true(m.wants_ack && slice_is(m.id, "\x07"));
    assert_int_equal(FRAME("\x93\xa1t\x90\x81\xa5"
                           "chunk\xa0",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_true(m.wants_ack && slice_is(m.id, "\xa0")); /* "" asks for an ack */
    assert_int_equal(FRAME("\x93\xa1t\x90\x81\xa5"
                           "chunk\xc4\x01x",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_true(m.wants_ack && slice_is(m.id, "\xc4\x01x"));
    assert_int_equal(FRAME("\x93\xa1t\x90\x81\xa5"
                           "chunk\xc0",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_false(m.wants_ack);
    assert_int_equal(FRAME("\x93\xa1t\x90\x81\xa5"
                           "chunk\xc2",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_false(m.wants_ack);
}

static void refusals(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(FRAME("\x92\x01\x90", &m), FORWARD_FRAME_REFUSED);
    assert_false(m.wants_ack);
    assert_int_equal(FRAME("\x93\x81\x01\x02\x90\x81\xa5"
                           "chunk\xa1i",
                           &m),
                     FORWARD_FRAME_REFUSED);
    assert_true(m.wants_ack); /* found behind a tag that is no string */
    assert_int_equal(FRAME("\x92\xa1t\x05", &m), FORWARD_FRAME_REFUSED); /* no record */
    assert_int_equal(FRAME("\x93\xa1t\x90\x05", &m), FORWARD_FRAME_BROKEN);
    assert_int_equal(FRAME("\x93\xa1t\xa0\x81\xaa"
                           "compressed\xa2lz",
                           &m),
                     FORWARD_FRAME_BROKEN);
    assert_int_equal(FRAME("\x93\xa1t\xa0\x81\xaa"
                           "compressed\xa4text",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_int_equal(FRAME("\x93\xa1t\x90\x81\xaa"
                           "compressed\xa2lz",
                           &m),
                     FORWARD_FRAME_CHUNK);
}

static void long_tags_and_ids(void **state)
{
    uint8_t *bytes = calloc(1, 8000);
    struct forward_frame frame;
    struct forward_message m;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, "\x92\xda\x13\x88", 4); /* a tag of 5,000 bytes */
    bytes[5004] = 0x90;
    forward_frame_init(&frame, LIMIT);
    assert_int_equal(forward_frame_next(&frame, bytes, 8000, &m), FORWARD_FRAME_REFUSED);
    assert_int_equal(m.bytes, 5005);
    memcpy(bytes,
           "\x93\xa1t\x90\x81\xa5"
           "chunk\xda\x07\xd0",
           14); /* an id of 2,000 bytes */
    forward_frame_reset(&frame);
    assert_int_equal(forward_frame_next(&frame, bytes, 8000, &m), FORWARD_FRAME_REFUSED);
    assert_true(m.wants_ack);
    assert_int_equal(m.bytes, 2014);
    free(bytes);
}

static void compression_by_magic(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(FRAME("\x92\xa1t\xa3\x1f\x8b\x08", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.compression, RING_GZIP);
    assert_int_equal(FRAME("\x92\xa1t\xa4\x28\xb5\x2f\xfd", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.compression, RING_ZSTD);
    assert_int_equal(FRAME("\x93\xa1t\xa1\x92\x81\xaa"
                           "compressed\xa4gzip",
                           &m),
                     FORWARD_FRAME_CHUNK);
    assert_int_equal(m.compression, RING_GZIP); /* the decoder finds that it is none */
}

/* One value of a record, of a random type and size. Returns its bytes. */
static size_t random_value(uint8_t *p, uint64_t *seed)
{
    uint32_t n = fixture_random(seed) % 40;

    switch (fixture_random(seed) % 9) {
    case 0:
        p[0] = (uint8_t)(0xa0 + n % 32);
        return 1 + n % 32;
    case 1:
        memcpy(p, "\xd9", 1);
        p[1] = (uint8_t)(n * 6);
        return 2 + n * 6;
    case 2:
        p[0] = 0xda;
        p[1] = (uint8_t)(n / 8);
        p[2] = (uint8_t)n;
        return 3 + 256 * (n / 8) + n;
    case 3:
        p[0] = 0xcf;
        return 9;
    case 4:
        memcpy(p, "\xd7\x00", 2);
        return 10;
    case 5:
        memcpy(p, "\xc7\x05\x01", 3);
        return 8;
    case 6:
        memcpy(p, "\x82\xa1k\x93\x01\xc0\xc3\xa0\x80", 9);
        return 9;
    case 7:
        memcpy(p, "\xde\x00\x01\x05\xc4\x03", 6);
        return 9;
    default:
        p[0] = (uint8_t)(n % 2 ? 0xe0 + n % 32 : n);
        return 1;
    }
}

/* Runs of records alike, with others between: the shape that is kept must never lead astray. */
static void records_alike_and_others(void **state)
{
    uint64_t seed = 0x5eed0005;
    uint8_t *bytes = calloc(1, 8u << 20);

    (void)state;
    assert_non_null(bytes);
    for (unsigned round = 0; round < 25; round++) {
        unsigned records = 1 + fixture_random(&seed) % 800;
        size_t n = 7, record = 0;
        struct feed feed = {0};
        struct forward_frame frame;
        struct forward_message m;

        memcpy(bytes, "\x92\xa1t\xdc", 4);
        bytes[4] = (uint8_t)(records >> 8);
        bytes[5] = (uint8_t)records;
        n = 6;
        for (unsigned i = 0; i < records; i++) {
            if (record != 0 && fixture_random(&seed) % 20 != 0) {
                memcpy(bytes + n, bytes + n - record, record); /* like the one before */
            } else {
                unsigned pairs = fixture_random(&seed) % 16;

                record = 2;
                bytes[n] = 0x92;
                bytes[n + 1] = 0x01;
                bytes[n + record++] = (uint8_t)(0x80 + pairs);
                for (unsigned k = 0; k < 2 * pairs; k++)
                    record += random_value(bytes + n + record, &seed);
            }
            n += record;
            assert_true(n < (7u << 20));
        }
        forward_frame_init(&frame, LIMIT);
        for (size_t at = 0; at < n;) {
            size_t piece = 1 + fixture_random(&seed) % 20000;
            enum forward_frame_result result;

            piece = piece > n - at ? n - at : piece;
            feed_add(&feed, bytes + at, piece);
            at += piece;
            result = forward_frame_next(&frame, feed.p, feed.n, &m);
            assert_int_equal(result, at < n ? FORWARD_FRAME_MORE : FORWARD_FRAME_CHUNK);
        }
        assert_int_equal(m.bytes, n);
        assert_int_equal(m.declared, records);
        free(feed.p);
    }
    free(bytes);
}

static void the_limit(void **state)
{
    struct forward_frame frame;
    struct forward_message m;
    uint8_t bytes[200] = "\x92\xa1t\xc4\xc0";

    (void)state;
    forward_frame_init(&frame, 197);
    assert_int_equal(forward_frame_next(&frame, bytes, 5, &m), FORWARD_FRAME_MORE);
    assert_int_equal(forward_frame_need(&frame), 197);
    assert_int_equal(forward_frame_next(&frame, bytes, 197, &m), FORWARD_FRAME_CHUNK);
    /* One byte less, and it is known from the header alone. */
    forward_frame_init(&frame, 196);
    assert_int_equal(forward_frame_next(&frame, bytes, 5, &m), FORWARD_FRAME_OVERSIZE);
    assert_int_equal(m.declared_bytes, 197);
    /* Many small values run into it too. */
    memset(bytes, 1, sizeof(bytes));
    memcpy(bytes, "\x92\xa1t\xdc\x00\xc0", 6);
    forward_frame_init(&frame, 100);
    assert_int_equal(forward_frame_next(&frame, bytes, 150, &m), FORWARD_FRAME_OVERSIZE);
}

static void nesting_takes_no_memory(void **state)
{
    size_t n = 4u << 20;
    uint8_t *bytes = malloc(n);
    struct forward_frame frame;
    struct forward_message m;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 0x91, n);
    memcpy(bytes, "\x92\xa1t\x91", 4);
    bytes[n - 1] = 0x01;
    forward_frame_init(&frame, LIMIT);
    assert_int_equal(forward_frame_next(&frame, bytes, n, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.payload.n, n - 4);
    free(bytes);
}

static void guesses(void **state)
{
    (void)state;
    assert_int_equal(forward_frame_guess((const uint8_t *)"{\"a\"", 4), FORWARD_GUESS_JSON);
    assert_int_equal(forward_frame_guess((const uint8_t *)"[", 1), FORWARD_GUESS_JSON);
    assert_int_equal(forward_frame_guess((const uint8_t *)"GET / HTTP", 10), FORWARD_GUESS_HTTP);
    assert_int_equal(forward_frame_guess((const uint8_t *)"\x16\x03\x01", 3), FORWARD_GUESS_TLS);
    assert_int_equal(forward_frame_guess((const uint8_t *)"\x93\xa1t", 3), FORWARD_GUESS_MSGPACK);
    assert_int_equal(forward_frame_guess((const uint8_t *)"G", 1), FORWARD_GUESS_MSGPACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_in_any_pieces),   cmocka_unit_test(hostile_streams),
        cmocka_unit_test(random_bytes_end),         cmocka_unit_test(damaged_captures_end),
        cmocka_unit_test(top_level_values),         cmocka_unit_test(empty_carriers),
        cmocka_unit_test(chunk_ids_of_any_type),    cmocka_unit_test(refusals),
        cmocka_unit_test(long_tags_and_ids),        cmocka_unit_test(compression_by_magic),
        cmocka_unit_test(records_alike_and_others), cmocka_unit_test(the_limit),
        cmocka_unit_test(nesting_takes_no_memory),  cmocka_unit_test(guesses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
