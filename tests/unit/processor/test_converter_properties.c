/*
 * test_converter_properties: what must be true of the converter whatever comes in. Random chunks
 * (generate.h) under random options; per seed
 *
 *   - what comes out is a request as otlp_check.h has it, with as many records as were counted
 *   - every leaf of every record, its metadata and its group is in what the record became
 *   - the same chunk gives the same bytes again, after whatever other chunks, refused ones among
 *     them; a record alone becomes what it becomes among others: resource, scope and all
 *   - a refused chunk leaves nothing behind, and takes nothing of the chunks before it along
 *   - a chunk that was cut gives the records before the cut, unchanged
 *   - under the dash0 profile a record says the same, and its correlation fields stay attributes
 *
 * A failure names its seed. SLUICE_PROPERTY_SEEDS and SLUICE_PROPERTY_FIRST run more, or one again.
 */
#include "processor/convert.h"
#include "shared/otlp/pb.h"
#include "tests/unit/processor/generate.h"
#include "tests/unit/processor/leaves.h"
#include "tests/unit/processor/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define SEEDS 120
#define CHUNKS 4
#define MAX_RECORDS 24
#define GROUP_START 0xffffffffu
#define GROUP_END 0xfffffffeu

/* Offsets into the story's bytes. */
struct span {
    size_t at, n;
};

/* A record that was generated, and what says more about it. */
struct item {
    struct span entry, record, metadata;
    struct span odd_time;     /* of the event, where it can be none */
    struct span marker;       /* the entry that began its group */
    struct span group, scope; /* their attributes */
    bool json;
};

/* One chunk. */
struct story {
    struct buf bytes; /* the entries */
    struct buf payload;
    struct buf tag;
    struct item item[MAX_RECORDS];
    uint32_t first, count; /* numbers of the records */
    uint64_t invalid, markers;
    size_t entry_end; /* of some entry: a place for damage */
    struct chunk chunk;
};

/* What became of a record: sums of its bytes, with those around it. */
struct outcome {
    uint64_t whole;
    uint64_t values;
    unsigned times;
};

struct lab {
    struct rig rig;
    struct converter_config config;
    struct story *story;     /* whose leaves are looked for; or NULL */
    struct outcome *outcome; /* by number - first */
    uint32_t first, count;
    struct leaves leaves;
    uint64_t seed;
};

/* ---- chunks ---- */

static struct span span_since(const struct buf *b, size_t at)
{
    return (struct span){at, b->n - at};
}

static struct slice slice_of_span(const struct story *story, struct span span)
{
    return slice_of(story->bytes.p + span.at, span.n);
}

static void put_time(struct generate *g, struct buf *out, struct span *ret_odd)
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
    put_map(out, 6);
    put_str(out, "severity_number");
    put_uint(out, 1 + generate_below(g, 25));
    put_str(out, "severity_text");
    put_str(out, generate_below(g, 2) == 0 ? "Loud" : "warn");
    put_str(out, "attributes");
    generate_map(g, generate_below(g, 5), out);
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

static void put_attributes(struct generate *g, struct buf *out, struct span *ret)
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
static void put_group(struct generate *g, struct buf *out, struct item *group)
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

static void put_record_entry(struct generate *g, struct story *story, const struct item *group)
{
    struct item *item = &story->item[story->count];
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
    uint32_t records = generate_below(g, MAX_RECORDS + 1);
    struct item none, group;

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
    struct item *item = &story->item[story->count];

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
        struct item *item = &story->item[story->count];

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

static void make_story(struct generate *g, uint32_t first, struct story *story)
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

static void free_story(struct story *story)
{
    buf_fini(&story->bytes);
    buf_fini(&story->payload);
}

/* ---- converting ---- */

static void open_lab(struct lab *lab, const struct converter_config *config,
                     enum frame_codec_id codec, uint64_t seed)
{
    struct rig *rig = &lab->rig;
    struct frame_sink sink;

    memset(lab, 0, sizeof(*lab));
    lab->seed = seed;
    lab->config = *config;
    leaves_init(&lab->leaves);
    frames_init(&rig->frames);
    sink = frames_sink(&rig->frames);
    assert_int_equal(frame_builder_new(codec, &sink, &rig->builder, &rig->err), 0);
    if (converter_new(config, &rig->converter, &rig->err) < 0)
        fail_msg("%s", rig->err.text);
}

static void close_lab(struct lab *lab)
{
    leaves_fini(&lab->leaves);
    rig_fini(&lab->rig);
    free(lab->outcome);
}

#define fail_seed(lab, format, ...) \
    fail_msg("seed %llu: " format, (unsigned long long)(lab)->seed, __VA_ARGS__)

struct number_finder {
    bool is_next, found;
    uint64_t number;
};

static void find_number(void *context, enum otlp_leaf leaf, struct slice bytes)
{
    struct number_finder *f = context;

    if (f->is_next && leaf == OTLP_LEAF_INT) {
        memcpy(&f->number, bytes.p, 8);
        f->found = true;
    }
    f->is_next = leaf == OTLP_LEAF_KEY && slice_is(bytes, GENERATE_NUMBER);
}

static uint64_t sum(uint64_t h, struct slice bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        h = (h ^ bytes.p[i]) * 0x100000001b3ull;
    return h ^ bytes.n;
}

static void expect_part(struct lab *lab, uint32_t number, const char *what, struct span part)
{
    if (part.n > 0 && !leaves_have(&lab->leaves, slice_of_span(lab->story, part)))
        fail_seed(lab, "record %u: of its %s is missing: %s", number, what, lab->leaves.missing);
}

/* Of a record or, with `field` 1, a resource. */
static bool has_attribute(struct slice message, uint32_t field, struct slice name)
{
    struct pb_reader r = pb_reader_of(message);
    struct pb_field f, key;

    while (pb_next(&r, &f) > 0) {
        struct pb_reader pair = pb_reader_of(f.bytes);

        if (f.number == field && pb_next(&pair, &key) > 0 && slice_equal(key.bytes, name))
            return true;
    }
    return false;
}

/* What the fleet's logs are found by is an attribute of the record, not folded into another. */
static void expect_correlation(struct lab *lab, uint32_t number, struct slice map,
                               struct slice record)
{
    static const char *const names[] = {"trace_id", "job_id", "machine_id", "worker_id"};
    struct mp in = mp_of(map);
    struct mp_value head, key;

    assert_int_equal(mp_next(&in, &head), 0);
    for (uint32_t i = 0; i < head.count; i++) {
        assert_int_equal(mp_next(&in, &key), 0);
        assert_int_equal(mp_skip_content(&in, &key), 0);
        assert_int_equal(mp_skip(&in, 1), 0);
        for (size_t n = 0; n < 4 && key.type == MP_STR; n++)
            if (slice_is(key.bytes, names[n]) && !has_attribute(record, 6, key.bytes))
                fail_seed(lab, "record %u: %s is no attribute", number, names[n]);
    }
}

static void expect_configured(struct lab *lab, uint32_t number, struct slice resource)
{
    const bool more = lab->config.resource_attributes != NULL;

    if (!has_attribute(resource, 1, SLICE_LITERAL("deployment.environment")) ||
        (lab->config.service_name != NULL &&
         !has_attribute(resource, 1, SLICE_LITERAL("service.name"))) ||
        (more && !has_attribute(resource, 1, SLICE_LITERAL("k8s.cluster.name"))) ||
        (more && !has_attribute(resource, 1, SLICE_LITERAL("host.name"))))
        fail_seed(lab, "record %u: a configured attribute is missing", number);
}

static void expect_all(struct lab *lab, uint32_t number, const struct otlp_place *place)
{
    const struct item *item = &lab->story->item[number - lab->story->first];

    expect_configured(lab, number, place->resource);
    if (item->json) {
        if (!leaves_have_json(&lab->leaves, slice_of_span(lab->story, item->record)))
            fail_seed(lab, "record %u: is missing: %s", number, lab->leaves.missing);
        return;
    }
    expect_part(lab, number, "fields", item->record);
    expect_part(lab, number, "metadata", item->metadata);
    expect_part(lab, number, "event's time", item->odd_time);
    expect_part(lab, number, "group's resource", item->group);
    expect_part(lab, number, "group's scope", item->scope);
    expect_correlation(lab, number, slice_of_span(lab->story, item->record), place->record);
}

static void note_record(void *context, const struct otlp_place *place)
{
    struct lab *lab = context;
    struct number_finder finder = {false, false, 0};
    struct otlp_check check = {.each_leaf = find_number, .context = &finder};
    struct outcome *outcome;

    otlp_check_record(&check, place->record);
    if (!finder.found || finder.number < lab->first || finder.number - lab->first >= lab->count)
        fail_seed(lab, "a record without its number, or with %llu",
                  (unsigned long long)finder.number);
    outcome = &lab->outcome[finder.number - lab->first];
    leaves_take(&lab->leaves, place);
    outcome->times++;
    outcome->values = lab->leaves.values;
    outcome->whole = sum(sum(sum(1, place->record), place->resource), place->scope);
    if (lab->story != NULL)
        expect_all(lab, (uint32_t)finder.number, place);
}

/* Forgets what came before; numbers from `first` on are looked for. */
static void expect_numbers(struct lab *lab, uint32_t first, uint32_t count)
{
    free(lab->outcome);
    lab->outcome = calloc(count + 1, sizeof(*lab->outcome));
    assert_non_null(lab->outcome);
    lab->first = first;
    lab->count = count;
}

/* Flushes and looks at all that has come out. */
static void look(struct lab *lab, struct story *story, size_t records)
{
    struct otlp_check check = {
        .is_limited = lab->config.is_limited, .each_record = note_record, .context = lab};
    const char *wrong;

    lab->story = story;
    assert_int_equal(frame_builder_flush(lab->rig.builder), 0);
    wrong = otlp_check_request(&check, buf_slice(&lab->rig.frames.plain));
    if (wrong != NULL)
        fail_seed(lab, "behind record %zu of those from %u on: %s %.*s", check.records, lab->first,
                  wrong, (int)check.culprit.n, check.culprit.p);
    if (check.records != records)
        fail_seed(lab, "%zu records came out, not %zu", check.records, records);
    frames_cut(&lab->rig.frames, 0);
}

static void convert(struct lab *lab, const struct story *story, const struct chunk *chunk)
{
    const struct convert_result *result = &lab->rig.result;

    if (rig_convert(&lab->rig, chunk) < 0)
        fail_seed(lab, "chunk from record %u on: %s", story->first, lab->rig.err.text);
    if (result->records != story->count || result->dropped_invalid != story->invalid ||
        result->markers != story->markers || result->truncated != 0)
        fail_seed(lab, "chunk from record %u on: %llu records of %u, %llu invalid, %llu markers",
                  story->first, (unsigned long long)result->records, story->count,
                  (unsigned long long)result->dropped_invalid, (unsigned long long)result->markers);
}

static void convert_and_look(struct lab *lab, struct story *story, bool leaves)
{
    expect_numbers(lab, story->first, story->count);
    convert(lab, story, &story->chunk);
    look(lab, leaves ? story : NULL, story->count);
}

/* The records that `b` has too are the same in `a`. */
static void expect_same(const struct lab *a, const struct lab *b, const char *when)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct outcome *x = &a->outcome[b->first + i - a->first], *y = &b->outcome[i];

        if (y->times > 0 && (x->times != y->times || x->whole != y->whole))
            fail_seed(a, "record %u is another one %s", b->first + i, when);
    }
}

/* ---- the properties ---- */

static void alone(struct lab *lab, const struct story *story, const struct lab *expected)
{
    struct buf entry = new_buf();

    for (uint32_t i = 0; i < story->count; i++) {
        const struct item *item = &story->item[i];
        struct chunk chunk = story->chunk;

        if (item->json || chunk.carrier == CHUNK_MESSAGE)
            break;
        entry.n = 0;
        put_bytes(&entry, story->bytes.p + item->marker.at, item->marker.n);
        put_bytes(&entry, story->bytes.p + item->entry.at, item->entry.n);
        chunk.carrier = CHUNK_PACKED;
        chunk.compression = CHUNK_PLAIN;
        chunk.payload = buf_slice(&entry);
        expect_numbers(lab, story->first + i, 1);
        assert_int_equal(rig_convert(&lab->rig, &chunk), 0);
        look(lab, NULL, 1);
        expect_same(expected, lab, "alone");
    }
    buf_fini(&entry);
}

static void cut(struct generate *g, struct lab *lab, const struct story *story,
                const struct lab *expected)
{
    struct chunk chunk = story->chunk;

    if (chunk.json || chunk.carrier == CHUNK_MESSAGE || story->bytes.n == 0)
        return;
    chunk.carrier = CHUNK_PACKED;
    chunk.compression = CHUNK_PLAIN;
    chunk.payload = slice_of(story->bytes.p, generate_below(g, (uint32_t)story->bytes.n));
    expect_numbers(lab, story->first, story->count);
    assert_int_equal(rig_convert(&lab->rig, &chunk), 0);
    look(lab, NULL, lab->rig.result.records);
    expect_same(expected, lab, "in a chunk that was cut");
}

/* The byte c1 behind an entry. */
static void refuse(struct lab *lab, const struct story *story)
{
    struct frames *frames = &lab->rig.frames;
    struct buf damaged = new_buf();
    struct chunk chunk = story->chunk;
    size_t pending = frame_builder_pending_bytes(lab->rig.builder), before = frames->count;
    size_t at = story->chunk.json ? 0 : story->entry_end;

    frames->kept = before;
    put_bytes(&damaged, story->bytes.p, at);
    put_bytes(&damaged, "\xc1", 1);
    put_bytes(&damaged, story->bytes.p + at, story->bytes.n - at);
    chunk.payload = buf_slice(&damaged);
    chunk.compression = CHUNK_PLAIN;
    if (!chunk.json)
        chunk.carrier = CHUNK_PACKED;
    assert_int_equal(rig_convert(&lab->rig, &chunk), -EBADMSG);
    if (frames->kept == before && frame_builder_pending_bytes(lab->rig.builder) != pending)
        fail_seed(lab, "the chunk from record %u on was refused and left something", story->first);
    frames_cut(frames, frames->kept);
    buf_fini(&damaged);
}

/* Records of `first` and `second` that wait while a chunk between them is refused. */
static void refused_between(struct lab *lab, struct story *first, struct story *between,
                            struct story *second)
{
    expect_numbers(lab, first->first, second->first + second->count - first->first);
    convert(lab, first, &first->chunk);
    refuse(lab, between);
    convert(lab, second, &second->chunk);
    look(lab, NULL, first->count + second->count);
}

static void limited(struct lab *lab, struct story *story, const struct lab *expected)
{
    convert_and_look(lab, story, true);
    for (uint32_t i = 0; i < story->count; i++)
        if (lab->outcome[i].values != expected->outcome[i].values)
            fail_seed(lab, "record %u says something else under the profile", story->first + i);
}

struct labs {
    struct lab fresh, old, single, limited;
};

static void run_story(struct generate *g, struct labs *labs, const struct converter_config *config,
                      struct story *story, uint64_t seed)
{
    open_lab(&labs->fresh, config, FRAME_NONE, seed);
    convert_and_look(&labs->fresh, story, true);
    convert_and_look(&labs->old, story, false);
    expect_same(&labs->fresh, &labs->old, "after other chunks");
    alone(&labs->single, story, &labs->fresh);
    cut(g, &labs->single, story, &labs->fresh);
    limited(&labs->limited, story, &labs->fresh);
    refused_between(&labs->old, story, story, story + 1);
    expect_same(&labs->old, &labs->fresh, "when the next chunk was refused");
    close_lab(&labs->fresh);
}

static void choose_options(struct generate *g, struct converter_config *ret)
{
    *ret = (struct converter_config){.environment = "production",
                                     .self_name = "sluice",
                                     .self_version = "0.1",
                                     .self_host = "central",
                                     .max_decompressed = (size_t)64 << 20};
    ret->service_name = generate_below(g, 3) == 0 ? NULL : "configured";
    ret->resource_attributes = generate_below(g, 2) == 0 ? NULL : "k8s.cluster.name=c,host.name=h";
    ret->trace_id = (enum convert_trace_id)generate_below(g, 3);
    ret->service = (enum record_service)generate_below(g, 3);
    ret->parse_text = generate_below(g, 5) != 0;
}

static void run_seed(uint64_t seed)
{
    struct generate g = {.state = seed};
    struct converter_config config, profile;
    struct story story[CHUNKS + 1];
    struct labs labs;
    uint32_t number = 1;

    choose_options(&g, &config);
    profile = config;
    profile.is_limited = true;
    for (unsigned i = 0; i <= CHUNKS; i++) {
        make_story(&g, number, &story[i]);
        number += story[i].count;
    }
    open_lab(&labs.old, &config, FRAME_GZIP, seed);
    open_lab(&labs.single, &config, FRAME_NONE, seed);
    open_lab(&labs.limited, &profile, FRAME_ZSTD, seed);
    for (unsigned i = 0; i < CHUNKS; i++)
        run_story(&g, &labs, &config, &story[i], seed);
    close_lab(&labs.old);
    close_lab(&labs.single);
    close_lab(&labs.limited);
    for (unsigned i = 0; i <= CHUNKS; i++)
        free_story(&story[i]);
}

/* A head above what is kept is forgotten when the next chunk begins, which has its own scope. */
static void a_large_head_is_forgotten(void **state)
{
    const struct converter_config config = {.max_decompressed = 1000};
    struct buf entry = new_buf(), label = new_buf();
    struct chunk chunk;
    struct lab lab;
    json_object *root;

    (void)state;
    open_lab(&lab, &config, FRAME_NONE, 0);
    for (unsigned i = 0; i < 9000; i++)
        put_bytes(&label, "x", 1);
    put_hex(&entry, "92 01 81 aa 6b756265726e65746573 81 a6 6c6162656c73 81 a1 61");
    put_str_n(&entry, label.p, label.n);
    chunk = chunk_of(&entry);
    assert_int_equal(rig_convert(&lab.rig, &chunk), 0);
    root = rig_json(&lab.rig);
    assert_int_equal(strlen(attribute_text(at(root, "resourceLogs/0/resource"), "k8s.pod.label.a")),
                     9000);
    json_object_put(root);
    frames_cut(&lab.rig.frames, 0);
    entry.n = 0;
    put_hex(&entry, "92 01 80");
    chunk = chunk_of(&entry);
    chunk.tag = SLICE_LITERAL("another");
    assert_int_equal(rig_convert(&lab.rig, &chunk), 0);
    root = rig_json(&lab.rig);
    assert_string_equal(attribute_text(at(root, "resourceLogs/0/scopeLogs/0/scope"), "fluent.tag"),
                        "another");
    json_object_put(root);
    buf_fini(&entry);
    buf_fini(&label);
    close_lab(&lab);
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static void whatever_comes_in(void **state)
{
    unsigned long first = from_environment("SLUICE_PROPERTY_FIRST", 1);
    unsigned long seeds = from_environment("SLUICE_PROPERTY_SEEDS", SEEDS);

    (void)state;
    for (unsigned long i = 0; i < seeds; i++)
        run_seed(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_head_is_forgotten),
        cmocka_unit_test(whatever_comes_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
