#include "processor/frame_builder.h"

#include "shared/otlp/frame_codec.h"
#include "shared/otlp/pb.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_GROUPS 256
/* Places of the memory of where groups were found lately. */
#define FOUND_BITS 12
/* Memory that idle groups keep from frame to frame: all of them together, or each. */
#define KEEP_ALL_BYTES ((size_t)4 << 20)
#define KEEP_BYTES ((size_t)16 << 10)
/* Keys and lengths of ResourceLogs and ScopeLogs. */
#define HEAD_BYTES (2 * (1 + 5))

/* Records of one group: how many, and their times. */
struct tally {
    uint32_t records;
    uint64_t first_ns;
    uint64_t last_ns;
};

/*
 * One resource and one scope. `records` begins with `room` bytes for the headers, which are written
 * to their end when a frame is made:
 *
 *     │← room ───────────────────→│← earlier chunks →│← this chunk →│ record being written │
 *     │      headers (right-      │                  │              │
 *     0      aligned, late)      room               mark        records.n
 *
 * Not in use: `used` is false; its buffers keep their memory for the next one.
 */
struct group {
    bool used;
    bool touched;         /* by the chunk at hand: in builder->touched */
    uint64_t resource_id; /* of the heads that chose it last */
    uint64_t scope_id;
    struct buf key; /* resource, then scope */
    size_t resource_n;
    size_t room;
    size_t mark;
    struct buf records;
    struct tally earlier;
    struct tally chunk;
};

struct frame_builder {
    enum frame_codec_id codec_id;
    struct frame_sink sink;
    struct frame_codec *codec;
    size_t plain;      /* all groups' records, with their headers' room */
    size_t current;    /* index; only while groups[current].used */
    size_t high;       /* groups from here on were never used */
    size_t idle_bytes; /* that groups which are not in use own */
    struct buf moving; /* a record on its way from one group to another */
    /* Groups that the chunk at hand chose: in the others `mark` is at the end. */
    uint16_t touched[MAX_GROUPS];
    size_t touched_count;
    uint64_t keys[MAX_GROUPS];        /* of the groups' heads: hashes */
    uint16_t found[1u << FOUND_BITS]; /* group by its key; to be checked */
    struct group groups[MAX_GROUPS];
};

int frame_builder_new(enum frame_codec_id codec, const struct frame_sink *sink,
                      struct frame_builder **ret_builder, struct err *err)
{
    struct frame_builder *builder = calloc(1, sizeof(*builder));
    int r;

    if (builder == NULL)
        return err_set(err, ENOMEM, "no memory for the frame builder");
    r = frame_codec_new(&builder->codec, err);
    if (r < 0) {
        free(builder);
        return r;
    }
    builder->codec_id = codec;
    builder->sink = *sink;
    buf_init(&builder->moving, FRAME_BUILDER_MAX_RECORD_BYTES);
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        buf_init(&builder->groups[i].key, FRAME_BUILDER_MAX_RECORD_BYTES);
        buf_init(&builder->groups[i].records, (size_t)2 * FRAME_BUILDER_MAX_RECORD_BYTES);
    }
    *ret_builder = builder;
    return 0;
}

void frame_builder_free(struct frame_builder **builder)
{
    if (*builder == NULL)
        return;
    for (size_t i = 0; i < MAX_GROUPS; i++) {
        buf_fini(&(*builder)->groups[i].key);
        buf_fini(&(*builder)->groups[i].records);
    }
    buf_fini(&(*builder)->moving);
    frame_codec_free(&(*builder)->codec);
    free(*builder);
    *builder = NULL;
}

size_t frame_builder_pending_bytes(const struct frame_builder *builder)
{
    return builder->plain;
}

/* ---- tallies and groups ---- */

static void tally_add(struct tally *t, const struct tally *more)
{
    if (more->records == 0)
        return;
    if (t->records == 0 || more->first_ns < t->first_ns)
        t->first_ns = more->first_ns;
    if (t->records == 0 || more->last_ns > t->last_ns)
        t->last_ns = more->last_ns;
    t->records += more->records;
}

/* Takes an empty group out of use. */
static void release(struct frame_builder *builder, size_t i)
{
    struct group *group = &builder->groups[i];

    group->used = false;
    builder->plain -= group->room;
    group->records.n = group->key.n = 0;
    if (builder->idle_bytes + group->records.cap > KEEP_ALL_BYTES)
        buf_trim(&group->records, KEEP_BYTES);
    builder->idle_bytes += group->records.cap;
    buf_trim(&group->key, KEEP_BYTES);
}

static void clear(struct frame_builder *builder, size_t i)
{
    struct group *group = &builder->groups[i];

    builder->plain -= group->records.n - group->room;
    group->records.n = group->room;
    group->earlier.records = group->chunk.records = 0;
    release(builder, i);
}

static struct slice resource_of(const struct group *group)
{
    return slice_of(group->key.p, group->resource_n);
}

static struct slice scope_of(const struct group *group)
{
    return slice_of(group->key.p + group->resource_n, group->key.n - group->resource_n);
}

/* ---- a frame out of the groups ---- */

/* Which part of each group goes into the frame: what earlier chunks left, or all. */
enum part { PART_EARLIER, PART_ALL };

static size_t part_end(const struct group *group, enum part part)
{
    return part == PART_EARLIER ? group->mark : group->records.n;
}

static bool has_part(const struct group *group, enum part part)
{
    return group->used && part_end(group, part) > group->room;
}

static size_t field_bytes(size_t n)
{
    return 1 + pb_varint_bytes(n) + n;
}

/* The content of a ScopeLogs message. */
static size_t scope_logs_bytes(const struct group *group, enum part part)
{
    return scope_of(group).n + part_end(group, part) - group->room;
}

/* Writes a group's headers before its records. resource_logs_n: 0 where one is open already. */
static struct slice put_headers(struct group *group, enum part part, size_t resource_logs_n)
{
    struct slice resource = resource_of(group), scope = scope_of(group);
    size_t scope_logs_n = scope_logs_bytes(group, part);
    size_t head_n = 1 + pb_varint_bytes(scope_logs_n) + scope.n;
    uint8_t *start, *p;

    if (resource_logs_n > 0)
        head_n += 1 + pb_varint_bytes(resource_logs_n) + resource.n;
    start = p = group->records.p + group->room - head_n;
    if (resource_logs_n > 0) {
        *p++ = PB_KEY(1, PB_BYTES);
        p = pb_put_varint(p, resource_logs_n);
        p = pb_put_raw(p, resource.p, resource.n);
    }
    *p++ = PB_KEY(2, PB_BYTES);
    p = pb_put_varint(p, scope_logs_n);
    pb_put_raw(p, scope.p, scope.n);
    return slice_of(start, (size_t)(group->records.p + part_end(group, part) - start));
}

/* The pieces of one resource: every group from `first` on that has it. */
static size_t put_resource(struct frame_builder *builder, size_t first, enum part part,
                           struct slice *pieces, bool *taken)
{
    struct slice resource = resource_of(&builder->groups[first]);
    size_t n = resource.n, count = 0;

    for (size_t i = first; i < builder->high; i++) {
        struct group *group = &builder->groups[i];

        if (!taken[i] && has_part(group, part) && slice_equal(resource_of(group), resource))
            n += field_bytes(scope_logs_bytes(group, part));
    }
    for (size_t i = first; i < builder->high; i++) {
        struct group *group = &builder->groups[i];

        if (taken[i] || !has_part(group, part) || !slice_equal(resource_of(group), resource))
            continue;
        pieces[count] = put_headers(group, part, count == 0 ? n : 0);
        count++;
        taken[i] = true;
    }
    return count;
}

static int emit(struct frame_builder *builder, const struct slice *pieces, size_t count,
                const struct tally *tally)
{
    struct frame_info info = {.records = tally->records,
                              .first_time_ns = tally->first_ns,
                              .last_time_ns = tally->last_ns};
    struct frame_codec_out out;
    size_t plain = 0, bytes;
    int r;

    for (size_t i = 0; i < count; i++)
        plain += pieces[i].n;
    out.cap = frame_codec_bound(builder->codec_id, plain);
    out.p = builder->sink.reserve(builder->sink.context, out.cap);
    if (out.p == NULL)
        return -ENOMEM;
    r = frame_codec_compress(builder->codec, builder->codec_id, pieces, count, out, &bytes, &info);
    return r < 0 ? r : builder->sink.commit(builder->sink.context, &info, bytes);
}

/* Takes the part that is in a frame now out of the group. */
static void drop_part(struct frame_builder *builder, size_t i, enum part part)
{
    struct group *group = &builder->groups[i];
    size_t end = part_end(group, part);

    if (!group->used)
        return;
    if (part == PART_ALL) {
        group->chunk.records = 0;
    } else {
        /* This chunk's records move to the front; a record being written moves with them. */
        memmove(group->records.p + group->room, group->records.p + end, group->records.n - end);
    }
    builder->plain -= end - group->room;
    group->records.n -= end - group->room;
    group->mark = group->room;
    group->earlier.records = 0;
}

/* One frame of this part of all groups. */
static int flush_part(struct frame_builder *builder, enum part part)
{
    struct slice pieces[MAX_GROUPS];
    bool taken[MAX_GROUPS] = {false};
    struct tally tally = {0, 0, 0};
    size_t count = 0;
    int r;

    for (size_t i = 0; i < builder->high; i++) {
        struct group *group = &builder->groups[i];

        if (!group->used)
            continue;
        tally_add(&tally, &group->earlier);
        if (part == PART_ALL)
            tally_add(&tally, &group->chunk);
        if (!taken[i] && has_part(group, part))
            count += put_resource(builder, i, part, pieces + count, taken);
    }
    if (count == 0)
        return 0;
    r = emit(builder, pieces, count, &tally);
    if (r < 0)
        return r;
    for (size_t i = 0; i < builder->high; i++)
        drop_part(builder, i, part);
    if (part == PART_EARLIER && builder->sink.keep != NULL)
        builder->sink.keep(builder->sink.context);
    return 0;
}

static bool has_earlier(const struct frame_builder *builder)
{
    for (size_t i = 0; i < builder->high; i++)
        if (has_part(&builder->groups[i], PART_EARLIER))
            return true;
    return false;
}

/* ---- the interface ---- */

void frame_builder_chunk_begin(struct frame_builder *builder)
{
    builder->touched_count = 0;
}

void frame_builder_chunk_end(struct frame_builder *builder)
{
    for (size_t t = 0; t < builder->touched_count; t++) {
        size_t i = builder->touched[t];
        struct group *group = &builder->groups[i];

        group->touched = false;
        if (!group->used)
            continue;
        tally_add(&group->earlier, &group->chunk);
        group->chunk.records = 0;
        group->mark = group->records.n;
        if (group->earlier.records == 0)
            release(builder, i);
    }
    builder->touched_count = 0;
}

void frame_builder_chunk_abort(struct frame_builder *builder)
{
    for (size_t t = 0; t < builder->touched_count; t++) {
        size_t i = builder->touched[t];
        struct group *group = &builder->groups[i];

        group->touched = false;
        if (!group->used)
            continue;
        builder->plain -= group->records.n - group->mark;
        group->records.n = group->mark;
        group->chunk.records = 0;
        if (group->earlier.records == 0)
            release(builder, i);
    }
    builder->touched_count = 0;
}

int frame_builder_flush(struct frame_builder *builder)
{
    int r = flush_part(builder, PART_ALL);

    if (r == 0)
        frame_builder_reset(builder);
    return r;
}

void frame_builder_reset(struct frame_builder *builder)
{
    for (size_t i = 0; i < builder->high; i++)
        if (builder->groups[i].used)
            clear(builder, i);
    builder->high = 0;
}

static inline bool is_group(struct frame_builder *builder, size_t i, uint64_t key,
                            const struct frame_head *resource, const struct frame_head *scope)
{
    struct group *group = &builder->groups[i];

    if (builder->keys[i] != key || !group->used)
        return false;
    if (group->resource_id == resource->id && group->scope_id == scope->id)
        return true;
    /* Hashes can meet, and a client may try to make them. */
    if (!slice_equal(resource_of(group), resource->bytes) ||
        !slice_equal(scope_of(group), scope->bytes))
        return false;
    group->resource_id = resource->id;
    group->scope_id = scope->id;
    return true;
}

static uint64_t group_key(const struct frame_head *resource, const struct frame_head *scope)
{
    return (resource->hash + scope->hash * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
}

/* Whether the group is there; it is builder->current then. */
static bool find_group(struct frame_builder *builder, const struct frame_head *resource,
                       const struct frame_head *scope)
{
    const uint64_t key = group_key(resource, scope);
    uint16_t *place = &builder->found[key >> (64 - FOUND_BITS)];

    if (is_group(builder, *place, key, resource, scope)) {
        builder->current = *place;
        return true;
    }
    for (size_t i = 0; i < builder->high; i++) {
        if (is_group(builder, i, key, resource, scope)) {
            builder->current = i;
            *place = (uint16_t)i;
            return true;
        }
    }
    return false;
}

static void touch(struct frame_builder *builder)
{
    struct group *group = &builder->groups[builder->current];

    if (group->touched)
        return;
    group->touched = true;
    builder->touched[builder->touched_count++] = (uint16_t)builder->current;
}

/* A slot that is not in use; makes one free by flushing when there is none. */
static int free_slot(struct frame_builder *builder, size_t *ret_i)
{
    int r;

    for (unsigned tries = 0;; tries++) {
        for (size_t i = 0; i < MAX_GROUPS; i++) {
            if (!builder->groups[i].used) {
                *ret_i = i;
                return 0;
            }
        }
        r = flush_part(builder, tries == 0 && has_earlier(builder) ? PART_EARLIER : PART_ALL);
        if (r < 0)
            return r;
        for (size_t i = 0; i < MAX_GROUPS; i++)
            if (builder->groups[i].used && builder->groups[i].records.n == builder->groups[i].room)
                release(builder, i);
    }
}

static int new_group(struct frame_builder *builder, const struct frame_head *resource,
                     const struct frame_head *scope)
{
    struct group *group;
    size_t i;
    int r = free_slot(builder, &i);

    if (r < 0)
        return r;
    group = &builder->groups[i];
    builder->idle_bytes -= group->records.cap;
    group->key.n = 0;
    if (buf_append(&group->key, resource->bytes.p, resource->bytes.n) < 0 ||
        buf_append(&group->key, scope->bytes.p, scope->bytes.n) < 0)
        goto no_memory;
    builder->keys[i] = group_key(resource, scope);
    group->resource_id = resource->id;
    group->scope_id = scope->id;
    group->resource_n = resource->bytes.n;
    group->room = resource->bytes.n + scope->bytes.n + HEAD_BYTES;
    group->records.n = 0;
    if (buf_reserve(&group->records, group->room) < 0)
        goto no_memory;
    group->records.n = group->mark = group->room;
    group->earlier.records = group->chunk.records = 0;
    group->used = true;
    builder->plain += group->room;
    builder->current = i;
    builder->found[builder->keys[i] >> (64 - FOUND_BITS)] = (uint16_t)i;
    if (i >= builder->high)
        builder->high = i + 1;
    return 0;
no_memory:
    builder->idle_bytes += group->records.cap;
    return -ENOMEM;
}

int frame_builder_group(struct frame_builder *builder, const struct frame_head *resource,
                        const struct frame_head *scope)
{
    int r = find_group(builder, resource, scope) ? 0 : new_group(builder, resource, scope);

    if (r == 0)
        touch(builder);
    return r;
}

struct buf *frame_builder_records(struct frame_builder *builder)
{
    return &builder->groups[builder->current].records;
}

int frame_builder_move(struct frame_builder *builder, const struct frame_head *resource,
                       const struct frame_head *scope, struct slice record)
{
    bool is_new = !find_group(builder, resource, scope);
    struct buf *to;
    int r;

    if (is_new) {
        /* A place for a new group may have to be made by flushing: the record steps aside. */
        builder->moving.n = 0;
        if (buf_append(&builder->moving, record.p, record.n) < 0)
            return record.n > FRAME_BUILDER_MAX_RECORD_BYTES ? -EFBIG : -ENOMEM;
        record.p = builder->moving.p;
        r = new_group(builder, resource, scope);
        if (r < 0)
            return r;
    }
    touch(builder);
    to = frame_builder_records(builder);
    if (record.p == to->p + to->n)
        return is_new;
    if (buf_reserve(to, record.n) < 0)
        return -ENOMEM;
    memcpy(to->p + to->n, record.p, record.n);
    builder->moving.n = 0;
    buf_trim(&builder->moving, KEEP_BYTES);
    return is_new;
}

/* Groups that a flush has emptied, but for the one that is written to. */
static void release_idle(struct frame_builder *builder)
{
    for (size_t i = 0; i < builder->high; i++) {
        struct group *group = &builder->groups[i];

        if (i != builder->current && group->used && group->records.n == group->room)
            release(builder, i);
    }
}

/*
 * A record that does not fit any more lies behind the current group's. First what earlier chunks
 * left goes out, alone; then, if that was not enough, what this chunk has so far.
 */
static int make_fit(struct frame_builder *builder, size_t bytes)
{
    struct group *group = &builder->groups[builder->current];
    int r;

    if (has_earlier(builder)) {
        /* The record counts as this chunk's while things move. */
        group->records.n += bytes;
        r = flush_part(builder, PART_EARLIER);
        group->records.n -= bytes;
        if (r < 0)
            return r;
    }
    if (builder->plain + bytes > FRAME_MAX_PLAIN_BYTES) {
        size_t end = group->records.n;

        r = flush_part(builder, PART_ALL);
        if (r < 0)
            return r;
        memmove(group->records.p + group->records.n, group->records.p + end, bytes);
    }
    release_idle(builder);
    return 0;
}

int frame_builder_record(struct frame_builder *builder, size_t bytes, uint64_t time_ns)
{
    struct group *group = &builder->groups[builder->current];
    const struct tally one = {1, time_ns, time_ns};

    if (__builtin_expect(builder->plain + bytes > FRAME_MAX_PLAIN_BYTES, 0)) {
        int r = bytes > FRAME_BUILDER_MAX_RECORD_BYTES ? -EFBIG : make_fit(builder, bytes);

        if (r < 0)
            return r;
    }
    group->records.n += bytes;
    builder->plain += bytes;
    tally_add(&group->chunk, &one);
    return 0;
}
