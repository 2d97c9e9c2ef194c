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

struct mp_value {
    enum mp_type type;
    int8_t ext_type;
    uint32_t count;
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

/* Every form; mp_next is the one to call. */
int mp_next_any(struct mp *mp, struct mp_value *ret);

/*
 * The next value: of a container its header only. On error nothing is consumed.
 * The commonest forms (short strings, small integers) are inline.
 */
static inline int mp_next(struct mp *mp, struct mp_value *ret)
{
    const uint8_t *p = mp->p;
    size_t left = (size_t)(mp->end - p);

    if (__builtin_expect(left > 0, 1)) {
        uint8_t c = *p;

        if ((c & 0xe0) == 0xa0 && (size_t)(c & 0x1f) < left) {
            ret->type = MP_STR;
            ret->bytes = (struct slice){p + 1, c & 0x1f};
            mp->p = p + 1 + (c & 0x1f);
            return 0;
        }
        if (c == 0xd9 && left >= 2 && (size_t)p[1] + 2 <= left) {
            ret->type = MP_STR;
            ret->bytes = (struct slice){p + 2, p[1]};
            mp->p = p + 2 + p[1];
            return 0;
        }
    }
    return mp_next_any(mp, ret);
}

/* True for arrays and maps with something in them. */
static inline bool mp_has_content(const struct mp_value *v)
{
    return v->type >= MP_ARRAY && v->count > 0;
}

/* Skips `count` whole values, however nested: a counter, no stack. */
int mp_skip(struct mp *mp, uint64_t count);

/* Skips what follows the header v. */
int mp_skip_content(struct mp *mp, const struct mp_value *v);

#endif
