#include "tests/bench/load_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "tests/bench/load_wire.h"

#define IN_BYTES 65536
#define GATHER_MAX 64
#define GATHER_BYTES 65536
#define RECONNECT_FIRST_NS (20 * NS_PER_MS)
#define RECONNECT_MAX_NS NS_PER_S

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_WAITING };

struct slot {
    enum slot_state state;
    char id[LOAD_CHUNK_ID_BYTES + 1];
    uint8_t *buf;
    size_t n;
    uint32_t first_serial;
    uint32_t records;
    bool was_sent;
    uint64_t made_ns;
    uint64_t due_ns;
    uint64_t written_ns;
};

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_HELO, CONN_PONG, CONN_OPEN, CONN_DEAD };

struct load_conn {
    struct load_run *run;
    enum conn_state state;
    int fd;
    struct load_handshake handshake;

    struct slot *slots;
    unsigned slot_count;
    unsigned used;
    unsigned *free; /* a stack of free slots */
    unsigned free_count;
    unsigned *queue; /* a ring of the slots to write, in order */
    unsigned queue_head;
    unsigned queue_count;
    size_t head_written; /* bytes of the head's chunk that are written */
    unsigned gather;     /* how many chunks are made before a write */

    uint64_t retry_at_ns;
    uint64_t retry_delay_ns;
    size_t in_bytes;
    uint8_t in[IN_BYTES];
};

static void start_connect(struct load_conn *conn);
static void pump(struct load_conn *conn);

static int make_slots(struct load_conn *conn)
{
    size_t bound = load_chunk_bound(conn->run->options.chunk, conn->run->options.tag);
    unsigned i;

    conn->slots = calloc(conn->slot_count, sizeof(conn->slots[0]));
    conn->free = calloc(conn->slot_count, sizeof(conn->free[0]));
    conn->queue = calloc(conn->slot_count, sizeof(conn->queue[0]));
    if (conn->slots == NULL || conn->free == NULL || conn->queue == NULL)
        return -ENOMEM;
    for (i = 0; i < conn->slot_count; i++) {
        conn->slots[i].buf = malloc(bound);
        if (conn->slots[i].buf == NULL)
            return -ENOMEM;
        conn->free[conn->free_count++] = conn->slot_count - 1 - i;
    }
    return 0;
}

int load_conn_new(struct load_run *run, struct load_conn **ret_conn)
{
    struct load_conn *conn = calloc(1, sizeof(*conn));
    unsigned gather = GATHER_BYTES / (run->options.chunk * 400);
    int r;

    if (conn == NULL)
        return -ENOMEM;
    conn->run = run;
    conn->fd = -1;
    conn->gather = gather < 1 ? 1 : gather > GATHER_MAX ? GATHER_MAX : gather;
    conn->slot_count = run->options.window > 0 ? run->options.window : conn->gather;
    conn->retry_delay_ns = RECONNECT_FIRST_NS;
    r = make_slots(conn);
    if (r < 0) {
        load_conn_free(&conn);
        return r;
    }
    start_connect(conn);
    *ret_conn = conn;
    return 0;
}

void load_conn_free(struct load_conn **conn)
{
    unsigned i;

    if (*conn == NULL)
        return;
    for (i = 0; (*conn)->slots != NULL && i < (*conn)->slot_count; i++)
        free((*conn)->slots[i].buf);
    free((*conn)->slots);
    free((*conn)->free);
    free((*conn)->queue);
    if ((*conn)->fd >= 0)
        close((*conn)->fd);
    free(*conn);
    *conn = NULL;
}

static struct slot *queued(const struct load_conn *conn, unsigned i)
{
    return &conn->slots[conn->queue[(conn->queue_head + i) % conn->slot_count]];
}

static void enqueue(struct load_conn *conn, unsigned index)
{
    conn->queue[(conn->queue_head + conn->queue_count++) % conn->slot_count] = index;
    conn->slots[index].state = SLOT_QUEUED;
}

/* Queues what was not acknowledged again, in the order of its making. */
static void requeue(struct load_conn *conn)
{
    unsigned i;
    unsigned k;

    if (conn->queue_count > 0 && conn->head_written > 0)
        queued(conn, 0)->was_sent = true;
    conn->queue_head = 0;
    conn->queue_count = 0;
    conn->head_written = 0;
    for (i = 0; i < conn->slot_count; i++) {
        if (conn->slots[i].state == SLOT_FREE)
            continue;
        enqueue(conn, i);
        for (k = conn->queue_count - 1; k > 0; k--) {
            if (conn->slots[conn->queue[k - 1]].first_serial <=
                conn->slots[conn->queue[k]].first_serial)
                break;
            conn->queue[k] = conn->queue[k - 1];
            conn->queue[k - 1] = i;
        }
    }
}

/* The connection is over. With --retry another one follows. */
static void break_off(struct load_conn *conn, const char *why, int error)
{
    struct load_run *run = conn->run;

    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    conn->in_bytes = 0;
    run->stats.broken++;
    if (!run->options.retry) {
        fprintf(stderr, "forward_load: %s%s%s\n", why, error != 0 ? ": " : "",
                error != 0 ? strerror(error) : "");
        conn->state = CONN_DEAD;
        return;
    }
    requeue(conn);
    conn->state = CONN_CLOSED;
    conn->retry_at_ns = clock_monotonic_ns() + conn->retry_delay_ns;
    conn->retry_delay_ns *= 2;
    if (conn->retry_delay_ns > RECONNECT_MAX_NS)
        conn->retry_delay_ns = RECONNECT_MAX_NS;
}

static void start_connect(struct load_conn *conn)
{
    const struct addrinfo *address = conn->run->address;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};
    int one = 1;

    conn->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        break_off(conn, "socket", errno);
        return;
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conn->state = CONN_CONNECTING;
    if (connect(conn->fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) {
        break_off(conn, "connect", errno);
        return;
    }
    if (epoll_ctl(conn->run->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        break_off(conn, "epoll_ctl", errno);
}

static void connected(struct load_conn *conn)
{
    int error = 0;
    socklen_t n = sizeof(error);

    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) {
        break_off(conn, "connect", error);
        return;
    }
    conn->state = conn->run->options.shared_key != NULL ? CONN_HELO : CONN_OPEN;
}

bool load_conn_has_room(const struct load_conn *conn)
{
    return conn->state == CONN_OPEN && conn->free_count > 0;
}

bool load_conn_is_done(const struct load_conn *conn)
{
    return conn->state == CONN_DEAD || (!conn->run->producing && conn->used == 0);
}

static void release(struct load_conn *conn, struct slot *slot)
{
    slot->state = SLOT_FREE;
    conn->used--;
    conn->free[conn->free_count++] = (unsigned)(slot - conn->slots);
}

/* Builds the next chunk into a free slot and queues it. */
static void build(struct load_conn *conn, uint64_t due_ns)
{
    struct load_run *run = conn->run;
    uint64_t left = run->options.records > 0
                        ? run->options.first_serial + run->options.records - run->next_serial
                        : run->options.chunk;
    struct load_chunk chunk = {.tag = run->options.tag, .mode = run->options.mode};
    unsigned index = conn->free[--conn->free_count];
    struct slot *slot = &conn->slots[index];
    int r;

    snprintf(slot->id, sizeof(slot->id), "%08x%012llx%04x", run->run_id,
             (unsigned long long)(run->next_chunk & 0xffffffffffffull), index & 0xffff);
    chunk.first_serial = (uint32_t)run->next_serial;
    chunk.records = left < run->options.chunk ? (uint32_t)left : run->options.chunk;
    chunk.id = run->options.window > 0 ? slot->id : NULL;
    chunk.sent_ns = clock_realtime_ns();
    slot->made_ns = clock_monotonic_ns();
    slot->due_ns = due_ns != 0 ? due_ns : slot->made_ns;
    slot->first_serial = chunk.first_serial;
    slot->records = chunk.records;
    slot->was_sent = false;
    r = load_chunk_write(run->pool, &chunk, slot->buf, &slot->n);
    if (r < 0) {
        fprintf(stderr, "forward_load: cannot make a chunk: %s\n", strerror(-r));
        exit(1);
    }
    conn->used++;
    run->next_chunk++;
    run->next_serial += chunk.records;
    if ((run->options.records > 0 &&
         run->next_serial == run->options.first_serial + run->options.records) ||
        run->next_serial > UINT32_MAX - run->options.chunk)
        run->producing = false;
    enqueue(conn, index);
}

static void written(struct load_conn *conn, struct slot *slot, uint64_t now_ns)
{
    struct load_stats *stats = &conn->run->stats;

    if (slot->was_sent) {
        stats->chunks_resent++;
    } else {
        stats->chunks_sent++;
        stats->records_sent += slot->records;
        slot->was_sent = true;
    }
    slot->written_ns = now_ns;
    stats->last_progress_ns = now_ns;
    conn->queue_head = (conn->queue_head + 1) % conn->slot_count;
    conn->queue_count--;
    conn->head_written = 0;
    slot->state = SLOT_WAITING;
    if (conn->run->options.window == 0)
        release(conn, slot);
}

/* Books n written bytes on the queue. */
static void advance(struct load_conn *conn, size_t n)
{
    uint64_t now_ns = clock_monotonic_ns();

    conn->run->stats.bytes += n;
    while (n > 0) {
        struct slot *head = queued(conn, 0);
        size_t rest = head->n - conn->head_written;

        if (n < rest) {
            conn->head_written += n;
            return;
        }
        n -= rest;
        written(conn, head, now_ns);
    }
}

/* Writes from the queue. Returns false when the socket is full or gone. */
static bool flush(struct load_conn *conn)
{
    struct iovec parts[GATHER_MAX];
    struct msghdr message = {.msg_iov = parts};
    ssize_t n;
    unsigned i;

    while (conn->queue_count > 0) {
        unsigned count = conn->queue_count < GATHER_MAX ? conn->queue_count : GATHER_MAX;

        for (i = 0; i < count; i++) {
            struct slot *slot = queued(conn, i);
            size_t skip = i == 0 ? conn->head_written : 0;

            parts[i] = (struct iovec){slot->buf + skip, slot->n - skip};
        }
        message.msg_iovlen = count;
        n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                break_off(conn, "send", errno);
            return false;
        }
        advance(conn, (size_t)n);
    }
    return true;
}

/* As fast as possible: makes chunks only when the socket has taken the ones before. */
static void pump(struct load_conn *conn)
{
    bool paced = conn->run->options.rate > 0;

    while (conn->state == CONN_OPEN) {
        while (!paced && conn->run->producing && conn->free_count > 0 &&
               conn->queue_count < conn->gather)
            build(conn, 0);
        if (conn->queue_count == 0 || !flush(conn))
            return;
    }
}

void load_conn_produce(struct load_conn *conn, uint64_t due_ns)
{
    build(conn, due_ns);
    flush(conn);
}

static void take_ack(struct load_conn *conn, struct slice id)
{
    struct load_stats *stats = &conn->run->stats;
    uint64_t now_ns = clock_monotonic_ns();
    struct slot *slot = NULL;
    char text[5];

    if (id.n == LOAD_CHUNK_ID_BYTES) {
        unsigned long index;

        memcpy(text, id.p + LOAD_CHUNK_ID_BYTES - 4, 4);
        text[4] = '\0';
        index = strtoul(text, NULL, 16);
        if (index < conn->slot_count)
            slot = &conn->slots[index];
    }
    if (slot == NULL || slot->state != SLOT_WAITING ||
        memcmp(slot->id, id.p, LOAD_CHUNK_ID_BYTES) != 0) {
        stats->unknown_acks++;
        return;
    }
    hist_add(&stats->ack, now_ns - slot->made_ns, 1);
    hist_add(&stats->ack_due, now_ns > slot->due_ns ? now_ns - slot->due_ns : 0, 1);
    stats->chunks_acked++;
    stats->records_acked += slot->records;
    stats->last_progress_ns = now_ns;
    conn->retry_delay_ns = RECONNECT_FIRST_NS;
    release(conn, slot);
}

static ssize_t take_helo(struct load_conn *conn, struct slice in)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t ping[LOAD_PING_MAX];
    ssize_t taken;
    size_t n;
    unsigned i;

    conn->handshake.shared_key = conn->run->options.shared_key;
    conn->handshake.self = "forward-load.bench";
    if (getrandom(conn->handshake.salt, LOAD_SALT_BYTES, 0) != LOAD_SALT_BYTES)
        return -EIO;
    for (i = 0; i < LOAD_SALT_BYTES; i++)
        conn->handshake.salt[i] = digits[conn->handshake.salt[i] & 15];
    taken = load_wire_helo(in, &conn->handshake);
    if (taken <= 0)
        return taken;
    n = load_wire_ping(&conn->handshake, ping);
    /* A fresh connection's buffer takes these 400 bytes. */
    if (send(conn->fd, ping, n, MSG_NOSIGNAL) != (ssize_t)n)
        return -EIO;
    conn->state = CONN_PONG;
    return taken;
}

/* Takes one thing from the input. Returns the bytes taken, 0 for "more", or -errno. */
static ssize_t take_one(struct load_conn *conn, struct slice in)
{
    struct slice id = {0};
    ssize_t n;

    switch (conn->state) {
    case CONN_HELO:
        return take_helo(conn, in);
    case CONN_PONG:
        n = load_wire_pong(in, &conn->handshake);
        if (n > 0)
            conn->state = CONN_OPEN;
        return n;
    default:
        n = load_wire_ack(in, &id);
        if (n > 0)
            take_ack(conn, id);
        return n;
    }
}

static void take_all(struct load_conn *conn)
{
    size_t at = 0;

    while (at < conn->in_bytes) {
        ssize_t n = take_one(conn, slice_of(conn->in + at, conn->in_bytes - at));

        if (n < 0) {
            break_off(conn, "the server's words", (int)-n);
            return;
        }
        if (n == 0)
            break;
        at += (size_t)n;
    }
    memmove(conn->in, conn->in + at, conn->in_bytes - at);
    conn->in_bytes -= at;
}

static void receive(struct load_conn *conn)
{
    while (conn->fd >= 0) {
        ssize_t n = recv(conn->fd, conn->in + conn->in_bytes, IN_BYTES - conn->in_bytes, 0);

        if (n < 0) {
            if (errno != EAGAIN)
                break_off(conn, "receive", errno);
            return;
        }
        if (n == 0) {
            break_off(conn, "the server closed the connection", 0);
            return;
        }
        conn->in_bytes += (size_t)n;
        take_all(conn);
    }
}

void load_conn_event(struct load_conn *conn, uint32_t events)
{
    if (conn->state == CONN_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        connected(conn);
    if (conn->fd >= 0 && conn->state != CONN_CONNECTING)
        receive(conn);
    pump(conn);
}

static void check_ack_timeout(struct load_conn *conn, uint64_t now_ns)
{
    uint64_t limit_ns = conn->run->options.ack_timeout_s * NS_PER_S;
    unsigned i;

    for (i = 0; i < conn->slot_count; i++) {
        if (conn->slots[i].state != SLOT_WAITING || now_ns < conn->slots[i].written_ns + limit_ns)
            continue;
        break_off(conn, "no ack in time", 0);
        return;
    }
}

void load_conn_tick(struct load_conn *conn, uint64_t now_ns)
{
    if (conn->state == CONN_CLOSED && now_ns >= conn->retry_at_ns) {
        conn->run->stats.reconnects++;
        start_connect(conn);
    } else if (conn->state == CONN_OPEN) {
        check_ack_timeout(conn, now_ns);
    }
}

void load_conn_write_unacked(const struct load_conn *conn, FILE *out, bool *is_first)
{
    unsigned i;

    for (i = 0; i < conn->slot_count; i++) {
        if (conn->slots[i].state == SLOT_FREE)
            continue;
        fprintf(out, "%s[%u,%u]", *is_first ? "" : ",", conn->slots[i].first_serial,
                conn->slots[i].records);
        *is_first = false;
    }
}
