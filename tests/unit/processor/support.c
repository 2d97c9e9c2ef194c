#include "tests/unit/processor/support.h"

#include "shared/base/bytes.h"
#include "shared/otlp/transcode.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES ((size_t)1 << 30)

struct buf new_buf(void)
{
    struct buf b;

    buf_init(&b, MAX_BYTES);
    return b;
}

void put_bytes(struct buf *b, const void *p, size_t n)
{
    assert_int_equal(buf_append(b, p, n), 0);
}

static unsigned digit(char c)
{
    return (unsigned)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

void put_hex_text(struct buf *b, const char *hex)
{
    for (; *hex != '\0'; hex++) {
        uint8_t byte;

        if (*hex == ' ' || *hex == '\n')
            continue;
        byte = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        put_bytes(b, &byte, 1);
        hex++;
    }
}

static void put_head(struct buf *b, uint8_t first, unsigned width, uint64_t v)
{
    uint8_t p[9] = {first};

    for (unsigned i = 0; i < width; i++)
        p[1 + i] = (uint8_t)(v >> 8 * (width - 1 - i));
    put_bytes(b, p, 1 + width);
}

void put_map(struct buf *b, uint32_t n)
{
    if (n < 16)
        put_head(b, (uint8_t)(0x80 | n), 0, 0);
    else
        put_head(b, n < 65536 ? 0xde : 0xdf, n < 65536 ? 2 : 4, n);
}

void put_array(struct buf *b, uint32_t n)
{
    if (n < 16)
        put_head(b, (uint8_t)(0x90 | n), 0, 0);
    else
        put_head(b, n < 65536 ? 0xdc : 0xdd, n < 65536 ? 2 : 4, n);
}

void put_str_n(struct buf *b, const void *p, size_t n)
{
    if (n < 32)
        put_head(b, (uint8_t)(0xa0 | n), 0, 0);
    else if (n < 256)
        put_head(b, 0xd9, 1, n);
    else
        put_head(b, n < 65536 ? 0xda : 0xdb, n < 65536 ? 2 : 4, n);
    put_bytes(b, p, n);
}

void put_str(struct buf *b, const char *text)
{
    put_str_n(b, text, strlen(text));
}

void put_bin(struct buf *b, const void *p, size_t n)
{
    put_head(b, 0xc6, 4, n);
    put_bytes(b, p, n);
}

void put_uint(struct buf *b, uint64_t v)
{
    if (v < 128)
        put_head(b, (uint8_t)v, 0, 0);
    else
        put_head(b, 0xcf, 8, v);
}

void put_int(struct buf *b, int64_t v)
{
    put_head(b, 0xd3, 8, (uint64_t)v);
}

void put_double(struct buf *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, 8);
    put_head(b, 0xcb, 8, bits);
}

void put_nil(struct buf *b)
{
    put_head(b, 0xc0, 0, 0);
}

void put_bool(struct buf *b, bool v)
{
    put_head(b, v ? 0xc3 : 0xc2, 0, 0);
}

void put_event_time(struct buf *b, uint32_t s, uint32_t ns)
{
    uint8_t p[10] = {0xd7, 0};

    bytes_put_be32(p + 2, s);
    bytes_put_be32(p + 6, ns);
    put_bytes(b, p, sizeof(p));
}

void put_pair(struct buf *b, const char *key, const char *value)
{
    put_str(b, key);
    put_str(b, value);
}

/* ---- the sink ---- */

static uint8_t *reserve(void *context, size_t max_bytes)
{
    struct frames *frames = context;

    frames->room.n = 0;
    assert_int_equal(buf_reserve(&frames->room, max_bytes + 1), 0);
    return frames->room.p;
}

static int commit(void *context, const struct frame_info *info, size_t bytes)
{
    struct frames *frames = context;
    struct frame_codec *codec = NULL;
    struct err err;

    if (frames->fail != 0)
        return frames->fail;
    assert_true(frames->count < 256);
    assert_true(info->records > 0);
    assert_true(info->records == 1 || info->plain_bytes <= FRAME_MAX_PLAIN_BYTES);
    assert_int_equal(frame_codec_new(&codec, &err), 0);
    if (frame_codec_decompress(codec, info, slice_of(frames->room.p, bytes), &frames->plain, &err) <
        0)
        fail_msg("%s", err.text);
    frame_codec_free(&codec);
    frames->infos[frames->count] = *info;
    frames->ends[frames->count++] = frames->plain.n;
    return 0;
}

static void keep(void *context)
{
    struct frames *frames = context;

    frames->kept = frames->count;
}

void frames_init(struct frames *frames)
{
    memset(frames, 0, sizeof(*frames));
    frames->room = new_buf();
    frames->plain = new_buf();
}

void frames_fini(struct frames *frames)
{
    buf_fini(&frames->room);
    buf_fini(&frames->plain);
}

struct frame_sink frames_sink(struct frames *frames)
{
    return (struct frame_sink){reserve, commit, keep, frames};
}

void frames_cut(struct frames *frames, size_t count)
{
    frames->count = count;
    frames->plain.n = count == 0 ? 0 : frames->ends[count - 1];
}

/* ---- the converter ---- */

void rig_init(struct rig *rig, enum frame_codec_id codec, enum convert_trace_id trace_id)
{
    const struct converter_config config = {.service_name = "emp-job-queue",
                                            .environment = "production",
                                            .self_name = "sluice",
                                            .self_version = "0.1",
                                            .self_host = "central",
                                            .trace_id = trace_id,
                                            .parse_text = true,
                                            .service = RECORD_SERVICE_NAMED,
                                            .max_decompressed = (size_t)8 << 20};
    struct frame_sink sink;

    memset(rig, 0, sizeof(*rig));
    frames_init(&rig->frames);
    sink = frames_sink(&rig->frames);
    assert_int_equal(frame_builder_new(codec, &sink, &rig->builder, &rig->err), 0);
    assert_int_equal(converter_new(&config, &rig->converter, &rig->err), 0);
}

void rig_fini(struct rig *rig)
{
    converter_free(&rig->converter);
    frame_builder_free(&rig->builder);
    frames_fini(&rig->frames);
}

struct chunk chunk_of(const struct buf *entries)
{
    return (struct chunk){.carrier = CHUNK_PACKED,
                          .tag = SLICE_LITERAL("app.web"),
                          .peer = SLICE_LITERAL("10.0.0.7"),
                          .payload = buf_slice(entries),
                          .received_ns = RECEIVED_NS};
}

int rig_convert(struct rig *rig, const struct chunk *chunk)
{
    memset(&rig->result, 0xee, sizeof(rig->result));
    return convert_chunk(rig->converter, chunk, rig->builder, &rig->result, &rig->err);
}

json_object *rig_json(struct rig *rig)
{
    struct buf json = new_buf();
    json_tokener *tokener;
    json_object *root;

    assert_int_equal(frame_builder_flush(rig->builder), 0);
    assert_int_equal(frame_builder_pending_bytes(rig->builder), 0);
    if (transcode_json(buf_slice(&rig->frames.plain), 0, &json, &rig->err) < 0)
        fail_msg("%s", rig->err.text);
    tokener = json_tokener_new_ex(256); /* OTLP/JSON has three levels to one of ours */
    root = json_tokener_parse_ex(tokener, (const char *)json.p, (int)json.n);
    if (root == NULL || json_tokener_get_parse_end(tokener) != json.n)
        fail_msg("no JSON at %zu: %.*s", json_tokener_get_parse_end(tokener), (int)json.n, json.p);
    json_tokener_free(tokener);
    buf_fini(&json);
    return root;
}

json_object *one_record(struct rig *rig, const struct buf *record, json_object **ret_root)
{
    struct buf entry = new_buf();
    struct chunk chunk;

    put_array(&entry, 2);
    put_event_time(&entry, 1700000000, 500000000);
    put_bytes(&entry, record->p, record->n);
    chunk = chunk_of(&entry);
    frames_cut(&rig->frames, 0);
    if (rig_convert(rig, &chunk) < 0)
        fail_msg("%s", rig->err.text);
    assert_int_equal(rig->result.records, 1);
    buf_fini(&entry);
    *ret_root = rig_json(rig);
    return at(*ret_root, "resourceLogs/0/scopeLogs/0/logRecords/0");
}

/* ---- JSON ---- */

json_object *at(json_object *o, const char *path)
{
    while (o != NULL && *path != '\0') {
        size_t n = strcspn(path, "/");
        char name[64];

        assert_true(n < sizeof(name));
        memcpy(name, path, n);
        name[n] = '\0';
        if (json_object_is_type(o, json_type_array))
            o = json_object_array_get_idx(o, strtoul(name, NULL, 10));
        else if (!json_object_object_get_ex(o, name, &o))
            o = NULL;
        path += n + (path[n] == '/');
    }
    return o;
}

const char *text_at(json_object *o, const char *path)
{
    o = at(o, path);
    return o == NULL ? "" : json_object_get_string(o);
}

size_t attribute_count(json_object *o)
{
    json_object *list = at(o, "attributes");

    return list == NULL ? 0 : json_object_array_length(list);
}

json_object *attribute(json_object *o, const char *key)
{
    json_object *list = at(o, "attributes"), *found = NULL;

    for (size_t i = 0; i < attribute_count(o); i++) {
        json_object *pair = json_object_array_get_idx(list, i);

        if (strcmp(text_at(pair, "key"), key) == 0) {
            assert_null(found); /* keys are unique */
            found = at(pair, "value");
        }
    }
    return found;
}

const char *attribute_text(json_object *o, const char *key)
{
    return text_at(attribute(o, key), "stringValue");
}
