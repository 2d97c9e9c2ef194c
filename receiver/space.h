/*
 * space: where a connection's bytes go: the body of struct connection, and the part of it that
 * deals with buffers and the memory budget. connection.c includes it and nobody else.
 *
 * A read always finds place for what may have to be kept of it, before it is made: so nothing that
 * was read is ever without room, and the budget holds.
 */
#ifndef RECEIVER_SPACE_H
#define RECEIVER_SPACE_H

#include "receiver/connection.h"
#include "receiver/handshake.h"

#define CONNECTION_NAME_BYTES (PEER_TEXT_BYTES + 8)

struct greeting {
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
};

struct connection {
    struct intake *intake; /* borrowed */
    int fd;
    enum connection_state state;
    uint32_t pauses;  /* enum connection_pause */
    uint32_t watched; /* epoll's events */
    uint64_t handle;
    uint64_t number;   /* in this incarnation, as the rings have it */
    uint64_t serial;   /* of the last chunk put into a ring */
    uint64_t since_ns; /* in this state; READY with an idle timeout: last activity */
    uint64_t heard_ns;
    struct list_link in_state, in_wait;
    unsigned ring_lane;  /* whose room is waited for */
    unsigned lanes_used; /* mask: an end must go there */
    uint32_t owed;       /* acks whose verdicts have not come */
    uint32_t unsent_acks;
    bool heard;    /* something came */
    bool ack_news; /* `acked` is ahead of `confirmed` */
    bool emptied;  /* the last read left the socket empty */
    bool hung;     /* epoll tells nothing more */
    uint64_t acked[PRODUCER_LANES];     /* the highest serial whose ack was written whole */
    uint64_t confirmed[PRODUCER_LANES]; /* ... and surely arrived */
    struct forward_frame frame;
    struct pool_buffer buffer; /* none where nothing is half received */
    size_t head, tail;         /* of the bytes in it; head is the present message's first */
    size_t size_hint;          /* bytes of the last message */
    struct outbox outbox;
    size_t outbox_booked;
    struct peer *peer;
    struct greeting *greeting; /* owned, during the handshake */
    uint8_t *host;             /* owned: the client's name from the handshake, or NULL */
    uint16_t host_bytes;
    char name[CONNECTION_NAME_BYTES]; /* address and port, for log lines */
};

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
