/*
 * buf: a growing byte buffer that one owner keeps for the life of the process and reuses, so that
 * the data path allocates only until it has reached its working size.
 *
 * Errors: growing past `max_bytes` or out of memory returns -ENOMEM and leaves the buffer as it
 * was. Growth doubles. Not for bytes that another process sees.
 */
#ifndef SHARED_BASE_BUF_H
#define SHARED_BASE_BUF_H

#include "shared/base/slice.h"

struct buf {
    uint8_t *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes owned */
    size_t max_bytes;
};

/* max_bytes: the most it may ever own. Allocates nothing yet. */
void buf_init(struct buf *buf, size_t max_bytes);
void buf_fini(struct buf *buf);

/* Makes room for `extra` bytes behind n. The fast path is inline. */
int buf_grow(struct buf *buf, size_t extra);

static inline int buf_reserve(struct buf *buf, size_t extra)
{
    return extra <= buf->cap - buf->n ? 0 : buf_grow(buf, extra);
}

/* Appends. Returns 0 or -ENOMEM. */
int buf_append(struct buf *buf, const void *p, size_t n);

/* Gives the memory above keep_bytes back (after a burst); only when n <= keep_bytes. */
void buf_trim(struct buf *buf, size_t keep_bytes);

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->p, buf->n};
}

#endif
