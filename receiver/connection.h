/*
 * connection: one client connection of the forward port, from accept to close. Included by
 * clients.c, which owns the set of connections, and by nobody else.
 *
 *                    key set                     PING good
 *     OPENING ────────────────▶ GREETED ───────────────────────────▶ READY
 *        │ no key                  │ PING bad: PONG false              │ ▲
 *        └─────────────────────────┼──────────────────────────────────▶┘ │ messages in, acks out
 *                                  ▼                                     │
 *                              LINGERING (input is discarded until the   │
 *                                  │      peer's end, so that the answer │
 *                                  │      is not lost in a reset)        │
 *                                  │        READY ── the peer has ended, acks are owed ──▶ ANSWERING
 *                                  │        READY ── drain, nothing owed ──▶ HALF_CLOSED (our side is
 *                                  │                                          shut; what still comes
 *                                  ▼                                          without an id is taken)
 *                               CLOSED ◀── from every state
 *
 * Memory: an idle connection owns no buffer. Bytes are read into the intake's scratch buffer, whole
 * messages go from there into a ring, and only what is left of a half-received one is kept in a
 * buffer of the pool. A connection whose messages are large reads straight into its own buffer.
 *
 * Pauses (reading stops; TCP pushes back): a ring has no room for a complete message; the memory
 * budget has none for more bytes; the client does not read its acks.
 *
 * Confirmation: an ack counts as arrived once more bytes came on the connection after it had been
 * written whole, or the peer closed with nothing unsent. The connection's end goes into every ring
 * that it sent a chunk with an id to, as soon as the peer has ended: what is sent again on another
 * connection is recognised from then on, also while acks are still owed here.
 *
 * A closed connection is freed at the end of the turn (connection_bury), so nothing dangles within.
 */
#ifndef RECEIVER_CONNECTION_H
#define RECEIVER_CONNECTION_H

#include <sys/socket.h>

#include "receiver/budget.h"
#include "receiver/forward_frame.h"
#include "receiver/list.h"
#include "receiver/outbox.h"
#include "receiver/peers.h"
#include "receiver/pool.h"
#include "receiver/producer.h"
#include "receiver/table.h"
#include "shared/ipc/status_page.h"
#include "shared/options/access.h"

/* One read takes so much at most; also the size of the scratch buffer. */
#define CONNECTION_READ_BYTES (256u << 10)

enum connection_state {
    CONNECTION_OPENING,
    CONNECTION_GREETED,
    CONNECTION_READY,
    CONNECTION_ANSWERING,
    CONNECTION_HALF_CLOSED,
    CONNECTION_LINGERING,
    CONNECTION_CLOSED,
    CONNECTION_STATES,
};

enum connection_pause {
    CONNECTION_WAITS_FOR_RING = 1,
    CONNECTION_WAITS_FOR_MEMORY = 2,
    CONNECTION_WAITS_FOR_READER = 4, /* of acks */
};

/* What all connections share. clients.c fills it in. */
struct intake {
    struct producer *producer;   /* borrowed */
    struct status_slot *status;  /* borrowed */
    struct slice server_host;    /* borrowed */
    const struct access *access; /* borrowed; another one after a reload */
    size_t max_chunk;
    uint64_t idle_ns; /* 0: connections may be idle for ever */

    int epoll;
    struct table *table;
    struct peers *peers;
    struct pool *pool;
    struct budget budget;
    uint8_t *scratch;                      /* CONNECTION_READ_BYTES */
    struct connection *finisher;           /* may use the reserve of the budget */
    struct list states[CONNECTION_STATES]; /* by time of entering, READY by last activity */
    struct list ring_waiters[PRODUCER_LANES];
    struct list memory_waiters;
    uint64_t numbers; /* of connections so far */
    size_t paused;
    size_t outbox_bytes;
    uint64_t now_ns, real_ns; /* of this turn */
    bool memory_came;         /* since memory_waiters were looked at */
    uint64_t complaints_ns;   /* of the complaints so far, at their rate */
    uint64_t complaints_left_out;
    bool draining;
};

struct connection;

/*
 * Takes over an accepted, non-blocking socket and begins: HELO, or ready at once. 0; -errno where
 * it could not (the socket is closed then).
 */
int connection_open(struct intake *intake, int fd, const struct sockaddr_storage *address);

/* epoll's events of it. */
void connection_event(struct connection *c, uint32_t events);

/* A verdict for one of its chunks came. */
void connection_answer(struct connection *c, const struct producer_verdict *verdict);

/*
 * Tries again to put what waits for room in a ring. True: it waits for that lane no more (it may
 * wait for another, or be closed).
 */
bool connection_retry(struct connection *c, unsigned lane);

/* May ask for memory again. */
void connection_wake_for_memory(struct connection *c);

/* Its time in its state is over (what that means is the state's). */
void connection_time_out(struct connection *c);

/* Sluice drains: take what is there, answer, and end at a message boundary. */
void connection_drain(struct connection *c);

void connection_close(struct connection *c);

/* Ends it because it holds memory that others wait for, and sends nothing. */
void connection_evict(struct connection *c);

/* Frees a closed one. */
void connection_bury(struct connection *c);

/* The member of a list of states, or of a list of waiters. */
struct connection *connection_of_state(struct list_link *link);
struct connection *connection_of_wait(struct list_link *link);

uint64_t connection_since_ns(const struct connection *c);
/* Bytes of half-received messages that it holds though it may read on; and since when it is silent. */
size_t connection_hoard(const struct connection *c, uint64_t *ret_silent_since_ns);

#endif
