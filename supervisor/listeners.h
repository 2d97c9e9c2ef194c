/*
 * listeners: the sockets that clients connect to. The supervisor binds them and keeps them open as
 * long as it lives, so that clients wait in the listen queue while a receiver is restarted. Beside
 * the forward port's it binds a UDP socket of the same address and port, for heartbeats.
 */
#ifndef SUPERVISOR_LISTENERS_H
#define SUPERVISOR_LISTENERS_H

#include <netinet/in.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/options/options.h"

#define LISTENERS_MAX 4u

struct listener {
    const char *name; /* "forward" */
    int fd;
    int heartbeat_fd;    /* -1: none */
    int heartbeat_error; /* why there is none, -errno; 0: none was wanted */
    char address[INET6_ADDRSTRLEN];
    uint16_t port; /* the real one where 0 was asked for */
};

struct listeners {
    struct listener all[LISTENERS_MAX];
    unsigned count;
};

/*
 * Binds what the options ask for. -EADDRINUSE and others, naming the option. On failure nothing
 * stays open. A UDP port that cannot be had is no failure: most clients need none.
 */
int listeners_open(struct listeners *listeners, const struct options *options, struct err *err);
void listeners_close(struct listeners *listeners);

#endif
