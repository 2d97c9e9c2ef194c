/*
 * resolver: a host name to addresses, off the event loop. getaddrinfo may block for 20 seconds and
 * more on a dead DNS, and so would libcurl's own resolver when it is torn down: so one thread of
 * ours asks, and libcurl is given addresses only.
 *
 * Threads: one, which touches nothing but the state it shares under a mutex, logs nothing, and
 * whose only work is getaddrinfo. It is started after confinement (a role's start). At the end it
 * is joined if it waits, and left to itself if it hangs in getaddrinfo; the state lives until both
 * sides are done with it.
 *
 *     resolver_start(event, "ingress.example", on_answer, me, &resolver, &err);
 *     resolver_ask(resolver);        the answer comes by callback on the loop
 */
#ifndef SHIPPER_RESOLVER_H
#define SHIPPER_RESOLVER_H

#include "shared/base/err.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

struct resolver;

/*
 * addresses: "192.0.2.1,[2001:db8::1]", up to RESOLVER_ADDRESSES of them, in getaddrinfo's order.
 * NULL: it failed, for the reason in `failure`. Both borrowed during the call.
 */
typedef void (*resolver_answer)(void *context, const char *addresses, const char *failure);

#define RESOLVER_ADDRESSES 8u

/* Copies the host. Borrows the rest. */
int resolver_start(sd_event *event, const char *host, resolver_answer answer, void *context,
                   struct resolver **ret_resolver, struct err *err);
/* No callback comes after it. */
void resolver_stop(struct resolver **resolver);

/* Asks, unless a question is under way already. */
void resolver_ask(struct resolver *resolver);
bool resolver_is_asking(const struct resolver *resolver);

/* Whether a host is an address already, in brackets or not. */
bool resolver_is_address(const char *host);

#endif
