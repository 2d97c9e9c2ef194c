#include "receiver/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "receiver/handshake.h"
#include "receiver/space.h"
#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"

/* More unsent answers than this, and the client is not read until it reads. */
#define OUTBOX_HIGH_BYTES (64u << 10)
#define OUTBOX_LOW_BYTES  (16u << 10)

/* Reads in a row while draining; more than any socket buffer holds. */
#define DRAIN_READS 64u

/* No more lines than these about one kind of thing, however many clients cause them. */
#define LOG_EVERY_NS (100 * NS_PER_MS)

static const char *const state_names[CONNECTION_STATES] = {
    [CONNECTION_OPENING] = "opening",         [CONNECTION_GREETED] = "greeted",
    [CONNECTION_READY] = "ready",             [CONNECTION_ANSWERING] = "answering",
    [CONNECTION_HALF_CLOSED] = "half-closed", [CONNECTION_LINGERING] = "lingering",
    [CONNECTION_CLOSED] = "closed",
};

#define TO(state) (1u << (CONNECTION_##state))

static const uint32_t transitions[CONNECTION_STATES] = {
    [CONNECTION_OPENING] = TO(GREETED) | TO(READY) | TO(CLOSED),
    [CONNECTION_GREETED] = TO(READY) | TO(LINGERING) | TO(CLOSED),
    [CONNECTION_READY] = TO(ANSWERING) | TO(HALF_CLOSED) | TO(CLOSED),
    [CONNECTION_ANSWERING] = TO(CLOSED),
    [CONNECTION_HALF_CLOSED] = TO(CLOSED),
    [CONNECTION_LINGERING] = TO(CLOSED),
};

static void set_state(struct connection *c, enum connection_state state)
{
    if (!(transitions[c->state] & 1u << state))
        log_panic("connection %s: %s to %s", c->name, state_names[c->state], state_names[state]);
    log_debug("connection %s: %s to %s", c->name, state_names[c->state], state_names[state]);
    c->state = state;
    c->since_ns = c->intake->now_ns;
    list_remove(&c->in_state);
    list_append(&c->intake->states[state], &c->in_state);
}

static void count(struct connection *c, enum metric_id id, uint64_t n)
{
    status_add(c->intake->status, id, n);
}

/* ---- what is watched, and pauses ---- */

static bool reads(const struct connection *c)
{
    return c->pauses == 0 && (c->state == CONNECTION_GREETED || c->state == CONNECTION_READY ||
                              c->state == CONNECTION_HALF_CLOSED ||
                              c->state == CONNECTION_LINGERING);
}

static void watch(struct connection *c)
{
    uint32_t events = (reads(c) ? (uint32_t)EPOLLIN : 0) |
                      (outbox_is_empty(&c->outbox) ? 0 : (uint32_t)EPOLLOUT);
    struct epoll_event event = {.events = events, .data.u64 = c->handle};

    if (c->state == CONNECTION_CLOSED || c->hung || events == c->watched)
        return;
    epoll_ctl(c->intake->epoll, EPOLL_CTL_MOD, c->fd, &event);
    c->watched = events;
}

static void set_pauses(struct connection *c, uint32_t pauses)
{
    if (c->pauses == 0 && pauses != 0)
        c->intake->paused++;
    if (c->pauses != 0 && pauses == 0)
        c->intake->paused--;
    c->pauses = pauses;
}

static void wait_for_memory(struct connection *c)
{
    set_pauses(c, c->pauses | CONNECTION_WAITS_FOR_MEMORY);
    list_append(&c->intake->memory_waiters, &c->in_wait);
}

static void wait_for_ring(struct connection *c, unsigned lane)
{
    if (c->ring_lane != lane)
        list_remove(&c->in_wait);
    if (!list_has(&c->in_wait)) {
        list_append(&c->intake->ring_waiters[lane], &c->in_wait);
        count(c, METRIC_RING_STALLS, 1);
    }
    c->ring_lane = lane;
    set_pauses(c, c->pauses | CONNECTION_WAITS_FOR_RING);
}

/* ---- the end ---- */

/* Tells the rings, once. */
static void send_ends(struct connection *c, bool clean)
{
    struct intake *intake = c->intake;

    for (unsigned lane = 0; c->lanes_used >> lane; lane++) {
        struct producer_end end = {
            .connection = c->number,
            .confirmed = clean ? c->acked[lane] : c->confirmed[lane],
            .received_ns = intake->real_ns,
            .clean = clean,
        };

        if (!(c->lanes_used & 1u << lane))
            continue;
        /* Without the entry a chunk that is sent again is stored twice: safe. */
        if (producer_end(intake->producer, lane, &end) < 0)
            log_error("out of memory: the end of connection %s is not recorded", c->name);
    }
    c->lanes_used = 0;
}

void connection_close(struct connection *c)
{
    struct intake *intake = c->intake;

    if (c->state == CONNECTION_CLOSED)
        return;
    send_ends(c, false);
    space_release(c);
    space_end_finish(c);
    set_pauses(c, 0);
    list_remove(&c->in_wait);
    count(c, METRIC_ACKS_UNSENT, c->unsent_acks);
    intake->outbox_bytes -= c->outbox_booked;
    outbox_fini(&c->outbox);
    fd_close(&c->fd);
    table_remove(intake->table, c->handle);
    set_state(c, CONNECTION_CLOSED);
}

void connection_bury(struct connection *c)
{
    list_remove(&c->in_state);
    peers_leave(c->intake->peers, c->peer);
    free(c->greeting);
    free(c->host);
    free(c);
}

/* Closes with a line that names the reason; lines are limited, closing is not. */
static void fail(struct connection *c, enum metric_id id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct connection *c, enum metric_id id, const char *format, ...)
{
    static struct log_limit limit;
    char reason[256];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    count(c, id, 1);
    if (log_limit_pass(&limit, c->intake->now_ns, LOG_EVERY_NS)) {
        log_warn("client %s: %s; connection closed (%llu such lines left out)", c->name, reason,
                 (unsigned long long)limit.suppressed);
        limit.suppressed = 0;
    }
    connection_close(c);
}

/* The peer sends no more. Acks that are owed are still written: it may have shut one side only. */
static void on_peer_end(struct connection *c)
{
    int unsent = 1;
    bool answered = c->owed == 0 && outbox_is_empty(&c->outbox);

    if (c->tail > c->head)
        log_debug("client %s ended within a message; %zu bytes of it are dropped", c->name,
                  c->tail - c->head);
    if (c->state != CONNECTION_READY || answered) {
        if (c->lanes_used != 0 && answered && ioctl(c->fd, SIOCOUTQ, &unsent) == 0 && unsent == 0)
            send_ends(c, true);
        connection_close(c);
        return;
    }
    send_ends(c, false);
    space_release(c);
    space_end_finish(c);
    set_state(c, CONNECTION_ANSWERING);
    watch(c);
}

static void on_broken(struct connection *c, int error)
{
    log_debug("client %s: %s", c->name, strerror(error));
    connection_close(c);
}

/*
 * While draining: our side is shut once nothing is owed, no message is half here, and the socket
 * was seen empty. What the client sends from then on with an id is not taken, because no ack can
 * follow: it sends it again to the successor. What comes without an id is taken to the end.
 */
static void end_if_drained(struct connection *c)
{
    if (!c->intake->draining || c->state != CONNECTION_READY || c->owed > 0 || c->pauses != 0 ||
        !c->emptied || c->tail > c->head || !outbox_is_empty(&c->outbox))
        return;
    if (shutdown(c->fd, SHUT_WR) < 0) {
        on_broken(c, errno);
        return;
    }
    set_state(c, CONNECTION_HALF_CLOSED);
}

/* ---- out ---- */

static void note_sent(struct connection *c, const struct outbox_mark *mark)
{
    if (!mark->is_ack)
        return;
    c->acked[mark->lane] = mark->serial;
    c->ack_news = true;
    count(c, METRIC_ACKS_SENT, 1);
}

/* False: the connection is closed. */
static bool send_out(struct connection *c, struct slice bytes, const struct outbox_mark *mark)
{
    int r = outbox_send(&c->outbox, c->fd, bytes, mark);

    if (r < 0) {
        count(c, METRIC_ACKS_UNSENT, mark->is_ack ? 1 : 0);
        on_broken(c, -r);
        return false;
    }
    if (r == 1) {
        note_sent(c, mark);
        return true;
    }
    c->unsent_acks += mark->is_ack ? 1 : 0;
    /* As outbox_send books it: what waits and its cost. */
    c->intake->outbox_bytes += outbox_bytes(&c->outbox) - c->outbox_booked;
    c->outbox_booked = outbox_bytes(&c->outbox);
    if (c->outbox_booked > OUTBOX_HIGH_BYTES)
        set_pauses(c, c->pauses | CONNECTION_WAITS_FOR_READER);
    watch(c);
    return true;
}

static void after_answer(struct connection *c)
{
    if (c->state == CONNECTION_ANSWERING && c->owed == 0 && outbox_is_empty(&c->outbox))
        connection_close(c);
    else
        end_if_drained(c);
}

static void on_writable(struct connection *c)
{
    struct outbox_mark mark;
    int r;

    while ((r = outbox_flush(&c->outbox, c->fd, &mark)) == 1) {
        c->unsent_acks -= mark.is_ack ? 1 : 0;
        note_sent(c, &mark);
    }
    if (r < 0) {
        on_broken(c, -r);
        return;
    }
    c->intake->outbox_bytes -= c->outbox_booked - outbox_bytes(&c->outbox);
    c->outbox_booked = outbox_bytes(&c->outbox);
    if (c->outbox_booked < OUTBOX_LOW_BYTES)
        set_pauses(c, c->pauses & ~(uint32_t)CONNECTION_WAITS_FOR_READER);
    after_answer(c);
    watch(c);
}

void connection_answer(struct connection *c, const struct producer_verdict *verdict)
{
    static const uint8_t head[] = {0x81, 0xa3, 'a', 'c', 'k'};
    uint8_t ack[sizeof(head) + FORWARD_FRAME_ID_BYTES];
    struct outbox_mark mark = {
        .is_ack = true, .lane = (uint8_t)verdict->lane, .serial = verdict->owner.serial};

    c->owed--;
    if (verdict->verdict != RING_DURABLE && verdict->verdict != RING_QUARANTINED) {
        count(c, METRIC_ACKS_UNSENT, 1);
        fail(c, METRIC_PROTOCOL_ERRORS, "a chunk was refused");
        return;
    }
    memcpy(ack, head, sizeof(head));
    memcpy(ack + sizeof(head), verdict->id.p, verdict->id.n);
    if (send_out(c, slice_of(ack, sizeof(head) + verdict->id.n), &mark))
        after_answer(c);
}

/* ---- handshake ---- */

static void linger(struct connection *c)
{
    shutdown(c->fd, SHUT_WR);
    set_state(c, CONNECTION_LINGERING);
}

static void on_refused(struct connection *c, const struct handshake_outcome *outcome)
{
    static struct log_limit limit;
    struct outbox_mark mark = {0};

    count(c, METRIC_HANDSHAKES_REFUSED, 1);
    if (log_limit_pass(&limit, c->intake->now_ns, LOG_EVERY_NS)) {
        log_warn("client %s: handshake refused: %s (%llu such lines left out)", c->name,
                 outcome->reason, (unsigned long long)limit.suppressed);
        limit.suppressed = 0;
    }
    if (send_out(c, slice_of(outcome->pong, outcome->pong_bytes), &mark))
        linger(c);
}

static bool on_welcome(struct connection *c, const struct handshake_outcome *outcome)
{
    static struct log_limit limit;
    struct outbox_mark mark = {0};

    if (outcome->client_host.n > 0) {
        c->host = malloc(outcome->client_host.n);
        if (!c->host) {
            connection_close(c);
            return false;
        }
        memcpy(c->host, outcome->client_host.p, outcome->client_host.n);
        c->host_bytes = (uint16_t)outcome->client_host.n;
    }
    if (slice_equal(outcome->client_host, c->intake->server_host) &&
        log_limit_pass(&limit, c->intake->now_ns, NS_PER_S))
        log_warn("client %s has our own host name: Fluentd and Node clients refuse that; "
                 "set self.host",
                 c->name);
    free(c->greeting);
    c->greeting = NULL;
    set_state(c, CONNECTION_READY);
    return send_out(c, slice_of(outcome->pong, outcome->pong_bytes), &mark);
}

/* Looks for the PING in front. Returns its bytes, 0 where it is not whole or was no good. */
static size_t take_ping(struct connection *c, const uint8_t *p, size_t n)
{
    struct handshake_outcome outcome;
    struct handshake_terms terms = {.shared_key = c->intake->shared_key(c->intake->argument),
                                    .server_host = c->intake->server_host};

    memcpy(terms.nonce, c->greeting->nonce, sizeof(terms.nonce));
    switch (handshake_ping(&terms, p, n, &outcome)) {
    case HANDSHAKE_MORE:
        return 0;
    case HANDSHAKE_WELCOME:
        return on_welcome(c, &outcome) ? outcome.bytes : 0;
    case HANDSHAKE_REFUSED:
        on_refused(c, &outcome);
        return 0;
    case HANDSHAKE_BROKEN:
        fail(c, METRIC_HANDSHAKES_REFUSED, "%s", outcome.reason);
        return 0;
    }
    return 0;
}

static int greet(struct connection *c)
{
    uint8_t helo[HANDSHAKE_HELO_BYTES];
    struct outbox_mark mark = {0};

    c->greeting = malloc(sizeof(*c->greeting));
    if (!c->greeting)
        return -ENOMEM;
    if (getrandom(c->greeting->nonce, sizeof(c->greeting->nonce), 0) !=
        (ssize_t)sizeof(c->greeting->nonce))
        return -EIO;
    handshake_helo(c->greeting->nonce, helo);
    set_state(c, CONNECTION_GREETED);
    return send_out(c, slice_of(helo, sizeof(helo)), &mark) ? 0 : -ENOTCONN;
}

/* ---- messages ---- */

static struct slice identity(const struct connection *c)
{
    return c->host ? slice_of(c->host, c->host_bytes)
                   : slice_of(c->peer->text, c->peer->text_bytes);
}

static void on_oversize(struct connection *c, uint64_t bytes)
{
    fail(c, METRIC_MESSAGES_OVERSIZE,
         "a message of at least %llu bytes is above forward.max_chunk = %zu",
         (unsigned long long)bytes, c->intake->max_chunk);
}

/* False: it could not be taken now (or ever: then the connection is closed). */
static bool put_chunk(struct connection *c, const struct forward_message *message)
{
    struct producer_chunk chunk = {
        .message = message,
        .peer = identity(c),
        .received_ns = c->intake->real_ns,
        .connection = c->number,
        .serial = c->serial + 1,
        .handle = c->handle,
        .confirmed = c->confirmed,
    };
    unsigned lane;
    int r;

    if (c->state == CONNECTION_HALF_CLOSED && message->wants_ack)
        return true; /* see end_if_drained */
    r = producer_put(c->intake->producer, &chunk, &lane);
    if (r == -EAGAIN) {
        wait_for_ring(c, lane);
        return false;
    }
    if (r == -EMSGSIZE) {
        on_oversize(c, message->bytes);
        return false;
    }
    if (r < 0) {
        log_error("client %s: a chunk cannot be taken: %s", c->name, strerror(-r));
        connection_close(c);
        return false;
    }
    c->serial++;
    count(c, METRIC_CHUNKS_IN, 1);
    if (message->wants_ack) {
        c->owed++;
        c->lanes_used |= 1u << lane;
    } else {
        count(c, METRIC_CHUNKS_WITHOUT_ACK, 1);
    }
    return true;
}

/* True: go on behind it. */
static bool on_ignored(struct connection *c, const struct forward_message *message)
{
    static struct log_limit limit;

    count(c, METRIC_MESSAGES_IGNORED, 1);
    if (!message->reason) /* a keepalive */
        return true;
    if (message->wants_ack) {
        /* Its sender would wait for ever; closing shows it that something is wrong. */
        fail(c, METRIC_PROTOCOL_ERRORS, "%s", message->reason);
        return false;
    }
    if (log_limit_pass(&limit, c->intake->now_ns, LOG_EVERY_NS)) {
        log_warn("client %s: skipped: %s (%llu such lines left out)", c->name, message->reason,
                 (unsigned long long)limit.suppressed);
        limit.suppressed = 0;
    }
    return true;
}

/* True: the message is done with. */
static bool on_message(struct connection *c, enum forward_frame_result result,
                       const struct forward_message *message)
{
    switch (result) {
    case FORWARD_FRAME_CHUNK:
        return put_chunk(c, message);
    case FORWARD_FRAME_IGNORED:
    case FORWARD_FRAME_REFUSED:
        return on_ignored(c, message);
    case FORWARD_FRAME_OVERSIZE:
        on_oversize(c, message->declared_bytes);
        return false;
    default:
        fail(c, METRIC_PROTOCOL_ERRORS, "%s", message->reason);
        return false;
    }
}

static bool takes_messages(const struct connection *c)
{
    return !(c->pauses & CONNECTION_WAITS_FOR_RING) &&
           (c->state == CONNECTION_GREETED || c->state == CONNECTION_READY ||
            c->state == CONNECTION_HALF_CLOSED);
}

/* Takes whole messages off the front. Returns how many bytes are done with. */
static size_t consume(struct connection *c, const uint8_t *p, size_t n)
{
    size_t done = 0;

    while (done < n && takes_messages(c)) {
        struct forward_message message;
        enum forward_frame_result result;

        if (c->state == CONNECTION_GREETED) {
            size_t ping = take_ping(c, p + done, n - done);

            if (ping == 0)
                break;
            done += ping;
            continue;
        }
        result = forward_frame_next(&c->frame, p + done, n - done, &message);
        if (result == FORWARD_FRAME_MORE || !on_message(c, result, &message))
            break;
        forward_frame_reset(&c->frame);
        done += message.bytes;
        c->size_hint = message.bytes;
    }
    return done;
}

/* Takes what it can out of the connection's own buffer. */
static void consume_own(struct connection *c)
{
    size_t done = consume(c, c->buffer.p + c->head, c->tail - c->head);

    if (c->state == CONNECTION_CLOSED)
        return;
    if (c->state == CONNECTION_LINGERING)
        space_release(c);
    else
        space_consumed(c, done);
}

/* ---- in ---- */

/* The first bytes of a connection tell a client of another protocol. True: closed. */
static bool is_foreign(struct connection *c, const uint8_t *p, size_t n)
{
    switch (forward_frame_guess(p, n)) {
    case FORWARD_GUESS_MSGPACK:
        return false;
    case FORWARD_GUESS_JSON:
        fail(c, METRIC_PROTOCOL_ERRORS, "JSON on the forward port; msgpack is taken there");
        return true;
    case FORWARD_GUESS_HTTP:
        fail(c, METRIC_PROTOCOL_ERRORS, "HTTP request on the forward port");
        return true;
    case FORWARD_GUESS_TLS:
        fail(c, METRIC_PROTOCOL_ERRORS, "TLS on the plain port");
        return true;
    }
    return false;
}

/* Bytes came: acks that were written before them have arrived. */
static void note_bytes(struct connection *c, size_t n)
{
    count(c, METRIC_BYTES_IN, n);
    c->heard_ns = c->intake->now_ns;
    if (c->ack_news)
        memcpy(c->confirmed, c->acked, sizeof(c->confirmed));
    c->ack_news = false;
    if (c->intake->idle_ns > 0 && c->state == CONNECTION_READY) {
        c->since_ns = c->intake->now_ns;
        list_remove(&c->in_state);
        list_append(&c->intake->states[CONNECTION_READY], &c->in_state);
    }
}

static void on_bytes(struct connection *c, const struct space *space, size_t n)
{
    bool first = !c->heard;

    note_bytes(c, n);
    c->heard = true;
    if (c->state == CONNECTION_LINGERING || (first && is_foreign(c, space->p, n)))
        return;
    if (space->own) {
        c->tail += n;
        consume_own(c);
    } else {
        size_t done = consume(c, space->p, n);

        if (c->state == CONNECTION_CLOSED || c->state == CONNECTION_LINGERING || done == n) {
            space_end_finish(c);
            return;
        }
        if (space_keep(c, slice_of(space->p + done, n - done), done > 0) < 0) {
            log_error("client %s: out of memory", c->name);
            connection_close(c);
        }
    }
}

static void read_once(struct connection *c)
{
    struct space space;
    ssize_t n;
    int error;

    if (!space_find(c, &space)) {
        wait_for_memory(c);
        return;
    }
    n = recv(c->fd, space.p, space.n, MSG_DONTWAIT);
    error = errno;
    if (n > 0) {
        c->emptied = (size_t)n < space.n;
        on_bytes(c, &space, (size_t)n);
        return;
    }
    space_unused(c);
    c->emptied = true;
    if (n == 0)
        on_peer_end(c);
    else if (error != EAGAIN && error != EINTR)
        on_broken(c, error);
}

/*
 * One read per event, so that all connections get their turn; while draining, until the socket is
 * seen empty, because epoll would not tell of an empty one.
 */
static void on_readable(struct connection *c)
{
    unsigned rounds = c->intake->draining ? DRAIN_READS : 1;

    do
        read_once(c);
    while (--rounds > 0 && reads(c) && !c->emptied);
    end_if_drained(c);
}

void connection_event(struct connection *c, uint32_t events)
{
    struct epoll_event event = {0};

    if (events & EPOLLOUT)
        on_writable(c);
    if (c->state == CONNECTION_CLOSED)
        return;
    if (reads(c) && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        on_readable(c);
        watch(c);
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        /* Broken, but what has been received is not all in the rings yet. */
        if (c->pauses & CONNECTION_WAITS_FOR_RING) {
            epoll_ctl(c->intake->epoll, EPOLL_CTL_DEL, c->fd, &event);
            c->hung = true;
        } else {
            connection_close(c);
        }
    }
}

/* A pause is over. A connection that epoll tells nothing more about is read to its end. */
static void go_on(struct connection *c)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    if (reads(c) && (c->hung || c->intake->draining))
        on_readable(c);
    watch(c);
}

bool connection_retry(struct connection *c, unsigned lane)
{
    set_pauses(c, c->pauses & ~(uint32_t)CONNECTION_WAITS_FOR_RING);
    consume_own(c);
    if (c->pauses & CONNECTION_WAITS_FOR_RING)
        return c->ring_lane != lane;
    list_remove(&c->in_wait);
    go_on(c);
    return true;
}

void connection_wake_for_memory(struct connection *c)
{
    list_remove(&c->in_wait);
    set_pauses(c, c->pauses & ~(uint32_t)CONNECTION_WAITS_FOR_MEMORY);
    go_on(c);
}

/* ---- time, drain ---- */

static void on_idle(struct connection *c)
{
    if (c->tail > c->head || c->owed > 0 || !outbox_is_empty(&c->outbox)) {
        c->since_ns = c->intake->now_ns;
        list_remove(&c->in_state);
        list_append(&c->intake->states[CONNECTION_READY], &c->in_state);
        return;
    }
    log_debug("client %s: idle for forward.idle_timeout", c->name);
    connection_close(c);
}

/* The peer goes on sending without ids: what is here is taken, then it is cut. */
static void on_half_closed_end(struct connection *c)
{
    if (c->tail == c->head && c->pauses == 0)
        on_readable(c);
    if (c->state == CONNECTION_HALF_CLOSED && c->tail == c->head)
        connection_close(c);
}

void connection_time_out(struct connection *c)
{
    switch (c->state) {
    case CONNECTION_GREETED:
        fail(c, METRIC_HANDSHAKES_REFUSED,
             "no handshake within forward.handshake_timeout; does it have a shared key?");
        break;
    case CONNECTION_READY:
        on_idle(c);
        break;
    case CONNECTION_HALF_CLOSED:
        on_half_closed_end(c);
        break;
    default:
        connection_close(c);
    }
}

void connection_drain(struct connection *c)
{
    switch (c->state) {
    case CONNECTION_READY:
        c->emptied = false;
        if (c->pauses == 0)
            on_readable(c);
        watch(c);
        break;
    case CONNECTION_OPENING:
    case CONNECTION_GREETED:
    case CONNECTION_LINGERING:
        connection_close(c);
        break;
    default:
        break;
    }
}

void connection_evict(struct connection *c)
{
    fail(c, METRIC_PROTOCOL_ERRORS,
         "it holds %zu bytes of a message that does not go on, and receiver.memory is used up",
         c->tail - c->head);
}

/* ---- open, and what clients.c asks ---- */

static int begin(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = c->handle};

    if (epoll_ctl(c->intake->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        return -errno;
    c->watched = EPOLLIN;
    if (c->intake->shared_key(c->intake->argument).n > 0)
        return greet(c);
    set_state(c, CONNECTION_READY);
    return 0;
}

int connection_open(struct intake *intake, int fd, const struct sockaddr_storage *address)
{
    struct connection *c = calloc(1, sizeof(*c));
    uint16_t port = 0;
    int r = -ENOMEM;

    if (c)
        c->peer = peers_join(intake->peers, address, &port);
    if (!c || !c->peer || table_add(intake->table, c, &c->handle) < 0) {
        if (c && c->peer)
            peers_leave(intake->peers, c->peer);
        free(c);
        fd_close(&fd);
        return r;
    }
    c->intake = intake;
    c->fd = fd;
    c->number = ++intake->numbers;
    c->heard_ns = intake->now_ns;
    snprintf(c->name, sizeof(c->name), "%s:%u", c->peer->text, port);
    forward_frame_init(&c->frame, intake->max_chunk);
    list_append(&intake->states[CONNECTION_OPENING], &c->in_state);
    count(c, METRIC_CONNECTIONS_TOTAL, 1);
    r = begin(c);
    if (r < 0)
        connection_close(c);
    return r;
}

struct connection *connection_of_state(struct list_link *link)
{
    return LIST_OF(link, struct connection, in_state);
}

struct connection *connection_of_wait(struct list_link *link)
{
    return LIST_OF(link, struct connection, in_wait);
}

uint64_t connection_since_ns(const struct connection *c)
{
    return c->since_ns;
}

size_t connection_hoard(const struct connection *c, uint64_t *ret_silent_since_ns)
{
    *ret_silent_since_ns = c->heard_ns;
    return reads(c) ? c->buffer.bytes : 0;
}
