/*
 * What real clients sent (fixtures/NAME.bin, one connection each) against what it means
 * (NAME.events.jsonl): every event becomes one record, and nothing of it is missing.
 *
 * Without arguments the fixtures of this folder; with arguments other pairs: NAME.bin ...
 */
#include "processor/mp.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* Where the fixtures are, in a build outside of the tree: automake sets it. */
#define FIXTURES "tests/unit/processor/fixtures/*.bin"

static int files_count;
static char **files;

struct stream {
    gzFile events;
    char *line;
    const char *file;
    unsigned compared;
};

static struct buf read_file(const char *path)
{
    struct buf b = new_buf();
    FILE *f = fopen(path, "rbe");
    size_t n;

    if (f == NULL)
        fail_msg("cannot open %s", path);
    do {
        assert_int_equal(buf_reserve(&b, 65536), 0);
        n = fread(b.p + b.n, 1, 65536, f);
        b.n += n;
    } while (n > 0);
    fclose(f);
    return b;
}

/* ---- comparing ---- */

static bool same_value(json_object *want, json_object *any);

static bool same_map(json_object *want, json_object *values)
{
    struct json_object_iterator i = json_object_iter_begin(want), end = json_object_iter_end(want);
    size_t k = 0;

    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i), k++) {
        json_object *pair = json_object_array_get_idx(values, k);
        const char *key = json_object_iter_peek_name(&i);

        if (strcmp(text_at(pair, "key"), key[0] == '\0' ? "_" : key) != 0 ||
            !same_value(json_object_iter_peek_value(&i), at(pair, "value")))
            return false;
    }
    return json_object_array_length(values) == k;
}

static bool same_array(json_object *want, json_object *values)
{
    size_t n = json_object_array_length(want);

    for (size_t i = 0; i < n; i++)
        if (!same_value(json_object_array_get_idx(want, i), json_object_array_get_idx(values, i)))
            return false;
    return json_object_array_length(values) == n;
}

/* {"$bin": ...} and the like: what JSON cannot say. */
static bool same_odd(json_object *want, json_object *any)
{
    if (at(want, "$float") != NULL)
        return at(any, "doubleValue") != NULL;
    if (at(want, "$ext") != NULL)
        return json_object_array_length(at(any, "kvlistValue/values")) == 2;
    if (at(want, "$map") != NULL)
        return json_object_array_length(at(any, "kvlistValue/values")) ==
               json_object_array_length(at(want, "$map"));
    return at(any, "bytesValue") != NULL || at(any, "stringValue") != NULL;
}

static bool same_value(json_object *want, json_object *any)
{
    switch (json_object_get_type(want)) {
    case json_type_null:
        return any != NULL && json_object_object_length(any) == 0;
    case json_type_boolean:
        return at(any, "boolValue") != NULL &&
               json_object_get_boolean(at(any, "boolValue")) == json_object_get_boolean(want);
    case json_type_int:
        return strcmp(json_object_get_string(want), text_at(any, "intValue")) == 0 ||
               strcmp(json_object_get_string(want), text_at(any, "stringValue")) == 0;
    case json_type_double:
        return json_object_get_double(at(any, "doubleValue")) == json_object_get_double(want);
    case json_type_string:
        /* A bin that is UTF-8 is shown as text in the description. */
        return at(any, "bytesValue") != NULL ||
               (at(any, "stringValue") != NULL &&
                strcmp(json_object_get_string(want), text_at(any, "stringValue")) == 0);
    case json_type_array:
        return at(any, "arrayValue") != NULL && same_array(want, at(any, "arrayValue/values"));
    case json_type_object:
        if (at(any, "bytesValue") != NULL)
            return true; /* deeper than OTLP servers go: MessagePack, as it was */
        if (json_object_object_length(want) == 1 &&
            json_object_iter_peek_name(
                &(struct json_object_iterator){json_object_iter_begin(want).opaque_})[0] == '$')
            return same_odd(want, any);
        return at(any, "kvlistValue") != NULL && same_map(want, at(any, "kvlistValue/values"));
    }
    return false;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* A key that is no attribute must be an OTLP field. */
static bool consumed(const char *key, json_object *want, json_object *log)
{
    static const char *const times[] = {"timestamp", "@timestamp", "time", "ts",
                                        "@t",        "date",       NULL};
    static const char *const levels[] = {"level",     "severity",  "lvl",           "loglevel",
                                         "log.level", "levelname", "LogLevel",      "@l",
                                         "_logLevel", "PRIORITY",  "severity_text", NULL};
    static const char *const bodies[] = {"message", "msg",   "log",           "MESSAGE",
                                         "@m",      "event", "short_message", "textPayload",
                                         "Message", NULL};
    const char *text = json_object_get_string(want);
    size_t n;

    if (is_one_of(key, times))
        return at(log, "timeUnixNano") != NULL;
    if (is_one_of(key, levels))
        return strcasecmp(text, text_at(log, "severityText")) == 0;
    if (!is_one_of(key, bodies))
        return false;
    if (!json_object_is_type(want, json_type_string))
        return same_value(want, at(log, "body"));
    n = strlen(text_at(log, "body/stringValue"));
    return at(log, "body/bytesValue") != NULL ||
           (strncmp(text, text_at(log, "body/stringValue"), n) == 0 &&
            (text[n] == '\0' || strcmp(text + n, "\n") == 0));
}

static bool has_own_time(json_object *event)
{
    static const char *const keys[] = {"timestamp", "@timestamp", "time",   "ts",
                                       "@t",        "date",       "asctime"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (at(at(event, "record"), keys[i]) != NULL)
            return true;
    return at(event, "metadata/otlp/timestamp") != NULL;
}

static void compare_time(const struct stream *stream, json_object *event, json_object *log)
{
    int64_t s = json_object_get_int64(at(event, "time/0"));
    char want[40];

    if (has_own_time(event) || s <= 0)
        return;
    if (s >= 1000000000000) {
        /* A client that sends milliseconds. */
        if (strncmp(json_object_get_string(at(event, "time/0")), text_at(log, "timeUnixNano"),
                    13) != 0)
            fail_msg("%s: time %s of %s", stream->file, text_at(log, "timeUnixNano"), stream->line);
        return;
    }
    if (s > 18000000000) {
        assert_non_null(attribute(log, "fluent.time"));
        return;
    }
    snprintf(want, sizeof(want), "%llu",
             (unsigned long long)s * 1000000000ull +
                 (unsigned long long)json_object_get_int64(at(event, "time/1")));
    if (strcmp(want, text_at(log, "timeUnixNano")) != 0 &&
        /* a double of seconds is good to a microsecond */
        (strcmp(text_at(event, "time_form"), "float") != 0 ||
         strncmp(want, text_at(log, "timeUnixNano"), 15) != 0))
        fail_msg("%s: time %s, not %s, of %s", stream->file, text_at(log, "timeUnixNano"), want,
                 stream->line);
}

static void compare(const struct stream *stream, json_object *event, json_object *log)
{
    json_object *record = at(event, "record");
    struct json_object_iterator i = json_object_iter_begin(record);
    struct json_object_iterator end = json_object_iter_end(record);

    compare_time(stream, event, log);
    if (at(record, "$map") != NULL) {
        assert_true(attribute_count(log) + 3 >= json_object_array_length(at(record, "$map")));
        return;
    }
    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
        const char *key = json_object_iter_peek_name(&i);
        json_object *want = json_object_iter_peek_value(&i);
        json_object *have = attribute(log, key[0] == '\0' ? "_" : key);

        if (have != NULL ? !same_value(want, have) : !consumed(key, want, log))
            fail_msg("%s: \"%s\" is %s\n of %s\n in %s", stream->file, key,
                     have == NULL ? "missing" : json_object_to_json_string(have), stream->line,
                     json_object_to_json_string(log));
    }
}

/* The next event that is a log. */
static json_object *next_event(struct stream *stream)
{
    for (;;) {
        json_tokener *tokener;
        json_object *event;

        if (gzgets(stream->events, stream->line, 4 << 20) == NULL)
            return NULL;
        tokener = json_tokener_new_ex(256);
        event = json_tokener_parse_ex(tokener, stream->line, -1);
        json_tokener_free(tokener);
        assert_non_null(event);
        /* Logs of 1969 and 2106 only look like group markers. */
        if (at(event, "group") == NULL || (at(event, "metadata/schema") == NULL &&
                                           json_object_object_length(at(event, "record")) > 0))
            return event;
        json_object_put(event);
    }
}

/* ---- the forward messages ---- */

static void read_options(struct chunk *chunk, struct mp *in)
{
    const uint8_t *start = in->p;
    struct mp_value map, key, v;

    assert_int_equal(mp_next(in, &map), 0);
    if (map.type != MP_MAP)
        return;
    for (uint32_t i = 0; i < map.count; i++) {
        assert_int_equal(mp_next(in, &key), 0);
        assert_int_equal(mp_next(in, &v), 0);
        assert_int_equal(mp_skip_content(in, &v), 0);
        if (slice_is(key.bytes, "compressed"))
            chunk->compression = slice_is(v.bytes, "gzip")   ? CHUNK_GZIP
                                 : slice_is(v.bytes, "zstd") ? CHUNK_ZSTD
                                                             : CHUNK_PLAIN;
        else if (slice_is(key.bytes, "fluent_signal"))
            chunk->signal = (enum chunk_signal)v.u;
    }
    chunk->options = slice_of(start, (size_t)(in->p - start));
}

/* [tag, ...] to a chunk. False: a message of the handshake. */
static bool read_message(struct mp *in, struct chunk *ret)
{
    struct mp_value v;
    uint32_t left;
    const uint8_t *start;

    assert_int_equal(mp_next(in, &v), 0);
    assert_int_equal(v.type, MP_ARRAY);
    left = v.count;
    assert_int_equal(mp_next(in, &v), 0);
    *ret =
        (struct chunk){.tag = v.bytes, .peer = SLICE_LITERAL("peer"), .received_ns = RECEIVED_NS};
    if (slice_is(v.bytes, "PING")) {
        assert_int_equal(mp_skip(in, left - 1), 0);
        return false;
    }
    start = in->p;
    assert_int_equal(mp_next(in, &v), 0);
    left -= 2;
    if (v.type == MP_ARRAY) {
        ret->carrier = CHUNK_FORWARD;
        start = in->p;
        assert_int_equal(mp_skip_content(in, &v), 0);
        ret->payload = slice_of(start, (size_t)(in->p - start));
    } else if (v.type == MP_STR || v.type == MP_BIN) {
        ret->carrier = CHUNK_PACKED;
        ret->payload = v.bytes;
    } else {
        ret->carrier = CHUNK_MESSAGE;
        assert_int_equal(mp_skip(in, 1), 0);
        ret->payload = slice_of(start, (size_t)(in->p - start));
        left--;
    }
    if (left > 0)
        read_options(ret, in);
    return true;
}

static void compare_chunk(struct stream *stream, struct rig *rig, const struct chunk *chunk)
{
    json_object *root, *logs;

    frames_cut(&rig->frames, 0);
    if (rig_convert(rig, chunk) < 0)
        fail_msg("%s: %s", stream->file, rig->err.text);
    assert_int_equal(rig->result.dropped_invalid, 0);
    assert_int_equal(rig->result.truncated, 0);
    root = rig_json(rig);
    for (size_t r = 0; r < json_object_array_length(at(root, "resourceLogs")); r++) {
        json_object *resource_logs = json_object_array_get_idx(at(root, "resourceLogs"), r);

        logs = at(resource_logs, "scopeLogs/0/logRecords");
        for (size_t i = 0; i < json_object_array_length(logs); i++) {
            json_object *event = next_event(stream);

            if (event == NULL)
                fail_msg("%s: more records than events", stream->file);
            compare(stream, event, json_object_array_get_idx(logs, i));
            json_object_put(event);
            stream->compared++;
        }
    }
    json_object_put(root);
}

static void compare_file(const char *path)
{
    struct stream stream = {.file = path, .line = malloc(4 << 20)};
    struct buf bytes = read_file(path);
    struct mp in = mp_of(buf_slice(&bytes));
    struct chunk chunk;
    struct rig rig;
    char events[512];

    snprintf(events, sizeof(events), "%.*s.events.jsonl", (int)strlen(path) - 4, path);
    stream.events = gzopen(events, "rbe");
    if (stream.events == NULL) {
        snprintf(events, sizeof(events), "%.*s.events.jsonl.gz", (int)strlen(path) - 4, path);
        stream.events = gzopen(events, "rbe");
    }
    assert_non_null(stream.events);
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    while (in.p < in.end)
        if (read_message(&in, &chunk))
            compare_chunk(&stream, &rig, &chunk);
    if (next_event(&stream) != NULL)
        fail_msg("%s: more events than the %u records", path, stream.compared);
    gzclose(stream.events);
    free(stream.line);
    buf_fini(&bytes);
    rig_fini(&rig);
}

static void captures(void **state)
{
    (void)state;
    assert_true(files_count > 0);
    for (int i = 0; i < files_count; i++)
        compare_file(files[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(captures)};
    const char *srcdir = getenv("srcdir");
    char pattern[512];
    glob_t found = {0};
    int r;

    snprintf(pattern, sizeof(pattern), "%s/%s", srcdir == NULL ? "." : srcdir, FIXTURES);
    if (argc == 1 && glob(pattern, 0, NULL, &found) == 0) {
        files = found.gl_pathv;
        files_count = (int)found.gl_pathc;
    } else {
        files = argv + 1;
        files_count = argc - 1;
    }
    r = cmocka_run_group_tests(tests, NULL, NULL);
    globfree(&found);
    return r;
}
