/*
 * wire: msgpack as bytes on a connection: what a value's first bytes say, and where a run of values
 * ends. Nothing is decoded and nothing is allocated; the bytes are a client's, so every length is
 * checked against what is there and against a limit before it is used. Pure.
 *
 * A run is skipped with a counter of values still to come (a container adds its children to it), so
 * nesting costs neither memory nor stack, however deep it is. How deep a record may be is for the
 * decoder to say, which can put the chunk into quarantine; to close the connection here would make
 * its client send it again for ever.
 */
#ifndef RECEIVER_WIRE_H
#define RECEIVER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/slice.h"

enum wire_kind {
    WIRE_NIL,
    WIRE_BOOL,
    WIRE_INT,
    WIRE_FLOAT,
    WIRE_STR,
    WIRE_BIN,
    WIRE_ARRAY,
    WIRE_MAP,
    WIRE_EXT,
};

/* A value's head: its type byte with the length or count field (and the type of an ext). */
struct wire_head {
    enum wire_kind kind;
    uint32_t head_bytes;
    uint64_t body_bytes; /* behind the head: a number's, string's or ext's own bytes */
    uint64_t children;   /* values behind the head: elements, twice the pairs of a map */
};

/* Reads the head at p. 1: read; 0: n bytes are too few; -EPROTO: the reserved byte c1. */
int wire_head_read(const uint8_t *p, size_t n, struct wire_head *ret);

/* Where skipping stands. Start: {.at = first byte of the first value, .values = how many}. */
struct wire_skip {
    size_t at;        /* everything before it is skipped */
    uint64_t values;  /* still to be skipped from `at` on */
    uint64_t partial; /* private: of these, how many belong to a value that is half skipped */
    size_t need;      /* after 0: bytes that must be there before anything more can be skipped */
};

/*
 * Skips on, with n bytes at p now. Call it again with the same beginning and more bytes; heads are
 * read again (a few bytes), bodies are not.
 *
 * 1: all values are skipped; 0: more bytes are needed, `need` in all; -EPROTO: the reserved byte
 * c1; -EMSGSIZE: what is declared cannot fit below `limit` bytes, ret `need` holds the number.
 */
int wire_skip(const uint8_t *p, size_t n, size_t limit, struct wire_skip *skip);

/*
 * Takes one whole value off *rest: all its bytes, head included. 0, or -EPROTO where no whole value
 * is there. Cost: linear in the value.
 */
int wire_take(struct slice *rest, struct wire_head *ret_head, struct slice *ret_value);

/* The content of a STR or BIN value that wire_take gave. */
struct slice wire_content(const struct wire_head *head, struct slice value);

/* A not negative integer value. False for other kinds and for negative ones. */
bool wire_uint(struct slice value, uint64_t *ret);

#endif
