/*
 * answers: what a connection says: HELO, PONG, acks. Also defines connection_answer
 * (connection.h).
 */
#ifndef RECEIVER_ANSWERS_H
#define RECEIVER_ANSWERS_H

#include "receiver/connection_internal.h"

/* Sends, or keeps for when the socket takes it. False: the connection is closed. */
bool answers_send(struct connection *c, struct slice bytes, const struct outbox_mark *mark);

/* The socket takes more. */
void answers_flush(struct connection *c);

#endif
