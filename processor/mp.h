/*
 * mp: MessagePack, read from a slice, one value header at a time. Takes every width of every
 * family; never looks beyond the end, never allocates, never believes a count: an array or map
 * only says how many values follow. Strings and bytes are borrowed from the slice.
 *
 * Errors: -ENODATA where the bytes end inside a value, -EBADMSG for the unused byte c1.
 */
#ifndef PROCESSOR_MP_H
#define PROCESSOR_MP_H

#include "shared/base/bytes.h"
#include "shared/base/slice.h"

#include <errno.h>

struct mp {
    const uint8_t *p;
    const uint8_t *end;
};

enum mp_type {
    MP_NIL,
    MP_BOOL,  /* u */
    MP_UINT,  /* u: every integer that is not negative */
    MP_INT,   /* i: the negative ones */
    MP_FLOAT, /* d */
    MP_STR,   /* bytes */
    MP_BIN,   /* bytes */
    MP_EXT,   /* bytes, ext_type */
    MP_ARRAY, /* count values follow */
    MP_MAP    /* count pairs of values follow */
};

/* type and ext_type are apart: read as one right after they were written one by one, they would
 * stall the processor. */
struct mp_value {
    enum mp_type type;
    uint32_t count;
    int8_t ext_type;
    union {
        uint64_t u;
        int64_t i;
        double d;
        struct slice bytes;
    };
};

static inline struct mp mp_of(struct slice s)
{
    return (struct mp){s.p, s.p + s.n};
}

static inline size_t mp_left(const struct mp *mp)
{
    return (size_t)(mp->end - mp->p);
}

/*
 * A str of at most 255 bytes at p: returns where it ends, or NULL where something else is there.
 * For loops that keep their place in a register: nothing here takes an address.
 */
static inline const uint8_t *mp_short_str(const uint8_t *p, const uint8_t *end, struct slice *ret)
{
    size_t left = (size_t)(end - p), n;

    if (left < 2)
        return NULL;
    if ((*p & 0xe0) == 0xa0) {
        n = *p & 0x1f;
        p += 1;
        left -= 1;
    } else if (*p == 0xd9) {
        n = p[1];
        p += 2;
        left -= 2;
    } else {
        return NULL;
    }
    if (n > left)
        return NULL;
    ret->p = p;
    ret->n = n;
    return p + n;
}

/* The next value: of a container its header only. On error nothing is consumed. */
int mp_next(struct mp *mp, struct mp_value *ret);

/* True for arrays and maps with something in them. */
static inline bool mp_has_content(const struct mp_value *v)
{
    return v->type >= MP_ARRAY && v->count > 0;
}

/* Skips `count` whole values, however nested: a counter, no stack. */
int mp_skip(struct mp *mp, uint64_t count);

/* A map's next key, its content skipped, and the header of its value. */
int mp_next_pair(struct mp *mp, struct mp_value *ret_key, struct mp_value *ret_value);

/* Skips what follows the header v. */
int mp_skip_content(struct mp *mp, const struct mp_value *v);

#endif
