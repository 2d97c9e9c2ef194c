/*
 * http_client: several POST requests in flight to one URL, on the event loop. libcurl's multi
 * interface does HTTP, TLS and keep-alive; its sockets and its timer are sd-event sources.
 *
 *     http_client_new(event, &config, on_done, me, &client, &err);
 *     http_client_start(client, &err);               after confinement
 *     if (http_client_is_ready(client))
 *         http_client_post(client, call, &body);     call: 0 .. config.calls - 1, each one at a time
 *     ... on_done(me, call, &result)
 *
 * Names are resolved beforehand (resolver.h); until there is an address, the client is not ready,
 * and says so when it is, or why it is not. Redirects are not followed, proxies not used. Of an
 * answer the first 64 KiB are kept, and 4 MiB read: a longer one is cut off, and counts by its status.
 * The bearer token is sent and never shown; its copies here are wiped
 * (those that libcurl makes for a request cannot be).
 *
 * Ownership: the client owns its easy handles and connections. A body is borrowed until on_done.
 */
#ifndef SHIPPER_HTTP_CLIENT_H
#define SHIPPER_HTTP_CLIENT_H

#include "shared/base/err.h"
#include "shared/base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct http_client;

/* All borrowed during http_client_new. Empty strings: not set. */
struct http_config {
    const char *url;
    const char *ca_file;
    const char *user_agent;
    const char *content_type;
    const char *dataset;
    struct slice bearer;
    uint64_t timeout_ms; /* of one request, all of it */
    unsigned calls;
};

#define HTTP_BODY_PIECES 3u

struct http_body {
    struct slice pieces[HTTP_BODY_PIECES]; /* sent behind each other */
    const char *encoding;                  /* Content-Encoding; NULL: none. A literal. */
};

enum http_outcome {
    HTTP_ANSWERED,
    HTTP_UNREACHABLE, /* no whole answer: refused, reset, timed out */
    HTTP_UNTRUSTED,   /* certificate, TLS or URL: somebody must act */
};

struct http_result {
    enum http_outcome outcome;
    unsigned status;
    struct slice content_type, retry_after, body;
    const char *failure; /* words, where not answered */
};

struct http_handler {
    void (*done)(void *context, unsigned call, const struct http_result *result);
    /* An address is there now, or (failure not NULL) could not be got; ask again by
     * http_client_resolve. */
    void (*resolved)(void *context, const char *failure);
    void *context;
};

int http_client_new(sd_event *event, const struct http_config *config,
                    const struct http_handler *handler, struct http_client **ret_client,
                    struct err *err);
/* Aborts what is in flight, without on_done. */
void http_client_free(struct http_client **client);

/* Starts the resolver's thread, where the URL has a name, and asks. */
int http_client_start(struct http_client *client, struct err *err);

bool http_client_is_ready(const struct http_client *client);
/* Asks for addresses again, unless that is under way. The old ones are used until then. */
void http_client_resolve(struct http_client *client);
/* When addresses were last got, CLOCK_MONOTONIC; UINT64_MAX: the URL has an address. */
uint64_t http_client_resolved_ns(const struct http_client *client);

/* Requests sent from now on carry this token. */
void http_client_set_bearer(struct http_client *client, struct slice bearer);

/* 0: on_done will come (never from within this call); -errno: it will not. */
int http_client_post(struct http_client *client, unsigned call, const struct http_body *body,
                     struct err *err);

/* "ingress.example:443", for words. */
const char *http_client_peer(const struct http_client *client);

#endif
