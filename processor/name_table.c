#include "processor/name_table.h"

#include <errno.h>

/* 200 names in 4,096 places need some 150 tries; the limit only ends a hopeless search. */
#define MAX_TRIES 100000

static size_t place_of(const struct name_table *table, const struct name_slot *slot)
{
    struct name_word w = name_word_of(slice_of(slot->name, slot->n));

    return (w.mixed * table->multiplier) >> (64 - NAME_TABLE_BITS);
}

/* Under the present multiplier. */
static bool place_all(struct name_table *table, size_t count)
{
    memset(table->index, 0, sizeof(table->index));
    for (size_t i = 1; i <= count; i++) {
        uint8_t *place = &table->index[place_of(table, &table->slot[i])];

        if (*place != 0)
            return false;
        *place = (uint8_t)i;
    }
    return true;
}

/* Fills the slots from 1 on. Returns how many, or 0 where it cannot be. */
static size_t fill(struct name_table *table, const struct name_rows *lists, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        for (const struct name_row *row = lists[i].row; row->name != NULL; row++) {
            struct slice s = slice_string(row->name);
            struct name_word w = name_word_of(s);

            if (row->kind == 0 || n == NAME_TABLE_ROWS)
                return 0;
            table->slot[++n] = (struct name_slot){w.first,   w.last,     (uint32_t)s.n,
                                                  row->kind, row->value, row->name};
        }
    }
    return n;
}

int name_table_init(struct name_table *table, const struct name_rows *lists, size_t count)
{
    uint64_t seed = 0x2545f4914f6cdd1dull;
    size_t n = fill(table, lists, count);

    if (n == 0)
        return -EINVAL;
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        table->multiplier = seed | 1;
        if (place_all(table, n))
            return 0;
    }
    return -EINVAL;
}
