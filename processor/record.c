#include "processor/record.h"

#include "processor/otlp_value.h"

/* LogRecord's fields. */
#define F_TIME PB_KEY(1, PB_FIXED64)
#define F_SEVERITY PB_KEY(2, PB_VARINT)
#define F_SEVERITY_TEXT PB_KEY(3, PB_BYTES)
#define F_BODY PB_KEY(5, PB_BYTES)
#define F_ATTRIBUTE PB_KEY(6, PB_BYTES)
#define F_DROPPED PB_KEY(7, PB_VARINT)
#define F_FLAGS PB_KEY(8, PB_FIXED32)
#define F_TRACE_ID PB_KEY(9, PB_BYTES)
#define F_SPAN_ID PB_KEY(10, PB_BYTES)
#define F_OBSERVED PB_KEY(11, PB_FIXED64)
#define F_EVENT_NAME PB_KEY(12, PB_BYTES)
#define F_LOG_RECORD PB_KEY(2, PB_BYTES) /* of ScopeLogs */

/* A record is mostly between 128 and 16,383 bytes. */
#define RECORD_LENGTH_BYTES 2
#define RECORD_HEAD_BYTES (1 + RECORD_LENGTH_BYTES + 2 * 9)
#define RECORD_TAIL_BYTES 128

/* Candidates put aside per record; more of them are plain attributes. */
#define MAX_ASIDE 24

enum key_kind { KEY_PLAIN, KEY_TIME, KEY_SEVERITY, KEY_BODY, KEY_TRACE };

/* Best first. "event" is structlog's message, but elsewhere an object: only text counts. */
#define BODY_EVENT_RANK 8
static const struct name_row key_names[] = {{"message", KEY_BODY, 0},
                                            {"msg", KEY_BODY, 1},
                                            {"log", KEY_BODY, 2},
                                            {"MESSAGE", KEY_BODY, 3},
                                            {"@m", KEY_BODY, 4},
                                            {"short_message", KEY_BODY, 5},
                                            {"textPayload", KEY_BODY, 6},
                                            {"Message", KEY_BODY, 7},
                                            {"event", KEY_BODY, BODY_EVENT_RANK},
                                            TIMESTAMP_NAMES(KEY_TIME),
                                            SEVERITY_NAMES(KEY_SEVERITY),
                                            TRACE_CONTEXT_NAMES(KEY_TRACE),
                                            {NULL, 0, 0}};

/* A candidate for an OTLP field. */
struct aside {
    enum key_kind kind;
    uint8_t value; /* its row's */
    bool used;     /* the OTLP field says all of it */
    struct slice name;
    struct mp_value v;
    struct mp content; /* where v's content begins */
};

struct state {
    struct record_maker *maker;
    struct otlp_out *o;
    size_t aside_count;
    struct trace_context trace;
    struct aside aside[MAX_ASIDE];
};

int record_maker_init(struct record_maker *maker, bool pad_trace_id)
{
    const struct name_rows lists[] = {{key_names}};
    int r = name_table_init(&maker->keys, lists, 1);

    if (r == 0)
        r = severity_words_init(&maker->severity_words);
    maker->pad_trace_id = pad_trace_id;
    maker->memo = (struct timestamp_memo){.day_s = 0};
    key_set_init(&maker->seen);
    return r;
}

void record_maker_fini(struct record_maker *maker)
{
    key_set_fini(&maker->seen);
}

/* ---- the pairs ---- */

/* Keys that are no text, or empty: spelled, and kept for as long as the record. */
static int odd_key(struct state *s, struct mp *in, const struct mp_value *key,
                   struct slice *ret_name)
{
    char scratch[OTLP_KEY_TEXT_BYTES];
    struct slice text;
    int r = otlp_value_key(in, key, scratch, &text);

    return r < 0 ? r : key_set_keep(&s->maker->seen, text, ret_name);
}

/* Makes a key unique. *ret_slot: its row if it has one and is the first so named. */
static inline int enter_key(struct state *s, struct slice *name, const struct name_slot **ret_slot)
{
    struct name_word w = name_word_of(*name);
    int r;

    *ret_slot = name_table_find(&s->maker->keys, *name, &w);
    r = key_set_add(&s->maker->seen, *name, w.mixed);
    if (__builtin_expect(r > 0, 1))
        return 0;
    *ret_slot = NULL;
    return r < 0 ? r : key_set_rename(&s->maker->seen, *name, w.mixed, name);
}

/* Any key; long ones, odd ones. */
static int read_key(struct state *s, struct mp *in, struct slice *ret_name,
                    const struct name_slot **ret_slot)
{
    struct mp_value key;
    int r = mp_next(in, &key);

    if (r < 0)
        return r;
    *ret_name = key.bytes;
    if (key.type != MP_STR || key.bytes.n == 0)
        r = odd_key(s, in, &key, ret_name);
    return r < 0 ? r : enter_key(s, ret_name, ret_slot);
}

/* The next candidate, but for its content. */
static inline struct aside *put_aside(struct state *s, const struct name_slot *slot,
                                      struct slice name)
{
    struct aside *a = &s->aside[s->aside_count++];

    a->kind = (enum key_kind)slot->kind;
    a->value = slot->value;
    a->used = false;
    a->name.p = name.p;
    a->name.n = name.n;
    return a;
}

/* A pair whose key is known; *in is at its value, of any type. */
static int put_value(struct state *s, struct mp *in, struct slice name,
                     const struct name_slot *slot)
{
    struct mp_value v;
    int r = mp_next(in, &v);

    if (r < 0)
        return r;
    if (slot != NULL && slot->kind == KEY_TRACE)
        trace_context_take(&s->trace, (enum trace_form)slot->value, &v, s->maker->pad_trace_id);
    if (slot != NULL && slot->kind != KEY_TRACE && s->aside_count < MAX_ASIDE) {
        struct aside *a = put_aside(s, slot, name);

        a->v = v;
        a->content = *in;
        return mp_skip_content(in, &v);
    }
    return otlp_value_put_pair(s->o, F_ATTRIBUTE, name, in, &v);
}

/* A pair of two short strings: the case that counts. */
static inline int put_text(struct state *s, struct slice name, const struct name_slot *slot,
                           struct slice text)
{
    struct aside *a;

    if (__builtin_expect(slot == NULL, 1))
        return otlp_value_put_text_pair(s->o, F_ATTRIBUTE, name, text);
    if (slot->kind == KEY_TRACE) {
        const struct mp_value v = {.type = MP_STR, .bytes = text};

        trace_context_take(&s->trace, (enum trace_form)slot->value, &v, s->maker->pad_trace_id);
        return otlp_value_put_text_pair(s->o, F_ATTRIBUTE, name, text);
    }
    if (s->aside_count == MAX_ASIDE)
        return otlp_value_put_text_pair(s->o, F_ATTRIBUTE, name, text);
    a = put_aside(s, slot, name);
    a->v.type = MP_STR;
    a->v.bytes.p = text.p;
    a->v.bytes.n = text.n;
    return 0;
}

/*
 * Strings of up to 255 bytes are read here, with the place kept in a register: slices that are
 * written and read back at once would stall the processor. Everything else goes the long way.
 */
static int put_pairs(struct state *s, struct mp *in, uint32_t pairs)
{
    const uint8_t *p = in->p, *const end = in->end;

    for (uint32_t i = 0; i < pairs; i++) {
        const struct name_slot *slot;
        struct slice name, text;
        const uint8_t *next = mp_short_str(p, end, &name);
        int r;

        if (__builtin_expect(next != NULL && name.n > 0, 1)) {
            r = enter_key(s, &name, &slot);
            p = next;
        } else {
            in->p = p;
            r = read_key(s, in, &name, &slot);
            p = in->p;
        }
        if (r < 0)
            return r;
        next = mp_short_str(p, end, &text);
        if (__builtin_expect(next != NULL, 1)) {
            r = put_text(s, name, slot, text);
            p = next;
        } else {
            in->p = p;
            r = put_value(s, in, name, slot);
            p = in->p;
        }
        if (r < 0)
            return r;
    }
    in->p = p;
    return 0;
}

/* ---- what was put aside ---- */

/* The best of a kind whose rank is `from` or worse; NULL when there is none left. */
static struct aside *best(struct state *s, enum key_kind kind, unsigned from)
{
    struct aside *found = NULL;

    for (size_t i = 0; i < s->aside_count; i++) {
        struct aside *a = &s->aside[i];

        if (a->kind == kind && a->value >= from && (found == NULL || a->value < found->value))
            found = a;
    }
    return found;
}

static uint64_t choose_time(struct state *s, const struct record_event *event)
{
    struct timestamp t;

    if (event->metadata != NULL && event->metadata->time_ns != 0)
        return event->metadata->time_ns;
    for (struct aside *a = best(s, KEY_TIME, 0); a != NULL; a = best(s, KEY_TIME, a->value + 1u)) {
        if (timestamp_of(&a->v, &s->maker->memo, &t)) {
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

/* The caller has RECORD_TAIL_BYTES of room. */
static int put_severity(struct state *s, const struct metadata *metadata)
{
    struct severity severity;

    if (metadata != NULL && metadata->severity_number != 0) {
        if (metadata->severity_text.n > 0) {
            s->o->w[0] = F_SEVERITY;
            s->o->w[1] = metadata->severity_number;
            s->o->w += 2;
            return otlp_value_put_string(s->o, F_SEVERITY_TEXT, metadata->severity_text);
        }
        write_severity(s->o, metadata->severity_number, severity_name(metadata->severity_number));
        return 0;
    }
    for (struct aside *a = best(s, KEY_SEVERITY, 0); a != NULL;
         a = best(s, KEY_SEVERITY, a->value + 1u)) {
        if (severity_of(&a->v, (enum severity_scale)(a->value % 4), &s->maker->severity_words,
                        &severity)) {
            a->used = severity.exact;
            write_severity(s->o, severity.number, slice_of(severity.text, severity.text_n));
            return 0;
        }
    }
    return 0;
}

static int put_body(struct state *s)
{
    struct aside *a = best(s, KEY_BODY, 0);

    while (a != NULL && a->v.type == MP_NIL)
        a = best(s, KEY_BODY, a->value + 1u);
    if (a == NULL || (a->value == BODY_EVENT_RANK && a->v.type != MP_STR))
        return 0;
    a->used = true;
    /* Docker and tail leave the line's end in. */
    if (a->v.type == MP_STR && a->v.bytes.n > 0 && a->v.bytes.p[a->v.bytes.n - 1] == '\n')
        a->v.bytes.n--;
    return otlp_value_put(s->o, F_BODY, &a->content, &a->v);
}

static int put_leftovers(struct state *s)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->aside_count; i++) {
        struct aside *a = &s->aside[i];

        if (!a->used)
            r = otlp_value_put_pair(s->o, F_ATTRIBUTE, a->name, &a->content, &a->v);
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

static void merge_trace(struct trace_context *trace, const struct trace_context *from)
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

/* An attribute of ours: under another name where the record has one so named. */
static int put_own(struct state *s, struct slice name, struct mp *in, const struct mp_value *v)
{
    struct name_word w = name_word_of(name);
    int r = key_set_add(&s->maker->seen, name, w.mixed);

    if (r == 0)
        r = key_set_rename(&s->maker->seen, name, w.mixed, &name);
    return r < 0 ? r : otlp_value_put_pair(s->o, F_ATTRIBUTE, name, in, v);
}

/* Its attributes beside the record's, and what has no field of its own as one attribute. */
static int put_metadata(struct state *s, const struct record_event *event)
{
    const struct metadata *m = event->metadata;
    struct mp in = m->attributes, raw = mp_of(event->metadata_raw);
    struct mp_value v;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < m->attributes_count; i++) {
        const struct name_slot *ignored;
        struct slice name;

        r = read_key(s, &in, &name, &ignored);
        if (r == 0)
            r = mp_next(&in, &v);
        if (r == 0)
            r = otlp_value_put_pair(s->o, F_ATTRIBUTE, name, &in, &v);
    }
    if (r == 0 && !m->is_complete) {
        r = mp_next(&raw, &v);
        if (r == 0)
            r = put_own(s, SLICE_LITERAL("fluent.metadata"), &raw, &v);
    }
    if (r == 0 && m->event_name.n > 0)
        r = otlp_value_put_string(s->o, F_EVENT_NAME, m->event_name);
    if (r == 0)
        r = otlp_out_need(s->o, RECORD_TAIL_BYTES);
    if (r == 0 && m->dropped_attributes > 0) {
        *s->o->w++ = F_DROPPED;
        s->o->w = pb_put_varint(s->o->w, m->dropped_attributes);
    }
    merge_trace(&s->trace, &m->trace);
    return r;
}

/* ---- the record ---- */

static int put_rest(struct state *s, const struct record_event *event)
{
    int r = otlp_out_need(s->o, RECORD_TAIL_BYTES);

    if (r == 0)
        r = put_severity(s, event->metadata);
    if (r == 0)
        r = put_body(s);
    if (r == 0)
        r = put_leftovers(s);
    if (r == 0 && event->metadata != NULL)
        r = put_metadata(s, event);
    if (r == 0 && event->odd_time != NULL)
        r = put_own(s, SLICE_LITERAL("fluent.time"), NULL, event->odd_time);
    if (r == 0)
        r = otlp_out_need(s->o, RECORD_TAIL_BYTES);
    if (r == 0)
        put_trace(s->o, &s->trace);
    return r;
}

int record_put(struct record_maker *maker, const struct record_event *event, struct mp *in,
               uint32_t pairs, struct otlp_out *o, uint64_t *ret_time_ns)
{
    struct state s;
    uint64_t observed_ns = event->received_ns, time_ns;
    size_t content;
    uint8_t *head;
    int r = otlp_out_need(o, RECORD_HEAD_BYTES + RECORD_TAIL_BYTES);

    if (r < 0)
        return r;
    s.maker = maker;
    s.o = o;
    s.aside_count = 0;
    s.trace.has_trace = s.trace.has_span = s.trace.has_flags = false;
    key_set_clear(&maker->seen);
    content = otlp_out_nest_begin(o, F_LOG_RECORD, RECORD_LENGTH_BYTES);
    o->w += 2 * 9;
    r = put_pairs(&s, in, pairs);
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
    *ret_time_ns = time_ns;
    return 0;
}
