/*
 * clients: all client connections of this receiver: events, verdicts, waiting, time, drain.
 * Owns the private epoll descriptor that client sockets and listeners are on (sd-event costs too
 * much with thousands of sources); receiver.c makes it one source of the event loop.
 *
 *     a turn:  clients_begin(c);                      takes the time
 *              while (clients_dispatch(c) > 0 ...)    sockets
 *                  clients_settle(c);                 rings, acks, waiters
 *              next = clients_tick(c);                time-outs; when to come again
 *
 * One thread. Fairness: one read per ready connection and dispatch; waiters for room in a ring and
 * for memory are served in the order of coming.
 */
#ifndef RECEIVER_CLIENTS_H
#define RECEIVER_CLIENTS_H

#include "receiver/listener.h"
#include "receiver/producer.h"
#include "shared/base/err.h"
#include "shared/ipc/status_page.h"
#include "shared/options/access.h"

struct clients;

struct clients_setup {
    struct producer *producer;   /* borrowed */
    struct status_slot *status;  /* borrowed */
    struct slice server_host;    /* borrowed */
    const struct access *access; /* borrowed */
    size_t max_chunk;
    size_t memory;
    size_t max_connections;
    uint64_t handshake_ns;
    uint64_t idle_ns;  /* 0: for ever */
    uint64_t hoard_ns; /* a message that does not go on for so long ends if others need memory */
};

int clients_new(const struct clients_setup *setup, struct clients **ret_clients, struct err *err);
/* Who may send from now on (borrowed); connections that are let in already stay. */
void clients_set_access(struct clients *clients, const struct access *access);
/* Closes all connections at once. */
void clients_free(struct clients **clients);

/* Becomes readable when clients_dispatch has something to do. Owned by clients. */
int clients_fd(const struct clients *clients);

/* Accepts on this listening socket (borrowed). */
int clients_listen(struct clients *clients, int fd, struct err *err);

void clients_begin(struct clients *clients);
/* Handles what is ready now, up to a bound; returns how many events that were. */
int clients_dispatch(struct clients *clients);
/* Publishes, takes verdicts, lets waiters go on, frees what was closed. */
void clients_settle(struct clients *clients);
/* What is due by time. Returns when to be called again (CLOCK_MONOTONIC); 0: nothing to wait for. */
uint64_t clients_tick(struct clients *clients);

/* No more clients; the present ones are led to their end. */
void clients_drain(struct clients *clients);
/* Ends those that are still there. */
void clients_close_all(struct clients *clients);
/* All are gone and the rings know it. */
bool clients_are_gone(const struct clients *clients);

#endif
