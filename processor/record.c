#include "processor/record.h"

#include "processor/record_internal.h"

/* A record is mostly between 128 and 16,383 bytes. */
#define RECORD_LENGTH_BYTES 2
#define RECORD_HEAD_BYTES (1 + RECORD_LENGTH_BYTES + 2 * 9)
#define RECORD_TAIL_BYTES 128

/* Levels that a record may say and that are looked at together. */
#define MAX_LEVELS 8

/* What is kept of memory for parsed texts and the surplus of attributes, and the most of it. */
#define SCRATCH_KEEP_BYTES ((size_t)64 << 10)
#define SCRATCH_MAX_BYTES ((size_t)1 << 30)

int record_maker_init(struct record_maker *maker, const struct record_config *config)
{
    const struct name_rows lists[] = {{record_names}};
    int r = name_table_init(&maker->keys, lists, 1);

    if (r == 0)
        r = severity_words_init(&maker->severity_words);
    maker->pad_trace_id = config->pad_trace_id;
    maker->parse_text = config->parse_text;
    maker->is_limited = config->is_limited;
    maker->service_ranks = config->service == RECORD_SERVICE_NEVER   ? 0
                           : config->service == RECORD_SERVICE_NAMED ? SERVICE_MAYBE_RANK
                                                                     : SERVICE_FALLBACK_RANK;
    if (!config->has_service && config->service != RECORD_SERVICE_NEVER)
        maker->service_ranks = UINT8_MAX;
    maker->memo = (struct timestamp_memo){.day_s = 0};
    key_set_init(&maker->seen);
    for (size_t i = 0; i < TEXT_MAX_DEPTH; i++)
        buf_init(&maker->text[i], SCRATCH_MAX_BYTES);
    buf_init(&maker->more, SCRATCH_MAX_BYTES);
    buf_init(&maker->nest, SCRATCH_MAX_BYTES);
    return r;
}

void record_maker_fini(struct record_maker *maker)
{
    key_set_fini(&maker->seen);
    for (size_t i = 0; i < TEXT_MAX_DEPTH; i++)
        buf_fini(&maker->text[i]);
    buf_fini(&maker->more);
    buf_fini(&maker->nest);
}

void record_maker_trim(struct record_maker *maker)
{
    for (size_t i = 0; i < TEXT_MAX_DEPTH; i++) {
        maker->text[i].n = 0;
        buf_trim(&maker->text[i], SCRATCH_KEEP_BYTES);
    }
    maker->more.n = maker->nest.n = 0;
    buf_trim(&maker->more, SCRATCH_KEEP_BYTES);
    buf_trim(&maker->nest, SCRATCH_KEEP_BYTES);
}

/* ---- what was put aside ---- */

struct aside *record_best(struct state *s, enum key_kind kind, unsigned from)
{
    struct aside *found = NULL;

    if (!(s->kinds & 1u << kind))
        return NULL;
    for (size_t i = 0; i < s->aside_count; i++) {
        struct aside *a = &s->aside[i];

        if (a->kind == kind && a->order >= from && (found == NULL || a->order < found->order))
            found = a;
    }
    return found;
}

static uint64_t choose_time(struct state *s, const struct record_event *event)
{
    struct timestamp t;

    if (event->metadata != NULL && event->metadata->time_ns != 0)
        return event->metadata->time_ns;
    for (struct aside *a = record_best(s, KEY_TIME, 0); a != NULL;
         a = record_best(s, KEY_TIME, a->order + 1u)) {
        if (a->v.type == MP_MAP ? timestamp_of_map(a->content, a->v.count, &t)
                                : timestamp_of(&a->v, &s->maker->memo, &t)) {
            a->used = t.exact;
            return t.ns;
        }
    }
    return event->event_ns != 0 ? event->event_ns : event->received_ns;
}

static void write_severity(struct otlp_out *o, uint8_t number, struct slice text)
{
    o->w[0] = F_SEVERITY;
    o->w[1] = number;
    o->w = pb_put_bytes(o->w + 2, F_SEVERITY_TEXT, text);
}

/* Serilog leaves @l out where it would say Information. */
static void put_default_severity(struct state *s)
{
    bool has_time = false, has_text = false;

    for (size_t i = 0; i < s->aside_count; i++) {
        has_time = has_time || slice_is(s->aside[i].name, "@t");
        has_text =
            has_text || slice_is(s->aside[i].name, "@m") || slice_is(s->aside[i].name, "@mt");
    }
    if (!has_time || !has_text)
        return;
    s->o->w[0] = F_SEVERITY;
    s->o->w[1] = 9; /* INFO */
    s->o->w += 2;
}

/* What the sender's OTLP says: the text as it stands, and the number that it has by it. */
static int put_given_severity(struct state *s, const struct metadata *metadata)
{
    const struct mp_value text = {.type = MP_STR, .bytes = metadata->severity_text};
    uint8_t number = metadata->severity_number;
    struct severity severity;

    if (number == 0 && severity_of(&text, SEVERITY_TEXT, &s->maker->severity_words, &severity))
        number = severity.number;
    if (metadata->severity_text.n == 0) {
        write_severity(s->o, number, severity_name(number));
        return 0;
    }
    if (number != 0) {
        s->o->w[0] = F_SEVERITY;
        s->o->w[1] = number;
        s->o->w += 2;
    }
    return otlp_value_put_string(s->o, F_SEVERITY_TEXT, metadata->severity_text);
}

/* The caller has RECORD_TAIL_BYTES of room. */
static int put_severity(struct state *s, const struct metadata *metadata)
{
    struct severity_candidate levels[MAX_LEVELS];
    struct aside *level_of[MAX_LEVELS];
    struct severity severity;
    size_t n = 0;

    if (metadata != NULL && (metadata->severity_number != 0 || metadata->severity_text.n > 0))
        return put_given_severity(s, metadata);
    for (struct aside *a = record_best(s, KEY_SEVERITY, 0); a != NULL && n < MAX_LEVELS;
         a = record_best(s, KEY_SEVERITY, a->order + 1u)) {
        level_of[n] = a;
        levels[n++] = (struct severity_candidate){&a->v, a->value, false};
    }
    if (n == 0) {
        put_default_severity(s);
    } else if (severity_choose(levels, n, &s->maker->severity_words, &severity)) {
        for (size_t i = 0; i < n; i++)
            level_of[i]->used = level_of[i]->used || levels[i].used;
        write_severity(s->o, severity.number, slice_of(severity.text, severity.text_n));
    }
    return 0;
}

/* "repository/name:tag": only a colon behind the last slash begins a tag. A name with a digest
 * ("name@sha256:…") stays whole. */
static bool offer_image(struct facts *facts, struct slice text)
{
    size_t at = text.n;

    while (at > 0 && text.p[at - 1] != ':' && text.p[at - 1] != '/')
        at--;
    if (memchr(text.p, '@', text.n) != NULL || at < 2 || text.p[at - 1] != ':' || at == text.n)
        return facts_offer(facts, FACT_IMAGE_NAME, text);
    if (!facts_offer(facts, FACT_IMAGE_NAME, slice_of(text.p, at - 1)))
        return false;
    return facts_offer(facts, FACT_IMAGE_TAG, slice_of(text.p + at, text.n - at));
}

static bool offer(struct state *s, const struct aside *a)
{
    enum fact fact = FACT_OF(a->value);
    struct slice text = a->v.bytes;

    if (a->v.type != MP_STR || !utf8_is_valid(text))
        return false;
    if (fact == FACT_SERVICE_NAME && FACT_RANK(a->value) >= s->maker->service_ranks)
        return false;
    if (fact == FACT_IMAGE_NAME)
        return offer_image(s->facts, text);
    if (fact == FACT_CONTAINER_NAME && text.n > 1 && text.p[0] == '/')
        text = slice_of(text.p + 1, text.n - 1);
    return facts_offer(s->facts, fact, text);
}

/* Best first, so that of several host names the best is the resource's. */
static void choose_facts(struct state *s)
{
    for (struct aside *a = record_best(s, KEY_FACT, 0); a != NULL;
         a = record_best(s, KEY_FACT, a->order + 1u))
        a->used = offer(s, a);
}

/* A whole map, as the body. */
static int put_record_body(struct state *s, struct mp pairs, uint32_t count)
{
    const struct mp_value map = {.type = MP_MAP, .count = count};

    return count == 0 ? 0 : otlp_value_put(s->o, F_BODY, &pairs, &map);
}

static int put_leftovers(struct state *s)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->aside_count; i++) {
        struct aside *a = &s->aside[i];

        if (!a->used)
            r = otlp_value_put_pair(record_out(s, NULL), F_ATTRIBUTE, a->name, &a->content, &a->v);
    }
    return r;
}

/* The caller has RECORD_TAIL_BYTES of room. */
static void put_trace(struct otlp_out *o, const struct trace_context *trace)
{
    if (trace->has_flags)
        o->w = pb_put_fixed32(o->w, F_FLAGS, trace->flags);
    if (trace->has_trace)
        o->w = pb_put_bytes(o->w, F_TRACE_ID, slice_of(trace->trace, sizeof(trace->trace)));
    if (trace->has_span)
        o->w = pb_put_bytes(o->w, F_SPAN_ID, slice_of(trace->span, sizeof(trace->span)));
}

/* ---- metadata ---- */

void record_merge_trace(struct trace_context *trace, const struct trace_context *from)
{
    if (from->has_trace) {
        memcpy(trace->trace, from->trace, sizeof(trace->trace));
        trace->has_trace = true;
    }
    if (from->has_span) {
        memcpy(trace->span, from->span, sizeof(trace->span));
        trace->has_span = true;
    }
    if (from->has_flags) {
        trace->flags = from->flags;
        trace->has_flags = true;
    }
}

/* Its attributes beside the record's, and what has no field of its own as one attribute. */
static int put_metadata(struct state *s, const struct record_event *event)
{
    const struct metadata *m = event->metadata;
    struct mp in = m->attributes, raw = mp_of(event->metadata_raw);
    struct mp_value v;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < m->attributes_count; i++) {
        const struct name_slot *slot; /* no field comes of it; a profile keeps it */
        struct slice name;

        r = record_key(s, &in, &name, &slot);
        if (r == 0)
            r = mp_next(&in, &v);
        if (r == 0)
            r = otlp_value_put_pair(record_out(s, slot), F_ATTRIBUTE, name, &in, &v);
    }
    if (r == 0 && !m->is_complete) {
        r = mp_next(&raw, &v);
        if (r == 0)
            r = record_put_own(s, SLICE_LITERAL("fluent.metadata"), &raw, &v);
    }
    if (r == 0 && m->event_name.n > 0)
        r = otlp_value_put_string(s->o, F_EVENT_NAME, m->event_name);
    if (r == 0)
        r = otlp_out_need(s->o, RECORD_TAIL_BYTES);
    if (r == 0 && m->dropped_attributes > 0) {
        *s->o->w++ = F_DROPPED;
        s->o->w = pb_put_varint(s->o->w, m->dropped_attributes);
    }
    record_merge_trace(&s->trace, &m->trace);
    return r;
}

/* ---- the record ---- */

/* A record that OTLP's body map became is that body, whatever its keys are called. */
static bool is_body_map(const struct record_event *event, struct mp in, uint32_t pairs)
{
    struct mp_value key, v;

    if (event->metadata == NULL || !event->metadata->is_otlp)
        return false;
    for (uint32_t i = 0; i < pairs; i++) {
        if (mp_next_pair(&in, &key, &v) < 0 || mp_skip_content(&in, &v) < 0)
            return false;
        if (key.type == MP_STR && slice_is(key.bytes, "log"))
            return false;
    }
    return true;
}

static int put_body(struct state *s, const struct record_event *event, struct mp start,
                    uint32_t pairs)
{
    struct aside *body = NULL;
    int r;

    if (is_body_map(event, start, pairs))
        return put_record_body(s, start, pairs);
    r = record_body(s, &body);
    if (r < 0)
        return r;
    if (body == NULL)
        return put_record_body(s, start, pairs);
    body->used = true;
    return otlp_value_put(s->o, F_BODY, &body->content, &body->v);
}

/* A log: {level, logger} beside a message, as ECS has it. */
static int read_log_map(struct state *s)
{
    for (size_t i = 0; i < s->aside_count; i++) {
        struct aside *a = &s->aside[i];

        if (a->kind == KEY_BODY && !a->used && a->v.type == MP_MAP && slice_is(a->name, "log")) {
            struct mp in = a->content;

            a->used = true;
            return record_nest(s, a->name, &in, &a->v);
        }
    }
    return 0;
}

static int put_odd_time(struct state *s, const struct record_event *event)
{
    struct mp content = event->odd_content;

    return record_put_own(s, SLICE_LITERAL("fluent.time"), &content, event->odd_time);
}

static int put_rest(struct state *s, const struct record_event *event)
{
    int r = otlp_out_need(s->o, RECORD_TAIL_BYTES);

    if (r == 0)
        r = put_severity(s, event->metadata);
    choose_facts(s);
    if (r == 0)
        r = put_leftovers(s);
    if (r == 0 && event->metadata != NULL)
        r = put_metadata(s, event);
    if (r == 0 && event->odd_time != NULL)
        r = put_odd_time(s, event);
    if (r == 0 && s->more > 0)
        r = record_out_finish(s);
    if (r == 0)
        r = otlp_out_need(s->o, RECORD_TAIL_BYTES);
    if (r == 0)
        put_trace(s->o, &s->trace);
    return r;
}

static int begin(struct state *s, struct record_maker *maker, struct facts *facts,
                 struct otlp_out *o)
{
    s->maker = maker;
    s->facts = facts;
    s->o = o;
    s->depth = 0;
    s->aside_count = 0;
    s->kinds = 0;
    s->trace.has_trace = s->trace.has_span = s->trace.has_flags = false;
    s->flat = s->kept = s->more = 0;
    key_set_clear(&maker->seen);
    if (maker->is_limited) {
        maker->more.n = 0;
        if (buf_reserve(&maker->more, 1) < 0)
            return -ENOMEM;
        s->side = otlp_out_of(&maker->more);
    }
    return otlp_out_need(o, RECORD_HEAD_BYTES + RECORD_TAIL_BYTES);
}

int record_put(struct record_maker *maker, const struct record_event *event, struct mp *in,
               uint32_t pairs, struct record_out *ret)
{
    struct state s;
    const uint8_t *start = in->p; /* alone: both as one would wait for the store of p */
    struct otlp_out *o = &ret->o;
    uint64_t observed_ns = event->received_ns, time_ns;
    size_t content;
    uint8_t *head;
    int r = begin(&s, maker, &ret->facts, o);

    if (r < 0)
        return r;
    content = otlp_out_nest_begin(o, F_LOG_RECORD, RECORD_LENGTH_BYTES);
    o->w += 2 * 9;
    s.first = otlp_out_offset(o);
    r = record_pairs(&s, in, pairs);
    if (r == 0)
        r = put_body(&s, event, (struct mp){start, in->end}, pairs);
    if (r == 0)
        r = read_log_map(&s);
    if (r < 0)
        return r;
    time_ns = choose_time(&s, event);
    if (event->metadata != NULL && event->metadata->observed_ns != 0)
        observed_ns = event->metadata->observed_ns;
    r = put_rest(&s, event);
    if (r < 0)
        return r;
    head = o->buf->p + content;
    head = pb_put_fixed64(head, F_TIME, time_ns);
    pb_put_fixed64(head, F_OBSERVED, observed_ns);
    otlp_out_nest_end(o, content, RECORD_LENGTH_BYTES);
    ret->time_ns = time_ns;
    return 0;
}
