#include "shared/base/arena.h"

#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct arena_block {
    struct arena_block *next;
    size_t bytes; /* of data */
    alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena, struct arena_limits limits)
{
    *arena = (struct arena){.limits = limits};
}

void arena_unpoison(void *p, size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(p, size);
}

static void free_blocks(struct arena *arena, struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;

        arena->owned_bytes -= sizeof(*block) + block->bytes;
        ASAN_UNPOISON_MEMORY_REGION(block->data, block->bytes);
        free(block);
        block = next;
    }
}

void arena_fini(struct arena *arena)
{
    free_blocks(arena, arena->first);
    arena_init(arena, arena->limits);
}

static void enter_block(struct arena *arena, struct arena_block *block)
{
    arena->current = block;
    arena->p = block->data;
    arena->end = block->data + block->bytes;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->first;
    size_t kept = 0;

    if (block == NULL)
        return;
    for (;;) {
        ASAN_POISON_MEMORY_REGION(block->data, block->bytes);
        kept += sizeof(*block) + block->bytes;
        if (block->next == NULL ||
            kept + sizeof(*block) + block->next->bytes > arena->limits.keep_bytes)
            break;
        block = block->next;
    }
    free_blocks(arena, block->next);
    block->next = NULL;
    /* The first block of all may be an oversized one; it does not outlive the batch either. */
    if (arena->owned_bytes > arena->limits.keep_bytes &&
        arena->first->bytes > arena->limits.block_bytes) {
        arena_fini(arena);
        return;
    }
    enter_block(arena, arena->first);
}

void *arena_alloc_slow(struct arena *arena, size_t size, size_t align)
{
    struct arena_block *next = arena->current != NULL ? arena->current->next : NULL;
    size_t bytes = size > arena->limits.block_bytes ? size : arena->limits.block_bytes;
    struct arena_block *block;
    size_t total;

    if (next != NULL && next->bytes >= size) {
        enter_block(arena, next);
        return arena_alloc(arena, size, align);
    }
    if (__builtin_add_overflow(bytes, sizeof(*block), &total) ||
        arena->owned_bytes > arena->limits.max_bytes ||
        total > arena->limits.max_bytes - arena->owned_bytes)
        return NULL;
    block = malloc(total);
    if (block == NULL)
        return NULL;
    *block = (struct arena_block){.next = next, .bytes = bytes};
    ASAN_POISON_MEMORY_REGION(block->data, bytes);
    if (arena->current != NULL)
        arena->current->next = block;
    else
        arena->first = block;
    arena->owned_bytes += total;
    enter_block(arena, block);
    return arena_alloc(arena, size, align);
}

void *arena_copy(struct arena *arena, const void *p, size_t n)
{
    void *copy = arena_alloc(arena, n, 1);

    if (copy != NULL && n > 0)
        memcpy(copy, p, n);
    return copy;
}
