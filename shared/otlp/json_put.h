/*
 * json_put: pieces of JSON appended to a buffer. For transcode.c.
 *
 * A writer remembers the first failure (out of memory), after which every call does nothing: the
 * caller looks once, at the end.
 */
#ifndef SHARED_OTLP_JSON_PUT_H
#define SHARED_OTLP_JSON_PUT_H

#include "shared/base/buf.h"

struct json_put {
    struct buf *out;
    int error; /* 0 or -ENOMEM */
};

void json_put_raw_slow(struct json_put *put, const char *text, size_t n);

/* Bytes as they are: punctuation, names. */
static inline void json_put_raw(struct json_put *put, const char *text, size_t n)
{
    struct buf *out = put->out;

    if (put->error != 0 || out->cap - out->n < n) {
        json_put_raw_slow(put, text, n);
        return;
    }
    memcpy(out->p + out->n, text, n);
    out->n += n;
}
#define json_put_literal(put, text) json_put_raw(put, text, sizeof(text) - 1)

/* With quotes; what is not UTF-8 becomes U+FFFD. */
void json_put_string(struct json_put *put, struct slice s);

/* Plain decimals. */
void json_put_u64(struct json_put *put, uint64_t v);
void json_put_i64(struct json_put *put, int64_t v);

/* The shortest number that reads back equal; NaN and infinities as strings. */
void json_put_double(struct json_put *put, double v);

/* With quotes. */
void json_put_hex(struct json_put *put, struct slice s);
void json_put_base64(struct json_put *put, struct slice s);

#endif
