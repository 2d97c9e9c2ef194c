/*
 * listener: accepts connections on one listening socket of the supervisor's. clients.c owns it.
 *
 * Pauses are the caller's: listener_watch(…, false) leaves new connections in the kernel's queue,
 * at forward.max_connections, after a lack of descriptors, and while draining.
 */
#ifndef RECEIVER_LISTENER_H
#define RECEIVER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct listener {
    int fd; /* borrowed */
    bool watched;
};

/*
 * Prepares the socket: non-blocking; TCP_NODELAY and keepalive, which accepted sockets inherit, so
 * that a heartbeat's connection costs no system calls for them.
 */
void listener_init(struct listener *listener, int fd);

/* Puts it on the epoll descriptor, as `data`, or takes it off. 0 or -errno. */
int listener_watch(struct listener *listener, int epoll, uint64_t data, bool on);

/*
 * Accepts one. Returns the socket (non-blocking, the caller's), -EAGAIN where none waits, or
 * -errno; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: wait a little before trying again.
 */
int listener_accept(const struct listener *listener, struct sockaddr_storage *ret_address);

#endif
