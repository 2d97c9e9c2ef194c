/*
 * mp_write: MessagePack, written into a buffer. The JSON reader and the text detectors say what
 * they found in it, so that everything that a record can be goes one way through record.c.
 *
 * Errors are kept: after the first one (out of memory, the buffer's limit) nothing more is written,
 * and `failed` is set; look once, at the end. What was written stays where it is only as long as
 * nothing more is written into the same buffer: it may move.
 */
#ifndef PROCESSOR_MP_WRITE_H
#define PROCESSOR_MP_WRITE_H

#include "shared/base/buf.h"
#include "shared/base/bytes.h"

struct mp_writer {
    struct buf *buf;
    uint32_t pairs; /* for a list of pairs without a header: how many; the caller counts */
    bool failed;
};

/* Begins at the end of what is in buf. */
static inline struct mp_writer mp_writer_of(struct buf *buf)
{
    return (struct mp_writer){.buf = buf};
}

void mp_put_nil(struct mp_writer *w);
void mp_put_bool(struct mp_writer *w, bool v);
void mp_put_uint(struct mp_writer *w, uint64_t v);
/* Any sign; not negative ones as mp_put_uint. */
void mp_put_int(struct mp_writer *w, int64_t v);
void mp_put_float(struct mp_writer *w, double v);
void mp_put_str(struct mp_writer *w, struct slice text);

/* A str of unknown length: returns where its content begins, an offset into the buffer; the caller
 * appends at most `max_bytes` bytes with mp_put_raw and ends it. */
size_t mp_str_begin(struct mp_writer *w, size_t max_bytes);
void mp_put_raw(struct mp_writer *w, const void *p, size_t n);
void mp_str_end(struct mp_writer *w, size_t content);

/*
 * A container of a count that is known only at its end. begin returns a mark for end; what lies
 * between are its values, of a map key and value in turn.
 */
size_t mp_array_begin(struct mp_writer *w);
void mp_array_end(struct mp_writer *w, size_t mark, uint32_t count);
size_t mp_map_begin(struct mp_writer *w);
void mp_map_end(struct mp_writer *w, size_t mark, uint32_t pairs);

/* key and text, both str; counts the pair. */
void mp_put_pair(struct mp_writer *w, const char *key, struct slice text);

#endif
