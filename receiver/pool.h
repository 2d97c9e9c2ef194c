/*
 * pool: buffers for half-received messages, in classes of size that double, from 4 KiB to what one
 * message can need. A buffer that is given back is kept for the next taker, up to a bound; what is
 * kept goes back to the kernel when the receiver is idle (pool_trim).
 *
 * Large buffers are mappings, so they grow without copying and their memory really goes back. The
 * pool does not know the budget: callers ask it first. One thread.
 */
#ifndef RECEIVER_POOL_H
#define RECEIVER_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool;

/* A buffer. p NULL: none. */
struct pool_buffer {
    uint8_t *p;
    size_t bytes; /* a class's size */
};

/* largest_bytes: the last class. keep_bytes: the most that is kept for later. NULL: out of memory. */
struct pool *pool_new(size_t largest_bytes, size_t keep_bytes);
void pool_free(struct pool **pool);

/* The size of the smallest class that holds `bytes`; the largest class where none does. */
size_t pool_class(const struct pool *pool, size_t bytes);

/* A buffer of the class of `bytes`. Returns 0 or -ENOMEM. */
int pool_take(struct pool *pool, size_t bytes, struct pool_buffer *ret);

/* Makes *buffer as large as the class of `bytes`; its first `used` bytes stay. 0 or -ENOMEM. */
int pool_grow(struct pool *pool, struct pool_buffer *buffer, size_t used, size_t bytes);

/* Takes the buffer back; *buffer is none afterwards. */
void pool_give(struct pool *pool, struct pool_buffer *buffer);

/* Frees all that is kept. */
void pool_trim(struct pool *pool);
size_t pool_kept(const struct pool *pool);

#endif
