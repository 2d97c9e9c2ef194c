/*
 * test_converter_properties: what must be true of the converter whatever comes in. Random chunks
 * (story.h) under random options; per seed
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
#include "tests/unit/processor/story.h"
#include "tests/unit/processor/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS 100
#define CHUNKS 4

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

/* What the fleet's logs are found by. */
static bool is_correlation(struct slice name)
{
    return slice_is(name, "trace_id") || slice_is(name, "job_id") || slice_is(name, "machine_id") ||
           slice_is(name, "worker_id");
}

static void expect_no_ids(struct lab *lab, uint32_t number, struct slice any)
{
    struct pb_reader r = pb_reader_of(any);
    struct pb_field f, key;

    if (pb_next(&r, &f) <= 0 || f.number != 6)
        return;
    for (r = pb_reader_of(f.bytes); pb_next(&r, &f) > 0;) {
        struct pb_reader pair = pb_reader_of(f.bytes);

        if (pb_next(&pair, &key) > 0 && is_correlation(key.bytes))
            fail_seed(lab, "record %u: %.*s was folded", number, (int)key.bytes.n, key.bytes.p);
    }
}

/* The profile's surplus has no ids; a sender's own "sluice.more" is not made with them. */
static void expect_ids_flat(struct lab *lab, uint32_t number, struct slice record)
{
    struct pb_reader r = pb_reader_of(record);
    struct pb_field f, key, value;

    while (pb_next(&r, &f) > 0) {
        struct pb_reader pair = pb_reader_of(f.bytes);

        if (f.number == 6 && pb_next(&pair, &key) > 0 && pb_next(&pair, &value) > 0 &&
            key.bytes.n >= 11 && memcmp(key.bytes.p, "sluice.more", 11) == 0)
            expect_no_ids(lab, number, value.bytes);
    }
}

static void expect_part(struct lab *lab, uint32_t number, const char *what, struct story_span part)
{
    if (part.n > 0 && !leaves_have(&lab->leaves, story_slice(lab->story, part)))
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

/* It is an attribute of the record, not folded into another. */
static void expect_correlation(struct lab *lab, uint32_t number, struct slice map,
                               struct slice record)
{
    struct mp in = mp_of(map);
    struct mp_value head, key;

    assert_int_equal(mp_next(&in, &head), 0);
    for (uint32_t i = 0; i < head.count; i++) {
        assert_int_equal(mp_next(&in, &key), 0);
        assert_int_equal(mp_skip_content(&in, &key), 0);
        assert_int_equal(mp_skip(&in, 1), 0);
        if (key.type == MP_STR && is_correlation(key.bytes) && !has_attribute(record, 6, key.bytes))
            fail_seed(lab, "record %u: %.*s is no attribute", number, (int)key.bytes.n,
                      key.bytes.p);
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
    const struct story_item *item = &lab->story->item[number - lab->story->first];

    expect_configured(lab, number, place->resource);
    if (lab->config.is_limited)
        expect_ids_flat(lab, number, place->record);
    if (item->json) {
        if (!leaves_have_json(&lab->leaves, story_slice(lab->story, item->record)))
            fail_seed(lab, "record %u: is missing: %s", number, lab->leaves.missing);
        return;
    }
    expect_part(lab, number, "fields", item->record);
    expect_part(lab, number, "metadata", item->metadata);
    expect_part(lab, number, "event's time", item->odd_time);
    expect_part(lab, number, "group's resource", item->group);
    expect_part(lab, number, "group's scope", item->scope);
    expect_correlation(lab, number, story_slice(lab->story, item->record), place->record);
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
        const struct story_item *item = &story->item[i];
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
        story_make(&g, number, &story[i]);
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
        story_free(&story[i]);
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
