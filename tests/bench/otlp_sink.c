/*
 * otlp_sink: a server of OTLP/HTTP logs that keeps nothing but figures. See --help.
 *
 *     POST /v1/logs   protobuf, identity, gzip or zstd; every record counted by its attribute "seq"
 *     GET  /report    the figures so far, as JSON; /report?expect=N as if --expect N were given
 *
 * One thread on one epoll descriptor. A request counts only when all of it is good: a broken one
 * is answered 400 and leaves no trace but in "bad". SIGUSR1 writes the report, SIGTERM writes it
 * and ends. Prints "listening PORT" when it is ready and "complete" when all expected records came.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "tests/bench/sink_body.h"
#include "tests/bench/sink_count.h"

#define EVENTS_MAX 64
#define CONNS_MAX 1024
#define READ_BYTES (256 * 1024)
#define BODY_MAX (256u * 1024 * 1024)

struct conn {
    int fd;
    struct buf in;
    struct buf body; /* of chunked requests */
    struct sink_head head;
    struct sink_chunks chunks;
    bool has_head;
    int answer; /* the status that waits for its time; 0: none */
    uint64_t answer_at_ns;
};

struct sink {
    int epoll_fd;
    int listen_fd;
    int signal_fd;
    const char *report;
    uint64_t delay_ns;
    double fail_rate;
    uint64_t random;
    bool is_complete;
    bool stop;
    struct sink_count count;
    struct sink_body *body;
    struct sink_walk walk;
    struct buf plain;
    struct conn *conns[CONNS_MAX];
    unsigned conn_count;
};

static const char usage[] =
    "Usage: otlp_sink [options]\n"
    "  --port PORT          on 127.0.0.1; 0: a free one (4318)\n"
    "  --expect N           how many records, counted from --first-serial\n"
    "  --first-serial N     (1)\n"
    "  --report FILE        write the figures here at SIGUSR1 and at SIGTERM\n"
    "  --delay MS           answer so much later (0)\n"
    "  --fail-rate P        answer 503 to this share of requests, from 0 to 1 (0)\n";

static int write_report(struct sink *sink)
{
    char path[4096];
    FILE *out;

    if (sink->report == NULL)
        return 0;
    /* Renamed into place, so that a reader never sees half of it. */
    snprintf(path, sizeof(path), "%s.new", sink->report);
    out = fopen(path, "we");
    if (out == NULL) {
        fprintf(stderr, "otlp_sink: %s: %s\n", path, strerror(errno));
        return -errno;
    }
    sink_count_write_json(&sink->count, out);
    if (fclose(out) != 0 || rename(path, sink->report) < 0) {
        fprintf(stderr, "otlp_sink: %s: %s\n", sink->report, strerror(errno));
        return -EIO;
    }
    return 0;
}

static void conn_close(struct sink *sink, struct conn *conn)
{
    unsigned i;

    for (i = 0; i < sink->conn_count; i++) {
        if (sink->conns[i] == conn) {
            sink->conns[i] = sink->conns[--sink->conn_count];
            break;
        }
    }
    close(conn->fd);
    buf_fini(&conn->in);
    buf_fini(&conn->body);
    free(conn);
}

static void accept_one(struct sink *sink)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = accept4(sink->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *conn;
    int one = 1;

    if (fd < 0)
        return;
    conn = sink->conn_count < CONNS_MAX ? calloc(1, sizeof(*conn)) : NULL;
    if (conn == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conn->fd = fd;
    buf_init(&conn->in, BODY_MAX);
    buf_init(&conn->body, BODY_MAX);
    event.data.ptr = conn;
    if (epoll_ctl(sink->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        free(conn);
        return;
    }
    sink->conns[sink->conn_count++] = conn;
}

/* splitmix64 to [0, 1): a run with the same seed fails the same requests. */
static double random_share(struct sink *sink)
{
    uint64_t x = sink->random += 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

/* Decodes and counts a request's body. Returns the status to answer. */
static int take_logs(struct sink *sink, const struct sink_head *head, struct slice body)
{
    uint64_t now_ns = clock_realtime_ns();
    struct sink_count *count = &sink->count;
    struct err err = {0};
    unsigned members = 1;
    int r = 0;

    count->requests++;
    if (sink->fail_rate > 0 && random_share(sink) < sink->fail_rate) {
        count->failed++;
        return 503;
    }
    if (!head->is_protobuf)
        r = err_set(&err, EBADMSG, "the Content-Type is not application/x-protobuf");
    if (r == 0)
        r = sink_body_decode(sink->body, head->encoding, body, &sink->plain, &members, &err);
    if (r == 0)
        r = sink_walk_request(&sink->walk, buf_slice(&sink->plain), &err);
    if (r < 0) {
        if (count->bad++ == 0) {
            memcpy(count->bad_reason, err.text, sizeof(count->bad_reason));
            fprintf(stderr, "otlp_sink: bad request: %s\n", err.text);
        }
        return 400;
    }
    count->accepted++;
    count->body_bytes += body.n;
    count->plain_bytes += sink->plain.n;
    count->many_members += members > 1;
    sink_count_add(count, &sink->walk, now_ns);
    if (!sink->is_complete && count->expected > 0 && count->unique_expected == count->expected) {
        sink->is_complete = true;
        puts("complete");
        fflush(stdout);
    }
    return 200;
}

/* Answers are small: one that the socket does not take whole ends the connection. */
static int send_all(struct conn *conn, const char *p, size_t n)
{
    return send(conn->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -EIO;
}

static int send_status(struct conn *conn, int status)
{
    char text[256];
    const char *word = status == 200   ? "OK"
                       : status == 400 ? "Bad Request"
                       : status == 404 ? "Not Found"
                                       : "Service Unavailable";
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %d %s\r\nContent-Type: application/x-protobuf\r\n"
                     "Content-Length: 0\r\n%s\r\n",
                     status, word, conn->head.closes ? "Connection: close\r\n" : "");

    return send_all(conn, text, (size_t)n);
}

static int send_report(struct sink *sink, struct conn *conn)
{
    char head[256];
    char *text = NULL;
    size_t size = 0;
    FILE *out;
    int n;
    int r;

    if (strncmp(conn->head.path, "/report?expect=", 15) == 0)
        sink_count_expect(&sink->count, strtoull(conn->head.path + 15, NULL, 10));
    out = open_memstream(&text, &size);
    if (out == NULL)
        return -ENOMEM;
    sink_count_write_json(&sink->count, out);
    fclose(out);
    n = snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                 size);
    r = send_all(conn, head, (size_t)n);
    if (r == 0)
        r = send_all(conn, text, size);
    free(text);
    return r;
}

/* The request is whole. Answers, at once or later. Returns -errno to end the connection. */
static int handle(struct sink *sink, struct conn *conn, struct slice body)
{
    int status;

    if (!conn->head.is_post && strncmp(conn->head.path, "/report", 7) == 0)
        return send_report(sink, conn);
    if (!conn->head.is_post || strcmp(conn->head.path, "/v1/logs") != 0)
        return send_status(conn, 404);
    status = take_logs(sink, &conn->head, body);
    if (sink->delay_ns > 0) {
        conn->answer = status;
        conn->answer_at_ns = clock_monotonic_ns() + sink->delay_ns;
        return 0;
    }
    return send_status(conn, status);
}

static void drop(struct buf *buf, size_t n)
{
    memmove(buf->p, buf->p + n, buf->n - n);
    buf->n -= n;
}

static int take_head(struct conn *conn)
{
    ssize_t n = sink_http_head(buf_slice(&conn->in), &conn->head);

    if (n <= 0)
        return (int)n;
    drop(&conn->in, (size_t)n);
    conn->has_head = true;
    conn->chunks = (struct sink_chunks){0};
    conn->body.n = 0;
    if (!conn->head.is_chunked && conn->head.content_length > BODY_MAX)
        return -EMSGSIZE;
    if (conn->head.expects_continue)
        return send_all(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return 0;
}

/* Takes requests from what was read, until more is needed or an answer waits. */
static int take_requests(struct sink *sink, struct conn *conn)
{
    while (conn->answer == 0 && conn->in.n > 0) {
        int r;

        if (!conn->has_head) {
            r = take_head(conn);
            if (r < 0 || !conn->has_head)
                return r;
        }
        if (conn->head.is_chunked) {
            ssize_t n = sink_http_dechunk(&conn->chunks, buf_slice(&conn->in), &conn->body);

            if (n < 0)
                return (int)n;
            drop(&conn->in, (size_t)n);
            if (conn->chunks.state != CHUNK_DONE)
                return 0;
            r = handle(sink, conn, buf_slice(&conn->body));
        } else {
            size_t n = (size_t)conn->head.content_length;

            if (conn->in.n < n)
                return 0;
            r = handle(sink, conn, slice_of(conn->in.p, n));
            drop(&conn->in, n);
        }
        conn->has_head = false;
        if (r < 0 || conn->head.closes)
            return -ECONNRESET;
    }
    return 0;
}

static void conn_event(struct sink *sink, struct conn *conn)
{
    size_t want = READ_BYTES;
    ssize_t n;

    /* A long body is read in few calls, straight to its place. */
    if (conn->has_head && !conn->head.is_chunked && conn->head.content_length > conn->in.n + want)
        want = (size_t)conn->head.content_length - conn->in.n;
    if (buf_reserve(&conn->in, want) < 0) {
        conn_close(sink, conn);
        return;
    }
    n = recv(conn->fd, conn->in.p + conn->in.n, want, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_close(sink, conn);
        return;
    }
    conn->in.n += (size_t)n;
    if (take_requests(sink, conn) < 0)
        conn_close(sink, conn);
}

/* Sends the answers whose time has come. Returns milliseconds to the next one, or -1. */
static int send_due(struct sink *sink)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t next_ns = UINT64_MAX;
    unsigned i;

    for (i = sink->conn_count; sink->delay_ns > 0 && i-- > 0;) {
        struct conn *conn = sink->conns[i];
        int status = conn->answer;

        if (status != 0 && conn->answer_at_ns <= now_ns) {
            conn->answer = 0;
            if (send_status(conn, status) < 0 || take_requests(sink, conn) < 0) {
                conn_close(sink, conn);
                continue;
            }
        }
        if (conn->answer != 0 && conn->answer_at_ns < next_ns)
            next_ns = conn->answer_at_ns;
    }
    return next_ns == UINT64_MAX ? -1 : (int)((next_ns - now_ns) / NS_PER_MS + 1);
}

static void on_signal(struct sink *sink)
{
    struct signalfd_siginfo info;

    if (read(sink->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGUSR1)
        write_report(sink);
    else
        sink->stop = true;
}

static void loop(struct sink *sink)
{
    struct epoll_event events[EVENTS_MAX];

    while (!sink->stop) {
        int n = epoll_wait(sink->epoll_fd, events, EVENTS_MAX, send_due(sink));
        int i;

        for (i = 0; i < n; i++) {
            if (events[i].data.ptr == &sink->listen_fd)
                accept_one(sink);
            else if (events[i].data.ptr == &sink->signal_fd)
                on_signal(sink);
            else
                conn_event(sink, events[i].data.ptr);
        }
    }
}

static int watch(struct sink *sink, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

    return fd < 0 || epoll_ctl(sink->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_all(struct sink *sink, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    sigset_t signals;
    int one = 1;
    int r;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    sink->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    sink->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sink->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sink->epoll_fd < 0 || sink->listen_fd < 0)
        return -errno;
    setsockopt(sink->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(sink->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(sink->listen_fd, 256) < 0 ||
        getsockname(sink->listen_fd, (struct sockaddr *)&address, &n) < 0)
        return -errno;
    r = watch(sink, sink->listen_fd, &sink->listen_fd);
    if (r == 0)
        r = watch(sink, sink->signal_fd, &sink->signal_fd);
    if (r == 0) {
        printf("listening %u\n", ntohs(address.sin_port));
        fflush(stdout);
    }
    return r;
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);

    if (end == text || *end != '\0' || text[0] == '-' || v > max) {
        fprintf(stderr, "otlp_sink: \"%s\" is not a number up to %llu\n", text,
                (unsigned long long)max);
        exit(64);
    }
    return v;
}

static double share(const char *text)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end != '\0' || !(v >= 0 && v <= 1)) {
        fprintf(stderr, "otlp_sink: \"%s\" is not a share from 0 to 1\n", text);
        exit(64);
    }
    return v;
}

static void parse_options(int argc, char **argv, struct sink *sink, uint16_t *ret_port)
{
    static const struct option long_options[] = {
        {"port", required_argument, NULL, 'p'},
        {"expect", required_argument, NULL, 'e'},
        {"first-serial", required_argument, NULL, 's'},
        {"report", required_argument, NULL, 'r'},
        {"delay", required_argument, NULL, 'd'},
        {"fail-rate", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int id;

    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == 'p') {
            *ret_port = (uint16_t)number(optarg, 65535);
        } else if (id == 'e') {
            sink->count.expected = number(optarg, UINT32_MAX);
        } else if (id == 's') {
            sink->count.first_serial = number(optarg, UINT32_MAX);
        } else if (id == 'r') {
            sink->report = optarg;
        } else if (id == 'd') {
            sink->delay_ns = number(optarg, 3600000) * NS_PER_MS;
        } else if (id == 'f') {
            sink->fail_rate = share(optarg);
        } else {
            fputs(usage, id == 'h' ? stdout : stderr);
            exit(id == 'h' ? 0 : 64);
        }
    }
}

int main(int argc, char **argv)
{
    static struct sink sink = {.count.first_serial = 1, .random = 1};
    uint16_t port = 4318;
    int r;

    parse_options(argc, argv, &sink, &port);
    buf_init(&sink.plain, BODY_MAX);
    r = sink_count_init(&sink.count);
    if (r == 0)
        r = sink_body_new(&sink.body);
    if (r == 0)
        r = open_all(&sink, port);
    if (r < 0) {
        fprintf(stderr, "otlp_sink: cannot start: %s\n", strerror(-r));
        return 1;
    }
    loop(&sink);
    r = write_report(&sink);
    while (sink.conn_count > 0)
        conn_close(&sink, sink.conns[0]);
    sink_body_free(&sink.body);
    sink_count_fini(&sink.count);
    free(sink.walk.seen);
    buf_fini(&sink.plain);
    close(sink.listen_fd);
    close(sink.signal_fd);
    close(sink.epoll_fd);
    return r < 0 ? 1 : 0;
}
