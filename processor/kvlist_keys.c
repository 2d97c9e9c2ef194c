#include "processor/kvlist_keys.h"

#include "processor/name_table.h"
#include "shared/base/hash.h"

#include <stdio.h>

#define F_PAIR PB_KEY(1, PB_BYTES) /* of KeyValueList */
#define F_KEY PB_KEY(1, PB_BYTES)  /* of KeyValue */
#define SUFFIX_BYTES 12            /* '#', a 32-bit number, and snprintf's NUL */
/* What a new name adds to its pair: the suffix, and a byte to each of the two lengths. */
#define GROWTH_BYTES (SUFFIX_BYTES + 2)

/* A KeyValue as it was written. */
struct pair {
    const uint8_t *start;
    struct slice key;
    struct slice rest; /* behind the key: the value */
};

/* A key in the table: where its pair begins, and the number that its next duplicate gets. */
struct slot {
    uint32_t offset; /* from the list's beginning, and 1; 0: empty */
    uint32_t next;
};

struct table {
    struct slot *slot;
    unsigned shift; /* 64 minus the bits of an index */
    size_t mask;
};

static size_t get_length(const uint8_t **p)
{
    size_t n = 0;
    unsigned shift = 0;

    for (; **p >= 0x80; (*p)++, shift += 7)
        n |= (size_t)(**p & 0x7f) << shift;
    n |= (size_t) * (*p)++ << shift;
    return n;
}

/* The pair at p: our own writing, so it need not be checked. */
static struct pair pair_at(const uint8_t *p)
{
    struct pair pair = {.start = p++};
    const uint8_t *end;
    size_t n = get_length(&p);

    end = p + n;
    p++;
    pair.key.n = get_length(&p);
    pair.key.p = p;
    pair.rest = slice_of(p + pair.key.n, (size_t)(end - p) - pair.key.n);
    return pair;
}

static const uint8_t *pair_end(const struct pair *pair)
{
    return pair->rest.p + pair->rest.n;
}

/* ---- the usual map ---- */

static bool is_unique_small(const uint8_t *p, uint32_t pairs)
{
    struct slice keys[KVLIST_KEYS_SMALL];
    uint64_t filter = 0;

    for (uint32_t i = 0; i < pairs; i++) {
        struct pair pair = pair_at(p);
        struct name_word w = name_word_of(pair.key);
        uint64_t bit = 1ull << ((w.mixed * 0xff51afd7ed558ccdull) >> 58);

        if (__builtin_expect((filter & bit) != 0, 0))
            for (uint32_t k = 0; k < i; k++)
                if (slice_equal(keys[k], pair.key))
                    return false;
        filter |= bit;
        keys[i] = pair.key;
        p = pair_end(&pair);
    }
    return true;
}

/* ---- the table ---- */

/* At `offset` in the buffer, which has room for it. Twice as many slots as pairs. */
static struct table table_at(struct otlp_out *o, size_t offset, unsigned bits)
{
    struct table table = {.slot = (struct slot *)(void *)(o->buf->p + offset),
                          .shift = 64 - bits,
                          .mask = ((size_t)1 << bits) - 1};

    memset(table.slot, 0, (table.mask + 1) * sizeof(*table.slot));
    return table;
}

/*
 * The slot of a key, or the empty one where it belongs. The multiplier is this process's own (its
 * address space is laid out at random): who sends keys cannot choose them to meet.
 */
static struct slot *find(const struct table *table, const uint8_t *list, struct slice key)
{
    static const char place;
    const uint64_t multiplier = (uint64_t)(uintptr_t)&place * 0x9e3779b97f4a7c15ull | 1;
    size_t at = (hash_slices(&key, 1).low * multiplier) >> table->shift;

    for (;; at = (at + 1) & table->mask) {
        struct slot *slot = &table->slot[at];

        if (slot->offset == 0 || slice_equal(pair_at(list + slot->offset - 1).key, key))
            return slot;
    }
}

static bool is_unique(const struct table *table, const uint8_t *list, uint32_t pairs)
{
    const uint8_t *p = list;

    for (uint32_t i = 0; i < pairs; i++) {
        struct pair pair = pair_at(p);
        struct slot *slot = find(table, list, pair.key);

        if (slot->offset != 0)
            return false;
        slot->offset = (uint32_t)(pair.start - list) + 1;
        p = pair_end(&pair);
    }
    return true;
}

/* ---- new names ---- */

/* Writes the pair under its key and "#number"; returns its end. */
static uint8_t *put_renamed(uint8_t *w, const struct pair *pair, uint32_t number)
{
    char suffix[SUFFIX_BYTES];
    size_t suffix_n = (size_t)snprintf(suffix, sizeof(suffix), "#%u", number);
    size_t key_n = pair->key.n + suffix_n;

    *w++ = F_PAIR;
    w = pb_put_varint(w, 1 + pb_varint_bytes(key_n) + key_n + pair->rest.n);
    *w++ = F_KEY;
    w = pb_put_varint(w, key_n);
    w = pb_put_raw(w, pair->key.p, pair->key.n);
    w = pb_put_raw(w, suffix, suffix_n);
    return pb_put_raw(w, pair->rest.p, pair->rest.n);
}

/* Writes the pairs from `from` to `list`, each under a name that is free; returns their end. */
static uint8_t *put_unique(const struct table *table, uint8_t *list, const uint8_t *from,
                           uint32_t pairs)
{
    uint8_t *w = list;

    for (uint32_t i = 0; i < pairs; i++) {
        struct pair pair = pair_at(from);
        struct slot *slot = find(table, list, pair.key), *first = slot;
        uint8_t *end;

        if (slot->offset == 0) {
            end = pb_put_raw(w, pair.start, (size_t)(pair_end(&pair) - pair.start));
        } else {
            do {
                end = put_renamed(w, &pair, first->next++);
                slot = find(table, list, pair_at(w).key);
            } while (slot->offset != 0);
        }
        *slot = (struct slot){(uint32_t)(w - list) + 1, 2};
        w = end;
        from = pair_end(&pair);
    }
    return w;
}

static size_t align(size_t n)
{
    return (n + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
}

/* The list is copied behind where it can grow to, and written again. */
static int rename_pairs(struct otlp_out *o, size_t list, uint32_t pairs, unsigned bits)
{
    const size_t n = otlp_out_offset(o) - list;
    const size_t copy = list + n + (size_t)pairs * GROWTH_BYTES;
    const size_t table_offset = align(copy + n);
    const size_t end = table_offset + (sizeof(struct slot) << bits);
    struct table table;
    int r = otlp_out_need(o, end - otlp_out_offset(o));

    if (r < 0)
        return r;
    memcpy(o->buf->p + copy, o->buf->p + list, n);
    table = table_at(o, table_offset, bits);
    o->w = put_unique(&table, o->buf->p + list, o->buf->p + copy, pairs);
    return 0;
}

int kvlist_keys_unique(struct otlp_out *o, size_t list, uint32_t pairs)
{
    const size_t table_offset = align(otlp_out_offset(o));
    unsigned bits = 5;
    struct table table;
    int r;

    if (pairs <= KVLIST_KEYS_SMALL) {
        if (__builtin_expect(is_unique_small(o->buf->p + list, pairs), 1))
            return 0;
        return rename_pairs(o, list, pairs, bits);
    }
    while ((size_t)1 << bits < (size_t)pairs * 2)
        bits++;
    r = otlp_out_need(o, table_offset - otlp_out_offset(o) + (sizeof(struct slot) << bits));
    if (r < 0)
        return r;
    table = table_at(o, table_offset, bits);
    if (is_unique(&table, o->buf->p + list, pairs))
        return 0;
    return rename_pairs(o, list, pairs, bits);
}
