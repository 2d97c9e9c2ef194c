#include "shared/base/buf.h"

#include <errno.h>
#include <stdlib.h>

#define BUF_MIN_BYTES 256

void buf_init(struct buf *buf, size_t max_bytes)
{
    *buf = (struct buf){.max_bytes = max_bytes};
}

void buf_fini(struct buf *buf)
{
    free(buf->p);
    *buf = (struct buf){.max_bytes = buf->max_bytes};
}

int buf_grow(struct buf *buf, size_t extra)
{
    size_t want, cap;
    uint8_t *p;

    if (__builtin_add_overflow(buf->n, extra, &want) || want > buf->max_bytes)
        return -ENOMEM;
    cap = buf->cap < BUF_MIN_BYTES ? BUF_MIN_BYTES : buf->cap;
    while (cap < want)
        cap = cap > buf->max_bytes / 2 ? buf->max_bytes : cap * 2;
    if (cap > buf->max_bytes)
        cap = buf->max_bytes;
    p = realloc(buf->p, cap);
    if (p == NULL)
        return -ENOMEM;
    buf->p = p;
    buf->cap = cap;
    return 0;
}

int buf_append(struct buf *buf, const void *p, size_t n)
{
    int r = buf_reserve(buf, n);

    if (r < 0)
        return r;
    if (n > 0)
        memcpy(buf->p + buf->n, p, n);
    buf->n += n;
    return 0;
}

void buf_trim(struct buf *buf, size_t keep_bytes)
{
    uint8_t *p;

    if (buf->cap <= keep_bytes || buf->n > keep_bytes)
        return;
    if (keep_bytes == 0) {
        buf_fini(buf);
        return;
    }
    p = realloc(buf->p, keep_bytes);
    if (p == NULL)
        return;
    buf->p = p;
    buf->cap = keep_bytes;
}
