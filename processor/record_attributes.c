#include "processor/record_internal.h"

/*
 * The dash0 profile: a record has at most 16 attributes. The kept ones (trace_id, job_id,
 * machine_id, worker_id) and the first others are attributes of their own; what is more lies in
 * one attribute, a map. Nothing is dropped.
 */
#define LIMIT 16u
#define KEPT 4u
#define FLAT (LIMIT - KEPT - 1)
#define MORE_NAME "sluice.more"
/* Keys and lengths around the folded ones. */
#define FOLD_BYTES 64

static bool is_kept(const struct name_slot *slot)
{
    return slot != NULL &&
           (slot->kind == KEY_KEPT || slot->kind == KEY_MACHINE ||
            (slot->kind == KEY_TRACE && slot->n == 8 && memcmp(slot->name, "trace_id", 8) == 0));
}

struct otlp_out *record_out_limited(struct state *s, const struct name_slot *slot)
{
    /* One place each; their names are of different lengths. */
    if (is_kept(slot) && (s->kept & 1u << slot->n) == 0) {
        s->kept |= 1u << slot->n;
        return s->o;
    }
    if (s->flat < FLAT) {
        s->flat++;
        return s->o;
    }
    s->more++;
    return &s->side;
}

/* The attributes in the side buffer: each is a field of key, length and content. */
static struct slice take_attribute(struct pb_reader *r)
{
    const uint8_t *start = r->p;
    struct pb_field field;

    if (pb_next(r, &field) <= 0)
        return slice_of(NULL, 0);
    return slice_of(start, (size_t)(r->p - start));
}

static int put_folded(struct state *s, struct slice rest)
{
    struct pb_reader r = pb_reader_of(rest);
    struct slice name = SLICE_LITERAL(MORE_NAME);
    const struct name_slot *ignored;
    size_t list = rest.n, value, pair;
    uint8_t *w;
    int error = record_enter(s, &name, &ignored);

    if (error == 0)
        error = otlp_out_need(s->o, rest.n + name.n + FOLD_BYTES);
    if (error < 0)
        return error;
    value = 1 + pb_varint_bytes(list) + list;
    pair = 2 + name.n + 1 + pb_varint_bytes(value) + value;
    w = s->o->w;
    *w++ = F_ATTRIBUTE;
    w = pb_put_varint(w, pair);
    w = pb_put_bytes(w, PB_KEY(1, PB_BYTES), name);
    *w++ = PB_KEY(2, PB_BYTES);
    w = pb_put_varint(w, value);
    *w++ = PB_KEY(6, PB_BYTES); /* kvlist_value */
    w = pb_put_varint(w, list);
    while (r.p < r.end) {
        struct slice one = take_attribute(&r);

        /* As a member of a KeyValueList: the same bytes under field 1. */
        w = pb_put_raw(w, one.p, one.n);
        w[-(ptrdiff_t)one.n] = PB_KEY(1, PB_BYTES);
    }
    s->o->w = w;
    return 0;
}

int record_out_finish(struct state *s)
{
    struct slice all = slice_of(s->side.buf->p, otlp_out_offset(&s->side));
    struct pb_reader r = pb_reader_of(all);
    unsigned room = LIMIT - s->flat - (unsigned)__builtin_popcount(s->kept);
    unsigned flat = s->more <= room ? s->more : room - 1;
    size_t flat_bytes;
    int error;

    for (unsigned i = 0; i < flat; i++)
        take_attribute(&r);
    flat_bytes = (size_t)(r.p - all.p);
    error = otlp_out_need(s->o, flat_bytes);
    if (error < 0)
        return error;
    s->o->w = pb_put_raw(s->o->w, all.p, flat_bytes);
    return flat == s->more ? 0 : put_folded(s, slice_of(r.p, all.n - flat_bytes));
}
