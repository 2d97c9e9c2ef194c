/*
 * messages: what a connection hears: the PING of a handshake, then Forward messages, which go into
 * the rings.
 */
#ifndef RECEIVER_MESSAGES_H
#define RECEIVER_MESSAGES_H

#include "receiver/connection_internal.h"

/* Says HELO and waits for the PING. 0 or -errno. */
int messages_greet(struct connection *c);

/*
 * Takes whole messages off the front of p. Returns how many bytes are done with; what is left is
 * part of a message, or of one that waits for room in a ring. May close the connection.
 */
size_t messages_consume(struct connection *c, const uint8_t *p, size_t n);

#endif
