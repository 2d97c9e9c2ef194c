#include "receiver/table.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOTS 64u
#define NO_SLOT UINT32_MAX

struct slot {
    void *member;
    uint32_t generation;
    uint32_t next_free;
};

struct table {
    struct slot *slots;
    uint32_t count; /* slots */
    uint32_t used;
    uint32_t free; /* first free slot */
};

struct table *table_new(void)
{
    struct table *table = calloc(1, sizeof(*table));

    if (table)
        table->free = NO_SLOT;
    return table;
}

void table_free(struct table **table)
{
    if (*table)
        free((*table)->slots);
    free(*table);
    *table = NULL;
}

static int grow(struct table *table)
{
    uint32_t count = table->count == 0 ? FIRST_SLOTS : 2 * table->count;
    struct slot *slots;

    if (count >= NO_SLOT / 2)
        return -ENOMEM;
    slots = reallocarray(table->slots, count, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    /* Lower slots are handed out first. */
    for (uint32_t i = count; i-- > table->count;) {
        slots[i] = (struct slot){.next_free = table->free};
        table->free = i;
    }
    table->slots = slots;
    table->count = count;
    return 0;
}

int table_add(struct table *table, void *member, uint64_t *ret_handle)
{
    struct slot *slot;
    uint32_t index;

    if (table->free == NO_SLOT && grow(table) < 0)
        return -ENOMEM;
    index = table->free;
    slot = &table->slots[index];
    table->free = slot->next_free;
    slot->member = member;
    table->used++;
    *ret_handle = (uint64_t)slot->generation << 32 | index;
    return 0;
}

static struct slot *slot_of(const struct table *table, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;

    if (index >= table->count || table->slots[index].generation != handle >> 32 ||
        !table->slots[index].member)
        return NULL;
    return &table->slots[index];
}

void table_remove(struct table *table, uint64_t handle)
{
    struct slot *slot = slot_of(table, handle);

    if (!slot)
        return;
    slot->member = NULL;
    slot->generation = (slot->generation + 1) & 0x7fffffffu;
    slot->next_free = table->free;
    table->free = (uint32_t)handle;
    table->used--;
}

void *table_find(const struct table *table, uint64_t handle)
{
    struct slot *slot = slot_of(table, handle);

    return slot ? slot->member : NULL;
}

size_t table_count(const struct table *table)
{
    return table->used;
}
