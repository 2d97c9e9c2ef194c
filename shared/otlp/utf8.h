/*
 * utf8: is it UTF-8, and what to do where it is not. OTLP strings must be valid UTF-8: many servers
 * refuse a whole request over one that is not. Sixteen bytes of ASCII cost one step.
 *
 * What is no UTF-8 is replaced by U+FFFD, one for each maximal subpart (the Unicode standard's
 * recommendation, and what Python's "replace" does). Overlong forms, surrogates and code points
 * above U+10FFFF are not valid.
 */
#ifndef SHARED_OTLP_UTF8_H
#define SHARED_OTLP_UTF8_H

#include "shared/base/slice.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define UTF8_REPLACEMENT "\xef\xbf\xbd"
#define UTF8_REPLACEMENT_BYTES 3

/* How many bytes at the beginning of s are valid UTF-8. s.n where all are. */
size_t utf8_valid_bytes(struct slice s);

/*
 * One code point, or what is to be replaced by one U+FFFD, at p (n > 0): returns its length,
 * 1 to 4 and at most n.
 */
size_t utf8_step(const uint8_t *p, size_t n, bool *ret_valid);

/* Bytes that utf8_sanitize writes for s. */
size_t utf8_sanitized_bytes(struct slice s);

/* Copies s to `to` with replacements; returns the end. */
uint8_t *utf8_sanitize(uint8_t *to, struct slice s);

/* The length of the longest run of ASCII at the beginning, in whole steps; cheap, may be short. */
static inline size_t utf8_ascii_bytes(const uint8_t *p, size_t n)
{
    size_t i = 0;

#ifdef __SSE2__
    for (; i + 16 <= n; i += 16)
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + i))) != 0)
            return i;
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t v;

        memcpy(&v, p + i, 8);
        if (v & 0x8080808080808080ull)
            return i;
    }
    return i;
}

/* True where all of s is valid. */
static inline bool utf8_is_valid(struct slice s)
{
    size_t i = utf8_ascii_bytes(s.p, s.n);
    uint8_t high = 0;

    if (s.n - i < 8) {
        for (size_t k = i; k < s.n; k++)
            high |= s.p[k];
        if (high < 0x80)
            return true;
    }
    return utf8_valid_bytes(s) == s.n;
}

#endif
