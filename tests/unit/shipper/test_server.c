#include "tests/unit/shipper/test_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define CONNECTIONS 64
#define HEAD_BYTES 8192

struct connection {
    struct test_server *server;
    int fd;
    pthread_t thread;
};

struct test_server {
    int fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;
    test_decide decide;
    void *context;
    unsigned requests;
    bool stopping;
    unsigned counts[FIXTURE_RECORDS];
    char violation[128];
    struct connection connections[CONNECTIONS];
    unsigned connection_count;
};

static void violate(struct test_server *server, const char *what)
{
    snprintf(server->violation, sizeof(server->violation), "%s", what);
}

/* A header's value; "" where it is not there. */
static void header(const char *head, const char *name, char *ret_value, size_t size)
{
    size_t n = strlen(name);

    ret_value[0] = '\0';
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            sscanf(line + 3 + n, " %127[^\r]", ret_value);
    ret_value[size - 1] = '\0';
}

/* Exactly one gzip member, to its end. */
static uint8_t *gunzip(const uint8_t *p, size_t n, size_t *ret_n)
{
    size_t cap = 64 << 20;
    uint8_t *plain = malloc(cap);
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)p, .avail_in = (unsigned)n};
    int r;

    inflateInit2(&z, 16 + MAX_WBITS);
    z.next_out = plain;
    z.avail_out = (unsigned)cap;
    r = inflate(&z, Z_FINISH);
    *ret_n = cap - z.avail_out;
    if (r != Z_STREAM_END || z.avail_in != 0) {
        free(plain);
        plain = NULL;
    }
    inflateEnd(&z);
    return plain;
}

/* zstd frames, one or several. */
static uint8_t *unzstd(const uint8_t *p, size_t n, size_t *ret_n)
{
    size_t cap = 64 << 20;
    uint8_t *plain = malloc(cap);

    *ret_n = ZSTD_decompress(plain, cap, p, n);
    if (!ZSTD_isError(*ret_n))
        return plain;
    free(plain);
    return NULL;
}

static bool read_more(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = read(fd, p, n);

        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

static bool read_head(int fd, char *head)
{
    size_t n = 0;

    while (n < HEAD_BYTES - 1) {
        if (read(fd, head + n, 1) != 1)
            return false;
        head[++n] = '\0';
        if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static void send_endless(int fd, size_t bytes)
{
    static const uint8_t nothing[1 << 16];

    while (bytes > 0) {
        size_t n = bytes < sizeof(nothing) ? bytes : sizeof(nothing);

        if (send(fd, nothing, n, MSG_NOSIGNAL) != (ssize_t)n)
            return;
        bytes -= n;
    }
}

static void send_answer(int fd, const struct test_answer *answer)
{
    char text[1024];
    int n =
        snprintf(text, sizeof(text), "HTTP/1.1 %u Whatever\r\nContent-Length: %zu\r\n%s\r\n%.*s",
                 answer->status, answer->body.n + answer->endless,
                 answer->headers != NULL ? answer->headers : "", (int)answer->body.n,
                 (const char *)answer->body.p);

    if (answer->cut == CUT_HALF)
        n /= 2;
    (void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
    send_endless(fd, answer->endless);
}

/* Why the body is not what its headers say; NULL: it is. */
static const char *judge(const char *head, const char *encoding, struct slice plain)
{
    static const char begin[] = "{\"resourceLogs\":[{";
    char type[128];
    bool is_json = plain.n > sizeof(begin) && memcmp(plain.p, begin, sizeof(begin) - 1) == 0;

    header(head, "Content-Type", type, sizeof(type));
    if (plain.p == NULL)
        return "the body is not exactly one gzip member, or not zstd frames";
    if (encoding[0] != '\0' && strcmp(encoding, "gzip") != 0 && strcmp(encoding, "zstd") != 0)
        return "an unknown Content-Encoding";
    if (strcmp(type, "application/json") != 0 && strcmp(type, "application/x-protobuf") != 0)
        return "an unknown Content-Type";
    if (is_json != (strcmp(type, "application/json") == 0))
        return "the body is not what Content-Type says";
    return plain.n > 0 ? NULL : "an empty request";
}

/* Judges, counts and answers one request. False: the connection ends. */
static bool serve(struct connection *connection, const char *head, const uint8_t *body, size_t n)
{
    struct test_server *server = connection->server;
    struct test_request *request = calloc(1, sizeof(*request));
    unsigned counts[FIXTURE_RECORDS] = {0};
    struct test_answer answer;
    char encoding[128];
    uint8_t *plain = NULL;
    const char *wrong;
    bool go_on;

    header(head, "Content-Encoding", encoding, sizeof(encoding));
    request->head = head;
    request->plain = slice_of(body, n);
    if (strcmp(encoding, "gzip") == 0) {
        plain = gunzip(body, n, &n);
        request->plain = slice_of(plain, n);
    } else if (strcmp(encoding, "zstd") == 0) {
        plain = unzstd(body, n, &n);
        request->plain = slice_of(plain, n);
    }
    wrong = judge(head, encoding, request->plain);
    pthread_mutex_lock(&server->lock);
    if (wrong != NULL)
        violate(server, wrong);
    if (request->plain.p != NULL)
        fixture_count(request->plain, counts);
    for (size_t i = 0; i < FIXTURE_RECORDS; i++) {
        request->has[i] = counts[i] > 0;
        request->records += counts[i];
    }
    request->number = server->requests++;
    answer = server->decide(server->context, request);
    if (answer.status >= 200 && answer.status < 300)
        for (size_t i = 0; i < FIXTURE_RECORDS; i++)
            server->counts[i] += counts[i];
    pthread_mutex_unlock(&server->lock);
    go_on = answer.cut == CUT_NOT;
    if (answer.cut == CUT_HANG)
        (void)!recv(connection->fd, encoding, 1, 0); /* until the client closes, or we stop */
    else if (answer.cut != CUT_BEFORE_ANSWER)
        send_answer(connection->fd, &answer);
    free(plain);
    free(request);
    return go_on;
}

static void *connection_thread(void *argument)
{
    struct connection *connection = argument;
    char *head = malloc(HEAD_BYTES), length[128];
    bool go_on = true;

    while (go_on && read_head(connection->fd, head)) {
        uint8_t *body;
        size_t n;

        header(head, "Content-Length", length, sizeof(length));
        n = strtoul(length, NULL, 10);
        body = malloc(n + 1);
        go_on = read_more(connection->fd, body, n) && serve(connection, head, body, n);
        free(body);
    }
    free(head);
    shutdown(connection->fd, SHUT_WR);
    return NULL;
}

static void *accept_thread(void *argument)
{
    struct test_server *server = argument;
    int fd;

    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        struct connection *connection;

        pthread_mutex_lock(&server->lock);
        if (server->connection_count == CONNECTIONS || server->stopping) {
            if (!server->stopping)
                violate(server, "too many connections");
            pthread_mutex_unlock(&server->lock);
            close(fd);
            continue;
        }
        connection = &server->connections[server->connection_count];
        *connection = (struct connection){.server = server, .fd = fd};
        if (pthread_create(&connection->thread, NULL, connection_thread, connection) == 0)
            server->connection_count++;
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct test_server *test_server_start(unsigned port, test_decide decide, void *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct test_server *server = calloc(1, sizeof(*server));
    socklen_t size = sizeof(address);
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->decide = decide;
    server->context = context;
    pthread_mutex_init(&server->lock, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(server->fd, (struct sockaddr *)&address, size) < 0 || listen(server->fd, 64) < 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &size) < 0 ||
        pthread_create(&server->thread, NULL, accept_thread, server) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    return server;
}

void test_server_stop(struct test_server **server)
{
    struct test_server *s = *server;

    *server = NULL;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (unsigned i = 0; i < s->connection_count; i++) {
        shutdown(s->connections[i].fd, SHUT_RDWR);
        pthread_join(s->connections[i].thread, NULL);
        close(s->connections[i].fd);
    }
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

unsigned test_server_port(const struct test_server *server)
{
    return server->port;
}

void test_server_counts(struct test_server *server, unsigned counts[FIXTURE_RECORDS])
{
    pthread_mutex_lock(&server->lock);
    memcpy(counts, server->counts, sizeof(server->counts));
    pthread_mutex_unlock(&server->lock);
}

unsigned test_server_requests(struct test_server *server)
{
    unsigned requests;

    pthread_mutex_lock(&server->lock);
    requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

const char *test_server_violation(struct test_server *server)
{
    return server->violation;
}
