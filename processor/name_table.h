/*
 * name_table: a fixed set of names, looked up in one probe. Record keys (timestamp, level, trace
 * ids) and severity words come from tables of rows; a table is built from them once, at start, by
 * searching for a multiplier under which no two names meet.
 *
 * A name's `struct name_word` says it by its length and its first and last eight bytes: exact up to
 * 16 bytes, compared in full beyond.
 */
#ifndef PROCESSOR_NAME_TABLE_H
#define PROCESSOR_NAME_TABLE_H

#include "shared/base/slice.h"

/* Rows are literals: `name` is borrowed for ever. `kind` and `value` are the owner's. */
struct name_row {
    const char *name;
    uint8_t kind;
    uint8_t value;
};

struct name_word {
    uint64_t first;
    uint64_t last;
    uint64_t mixed; /* of both and the length; to be multiplied before bits of it are used */
};

/* Most names are not in the table, and find an empty place in an index that a first-level cache
 * holds. */
#define NAME_TABLE_BITS 12
#define NAME_TABLE_ROWS 255

struct name_slot {
    uint64_t first;
    uint64_t last;
    uint32_t n;
    uint8_t kind; /* never 0 */
    uint8_t value;
    const char *name;
};

struct name_table {
    uint64_t multiplier;
    uint8_t index[1u << NAME_TABLE_BITS]; /* 0: empty */
    struct name_slot slot[NAME_TABLE_ROWS + 1];
};

/* A list of rows, ended by a row without a name. */
struct name_rows {
    const struct name_row *row;
};

/*
 * Builds it from several lists. Returns 0, or -EINVAL where a name stands twice, two names cannot be
 * told apart, or there are more than NAME_TABLE_ROWS: a mistake in the lists.
 */
int name_table_init(struct name_table *table, const struct name_rows *lists, size_t count);

static inline struct name_word name_word_of(struct slice s)
{
    struct name_word w;

    if (s.n >= 8) {
        memcpy(&w.first, s.p, 8);
        memcpy(&w.last, s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        uint32_t a, b;

        memcpy(&a, s.p, 4);
        memcpy(&b, s.p + s.n - 4, 4);
        w.first = a;
        w.last = b;
    } else if (s.n > 0) {
        w.first = (uint64_t)s.p[0] | (uint64_t)s.p[s.n / 2] << 8 | (uint64_t)s.p[s.n - 1] << 16;
        w.last = 0;
    } else {
        w.first = w.last = 0;
    }
    w.mixed = (w.first + s.n * 0x9e3779b97f4a7c15ull) ^ (w.last << 29 | w.last >> 35);
    return w;
}

/* The row's slot, or NULL. */
static inline const struct name_slot *name_table_find(const struct name_table *table,
                                                      struct slice s, const struct name_word *w)
{
    unsigned i = table->index[(w->mixed * table->multiplier) >> (64 - NAME_TABLE_BITS)];
    const struct name_slot *slot = &table->slot[i];

    if (__builtin_expect(i == 0, 1))
        return NULL;
    if (slot->first != w->first || slot->last != w->last || slot->n != s.n)
        return NULL;
    if (s.n > 16 && memcmp(slot->name, s.p, s.n) != 0)
        return NULL;
    return slot;
}

#endif
