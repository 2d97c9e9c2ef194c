/*
 * key_set: the attribute keys that a record has had so far, to keep them unique. OTLP wants unique
 * keys, and nothing of a record may be lost: the second "a" becomes "a#2".
 *
 * Up to KEY_SET_SMALL keys it is a filter word and an array; beyond, a hash table that grows, so
 * that a hostile record of a million keys costs a million steps. Keys are borrowed; new names that
 * key_set_rename makes live until the next key_set_clear.
 */
#ifndef PROCESSOR_KEY_SET_H
#define PROCESSOR_KEY_SET_H

#include "processor/name_table.h"
#include "shared/base/arena.h"

#define KEY_SET_SMALL 64

struct key_entry {
    uint64_t hash;
    struct slice key;
    uint32_t next; /* the number that its next duplicate gets */
};

struct key_set {
    uint64_t filter; /* a bit per hash */
    size_t count;
    struct key_entry small[KEY_SET_SMALL];
    struct key_entry *table; /* in use when count > KEY_SET_SMALL */
    size_t table_size;       /* a power of two, at least twice count */
    size_t table_capacity;
    bool has_names; /* in the arena */
    struct arena names;
};

void key_set_init(struct key_set *set);
void key_set_fini(struct key_set *set);

void key_set_clear_slow(struct key_set *set);

static inline void key_set_clear(struct key_set *set)
{
    if (__builtin_expect(set->count > KEY_SET_SMALL || set->has_names, 0))
        key_set_clear_slow(set);
    set->filter = 0;
    set->count = 0;
}

/* hash is a name_word's `mixed` everywhere. */
static inline uint64_t key_set_bit(uint64_t hash)
{
    return 1ull << ((hash * 0xff51afd7ed558ccdull) >> 58);
}

/* Returns 1 if the key is new and was added, 0 if it is there already, or -ENOMEM. */
int key_set_add_slow(struct key_set *set, struct slice key, uint64_t hash);

static inline int key_set_add(struct key_set *set, struct slice key, uint64_t hash)
{
    uint64_t bit = key_set_bit(hash);

    if (__builtin_expect((set->filter & bit) == 0 && set->count < KEY_SET_SMALL, 1)) {
        set->filter |= bit;
        struct key_entry *entry = &set->small[set->count++];

        entry->hash = hash;
        entry->key.p = key.p;
        entry->key.n = key.n;
        entry->next = 2;
        return 1;
    }
    return key_set_add_slow(set, key, hash);
}

/* A copy of a key that lives until the next key_set_clear. Returns 0 or -ENOMEM. */
int key_set_keep(struct key_set *set, struct slice key, struct slice *ret_key);

/*
 * Names that differ only in bytes that are no UTF-8 become one when they are written: so they are
 * made what they will be, before they are compared. Returns 0 or -ENOMEM.
 */
int key_set_repair(struct key_set *set, struct slice *key);

/* Room for n bytes of a name, as long-lived. NULL: out of memory. */
uint8_t *key_set_room(struct key_set *set, size_t n);

/* A free name for a key that is there already; added. Returns 0 or -ENOMEM. */
int key_set_rename(struct key_set *set, struct slice key, uint64_t hash, struct slice *ret_key);

#endif
