/*
 * space: where a connection's bytes go: the part of a connection that deals with buffers and the
 * memory budget.
 *
 * A read always finds place for what may have to be kept of it, before it is made: so nothing that
 * was read is ever without room, and the budget holds.
 */
#ifndef RECEIVER_SPACE_H
#define RECEIVER_SPACE_H

#include "receiver/connection_internal.h"

/* Where to read to. */
struct space {
    uint8_t *p;
    size_t n;
    bool own; /* at `tail` of the connection's own buffer */
};

/* Place for the next read. False: the budget has none; the caller waits for memory. */
bool space_find(struct connection *c, struct space *ret);

/* Nothing was read: a buffer without bytes is given back. */
void space_unused(struct connection *c);

/* Keeps bytes that were read elsewhere; there is no buffer yet. 0 or -ENOMEM. */
int space_keep(struct connection *c, struct slice bytes, bool progress);

/* `done` bytes at `head` are done with. */
void space_consumed(struct connection *c, size_t done);

/* Gives the buffer back with what is in it. */
void space_release(struct connection *c);

/* The finisher has finished, or is going. Nothing where it is none. */
void space_end_finish(struct connection *c);

#endif
