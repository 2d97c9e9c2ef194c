#include "receiver/messages.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "receiver/answers.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

/* ---- handshake ---- */

static void linger(struct connection *c)
{
    shutdown(c->fd, SHUT_WR);
    connection_set_state(c, CONNECTION_LINGERING);
}

static const enum metric_id fault_metrics[] = {
    [HANDSHAKE_FAULT_FORM] = METRIC_HANDSHAKES_MALFORMED,
    [HANDSHAKE_FAULT_SOURCE] = METRIC_HANDSHAKES_WRONG_SOURCE,
    [HANDSHAKE_FAULT_KEY] = METRIC_HANDSHAKES_WRONG_KEY,
    [HANDSHAKE_FAULT_USER] = METRIC_HANDSHAKES_WRONG_USER,
    [HANDSHAKE_FAULT_NO_DIGEST] = METRIC_HANDSHAKES_FAILED,
};

static void on_refused(struct connection *c, const struct handshake_outcome *outcome)
{
    struct outbox_mark mark = {0};

    connection_count(c, fault_metrics[outcome->fault], 1);
    connection_complain(c, "handshake refused: %s", outcome->reason);
    if (answers_send(c, slice_of(outcome->pong, outcome->pong_bytes), &mark))
        linger(c);
}

static bool on_welcome(struct connection *c, const struct handshake_outcome *outcome)
{
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
    if (slice_equal(outcome->client_host, c->intake->server_host))
        connection_complain(c,
                            "its host name, %.*s, is ours too: a Fluentd or Node client takes that "
                            "for a loop and goes away; give Sluice another name with self.host",
                            (int)c->intake->server_host.n, (const char *)c->intake->server_host.p);
    free(c->greeting);
    c->greeting = NULL;
    connection_set_state(c, CONNECTION_READY);
    return answers_send(c, slice_of(outcome->pong, outcome->pong_bytes), &mark);
}

/* Looks for the PING in front. Returns its bytes, 0 where it is not whole or was no good. */
static size_t take_ping(struct connection *c, const uint8_t *p, size_t n)
{
    struct handshake_outcome outcome;
    struct handshake_terms terms = {
        .auth = slice_of(c->greeting->auth, c->greeting->auth_bytes),
        .access = c->intake->access,
        .address = c->peer->address,
        .address_text = c->peer->text,
        .server_host = c->intake->server_host,
    };

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
        connection_fail(c, METRIC_HANDSHAKES_MALFORMED, "%s", outcome.reason);
        return 0;
    }
    return 0;
}

static bool is_random(uint8_t *p, size_t n)
{
    return getrandom(p, n, 0) == (ssize_t)n;
}

int messages_greet(struct connection *c)
{
    struct greeting *greeting = calloc(1, sizeof(*greeting));
    uint8_t helo[HANDSHAKE_HELO_MAX];
    struct outbox_mark mark = {0};
    size_t n;

    if (!greeting)
        return -ENOMEM;
    c->greeting = greeting;
    if (!is_random(greeting->nonce, sizeof(greeting->nonce)) ||
        !is_random(greeting->auth, sizeof(greeting->auth)))
        return -EIO;
    greeting->auth_bytes = access_asks_user(c->intake->access) ? sizeof(greeting->auth) : 0;
    n = handshake_helo(greeting->nonce, slice_of(greeting->auth, greeting->auth_bytes), helo);
    connection_set_state(c, CONNECTION_GREETED);
    return answers_send(c, slice_of(helo, n), &mark) ? 0 : -ENOTCONN;
}

/* ---- messages ---- */

static struct slice identity(const struct connection *c)
{
    return c->host ? slice_of(c->host, c->host_bytes)
                   : slice_of(c->peer->text, c->peer->text_bytes);
}

static void on_oversize(struct connection *c, uint64_t bytes)
{
    connection_fail(c, METRIC_MESSAGES_OVERSIZE,
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
        connection_wait_for_ring(c, lane);
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
    connection_count(c, METRIC_CHUNKS_IN, 1);
    if (message->wants_ack) {
        c->owed++;
        c->lanes_used |= 1u << lane;
    } else {
        connection_count(c, METRIC_CHUNKS_WITHOUT_ACK, 1);
    }
    return true;
}

/* True: go on behind it. */
static bool on_ignored(struct connection *c, const struct forward_message *message)
{
    connection_count(c, METRIC_MESSAGES_IGNORED, 1);
    if (!message->reason) /* a keepalive */
        return true;
    if (message->wants_ack) {
        /* Its sender would wait for ever; closing shows it that something is wrong. */
        connection_fail(c, METRIC_PROTOCOL_ERRORS, "%s", message->reason);
        return false;
    }
    connection_complain(c, "skipped: %s", message->reason);
    return true;
}

static void on_broken(struct connection *c, const struct forward_message *message)
{
    if (message->json)
        connection_fail(c, METRIC_PROTOCOL_ERRORS, "%s (byte %zu)", message->reason,
                        message->bytes + 1);
    else
        connection_fail(c, METRIC_PROTOCOL_ERRORS, "%s", message->reason);
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
        on_broken(c, message);
        return false;
    }
}

static bool takes_messages(const struct connection *c)
{
    return !(c->pauses & CONNECTION_WAITS_FOR_RING) &&
           (c->state == CONNECTION_GREETED || c->state == CONNECTION_READY ||
            c->state == CONNECTION_HALF_CLOSED);
}

/* The message in front in the connection's language. room: as json_frame_next has it. */
static enum forward_frame_result next_message(struct connection *c, struct slice in, uint8_t *room,
                                              struct forward_message *ret)
{
    return c->json ? json_frame_next(&c->frame.json, in.p, in.n, room, ret)
                   : forward_frame_next(&c->frame.msgpack, in.p, in.n, ret);
}

static void end_message(struct connection *c)
{
    if (c->json)
        json_frame_reset(&c->frame.json);
    else
        forward_frame_reset(&c->frame.msgpack);
}

size_t messages_consume(struct connection *c, const uint8_t *p, size_t n)
{
    uint8_t room[FORWARD_FRAME_TAG_BYTES];
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
        if (c->json)
            done += json_scan_space(p + done, n - done);
        if (done == n)
            break;
        result = next_message(c, slice_of(p + done, n - done), room, &message);
        if (result == FORWARD_FRAME_MORE || !on_message(c, result, &message))
            break;
        end_message(c);
        done += message.bytes;
        c->size_hint = message.bytes;
    }
    return done;
}
