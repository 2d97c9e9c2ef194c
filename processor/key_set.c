#include "processor/key_set.h"

#include "shared/base/hash.h"
#include "shared/otlp/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE_MIN (KEY_SET_SMALL * 4)
#define SUFFIX_BYTES 12 /* '#' and a 32-bit number */

/* Names of ordinary odd records fit into one block, which stays. */
static const struct arena_limits name_limits = {
    .block_bytes = 16 << 10, .keep_bytes = 64 << 10, .max_bytes = (size_t)1 << 30};

void key_set_init(struct key_set *set)
{
    *set = (struct key_set){.count = 0};
    arena_init(&set->names, name_limits);
}

void key_set_fini(struct key_set *set)
{
    arena_fini(&set->names);
    free(set->table);
    key_set_init(set);
}

void key_set_clear_slow(struct key_set *set)
{
    if (set->has_names)
        arena_reset(&set->names);
    set->has_names = false;
    /* After a monster: give its memory back. */
    if (set->table_capacity > TABLE_MIN * 64) {
        free(set->table);
        set->table = NULL;
        set->table_capacity = 0;
    }
    set->table_size = 0;
}

/*
 * The table's hash looks at every byte: the caller's sees 16 of them, and a client could send any
 * number of keys that are alike there.
 */
static uint64_t full_hash(struct slice key)
{
    return hash_slices(&key, 1).low;
}

/* hash: full_hash(key) */
static struct key_entry *find_slot(struct key_set *set, struct slice key, uint64_t hash)
{
    size_t mask = set->table_size - 1;
    /* Where the table lies is not known outside: keys that meet cannot be found beforehand. */
    size_t at = (hash * ((uintptr_t)set->table | 1)) >> 32 & mask;

    while (set->table[at].key.p != NULL &&
           (set->table[at].hash != hash || !slice_equal(set->table[at].key, key)))
        at = (at + 1) & mask;
    return &set->table[at];
}

/* The entry of a key that is there, or NULL. */
static struct key_entry *find(struct key_set *set, struct slice key, uint64_t hash)
{
    if (set->count > KEY_SET_SMALL) {
        struct key_entry *entry = find_slot(set, key, full_hash(key));

        return entry->key.p != NULL ? entry : NULL;
    }
    for (size_t i = 0; i < set->count; i++)
        if (set->small[i].hash == hash && slice_equal(set->small[i].key, key))
            return &set->small[i];
    return NULL;
}

/* Puts everything into a table of `size` slots. */
static int rebuild(struct key_set *set, size_t size)
{
    struct key_entry *old = set->table, *table;
    size_t old_size = set->count > KEY_SET_SMALL ? set->table_size : 0;

    if (old_size == 0 && set->table_capacity >= size) {
        table = set->table;
        memset(table, 0, size * sizeof(*table));
        old = NULL;
    } else {
        table = calloc(size, sizeof(*table));
        if (table == NULL)
            return -ENOMEM;
        set->table_capacity = size;
    }
    set->table = table;
    set->table_size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].key.p != NULL)
            *find_slot(set, old[i].key, old[i].hash) = old[i];
    if (old_size == 0)
        for (size_t i = 0; i < set->count; i++) {
            struct key_entry entry = set->small[i];

            entry.hash = full_hash(entry.key);
            *find_slot(set, entry.key, entry.hash) = entry;
        }
    free(old);
    return 0;
}

int key_set_add_slow(struct key_set *set, struct slice key, uint64_t hash)
{
    int r = 0;

    /* Slots are empty where the pointer is NULL, so the empty key needs one. */
    if (key.p == NULL)
        key.p = (const uint8_t *)"";
    if (find(set, key, hash) != NULL)
        return 0;
    if (set->count < KEY_SET_SMALL) {
        set->filter |= key_set_bit(hash);
        set->small[set->count++] = (struct key_entry){hash, key, 2};
        return 1;
    }
    if (set->count == KEY_SET_SMALL)
        r = rebuild(set, TABLE_MIN);
    else if ((set->count + 1) * 2 > set->table_size)
        r = rebuild(set, set->table_size * 2);
    if (r < 0)
        return r;
    hash = full_hash(key);
    *find_slot(set, key, hash) = (struct key_entry){hash, key, 2};
    set->count++;
    return 1;
}

uint8_t *key_set_room(struct key_set *set, size_t n)
{
    set->has_names = true;
    return arena_new_array(&set->names, n, uint8_t);
}

int key_set_repair(struct key_set *set, struct slice *key)
{
    uint8_t *text;
    size_t n;

    if (utf8_is_valid(*key))
        return 0;
    n = utf8_sanitized_bytes(*key);
    text = key_set_room(set, n);
    if (text == NULL)
        return -ENOMEM;
    utf8_sanitize(text, *key);
    *key = slice_of(text, n);
    return 0;
}

int key_set_keep(struct key_set *set, struct slice key, struct slice *ret_key)
{
    uint8_t *name = key_set_room(set, key.n + 1);

    if (name == NULL)
        return -ENOMEM;
    if (key.n > 0)
        memcpy(name, key.p, key.n);
    *ret_key = slice_of(name, key.n);
    return 0;
}

int key_set_rename(struct key_set *set, struct slice key, uint64_t hash, struct slice *ret_key)
{
    uint8_t *name = key_set_room(set, key.n + SUFFIX_BYTES);

    if (name == NULL)
        return -ENOMEM;
    if (key.n > 0)
        memcpy(name, key.p, key.n);
    for (;;) {
        /* Looked up each time: adding may have moved it. */
        struct key_entry *entry = find(set, key, hash);
        int n = snprintf((char *)name + key.n, SUFFIX_BYTES, "#%u", entry->next++);
        struct slice candidate = slice_of(name, key.n + (size_t)n);
        struct name_word w = name_word_of(candidate);
        int r = key_set_add(set, candidate, w.mixed);

        if (r < 0)
            return r;
        if (r == 1) {
            *ret_key = candidate;
            return 0;
        }
    }
}
