/*
 * table: handles for connections. A handle is a slot and the slot's generation, so an answer or an
 * event that comes late for a connection that is gone finds nothing, and never its successor.
 */
#ifndef RECEIVER_TABLE_H
#define RECEIVER_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table;

/* Handles are below this; larger numbers are free for other uses. */
#define TABLE_HANDLE_LIMIT (1ull << 63)

struct table *table_new(void);
void table_free(struct table **table);

/* Returns 0 and the handle, or -ENOMEM. `member` is borrowed. */
int table_add(struct table *table, void *member, uint64_t *ret_handle);
void table_remove(struct table *table, uint64_t handle);

/* NULL: gone. */
void *table_find(const struct table *table, uint64_t handle);

size_t table_count(const struct table *table);

#endif
