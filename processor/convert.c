#include "processor/convert.h"

#include "processor/inflate.h"
#include "processor/otlp_value.h"
#include "processor/record.h"

#include <errno.h>
#include <stdlib.h>

/* Tags and peers go into every frame's header: longer ones are cut. */
#define MAX_NAME_BYTES 1024
#define MAX_HEADER_BYTES ((size_t)64 << 10)
#define NS_PER_SECOND 1000000000ull
#define GROUP_START_S 0xffffffffu
#define GROUP_END_S 0xfffffffeu

/* Fields of Resource and InstrumentationScope. */
#define F_RESOURCE_ATTRIBUTE PB_KEY(1, PB_BYTES)
#define F_SCOPE_NAME PB_KEY(1, PB_BYTES)
#define F_SCOPE_VERSION PB_KEY(2, PB_BYTES)
#define F_SCOPE_ATTRIBUTE PB_KEY(3, PB_BYTES)

struct converter {
    struct record_maker maker;
    struct inflate *inflate;
    struct buf resource; /* the encoded Resource */
    struct buf scope;    /* the encoded InstrumentationScope of the chunk at hand */
    struct buf resource_head, scope_head;
    size_t scope_fixed; /* how much of it is the same for all chunks */
};

/* The chunk at hand. */
struct run {
    struct converter *converter;
    const struct chunk *chunk;
    struct frame_builder *builder;
    struct buf *records; /* of the group that its records go into */
    struct convert_result result;
};

/* ---- once ---- */

/* Wraps a message's fields as field 1 of ResourceLogs or ScopeLogs. */
static int wrap(struct buf *to, struct slice message)
{
    uint8_t *p;

    to->n = 0;
    if (buf_reserve(to, message.n + 8) < 0)
        return -ENOMEM;
    p = pb_put_bytes(to->p, PB_KEY(1, PB_BYTES), message);
    to->n = (size_t)(p - to->p);
    return 0;
}

/* Appends a string attribute to a header, unless the text is empty. */
static int header_attribute(struct buf *buf, uint8_t field, const char *name, struct slice text)
{
    struct otlp_out o = otlp_out_of(buf);
    int r;

    if (text.n == 0)
        return 0;
    if (text.n > MAX_NAME_BYTES)
        text.n = MAX_NAME_BYTES;
    r = otlp_value_put_text_pair(&o, field, slice_string(name), text);
    if (r == 0)
        buf->n = otlp_out_offset(&o);
    return r;
}

static int header_string(struct buf *buf, uint8_t field, const char *text)
{
    struct otlp_out o = otlp_out_of(buf);
    int r;

    if (text == NULL || text[0] == '\0')
        return 0;
    r = otlp_value_put_string(&o, field, slice_string(text));
    if (r == 0)
        buf->n = otlp_out_offset(&o);
    return r;
}

static struct slice optional(const char *text)
{
    return slice_string(text == NULL ? "" : text);
}

static int make_headers(struct converter *converter, const struct converter_config *config)
{
    int r;

    buf_init(&converter->resource, MAX_HEADER_BYTES);
    buf_init(&converter->scope, MAX_HEADER_BYTES);
    buf_init(&converter->resource_head, MAX_HEADER_BYTES + 8);
    buf_init(&converter->scope_head, MAX_HEADER_BYTES + 8);
    if (buf_reserve(&converter->resource, 1) < 0 || buf_reserve(&converter->scope, 1) < 0)
        return -ENOMEM;
    r = header_attribute(&converter->resource, F_RESOURCE_ATTRIBUTE, "service.name",
                         optional(config->service_name));
    if (r == 0)
        r = header_attribute(&converter->resource, F_RESOURCE_ATTRIBUTE, "deployment.environment",
                             optional(config->environment));
    if (r == 0)
        r = header_string(&converter->scope, F_SCOPE_NAME, config->self_name);
    if (r == 0)
        r = header_string(&converter->scope, F_SCOPE_VERSION, config->self_version);
    if (r == 0)
        r = header_attribute(&converter->scope, F_SCOPE_ATTRIBUTE, "sluice.host",
                             optional(config->self_host));
    converter->scope_fixed = converter->scope.n;
    return r;
}

int converter_new(const struct converter_config *config, struct converter **ret_converter,
                  struct err *err)
{
    struct converter *converter = calloc(1, sizeof(*converter));
    int r;

    if (converter == NULL)
        return err_set(err, ENOMEM, "no memory for the converter");
    r = record_maker_init(&converter->maker, config->trace_id == CONVERT_TRACE_PAD);
    if (r < 0)
        r = err_set(err, EINVAL, "the table of record keys is wrong");
    if (r == 0)
        r = inflate_new(config->max_decompressed, &converter->inflate, err);
    if (r == 0) {
        r = make_headers(converter, config);
        if (r < 0)
            err_set(err, -r, "the resource and scope attributes do not fit");
    }
    if (r < 0) {
        converter_free(&converter);
        return r;
    }
    *ret_converter = converter;
    return 0;
}

void converter_free(struct converter **converter)
{
    if (*converter == NULL)
        return;
    record_maker_fini(&(*converter)->maker);
    inflate_free(&(*converter)->inflate);
    buf_fini(&(*converter)->resource);
    buf_fini(&(*converter)->scope);
    buf_fini(&(*converter)->resource_head);
    buf_fini(&(*converter)->scope_head);
    free(*converter);
    *converter = NULL;
}

/* ---- a record ---- */

/*
 * The event's time; 0 where it is not known, or cannot be said (then *ret_odd is set too). Numbers
 * are seconds. From 1e12 on (the year 33658) they are the milliseconds or less of clients that say
 * nothing about it, timestamp.h; what lies between that and the end of OTLP's time, 2554, is odd.
 */
static uint64_t event_time(const struct mp_value *v, bool *ret_odd)
{
    const uint64_t max_s = UINT64_MAX / NS_PER_SECOND;
    const uint64_t min_ms = 1000000000000ull;
    struct timestamp_memo memo;
    struct timestamp t;

    *ret_odd = false;
    if (timestamp_is_event_time(v))
        return timestamp_event_time_ns(v);
    if (v->type == MP_UINT && v->u < max_s)
        return v->u * NS_PER_SECOND; /* 0 means "now" */
    if (v->type == MP_FLOAT && v->d > 0 && v->d < (double)max_s)
        return (uint64_t)(v->d * 1e6 + 0.5) * 1000;
    if (((v->type == MP_UINT && v->u >= min_ms) ||
         (v->type == MP_FLOAT && v->d >= (double)min_ms)) &&
        timestamp_of(v, &memo, &t))
        return t.ns;
    *ret_odd = v->type != MP_NIL;
    return 0;
}

/* The head of an event: its time, and what Fluent Bit says beside it. */
struct head {
    struct mp_value time;
    bool is_v2;        /* [time, metadata] */
    bool has_metadata; /* and something is in it */
    struct metadata metadata;
    struct slice metadata_raw;
};

/*
 * Fluent Bit's group markers carry a resource and a scope, and are no logs. Their seconds could be
 * a log's too, so the rest must look like a marker as well.
 */
static bool is_marker(const struct head *head, const struct mp_value *record)
{
    uint32_t seconds;

    if (!head->is_v2 || !timestamp_is_event_time(&head->time))
        return false;
    seconds = bytes_get_be32(head->time.bytes.p);
    if (seconds == GROUP_START_S)
        return head->has_metadata && head->metadata.is_group;
    return seconds == GROUP_END_S && !head->has_metadata && record->count == 0;
}

static void count_record(struct convert_result *result, uint64_t time_ns)
{
    if (result->records == 0 || time_ns < result->first_time_ns)
        result->first_time_ns = time_ns;
    if (result->records == 0 || time_ns > result->last_time_ns)
        result->last_time_ns = time_ns;
    result->records++;
}

/* *in is at the record. */
static int convert_record(struct run *run, const struct head *head, struct mp *in)
{
    struct record_event event = {.received_ns = run->chunk->received_ns};
    struct otlp_out o;
    struct mp_value record;
    uint64_t time_ns;
    bool odd;
    int r = mp_next(in, &record);

    if (r < 0)
        return r;
    if (record.type != MP_MAP) {
        run->result.dropped_invalid++;
        return mp_skip_content(in, &record);
    }
    if (is_marker(head, &record)) {
        run->result.markers++;
        return mp_skip_content(in, &record);
    }
    if (head->has_metadata) {
        event.metadata = &head->metadata;
        event.metadata_raw = head->metadata_raw;
    }
    event.event_ns = event_time(&head->time, &odd);
    event.odd_time = odd ? &head->time : NULL;
    o = otlp_out_of(run->records);
    r = record_put(&run->converter->maker, &event, in, record.count, &o, &time_ns);
    if (r == 0)
        r = frame_builder_record(run->builder, otlp_out_offset(&o) - run->records->n, time_ns);
    if (r == 0)
        count_record(&run->result, time_ns);
    return r;
}

/* Fluent Bit sends an empty map with every event: that is no metadata. */
static int read_metadata(struct mp *in, struct head *ret)
{
    const uint8_t *start = in->p;
    struct mp_value v;
    int r = mp_next(in, &v);

    if (r < 0)
        return r;
    ret->is_v2 = true;
    if (v.type != MP_MAP || v.count == 0)
        return mp_skip_content(in, &v);
    r = metadata_read(in, v.count, &ret->metadata);
    ret->metadata_raw = slice_of(start, (size_t)(in->p - start));
    ret->has_metadata = true;
    return r;
}

/* A time that is a container, or the first of [time, metadata]: only its header counts. */
static int read_time(struct mp *in, struct head *ret)
{
    int r = mp_next(in, &ret->time);

    if (r == 0 && ret->time.type >= MP_ARRAY) {
        r = mp_skip_content(in, &ret->time);
        ret->time.type = MP_NIL;
    }
    return r;
}

/* *in is at an entry's time: `time` or [time, metadata]. */
static int read_head(struct mp *in, struct head *ret)
{
    struct mp_value v;
    int r;

    ret->is_v2 = ret->has_metadata = false;
    /* EventTime as fixext8, which nearly all clients send. */
    if (mp_left(in) == 0 || (*in->p & 0xf0) != 0x90) {
        r = mp_next(in, &ret->time);
        if (r < 0 || ret->time.type < MP_ARRAY)
            return r;
        v = ret->time;
        if (v.type == MP_MAP) {
            ret->time.type = MP_NIL;
            return mp_skip_content(in, &v);
        }
    } else {
        r = mp_next(in, &v);
        if (r < 0)
            return r;
    }
    ret->time.type = MP_NIL;
    if (v.count > 0)
        r = read_time(in, ret);
    if (r == 0 && v.count > 1)
        r = read_metadata(in, ret);
    if (r == 0 && v.count > 2)
        r = mp_skip(in, v.count - 2);
    return r;
}

/* ---- the carriers ---- */

/* [head, record]; more elements are skipped, fewer make it invalid. */
static int convert_entry(struct run *run, struct mp *in)
{
    struct mp_value entry;
    struct head head;
    int r = mp_next(in, &entry);

    if (r < 0)
        return r;
    if (entry.type != MP_ARRAY)
        return -EBADMSG;
    if (entry.count < 2) {
        run->result.dropped_invalid++;
        return mp_skip_content(in, &entry);
    }
    r = read_head(in, &head);
    if (r == 0)
        r = convert_record(run, &head, in);
    if (r == 0 && entry.count > 2)
        r = mp_skip(in, entry.count - 2);
    return r;
}

static int convert_entries(struct run *run, struct slice entries, struct err *err)
{
    struct mp in = mp_of(entries);

    while (in.p < in.end) {
        size_t at = (size_t)(in.p - entries.p);
        int r = convert_entry(run, &in);

        if (r == -ENODATA) {
            /* Cut off inside the last entry: what stands before it is good. */
            run->result.truncated = 1;
            return 0;
        }
        if (r == -EBADMSG)
            return err_set(err, EBADMSG, "damaged entry at byte %zu of %zu", at, entries.n);
        if (r == -EFBIG)
            return err_set(err, EFBIG, "the record at byte %zu of %zu is too large", at, entries.n);
        if (r < 0)
            return err_errno(err, -r, "the records of the chunk");
    }
    return 0;
}

/* The option map's "metadata", which Fluent Bit sends in message mode. */
static int option_metadata(const struct chunk *chunk, struct head *ret)
{
    struct mp in = mp_of(chunk->options);
    struct mp_value map, key, v;

    if (chunk->options.n == 0 || mp_next(&in, &map) < 0 || map.type != MP_MAP)
        return 0;
    for (uint32_t i = 0; i < map.count; i++) {
        if (mp_next(&in, &key) < 0 || mp_skip_content(&in, &key) < 0)
            return 0;
        if (key.type == MP_STR && slice_is(key.bytes, "metadata"))
            return read_metadata(&in, ret);
        if (mp_next(&in, &v) < 0 || mp_skip_content(&in, &v) < 0)
            return 0;
    }
    return 0;
}

static int convert_message(struct run *run, struct slice payload, struct err *err)
{
    struct mp in = mp_of(payload);
    struct head head;
    int r = read_head(&in, &head);

    if (r == 0 && !head.has_metadata)
        r = option_metadata(run->chunk, &head);
    if (r == 0)
        r = convert_record(run, &head, &in);
    if (r == -ENODATA || r == -EBADMSG)
        return err_set(err, EBADMSG, "damaged message: its time or record cannot be read");
    if (r == -EFBIG)
        return err_set(err, EFBIG, "its record is too large");
    if (r < 0)
        return err_errno(err, -r, "the record of the message");
    return 0;
}

/* ---- the chunk ---- */

/* The scope says where the records came from. */
static int choose_group(struct run *run)
{
    struct converter *converter = run->converter;
    int r;

    converter->scope.n = converter->scope_fixed;
    r = header_attribute(&converter->scope, F_SCOPE_ATTRIBUTE, "fluent.tag", run->chunk->tag);
    if (r == 0)
        r = header_attribute(&converter->scope, F_SCOPE_ATTRIBUTE, "sluice.peer", run->chunk->peer);
    if (r == 0)
        r = wrap(&converter->resource_head, buf_slice(&converter->resource));
    if (r == 0)
        r = wrap(&converter->scope_head, buf_slice(&converter->scope));
    if (r == 0)
        r = frame_builder_group(run->builder, buf_slice(&converter->resource_head),
                                buf_slice(&converter->scope_head));
    if (r == 0)
        run->records = frame_builder_records(run->builder);
    return r;
}

/* The entries as they were before compression. */
static int plain_payload(struct run *run, struct slice *ret, struct err *err)
{
    const struct chunk *chunk = run->chunk;
    enum chunk_compression compression = chunk->compression;

    if (chunk->carrier == CHUNK_PACKED && inflate_sniff(chunk->payload) != CHUNK_PLAIN)
        compression = inflate_sniff(chunk->payload);
    if (compression == CHUNK_PLAIN) {
        *ret = chunk->payload;
        return 0;
    }
    return inflate_payload(run->converter->inflate, compression, chunk->payload, ret, err);
}

static int convert_run(struct run *run, struct err *err)
{
    struct slice payload;
    int r;

    /* JSON records, and text that is JSON, get their parsers here: to msgpack, then as below. */
    if (run->chunk->json)
        return err_set(err, EBADMSG, "a message in JSON: not supported");
    r = plain_payload(run, &payload, err);
    if (r < 0)
        return r;
    r = choose_group(run);
    if (r < 0)
        return err_errno(err, -r, "the group of the chunk's records");
    if (run->chunk->carrier == CHUNK_MESSAGE)
        return convert_message(run, payload, err);
    return convert_entries(run, payload, err);
}

int convert_chunk(struct converter *converter, const struct chunk *chunk,
                  struct frame_builder *builder, struct convert_result *ret_result, struct err *err)
{
    struct run run = {converter, chunk, builder, NULL, {0}};
    int r;

    if (chunk->signal != CHUNK_LOGS) {
        run.result.foreign = 1;
        *ret_result = run.result;
        return 0;
    }
    frame_builder_chunk_begin(builder);
    r = convert_run(&run, err);
    if (r < 0) {
        frame_builder_chunk_abort(builder);
        return r;
    }
    frame_builder_chunk_end(builder);
    *ret_result = run.result;
    return 0;
}
