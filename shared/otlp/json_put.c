#include "shared/otlp/json_put.h"

#include "shared/otlp/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The most that one input byte becomes: \u0000, or U+FFFD of three bytes. */
#define ESCAPE_MAX_BYTES 6

static const char hex_digits[] = "0123456789abcdef";

void json_put_raw_slow(struct json_put *put, const char *text, size_t n)
{
    if (put->error == 0 && buf_append(put->out, text, n) < 0)
        put->error = -ENOMEM;
}

/* Room for n bytes at the end; NULL once anything has failed. */
static uint8_t *room(struct json_put *put, size_t n)
{
    if (put->error != 0)
        return NULL;
    if (buf_reserve(put->out, n) < 0) {
        put->error = -ENOMEM;
        return NULL;
    }
    return put->out->p + put->out->n;
}

static void took(struct json_put *put, const uint8_t *end)
{
    put->out->n = (size_t)(end - put->out->p);
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many bytes at the beginning of s need nothing done to them. */
static size_t plain_bytes(struct slice s)
{
    size_t i = 0;

#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);

    for (; i + 16 <= s.n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.p + i));
        /* As signed bytes everything above 0x7f is below 0x20 too. */
        __m128i bad =
            _mm_or_si128(_mm_cmplt_epi8(v, space),
                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        int mask = _mm_movemask_epi8(bad);

        if (mask != 0)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < s.n && is_plain(s.p[i]))
        i++;
    return i;
}

static uint8_t *put_escape(uint8_t *p, uint8_t c)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    *p++ = '\\';
    for (size_t i = 0; i + 1 < sizeof(short_forms); i += 2) {
        if ((uint8_t)short_forms[i] == c) {
            *p++ = (uint8_t)short_forms[i + 1];
            return p;
        }
    }
    memcpy(p, "u00", 3);
    p[3] = (uint8_t)hex_digits[c >> 4];
    p[4] = (uint8_t)hex_digits[c & 15];
    return p + 5;
}

void json_put_string(struct json_put *put, struct slice s)
{
    size_t i = 0;
    uint8_t *p = room(put, s.n + 2);

    if (p == NULL)
        return;
    *p++ = '"';
    took(put, p);
    while (i < s.n) {
        size_t n = plain_bytes((struct slice){s.p + i, s.n - i});
        bool valid;

        p = room(put, n + ESCAPE_MAX_BYTES);
        if (p == NULL)
            return;
        memcpy(p, s.p + i, n);
        p += n;
        i += n;
        if (i < s.n && s.p[i] < 0x80) {
            p = put_escape(p, s.p[i++]);
        } else if (i < s.n) {
            n = utf8_step(s.p + i, s.n - i, &valid);
            memcpy(p, valid ? s.p + i : (const uint8_t *)UTF8_REPLACEMENT,
                   valid ? n : UTF8_REPLACEMENT_BYTES);
            p += valid ? n : UTF8_REPLACEMENT_BYTES;
            i += n;
        }
        took(put, p);
    }
    json_put_literal(put, "\"");
}

void json_put_u64(struct json_put *put, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    json_put_raw(put, text + at, sizeof(text) - at);
}

void json_put_i64(struct json_put *put, int64_t v)
{
    if (v < 0)
        json_put_literal(put, "-");
    json_put_u64(put, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void json_put_double(struct json_put *put, double v)
{
    char text[40];
    int n = 0;

    if (isnan(v)) {
        json_put_literal(put, "\"NaN\"");
        return;
    }
    if (isinf(v)) {
        json_put_raw(put, v < 0 ? "\"-Infinity\"" : "\"Infinity\"", v < 0 ? 11 : 10);
        return;
    }
    /* As "-0" it would be an integer to many readers, and those have no negative zero. */
    if (v == 0 && signbit(v)) {
        json_put_literal(put, "-0.0");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    json_put_raw(put, text, (size_t)n);
}

void json_put_hex(struct json_put *put, struct slice s)
{
    uint8_t *p = room(put, s.n * 2 + 2);

    if (p == NULL)
        return;
    *p++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        *p++ = (uint8_t)hex_digits[s.p[i] >> 4];
        *p++ = (uint8_t)hex_digits[s.p[i] & 15];
    }
    *p++ = '"';
    took(put, p);
}

void json_put_base64(struct json_put *put, struct slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *p = room(put, (s.n + 2) / 3 * 4 + 2);

    if (p == NULL)
        return;
    *p++ = '"';
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)s.p[i] << 16;

        v |= left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0;
        v |= left > 2 ? s.p[i + 2] : 0;
        *p++ = (uint8_t)digits[v >> 18];
        *p++ = (uint8_t)digits[v >> 12 & 63];
        *p++ = (uint8_t)(left > 1 ? digits[v >> 6 & 63] : '=');
        *p++ = (uint8_t)(left > 2 ? digits[v & 63] : '=');
    }
    *p++ = '"';
    took(put, p);
}
