#include "processor/name_table.h"

#include <errno.h>

/* About 100 names in 1,024 slots need some 150 tries; the limit only ends a hopeless search. */
#define MAX_TRIES 1000000

static bool place(struct name_table *table, const struct name_row *row)
{
    struct slice s = slice_string(row->name);
    struct name_word w = name_word_of(s);
    struct name_slot *slot = &table->slot[(w.mixed * table->multiplier) >> (64 - NAME_TABLE_BITS)];

    if (slot->name != NULL)
        return false;
    *slot = (struct name_slot){w.first, w.last, (uint32_t)s.n, row->kind, row->value, row->name};
    return true;
}

static bool place_all(struct name_table *table, const struct name_rows *lists, size_t count)
{
    memset(table->slot, 0, sizeof(table->slot));
    for (size_t i = 0; i < count; i++)
        for (const struct name_row *row = lists[i].row; row->name != NULL; row++)
            if (row->kind == 0 || !place(table, row))
                return false;
    return true;
}

int name_table_init(struct name_table *table, const struct name_rows *lists, size_t count)
{
    uint64_t seed = 0x2545f4914f6cdd1dull;

    for (unsigned i = 0; i < MAX_TRIES; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        table->multiplier = seed | 1;
        if (place_all(table, lists, count))
            return 0;
    }
    return -EINVAL;
}
