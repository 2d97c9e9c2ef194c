#include "tests/unit/processor/story.h"

#include "tests/unit/processor/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <zlib.h>
#include <zstd.h>

#define GROUP_START 0xffffffffu
#define GROUP_END 0xfffffffeu

static struct story_span span_since(const struct buf *b, size_t at)
{
    return (struct story_span){at, b->n - at};
}

static void put_time(struct generate *g, struct buf *out, struct story_span *ret_odd)
{
    size_t at = out->n;

    ret_odd->n = 0;
    switch (generate_below(g, 8)) {
    case 0:
        put_uint(out, 1600000000 + generate_below(g, 1u << 27));
        break;
    case 1:
        put_double(out, 1600000000.25 + generate_below(g, 1u << 27));
        break;
    case 2:
        generate_value(g, 0, out);
        break;
    case 3:
        put_int(out, -(int64_t)generate_below(g, 1u << 30) - 1);
        *ret_odd = span_since(out, at);
        break;
    case 4:
        put_str(out, generate_below(g, 2) == 0 ? "noon" : "2024-01-15");
        *ret_odd = span_since(out, at);
        break;
    default:
        put_event_time(out, 1600000000 + generate_below(g, 1u << 27), generate_below(g, 1u << 29));
    }
}

/* Fluent Bit's "otlp" of a record that it took as OTLP. */
static void put_otlp_metadata(struct generate *g, struct buf *out)
{
    bool has_number = generate_below(g, 4) != 0;

    put_map(out, 5 + has_number);
    if (has_number) {
        put_str(out, "severity_number");
        put_uint(out, 1 + generate_below(g, 25));
    }
    put_str(out, "severity_text");
    put_str(out, generate_below(g, 2) == 0 ? "Loud" : "warn");
    put_str(out, "attributes");
    if (generate_below(g, 2) == 0) {
        put_map(out, 2);
        put_pair(out, "job_id", "their job");
        put_pair(out, "worker_id", "their worker");
    } else {
        generate_map(g, generate_below(g, 5), out);
    }
    if (generate_below(g, 2) == 0) {
        put_str(out, "trace_id");
        put_bin(out, "0123456789abcdef", generate_below(g, 4) == 0 ? 8 : 16);
    } else {
        put_pair(out, "event_name", "an event's name");
    }
    put_str(out, "observed_timestamp");
    put_uint(out, 1700000000000000000u + generate_below(g, 1u << 30));
    put_str(out, generate_below(g, 2) == 0 ? "trace_flags" : "timestamp");
    put_uint(out, generate_below(g, 1u << 10) + 1);
}

static void put_metadata(struct generate *g, struct buf *out)
{
    uint32_t kind = generate_below(g, 4);

    if (kind == 0) {
        put_map(out, 0);
    } else if (kind == 1) {
        generate_map(g, generate_below(g, 4), out);
    } else {
        put_map(out, kind - 1);
        put_str(out, "otlp");
        put_otlp_metadata(g, out);
        if (kind == 3)
            put_pair(out, "more", "of it");
    }
}

static void put_attributes(struct generate *g, struct buf *out, struct story_span *ret)
{
    size_t at;

    g->is_small = true;
    put_str(out, "attributes");
    at = out->n;
    put_map(out, 1 + generate_below(g, 2));
    put_pair(out, generate_below(g, 2) == 0 ? "host.name" : "own", "from the group");
    if ((out->p[at] & 15) == 2) {
        put_str(out, "more");
        generate_map(g, generate_below(g, 3), out);
    }
    if (generate_below(g, 2) == 0) {
        out->n = at;
        generate_map(g, generate_below(g, 8), out);
    }
    *ret = span_since(out, at);
    g->is_small = false;
}

/* A marker that begins a group; its parts go into *group. */
static void put_group(struct generate *g, struct buf *out, struct story_item *group)
{
    size_t at = out->n;

    put_array(out, 2);
    put_array(out, 2);
    put_event_time(out, GROUP_START, 0);
    put_map(out, 2);
    put_pair(out, "schema", "otlp");
    put_str(out, "resource_id");
    put_uint(out, 1);
    put_map(out, 2);
    put_str(out, "resource");
    put_map(out, 2);
    put_attributes(g, out, &group->group);
    put_pair(out, "schema_url", "https://a.schema");
    put_str(out, "scope");
    put_map(out, 3);
    put_attributes(g, out, &group->scope);
    put_pair(out, "name", generate_below(g, 3) == 0 ? "" : "their scope");
    put_pair(out, "version", "7");
    group->marker = span_since(out, at);
}

static void put_group_end(struct buf *out)
{
    put_array(out, 2);
    put_array(out, 2);
    put_event_time(out, GROUP_END, 0);
    put_map(out, 0);
    put_map(out, 0);
}

static void put_record_entry(struct generate *g, struct story *story,
                             const struct story_item *group)
{
    struct story_item *item = &story->item[story->count];
    struct buf *out = &story->bytes;
    size_t at = out->n, start;

    *item = *group;
    item->metadata.n = 0;
    if (generate_below(g, 3) == 0) {
        put_array(out, 2);
        put_array(out, 2);
        put_time(g, out, &item->odd_time);
        start = out->n;
        put_metadata(g, out);
        item->metadata = span_since(out, start);
    } else {
        put_array(out, 2);
        put_time(g, out, &item->odd_time);
    }
    start = out->n;
    generate_record(g, story->first + story->count, out);
    item->record = span_since(out, start);
    item->entry = span_since(out, at);
    item->json = false;
    story->count++;
}

static void put_entries(struct generate *g, struct story *story)
{
    uint32_t records = generate_below(g, STORY_MAX_RECORDS + 1);
    struct story_item none, group;

    memset(&none, 0, sizeof(none));
    group = none;
    while (story->count < records) {
        switch (generate_below(g, 16)) {
        case 0:
            put_group(g, &story->bytes, &group);
            story->markers++;
            break;
        case 1:
            put_group_end(&story->bytes);
            group = none;
            story->markers++;
            break;
        case 2:
            put_array(&story->bytes, generate_below(g, 3));
            for (uint32_t n = story->bytes.p[story->bytes.n - 1] & 15; n > 0; n--)
                put_uint(&story->bytes, 1);
            story->invalid++;
            break;
        default:
            put_record_entry(g, story, &group);
        }
        if (story->entry_end == 0 || generate_below(g, 2) == 0)
            story->entry_end = story->bytes.n;
    }
}

/* As members or frames of their own: the payload may be cut into several. */
static void compress_part(struct buf *out, enum chunk_compression how, struct slice part)
{
    size_t room = part.n + part.n / 8 + 4096;

    assert_int_equal(buf_reserve(out, room), 0);
    if (how == CHUNK_ZSTD) {
        out->n += ZSTD_compress(out->p + out->n, room, part.p, part.n, 1);
    } else {
        z_stream z = {.next_in = (uint8_t *)part.p,
                      .avail_in = (unsigned)part.n,
                      .next_out = out->p + out->n,
                      .avail_out = (unsigned)room};

        assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out->n += z.total_out;
        deflateEnd(&z);
    }
}

static void pack(struct generate *g, struct story *story)
{
    struct chunk *chunk = &story->chunk;
    size_t cut = story->bytes.n == 0 ? 0 : generate_below(g, (uint32_t)story->bytes.n);

    chunk->carrier = generate_below(g, 2) == 0 ? CHUNK_PACKED : CHUNK_FORWARD;
    chunk->payload = buf_slice(&story->bytes);
    if (chunk->carrier == CHUNK_FORWARD || story->bytes.n == 0)
        return;
    chunk->compression = (enum chunk_compression)generate_below(g, 3);
    if (chunk->compression == CHUNK_PLAIN)
        return;
    compress_part(&story->payload, chunk->compression, slice_of(story->bytes.p, cut));
    compress_part(&story->payload, chunk->compression,
                  slice_of(story->bytes.p + cut, story->bytes.n - cut));
    chunk->payload = buf_slice(&story->payload);
}

static void put_message(struct generate *g, struct story *story)
{
    struct story_item *item = &story->item[story->count];

    memset(item, 0, sizeof(*item));
    put_time(g, &story->bytes, &item->odd_time);
    item->record.at = story->bytes.n;
    generate_record(g, story->first + story->count++, &story->bytes);
    item->record = span_since(&story->bytes, item->record.at);
    story->chunk.carrier = CHUNK_MESSAGE;
    story->chunk.payload = buf_slice(&story->bytes);
}

/* [[time, {...}], ...] in JSON, or time and record. */
static void put_json(struct generate *g, struct story *story)
{
    bool one = generate_below(g, 3) == 0;
    uint32_t records = one ? 1 : 1 + generate_below(g, 6);
    struct buf *out = &story->bytes;

    put_bytes(out, "[", !one);
    for (uint32_t i = 0; i < records; i++) {
        struct story_item *item = &story->item[story->count];

        memset(item, 0, sizeof(*item));
        put_bytes(out, ",", i > 0);
        item->entry.at = out->n;
        put_bytes(out, one ? " 1700000000 , " : "[1700000000.5, ", one ? 14 : 15);
        item->record.at = out->n;
        generate_json_record(g, story->first + story->count++, out);
        item->record = span_since(out, item->record.at);
        put_bytes(out, "]", !one);
        item->entry = span_since(out, item->entry.at);
        item->json = true;
    }
    put_bytes(out, "]", !one);
    story->chunk.json = true;
    story->chunk.carrier = one ? CHUNK_MESSAGE : CHUNK_FORWARD;
    story->chunk.payload = buf_slice(out);
}

void story_make(struct generate *g, uint32_t first, struct story *story)
{
    memset(story, 0, sizeof(*story));
    story->bytes = new_buf();
    story->payload = new_buf();
    story->first = first;
    switch (generate_below(g, 8)) {
    case 0:
        put_message(g, story);
        break;
    case 1:
    case 2:
        put_json(g, story);
        break;
    default:
        put_entries(g, story);
        pack(g, story);
    }
    story->chunk.tag = generate_below(g, 3) == 0 ? SLICE_LITERAL("b.\xff") : SLICE_LITERAL("a.b");
    story->chunk.peer = SLICE_LITERAL("10.0.0.7");
    story->chunk.received_ns = RECEIVED_NS + first;
}

void story_free(struct story *story)
{
    buf_fini(&story->bytes);
    buf_fini(&story->payload);
}
