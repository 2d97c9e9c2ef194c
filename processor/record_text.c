#include "processor/record_internal.h"

static struct slice without_line_end(struct slice text)
{
    if (text.n == 0 || text.p[text.n - 1] != '\n')
        return text;
    text.n--;
    if (text.n > 0 && text.p[text.n - 1] == '\r')
        text.n--;
    return text;
}

/* The best that is no nil; of "event" only text. */
static struct aside *best_body(struct state *s)
{
    struct aside *a = record_best(s, KEY_BODY, 0);

    while (a != NULL &&
           (a->v.type == MP_NIL || (a->value == BODY_EVENT_RANK && a->v.type != MP_STR)))
        a = record_best(s, KEY_BODY, a->order + 1u);
    return a;
}

/* ---- hints ---- */

static void hint_severity(struct state *s, const struct name_slot *slot, struct slice name,
                          const struct mp_value *v)
{
    struct aside *a;

    if (s->aside_count == MAX_ASIDE)
        return;
    s->kinds |= 1u << KEY_SEVERITY;
    a = &s->aside[s->aside_count++];
    *a = (struct aside){.kind = KEY_SEVERITY,
                        .value = slot->value,
                        .used = true,
                        .name = name,
                        .v = *v,
                        .order = (uint16_t)(ORDER_HINT | slot->value)};
}

/*
 * The text says it too, and stays the body: what the record has said already is not said again,
 * and a severity counts only where there is no other.
 */
static int take_hints(struct state *s, struct mp in, uint32_t pairs)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < pairs; i++) {
        const struct name_slot *slot;
        struct name_word w;
        struct mp_value key, v;

        r = mp_next(&in, &key);
        if (r == 0)
            r = mp_next(&in, &v);
        if (r < 0 || key.type != MP_STR || v.type >= MP_ARRAY)
            return r;
        w = name_word_of(key.bytes);
        slot = name_table_find(&s->maker->keys, key.bytes, &w);
        if (slot != NULL && slot->kind == KEY_SEVERITY) {
            hint_severity(s, slot, key.bytes, &v);
            continue;
        }
        r = key_set_add(&s->maker->seen, key.bytes, w.mixed);
        if (r > 0)
            r = record_value(s, &in, key.bytes, slot, &v);
    }
    return r;
}

/* ---- texts in texts ---- */

/* What was found in a text is nearer to the program that wrote it: it wins, but for the machine that
 * the record around it names: that one has forwarded it. */
static int take_pairs(struct state *s, struct mp in, uint32_t pairs)
{
    const struct trace_context outer = s->trace;
    struct trace_context inner;
    int r;

    s->depth++;
    s->trace = (struct trace_context){.has_trace = false};
    r = record_pairs(s, &in, pairs);
    inner = s->trace;
    s->trace = outer;
    record_merge_trace(&s->trace, &inner);
    return r;
}

int record_body(struct state *s, struct aside **ret_body)
{
    struct aside *body = best_body(s), *next;

    *ret_body = body;
    while (body != NULL && body->v.type == MP_STR) {
        struct buf *found = &s->maker->text[s->depth];
        struct mp_writer w = mp_writer_of(found);
        enum text_verdict verdict;
        int r;

        body->v.bytes = without_line_end(body->v.bytes);
        if (!s->maker->parse_text || s->depth == TEXT_MAX_DEPTH)
            return 0;
        found->n = 0;
        verdict = text_parse(body->v.bytes, &w);
        if (verdict == TEXT_NO || w.failed)
            return 0;
        if (verdict == TEXT_ADDS)
            return take_hints(s, mp_of(buf_slice(found)), w.pairs);
        r = take_pairs(s, mp_of(buf_slice(found)), w.pairs);
        if (r < 0)
            return r;
        next = best_body(s);
        /* Without a message of its own the text is the message: all of it stays. */
        if (next == NULL || next == body)
            return 0;
        body->used = true;
        *ret_body = body = next;
    }
    return 0;
}
