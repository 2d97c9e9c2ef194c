/*
 * The receiver without its process: real sockets, real rings, and a processor played by the test,
 * which takes entries and gives verdicts when the test says so.
 */
#include "receiver/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "receiver/handshake.h"
#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/ipc/ring.h"
#include "tests/unit/receiver/access_of.h"

#define MAX_CHUNK (1u << 20)
#define PATIENCE_NS (20 * NS_PER_S)

struct taken {
    struct ring_entry entry;
    char peer[64], tag[256];
    uint8_t id[64];
    uint8_t *payload;
    uint64_t end;
};

struct rig {
    unsigned lanes;
    struct ring *consumers[PRODUCER_LANES];
    uint64_t replies[PRODUCER_LANES];
    int rings[PRODUCER_LANES], doors[PRODUCER_LANES];
    struct producer *producer;
    struct clients *clients;
    struct status_slot status;
    struct clients_setup setup;
    struct access *access;
    int listener;
    uint16_t port;
};

/* ---- the rig ---- */

static void rig_listen(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(rig->listener >= 0);
    assert_int_equal(bind(rig->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(rig->listener, 1024), 0);
    assert_int_equal(getsockname(rig->listener, (struct sockaddr *)&address, &size), 0);
    rig->port = ntohs(address.sin_port);
}

static void rig_start_producer(struct rig *rig, uint64_t incarnation)
{
    struct producer_setup producer = {.incarnation = incarnation, .lanes = rig->lanes};

    memcpy(producer.rings, rig->rings, sizeof(producer.rings));
    memcpy(producer.doors, rig->doors, sizeof(producer.doors));
    assert_int_equal(producer_new(&producer, &rig->producer, NULL), 0);
    rig->setup.producer = rig->producer;
    assert_int_equal(clients_new(&rig->setup, &rig->clients, NULL), 0);
    assert_int_equal(clients_listen(rig->clients, rig->listener, NULL), 0);
}

static void rig_start(struct rig *rig, unsigned lanes, const char *key)
{
    *rig = (struct rig){.lanes = lanes};
    log_open("test", 0, LOG_FORMAT_TEXT, LOG_FATAL);
    rig->access = access_of(&(struct access_texts){.shared_key = key});
    for (unsigned i = 0; i < lanes; i++) {
        assert_int_equal(ring_create(0, i, ring_size_for(MAX_CHUNK), &rig->rings[i], NULL), 0);
        assert_int_equal(ring_open(rig->rings[i], &rig->consumers[i], NULL), 0);
        assert_int_equal(ring_consumer_attach(rig->consumers[i], 0, 0, NULL), 0);
        rig->doors[i] = fd_bell_new();
    }
    rig->setup = (struct clients_setup){
        .status = &rig->status,
        .server_host = SLICE_LITERAL("aggregator"),
        .access = rig->access,
        .max_chunk = MAX_CHUNK,
        .memory = 8 * MAX_CHUNK,
        .max_connections = 10000,
        .handshake_ns = 10 * NS_PER_S,
        .hoard_ns = 10 * NS_PER_S,
    };
    rig_listen(rig);
    rig_start_producer(rig, 1);
}

static void rig_stop(struct rig *rig)
{
    clients_free(&rig->clients);
    access_free(&rig->access);
    producer_free(&rig->producer);
    for (unsigned i = 0; i < rig->lanes; i++) {
        ring_close(&rig->consumers[i]);
        close(rig->rings[i]);
        close(rig->doors[i]);
    }
    close(rig->listener);
}

static uint64_t metric(const struct rig *rig, enum metric_id id)
{
    return status_get(&rig->status, id);
}

/* One turn as receiver.c makes it; waits up to 10 ms where nothing is ready. */
static void turn(struct rig *rig)
{
    struct pollfd ready = {.fd = clients_fd(rig->clients), .events = POLLIN};

    poll(&ready, 1, 10);
    producer_woke(rig->producer);
    clients_begin(rig->clients);
    clients_dispatch(rig->clients);
    clients_settle(rig->clients);
    clients_tick(rig->clients);
    clients_settle(rig->clients);
    producer_sleep(rig->producer);
}

/* Turns until the condition holds. */
#define TURN_UNTIL(rig, condition)                                \
    do {                                                          \
        uint64_t give_up_ns = clock_monotonic_ns() + PATIENCE_NS; \
        while (!(condition)) {                                    \
            if (clock_monotonic_ns() > give_up_ns)                \
                fail_msg("never: %s", #condition);                \
            turn(rig);                                            \
        }                                                         \
    } while (0)

/* ---- the processor ---- */

static void copy_text(char *text, size_t size, struct slice from)
{
    assert_true(from.n < size);
    memcpy(text, from.p, from.n);
    text[from.n] = '\0';
}

/* The next entry of a lane. The payload is freed by the caller. */
static bool take(struct rig *rig, unsigned lane, struct taken *ret)
{
    struct ring_taken taken;
    int r = ring_consumer_next(rig->consumers[lane], &taken, NULL);

    assert_true(r >= 0);
    if (r == 0)
        return false;
    *ret = (struct taken){.entry = taken.entry, .end = taken.end};
    copy_text(ret->peer, sizeof(ret->peer), taken.peer);
    copy_text(ret->tag, sizeof(ret->tag), taken.tag);
    assert_true(taken.id.n <= sizeof(ret->id));
    memcpy(ret->id, taken.id.p, taken.id.n);
    ret->payload = malloc(taken.payload.n + 1);
    assert_non_null(ret->payload);
    memcpy(ret->payload, taken.payload.p, taken.payload.n);
    return true;
}

static void answer(struct rig *rig, unsigned lane, const struct taken *taken, uint32_t verdict)
{
    struct ring_reply reply = {.position = taken->end,
                               .connection = taken->entry.connection,
                               .serial = taken->entry.serial,
                               .verdict = verdict};

    ring_reply_put(rig->consumers[lane], rig->replies[lane]++, &reply);
    ring_consumer_publish(rig->consumers[lane], taken->end, rig->replies[lane]);
}

/* Makes all that is in the ring of lane 0 durable. */
static void answer_all(struct rig *rig)
{
    struct taken taken;

    while (take(rig, 0, &taken)) {
        answer(rig, 0, &taken, RING_DURABLE);
        free(taken.payload);
    }
}

/* Takes the next entry of lane 0, which must be there. */
static struct taken must_take(struct rig *rig)
{
    struct taken taken = {0};

    TURN_UNTIL(rig, take(rig, 0, &taken));
    return taken;
}

/* Takes a chunk and makes it durable. */
static struct taken must_store(struct rig *rig)
{
    struct taken taken = must_take(rig);

    assert_int_equal(taken.entry.kind, RING_CHUNK);
    answer(rig, 0, &taken, RING_DURABLE);
    free(taken.payload);
    taken.payload = NULL;
    return taken;
}

static struct taken must_take_end(struct rig *rig)
{
    struct taken taken = must_take(rig);

    assert_int_equal(taken.entry.kind, RING_END);
    answer(rig, 0, &taken, RING_DURABLE);
    free(taken.payload);
    taken.payload = NULL;
    return taken;
}

/* ---- clients ---- */

static int dial(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(rig->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fd_set_nonblock(fd, 1), 0);
    return fd;
}

/* Sends all of it, making turns while the socket is full. */
static void say(struct rig *rig, int fd, const void *p, size_t n)
{
    size_t sent = 0;

    while (sent < n) {
        ssize_t r = send(fd, (const uint8_t *)p + sent, n - sent, MSG_NOSIGNAL);

        if (r > 0)
            sent += (size_t)r;
        else
            assert_int_equal(errno, EAGAIN);
        if (sent < n)
            turn(rig);
    }
}

/* Exactly n bytes are heard, not one more. */
static void hear(struct rig *rig, int fd, void *p, size_t n)
{
    uint8_t extra;
    size_t got = 0;

    TURN_UNTIL(rig, ({
                   ssize_t r = recv(fd, (uint8_t *)p + got, n - got, 0);
                   if (r > 0)
                       got += (size_t)r;
                   got == n;
               }));
    assert_int_equal(recv(fd, &extra, 1, MSG_PEEK), -1);
    assert_int_equal(errno, EAGAIN);
}

static bool is_closed(int fd)
{
    uint8_t byte;
    ssize_t r = recv(fd, &byte, 1, MSG_PEEK);

    return r == 0 || (r < 0 && errno != EAGAIN);
}

static bool is_silent(struct rig *rig, int fd)
{
    uint8_t byte;

    for (unsigned i = 0; i < 5; i++)
        turn(rig);
    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

/* ["t", [[1, {"k": <text of n bytes>}]], {"chunk": <4 bytes>}]; id NULL: no option. */
static size_t chunk_of(uint8_t *p, const char *id, size_t text)
{
    uint8_t *start = p;

    *p++ = id ? 0x93 : 0x92;
    memcpy(p, "\xa1t\x91\x92\x01\x81\xa1k\xdb", 9);
    p += 9;
    *p++ = (uint8_t)(text >> 24);
    *p++ = (uint8_t)(text >> 16);
    *p++ = (uint8_t)(text >> 8);
    *p++ = (uint8_t)text;
    memset(p, 'x', text);
    p += text;
    if (id) {
        memcpy(p,
               "\x81\xa5"
               "chunk\xa4",
               8);
        memcpy(p + 8, id, 4);
        p += 12;
    }
    return (size_t)(p - start);
}

static void say_chunk(struct rig *rig, int fd, const char *id, size_t text)
{
    uint8_t *p = malloc(text + 64);

    assert_non_null(p);
    say(rig, fd, p, chunk_of(p, id, text));
    free(p);
}

static void hear_ack(struct rig *rig, int fd, const char *id)
{
    uint8_t ack[10];

    hear(rig, fd, ack, sizeof(ack));
    assert_memory_equal(ack,
                        "\x81\xa3"
                        "ack\xa4",
                        6);
    assert_memory_equal(ack + 6, id, 4);
}

/* ---- acks and confirmations ---- */

static void an_ack_follows_the_verdict_only(void **state)
{
    struct rig rig;
    struct taken taken;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    taken = must_take(&rig);
    assert_string_equal(taken.peer, "127.0.0.1");
    assert_string_equal(taken.tag, "t");
    assert_int_equal(taken.entry.carrier, RING_FORWARD);
    assert_int_equal(taken.entry.flags, RING_WANTS_ACK);
    assert_int_equal(taken.entry.serial, 1);
    assert_int_equal(taken.entry.declared, 1);
    assert_true(taken.entry.received_ns > 0);
    assert_memory_equal(taken.id, "\xa4id-1", 5);
    assert_memory_equal(taken.payload, "\x92\x01\x81\xa1k\xdb\0\0\0\x0axxxxxxxxxx", 20);
    assert_true(is_silent(&rig, fd));
    answer(&rig, 0, &taken, RING_DURABLE);
    hear_ack(&rig, fd, "id-1");
    assert_int_equal(metric(&rig, METRIC_ACKS_SENT), 1);
    free(taken.payload);
    close(fd);
    rig_stop(&rig);
}

static void what_is_quarantined_is_acknowledged_too(void **state)
{
    struct rig rig;
    struct taken taken;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    taken = must_take(&rig);
    answer(&rig, 0, &taken, RING_QUARANTINED);
    hear_ack(&rig, fd, "id-1");
    free(taken.payload);
    close(fd);
    rig_stop(&rig);
}

static void bytes_after_an_ack_confirm_it(void **state)
{
    struct rig rig;
    struct taken taken;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    taken = must_store(&rig);
    assert_int_equal(taken.entry.confirmed, 0);
    hear_ack(&rig, fd, "id-1");
    say_chunk(&rig, fd, "id-2", 10);
    taken = must_store(&rig);
    assert_int_equal(taken.entry.serial, 2);
    assert_int_equal(taken.entry.confirmed, 1);
    hear_ack(&rig, fd, "id-2");
    /* Closed with nothing unsent: the last one has arrived as well. */
    close(fd);
    taken = must_take_end(&rig);
    assert_int_equal(taken.entry.flags, RING_CLEAN);
    assert_int_equal(taken.entry.confirmed, 2);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    rig_stop(&rig);
}

static void an_end_without_the_ack_is_not_clean(void **state)
{
    struct rig rig;
    struct taken chunk, end;
    struct linger reset = {.l_onoff = 1};
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    chunk = must_take(&rig);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    end = must_take(&rig);
    assert_int_equal(end.entry.kind, RING_END);
    assert_int_equal(end.entry.flags, 0);
    assert_int_equal(end.entry.confirmed, 0);
    assert_int_equal(end.entry.connection, chunk.entry.connection);
    answer(&rig, 0, &chunk, RING_DURABLE);
    TURN_UNTIL(&rig, metric(&rig, METRIC_ACKS_UNSENT) == 1);
    assert_int_equal(metric(&rig, METRIC_ACKS_SENT), 0);
    free(chunk.payload);
    free(end.payload);
    rig_stop(&rig);
}

/* A client that shuts its side and reads on gets its ack; the ring has heard of the end before. */
static void a_half_closed_client_is_answered(void **state)
{
    struct rig rig;
    struct taken chunk, end;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    chunk = must_take(&rig);
    end = must_take(&rig);
    assert_int_equal(end.entry.kind, RING_END);
    assert_int_equal(end.entry.flags, 0);
    answer(&rig, 0, &chunk, RING_DURABLE);
    TURN_UNTIL(&rig, is_closed(fd) || metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    uint8_t ack[11];
    assert_int_equal(recv(fd, ack, sizeof(ack), 0), 10);
    assert_memory_equal(ack,
                        "\x81\xa3"
                        "ack\xa4id-1",
                        10);
    assert_int_equal(recv(fd, ack, sizeof(ack), 0), 0);
    free(chunk.payload);
    free(end.payload);
    close(fd);
    rig_stop(&rig);
}

static void keys_tell_chunks_apart(void **state)
{
    struct rig rig;
    struct taken a, b, c;
    int first, second;

    (void)state;
    rig_start(&rig, 1, "");
    first = dial(&rig);
    second = dial(&rig);
    say_chunk(&rig, first, "same", 10);
    a = must_store(&rig);
    say_chunk(&rig, second, "same", 10);
    b = must_store(&rig);
    say_chunk(&rig, second, "same", 11);
    c = must_store(&rig);
    assert_memory_equal(a.entry.key, b.entry.key, 16); /* another connection, the same peer */
    assert_memory_not_equal(b.entry.key, c.entry.key, 16);
    assert_true(a.entry.connection != b.entry.connection);
    say_chunk(&rig, first, NULL, 10);
    c = must_store(&rig);
    assert_memory_equal(c.entry.key, (uint8_t[16]){0}, 16);
    assert_int_equal(metric(&rig, METRIC_CHUNKS_IN), 4);
    assert_int_equal(metric(&rig, METRIC_CHUNKS_WITHOUT_ACK), 1);
    close(first);
    close(second);
    rig_stop(&rig);
}

/* ---- captures through the whole receiver ---- */

/* {"ack": id} in the client's language. */
static uint8_t *put_ack(uint8_t *p, const uint8_t *id, size_t n, bool json)
{
    if (json) {
        memcpy(p, "{\"ack\":", 7);
        memcpy(p + 7, id, n);
        p[7 + n] = '}';
        return p + 8 + n;
    }
    memcpy(p,
           "\x81\xa3"
           "ack",
           5);
    memcpy(p + 5, id, n);
    return p + 5 + n;
}

static void send_capture(const struct fixture *fixture, void *argument)
{
    struct rig *rig = argument;
    bool json = strncmp(fixture->name, "json/", 5) == 0;
    size_t acks = 0;
    uint8_t *want, *got, *at;
    int fd;

    if (fixture->count > 0 && fixture->messages[0].ping)
        return;
    fd = dial(rig);
    say(rig, fd, fixture->bytes, fixture->n);
    want = malloc(64 * 1024);
    assert_non_null(want);
    at = want;
    for (size_t i = 0; i < fixture->count; i++) {
        const struct fixture_message *m = &fixture->messages[i];
        struct taken taken = must_take(rig);

        assert_int_equal(taken.entry.kind, RING_CHUNK);
        assert_int_equal(taken.entry.payload_bytes, m->payload_n);
        assert_memory_equal(taken.payload, fixture->bytes + m->payload_at, m->payload_n);
        assert_int_equal(taken.entry.serial, i + 1);
        assert_int_equal(taken.entry.signal, m->signal);
        answer(rig, 0, &taken, RING_DURABLE);
        free(taken.payload);
        assert_int_equal(taken.entry.flags & RING_JSON, json ? RING_JSON : 0);
        if (m->id_n > 0) {
            at = put_ack(at, fixture->bytes + m->id_at, m->id_n, json);
            acks++;
        }
    }
    got = malloc(64 * 1024);
    assert_non_null(got);
    if (at > want)
        hear(rig, fd, got, (size_t)(at - want));
    assert_memory_equal(got, want, (size_t)(at - want));
    close(fd);
    if (acks > 0)
        assert_int_equal(must_take_end(rig).entry.flags, RING_CLEAN);
    TURN_UNTIL(rig, metric(rig, METRIC_CONNECTIONS_OPEN) == 0);
    free(want);
    free(got);
}

static void captures_arrive_and_are_answered(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 1, "");
    fixture_each(send_capture, &rig);
    fixture_each_of("json/index", send_capture, &rig);
    assert_int_equal(metric(&rig, METRIC_PROTOCOL_ERRORS), 0);
    assert_int_equal(metric(&rig, METRIC_ACKS_UNSENT), 0);
    rig_stop(&rig);
}

/* ---- JSON ---- */

static void say_text(struct rig *rig, int fd, const char *text)
{
    say(rig, fd, text, strlen(text));
}

static void hear_text(struct rig *rig, int fd, const char *text)
{
    char got[64];

    hear(rig, fd, got, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void json_documents_are_taken_and_answered(void **state)
{
    struct rig rig;
    struct taken taken;
    uint64_t before, memory;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_text(&rig, fd, "[\"a\\u002eb\",17,{\"k\":\"v\"},{\"chunk\":\"j\\u0031\"}]\n null\r\n");
    taken = must_take(&rig);
    assert_string_equal(taken.tag, "a.b");
    assert_int_equal(taken.entry.carrier, RING_MESSAGE);
    assert_int_equal(taken.entry.flags, RING_WANTS_ACK | RING_JSON);
    assert_int_equal(taken.entry.id_bytes, 9);
    assert_memory_equal(taken.id, "\"j\\u0031\"", 9);
    assert_int_equal(taken.entry.payload_bytes, 12);
    assert_memory_equal(taken.payload, "17,{\"k\":\"v\"}", 12);
    assert_true(is_silent(&rig, fd));
    answer(&rig, 0, &taken, RING_DURABLE);
    free(taken.payload);
    hear_text(&rig, fd, "{\"ack\":\"j\\u0031\"}");
    /* What is no message is skipped, also an object; the connection goes on. */
    say_text(&rig, fd, "{\"log\":1}[][1,2,3][\"t\",[],{\"chunk\":2}]");
    must_store(&rig);
    hear_text(&rig, fd, "{\"ack\":2}");
    assert_int_equal(metric(&rig, METRIC_MESSAGES_IGNORED), 4); /* null among them */
    /* White space is no half message: nothing is kept of it. */
    before = metric(&rig, METRIC_BYTES_IN);
    memory = metric(&rig, METRIC_RECEIVER_MEMORY_BYTES);
    say_text(&rig, fd, " \n\n\t ");
    TURN_UNTIL(&rig, metric(&rig, METRIC_BYTES_IN) == before + 5);
    assert_int_equal(metric(&rig, METRIC_RECEIVER_MEMORY_BYTES), memory);
    say_text(&rig, fd, "[\"t\",1,{}] oops");
    TURN_UNTIL(&rig, is_closed(fd));
    assert_int_equal(metric(&rig, METRIC_PROTOCOL_ERRORS), 1);
    assert_int_equal(metric(&rig, METRIC_CHUNKS_IN), 3);
    close(fd);
    rig_stop(&rig);
}

/* A client that waits for an ack of what is refused is closed, as with msgpack. */
static void json_that_cannot_be_answered_ends_the_connection(void **state)
{
    static const char *const texts[] = {
        "{\"message\":\"a log\"}",
        "[1,2,{},{\"chunk\":1}]",
        "[\"t\",1,{},{\"chunk\":1}}",
        "[\"t\",1,{},\"chunk\"]",
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, 1, "");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int fd = dial(&rig);

        say_text(&rig, fd, texts[i]);
        TURN_UNTIL(&rig, is_closed(fd));
        assert_int_equal(metric(&rig, METRIC_PROTOCOL_ERRORS), i + 1);
        close(fd);
    }
    assert_int_equal(metric(&rig, METRIC_CHUNKS_IN), 0);
    rig_stop(&rig);
}

static void json_above_the_limit_is_refused(void **state)
{
    struct rig rig;
    char *text = malloc(MAX_CHUNK + 1);
    int fd;

    (void)state;
    assert_non_null(text);
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    memset(text, 'x', MAX_CHUNK);
    memcpy(text, "[\"t\",1,\"", 8);
    memcpy(text + MAX_CHUNK - 14, "\",{\"chunk\":1}]", 14); /* just fits */
    say(&rig, fd, text, MAX_CHUNK);
    must_store(&rig);
    hear_text(&rig, fd, "{\"ack\":1}");
    memset(text + MAX_CHUNK - 14, 'x', 14);
    say(&rig, fd, text, MAX_CHUNK - 1);
    assert_true(is_silent(&rig, fd));
    say(&rig, fd, "x", 1);
    TURN_UNTIL(&rig, is_closed(fd));
    assert_int_equal(metric(&rig, METRIC_MESSAGES_OVERSIZE), 1);
    close(fd);
    free(text);
    rig_stop(&rig);
}

static void json_has_no_handshake(void **state)
{
    struct rig rig;
    uint8_t helo[HANDSHAKE_HELO_BYTES];
    int fd;

    (void)state;
    rig_start(&rig, 1, "sekret");
    fd = dial(&rig);
    hear(&rig, fd, helo, sizeof(helo));
    say_text(&rig, fd, "[\"t\",1,{}]");
    TURN_UNTIL(&rig, is_closed(fd));
    assert_int_equal(metric(&rig, METRIC_HANDSHAKES_MALFORMED), 1);
    assert_int_equal(metric(&rig, METRIC_CHUNKS_IN), 0);
    close(fd);
    rig_stop(&rig);
}

/* ---- handshake ---- */

static size_t put_string(uint8_t *p, const void *text, size_t n)
{
    p[0] = 0xd9;
    p[1] = (uint8_t)n;
    memcpy(p + 2, text, n);
    return 2 + n;
}

static size_t ping_of(uint8_t *p, const uint8_t *helo, const char *host, const char *key)
{
    char digest[HANDSHAKE_DIGEST_BYTES];
    size_t n = 0;

    handshake_digest(SLICE_LITERAL("salt"), slice_string(host), slice_of(helo + 15, 16),
                     slice_string(key), digest);
    p[n++] = 0x96;
    n += put_string(p + n, "PING", 4);
    n += put_string(p + n, host, strlen(host));
    n += put_string(p + n, "salt", 4);
    n += put_string(p + n, digest, sizeof(digest));
    n += put_string(p + n, "", 0);
    n += put_string(p + n, "", 0);
    return n;
}

static void a_keyed_client_sends_behind_its_ping(void **state)
{
    struct rig rig;
    struct taken taken;
    uint8_t helo[HANDSHAKE_HELO_BYTES], ping[512], pong[256];
    size_t n;
    int fd;

    (void)state;
    rig_start(&rig, 1, "sesame");
    fd = dial(&rig);
    hear(&rig, fd, helo, sizeof(helo));
    n = ping_of(ping, helo, "worker-7", "sesame");
    n += chunk_of(ping + n, "id-1", 10);
    say(&rig, fd, ping, n);
    taken = must_store(&rig);
    assert_string_equal(taken.peer, "worker-7");
    hear(&rig, fd, pong, 1 + 5 + 1 + 1 + 11 + 2 + 128 + 10); /* PONG, then the ack */
    assert_memory_equal(pong,
                        "\x95\xa4PONG\xc3\xa0\xaa"
                        "aggregator",
                        19);
    assert_memory_equal(pong + 149,
                        "\x81\xa3"
                        "ack\xa4id-1",
                        10);
    close(fd);
    rig_stop(&rig);
}

static void a_wrong_key_is_told_and_takes_nothing(void **state)
{
    struct rig rig;
    uint8_t helo[HANDSHAKE_HELO_BYTES], ping[512], pong[64];
    const char *reason = "shared_key mismatch";
    struct taken taken;
    ssize_t got;
    size_t n;
    int fd;

    (void)state;
    rig_start(&rig, 1, "sesame");
    fd = dial(&rig);
    hear(&rig, fd, helo, sizeof(helo));
    n = ping_of(ping, helo, "worker-7", "barley");
    n += chunk_of(ping + n, "id-1", 10);
    say(&rig, fd, ping, n);
    TURN_UNTIL(&rig, (got = recv(fd, pong, sizeof(pong), 0)) > 0);
    assert_memory_equal(pong, "\x95\xa4PONG\xc2\xb3", 8);
    assert_memory_equal(pong + 8, reason, strlen(reason));
    TURN_UNTIL(&rig, is_closed(fd));
    assert_false(take(&rig, 0, &taken));
    assert_int_equal(metric(&rig, METRIC_HANDSHAKES_WRONG_KEY), 1);
    /* The receiver waits for our end, so that the answer is not lost in a reset. */
    assert_int_equal(metric(&rig, METRIC_CONNECTIONS_OPEN), 1);
    close(fd);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    rig_stop(&rig);
}

/* Other tables from now on, as after a reload. */
static void rig_set_access(struct rig *rig, const struct access_texts *texts)
{
    struct access *old = rig->access;

    rig->access = access_of(texts);
    clients_set_access(rig->clients, rig->access);
    access_free(&old);
}

/* With the PING of this key, for whom HELO was heard; the answer's reason, "" for welcome. */
static void assert_told(struct rig *rig, int fd, const uint8_t *helo, const char *key,
                        const char *reason)
{
    size_t n = strlen(reason);
    uint8_t ping[512], pong[256];

    say(rig, fd, ping, ping_of(ping, helo, "worker-7", key));
    if (n == 0) {
        hear(rig, fd, pong, 1 + 5 + 1 + 1 + 11 + 2 + 128);
        assert_int_equal(pong[6], 0xc3);
        return;
    }
    TURN_UNTIL(rig, recv(fd, pong, sizeof(pong), 0) > 0);
    assert_int_equal(pong[6], 0xc2);
    assert_memory_equal(pong + 7 + (n < 32 ? 1 : 2), reason, n);
    close(fd);
}

static int greeted(struct rig *rig, uint8_t *helo, size_t n)
{
    int fd = dial(rig);

    hear(rig, fd, helo, n);
    return fd;
}

static void who_may_send_changes_under_open_connections(void **state)
{
    struct rig rig;
    uint8_t helo[HANDSHAKE_HELO_MAX], early[HANDSHAKE_HELO_BYTES], chunk[64], ack[10];
    int old, before, fd;

    (void)state;
    rig_start(&rig, 1, "sesame");
    old = greeted(&rig, helo, HANDSHAKE_HELO_BYTES);
    assert_told(&rig, old, helo, "sesame", "");
    before = greeted(&rig, early, HANDSHAKE_HELO_BYTES);
    rig_set_access(
        &rig, &(struct access_texts){.shared_key = "barley", .users = "name=a\npassword=p\n\n"});
    /* Who is in stays in. */
    say(&rig, old, chunk, chunk_of(chunk, "id-1", 10));
    must_store(&rig);
    hear(&rig, old, ack, sizeof(ack));
    /* Who was greeted before is judged by what counts now; without a salt no user is good. */
    assert_told(&rig, before, early, "barley", "username/password mismatch");
    fd = greeted(&rig, helo, HANDSHAKE_HELO_MAX);
    assert_told(&rig, fd, helo, "sesame", "shared_key mismatch");
    rig_set_access(&rig, &(struct access_texts){.clients = "host=127.0.0.1\nshared_key=rye\n\n",
                                                .deny_unknown = true});
    fd = greeted(&rig, helo, HANDSHAKE_HELO_BYTES);
    assert_told(&rig, fd, helo, "rye", "");
    close(fd);
    rig_set_access(&rig, &(struct access_texts){.clients = "host=127.0.0.2\nshared_key=rye\n\n",
                                                .deny_unknown = true});
    fd = greeted(&rig, helo, HANDSHAKE_HELO_BYTES);
    assert_told(&rig, fd, helo, "rye", "anonymous source host '127.0.0.1' denied");
    rig_set_access(&rig, &(struct access_texts){0});
    fd = dial(&rig);
    say(&rig, fd, chunk, chunk_of(chunk, "id-2", 10));
    must_store(&rig);
    say(&rig, old, chunk, chunk_of(chunk, "id-3", 10));
    must_store(&rig);
    assert_int_equal(metric(&rig, METRIC_HANDSHAKES_WRONG_USER), 1);
    assert_int_equal(metric(&rig, METRIC_HANDSHAKES_WRONG_KEY), 1);
    assert_int_equal(metric(&rig, METRIC_HANDSHAKES_WRONG_SOURCE), 1);
    assert_int_equal(metric(&rig, METRIC_HANDSHAKES_MALFORMED), 0);
    close(fd);
    close(old);
    rig_stop(&rig);
}

static void a_silent_client_is_sent_away(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, 1, "sesame");
    clients_free(&rig.clients);
    rig.setup.handshake_ns = 20 * NS_PER_MS;
    assert_int_equal(clients_new(&rig.setup, &rig.clients, NULL), 0);
    assert_int_equal(clients_listen(rig.clients, rig.listener, NULL), 0);
    fd = dial(&rig);
    TURN_UNTIL(&rig, metric(&rig, METRIC_HANDSHAKES_LATE) == 1);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    close(fd);
    rig_stop(&rig);
}

/* ---- what is no Forward ---- */

static void send_hostile(struct rig *rig, const char *name, enum metric_id id)
{
    char path[96];
    size_t n;
    uint8_t *p;
    uint64_t before = metric(rig, id);
    int fd = dial(rig);

    snprintf(path, sizeof(path), "malformed/%s.bin", name);
    p = fixture_read(path, &n);
    say(rig, fd, p, n);
    TURN_UNTIL(rig, is_closed(fd));
    assert_int_equal(metric(rig, id), before + 1);
    close(fd);
    free(p);
}

static void hostile_clients_are_closed_and_counted(void **state)
{
    struct rig rig;
    struct taken taken;
    int good;

    (void)state;
    rig_start(&rig, 1, "");
    good = dial(&rig);
    send_hostile(&rig, "http-request", METRIC_PROTOCOL_ERRORS);
    send_hostile(&rig, "tls-clienthello", METRIC_PROTOCOL_ERRORS);
    send_hostile(&rig, "json-not-forward", METRIC_PROTOCOL_ERRORS);
    send_hostile(&rig, "reserved-c1", METRIC_PROTOCOL_ERRORS);
    send_hostile(&rig, "option-not-a-map", METRIC_PROTOCOL_ERRORS);
    send_hostile(&rig, "huge-array32", METRIC_MESSAGES_OVERSIZE);
    send_hostile(&rig, "huge-bin32", METRIC_MESSAGES_OVERSIZE);
    send_hostile(&rig, "huge-map32", METRIC_MESSAGES_OVERSIZE);
    send_hostile(&rig, "huge-str32", METRIC_MESSAGES_OVERSIZE);
    while (take(&rig, 0, &taken)) {
        answer(&rig, 0, &taken, RING_DURABLE);
        free(taken.payload);
    }
    /* Another client has noticed nothing. */
    say_chunk(&rig, good, "id-1", 10);
    must_store(&rig);
    hear_ack(&rig, good, "id-1");
    close(good);
    rig_stop(&rig);
}

static void a_message_above_the_limit_is_refused(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "big1", MAX_CHUNK - 26); /* just fits */
    must_store(&rig);
    hear_ack(&rig, fd, "big1");
    say(&rig, fd, "\x92\xa1t\xc6\x00\x10\x00\x00", 8); /* by its header alone */
    TURN_UNTIL(&rig, is_closed(fd));
    assert_int_equal(metric(&rig, METRIC_MESSAGES_OVERSIZE), 1);
    close(fd);
    rig_stop(&rig);
}

/* ---- backpressure ---- */

/* Each client sends chunks that together are more than rings and memory hold, while nobody takes. */
#define PUSHERS 12
#define PUSHES 6

struct pusher {
    int fd;
    uint8_t *bytes;
    size_t n, sent;
};

static bool push_all(struct pusher *pushers)
{
    bool all = true;

    for (unsigned i = 0; i < PUSHERS; i++) {
        struct pusher *p = &pushers[i];
        ssize_t r = send(p->fd, p->bytes + p->sent, p->n - p->sent, MSG_NOSIGNAL);

        if (r > 0)
            p->sent += (size_t)r;
        all = all && p->sent == p->n;
    }
    return all;
}

static void full_rings_and_memory_stop_reading_and_lose_nothing(void **state)
{
    struct pusher pushers[PUSHERS] = {0};
    uint64_t stall_bytes, serials[PUSHERS + 1] = {0};
    unsigned stored = 0;
    int small = 64 * 1024;
    struct rig rig;

    (void)state;
    rig_start(&rig, 1, "");
    /* Or the kernel's buffers would hold all of it. */
    setsockopt(rig.listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (unsigned i = 0; i < PUSHERS; i++) {
        pushers[i].fd = dial(&rig);
        setsockopt(pushers[i].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        pushers[i].bytes = malloc(PUSHES * (size_t)MAX_CHUNK);
        assert_non_null(pushers[i].bytes);
        for (unsigned k = 0; k < PUSHES; k++)
            pushers[i].n +=
                chunk_of(pushers[i].bytes + pushers[i].n, "same", 700000 + 20000 * k + i);
    }
    /* Until nothing moves any more. */
    do {
        stall_bytes = metric(&rig, METRIC_BYTES_IN);
        for (unsigned i = 0; i < 50; i++) {
            push_all(pushers);
            turn(&rig);
        }
    } while (stall_bytes != metric(&rig, METRIC_BYTES_IN));
    assert_true(metric(&rig, METRIC_RING_STALLS) > 0);
    assert_true(metric(&rig, METRIC_CONNECTIONS_PAUSED) > 0);
    assert_true(metric(&rig, METRIC_RECEIVER_MEMORY_BYTES) <= rig.setup.memory + 64 * 1024);
    assert_false(push_all(pushers));
    while (stored < PUSHERS * PUSHES) {
        struct taken taken;

        push_all(pushers);
        turn(&rig);
        assert_true(metric(&rig, METRIC_RECEIVER_MEMORY_BYTES) <= rig.setup.memory + 64 * 1024);
        if (!take(&rig, 0, &taken))
            continue;
        answer(&rig, 0, &taken, RING_DURABLE);
        free(taken.payload);
        stored++;
        /* In the order of its connection. */
        assert_true(taken.entry.connection <= PUSHERS);
        assert_int_equal(taken.entry.serial, ++serials[taken.entry.connection]);
    }
    TURN_UNTIL(&rig, metric(&rig, METRIC_ACKS_SENT) == PUSHERS * PUSHES);
    assert_int_equal(metric(&rig, METRIC_CONNECTIONS_PAUSED), 0);
    for (unsigned i = 0; i < PUSHERS; i++) {
        close(pushers[i].fd);
        free(pushers[i].bytes);
    }
    rig_stop(&rig);
}

/* More half-received messages than the memory holds: each is finished in its turn. */
static void memory_for_half_received_messages_is_bounded(void **state)
{
    struct pusher pushers[PUSHERS] = {0};
    unsigned stored = 0;
    struct rig rig;

    (void)state;
    rig_start(&rig, 1, "");
    clients_free(&rig.clients);
    rig.setup.memory = 2 * MAX_CHUNK;
    assert_int_equal(clients_new(&rig.setup, &rig.clients, NULL), 0);
    assert_int_equal(clients_listen(rig.clients, rig.listener, NULL), 0);
    for (unsigned i = 0; i < PUSHERS; i++) {
        pushers[i].fd = dial(&rig);
        pushers[i].bytes = malloc(MAX_CHUNK);
        assert_non_null(pushers[i].bytes);
        pushers[i].n = chunk_of(pushers[i].bytes, "same", 1000000);
        pushers[i].n -= 200000; /* the rest later */
    }
    for (unsigned i = 0; i < 300; i++) {
        push_all(pushers);
        turn(&rig);
        assert_true(metric(&rig, METRIC_RECEIVER_MEMORY_BYTES) <=
                    2 * (MAX_CHUNK + 128 * 1024) + 64 * 1024);
    }
    assert_true(metric(&rig, METRIC_CONNECTIONS_PAUSED) > 0);
    for (unsigned i = 0; i < PUSHERS; i++)
        pushers[i].n += 200000;
    while (stored < PUSHERS) {
        struct taken taken;

        push_all(pushers);
        turn(&rig);
        if (!take(&rig, 0, &taken))
            continue;
        answer(&rig, 0, &taken, RING_DURABLE);
        free(taken.payload);
        stored++;
    }
    TURN_UNTIL(&rig, metric(&rig, METRIC_ACKS_SENT) == PUSHERS);
    for (unsigned i = 0; i < PUSHERS; i++) {
        close(pushers[i].fd);
        free(pushers[i].bytes);
    }
    rig_stop(&rig);
}

#define HOARDERS 600
#define HOARD_BYTES 30000

/* Clients that begin messages and never go on do not shut out the one that finishes its own. */
static void silent_halves_of_messages_make_room(void **state)
{
    uint8_t *half = malloc(MAX_CHUNK);
    int fds[HOARDERS], fd;
    struct rig rig;

    (void)state;
    assert_non_null(half);
    rig_start(&rig, 1, "");
    clients_free(&rig.clients);
    rig.setup.memory = 2 * MAX_CHUNK;
    rig.setup.hoard_ns = 20 * NS_PER_MS;
    assert_int_equal(clients_new(&rig.setup, &rig.clients, NULL), 0);
    assert_int_equal(clients_listen(rig.clients, rig.listener, NULL), 0);
    chunk_of(half, "half", 900000);
    for (unsigned i = 0; i < HOARDERS; i++) {
        fds[i] = dial(&rig);
        say(&rig, fds[i], half, HOARD_BYTES);
    }
    fd = dial(&rig);
    say_chunk(&rig, fd, "good", 100);
    must_store(&rig);
    hear_ack(&rig, fd, "good");
    /* Only while somebody needs the room. */
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_PAUSED) == 0);
    assert_true(metric(&rig, METRIC_CONNECTIONS_OPEN) > 1);
    assert_false(is_closed(fd));
    for (unsigned i = 0; i < HOARDERS; i++)
        close(fds[i]);
    close(fd);
    free(half);
    rig_stop(&rig);
}

/* Sends large chunks without an id until the ring has no room for the next one. */
static void fill_ring(struct rig *rig, int fd)
{
    uint8_t *large = malloc(MAX_CHUNK);
    size_t n = chunk_of(large, NULL, 900000);

    assert_non_null(large);
    for (size_t sent = 0; metric(rig, METRIC_CONNECTIONS_PAUSED) == 0;) {
        ssize_t r = send(fd, large + sent, n - sent, MSG_NOSIGNAL);

        sent = r > 0 ? (sent + (size_t)r) % n : sent;
        turn(rig);
    }
    free(large);
}

/* Takes all that is in the ring of lane 0 and releases it; no verdict is given. */
static unsigned release_all(struct rig *rig)
{
    struct taken taken;
    unsigned count = 0;

    for (; take(rig, 0, &taken); count++)
        free(taken.payload);
    ring_consumer_publish(rig->consumers[0], ring_consumer_cursor(rig->consumers[0]),
                          rig->replies[0]);
    return count;
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

/* The client that waited for room is gone when it comes: nobody waits, so the receiver sleeps. */
static void room_that_nobody_waits_for_any_more_wakes_nobody(void **state)
{
    struct ring_reply reply = {.verdict = RING_DURABLE};
    struct rig rig;
    struct taken first;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    first = must_take(&rig);
    free(first.payload);
    fill_ring(&rig, fd);
    reset(fd);
    turn(&rig);
    assert_int_equal(metric(&rig, METRIC_CONNECTIONS_OPEN), 1);
    /* The ack of the first chunk finds the connection broken, and closes it. */
    reply.position = first.end;
    ring_reply_put(rig.consumers[0], rig.replies[0]++, &reply);
    assert_true(release_all(&rig) > 0);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    producer_woke(rig.producer);
    assert_true(producer_sleep(rig.producer));
    rig_stop(&rig);
}

/*
 * A client pours small messages, and resets while the ring is full and its socket too: what it had
 * sent is read to the end, in however many reads, and then it is gone.
 */
static void what_a_reset_left_in_the_socket_is_read(void **state)
{
    uint8_t message[256];
    size_t n = chunk_of(message, NULL, 180), at = 0, stuck = 0;
    int large = 1 << 20;
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    setsockopt(rig.listener, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
    fd = dial(&rig);
    /* From here on there is always part of a message in a small buffer. */
    say(&rig, fd, message, n / 2);
    TURN_UNTIL(&rig, metric(&rig, METRIC_BYTES_IN) == n / 2);
    at = n / 2;
    while (stuck < 100) {
        ssize_t r = send(fd, message + at, n - at, MSG_NOSIGNAL);

        if (r > 0)
            at = (at + (size_t)r) % n;
        else
            turn(&rig);
        stuck = r > 0 || metric(&rig, METRIC_CONNECTIONS_PAUSED) == 0 ? 0 : stuck + 1;
    }
    reset(fd);
    turn(&rig);
    TURN_UNTIL(&rig, ({
        release_all(&rig);
        metric(&rig, METRIC_CONNECTIONS_OPEN) == 0;
    }));
    rig_stop(&rig);
}

static void idle_connections_own_no_memory(void **state)
{
    struct rig rig;
    int fds[300];

    (void)state;
    rig_start(&rig, 1, "");
    for (unsigned i = 0; i < 300; i++) {
        fds[i] = dial(&rig);
        say_chunk(&rig, fds[i], NULL, 1000);
    }
    for (unsigned i = 0; i < 300; i++)
        must_store(&rig);
    assert_int_equal(metric(&rig, METRIC_CONNECTIONS_OPEN), 300);
    assert_true(metric(&rig, METRIC_RECEIVER_MEMORY_BYTES) < 16 * 1024);
    for (unsigned i = 0; i < 300; i++)
        close(fds[i]);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    rig_stop(&rig);
}

/* A client that never reads its acks is not read any more; it gets all of them when it reads. */
static void a_client_that_does_not_read_its_acks_is_paused(void **state)
{
    struct rig rig;
    uint8_t message[64], acks[4096];
    size_t n = chunk_of(message, "same", 1), sent = 0, bytes = 0;
    int small = 2048, fd;

    (void)state;
    rig_start(&rig, 1, "");
    setsockopt(rig.listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    fd = dial(&rig);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (metric(&rig, METRIC_CONNECTIONS_PAUSED) == 0) {
        struct taken taken;

        for (unsigned i = 0; i < 100; i++)
            sent += send(fd, message, n, MSG_NOSIGNAL) == (ssize_t)n;
        turn(&rig);
        while (take(&rig, 0, &taken)) {
            answer(&rig, 0, &taken, RING_DURABLE);
            free(taken.payload);
        }
        assert_true(sent < 200000);
    }
    TURN_UNTIL(&rig, ({
        struct taken taken;
        ssize_t r = recv(fd, acks, sizeof(acks), 0);
        bytes += r > 0 ? (size_t)r : 0;
        while (take(&rig, 0, &taken)) {
            answer(&rig, 0, &taken, RING_DURABLE);
            free(taken.payload);
        }
        bytes == 10 * sent;
    }));
    assert_int_equal(metric(&rig, METRIC_CONNECTIONS_PAUSED), 0);
    assert_int_equal(metric(&rig, METRIC_ACKS_SENT), sent);
    close(fd);
    rig_stop(&rig);
}

static void no_more_connections_than_allowed(void **state)
{
    struct rig rig;
    int fds[3];

    (void)state;
    rig_start(&rig, 1, "");
    clients_free(&rig.clients);
    rig.setup.max_connections = 2;
    assert_int_equal(clients_new(&rig.setup, &rig.clients, NULL), 0);
    assert_int_equal(clients_listen(rig.clients, rig.listener, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        fds[i] = dial(&rig); /* the third waits in the listen queue */
    say_chunk(&rig, fds[2], "id-3", 10);
    assert_true(is_silent(&rig, fds[2]));
    assert_int_equal(metric(&rig, METRIC_CONNECTIONS_OPEN), 2);
    close(fds[0]);
    must_store(&rig);
    hear_ack(&rig, fds[2], "id-3");
    close(fds[1]);
    close(fds[2]);
    rig_stop(&rig);
}

/* ---- lanes, incarnations ---- */

static void lanes_are_used_and_all_are_answered(void **state)
{
    unsigned seen[2] = {0}, stored = 0;
    struct rig rig;
    uint8_t acks[40 * 10];
    int fd;

    (void)state;
    rig_start(&rig, 2, "");
    fd = dial(&rig);
    for (unsigned i = 0; i < 40; i++) {
        char id[8];

        snprintf(id, sizeof(id), "i%03u", i);
        say_chunk(&rig, fd, id, 10);
    }
    while (stored < 40) {
        turn(&rig);
        for (unsigned lane = 0; lane < 2; lane++) {
            struct taken taken;

            while (take(&rig, lane, &taken)) {
                answer(&rig, lane, &taken, RING_DURABLE);
                free(taken.payload);
                seen[lane]++;
                stored++;
            }
        }
    }
    assert_true(seen[0] > 5 && seen[1] > 5);
    hear(&rig, fd, acks, sizeof(acks));
    close(fd);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 0);
    for (unsigned lane = 0; lane < 2; lane++) {
        struct taken end;

        TURN_UNTIL(&rig, take(&rig, lane, &end)); /* the end is in both */
        assert_int_equal(end.entry.kind, RING_END);
        assert_int_equal(end.entry.flags, RING_CLEAN);
        free(end.payload);
    }
    rig_stop(&rig);
}

/* Verdicts of a predecessor's entries are nobody's. */
static void a_successor_ignores_its_predecessors_verdicts(void **state)
{
    struct rig rig;
    struct taken old, new;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-1", 10);
    old = must_take(&rig);
    close(fd);
    clients_free(&rig.clients);
    producer_free(&rig.producer);
    rig_start_producer(&rig, 2);
    fd = dial(&rig);
    say_chunk(&rig, fd, "id-2", 10);
    do {
        new = must_take(&rig);
        free(new.payload);
    } while (new.entry.kind != RING_CHUNK); /* the first one's end is there too */
    assert_int_equal(new.entry.incarnation, 2);
    answer(&rig, 0, &old, RING_DURABLE);
    assert_true(is_silent(&rig, fd));
    answer(&rig, 0, &new, RING_DURABLE);
    hear_ack(&rig, fd, "id-2");
    free(old.payload);
    close(fd);
    rig_stop(&rig);
}

/* ---- drain ---- */

static void a_drain_answers_before_it_ends(void **state)
{
    struct rig rig;
    struct taken chunk;
    uint8_t byte;
    int idle, owed;

    (void)state;
    rig_start(&rig, 1, "");
    idle = dial(&rig);
    owed = dial(&rig);
    say_chunk(&rig, idle, "id-0", 10);
    must_store(&rig);
    hear_ack(&rig, idle, "id-0");
    say_chunk(&rig, owed, "id-1", 10);
    chunk = must_take(&rig);
    clients_drain(rig.clients);
    TURN_UNTIL(&rig, is_closed(idle)); /* a clean end: nothing is owed */
    assert_int_equal(recv(idle, &byte, 1, 0), 0);
    close(idle);
    assert_true(is_silent(&rig, owed));
    answer(&rig, 0, &chunk, RING_DURABLE);
    uint8_t ack[11];
    TURN_UNTIL(&rig, recv(owed, ack, sizeof(ack), MSG_PEEK) == 10);
    assert_int_equal(recv(owed, ack, sizeof(ack), 0), 10);
    TURN_UNTIL(&rig, is_closed(owed));
    assert_int_equal(recv(owed, &byte, 1, 0), 0);
    assert_false(clients_are_gone(rig.clients)); /* it waits for our end */
    close(owed);
    TURN_UNTIL(&rig, clients_are_gone(rig.clients));
    assert_int_equal(must_take_end(&rig).entry.flags, RING_CLEAN);
    assert_int_equal(must_take_end(&rig).entry.flags, RING_CLEAN);
    free(chunk.payload);
    rig_stop(&rig);
}

/*
 * A client is in the middle of a message when the drain begins: it may finish. After our end a
 * chunk with an id is not taken (its ack could not be sent), one without is.
 */
static void a_drain_takes_what_would_be_lost(void **state)
{
    struct rig rig;
    struct taken taken;
    uint8_t message[256], byte;
    size_t n;
    int with, without;

    (void)state;
    rig_start(&rig, 1, "");
    with = dial(&rig);
    without = dial(&rig);
    n = chunk_of(message, NULL, 100);
    say(&rig, without, message, 50);
    TURN_UNTIL(&rig, metric(&rig, METRIC_BYTES_IN) == 50);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 2);
    clients_drain(rig.clients);
    TURN_UNTIL(&rig, is_closed(with));
    assert_true(is_silent(&rig, without)); /* not at a message boundary */
    say(&rig, without, message + 50, n - 50);
    must_store(&rig);
    TURN_UNTIL(&rig, is_closed(without));
    say_chunk(&rig, with, "late", 10);
    say_chunk(&rig, without, NULL, 20);
    taken = must_store(&rig);
    assert_int_equal(taken.entry.flags, 0);
    assert_false(take(&rig, 0, &taken));
    assert_int_equal(recv(with, &byte, 1, 0), 0); /* no ack, and no reset yet */
    close(with);
    close(without);
    TURN_UNTIL(&rig, clients_are_gone(rig.clients));
    rig_stop(&rig);
}

/* A client that was paused for its acks when the drain began is let go when it has read them. */
static void a_drain_goes_on_when_acks_are_read(void **state)
{
    uint8_t message[64], acks[4096];
    size_t n = chunk_of(message, "same", 1);
    int small = 2048, fd;
    struct rig rig;

    (void)state;
    rig_start(&rig, 1, "");
    setsockopt(rig.listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    fd = dial(&rig);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (metric(&rig, METRIC_CONNECTIONS_PAUSED) == 0) {
        for (unsigned i = 0; i < 100; i++)
            say(&rig, fd, message, n);
        turn(&rig);
        answer_all(&rig);
    }
    clients_drain(rig.clients);
    TURN_UNTIL(&rig, ({
        answer_all(&rig);
        recv(fd, acks, sizeof(acks), 0) == 0;
    }));
    assert_int_equal(metric(&rig, METRIC_ACKS_SENT), metric(&rig, METRIC_CHUNKS_IN));
    close(fd);
    rig_stop(&rig);
}

static void a_drain_does_not_wait_for_ever(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, 1, "");
    fd = dial(&rig);
    TURN_UNTIL(&rig, metric(&rig, METRIC_CONNECTIONS_OPEN) == 1);
    clients_drain(rig.clients);
    /* The client stays; after a bound it is cut. */
    TURN_UNTIL(&rig, clients_are_gone(rig.clients));
    close(fd);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_follows_the_verdict_only),
        cmocka_unit_test(what_is_quarantined_is_acknowledged_too),
        cmocka_unit_test(bytes_after_an_ack_confirm_it),
        cmocka_unit_test(an_end_without_the_ack_is_not_clean),
        cmocka_unit_test(a_half_closed_client_is_answered),
        cmocka_unit_test(keys_tell_chunks_apart),
        cmocka_unit_test(captures_arrive_and_are_answered),
        cmocka_unit_test(json_documents_are_taken_and_answered),
        cmocka_unit_test(json_that_cannot_be_answered_ends_the_connection),
        cmocka_unit_test(json_above_the_limit_is_refused),
        cmocka_unit_test(json_has_no_handshake),
        cmocka_unit_test(a_keyed_client_sends_behind_its_ping),
        cmocka_unit_test(a_wrong_key_is_told_and_takes_nothing),
        cmocka_unit_test(who_may_send_changes_under_open_connections),
        cmocka_unit_test(a_silent_client_is_sent_away),
        cmocka_unit_test(hostile_clients_are_closed_and_counted),
        cmocka_unit_test(a_message_above_the_limit_is_refused),
        cmocka_unit_test(full_rings_and_memory_stop_reading_and_lose_nothing),
        cmocka_unit_test(memory_for_half_received_messages_is_bounded),
        cmocka_unit_test(silent_halves_of_messages_make_room),
        cmocka_unit_test(room_that_nobody_waits_for_any_more_wakes_nobody),
        cmocka_unit_test(what_a_reset_left_in_the_socket_is_read),
        cmocka_unit_test(idle_connections_own_no_memory),
        cmocka_unit_test(a_client_that_does_not_read_its_acks_is_paused),
        cmocka_unit_test(no_more_connections_than_allowed),
        cmocka_unit_test(lanes_are_used_and_all_are_answered),
        cmocka_unit_test(a_successor_ignores_its_predecessors_verdicts),
        cmocka_unit_test(a_drain_answers_before_it_ends),
        cmocka_unit_test(a_drain_takes_what_would_be_lost),
        cmocka_unit_test(a_drain_goes_on_when_acks_are_read),
        cmocka_unit_test(a_drain_does_not_wait_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
