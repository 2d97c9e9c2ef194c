#include "processor/record_internal.h"

/* "kubernetes.namespace_annotations" is the longest that is known. */
#define MAX_PATH 48
/* Children beyond are not looked up: nobody's kubernetes map has so many. */
#define MAX_CHILDREN 64

/* The row of "name.key", or NULL. */
static const struct name_slot *find_child(const struct state *s, struct slice name,
                                          const struct mp_value *key)
{
    uint8_t path[MAX_PATH];
    struct name_word w;
    struct slice whole;

    if (key->type != MP_STR || key->bytes.n == 0 || name.n + 1 + key->bytes.n > sizeof(path))
        return NULL;
    memcpy(path, name.p, name.n);
    path[name.n] = '.';
    memcpy(path + name.n + 1, key->bytes.p, key->bytes.n);
    whole = slice_of(path, name.n + 1 + key->bytes.n);
    w = name_word_of(whole);
    return name_table_find(&s->maker->keys, whole, &w);
}

/*
 * A child that is known goes the way of a key so spelled. Returns 1 if it was taken, 0 if it stays
 * in its map, or -errno; *in is at the value's content and ends behind it.
 */
static int take_child(struct state *s, const struct name_slot *slot, struct mp *in,
                      const struct mp_value *v)
{
    struct slice path = slice_of((const uint8_t *)slot->name, slot->n), name = path;
    const struct name_slot *first;
    int r;

    if (slot->kind == KEY_LABELS) {
        const uint8_t *start = in->p;
        bool taken;

        r = mp_skip_content(in, v);
        if (r < 0 || v->type != MP_MAP)
            return r;
        taken = facts_offer_map(s->facts, (enum fact_map)slot->value,
                                slice_of(start, (size_t)(in->p - start)), v->count);
        return taken ? 1 : 0;
    }
    if (v->type >= MP_ARRAY || v->type == MP_NIL) {
        r = mp_skip_content(in, v);
        return r < 0 ? r : 0;
    }
    r = record_enter(s, &name, &first);
    if (r == 0)
        r = record_value(s, in, name, first, v);
    return r < 0 ? r : 1;
}

/* Children that were not taken, as an attribute of the map's name. */
static int put_rest(struct state *s, struct slice name, struct mp in, const struct mp_value *map,
                    uint64_t taken)
{
    struct buf *rest = &s->maker->nest;
    const uint8_t *start;
    struct mp_value v = {.type = MP_MAP};
    struct mp from;
    int r = 0;

    rest->n = 0;
    for (uint32_t i = 0; r == 0 && i < map->count; i++) {
        start = in.p;
        r = mp_skip(&in, 2);
        if (r < 0 || (i < MAX_CHILDREN && (taken & 1ull << i)))
            continue;
        r = buf_append(rest, start, (size_t)(in.p - start));
        v.count++;
    }
    from = mp_of(buf_slice(rest));
    return r < 0 ? r : otlp_value_put_pair(record_out(s, NULL), F_ATTRIBUTE, name, &from, &v);
}

int record_nest(struct state *s, struct slice name, struct mp *in, const struct mp_value *map)
{
    const struct mp start = *in;
    uint64_t taken = 0;
    uint32_t taken_count = 0;
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < map->count; i++) {
        const struct name_slot *slot = NULL;
        struct mp_value key, v;

        r = mp_next_pair(in, &key, &v);
        if (r < 0)
            return r;
        if (i < MAX_CHILDREN)
            slot = find_child(s, name, &key);
        r = slot == NULL ? mp_skip_content(in, &v) : take_child(s, slot, in, &v);
        if (r > 0) {
            taken |= 1ull << i;
            taken_count++;
        }
    }
    if (r < 0)
        return r;
    /* A map of nothing but what is said elsewhere now is gone; an empty one stays. */
    if (taken_count == map->count && map->count > 0)
        return 0;
    return put_rest(s, name, start, map, taken);
}
