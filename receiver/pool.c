#include "receiver/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SMALLEST_BYTES 4096u
#define MAPPED_BYTES (128u << 10) /* from here on a buffer is a mapping */
#define CLASSES 32u

/* A kept buffer holds the link to the next one of its class in its first bytes. */
struct kept {
    struct kept *next;
};

struct pool {
    size_t largest;
    size_t keep_bytes;
    size_t kept_bytes;
    struct kept *kept[CLASSES];
};

struct pool *pool_new(size_t largest_bytes, size_t keep_bytes)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (pool) {
        pool->largest = (largest_bytes + SMALLEST_BYTES - 1) / SMALLEST_BYTES * SMALLEST_BYTES;
        pool->keep_bytes = keep_bytes;
    }
    return pool;
}

void pool_free(struct pool **pool)
{
    if (*pool)
        pool_trim(*pool);
    free(*pool);
    *pool = NULL;
}

static unsigned class_of(const struct pool *pool, size_t bytes)
{
    unsigned class = 0;

    while (((size_t)SMALLEST_BYTES << class) < bytes &&
           ((size_t)SMALLEST_BYTES << class) < pool->largest)
        class ++;
    return class;
}

static size_t class_bytes(const struct pool *pool, unsigned class)
{
    size_t bytes = (size_t)SMALLEST_BYTES << class;

    return bytes < pool->largest ? bytes : pool->largest;
}

size_t pool_class(const struct pool *pool, size_t bytes)
{
    return class_bytes(pool, class_of(pool, bytes));
}

static void *memory_new(size_t bytes)
{
    void *p;

    if (bytes < MAPPED_BYTES)
        return malloc(bytes);
    p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void memory_free(void *p, size_t bytes)
{
    if (bytes < MAPPED_BYTES)
        free(p);
    else
        munmap(p, bytes);
}

int pool_take(struct pool *pool, size_t bytes, struct pool_buffer *ret)
{
    unsigned class = class_of(pool, bytes);
    size_t size = class_bytes(pool, class);
    struct kept *kept = pool->kept[class];
    void *p = kept;

    if (kept) {
        pool->kept[class] = kept->next;
        pool->kept_bytes -= size;
    } else {
        p = memory_new(size);
        if (!p)
            return -ENOMEM;
    }
    *ret = (struct pool_buffer){.p = p, .bytes = size};
    return 0;
}

int pool_grow(struct pool *pool, struct pool_buffer *buffer, size_t used, size_t bytes)
{
    size_t size = pool_class(pool, bytes);
    struct pool_buffer grown;

    if (size <= buffer->bytes)
        return 0;
    if (buffer->bytes >= MAPPED_BYTES) {
        void *p = mremap(buffer->p, buffer->bytes, size, MREMAP_MAYMOVE);

        if (p == MAP_FAILED)
            return -ENOMEM;
        *buffer = (struct pool_buffer){.p = p, .bytes = size};
        return 0;
    }
    if (pool_take(pool, bytes, &grown) < 0)
        return -ENOMEM;
    memcpy(grown.p, buffer->p, used);
    pool_give(pool, buffer);
    *buffer = grown;
    return 0;
}

void pool_give(struct pool *pool, struct pool_buffer *buffer)
{
    unsigned class;
    struct kept *kept = (struct kept *)(void *)buffer->p;

    if (!buffer->p)
        return;
    if (pool->kept_bytes + buffer->bytes > pool->keep_bytes) {
        memory_free(buffer->p, buffer->bytes);
    } else {
        class = class_of(pool, buffer->bytes);
        kept->next = pool->kept[class];
        pool->kept[class] = kept;
        pool->kept_bytes += buffer->bytes;
    }
    *buffer = (struct pool_buffer){0};
}

void pool_trim(struct pool *pool)
{
    for (unsigned class = 0; class < CLASSES; class ++) {
        while (pool->kept[class]) {
            struct kept *kept = pool->kept[class];

            pool->kept[class] = kept->next;
            memory_free(kept, class_bytes(pool, class));
        }
    }
    pool->kept_bytes = 0;
}

size_t pool_kept(const struct pool *pool)
{
    return pool->kept_bytes;
}
