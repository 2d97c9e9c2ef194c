/*
 * mp_encode: the bytes of single MessagePack values, at a place that has room for them. For
 * mp_write.c and json_mp.c, which see to the room. Each returns the end of what it wrote; integers
 * and lengths take the shortest form.
 */
#ifndef PROCESSOR_MP_ENCODE_H
#define PROCESSOR_MP_ENCODE_H

#include "shared/base/bytes.h"

#include <stdbool.h>

/* The most that a number or the head of a str or a container takes. */
#define MP_ENCODE_MAX_BYTES 9

enum mp_encode_byte {
    MP_ENCODE_FIXMAP = 0x80,
    MP_ENCODE_FIXARRAY = 0x90,
    MP_ENCODE_FIXSTR = 0xa0,
    MP_ENCODE_NIL = 0xc0,
    MP_ENCODE_FALSE = 0xc2,
    MP_ENCODE_TRUE = 0xc3,
    MP_ENCODE_FLOAT64 = 0xcb,
    MP_ENCODE_UINT8 = 0xcc,
    MP_ENCODE_UINT16 = 0xcd,
    MP_ENCODE_UINT32 = 0xce,
    MP_ENCODE_UINT64 = 0xcf,
    MP_ENCODE_INT8 = 0xd0,
    MP_ENCODE_INT16 = 0xd1,
    MP_ENCODE_INT32 = 0xd2,
    MP_ENCODE_INT64 = 0xd3,
    MP_ENCODE_STR8 = 0xd9,
    MP_ENCODE_STR16 = 0xda,
    MP_ENCODE_STR32 = 0xdb,
    MP_ENCODE_ARRAY16 = 0xdc,
    MP_ENCODE_ARRAY32 = 0xdd,
    MP_ENCODE_MAP16 = 0xde,
    MP_ENCODE_MAP32 = 0xdf
};

static inline uint8_t *mp_encode_8(uint8_t *to, uint8_t type, uint8_t v)
{
    to[0] = type;
    to[1] = v;
    return to + 2;
}

static inline uint8_t *mp_encode_16(uint8_t *to, uint8_t type, uint16_t v)
{
    to[0] = type;
    bytes_put_be16(to + 1, v);
    return to + 3;
}

static inline uint8_t *mp_encode_32(uint8_t *to, uint8_t type, uint32_t v)
{
    to[0] = type;
    bytes_put_be32(to + 1, v);
    return to + 5;
}

static inline uint8_t *mp_encode_64(uint8_t *to, uint8_t type, uint64_t v)
{
    to[0] = type;
    bytes_put_be64(to + 1, v);
    return to + 9;
}

static inline uint8_t *mp_encode_uint(uint8_t *to, uint64_t v)
{
    if (v < 0x80) {
        *to = (uint8_t)v;
        return to + 1;
    }
    if (v <= UINT8_MAX)
        return mp_encode_8(to, MP_ENCODE_UINT8, (uint8_t)v);
    if (v <= UINT16_MAX)
        return mp_encode_16(to, MP_ENCODE_UINT16, (uint16_t)v);
    if (v <= UINT32_MAX)
        return mp_encode_32(to, MP_ENCODE_UINT32, (uint32_t)v);
    return mp_encode_64(to, MP_ENCODE_UINT64, v);
}

/* Any sign; what is not negative as mp_encode_uint. */
static inline uint8_t *mp_encode_int(uint8_t *to, int64_t v)
{
    if (v >= 0)
        return mp_encode_uint(to, (uint64_t)v);
    if (v >= -32) {
        *to = (uint8_t)v;
        return to + 1;
    }
    if (v >= INT8_MIN)
        return mp_encode_8(to, MP_ENCODE_INT8, (uint8_t)v);
    if (v >= INT16_MIN)
        return mp_encode_16(to, MP_ENCODE_INT16, (uint16_t)v);
    if (v >= INT32_MIN)
        return mp_encode_32(to, MP_ENCODE_INT32, (uint32_t)v);
    return mp_encode_64(to, MP_ENCODE_INT64, (uint64_t)v);
}

static inline uint8_t *mp_encode_float(uint8_t *to, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return mp_encode_64(to, MP_ENCODE_FLOAT64, bits);
}

/* The head of a str of n bytes. */
static inline uint8_t *mp_encode_str(uint8_t *to, uint32_t n)
{
    if (n < 32) {
        *to = (uint8_t)(MP_ENCODE_FIXSTR | n);
        return to + 1;
    }
    if (n <= UINT8_MAX)
        return mp_encode_8(to, MP_ENCODE_STR8, (uint8_t)n);
    if (n <= UINT16_MAX)
        return mp_encode_16(to, MP_ENCODE_STR16, (uint16_t)n);
    return mp_encode_32(to, MP_ENCODE_STR32, n);
}

#endif
