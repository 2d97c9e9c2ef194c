/*
 * otlp_value: a MessagePack value as an OTLP AnyValue, with its type.
 *
 *   nil                 empty AnyValue        str    stringValue, sanitised to UTF-8
 *   bool                boolValue             bin    stringValue if it is text, else bytesValue
 *   integers in int64   intValue              ext    kvlistValue {type, data}
 *   integers above      stringValue           array  arrayValue
 *   float, float32      doubleValue, its bits map    kvlistValue, its keys as text
 *                       (NaN, Inf, -0 too)
 *
 * A bin is text if it is UTF-8 without a NUL and not empty: Fluentd reads files as bytes, and sends
 * their lines as bin.
 *
 * Keys of maps are text and, in one map, unique: the second "a" is "a#2", whatever it was before it
 * was text or was sanitised (kvlist_keys.h; at the top level key_set.h).
 *
 *   str, bin   their bytes, sanitised         float   the shortest decimal that reads back: "1.5",
 *   empty      "_"                                    "nan", "-inf"
 *   nil        "null"                         ext     "ext:" and its bytes in hex
 *   bool       "true", "false"                array   "array:" and "map:" and their content, which
 *   integers   decimal                        map     is MessagePack, in hex; these three are cut
 *                                                     to 96 bytes
 *
 * Containers are walked with a stack of OTLP_VALUE_MAX_DEPTH levels; what lies deeper stays what it
 * is, MessagePack, in a bytesValue: OTLP servers give up at 100 protobuf levels, three to a map.
 *
 * All return 0, -ENOMEM or -EFBIG (the output), -ENODATA or -EBADMSG (the input).
 */
#ifndef PROCESSOR_OTLP_VALUE_H
#define PROCESSOR_OTLP_VALUE_H

#include "processor/mp.h"
#include "processor/otlp_out.h"

#define OTLP_VALUE_MAX_DEPTH 28

#define OTLP_KEY_TEXT_BYTES 96

/* Whether a bin is text. */
static inline bool otlp_value_is_text(struct slice bin)
{
    return bin.n > 0 && memchr(bin.p, 0, bin.n) == NULL && utf8_is_valid(bin);
}

/* A map's key as text, not sanitised yet: borrowed, or in `scratch`. Skips the content of a
 * container. */
int otlp_value_key(struct mp *in, const struct mp_value *key, char scratch[OTLP_KEY_TEXT_BYTES],
                   struct slice *ret_text);

/* Writes `field` and the length of the AnyValue of v, whose content (if any) `in` is at. */
int otlp_value_put(struct otlp_out *o, uint8_t field, struct mp *in, const struct mp_value *v);

/* The same as a KeyValue under `name` (not sanitised yet). */
int otlp_value_put_pair(struct otlp_out *o, uint8_t field, struct slice name, struct mp *in,
                        const struct mp_value *v);

/* KeyValue of a text, any length, any bytes. */
int otlp_value_put_text_pair_slow(struct otlp_out *o, uint8_t field, struct slice name,
                                  struct slice text);

/* The commonest of all: a short ASCII string under a short ASCII name. */
static inline int otlp_value_put_text_pair(struct otlp_out *o, uint8_t field, struct slice name,
                                           struct slice text)
{
    uint8_t *w;
    size_t n = name.n + text.n + 6;
    bool high;

    if (__builtin_expect(n >= 128, 0) || otlp_out_need(o, 128 + 2) < 0)
        return otlp_value_put_text_pair_slow(o, field, name, text);
    w = o->w;
    w[0] = field;
    w[1] = (uint8_t)n;
    w[2] = PB_KEY(1, PB_BYTES);
    w[3] = (uint8_t)name.n;
    high = otlp_out_copy(w + 4, name.p, name.n);
    w += 4 + name.n;
    w[0] = PB_KEY(2, PB_BYTES);
    w[1] = (uint8_t)(text.n + 2);
    w[2] = PB_KEY(1, PB_BYTES);
    w[3] = (uint8_t)text.n;
    high |= otlp_out_copy(w + 4, text.p, text.n);
    if (__builtin_expect(high, 0))
        return otlp_value_put_text_pair_slow(o, field, name, text);
    o->w = w + 4 + text.n;
    return 0;
}

/* A string field: key byte, length, sanitised text. */
int otlp_value_put_string(struct otlp_out *o, uint8_t field, struct slice text);

#endif
