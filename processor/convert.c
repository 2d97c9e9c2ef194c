#include "processor/convert.h"

#include "processor/inflate.h"
#include "processor/json_mp.h"
#include "processor/record.h"
#include "processor/scope.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_SECOND 1000000000ull
#define GROUP_START_S 0xffffffffu
#define GROUP_END_S 0xfffffffeu
/* JSON becomes at most about three times as long as MessagePack. */
#define JSON_MAX_BYTES ((size_t)4 << 30)
/*
 * A small record may have a resource of its own, whose head is large: what a chunk's heads may take,
 * by its bytes. Real records and their heads are of one size.
 */
#define HEAD_FACTOR 16u
#define HEAD_FREE_BYTES ((uint64_t)1 << 20)
#define SCRATCH_KEEP_BYTES ((size_t)64 << 10)

struct converter {
    struct record_maker maker;
    struct inflate *inflate;
    struct resource *resource;
    struct scope scope;
    struct buf json;   /* a JSON chunk as MessagePack */
    struct buf record; /* a record that will move */
};

/* The chunk at hand. */
struct run {
    struct converter *converter;
    const struct chunk *chunk;
    struct frame_builder *builder;
    struct buf *records; /* of the group that the last record went into */
    bool is_moved;       /* the scope is another one than that group's */
    bool is_mixed;       /* the last record's group was not its predecessor's */
    uint64_t head_bytes; /* of the groups that records began */
    uint64_t head_limit; /* above it records keep their facts to themselves */
    struct convert_result result;
};

/* ---- once ---- */

static bool is_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static int make_parts(struct converter *converter, const struct converter_config *config,
                      struct err *err)
{
    const struct record_config record = {
        .pad_trace_id = config->trace_id == CONVERT_TRACE_PAD,
        .parse_text = config->parse_text,
        .is_limited = config->is_limited,
        .has_service = is_text(config->service_name),
        .service = config->service,
    };
    const struct resource_config resource = {.service_name = config->service_name,
                                             .environment = config->environment,
                                             .attributes = config->resource_attributes};
    int r = record_maker_init(&converter->maker, &record);

    if (r < 0)
        return err_set(err, EINVAL, "the table of record keys is wrong");
    r = inflate_new(config->max_decompressed, &converter->inflate, err);
    return r < 0 ? r : resource_new(&resource, &converter->resource, err);
}

int converter_new(const struct converter_config *config, struct converter **ret_converter,
                  struct err *err)
{
    const struct scope_config scope = {config->self_name, config->self_version, config->self_host};
    struct converter *converter = calloc(1, sizeof(*converter));
    int r;

    if (converter == NULL)
        return err_set(err, ENOMEM, "no memory for the converter");
    scope_init(&converter->scope, &scope);
    buf_init(&converter->json, JSON_MAX_BYTES);
    buf_init(&converter->record, FRAME_BUILDER_MAX_RECORD_BYTES);
    r = make_parts(converter, config, err);
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
    resource_free(&(*converter)->resource);
    scope_fini(&(*converter)->scope);
    buf_fini(&(*converter)->json);
    buf_fini(&(*converter)->record);
    free(*converter);
    *converter = NULL;
}

/* ---- times and markers ---- */

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
    if ((v->type == MP_EXT || (v->type == MP_UINT && v->u >= min_ms) ||
         (v->type == MP_FLOAT && v->d >= (double)min_ms)) &&
        timestamp_of(v, &memo, &t))
        return t.ns;
    *ret_odd = v->type != MP_NIL;
    return 0;
}

/* The head of an event: its time, and what Fluent Bit says beside it. */
struct head {
    struct mp_value time;
    struct mp content; /* of a time that is a container, and so none */
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

/* ---- groups ---- */

/* What OTLP has for a group marker's resource and scope; other keys in them say nothing. */
struct marker_part {
    struct slice name, version, schema_url;
    struct mp attributes;
    uint32_t count;
    uint32_t dropped_attributes;
};

static void take_part(const struct slice key, const struct mp *in, const struct mp_value *v,
                      struct marker_part *ret)
{
    if (v->type == MP_MAP && slice_is(key, "attributes")) {
        ret->attributes = *in;
        ret->count = v->count;
    } else if (v->type == MP_STR && slice_is(key, "name")) {
        ret->name = v->bytes;
    } else if (v->type == MP_STR && slice_is(key, "version")) {
        ret->version = v->bytes;
    } else if (v->type == MP_STR && slice_is(key, "schema_url")) {
        ret->schema_url = v->bytes;
    } else if (v->type == MP_UINT && v->u <= UINT32_MAX &&
               slice_is(key, "dropped_attributes_count")) {
        ret->dropped_attributes = (uint32_t)v->u;
    }
}

static int read_part(struct mp *in, uint32_t pairs, struct marker_part *ret)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct mp_value key, v;
        int r = mp_next_pair(in, &key, &v);

        if (r < 0)
            return r;
        if (key.type == MP_STR)
            take_part(key.bytes, in, &v, ret);
        r = mp_skip_content(in, &v);
        if (r < 0)
            return r;
    }
    return 0;
}

/* {"resource": {attributes, schema_url}, "scope": {name, version, attributes, schema_url}} */
static int read_marker(struct mp *in, uint32_t pairs, struct marker_part *ret_resource,
                       struct marker_part *ret_scope)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct mp_value key, v;
        int r = mp_next_pair(in, &key, &v);

        if (r < 0)
            return r;
        if (key.type == MP_STR && v.type == MP_MAP && slice_is(key.bytes, "resource"))
            r = read_part(in, v.count, ret_resource);
        else if (key.type == MP_STR && v.type == MP_MAP && slice_is(key.bytes, "scope"))
            r = read_part(in, v.count, ret_scope);
        else
            r = mp_skip_content(in, &v);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What the records up to the end marker belong to. An end marker, or what is no marker's body, says
 * nothing. *in is at the marker's pairs. */
static int apply_marker(struct run *run, struct mp *in, uint32_t pairs, bool is_start)
{
    struct converter *converter = run->converter;
    struct marker_part resource = {.count = 0}, scope = {.count = 0};
    int r = read_marker(in, pairs, &resource, &scope);

    if (r < 0)
        return r;
    run->is_moved = true;
    run->result.markers++;
    if (!is_start) {
        resource_group(converter->resource, NULL);
        return scope_group(&converter->scope, NULL);
    }
    r = resource_group(converter->resource,
                       &(struct resource_group){resource.attributes, resource.count,
                                                resource.dropped_attributes, resource.schema_url});
    if (r == 0)
        r = scope_group(&converter->scope,
                        &(struct scope_group){scope.name, scope.version, scope.schema_url,
                                              scope.attributes, scope.count,
                                              scope.dropped_attributes});
    return r;
}

/* ---- a record ---- */

/*
 * A record is written behind those of its predecessor's group, where it mostly belongs. In a chunk
 * that changes between groups it is written into a buffer of its own: one that stays in the cache.
 */
static struct buf *room_for_record(const struct run *run)
{
    return run->is_mixed ? &run->converter->record : run->records;
}

static int place_record(struct run *run, const struct record_out *out)
{
    struct converter *converter = run->converter;
    const struct buf *room = out->o.buf;
    size_t bytes = otlp_out_offset(&out->o) - room->n;
    int changed = resource_choose(converter->resource, &out->facts);

    if (changed < 0)
        return changed;
    if (changed > 0 || run->is_moved || run->is_mixed) {
        int r =
            frame_builder_move(run->builder, resource_head(converter->resource),
                               scope_head(&converter->scope), slice_of(room->p + room->n, bytes));

        if (r < 0)
            return r;
        run->records = frame_builder_records(run->builder);
        if (r > 0)
            run->head_bytes += resource_head(converter->resource)->bytes.n +
                               scope_head(&converter->scope)->bytes.n;
        run->is_moved = false;
        run->is_mixed = changed > 0;
    }
    return frame_builder_record(run->builder, bytes, out->time_ns);
}

/* *in is at the record. */
static int convert_record(struct run *run, const struct head *head, struct mp *in)
{
    struct converter *converter = run->converter;
    struct record_event event = {.received_ns = run->chunk->received_ns};
    struct record_out out;
    struct mp_value record;
    bool odd;
    int r = mp_next(in, &record);

    if (r < 0)
        return r;
    if (record.type != MP_MAP) {
        run->result.dropped_invalid++;
        return mp_skip_content(in, &record);
    }
    if (is_marker(head, &record))
        return apply_marker(run, in, record.count, head->has_metadata);
    if (head->has_metadata) {
        event.metadata = &head->metadata;
        event.metadata_raw = head->metadata_raw;
    }
    event.event_ns = event_time(&head->time, &odd);
    event.odd_time = odd ? &head->time : NULL;
    event.odd_content = head->content;
    out.o = otlp_out_of(room_for_record(run));
    facts_clear(&out.facts, run->head_bytes > run->head_limit
                                ? UINT32_MAX
                                : resource_given(converter->resource));
    r = record_put(&converter->maker, &event, in, record.count, &out);
    if (r == 0)
        r = place_record(run, &out);
    if (r == 0)
        count_record(&run->result, out.time_ns);
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
    if (v.type == MP_NIL || (v.type == MP_MAP && v.count == 0))
        return 0;
    ret->has_metadata = true;
    ret->metadata = (struct metadata){.is_complete = false};
    r = v.type == MP_MAP ? metadata_read(in, v.count, &ret->metadata) : mp_skip_content(in, &v);
    ret->metadata_raw = slice_of(start, (size_t)(in->p - start));
    return r;
}

/* The first of [time, metadata]. */
static int read_time(struct mp *in, struct head *ret)
{
    int r = mp_next(in, &ret->time);

    ret->content = *in;
    return r < 0 ? r : mp_skip_content(in, &ret->time);
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
            ret->content = *in;
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
    if (entry.type != MP_ARRAY || entry.count < 2) {
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
            return err_set(err, EFBIG, "the record or group at byte %zu of %zu is too large", at,
                           entries.n);
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

    if (chunk->json || chunk->options.n == 0 || mp_next(&in, &map) < 0 || map.type != MP_MAP)
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

/* Where the first record goes, unless it says otherwise. */
static int choose_group(struct run *run)
{
    struct converter *converter = run->converter;
    int r;

    r = resource_begin(converter->resource);
    if (r == 0)
        r = scope_begin(&converter->scope, run->chunk->tag, run->chunk->peer);
    if (r < 0)
        return r;
    r = frame_builder_group(run->builder, resource_head(converter->resource),
                            scope_head(&converter->scope));
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

static int json_failed(int r, size_t offset, const struct json_error *why, struct err *err)
{
    if (r == -ENOMEM)
        return err_errno(err, ENOMEM, "the chunk as MessagePack");
    return err_set(err, EBADMSG, "byte %zu behind the tag, in its JSON: %s", offset, why->reason);
}

/*
 * A JSON chunk's payload as MessagePack: of a message time and record, else the entries without the
 * array around them.
 */
static int json_payload(struct run *run, struct slice *ret, struct err *err)
{
    struct buf *buf = &run->converter->json;
    struct slice text = run->chunk->payload;
    struct json_error why = {"", 0, 0, 0};
    struct mp_writer w;
    struct mp_value v;
    struct mp in;
    int r;

    buf->n = 0;
    w = mp_writer_of(buf);
    r = json_mp_value(&text, JSON_LAX, &w, &why);
    if (r == 0 && run->chunk->carrier == CHUNK_MESSAGE) {
        while (text.n > 0 && (text.p[0] <= ' ' || text.p[0] == ','))
            text = slice_of(text.p + 1, text.n - 1);
        r = json_mp_value(&text, JSON_LAX, &w, &why);
    }
    if (r < 0)
        return json_failed(r, (size_t)(text.p - run->chunk->payload.p) + why.offset, &why, err);
    in = mp_of(buf_slice(buf));
    if (run->chunk->carrier == CHUNK_FORWARD)
        r = mp_next(&in, &v);
    if (r < 0 || (run->chunk->carrier == CHUNK_FORWARD && v.type != MP_ARRAY))
        return err_set(err, EBADMSG, "the entries are no array");
    *ret = slice_of(in.p, mp_left(&in));
    return 0;
}

static int convert_run(struct run *run, struct err *err)
{
    struct slice payload;
    int r;

    if (run->chunk->json && run->chunk->carrier == CHUNK_PACKED)
        return err_set(err, EBADMSG, "packed entries in a message in JSON");
    r = run->chunk->json ? json_payload(run, &payload, err) : plain_payload(run, &payload, err);
    if (r < 0)
        return r;
    run->head_limit = HEAD_FACTOR * payload.n + HEAD_FREE_BYTES;
    r = choose_group(run);
    if (r < 0)
        return err_errno(err, -r, "the group of the chunk's records");
    if (run->chunk->carrier == CHUNK_MESSAGE)
        return convert_message(run, payload, err);
    return convert_entries(run, payload, err);
}

/* What an unusual chunk took is given back. */
static void trim(struct converter *converter)
{
    converter->json.n = converter->record.n = 0;
    buf_trim(&converter->json, SCRATCH_KEEP_BYTES);
    buf_trim(&converter->record, SCRATCH_KEEP_BYTES);
    resource_trim(converter->resource);
    record_maker_trim(&converter->maker);
}

int convert_chunk(struct converter *converter, const struct chunk *chunk,
                  struct frame_builder *builder, struct convert_result *ret_result, struct err *err)
{
    struct run run = {.converter = converter, .chunk = chunk, .builder = builder};
    int r;

    if (chunk->signal != CHUNK_LOGS) {
        run.result.foreign = 1;
        *ret_result = run.result;
        return 0;
    }
    frame_builder_chunk_begin(builder);
    r = convert_run(&run, err);
    trim(converter);
    if (r < 0) {
        frame_builder_chunk_abort(builder);
        return r;
    }
    frame_builder_chunk_end(builder);
    *ret_result = run.result;
    return 0;
}
