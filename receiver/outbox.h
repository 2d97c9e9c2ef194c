/*
 * outbox: what goes out on one connection: HELO, PONG, acks. Each message is one write of its own,
 * because Fluent Bit and the Go logger take one read for one answer (protocols.md 1.7). What the
 * socket does not take waits in order; usually nothing does, and then nothing is allocated.
 *
 * Bounded by the caller: it stops reading from a client whose outbox_bytes grow.
 */
#ifndef RECEIVER_OUTBOX_H
#define RECEIVER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/slice.h"

/* What a message was, told when it has gone out. */
struct outbox_mark {
    bool is_ack;
    uint8_t lane;
    uint64_t serial;
};

struct outbox_item;

/* Zeroed at start. Members are private. */
struct outbox {
    struct outbox_item *first, *last;
    size_t bytes;
};

/*
 * Sends on fd (a non-blocking stream socket), behind what waits. 1: it has gone out whole;
 * 0: it waits; -errno: the connection is broken, or -ENOMEM.
 */
int outbox_send(struct outbox *outbox, int fd, struct slice message,
                const struct outbox_mark *mark);

/* Sends on. 1: the message of *ret_mark has gone out, call again; 0: no more now; -errno: broken. */
int outbox_flush(struct outbox *outbox, int fd, struct outbox_mark *ret_mark);

static inline bool outbox_is_empty(const struct outbox *outbox)
{
    return outbox->first == NULL;
}

/* Bytes that wait, with what keeping them costs. */
static inline size_t outbox_bytes(const struct outbox *outbox)
{
    return outbox->bytes;
}

void outbox_fini(struct outbox *outbox);

#endif
