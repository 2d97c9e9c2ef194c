/*
 * json_mp: JSON (RFC 8259) to MessagePack. For messages of clients that speak JSON on the forward
 * port, for string bodies that are JSON, and for HTTP bodies. One pass, no allocation but for the
 * output's growth, no recursion.
 *
 *     null nil          integers in [-2^63, 2^64)  int      strings  str, escapes resolved
 *     true, false bool  integers beyond            str      arrays   array
 *     fractions,                                            objects  map; duplicate keys stay (what
 *     exponents float64                                     becomes of them is record.c's matter)
 *
 * -0 and numbers with fraction or exponent are floats; one beyond the doubles' range (one that would
 * become infinite, or 0 without being it) or longer than JSON_MAX_DECIMAL is a str, so that nothing
 * of it is lost. A lone surrogate escape becomes U+FFFD; \u0000 stays a NUL byte. Bytes in strings
 * that are no UTF-8 are taken as they are (the converter sanitises text); control characters below
 * 0x20 in strings are errors by the RFC, but loggers write tabs: taken as they are with JSON_LAX, an
 * error without it.
 */
#ifndef PROCESSOR_JSON_MP_H
#define PROCESSOR_JSON_MP_H

#include "processor/mp_write.h"

/* Values within values; beyond, the text is refused (-E2BIG). */
#define JSON_MAX_DEPTH 512

/* Characters of a number with fraction or exponent that is made a float: the C library has cases in
 * which it needs every one of them. */
#define JSON_MAX_DECIMAL 511

enum json_flags {
    JSON_LAX = 1, /* control characters in strings are taken */
};

/* Where and why reading failed. Lines and columns count from 1, columns in bytes. */
struct json_error {
    const char *reason; /* a literal */
    size_t offset;
    uint32_t line;
    uint32_t column;
};

/*
 * Reads one value at *in and moves *in behind it (white space before it is skipped). Returns 0;
 * -EBADMSG where it is no JSON or ends early; -E2BIG above JSON_MAX_DEPTH and for 4 GiB of text;
 * -ENOMEM for the output (w->failed is set then). On an error *in is as it was, ret_error (which may
 * be NULL) says where, and what was written is taken back.
 */
int json_mp_value(struct slice *in, unsigned flags, struct mp_writer *w,
                  struct json_error *ret_error);

/*
 * The same for a whole text that must be one object, with only white space around it: writes its
 * pairs without the map's header and counts them in w->pairs. What is no object at the first glance
 * costs nothing.
 */
int json_mp_object(struct slice text, unsigned flags, struct mp_writer *w,
                   struct json_error *ret_error);

#endif
