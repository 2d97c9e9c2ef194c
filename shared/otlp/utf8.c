#include "shared/otlp/utf8.h"

/* The second byte's range depends on the first (Unicode, table 3-7); the others are 80..bf. */
static size_t sequence(const uint8_t *p, size_t n, size_t want, uint8_t low, uint8_t high,
                       bool *ret_valid)
{
    size_t have = 1;

    *ret_valid = false;
    if (n < 2 || p[1] < low || p[1] > high)
        return 1;
    for (have = 2; have < want; have++)
        if (have >= n || (p[have] & 0xc0) != 0x80)
            return have;
    *ret_valid = true;
    return want;
}

size_t utf8_step(const uint8_t *p, size_t n, bool *ret_valid)
{
    uint8_t c = p[0];

    if (c < 0x80) {
        *ret_valid = true;
        return 1;
    }
    if (c >= 0xc2 && c <= 0xdf)
        return sequence(p, n, 2, 0x80, 0xbf, ret_valid);
    if (c >= 0xe0 && c <= 0xef)
        return sequence(p, n, 3, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf, ret_valid);
    if (c >= 0xf0 && c <= 0xf4)
        return sequence(p, n, 4, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf, ret_valid);
    *ret_valid = false;
    return 1;
}

size_t utf8_valid_bytes(struct slice s)
{
    size_t i = 0;

    while (i < s.n) {
        bool valid;
        size_t step;

        i += utf8_ascii_bytes(s.p + i, s.n - i);
        if (i == s.n)
            break;
        step = utf8_step(s.p + i, s.n - i, &valid);
        if (!valid)
            return i;
        i += step;
    }
    return s.n;
}

size_t utf8_sanitized_bytes(struct slice s)
{
    size_t i = 0, out = 0;

    while (i < s.n) {
        bool valid;
        size_t good = utf8_valid_bytes((struct slice){s.p + i, s.n - i});

        i += good;
        out += good;
        if (i == s.n)
            break;
        i += utf8_step(s.p + i, s.n - i, &valid);
        out += UTF8_REPLACEMENT_BYTES;
    }
    return out;
}

uint8_t *utf8_sanitize(uint8_t *to, struct slice s)
{
    size_t i = 0;

    while (i < s.n) {
        bool valid;
        size_t good = utf8_valid_bytes((struct slice){s.p + i, s.n - i});

        if (good > 0)
            memcpy(to, s.p + i, good);
        to += good;
        i += good;
        if (i == s.n)
            break;
        i += utf8_step(s.p + i, s.n - i, &valid);
        memcpy(to, UTF8_REPLACEMENT, UTF8_REPLACEMENT_BYTES);
        to += UTF8_REPLACEMENT_BYTES;
    }
    return to;
}
