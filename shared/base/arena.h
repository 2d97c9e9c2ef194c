/*
 * arena: memory for the things of one batch, given back all at once.
 *
 *     struct arena arena;
 *     arena_init(&arena, (struct arena_limits){.block_bytes = 256 << 10,
 *                                              .keep_bytes = 4 << 20, .max_bytes = 64 << 20});
 *     struct thing *t = arena_new(&arena, struct thing);
 *     …
 *     arena_reset(&arena);      all things of the batch are gone
 *
 * Ownership: the arena owns all it hands out, until the next reset or fini; there is no free of a
 * single thing. It grows by blocks; a thing larger than a block gets a block of its own size.
 * A reset keeps blocks of up to keep_bytes for the next batch and frees the others, so that one
 * huge batch does not stay in memory.
 *
 * Errors: NULL where max_bytes would be passed, or out of memory; the arena stays usable.
 * Under AddressSanitizer memory that is not handed out is poisoned, so that a use after reset shows.
 */
#ifndef SHARED_BASE_ARENA_H
#define SHARED_BASE_ARENA_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

struct arena_limits {
    size_t block_bytes; /* size of an ordinary block */
    size_t keep_bytes;  /* what a reset keeps; at least one block is kept */
    size_t max_bytes;   /* the most it may own */
};

struct arena_block;

struct arena {
    struct arena_limits limits;
    struct arena_block *first;
    struct arena_block *current; /* being filled; those after it are free */
    uint8_t *p;                  /* next free byte of the current block */
    uint8_t *end;
    size_t owned_bytes;
};

/* Allocates nothing yet. */
void arena_init(struct arena *arena, struct arena_limits limits);
void arena_fini(struct arena *arena);

/* Everything handed out becomes invalid. O(number of blocks). */
void arena_reset(struct arena *arena);

/* As arena_alloc, where the current block has no room. For arena_alloc only. */
void *arena_alloc_slow(struct arena *arena, size_t size, size_t align);

/* For arena_alloc only: tells AddressSanitizer that the bytes are in use. */
void arena_unpoison(void *p, size_t size);

/* Not zeroed. align: a power of two, at most alignof(max_align_t). size 0 gives a unique-enough
 * non-NULL pointer. NULL at the limit or out of memory. */
static inline void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
    size_t pad = (size_t)(-(uintptr_t)arena->p & (align - 1));
    size_t room = (size_t)(arena->end - arena->p);
    uint8_t *p;

    if (arena->p == NULL || pad > room || size > room - pad)
        return arena_alloc_slow(arena, size, align);
    p = arena->p + pad;
    arena->p = p + size;
#ifdef __SANITIZE_ADDRESS__
    arena_unpoison(p, size);
#endif
    return p;
}

#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type), alignof(type)))

/* An array; NULL also where count * sizeof(type) overflows. */
static inline void *arena_alloc_array(struct arena *arena, size_t count, size_t size, size_t align)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(arena, bytes, align);
}

#define arena_new_array(arena, count, type) \
    ((type *)arena_alloc_array((arena), (count), sizeof(type), alignof(type)))

/* A copy of n bytes, or NULL. */
void *arena_copy(struct arena *arena, const void *p, size_t n);

#endif
