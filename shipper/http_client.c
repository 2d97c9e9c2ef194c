#include "shipper/http_client.h"

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/secret.h"
#include "shipper/resolver.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * More of an answer is not kept: no server has that much to say. Up to the limit that OTLP
 * recommends it is read all the same, so that the connection stays usable.
 */
#define ANSWER_BYTES (64u << 10)
#define ANSWER_MAX_BYTES (4u << 20)
#define CONNECT_TIMEOUT_MS 10000u
/* libcurl sends a body below 64 KiB together with the headers, if it has it in one piece. */
#define SMALL_BODY_BYTES (60u << 10)

struct call {
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    uint64_t headers_generation; /* of client->generation that they were made for */
    const char *encoding;        /* that they were made for */
    struct curl_slist *addresses;
    uint64_t addresses_generation;
    bool under_way;
    struct http_body body;
    size_t piece, offset; /* what libcurl takes next */
    struct buf small;     /* the whole body, where it is small */
    struct buf answer;
    uint64_t answered; /* bytes of the answer's body that came */
    char failure[CURL_ERROR_SIZE];
};

struct http_client {
    sd_event *event;
    CURLM *multi;
    sd_event_source *timer, *soon;
    uint64_t wanted_us; /* when libcurl wants to be called; UINT64_MAX: it does not */
    uint64_t armed_us;  /* when the timer fires, maybe earlier; UINT64_MAX: it is off */
    struct http_handler handler;
    struct resolver *resolver; /* NULL: the URL has an address */
    char host[256];            /* without brackets */
    unsigned port;
    char peer[280];
    char *dataset, *user_agent, *content_type;
    struct secret bearer;
    uint64_t generation; /* counts bearers */
    char *resolve;       /* "host:port:addresses" for libcurl; NULL: none yet */
    uint64_t resolve_generation;
    uint64_t resolved_ns;
    unsigned count;
    struct call calls[];
};

/* ---- headers ---- */

/* The bearer's header is overwritten before its memory is given back. */
static void free_headers(struct curl_slist **headers)
{
    for (struct curl_slist *one = *headers; one != NULL; one = one->next)
        secret_wipe(one->data, strlen(one->data));
    curl_slist_free_all(*headers);
    *headers = NULL;
}

static int add_header(struct curl_slist **headers, const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 1;
    char *line = malloc(size);
    struct curl_slist *longer = NULL;

    if (line != NULL) {
        snprintf(line, size, "%s%s", name, value);
        longer = curl_slist_append(*headers, line);
        secret_wipe(line, size);
        free(line);
    }
    if (longer == NULL)
        return -ENOMEM;
    *headers = longer;
    return 0;
}

static int make_headers(struct call *call, const char *encoding)
{
    struct http_client *client = call->client;
    struct curl_slist *headers = NULL;
    int r = add_header(&headers, "Content-Type: ", client->content_type);

    /* libcurl would wait a second for a "100 Continue" that few servers send. */
    if (r == 0)
        r = add_header(&headers, "Expect:", "");
    if (r == 0 && encoding != NULL)
        r = add_header(&headers, "Content-Encoding: ", encoding);
    if (r == 0 && client->bearer.n > 0)
        r = add_header(&headers, "Authorization: Bearer ", secret_text(&client->bearer));
    if (r == 0 && client->dataset[0] != '\0')
        r = add_header(&headers, "Dash0-Dataset: ", client->dataset);
    if (r < 0) {
        free_headers(&headers);
        return r;
    }
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, headers);
    free_headers(&call->headers);
    call->headers = headers;
    call->headers_generation = client->generation;
    call->encoding = encoding;
    return 0;
}

/* ---- a request's bytes ---- */

static size_t on_read(char *to, size_t size, size_t count, void *userdata)
{
    struct call *call = userdata;
    size_t room = size * count, taken = 0;

    while (taken < room && call->piece < HTTP_BODY_PIECES) {
        struct slice piece = call->body.pieces[call->piece];
        size_t n = piece.n - call->offset;

        n = n < room - taken ? n : room - taken;
        if (n > 0)
            memcpy(to + taken, piece.p + call->offset, n);
        taken += n;
        call->offset += n;
        if (call->offset == piece.n) {
            call->piece++;
            call->offset = 0;
        }
    }
    return taken;
}

/* Chooses how libcurl gets the body. */
static int set_body(struct call *call, const struct http_body *body)
{
    size_t size = 0;

    for (size_t i = 0; i < HTTP_BODY_PIECES; i++)
        size += body->pieces[i].n;
    call->body = *body;
    call->piece = 0;
    call->offset = 0;
    call->small.n = 0;
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    if (size > SMALL_BODY_BYTES) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, NULL);
        return 0;
    }
    for (size_t i = 0; i < HTTP_BODY_PIECES; i++)
        if (buf_append(&call->small, body->pieces[i].p, body->pieces[i].n) < 0)
            return -ENOMEM;
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->small.p);
    return 0;
}

/* A kept-alive connection turned out to be closed: libcurl begins again on a new one. */
static int on_seek(void *userdata, curl_off_t offset, int origin)
{
    struct call *call = userdata;

    if (origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_CANTSEEK;
    call->piece = 0;
    call->offset = 0;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *p, size_t size, size_t count, void *userdata)
{
    struct call *call = userdata;
    size_t n = size * count;
    size_t room = ANSWER_BYTES - call->answer.n;

    call->answered += n;
    if (call->answered > ANSWER_MAX_BYTES)
        return 0;
    if (buf_append(&call->answer, p, n < room ? n : room) < 0)
        return 0;
    return n;
}

/* ---- libcurl's sockets and timer on the event loop ---- */

static void call_done(struct call *call, CURLcode code);

static void collect(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct call *call = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        call_done(call, code); /* the message is gone after it */
    }
}

static int on_socket_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct http_client *client = userdata;
    int flags = 0, running;

    (void)source;
    if (events & (EPOLLIN | EPOLLHUP))
        flags |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        flags |= CURL_CSELECT_ERR;
    curl_multi_socket_action(client->multi, fd, flags, &running);
    collect(client);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
    struct http_client *client = userdata;
    sd_event_source *source = socket_data;
    uint32_t events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        sd_event_source_disable_unref(source);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    if (source != NULL)
        return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
    if (sd_event_add_io(client->event, &source, fd, events, on_socket_event, client) < 0)
        return -1;
    curl_multi_assign(client->multi, fd, source);
    return 0;
}

static void time_out(struct http_client *client)
{
    int running;

    client->wanted_us = UINT64_MAX;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(client);
}

static int on_soon(sd_event_source *source, void *userdata)
{
    (void)source;
    time_out(userdata);
    return 0;
}

static int arm_timer(struct http_client *client)
{
    int r;

    if (client->wanted_us >= client->armed_us)
        return 0;
    client->armed_us = client->wanted_us;
    r = sd_event_source_set_time(client->timer, client->armed_us);
    if (r >= 0)
        r = sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
    return r < 0 ? -1 : 0;
}

static int on_timer_event(sd_event_source *source, uint64_t now, void *userdata)
{
    struct http_client *client = userdata;

    (void)source;
    (void)now;
    client->armed_us = UINT64_MAX;
    if (client->wanted_us <= clock_monotonic_ns() / NS_PER_US)
        time_out(client);
    arm_timer(client);
    return 0;
}

/*
 * libcurl moves its timer with every request. A timer that is armed too early is left so, and
 * "now" is a turn of the loop: together that saves four system calls per request.
 */
static int on_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    struct http_client *client = userdata;

    (void)multi;
    client->wanted_us = UINT64_MAX;
    if (timeout_ms < 0)
        return sd_event_source_set_enabled(client->soon, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (timeout_ms == 0)
        return sd_event_source_set_enabled(client->soon, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
    client->wanted_us = clock_monotonic_ns() / NS_PER_US + (uint64_t)timeout_ms * 1000;
    return arm_timer(client);
}

/* ---- answers ---- */

/* The status of an answer that is too long was there before it: it is an answer. */
static enum http_outcome outcome_of(const struct call *call, CURLcode code)
{
    if (code == CURLE_WRITE_ERROR && call->answered > ANSWER_MAX_BYTES)
        return HTTP_ANSWERED;
    switch (code) {
    case CURLE_OK:
        return HTTP_ANSWERED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return HTTP_UNTRUSTED;
    default:
        return HTTP_UNREACHABLE;
    }
}

static struct slice header_value(CURL *easy, const char *name)
{
    struct curl_header *header = NULL;

    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return (struct slice){NULL, 0};
    return slice_string(header->value);
}

static void call_done(struct call *call, CURLcode code)
{
    struct http_client *client = call->client;
    struct http_result result = {.outcome = outcome_of(call, code)};
    char *content_type = NULL;
    long status = 0;

    curl_multi_remove_handle(client->multi, call->easy);
    call->under_way = false;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &content_type);
    result.status = (unsigned)status;
    result.body = buf_slice(&call->answer);
    if (content_type != NULL)
        result.content_type = slice_string(content_type);
    result.retry_after = header_value(call->easy, "Retry-After");
    result.failure = call->failure[0] != '\0' ? call->failure : curl_easy_strerror(code);
    client->handler.done(client->handler.context, (unsigned)(call - client->calls), &result);
}

/* ---- addresses ---- */

static void on_resolved(void *context, const char *addresses, const char *failure)
{
    struct http_client *client = context;
    size_t size;
    char *text;

    if (addresses != NULL) {
        size = strlen(client->host) + strlen(addresses) + 16;
        text = malloc(size);
        if (text == NULL) {
            failure = "out of memory";
        } else {
            snprintf(text, size, "%s:%u:%s", client->host, client->port, addresses);
            failure = NULL;
            if (client->resolve == NULL || strcmp(client->resolve, text) != 0)
                client->resolve_generation++;
            free(client->resolve);
            client->resolve = text;
            client->resolved_ns = clock_monotonic_ns();
        }
    }
    client->handler.resolved(client->handler.context, failure);
}

static int give_addresses(struct call *call)
{
    struct http_client *client = call->client;
    struct curl_slist *list;

    if (client->resolver == NULL || call->addresses_generation == client->resolve_generation)
        return 0;
    list = curl_slist_append(NULL, client->resolve);
    if (list == NULL)
        return -ENOMEM;
    curl_easy_setopt(call->easy, CURLOPT_RESOLVE, list);
    curl_slist_free_all(call->addresses);
    call->addresses = list;
    call->addresses_generation = client->resolve_generation;
    return 0;
}

bool http_client_is_ready(const struct http_client *client)
{
    return client->resolver == NULL || client->resolve != NULL;
}

void http_client_resolve(struct http_client *client)
{
    if (client->resolver != NULL)
        resolver_ask(client->resolver);
}

uint64_t http_client_resolved_ns(const struct http_client *client)
{
    return client->resolver == NULL ? UINT64_MAX : client->resolved_ns;
}

/* ---- requests ---- */

int http_client_post(struct http_client *client, unsigned index, const struct http_body *body,
                     struct err *err)
{
    struct call *call = &client->calls[index];
    CURLMcode code;
    int r = give_addresses(call);

    if (r == 0 && (call->headers_generation != client->generation ||
                   call->encoding != body->encoding || call->headers == NULL))
        r = make_headers(call, body->encoding);
    if (r == 0)
        r = set_body(call, body);
    if (r < 0)
        return err_errno(err, -r, "cannot prepare a request");
    call->answer.n = 0;
    call->answered = 0;
    call->failure[0] = '\0';
    code = curl_multi_add_handle(client->multi, call->easy);
    if (code != CURLM_OK)
        return err_set(err, EIO, "cannot send a request: %s", curl_multi_strerror(code));
    call->under_way = true;
    return 0;
}

void http_client_set_bearer(struct http_client *client, struct slice bearer)
{
    if (secret_set(&client->bearer, bearer) == 0)
        client->generation++;
}

const char *http_client_peer(const struct http_client *client)
{
    return client->peer;
}

/* ---- making and ending ---- */

/* As libcurl would, but CLOEXEC. */
static curl_socket_t on_open_socket(void *userdata, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)userdata;
    (void)purpose;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void set_tls(CURL *easy, const struct http_config *config)
{
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (config->ca_file != NULL && config->ca_file[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
}

static int call_init(struct call *call, struct http_client *client,
                     const struct http_config *config)
{
    CURL *easy = curl_easy_init();

    call->client = client;
    call->easy = easy;
    buf_init(&call->answer, ANSWER_BYTES);
    buf_init(&call->small, SMALL_BODY_BYTES);
    if (easy == NULL)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->failure);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms);
    curl_easy_setopt(
        easy, CURLOPT_CONNECTTIMEOUT_MS,
        (long)(config->timeout_ms < CONNECT_TIMEOUT_MS ? config->timeout_ms : CONNECT_TIMEOUT_MS));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    set_tls(easy, config);
    return curl_easy_setopt(easy, CURLOPT_URL, config->url) == CURLE_OK ? 0 : -ENOMEM;
}

/* Host and port of the URL; it must be http or https. */
static int parse_url(struct http_client *client, const char *url, struct err *err)
{
    char *host = NULL, *port = NULL, *scheme = NULL;
    CURLU *parsed = curl_url();
    CURLUcode code = CURLUE_OUT_OF_MEMORY;
    size_t n;

    if (parsed != NULL)
        code = curl_url_set(parsed, CURLUPART_URL, url, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
    if (code == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        code = CURLUE_UNSUPPORTED_SCHEME;
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_HOST, &host, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (code == CURLUE_OK && strlen(host) >= sizeof(client->host))
        code = CURLUE_BAD_HOSTNAME;
    if (code == CURLUE_OK) {
        client->port = (unsigned)strtoul(port, NULL, 10);
        snprintf(client->peer, sizeof(client->peer), "%s:%s", host, port);
        n = strlen(host);
        if (host[0] == '[' && n > 2)
            snprintf(client->host, sizeof(client->host), "%.*s", (int)(n - 2), host + 1);
        else
            snprintf(client->host, sizeof(client->host), "%s", host);
    }
    curl_free(host);
    curl_free(port);
    curl_free(scheme);
    curl_url_cleanup(parsed);
    if (code != CURLUE_OK)
        return err_set(err, EINVAL, "otlp.endpoint: %s", curl_url_strerror(code));
    return 0;
}

static int make_multi(struct http_client *client)
{
    int r;

    client->multi = curl_multi_init();
    /* Its wake-up pair is not made CLOEXEC, and libcurl does not say where it is. */
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (client->multi == NULL)
        return -ENOMEM;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->count);
    r = sd_event_add_time(client->event, &client->timer, CLOCK_MONOTONIC, UINT64_MAX, 1,
                          on_timer_event, client);
    if (r < 0)
        return r;
    client->wanted_us = client->armed_us = UINT64_MAX;
    r = sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_defer(client->event, &client->soon, on_soon, client);
    return r < 0 ? r : sd_event_source_set_enabled(client->soon, SD_EVENT_OFF);
}

int http_client_new(sd_event *event, const struct http_config *config,
                    const struct http_handler *handler, struct http_client **ret_client,
                    struct err *err)
{
    struct http_client *client =
        calloc(1, sizeof(*client) + config->calls * sizeof(client->calls[0]));
    int r;

    if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return err_set(err, ENOMEM, "cannot start libcurl");
    }
    client->event = event;
    client->handler = *handler;
    client->count = config->calls;
    client->generation = 1;
    client->resolve_generation = 1;
    client->dataset = strdup(config->dataset != NULL ? config->dataset : "");
    client->user_agent = strdup(config->user_agent);
    client->content_type = strdup(config->content_type);
    r = parse_url(client, config->url, err);
    if (r < 0) {
        http_client_free(&client);
        return r;
    }
    if (client->dataset == NULL || client->user_agent == NULL || client->content_type == NULL)
        r = -ENOMEM;
    if (r == 0 && config->bearer.n > 0)
        r = secret_set(&client->bearer, config->bearer);
    if (r == 0)
        r = make_multi(client);
    for (unsigned i = 0; i < config->calls && r == 0; i++)
        r = call_init(&client->calls[i], client, config);
    if (r < 0) {
        http_client_free(&client);
        return err_errno(err, -r, "cannot prepare the HTTP client");
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client **client)
{
    struct http_client *c = *client;

    *client = NULL;
    if (c == NULL)
        return;
    resolver_stop(&c->resolver);
    for (unsigned i = 0; i < c->count; i++) {
        struct call *call = &c->calls[i];

        if (call->under_way)
            curl_multi_remove_handle(c->multi, call->easy);
        curl_easy_cleanup(call->easy);
        free_headers(&call->headers);
        curl_slist_free_all(call->addresses);
        buf_fini(&call->answer);
        buf_fini(&call->small);
    }
    curl_multi_cleanup(c->multi);
    sd_event_source_disable_unref(c->timer);
    sd_event_source_disable_unref(c->soon);
    secret_fini(&c->bearer);
    free(c->dataset);
    free(c->user_agent);
    free(c->content_type);
    free(c->resolve);
    free(c);
    curl_global_cleanup();
}

int http_client_start(struct http_client *client, struct err *err)
{
    int r;

    if (resolver_is_address(client->host))
        return 0;
    r = resolver_start(client->event, client->host, on_resolved, client, &client->resolver, err);
    if (r == 0)
        resolver_ask(client->resolver);
    return r;
}
