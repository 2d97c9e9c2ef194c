/*
 * json_scan: JSON as bytes on a connection: where a value ends. The counterpart of wire.h, pure as
 * that; json_frame.c calls it. Nothing is decoded but strings that are asked for, nothing is
 * allocated, and each byte is looked at once however the stream is cut.
 *
 * What is looked at is structure: strings with their escapes, brackets that match, and that nothing
 * else stands there than JSON can have. Commas, colons and numbers within a value are for the
 * decoder to judge, which can put the chunk into quarantine; to close the connection here would
 * make its client send it again for ever.
 *
 * Nesting costs neither memory nor stack, however deep it is: brackets are counted, and the kinds
 * of the outermost 64 are kept in as many bits; further in, one closes the other kind too.
 */
#ifndef RECEIVER_JSON_SCAN_H
#define RECEIVER_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/slice.h"

enum json_scan_kind {
    JSON_SCAN_NULL,
    JSON_SCAN_FALSE,
    JSON_SCAN_TRUE,
    JSON_SCAN_NUMBER,
    JSON_SCAN_STRING,
    JSON_SCAN_ARRAY,
    JSON_SCAN_OBJECT,
};

/* Where scanning stands. Start: {.at = first byte of the value}. Members but `at` are private. */
struct json_scan {
    size_t at; /* everything before it is scanned */
    uint64_t arrays;
    uint32_t depth;
    uint8_t state;
    uint8_t matched;
    uint8_t kind; /* enum json_scan_kind, from the first byte on */
};

/* How many bytes of white space stand at p. */
size_t json_scan_space(const uint8_t *p, size_t n);

/*
 * Scans on, with n bytes at p now; call it again with the same beginning and more bytes. A number
 * ends before the first byte that cannot be one's, so at the end of what is there it is not whole.
 *
 * 1: the value ends at `at`; 0: more bytes are needed, all there are were scanned; -EPROTO: what
 * stands at `at` cannot be JSON.
 */
int json_scan(const uint8_t *p, size_t n, struct json_scan *scan);

/* Takes the white space and the value behind it off *rest. False: no whole value is there. */
bool json_scan_take(struct slice *rest, enum json_scan_kind *ret_kind, struct slice *ret_value);

/* Takes white space and this byte off *rest, or nothing. */
bool json_scan_eat(struct slice *rest, uint8_t byte);

/*
 * The content of a string that was scanned, escapes resolved: in `value` itself where it has none,
 * else in `room`. A half of a surrogate pair becomes U+FFFD. 0; -ENOBUFS: longer than `size`;
 * -EPROTO: an escape that is none.
 */
int json_scan_string(struct slice value, uint8_t *room, size_t size, struct slice *ret_content);

/* A number that is written as a not negative integer. False for others, and above 64 bits. */
bool json_scan_uint(struct slice value, uint64_t *ret);

#endif
