#include "receiver/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "receiver/answers.h"
#include "receiver/connection_internal.h"
#include "receiver/messages.h"
#include "receiver/space.h"
#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"

/* Reads in a row while draining; more than any socket buffer holds. */
#define DRAIN_READS 64u
/* What is watched while we read: bytes, and that no more will come. */
#define WATCH_IN ((uint32_t)(EPOLLIN | EPOLLRDHUP))
#define PEER_ENDED ((uint32_t)(EPOLLRDHUP | EPOLLHUP | EPOLLERR))

/* Lines about clients that go out in a row, and the time that each of them takes up. */
#define COMPLAINT_BURST 50u
#define COMPLAINT_NS (100 * NS_PER_MS)

static const char *const state_names[CONNECTION_STATES] = {
    [CONNECTION_OPENING] = "opening",
    [CONNECTION_GREETED] = "greeted",
    [CONNECTION_READY] = "ready",
    [CONNECTION_ANSWERING] = "answering",
    [CONNECTION_HALF_CLOSED] = "half-closed",
    [CONNECTION_LINGERING] = "lingering",
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

void connection_set_state(struct connection *c, enum connection_state state)
{
    if (!(transitions[c->state] & 1u << state))
        log_panic("connection %s: %s to %s", c->name, state_names[c->state], state_names[state]);
    log_debug("connection %s: %s to %s", c->name, state_names[c->state], state_names[state]);
    c->state = state;
    c->since_ns = c->intake->now_ns;
    list_remove(&c->in_state);
    list_append(&c->intake->states[state], &c->in_state);
}

/* ---- what is watched, and pauses ---- */

bool connection_reads(const struct connection *c)
{
    return c->pauses == 0 &&
           (c->state == CONNECTION_GREETED || c->state == CONNECTION_READY ||
            c->state == CONNECTION_HALF_CLOSED || c->state == CONNECTION_LINGERING);
}

void connection_watch(struct connection *c)
{
    uint32_t events = (connection_reads(c) ? WATCH_IN : 0) |
                      (outbox_is_empty(&c->outbox) ? 0 : (uint32_t)EPOLLOUT);
    struct epoll_event event = {.events = events, .data.u64 = c->handle};

    if (c->state == CONNECTION_CLOSED || c->hung || events == c->watched)
        return;
    epoll_ctl(c->intake->epoll, EPOLL_CTL_MOD, c->fd, &event);
    c->watched = events;
}

void connection_set_pauses(struct connection *c, uint32_t pauses)
{
    if (c->pauses == 0 && pauses != 0)
        c->intake->paused++;
    if (c->pauses != 0 && pauses == 0) {
        c->intake->paused--;
        /* Its silence was ours. */
        c->heard_ns = c->intake->now_ns;
    }
    c->pauses = pauses;
}

static void wait_for_memory(struct connection *c)
{
    connection_set_pauses(c, c->pauses | CONNECTION_WAITS_FOR_MEMORY);
    list_append(&c->intake->memory_waiters, &c->in_wait);
}

void connection_wait_for_ring(struct connection *c, unsigned lane)
{
    if (c->ring_lane != lane)
        list_remove(&c->in_wait);
    if (!list_has(&c->in_wait)) {
        list_append(&c->intake->ring_waiters[lane], &c->in_wait);
        connection_count(c, METRIC_RING_STALLS, 1);
    }
    c->ring_lane = lane;
    connection_set_pauses(c, c->pauses | CONNECTION_WAITS_FOR_RING);
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
    connection_set_pauses(c, 0);
    list_remove(&c->in_wait);
    connection_count(c, METRIC_ACKS_UNSENT, c->unsent_acks);
    intake->outbox_bytes -= c->outbox_booked;
    outbox_fini(&c->outbox);
    fd_close(&c->fd);
    table_remove(intake->table, c->handle);
    connection_set_state(c, CONNECTION_CLOSED);
}

void connection_bury(struct connection *c)
{
    list_remove(&c->in_state);
    peers_leave(c->intake->peers, c->peer);
    free(c->greeting);
    free(c->host);
    free(c);
}

/* `ending` is what follows the words. */
static void complain(struct connection *c, const char *ending, const char *format, va_list args)
{
    struct intake *intake = c->intake;
    uint64_t burst_ns = COMPLAINT_BURST * COMPLAINT_NS;
    char text[256];

    if (intake->complaints_ns + burst_ns < intake->now_ns)
        intake->complaints_ns = intake->now_ns - burst_ns;
    if (intake->complaints_ns + COMPLAINT_NS > intake->now_ns) {
        intake->complaints_left_out++;
        return;
    }
    intake->complaints_ns += COMPLAINT_NS;
    vsnprintf(text, sizeof(text), format, args);
    if (intake->complaints_left_out == 0)
        log_warn("client %s: %s%s", c->name, text, ending);
    else
        log_warn("client %s: %s%s (%llu lines about clients were left out)", c->name, text, ending,
                 (unsigned long long)intake->complaints_left_out);
    intake->complaints_left_out = 0;
}

void connection_complain(struct connection *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(c, "", format, args);
    va_end(args);
}

void connection_fail(struct connection *c, enum metric_id id, const char *format, ...)
{
    va_list args;

    connection_count(c, id, 1);
    va_start(args, format);
    complain(c, "; connection closed", format, args);
    va_end(args);
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
    connection_set_state(c, CONNECTION_ANSWERING);
    connection_watch(c);
}

void connection_break(struct connection *c, int error)
{
    log_debug("client %s: %s", c->name, strerror(error));
    connection_close(c);
}

/*
 * While draining: our side is shut once nothing is owed, no message is half here, and the socket
 * was seen empty. What the client sends from then on with an id is not taken, because no ack can
 * follow: it sends it again to the successor. What comes without an id is taken to the end.
 */
void connection_end_if_drained(struct connection *c)
{
    if (!c->intake->draining || c->state != CONNECTION_READY || c->owed > 0 || c->pauses != 0 ||
        !c->emptied || c->tail > c->head || !outbox_is_empty(&c->outbox))
        return;
    if (shutdown(c->fd, SHUT_WR) < 0) {
        connection_break(c, errno);
        return;
    }
    connection_set_state(c, CONNECTION_HALF_CLOSED);
}

/* ---- in ---- */

/* Takes what it can out of the connection's own buffer. */
static void consume_own(struct connection *c)
{
    size_t done = messages_consume(c, c->buffer.p + c->head, c->tail - c->head);

    if (c->state == CONNECTION_CLOSED)
        return;
    if (c->state == CONNECTION_LINGERING)
        space_release(c);
    else
        space_consumed(c, done);
}

/* By its first byte a connection is JSON for its whole life. False: no Fluent client, closed. */
static bool begin_json(struct connection *c, uint8_t first)
{
    if (c->state == CONNECTION_GREETED) {
        connection_fail(c, METRIC_HANDSHAKES_MALFORMED,
                        "JSON instead of the handshake, which only msgpack has");
        return false;
    }
    if (first == '{') {
        connection_fail(c, METRIC_PROTOCOL_ERRORS,
                        "a JSON object on the forward port, where a message is an array");
        return false;
    }
    c->json = true;
    json_frame_init(&c->frame.json, c->intake->max_chunk);
    return true;
}

/* The first bytes of a connection tell JSON and clients of other protocols. True: closed. */
static bool is_foreign(struct connection *c, const uint8_t *p, size_t n)
{
    switch (forward_frame_guess(p, n)) {
    case FORWARD_GUESS_MSGPACK:
        return false;
    case FORWARD_GUESS_JSON:
        return !begin_json(c, p[0]);
    case FORWARD_GUESS_HTTP:
        connection_fail(c, METRIC_PROTOCOL_ERRORS, "HTTP request on the forward port");
        return true;
    case FORWARD_GUESS_TLS:
        connection_fail(c, METRIC_PROTOCOL_ERRORS, "TLS on the plain port");
        return true;
    }
    return false;
}

/* It stays in its state, and is looked at again after as long a time. */
static void stay(struct connection *c)
{
    c->since_ns = c->intake->now_ns;
    list_remove(&c->in_state);
    list_append(&c->intake->states[c->state], &c->in_state);
}

/* Bytes came: acks that were written before them have arrived. */
static void note_bytes(struct connection *c, size_t n)
{
    connection_count(c, METRIC_BYTES_IN, n);
    c->heard_ns = c->intake->now_ns;
    if (c->ack_news)
        memcpy(c->confirmed, c->acked, sizeof(c->confirmed));
    c->ack_news = false;
    if (c->intake->idle_ns > 0 && c->state == CONNECTION_READY)
        stay(c);
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
        size_t done = messages_consume(c, space->p, n);

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
        connection_break(c, error);
}

/*
 * One read per event, so that all connections get their turn; while draining, until the socket is
 * seen empty, because epoll would not tell of an empty one. A peer that has ended is read to its
 * end: the next event may be what it sends again on its next connection, and is known as such only
 * if the end of this one is in the ring before it.
 */
static void on_readable(struct connection *c, bool ended)
{
    unsigned rounds = ended || c->intake->draining ? DRAIN_READS : 1;

    /* No event will come for the rest; it is no more than the socket holds. */
    if (c->hung)
        rounds = UINT32_MAX;
    do
        read_once(c);
    while (--rounds > 0 && connection_reads(c) && (ended || !c->emptied));
    connection_end_if_drained(c);
}

void connection_event(struct connection *c, uint32_t events)
{
    struct epoll_event event = {0};

    if (events & EPOLLOUT)
        answers_flush(c);
    if (c->state == CONNECTION_CLOSED)
        return;
    /* While draining: one that was paused for its acks has not been seen empty yet. */
    if (connection_reads(c) &&
        (events & (EPOLLIN | PEER_ENDED) || (c->intake->draining && !c->emptied))) {
        on_readable(c, events & PEER_ENDED);
        connection_watch(c);
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
    if (connection_reads(c) && (c->hung || c->intake->draining))
        on_readable(c, c->hung);
    connection_watch(c);
}

bool connection_retry(struct connection *c, unsigned lane)
{
    connection_set_pauses(c, c->pauses & ~(uint32_t)CONNECTION_WAITS_FOR_RING);
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
    connection_set_pauses(c, c->pauses & ~(uint32_t)CONNECTION_WAITS_FOR_MEMORY);
    go_on(c);
}

/* ---- time, drain ---- */

static void on_idle(struct connection *c)
{
    if (c->tail > c->head || c->owed > 0 || !outbox_is_empty(&c->outbox)) {
        stay(c);
        return;
    }
    log_debug("client %s: idle for forward.idle_timeout", c->name);
    connection_close(c);
}

/* The peer goes on sending without ids: what is here is taken, then it is cut. */
static void on_half_closed_end(struct connection *c)
{
    if (c->tail == c->head && c->pauses == 0)
        on_readable(c, false);
    if (c->state != CONNECTION_HALF_CLOSED)
        return;
    if (c->tail == c->head)
        connection_close(c);
    else
        stay(c);
}

void connection_time_out(struct connection *c)
{
    switch (c->state) {
    case CONNECTION_GREETED:
        connection_fail(
            c, METRIC_HANDSHAKES_LATE,
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
            on_readable(c, false);
        connection_watch(c);
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
    connection_fail(
        c, METRIC_PROTOCOL_ERRORS,
        "it holds %zu bytes of a message that does not go on, and receiver.memory is used up",
        c->tail - c->head);
}

/* ---- open, and what clients.c asks ---- */

static int begin(struct connection *c)
{
    struct epoll_event event = {.events = WATCH_IN, .data.u64 = c->handle};

    if (epoll_ctl(c->intake->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        return -errno;
    c->watched = WATCH_IN;
    if (!access_is_open(c->intake->access))
        return messages_greet(c);
    connection_set_state(c, CONNECTION_READY);
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
    forward_frame_init(&c->frame.msgpack, intake->max_chunk);
    list_append(&intake->states[CONNECTION_OPENING], &c->in_state);
    connection_count(c, METRIC_CONNECTIONS_TOTAL, 1);
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
    return connection_reads(c) ? c->buffer.bytes : 0;
}
