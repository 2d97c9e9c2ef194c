/*
 * heartbeat: answers UDP heartbeats on the forward port (protocols.md 1.9). A Fluentd that is set to
 * `heartbeat_type udp` sends a byte once a second and takes a server for dead that does not answer.
 * receiver.c calls it when the socket, which is the supervisor's, is readable.
 *
 * Every datagram is answered with one byte 00, whatever is in it, from the address that it was sent
 * to. But not one from our own port or from a well-known one, nor more than HEARTBEATS_PER_SECOND:
 * with a forged sender two servers that answer everything would answer each other, until one of
 * them leaves a datagram out.
 */
#ifndef RECEIVER_HEARTBEAT_H
#define RECEIVER_HEARTBEAT_H

#include <stdint.h>

/* Prepares the socket (borrowed); the kernel then tells which address a datagram was sent to. */
void heartbeat_init(int fd);

#define HEARTBEATS_PER_SECOND 1000u

/* Zeroed at the beginning. */
struct heartbeat_limit {
    uint64_t since_ns;
    unsigned answers;
};

/*
 * Answers what waits, up to some dozens; where more waits the socket is still readable. Failures
 * are nobody's concern: the sender asks again in a second. Returns how many were answered.
 */
uint64_t heartbeat_answer(struct heartbeat_limit *limit, int fd, uint64_t now_ns);

#endif
