#include "processor/record_internal.h"

/* Keys that are no text, or empty: spelled, and kept for as long as the record. */
static int odd_key(struct state *s, struct mp *in, const struct mp_value *key,
                   struct slice *ret_name)
{
    char scratch[OTLP_KEY_TEXT_BYTES];
    struct slice text;
    int r = otlp_value_key(in, key, scratch, &text);

    return r < 0 ? r : key_set_keep(&s->maker->seen, text, ret_name);
}

/* Whether the attributes written so far have this name with this text. */
static bool is_said(const struct state *s, struct slice name, struct slice text)
{
    struct pb_reader r =
        pb_reader_of(slice_of(s->o->buf->p + s->first, otlp_out_offset(s->o) - s->first));
    struct pb_field field, key, value;

    while (pb_next(&r, &field) > 0) {
        struct pb_reader pair = pb_reader_of(field.bytes);

        if (field.number != 6 || pb_next(&pair, &key) <= 0 || !slice_equal(key.bytes, name) ||
            pb_next(&pair, &value) <= 0)
            continue;
        pair = pb_reader_of(value.bytes);
        return pb_next(&pair, &value) > 0 && value.number == 1 && slice_equal(value.bytes, text);
    }
    return false;
}

/*
 * A key that is there already. In a text within the record it means the same as outside, and may
 * mean it better: it keeps its row, unless the same text has it twice.
 */
__attribute__((noinline)) static int enter_again(struct state *s, struct slice *name,
                                                 const struct name_slot **slot)
{
    uint16_t order = *slot == NULL ? 0 : aside_order(s, (*slot)->value);
    struct name_word w = name_word_of(*name);

    if (s->depth == 0)
        *slot = NULL;
    for (size_t i = 0; *slot != NULL && i < s->aside_count; i++)
        if (s->aside[i].kind == (*slot)->kind && s->aside[i].order == order)
            *slot = NULL;
    return key_set_rename(&s->maker->seen, *name, w.mixed, name);
}

/*
 * Makes a key unique. In the common case no address is taken, so that the name stays in registers;
 * the others work on copies.
 */
__attribute__((always_inline)) static inline int enter_key(struct state *s, struct slice *name,
                                                           const struct name_slot **ret_slot)
{
    struct name_word w = name_word_of(*name);
    const struct name_slot *slot;
    struct slice copy;
    int r;

    if (__builtin_expect(((w.first | w.last) & 0x8080808080808080ull) != 0 || name->n > 16, 0)) {
        copy = *name;
        r = key_set_repair(&s->maker->seen, &copy);
        if (r < 0)
            return r;
        *name = copy;
        w = name_word_of(copy);
    }
    *ret_slot = name_table_find(&s->maker->keys, *name, &w);
    r = key_set_add(&s->maker->seen, *name, w.mixed);
    if (__builtin_expect(r > 0, 1))
        return 0;
    if (r < 0)
        return r;
    copy = *name;
    slot = *ret_slot;
    r = enter_again(s, &copy, &slot);
    *name = copy;
    *ret_slot = slot;
    return r;
}

int record_enter(struct state *s, struct slice *name, const struct name_slot **ret_slot)
{
    return enter_key(s, name, ret_slot);
}

int record_key(struct state *s, struct mp *in, struct slice *ret_name,
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

    s->kinds |= 1u << slot->kind;
    a->kind = (enum key_kind)slot->kind;
    a->value = slot->value;
    a->order = aside_order(s, slot->value);
    a->used = false;
    a->name.p = name.p;
    a->name.n = name.n;
    return a;
}

static bool is_iostream(const struct mp_value *v)
{
    return v->type == MP_STR && v->bytes.n == 6 &&
           (slice_is(v->bytes, "stdout") || slice_is(v->bytes, "stderr"));
}

/* "path/file.go:123" to its parts. */
static bool split_caller(const struct mp_value *v, struct slice *ret_path, uint64_t *ret_line)
{
    size_t colon;
    uint64_t line = 0;

    if (v->type != MP_STR || v->bytes.n < 3 || v->bytes.n > FACT_MAX_BYTES)
        return false;
    for (colon = v->bytes.n; colon > 0 && (unsigned)(v->bytes.p[colon - 1] - '0') <= 9; colon--)
        ;
    if (colon < 2 || v->bytes.n - colon < 1 || v->bytes.n - colon > 9 ||
        v->bytes.p[colon - 1] != ':' || v->bytes.p[colon] == '0')
        return false;
    for (size_t i = colon; i < v->bytes.n; i++)
        line = line * 10 + v->bytes.p[i] - '0';
    *ret_path = slice_of(v->bytes.p, colon - 1);
    *ret_line = line;
    return true;
}

int record_put_own(struct state *s, struct slice name, struct mp *in, const struct mp_value *v)
{
    struct name_word w = name_word_of(name);
    int r = key_set_add(&s->maker->seen, name, w.mixed);

    if (r == 0)
        r = key_set_rename(&s->maker->seen, name, w.mixed, &name);
    return r < 0 ? r : otlp_value_put_pair(record_out(s, NULL), F_ATTRIBUTE, name, in, v);
}

/* The semantic conventions' name, where the value is what they mean by it. */
static int put_renamed(struct state *s, struct mp *in, struct slice name, enum rename rename,
                       const struct mp_value *v)
{
    struct mp_value part = {.type = MP_UINT};
    struct slice path;
    uint64_t line;
    bool fits;
    int r;

    if (rename == RENAME_CALLER && split_caller(v, &path, &line)) {
        part.u = line;
        r = record_put_own(s, SLICE_LITERAL("code.line.number"), in, &part);
        part = (struct mp_value){.type = MP_STR, .bytes = path};
        return r < 0 ? r : record_put_own(s, record_renames[rename], in, &part);
    }
    fits = rename == RENAME_IOSTREAM ? is_iostream(v)
           : rename == RENAME_CALLER ? false
                                     : v->type < MP_EXT && v->type != MP_NIL;
    if (!fits || slice_equal(name, record_renames[rename]))
        return otlp_value_put_pair(record_out(s, NULL), F_ATTRIBUTE, name, in, v);
    return record_put_own(s, record_renames[rename], in, v);
}

/* Keys that are read, and stay attributes all the same. */
static void note_kept(struct state *s, const struct name_slot *slot, const struct mp_value *v)
{
    if (slot->kind == KEY_TRACE)
        trace_context_take(&s->trace, (enum trace_form)slot->value, v, s->maker->pad_trace_id);
    else if (slot->kind == KEY_MACHINE && v->type == MP_STR)
        facts_offer(s->facts, FACT_HOST_NAME, v->bytes);
}

int record_value(struct state *s, struct mp *in, struct slice name, const struct name_slot *slot,
                 const struct mp_value *v)
{
    struct mp_value text;
    struct aside *a;

    /* Fluentd reads files as bytes and sends their lines as bin: what is text is read as text. Ids
     * may be bytes. */
    if (v->type == MP_BIN && slot != NULL && otlp_value_is_text(v->bytes)) {
        if (slot->kind == KEY_TRACE)
            note_kept(s, slot, v);
        text = *v;
        text.type = MP_STR;
        v = &text;
    }

    if (slot == NULL)
        return otlp_value_put_pair(record_out(s, NULL), F_ATTRIBUTE, name, in, v);
    if (v->type == MP_MAP && (slot->kind == KEY_NEST || slot->kind == KEY_FACT ||
                              (slot->kind == KEY_RENAME && slot->value == RENAME_IOSTREAM)))
        return record_nest(s, name, in, v);
    switch (slot->kind) {
    case KEY_TIME:
    case KEY_SEVERITY:
    case KEY_BODY:
    case KEY_FACT:
        if (s->aside_count == MAX_ASIDE)
            break;
        a = put_aside(s, slot, name);
        a->v = *v;
        a->content = *in;
        return mp_skip_content(in, v);
    case KEY_RENAME:
        return put_renamed(s, in, name, (enum rename)slot->value, v);
    default:
        note_kept(s, slot, v);
    }
    return otlp_value_put_pair(record_out(s, slot), F_ATTRIBUTE, name, in, v);
}

/*
 * An id that the record around the text has said: not again under another name. Only up to "id#9":
 * each look walks the attributes, and a client could send any number of repetitions.
 */
static bool is_repeated(const struct state *s, const struct name_slot *slot, struct slice name,
                        struct slice text)
{
    struct slice plain = slice_of((const uint8_t *)slot->name, slot->n);

    return (slot->kind == KEY_KEPT || slot->kind == KEY_MACHINE || slot->kind == KEY_TRACE) &&
           name.n == plain.n + 2 && is_said(s, plain, text);
}

/* A pair of two short strings: the case that counts. */
static inline int put_text(struct state *s, struct slice name, const struct name_slot *slot,
                           struct slice text)
{
    struct aside *a;

    if (__builtin_expect(slot == NULL, 1))
        return otlp_value_put_text_pair(record_out(s, NULL), F_ATTRIBUTE, name, text);
    if (__builtin_expect(s->depth > 0, 0) && is_repeated(s, slot, name, text))
        return 0;
    if (slot->kind == KEY_KEPT)
        return otlp_value_put_text_pair(record_out(s, slot), F_ATTRIBUTE, name, text);
    if (slot->kind == KEY_MACHINE) {
        facts_offer(s->facts, FACT_HOST_NAME, text);
        return otlp_value_put_text_pair(record_out(s, slot), F_ATTRIBUTE, name, text);
    }
    if (slot->kind > KEY_FACT) {
        const struct mp_value v = {.type = MP_STR, .bytes = text};

        if (slot->kind == KEY_RENAME)
            return put_renamed(s, NULL, name, (enum rename)slot->value, &v);
        note_kept(s, slot, &v);
        return otlp_value_put_text_pair(record_out(s, slot), F_ATTRIBUTE, name, text);
    }
    if (s->aside_count == MAX_ASIDE)
        return otlp_value_put_text_pair(record_out(s, NULL), F_ATTRIBUTE, name, text);
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
int record_pairs(struct state *s, struct mp *in, uint32_t pairs)
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
            struct slice odd;
            const struct name_slot *its;

            in->p = p;
            r = record_key(s, in, &odd, &its);
            p = in->p;
            name.p = odd.p;
            name.n = odd.n;
            slot = its;
        }
        if (r < 0)
            return r;
        next = mp_short_str(p, end, &text);
        if (__builtin_expect(next != NULL, 1)) {
            r = put_text(s, name, slot, text);
            p = next;
        } else {
            struct mp_value v;

            in->p = p;
            r = mp_next(in, &v);
            if (r == 0)
                r = record_value(s, in, name, slot, &v);
            p = in->p;
        }
        if (r < 0)
            return r;
    }
    in->p = p;
    return 0;
}
