#include "processor/otlp_value.h"

#include "processor/kvlist_keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The most bytes around a name and a value: keys, and lengths of five bytes at the most. */
#define HEAD_BYTES 48
/* Names that leave a KeyValue of a number below 128 bytes. */
#define SHORT_NAME_BYTES 64

int otlp_out_grow(struct otlp_out *o, size_t n)
{
    size_t used = otlp_out_offset(o);
    size_t extra = used - o->buf->n + n;

    if (extra > o->buf->max_bytes - o->buf->n)
        return -EFBIG;
    if (buf_grow(o->buf, extra) < 0)
        return -ENOMEM;
    o->w = o->buf->p + used;
    o->end = o->buf->p + o->buf->cap;
    return 0;
}

/* ---- text ---- */

/* The length of text as it will be written. */
static size_t text_bytes(struct slice text, bool *ret_valid)
{
    *ret_valid = utf8_is_valid(text);
    return *ret_valid ? text.n : utf8_sanitized_bytes(text);
}

static uint8_t *put_text(uint8_t *w, struct slice text, bool valid)
{
    return valid ? pb_put_raw(w, text.p, text.n) : utf8_sanitize(w, text);
}

/*
 * Text is written as if it were ASCII, and while it is copied, bytes beyond are looked for. Where
 * there are some it is measured, validated if need be, and written again.
 */
static int measure(struct otlp_out *o, struct slice text, size_t *ret_n, bool *ret_valid)
{
    *ret_n = text_bytes(text, ret_valid);
    return otlp_out_need(o, *ret_n + HEAD_BYTES);
}

int otlp_value_put_string(struct otlp_out *o, uint8_t field, struct slice text)
{
    uint8_t *start;
    bool valid;
    size_t n;
    int r = otlp_out_need(o, text.n + HEAD_BYTES);

    if (r < 0)
        return r;
    start = o->w;
    *o->w++ = field;
    o->w = pb_put_varint(o->w, text.n);
    if (!otlp_out_copy(o->w, text.p, text.n)) {
        o->w += text.n;
        return 0;
    }
    o->w = start;
    r = measure(o, text, &n, &valid);
    if (r < 0)
        return r;
    *o->w++ = field;
    o->w = pb_put_varint(o->w, n);
    o->w = put_text(o->w, text, valid);
    return 0;
}

/* An AnyValue of a text behind `field`. */
static int put_text_value(struct otlp_out *o, uint8_t field, struct slice text)
{
    uint8_t *start;
    bool valid;
    size_t n;
    int r = otlp_out_need(o, text.n + HEAD_BYTES);

    if (r < 0)
        return r;
    start = o->w;
    *o->w++ = field;
    o->w = pb_put_varint(o->w, 1 + pb_varint_bytes(text.n) + text.n);
    *o->w++ = PB_KEY(1, PB_BYTES);
    o->w = pb_put_varint(o->w, text.n);
    if (!otlp_out_copy(o->w, text.p, text.n)) {
        o->w += text.n;
        return 0;
    }
    o->w = start;
    r = measure(o, text, &n, &valid);
    if (r < 0)
        return r;
    *o->w++ = field;
    o->w = pb_put_varint(o->w, 1 + pb_varint_bytes(n) + n);
    *o->w++ = PB_KEY(1, PB_BYTES);
    o->w = pb_put_varint(o->w, n);
    o->w = put_text(o->w, text, valid);
    return 0;
}

int otlp_value_put_text_pair_slow(struct otlp_out *o, uint8_t field, struct slice name,
                                  struct slice text)
{
    bool name_valid, text_valid;
    size_t name_n = text_bytes(name, &name_valid);
    size_t text_n = text_bytes(text, &text_valid);
    size_t value_n = 1 + pb_varint_bytes(text_n) + text_n;
    int r = otlp_out_need(o, name_n + text_n + HEAD_BYTES);
    uint8_t *w;

    if (r < 0)
        return r;
    w = o->w;
    *w++ = field;
    w = pb_put_varint(w, 1 + pb_varint_bytes(name_n) + name_n + 1 + pb_varint_bytes(value_n) +
                             value_n);
    *w++ = PB_KEY(1, PB_BYTES);
    w = pb_put_varint(w, name_n);
    w = put_text(w, name, name_valid);
    *w++ = PB_KEY(2, PB_BYTES);
    w = pb_put_varint(w, value_n);
    *w++ = PB_KEY(1, PB_BYTES);
    w = pb_put_varint(w, text_n);
    o->w = put_text(w, text, text_valid);
    return 0;
}

/* ---- keys ---- */

static struct slice container_key(const struct mp_value *key, const uint8_t *from, size_t n,
                                  char scratch[OTLP_KEY_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = (size_t)snprintf(scratch, OTLP_KEY_TEXT_BYTES, "%s:",
                                 key->type == MP_EXT     ? "ext"
                                 : key->type == MP_ARRAY ? "array"
                                                         : "map");

    for (size_t i = 0; i < n && at + 2 <= OTLP_KEY_TEXT_BYTES; i++) {
        scratch[at++] = digits[from[i] >> 4];
        scratch[at++] = digits[from[i] & 15];
    }
    return slice_of(scratch, at);
}

/* The shortest that reads back as the same number. */
static int float_key(double d, char scratch[OTLP_KEY_TEXT_BYTES])
{
    int n = 0;

    if (isnan(d))
        return snprintf(scratch, OTLP_KEY_TEXT_BYTES, "nan");
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(scratch, OTLP_KEY_TEXT_BYTES, "%.*g", digits, d);
        if (strtod(scratch, NULL) == d)
            break;
    }
    return n;
}

int otlp_value_key(struct mp *in, const struct mp_value *key, char scratch[OTLP_KEY_TEXT_BYTES],
                   struct slice *ret_text)
{
    const uint8_t *from = in->p;
    int n = 0, r;

    switch (key->type) {
    case MP_STR:
    case MP_BIN:
        *ret_text = key->bytes.n > 0 ? key->bytes : SLICE_LITERAL("_");
        return 0;
    case MP_NIL:
        *ret_text = SLICE_LITERAL("null");
        return 0;
    case MP_BOOL:
        *ret_text = key->u ? SLICE_LITERAL("true") : SLICE_LITERAL("false");
        return 0;
    case MP_UINT:
        n = snprintf(scratch, OTLP_KEY_TEXT_BYTES, "%" PRIu64, key->u);
        break;
    case MP_INT:
        n = snprintf(scratch, OTLP_KEY_TEXT_BYTES, "%" PRId64, key->i);
        break;
    case MP_FLOAT:
        n = float_key(key->d, scratch);
        break;
    case MP_EXT:
        *ret_text = container_key(key, key->bytes.p, key->bytes.n, scratch);
        return 0;
    case MP_ARRAY:
    case MP_MAP:
        r = mp_skip_content(in, key);
        if (r == 0)
            *ret_text = container_key(key, from, (size_t)(in->p - from), scratch);
        return r;
    }
    *ret_text = slice_of(scratch, (size_t)n);
    return 0;
}

/* ---- values ---- */

static int put_bytes_value(struct otlp_out *o, uint8_t field, struct slice bytes)
{
    int r = otlp_out_need(o, bytes.n + HEAD_BYTES);

    if (r < 0)
        return r;
    *o->w++ = field;
    o->w = pb_put_varint(o->w, 1 + pb_varint_bytes(bytes.n) + bytes.n);
    o->w = pb_put_bytes(o->w, PB_KEY(7, PB_BYTES), bytes);
    return 0;
}

static int put_ext_value(struct otlp_out *o, uint8_t field, const struct mp_value *v)
{
    const uint8_t type = (uint8_t)PB_KEY(3, PB_VARINT);
    size_t any, list, pair, value;
    int r = otlp_out_need(o, v->bytes.n + 2 * HEAD_BYTES);

    if (r < 0)
        return r;
    any = otlp_out_nest_begin(o, field, 1);
    list = otlp_out_nest_begin(o, PB_KEY(6, PB_BYTES), 1);
    pair = otlp_out_nest_begin(o, PB_KEY(1, PB_BYTES), 1);
    o->w = pb_put_bytes(o->w, PB_KEY(1, PB_BYTES), SLICE_LITERAL("type"));
    value = otlp_out_nest_begin(o, PB_KEY(2, PB_BYTES), 1);
    *o->w++ = type;
    o->w = pb_put_varint(o->w, (uint64_t)(int64_t)v->ext_type);
    otlp_out_nest_end(o, value, 1);
    otlp_out_nest_end(o, pair, 1);
    pair = otlp_out_nest_begin(o, PB_KEY(1, PB_BYTES), 1);
    o->w = pb_put_bytes(o->w, PB_KEY(1, PB_BYTES), SLICE_LITERAL("data"));
    value = otlp_out_nest_begin(o, PB_KEY(2, PB_BYTES), 1);
    o->w = pb_put_bytes(o->w, PB_KEY(7, PB_BYTES), v->bytes);
    otlp_out_nest_end(o, value, 1);
    otlp_out_nest_end(o, pair, 1);
    otlp_out_nest_end(o, list, 1);
    otlp_out_nest_end(o, any, 1);
    return 0;
}

static int put_big_integer(struct otlp_out *o, uint8_t field, uint64_t u)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRIu64, u);

    return put_text_value(o, field, slice_of(text, (size_t)n));
}

/* Every type but the containers. The room is one compare for the short ones. */
static int put_scalar(struct otlp_out *o, uint8_t field, const struct mp_value *v)
{
    uint64_t bits;
    int r = otlp_out_need(o, HEAD_BYTES);

    if (r < 0)
        return r;
    switch (v->type) {
    case MP_NIL:
        *o->w++ = field;
        *o->w++ = 0;
        return 0;
    case MP_BOOL:
        o->w[0] = field;
        o->w[1] = 2;
        o->w[2] = PB_KEY(2, PB_VARINT);
        o->w[3] = (uint8_t)v->u;
        o->w += 4;
        return 0;
    case MP_UINT:
        if (v->u > INT64_MAX)
            return put_big_integer(o, field, v->u);
        __attribute__((fallthrough));
    case MP_INT:
        *o->w++ = field;
        *o->w++ = (uint8_t)(1 + pb_varint_bytes(v->u));
        *o->w++ = PB_KEY(3, PB_VARINT);
        o->w = pb_put_varint(o->w, v->u);
        return 0;
    case MP_FLOAT:
        *o->w++ = field;
        *o->w++ = 9;
        memcpy(&bits, &v->d, sizeof(bits));
        o->w = pb_put_fixed64(o->w, PB_KEY(4, PB_FIXED64), bits);
        return 0;
    case MP_STR:
        return put_text_value(o, field, v->bytes);
    case MP_BIN:
        return otlp_value_is_text(v->bytes) ? put_text_value(o, field, v->bytes)
                                            : put_bytes_value(o, field, v->bytes);
    default:
        return put_ext_value(o, field, v);
    }
}

/* ---- containers ---- */

/* One array or map that is being written. Offsets of the contents of what is open. */
struct level {
    uint32_t left;  /* elements or pairs to come */
    uint32_t count; /* of all of them */
    bool map;
    size_t any;  /* the AnyValue that it is */
    size_t list; /* its ArrayValue or KeyValueList */
    size_t pair; /* of a map: the KeyValue in progress; 0 between two */
};

struct stack {
    struct level level[OTLP_VALUE_MAX_DEPTH];
    unsigned depth;
};

/* A container too deep for OTLP, as it is. `header` is where its first byte lies. */
static int put_raw(struct otlp_out *o, uint8_t field, struct mp *in, const struct mp_value *v,
                   const uint8_t *header)
{
    int r = mp_skip_content(in, v);

    if (r < 0)
        return r;
    return put_bytes_value(o, field, slice_of(header, (size_t)(in->p - header)));
}

static int open_container(struct otlp_out *o, struct stack *stack, uint8_t field,
                          const struct mp_value *v)
{
    struct level *level = &stack->level[stack->depth];
    bool map = v->type == MP_MAP;
    int r = otlp_out_need(o, HEAD_BYTES);

    if (r < 0)
        return r;
    stack->depth++;
    level->left = level->count = v->count;
    level->map = map;
    level->pair = 0;
    level->any = otlp_out_nest_begin(o, field, 1);
    level->list = otlp_out_nest_begin(o, map ? PB_KEY(6, PB_BYTES) : PB_KEY(5, PB_BYTES), 1);
    return 0;
}

/* Ends the innermost container, and the pair that it was the value of. */
static int close_container(struct otlp_out *o, struct stack *stack)
{
    struct level *level = &stack->level[--stack->depth];
    int r = 0;

    if (level->map && level->count > 1)
        r = kvlist_keys_unique(o, level->list, level->count);
    if (r == 0)
        r = otlp_out_need(o, 3 * PB_NEST_SLACK);
    if (r < 0)
        return r;
    otlp_out_nest_end(o, level->list, 1);
    otlp_out_nest_end(o, level->any, 1);
    return 0;
}

static int end_pair(struct otlp_out *o, struct level *level)
{
    int r = otlp_out_need(o, PB_NEST_SLACK);

    if (r == 0)
        otlp_out_nest_end(o, level->pair, 1);
    level->pair = 0;
    return r;
}

/* Begins the next pair of a map: KeyValue, key. */
static int begin_pair(struct otlp_out *o, struct level *level, struct mp *in)
{
    char scratch[OTLP_KEY_TEXT_BYTES];
    struct mp_value key;
    struct slice text;
    int r = mp_next(in, &key);

    if (r == 0)
        r = otlp_value_key(in, &key, scratch, &text);
    if (r == 0)
        r = otlp_out_need(o, HEAD_BYTES);
    if (r < 0)
        return r;
    level->pair = otlp_out_nest_begin(o, PB_KEY(1, PB_BYTES), 1);
    return otlp_value_put_string(o, PB_KEY(1, PB_BYTES), text);
}

/* Writes the next element of the innermost container, or opens it. */
static int put_element(struct otlp_out *o, struct stack *stack, struct mp *in)
{
    struct level *level = &stack->level[stack->depth - 1];
    uint8_t field = level->map ? PB_KEY(2, PB_BYTES) : PB_KEY(1, PB_BYTES);
    struct mp_value v;
    const uint8_t *header;
    int r = 0;

    level->left--;
    if (level->map)
        r = begin_pair(o, level, in);
    if (r < 0)
        return r;
    header = in->p;
    r = mp_next(in, &v);
    if (r < 0)
        return r;
    if (v.type >= MP_ARRAY && stack->depth < OTLP_VALUE_MAX_DEPTH)
        return open_container(o, stack, field, &v);
    r = v.type >= MP_ARRAY ? put_raw(o, field, in, &v, header) : put_scalar(o, field, &v);
    if (r == 0 && level->map)
        r = end_pair(o, level);
    return r;
}

static int put_container(struct otlp_out *o, uint8_t field, struct mp *in, const struct mp_value *v)
{
    struct stack stack;
    int r;

    stack.depth = 0;
    r = open_container(o, &stack, field, v);

    while (r == 0 && stack.depth > 0) {
        struct level *level = &stack.level[stack.depth - 1];

        if (level->pair != 0) {
            r = end_pair(o, level); /* its value, a container, was closed */
        } else if (level->left > 0) {
            r = put_element(o, &stack, in);
        } else {
            r = close_container(o, &stack);
        }
    }
    return r;
}

int otlp_value_put(struct otlp_out *o, uint8_t field, struct mp *in, const struct mp_value *v)
{
    if (v->type >= MP_ARRAY)
        return put_container(o, field, in, v);
    return put_scalar(o, field, v);
}

/* A number under an ASCII name: all lengths are one byte. False: it is no such pair. */
static bool put_short_pair(struct otlp_out *o, uint8_t field, struct slice name,
                           const struct mp_value *v)
{
    uint8_t *start;

    if (otlp_out_need(o, SHORT_NAME_BYTES + 2 * HEAD_BYTES) < 0)
        return false;
    start = o->w;
    start[0] = field;
    start[2] = PB_KEY(1, PB_BYTES);
    start[3] = (uint8_t)name.n;
    if (otlp_out_copy(start + 4, name.p, name.n))
        return false;
    o->w = start + 4 + name.n;
    put_scalar(o, PB_KEY(2, PB_BYTES), v); /* has its room: cannot fail */
    start[1] = (uint8_t)(o->w - start - 2);
    return true;
}

int otlp_value_put_pair(struct otlp_out *o, uint8_t field, struct slice name, struct mp *in,
                        const struct mp_value *v)
{
    size_t pair;
    int r;

    if (v->type == MP_STR)
        return otlp_value_put_text_pair(o, field, name, v->bytes);
    if (v->type <= MP_FLOAT && name.n <= SHORT_NAME_BYTES && put_short_pair(o, field, name, v))
        return 0;
    r = otlp_out_need(o, HEAD_BYTES);
    if (r < 0)
        return r;
    pair = otlp_out_nest_begin(o, field, 1);
    r = otlp_value_put_string(o, PB_KEY(1, PB_BYTES), name);
    if (r == 0)
        r = otlp_value_put(o, PB_KEY(2, PB_BYTES), in, v);
    if (r == 0)
        r = otlp_out_need(o, PB_NEST_SLACK);
    if (r == 0)
        otlp_out_nest_end(o, pair, 1);
    return r;
}
