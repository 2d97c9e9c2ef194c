/*
 * support: for the tests of processor/: MessagePack by hand, chunks, and what became of them as
 * JSON. Failures end the test (cmocka).
 */
#ifndef TESTS_UNIT_PROCESSOR_SUPPORT_H
#define TESTS_UNIT_PROCESSOR_SUPPORT_H

#include "processor/chunk.h"
#include "processor/convert.h"
#include "processor/frame_builder.h"
#include "shared/base/buf.h"
#include "shared/otlp/frame_codec.h"

#include <json-c/json.h>

#define RECEIVED_NS 1700000001000000000ull

/* ---- MessagePack into a growing buffer ---- */
void put_bytes(struct buf *b, const void *p, size_t n);
#define put_hex(b, text) put_hex_text(b, text)
void put_hex_text(struct buf *b, const char *hex); /* blanks are skipped */
void put_map(struct buf *b, uint32_t n);
void put_array(struct buf *b, uint32_t n);
void put_str(struct buf *b, const char *text);
void put_str_n(struct buf *b, const void *p, size_t n);
void put_bin(struct buf *b, const void *p, size_t n);
void put_uint(struct buf *b, uint64_t v);
void put_int(struct buf *b, int64_t v);
void put_double(struct buf *b, double v);
void put_nil(struct buf *b);
void put_bool(struct buf *b, bool v);
void put_event_time(struct buf *b, uint32_t s, uint32_t ns);
/* "key" and a string */
void put_pair(struct buf *b, const char *key, const char *value);

struct buf new_buf(void);

/* ---- a sink that keeps the frames ---- */
struct frames {
    struct buf room;
    struct buf payloads;
    struct buf plain; /* all frames, decompressed and joined */
    struct frame_info infos[256];
    size_t ends[256]; /* of the plain bytes */
    size_t count;
    size_t kept; /* where an aborted chunk is to be cut off */
    int fail;    /* commit returns it */
};

void frames_init(struct frames *frames);
void frames_fini(struct frames *frames);
struct frame_sink frames_sink(struct frames *frames);
/* Forgets the frames from `count` on: the caller's cut after an abort. */
void frames_cut(struct frames *frames, size_t count);

/* ---- a converter with all that it needs ---- */
struct rig {
    struct frames frames;
    struct frame_builder *builder;
    struct converter *converter;
    struct convert_result result;
    struct err err;
};

void rig_init(struct rig *rig, enum frame_codec_id codec, enum convert_trace_id trace_id);
void rig_fini(struct rig *rig);

/* A packed chunk of these entries. */
struct chunk chunk_of(const struct buf *entries);
int rig_convert(struct rig *rig, const struct chunk *chunk);

/* Flushes; the JSON of all frames. The caller puts it. */
json_object *rig_json(struct rig *rig);

/* Converts one record (a map) as an entry with the time 1700000000.5 and gives its LogRecord, which
 * lives until *ret_root is put. */
json_object *one_record(struct rig *rig, const struct buf *record, json_object **ret_root);

/* ---- looking into JSON ---- */

/* "resourceLogs/0/scopeLogs/0/logRecords/0/body"; NULL where it is not. */
json_object *at(json_object *o, const char *path);
const char *text_at(json_object *o, const char *path); /* "" where it is not */
/* The value of an attribute of a record, scope or resource: {"stringValue": ...}; or NULL. */
json_object *attribute(json_object *o, const char *key);
size_t attribute_count(json_object *o);
/* The stringValue of an attribute, "" where there is none. */
const char *attribute_text(json_object *o, const char *key);

#endif
