#include "receiver/wire.h"

#include <errno.h>

#include "shared/base/bytes.h"

/* How the head of each type byte from c0 to df is laid out; the others carry their own size. */
struct layout {
    uint8_t kind;
    uint8_t field;     /* bytes of the length or count field */
    uint8_t type_byte; /* 1: an ext's type follows the field */
    uint8_t body;      /* fixed body bytes */
};

#define RESERVED 0xffu

static const struct layout layouts[32] = {
    [0x00] = {.kind = WIRE_NIL},
    [0x01] = {.kind = RESERVED},
    [0x02] = {.kind = WIRE_BOOL},
    [0x03] = {.kind = WIRE_BOOL},
    [0x04] = {.kind = WIRE_BIN, .field = 1},
    [0x05] = {.kind = WIRE_BIN, .field = 2},
    [0x06] = {.kind = WIRE_BIN, .field = 4},
    [0x07] = {.kind = WIRE_EXT, .field = 1, .type_byte = 1},
    [0x08] = {.kind = WIRE_EXT, .field = 2, .type_byte = 1},
    [0x09] = {.kind = WIRE_EXT, .field = 4, .type_byte = 1},
    [0x0a] = {.kind = WIRE_FLOAT, .body = 4},
    [0x0b] = {.kind = WIRE_FLOAT, .body = 8},
    [0x0c] = {.kind = WIRE_INT, .body = 1},
    [0x0d] = {.kind = WIRE_INT, .body = 2},
    [0x0e] = {.kind = WIRE_INT, .body = 4},
    [0x0f] = {.kind = WIRE_INT, .body = 8},
    [0x10] = {.kind = WIRE_INT, .body = 1},
    [0x11] = {.kind = WIRE_INT, .body = 2},
    [0x12] = {.kind = WIRE_INT, .body = 4},
    [0x13] = {.kind = WIRE_INT, .body = 8},
    [0x14] = {.kind = WIRE_EXT, .type_byte = 1, .body = 1},
    [0x15] = {.kind = WIRE_EXT, .type_byte = 1, .body = 2},
    [0x16] = {.kind = WIRE_EXT, .type_byte = 1, .body = 4},
    [0x17] = {.kind = WIRE_EXT, .type_byte = 1, .body = 8},
    [0x18] = {.kind = WIRE_EXT, .type_byte = 1, .body = 16},
    [0x19] = {.kind = WIRE_STR, .field = 1},
    [0x1a] = {.kind = WIRE_STR, .field = 2},
    [0x1b] = {.kind = WIRE_STR, .field = 4},
    [0x1c] = {.kind = WIRE_ARRAY, .field = 2},
    [0x1d] = {.kind = WIRE_ARRAY, .field = 4},
    [0x1e] = {.kind = WIRE_MAP, .field = 2},
    [0x1f] = {.kind = WIRE_MAP, .field = 4},
};

static int head_of_fix(uint8_t b, struct wire_head *ret)
{
    *ret = (struct wire_head){.kind = WIRE_INT, .head_bytes = 1};
    if ((b & 0xe0) == 0xa0) {
        ret->kind = WIRE_STR;
        ret->body_bytes = b & 0x1f;
    } else if ((b & 0xf0) == 0x90) {
        ret->kind = WIRE_ARRAY;
        ret->children = b & 0x0f;
    } else if ((b & 0xf0) == 0x80) {
        ret->kind = WIRE_MAP;
        ret->children = 2u * (b & 0x0fu);
    }
    return 1;
}

int wire_head_read(const uint8_t *p, size_t n, struct wire_head *ret)
{
    const struct layout *layout;
    uint64_t number = 0;
    size_t head;

    if (n == 0)
        return 0;
    if (p[0] < 0xc0 || p[0] >= 0xe0)
        return head_of_fix(p[0], ret);
    layout = &layouts[p[0] & 0x1f];
    if (layout->kind == RESERVED)
        return -EPROTO;
    head = 1u + layout->field + layout->type_byte;
    if (n < head)
        return 0;
    if (layout->field == 1)
        number = p[1];
    else if (layout->field == 2)
        number = bytes_get_be16(p + 1);
    else if (layout->field == 4)
        number = bytes_get_be32(p + 1);
    *ret = (struct wire_head){.kind = layout->kind, .head_bytes = (uint32_t)head};
    if (layout->kind == WIRE_ARRAY)
        ret->children = number;
    else if (layout->kind == WIRE_MAP)
        ret->children = 2 * number;
    else
        ret->body_bytes = number + layout->body;
    return 1;
}

/* Skips the value at skip->at, of any kind. Returns as wire_skip, 1: skipped. */
static int skip_one(const uint8_t *p, size_t n, size_t limit, struct wire_skip *skip)
{
    struct wire_head head;
    uint64_t end;
    int got = wire_head_read(p + skip->at, n - skip->at, &head);

    if (got <= 0) {
        skip->need = n + 1;
        return got;
    }
    end = skip->at + head.head_bytes + head.body_bytes;
    /* Each child is a byte at least. */
    if (end > limit || head.children + skip->values - 1 > limit - end) {
        skip->need = end + head.children;
        return -EMSGSIZE;
    }
    if (end > n) {
        skip->need = end;
        return 0;
    }
    skip->at = end;
    skip->values += head.children - 1;
    return 1;
}

/* Longer than the longest value of the fast path, so that it need not look at the end. */
#define FAST_BYTES 272u

/*
 * What records are made of, while there is plenty of input: strings below 256 bytes, small
 * containers, times, small numbers. Stops before anything else. Measured: a branch per kind is
 * faster than a table of sizes, because a predicted branch lets the processor go on with the next
 * value while the length of this one is still being added.
 */
static void skip_fast(const uint8_t *p, size_t n, struct wire_skip *skip)
{
    size_t at = skip->at;
    uint64_t values = skip->values;

    while (values != 0 && n - at >= FAST_BYTES) {
        uint8_t b = p[at];

        if ((b & 0xe0) == 0xa0) {
            at += 1u + (b & 0x1fu);
            values--;
        } else if (b == 0xd9) {
            at += 2u + p[at + 1];
            values--;
        } else if (b < 0x80 || b >= 0xe0) {
            at++;
            values--;
        } else if (b == 0xd7) {
            at += 10;
            values--;
        } else if (b < 0x90) {
            at++;
            values += 2ull * (b & 0x0fu) - 1;
        } else if (b < 0xa0) {
            at++;
            values += (b & 0x0fu) - 1ull;
        } else {
            break;
        }
    }
    skip->at = at;
    skip->values = values;
}

int wire_skip(const uint8_t *p, size_t n, size_t limit, struct wire_skip *skip)
{
    while (skip->values != 0) {
        int got;

        if (n - skip->at >= FAST_BYTES)
            skip_fast(p, n, skip);
        if (skip->values == 0)
            break;
        got = skip_one(p, n, limit, skip);
        if (got <= 0)
            return got;
    }
    if (skip->at > limit) {
        skip->need = skip->at;
        return -EMSGSIZE;
    }
    return 1;
}

int wire_take(struct slice *rest, struct wire_head *ret_head, struct slice *ret_value)
{
    struct wire_skip skip = {.values = 1};
    struct wire_head head;

    if (wire_head_read(rest->p, rest->n, &head) <= 0 ||
        wire_skip(rest->p, rest->n, rest->n, &skip) <= 0)
        return -EPROTO;
    *ret_head = head;
    *ret_value = slice_of(rest->p, skip.at);
    rest->p += skip.at;
    rest->n -= skip.at;
    return 0;
}

struct slice wire_content(const struct wire_head *head, struct slice value)
{
    return slice_of(value.p + head->head_bytes, head->body_bytes);
}

bool wire_uint(struct slice value, uint64_t *ret)
{
    const uint8_t *p = value.p;

    if (value.n == 0)
        return false;
    if (p[0] < 0x80)
        *ret = p[0];
    else if (p[0] == 0xcc && value.n == 2)
        *ret = p[1];
    else if (p[0] == 0xcd && value.n == 3)
        *ret = bytes_get_be16(p + 1);
    else if (p[0] == 0xce && value.n == 5)
        *ret = bytes_get_be32(p + 1);
    else if (p[0] == 0xcf && value.n == 9)
        *ret = bytes_get_be64(p + 1);
    else if (p[0] >= 0xd0 && p[0] <= 0xd3 && value.n > 1 && p[1] < 0x80 &&
             value.n == 1u + (1u << (p[0] & 3))) {
        uint64_t number = 0;

        for (size_t i = 1; i < value.n; i++)
            number = number << 8 | p[i];
        *ret = number;
    } else
        return false;
    return true;
}
