/*
 * connection_internal: the body of struct connection, and what its parts (connection.c, messages.c,
 * answers.c, space.c) offer each other. Nobody else includes it.
 *
 * Any of these calls may close the connection. It stays allocated until the end of the turn; whoever
 * goes on after such a call looks at the state first.
 */
#ifndef RECEIVER_CONNECTION_INTERNAL_H
#define RECEIVER_CONNECTION_INTERNAL_H

#include "receiver/connection.h"
#include "receiver/handshake.h"
#include "receiver/json_frame.h"

#define CONNECTION_NAME_BYTES (PEER_TEXT_BYTES + 8)

struct greeting {
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    uint8_t auth[HANDSHAKE_AUTH_BYTES];
    uint8_t auth_bytes; /* of it in HELO: all, or none where users are not asked for */
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
    bool heard;                         /* something came */
    bool ack_news;                      /* `acked` is ahead of `confirmed` */
    bool emptied;                       /* the last read left the socket empty */
    bool hung;                          /* epoll tells nothing more */
    bool json;                          /* it speaks JSON */
    uint64_t acked[PRODUCER_LANES];     /* the highest serial whose ack was written whole */
    uint64_t confirmed[PRODUCER_LANES]; /* ... and surely arrived */
    union {
        struct forward_frame msgpack;
        struct json_frame json;
    } frame;
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

/* The only place that changes the state; panics where the transition is not in its table. */
void connection_set_state(struct connection *c, enum connection_state state);

static inline void connection_count(struct connection *c, enum metric_id id, uint64_t n)
{
    status_add(c->intake->status, id, n);
}

/* True where bytes are read now. */
bool connection_reads(const struct connection *c);

/* Makes epoll watch for what is wanted now. */
void connection_watch(struct connection *c);

/* Replaces the set of pauses (enum connection_pause). */
void connection_set_pauses(struct connection *c, uint32_t pauses);
void connection_wait_for_ring(struct connection *c, unsigned lane);

/*
 * Logs what is wrong with the client, its address in front. So many lines in a row and so many a
 * second go out, however many clients cause them; the next one says how many were left out.
 */
void connection_complain(struct connection *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Counts, complains, closes. */
void connection_fail(struct connection *c, enum metric_id id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The socket is broken: closes. */
void connection_break(struct connection *c, int error);

/* While draining: shuts our side once nothing is owed, half received, or unread. */
void connection_end_if_drained(struct connection *c);

#endif
