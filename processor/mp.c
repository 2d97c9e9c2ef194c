#include "processor/mp.h"

static int take_bytes(struct mp *mp, size_t head, size_t n, struct mp_value *ret)
{
    if (mp_left(mp) < head || mp_left(mp) - head < n)
        return -ENODATA;
    ret->bytes = (struct slice){mp->p + head, n};
    mp->p += head + n;
    return 0;
}

/* A big-endian number of 1, 2, 4 or 8 bytes behind the first byte; the caller has checked. */
static uint64_t number(const struct mp *mp, unsigned width)
{
    switch (width) {
    case 1:
        return mp->p[1];
    case 2:
        return bytes_get_be16(mp->p + 1);
    case 4:
        return bytes_get_be32(mp->p + 1);
    default:
        return bytes_get_be64(mp->p + 1);
    }
}

/* str, bin: the length is `width` bytes. */
static int take_sized(struct mp *mp, enum mp_type type, unsigned width, struct mp_value *ret)
{
    ret->type = type;
    if (mp_left(mp) < 1 + width)
        return -ENODATA;
    return take_bytes(mp, 1 + width, number(mp, width), ret);
}

/* ext: length, then the type's byte. */
static int take_ext(struct mp *mp, unsigned width, size_t fixed, struct mp_value *ret)
{
    size_t n = fixed;

    ret->type = MP_EXT;
    if (mp_left(mp) < 2 + width)
        return -ENODATA;
    if (width > 0)
        n = number(mp, width);
    ret->ext_type = (int8_t)mp->p[1 + width];
    return take_bytes(mp, 2 + width, n, ret);
}

static int take_count(struct mp *mp, enum mp_type type, unsigned width, struct mp_value *ret)
{
    if (mp_left(mp) < 1 + width)
        return -ENODATA;
    ret->type = type;
    ret->count = (uint32_t)number(mp, width);
    mp->p += 1 + width;
    return 0;
}

static int take_uint(struct mp *mp, unsigned width, struct mp_value *ret)
{
    if (mp_left(mp) < 1 + width)
        return -ENODATA;
    ret->type = MP_UINT;
    ret->u = number(mp, width);
    mp->p += 1 + width;
    return 0;
}

static int take_int(struct mp *mp, unsigned width, struct mp_value *ret)
{
    unsigned shift = 64 - 8 * width;

    if (mp_left(mp) < 1 + width)
        return -ENODATA;
    ret->i = (int64_t)(number(mp, width) << shift) >> shift;
    ret->type = ret->i < 0 ? MP_INT : MP_UINT;
    mp->p += 1 + width;
    return 0;
}

static int take_float(struct mp *mp, unsigned width, struct mp_value *ret)
{
    uint64_t bits;

    if (mp_left(mp) < 1 + width)
        return -ENODATA;
    bits = number(mp, width);
    ret->type = MP_FLOAT;
    if (width == 4) {
        uint32_t bits32 = (uint32_t)bits;
        float f;

        memcpy(&f, &bits32, sizeof(f));
        ret->d = (double)f;
    } else {
        memcpy(&ret->d, &bits, sizeof(ret->d));
    }
    mp->p += 1 + width;
    return 0;
}

/* The forms whose first byte holds the value or the length. */
static int take_small(struct mp *mp, struct mp_value *ret)
{
    uint8_t c = *mp->p;

    if (c >= 0xa0 && c <= 0xbf) {
        ret->type = MP_STR;
        return take_bytes(mp, 1, c & 0x1f, ret);
    }
    mp->p++;
    if (c < 0x80) {
        ret->type = MP_UINT;
        ret->u = c;
    } else if (c >= 0xe0) {
        ret->type = MP_INT;
        ret->i = (int8_t)c;
    } else {
        ret->type = c >= 0x90 ? MP_ARRAY : MP_MAP;
        ret->count = c & 0x0f;
    }
    return 0;
}

static int take_constant(struct mp *mp, enum mp_type type, uint64_t u, struct mp_value *ret)
{
    mp->p++;
    ret->type = type;
    ret->u = u;
    return 0;
}

int mp_next(struct mp *mp, struct mp_value *ret)
{
    uint8_t c;

    if (mp->p >= mp->end)
        return -ENODATA;
    c = *mp->p;
    switch (c) {
    case 0xc0:
        return take_constant(mp, MP_NIL, 0, ret);
    case 0xc1:
        return -EBADMSG;
    case 0xc2:
    case 0xc3:
        return take_constant(mp, MP_BOOL, c & 1, ret);
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_sized(mp, MP_BIN, 1u << (c - 0xc4), ret);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_ext(mp, 1u << (c - 0xc7), 0, ret);
    case 0xca:
    case 0xcb:
        return take_float(mp, c == 0xca ? 4 : 8, ret);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_uint(mp, 1u << (c - 0xcc), ret);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_int(mp, 1u << (c - 0xd0), ret);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(mp, 0, (size_t)1 << (c - 0xd4), ret);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_sized(mp, MP_STR, 1u << (c - 0xd9), ret);
    case 0xdc:
    case 0xdd:
        return take_count(mp, MP_ARRAY, c == 0xdc ? 2 : 4, ret);
    case 0xde:
    case 0xdf:
        return take_count(mp, MP_MAP, c == 0xde ? 2 : 4, ret);
    default:
        return take_small(mp, ret);
    }
}

int mp_skip(struct mp *mp, uint64_t count)
{
    while (count > 0) {
        struct mp_value v;
        int r = mp_next(mp, &v);

        if (r < 0)
            return r;
        count--;
        if (v.type == MP_ARRAY)
            count += v.count;
        else if (v.type == MP_MAP)
            count += (uint64_t)v.count * 2;
        /* Every value has a byte at least: a count beyond them cannot be met. */
        if (count > mp_left(mp))
            return -ENODATA;
    }
    return 0;
}

int mp_skip_content(struct mp *mp, const struct mp_value *v)
{
    if (v->type == MP_ARRAY)
        return mp_skip(mp, v->count);
    if (v->type == MP_MAP)
        return mp_skip(mp, (uint64_t)v->count * 2);
    return 0;
}

int mp_next_pair(struct mp *mp, struct mp_value *ret_key, struct mp_value *ret_value)
{
    int r = mp_next(mp, ret_key);

    if (r == 0)
        r = mp_skip_content(mp, ret_key);
    return r < 0 ? r : mp_next(mp, ret_value);
}
