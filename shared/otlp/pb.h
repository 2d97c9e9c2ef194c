/*
 * pb: protobuf's wire format, written and read through raw pointers. Everything is inline: the
 * converter writes some fifty fields per record.
 *
 * Writing: the caller has made room. Varints are minimal. A nested message whose length is not
 * known beforehand gets its length's likely width reserved; pb_nest_end moves the content in the
 * rare other case and so needs PB_NEST_SLACK bytes of room behind the end.
 *
 * Reading: untrusted bytes. pb_next gives one field at a time and never reads past `end`.
 */
#ifndef SHARED_OTLP_PB_H
#define SHARED_OTLP_PB_H

#include "shared/base/bytes.h"
#include "shared/base/slice.h"

#include <errno.h>

#define PB_MAX_VARINT_BYTES 10
/* The most that pb_nest_end adds: a length has at most 5 bytes here, at least 1 is reserved. */
#define PB_NEST_SLACK 4

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

/* Field number and wire type to a key. Keys below 128 are one byte: all of OTLP logs. */
#define PB_KEY(field, wire) (((unsigned)(field) << 3) | (unsigned)(wire))

static inline unsigned pb_varint_bytes(uint64_t v)
{
    /* 64 - clz bits, seven to a byte, rounded up; without a division. */
    return (9u * (64u - (unsigned)__builtin_clzll(v | 1)) + 64u) / 64u;
}

static inline uint8_t *pb_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *pb_put_raw(uint8_t *p, const void *from, size_t n)
{
    if (n > 0)
        memcpy(p, from, n);
    return p + n;
}

/* A bytes, string or message field with its content. */
static inline uint8_t *pb_put_bytes(uint8_t *p, uint8_t key, struct slice s)
{
    *p++ = key;
    p = pb_put_varint(p, s.n);
    return pb_put_raw(p, s.p, s.n);
}

static inline uint8_t *pb_put_fixed64(uint8_t *p, uint8_t key, uint64_t v)
{
    *p++ = key;
    bytes_put_le64(p, v);
    return p + 8;
}

static inline uint8_t *pb_put_fixed32(uint8_t *p, uint8_t key, uint32_t v)
{
    *p++ = key;
    bytes_put_le32(p, v);
    return p + 4;
}

/* Begins a message field; returns where its content begins. `width` bytes are reserved. */
static inline uint8_t *pb_nest_begin(uint8_t *p, uint8_t key, unsigned width)
{
    *p = key;
    return p + 1 + width;
}

/* Ends it: `content` and `width` as before, `end` behind the content. Returns the new end. */
static inline uint8_t *pb_nest_end(uint8_t *content, unsigned width, uint8_t *end)
{
    size_t n = (size_t)(end - content);
    unsigned need = pb_varint_bytes(n);

    if (__builtin_expect(need != width, 0))
        memmove(content - width + need, content, n);
    pb_put_varint(content - width, n);
    return end - width + need;
}

struct pb_reader {
    const uint8_t *p;
    const uint8_t *end;
};

struct pb_field {
    uint32_t number;
    enum pb_wire wire;
    uint64_t value;     /* PB_VARINT, PB_FIXED64, PB_FIXED32 */
    struct slice bytes; /* PB_BYTES */
};

static inline struct pb_reader pb_reader_of(struct slice s)
{
    return (struct pb_reader){s.p, s.p + s.n};
}

/* Returns 0 or -EBADMSG: cut off, or longer than ten bytes. */
static inline int pb_get_varint(struct pb_reader *r, uint64_t *ret_v)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;

        if (shift == 63 && byte > 1)
            return -EBADMSG;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_v = v;
            return 0;
        }
    }
    return -EBADMSG;
}

/*
 * The next field. Returns 1, 0 at the exact end, or -EBADMSG: cut off, field number 0 or above
 * 2^29 - 1, a group (deprecated, none in OTLP) or an unknown wire type.
 */
static inline int pb_next(struct pb_reader *r, struct pb_field *ret)
{
    uint64_t key, n;

    if (r->p == r->end)
        return 0;
    if (pb_get_varint(r, &key) < 0 || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return -EBADMSG;
    ret->number = (uint32_t)(key >> 3);
    ret->wire = (enum pb_wire)(key & 7);
    switch (key & 7) {
    case PB_VARINT:
        return pb_get_varint(r, &ret->value) < 0 ? -EBADMSG : 1;
    case PB_FIXED64:
        if (r->end - r->p < 8)
            return -EBADMSG;
        ret->value = bytes_get_le64(r->p);
        r->p += 8;
        return 1;
    case PB_FIXED32:
        if (r->end - r->p < 4)
            return -EBADMSG;
        ret->value = bytes_get_le32(r->p);
        r->p += 4;
        return 1;
    case PB_BYTES:
        if (pb_get_varint(r, &n) < 0 || n > (uint64_t)(r->end - r->p))
            return -EBADMSG;
        ret->bytes = (struct slice){r->p, (size_t)n};
        r->p += n;
        return 1;
    default:
        return -EBADMSG;
    }
}

#endif
