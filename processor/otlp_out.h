/*
 * otlp_out: where a record's OTLP bytes are written: the tail of a group's buffer, through a raw
 * pointer with room checked once per field. For record.c and otlp_value.c.
 *
 * The bytes lie behind buf->n, which stays as it was until frame_builder_record counts them in: a
 * record that is given up leaves no trace. Positions that must survive growth are offsets.
 */
#ifndef PROCESSOR_OTLP_OUT_H
#define PROCESSOR_OTLP_OUT_H

#include "shared/base/buf.h"
#include "shared/otlp/pb.h"
#include "shared/otlp/utf8.h"

struct otlp_out {
    struct buf *buf;
    uint8_t *w;   /* next byte */
    uint8_t *end; /* end of the room */
};

static inline struct otlp_out otlp_out_of(struct buf *buf)
{
    return (struct otlp_out){buf, buf->p + buf->n, buf->p + buf->cap};
}

/* Returns 0, -ENOMEM, or -EFBIG at the buffer's limit. */
int otlp_out_grow(struct otlp_out *o, size_t n);

static inline int otlp_out_need(struct otlp_out *o, size_t n)
{
    if (__builtin_expect((size_t)(o->end - o->w) >= n, 1))
        return 0;
    return otlp_out_grow(o, n);
}

static inline size_t otlp_out_offset(const struct otlp_out *o)
{
    return (size_t)(o->w - o->buf->p);
}

/*
 * Begins a message field and returns its content's offset for otlp_out_nest_end, which writes the
 * length. `width` bytes are reserved for it. The caller has room for key, width and PB_NEST_SLACK.
 */
static inline size_t otlp_out_nest_begin(struct otlp_out *o, uint8_t key, unsigned width)
{
    o->w = pb_nest_begin(o->w, key, width);
    return otlp_out_offset(o);
}

/* Needs PB_NEST_SLACK bytes of room. */
static inline void otlp_out_nest_end(struct otlp_out *o, size_t content, unsigned width)
{
    o->w = pb_nest_end(o->buf->p + content, width, o->w);
}

/*
 * Copies n bytes and tells whether any of them is above 0x7f. Never reads or writes outside of the
 * n bytes. Most log text is short ASCII: this is the converter's innermost step.
 */
static inline bool otlp_out_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    const uint64_t high = 0x8080808080808080ull;

#ifdef __SSE2__
    if (n >= 16) {
        __m128i tail = _mm_loadu_si128((const __m128i *)(const void *)(from + n - 16));
        __m128i all = tail;

        for (size_t i = 0; i + 16 < n; i += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(from + i));

            _mm_storeu_si128((__m128i *)(void *)(to + i), v);
            all = _mm_or_si128(all, v);
        }
        _mm_storeu_si128((__m128i *)(void *)(to + n - 16), tail);
        return _mm_movemask_epi8(all) != 0;
    }
#endif
    if (n >= 8) {
        uint64_t tail, all;

        memcpy(&tail, from + n - 8, 8);
        all = tail;
        for (size_t i = 0; i + 8 < n; i += 8) {
            uint64_t v;

            memcpy(&v, from + i, 8);
            memcpy(to + i, &v, 8);
            all |= v;
        }
        memcpy(to + n - 8, &tail, 8);
        return (all & high) != 0;
    }
    if (n >= 4) {
        uint32_t a, b;

        memcpy(&a, from, 4);
        memcpy(&b, from + n - 4, 4);
        memcpy(to, &a, 4);
        memcpy(to + n - 4, &b, 4);
        return ((a | b) & (uint32_t)high) != 0;
    }
    if (n > 0) {
        uint8_t a = from[0], b = from[n / 2], c = from[n - 1];

        to[0] = a;
        to[n / 2] = b;
        to[n - 1] = c;
        return ((a | b | c) & 0x80) != 0;
    }
    return false;
}

#endif
