/*
 * JSON framing: every capture gives the messages of the index, however it is cut; the rules one by
 * one; what is no JSON, too deep, too long.
 */
#include "receiver/json_frame.h"

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
    assert_true(got->json);
    assert_int_equal(got->carrier, carrier_of(want->carrier));
    assert_int_equal(got->compression,
                     strcmp(want->compression, "gzip") == 0 ? RING_GZIP : RING_PLAIN);
    assert_int_equal(got->signal, want->signal);
    assert_int_equal(got->declared, want->declared);
    assert_int_equal(got->wants_ack, want->id_n > 0);
    expect_slice(got->tag, fixture, want->tag_at, want->tag_n);
    expect_slice(got->id, fixture, want->id_at, want->id_n);
    expect_slice(got->options, fixture, want->option_at, want->option_n);
    expect_slice(got->payload, fixture, want->payload_at, want->payload_n);
}

/* What stands in the feed; the index of the next message. */
static size_t take_messages(struct json_frame *frame, struct feed *feed, size_t at,
                            const struct fixture *fixture, size_t i)
{
    uint8_t room[FORWARD_FRAME_TAG_BYTES];
    struct forward_message message;

    for (;;) {
        enum forward_frame_result result;

        feed_drop(feed, json_scan_space(feed->p, feed->n));
        if (feed->n == 0)
            return i;
        result = json_frame_next(frame, feed->p, feed->n, room, &message);
        if (result == FORWARD_FRAME_MORE)
            return i;
        assert_int_equal(result, FORWARD_FRAME_CHUNK);
        assert_true(i < fixture->count);
        expect_message(&message, fixture, &fixture->messages[i]);
        /* Asked again before the reset it says the same. */
        assert_int_equal(json_frame_next(frame, feed->p, feed->n, room, &message), result);
        expect_message(&message, fixture, &fixture->messages[i]);
        assert_int_equal(at - feed->n + message.bytes, fixture->messages[i].end);
        i++;
        json_frame_reset(frame);
        feed_drop(feed, message.bytes);
    }
}

/* Frames the whole stream: the first piece of `first` bytes, the others of at most `most`. */
static void frame_in_pieces(const struct fixture *fixture, size_t first, size_t most,
                            uint64_t *seed)
{
    struct json_frame frame;
    struct feed feed = {0};
    size_t i = 0, at = 0;

    json_frame_init(&frame, LIMIT);
    while (at < fixture->n) {
        size_t piece = at == 0 ? first : 1 + fixture_random(seed) % most;

        if (piece > fixture->n - at)
            piece = fixture->n - at;
        feed_add(&feed, fixture->bytes + at, piece);
        at += piece;
        i = take_messages(&frame, &feed, at, fixture, i);
    }
    assert_int_equal(i, fixture->count);
    assert_int_equal(feed.n, 0);
    free(feed.p);
}

static void try_capture(const struct fixture *fixture, void *argument)
{
    uint64_t seed = 0x5eed0011;

    (void)argument;
    assert_true(fixture->count > 0);
    frame_in_pieces(fixture, fixture->n, 1, &seed);
    frame_in_pieces(fixture, 1, 1, &seed);
    for (size_t split = 1; split < fixture->n; split++)
        frame_in_pieces(fixture, split, fixture->n + 1, &seed);
    for (unsigned i = 0; i < ROUNDS; i++)
        frame_in_pieces(fixture, 1, 1 + fixture_random(&seed) % 700, &seed);
}

static void captures_in_any_pieces(void **state)
{
    (void)state;
    assert_int_equal(fixture_each_of("json/index", try_capture, NULL), 3);
}

/* ---- single rules ---- */

static uint8_t tag_room[FORWARD_FRAME_TAG_BYTES];

/* The first document of the text, at once; then byte by byte, which must say the same. */
static enum forward_frame_result frame_one(const char *text, struct forward_message *ret)
{
    size_t n = strlen(text);
    enum forward_frame_result result, in_bytes = FORWARD_FRAME_MORE;
    struct forward_message message;
    struct json_frame frame;
    struct feed feed = {0};

    json_frame_init(&frame, 2000);
    result = json_frame_next(&frame, (const uint8_t *)text, n, tag_room, ret);
    json_frame_init(&frame, 2000);
    for (size_t i = 0; i < n && in_bytes == FORWARD_FRAME_MORE; i++) {
        feed_add(&feed, (const uint8_t *)text + i, 1);
        in_bytes = json_frame_next(&frame, feed.p, feed.n, tag_room, &message);
    }
    assert_int_equal(in_bytes, result);
    if (result != FORWARD_FRAME_MORE)
        assert_int_equal(message.bytes, ret->bytes);
    free(feed.p);
    return result;
}

static void expect_text(struct slice got, const char *want)
{
    if (!slice_is(got, want))
        fail_msg("\"%.*s\" is not \"%s\"", (int)got.n, (const char *)got.p, want);
}

static void expect_chunk(const char *text, enum ring_carrier carrier, const char *payload)
{
    struct forward_message m;

    if (frame_one(text, &m) != FORWARD_FRAME_CHUNK)
        fail_msg("no chunk: %s", text);
    assert_int_equal(m.carrier, carrier);
    expect_text(m.payload, payload);
    assert_int_equal(m.bytes, strlen(text));
}

static void carriers(void **state)
{
    (void)state;
    expect_chunk("[\"t\",1,{\"a\":\"b\"}]", RING_MESSAGE, "1,{\"a\":\"b\"}");
    expect_chunk(" [ \"t\" , null , { } ]", RING_MESSAGE, "null , { }");
    expect_chunk("[\"t\",true,[]]", RING_MESSAGE, "true,[]");
    expect_chunk("[\"t\",{\"s\":1},\"x\",{}]", RING_MESSAGE, "{\"s\":1},\"x\"");
    expect_chunk("[\"t\",[]]", RING_FORWARD, "[]");
    expect_chunk("[\"t\", [ [1,{}], [2,{}] ] ]", RING_FORWARD, "[ [1,{}], [2,{}] ]");
    expect_chunk("[\"t\",\"a\\\"b\"]", RING_PACKED, "\"a\\\"b\"");
    expect_chunk("[\"t\",\"\",{\"size\":7},1,2,3]", RING_PACKED, "\"\"");
    /* What the decoder judges: the document has an end, so the next one can be read. */
    expect_chunk("[\"t\",1,{\"a\" \"b\",,:}]", RING_MESSAGE, "1,{\"a\" \"b\",,:}");
    expect_chunk("[\"t\",-,{\"a\":nil,\"b\":NaN}]", RING_MESSAGE, "-,{\"a\":nil,\"b\":NaN}");
    expect_chunk("[\"t\",1,\"tab\t and \x01\"]", RING_MESSAGE, "1,\"tab\t and \x01\"");
    expect_chunk("[\"t\",1,\"bad escape \\q\"]", RING_MESSAGE, "1,\"bad escape \\q\"");
}

static void numbers_of_every_shape(void **state)
{
    static const char *const numbers[] = {
        "0",    "-0",     "1700000000", "18446744073709551616", "1.5", "-1.25", "1e9",
        "1E+9", "2.5e-3", "0e0",        "1700000000.123456789"};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[64], payload[64];

        snprintf(text, sizeof(text), "[\"t\",%s,{\"n\":%s}]", numbers[i], numbers[i]);
        snprintf(payload, sizeof(payload), "%s,{\"n\":%s}", numbers[i], numbers[i]);
        expect_chunk(text, RING_MESSAGE, payload);
    }
}

static void expect_tag(const char *json, const char *tag, size_t n)
{
    struct forward_message m;
    char text[256];

    snprintf(text, sizeof(text), "[\"%s\",1,{}]", json);
    assert_int_equal(frame_one(text, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.tag.n, n);
    assert_memory_equal(m.tag.p, tag, n);
}

static void tags_are_decoded(void **state)
{
    struct forward_message m;

    (void)state;
    expect_tag("", "", 0);
    expect_tag("app.web", "app.web", 7);
    expect_tag("caf\xc3\xa9", "caf\xc3\xa9", 5);
    expect_tag("\xff\xfe", "\xff\xfe", 2);
    expect_tag("a\\\"b\\\\c\\/d", "a\"b\\c/d", 7);
    expect_tag("\\b\\f\\n\\r\\t", "\b\f\n\r\t", 5);
    expect_tag("\\u0061\\u00e9\\u20AC", "a\xc3\xa9\xe2\x82\xac", 6);
    expect_tag("\\uD83D\\uDe00!", "\xf0\x9f\x98\x80!", 5);
    expect_tag("\\uD83D!", "\xef\xbf\xbd!", 4);
    expect_tag("\\uD83D\\u0041", "\xef\xbf\xbd\x41", 4);
    expect_tag("\\uDE00", "\xef\xbf\xbd", 3);
    expect_tag("\\uD83D\\uD83D", "\xef\xbf\xbd\xef\xbf\xbd", 6);
    expect_tag("a\\u0000b", "a\0b", 3);
    assert_int_equal(frame_one("[\"\\q\",1,{}]", &m), FORWARD_FRAME_BROKEN);
    assert_int_equal(frame_one("[\"\\u12g4\",1,{}]", &m), FORWARD_FRAME_BROKEN);
    assert_int_equal(frame_one("[\"\\u12\",1,{}]", &m), FORWARD_FRAME_BROKEN);
}

/* `unit` so many times as the tag. */
static enum forward_frame_result frame_tag(const char *unit, size_t times,
                                           struct forward_message *ret)
{
    static char text[65536];
    struct json_frame frame;
    size_t n = 2;

    memcpy(text, "[\"", 2);
    for (size_t i = 0; i < times; i++, n += strlen(unit))
        memcpy(text + n, unit, strlen(unit));
    memcpy(text + n, "\",1,{},{\"chunk\":1}]", 20);
    json_frame_init(&frame, LIMIT);
    return json_frame_next(&frame, (const uint8_t *)text, n + 19, tag_room, ret);
}

static void long_tags_are_refused(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(frame_tag("x", 4096, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.tag.n, 4096);
    assert_int_equal(frame_tag("x", 4097, &m), FORWARD_FRAME_REFUSED);
    assert_true(m.wants_ack);
    assert_int_equal(frame_tag("\\u0078", 4096, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.tag.n, 4096);
    assert_int_equal(frame_tag("\\u0078", 4097, &m), FORWARD_FRAME_REFUSED);
    /* The last character does not fit whole. */
    assert_int_equal(frame_tag("\\uD83D\\uDE00", 1025, &m), FORWARD_FRAME_REFUSED);
    assert_non_null(m.reason);
}

static void expect_id(const char *option, const char *id)
{
    struct forward_message m;
    char text[256];

    snprintf(text, sizeof(text), "[\"t\",1,{},%s]", option);
    assert_int_equal(frame_one(text, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.wants_ack, id != NULL);
    expect_text(m.id, id ? id : "");
}

static void ids_of_every_type(void **state)
{
    struct forward_message m;
    static char text[2100];

    (void)state;
    expect_id("{\"chunk\":\"j1\"}", "\"j1\"");
    expect_id("{\"chunk\":\"\"}", "\"\"");
    expect_id("{\"chunk\":\"\\u00e9\\\"\"}", "\"\\u00e9\\\"\"");
    expect_id("{\"chunk\":17}", "17");
    expect_id("{ \"chunk\" : -1.5e3 }", "-1.5e3");
    expect_id("{\"chunk\":true}", "true");
    expect_id("{\"chunk\":[1,\"]\"]}", "[1,\"]\"]");
    expect_id("{\"chunk\":{\"a\":{}}}", "{\"a\":{}}");
    expect_id("{\"chunk\":false}", NULL);
    expect_id("{\"chunk\":null}", NULL);
    expect_id("{}", NULL);
    expect_id("null", NULL);
    expect_id("{\"Chunk\":1,\"a key that is longer than any known one, by far\":2}", NULL);
    expect_id("{\"ch\\u0075nk\":1}", "1");
    /* Doubled: the last one counts. */
    expect_id("{\"chunk\":1,\"chunk\":2}", "2");
    expect_id("{\"chunk\":1,\"chunk\":null}", NULL);
    snprintf(text, sizeof(text), "[\"t\",1,{},{\"chunk\":\"%01022d\"}]", 7);
    assert_int_equal(frame_one(text, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.id.n, FORWARD_FRAME_ID_BYTES);
    snprintf(text, sizeof(text), "[\"t\",1,{},{\"chunk\":\"%01023d\"}]", 7);
    assert_int_equal(frame_one(text, &m), FORWARD_FRAME_REFUSED);
    assert_true(m.wants_ack);
}

static void options_are_read(void **state)
{
    struct forward_message m;

    (void)state;
    assert_int_equal(frame_one("[\"t\",[],{\"size\":3,\"fluent_signal\":2,\"x\":[{}]}]", &m),
                     FORWARD_FRAME_CHUNK);
    assert_int_equal(m.declared, 3);
    assert_int_equal(m.signal, 2);
    expect_text(m.options, "{\"size\":3,\"fluent_signal\":2,\"x\":[{}]}");
    /* A hint, whatever it is. */
    assert_int_equal(frame_one("[\"t\",[],{\"size\":99999999999}]", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.declared, UINT32_MAX);
    assert_int_equal(frame_one("[\"t\",[],{\"size\":18446744073709551616}]", &m),
                     FORWARD_FRAME_CHUNK);
    assert_int_equal(m.declared, 0);
    assert_int_equal(frame_one("[\"t\",[],{\"size\":-3,\"fluent_signal\":1.5}]", &m),
                     FORWARD_FRAME_CHUNK);
    assert_int_equal(m.declared, 0);
    assert_int_equal(m.signal, 0);
    assert_int_equal(frame_one("[\"t\",\"\",{\"compressed\":\"zstd\"}]", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.compression, RING_ZSTD);
    /* Only packed bytes can be compressed. */
    assert_int_equal(frame_one("[\"t\",1,{},{\"compressed\":\"lz4\"}]", &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(frame_one("[\"t\",\"\",{\"compressed\":\"lz4\"}]", &m), FORWARD_FRAME_BROKEN);
    assert_non_null(strstr(m.reason, "compressed"));
}

static void expect_result(const char *text, enum forward_frame_result result, const char *reason)
{
    struct forward_message m;

    if (frame_one(text, &m) != result)
        fail_msg("another result: %s", text);
    if (reason)
        assert_string_equal(m.reason, reason);
    else
        assert_null(m.reason);
}

static void what_is_no_message(void **state)
{
    const char *other = "a value that is no message";
    const char *few = "a message of less than two elements";

    (void)state;
    expect_result("null", FORWARD_FRAME_IGNORED, NULL);
    expect_result("true", FORWARD_FRAME_IGNORED, other);
    expect_result("17 ", FORWARD_FRAME_IGNORED, other);
    expect_result("\"x\"", FORWARD_FRAME_IGNORED, other);
    expect_result("{\"message\":\"a log\"}", FORWARD_FRAME_IGNORED, other);
    expect_result("{}", FORWARD_FRAME_IGNORED, other);
    expect_result("[]", FORWARD_FRAME_IGNORED, few);
    expect_result("[ ]", FORWARD_FRAME_IGNORED, few);
    expect_result("[null]", FORWARD_FRAME_IGNORED, few);
    expect_result("[\"t\"]", FORWARD_FRAME_IGNORED, few);
    expect_result("[\"t\",1]", FORWARD_FRAME_REFUSED, "a message without a record");
    expect_result("[1,2,{}]", FORWARD_FRAME_REFUSED, "the tag is no string");
    expect_result("[null,[],{\"chunk\":1}]", FORWARD_FRAME_REFUSED, "the tag is no string");
    expect_result("[\"t\",1,{},[]]", FORWARD_FRAME_BROKEN, "the option is no map");
    expect_result("[\"t\",[],\"x\"]", FORWARD_FRAME_BROKEN, "the option is no map");
    expect_result("[\"t\",1,{},0]", FORWARD_FRAME_BROKEN, "the option is no map");
}

/* Broken before the byte `at`. */
static void expect_broken(const char *text, size_t at)
{
    struct forward_message m;

    if (frame_one(text, &m) != FORWARD_FRAME_BROKEN)
        fail_msg("not broken: %s", text);
    assert_non_null(m.reason);
    if (m.bytes != at)
        fail_msg("broken at %zu, not %zu: %s", m.bytes, at, text);
}

static void what_is_no_json(void **state)
{
    (void)state;
    expect_broken("x", 0);
    expect_broken("]", 0);
    expect_broken("nulL", 3);
    expect_broken("\x93\xa1t\x01\x80", 0);
    expect_broken("[,]", 1);
    expect_broken("[\"t\" 1]", 5);
    expect_broken("[\"t\",]", 5);
    expect_broken("[\"t\",1,{},]", 10);
    expect_broken("[\"t\":1,{}]", 4);
    expect_broken("[\"t\",1,{]", 8);
    expect_broken("[\"t\",1,{\"a\":[}]", 13);
    expect_broken("[\"t\",1}", 6);
    expect_broken("[\"t\",1,{\"a\":'b'}]", 12);
    expect_broken("[\"t\",1,{\"a\":\\u0041}]", 12);
    expect_broken("[\"t\",1,{\"a\":\x01}]", 12);
    expect_broken("[\"t\",1,{\"a\":\xc3\xa9}]", 12);
    expect_broken("[\"t\",0x17,{}]", 6);
    expect_broken("[\"t\",1,{},{\"chunk\"}]", 10);
    expect_broken("[\"t\",1,{},{\"chunk\":}]", 10);
    expect_broken("[\"t\",1,{},{\"chunk\":1,}]", 10);
    expect_broken("[\"t\",1,{},{1:2}]", 10);
    expect_broken("[\"t\",1,{},{\"a\":1 \"b\":2}]", 10);
    expect_broken("[\"t\",1,{},{\"chunk\":nil}]", 10);
}

static void what_has_no_end_yet(void **state)
{
    static const char *const texts[] = {"[",
                                        "[\"t",
                                        "[\"t\\",
                                        "[\"t\",1",
                                        "[\"t\",1,{\"a\":[1,{}]}",
                                        "[\"t\",1,{},{\"chunk\":1}",
                                        "nul",
                                        "{\"a\":1",
                                        "12"};
    struct forward_message m;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(frame_one(texts[i], &m), FORWARD_FRAME_MORE);
}

static void the_limit(void **state)
{
    const char *text = "[\"t\",1,{\"a\":\"0123456789\"}]";
    const uint8_t *p = (const uint8_t *)text;
    size_t n = strlen(text);
    struct json_frame frame;
    struct forward_message m;

    (void)state;
    json_frame_init(&frame, n);
    assert_int_equal(json_frame_next(&frame, p, n, tag_room, &m), FORWARD_FRAME_CHUNK);
    /* One byte less: known as soon as so many are there, and not before. */
    json_frame_init(&frame, n - 1);
    assert_int_equal(json_frame_next(&frame, p, n - 2, tag_room, &m), FORWARD_FRAME_MORE);
    assert_int_equal(json_frame_next(&frame, p, n - 1, tag_room, &m), FORWARD_FRAME_OVERSIZE);
    assert_int_equal(m.declared_bytes, n);
    assert_non_null(m.reason);
    json_frame_init(&frame, n - 1);
    assert_int_equal(json_frame_next(&frame, p, n, tag_room, &m), FORWARD_FRAME_OVERSIZE);
}

/* Brackets, 100,000 deep and more, are counted; in pieces too. */
static void nesting_takes_no_memory(void **state)
{
    size_t depth = 2u << 20, n = 7 + 2 * depth;
    uint8_t *bytes = malloc(n);
    struct json_frame frame;
    struct forward_message m;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, "[\"t\",1,", 7);
    for (size_t i = 0; i < depth; i++) {
        bytes[7 + i] = i % 3 == 0 ? '[' : '{';
        bytes[n - 1 - i] = i % 3 == 0 ? ']' : '}';
    }
    json_frame_init(&frame, LIMIT);
    assert_int_equal(json_frame_next(&frame, bytes, n, tag_room, &m), FORWARD_FRAME_MORE);
    bytes = realloc(bytes, n + 1);
    assert_non_null(bytes);
    bytes[n] = ']';
    assert_int_equal(json_frame_next(&frame, bytes, n + 1, tag_room, &m), FORWARD_FRAME_CHUNK);
    assert_int_equal(m.payload.n, 2 + 2 * depth);
    /* A bracket of the other kind, near the outside. */
    bytes[n - 20] = bytes[n - 20] == ']' ? '}' : ']';
    json_frame_init(&frame, LIMIT);
    assert_int_equal(json_frame_next(&frame, bytes, n + 1, tag_room, &m), FORWARD_FRAME_BROKEN);
    assert_int_equal(m.bytes, n - 20);
    /* And nothing but opening ones. */
    memset(bytes, '[', n + 1);
    json_frame_init(&frame, LIMIT);
    assert_int_equal(json_frame_next(&frame, bytes, n + 1, tag_room, &m), FORWARD_FRAME_MORE);
    free(bytes);
}

/* A capture with bytes turned over: any result is right but a crash, or reading beyond the end. */
static void try_damage(const struct fixture *fixture, void *argument)
{
    uint64_t *seed = argument;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct feed feed = {0};
        struct json_frame frame;
        struct forward_message m;
        enum forward_frame_result result = FORWARD_FRAME_MORE;

        feed_add(&feed, fixture->bytes, fixture->n);
        for (unsigned i = 0; i < 1 + round / 8; i++)
            feed.p[fixture_random(seed) % fixture->n] = (uint8_t)fixture_random(seed);
        json_frame_init(&frame, LIMIT);
        do {
            json_frame_reset(&frame);
            feed_drop(&feed, json_scan_space(feed.p, feed.n));
            result = json_frame_next(&frame, feed.p, feed.n, tag_room, &m);
            if (result == FORWARD_FRAME_CHUNK || result == FORWARD_FRAME_IGNORED ||
                result == FORWARD_FRAME_REFUSED)
                feed_drop(&feed, m.bytes);
            else
                assert_true(result == FORWARD_FRAME_MORE || result == FORWARD_FRAME_BROKEN);
        } while (result != FORWARD_FRAME_MORE && result != FORWARD_FRAME_BROKEN);
        free(feed.p);
    }
}

static void damaged_captures_end(void **state)
{
    uint64_t seed = 0x5eed0012;

    (void)state;
    fixture_each_of("json/index", try_damage, &seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_in_any_pieces),
        cmocka_unit_test(carriers),
        cmocka_unit_test(numbers_of_every_shape),
        cmocka_unit_test(tags_are_decoded),
        cmocka_unit_test(long_tags_are_refused),
        cmocka_unit_test(ids_of_every_type),
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(what_is_no_message),
        cmocka_unit_test(what_is_no_json),
        cmocka_unit_test(what_has_no_end_yet),
        cmocka_unit_test(the_limit),
        cmocka_unit_test(nesting_takes_no_memory),
        cmocka_unit_test(damaged_captures_end),
    };

    return cmocka_run_group_tests_name("json_frame", tests, NULL, NULL);
}
