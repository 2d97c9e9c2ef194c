/*
 * receiver: the stage that speaks with clients, as the role skeleton calls it. Everything that it
 * does happens in turns on the event loop: when a client's socket is ready, when a processor has
 * rung, when something is due.
 */
#ifndef RECEIVER_RECEIVER_H
#define RECEIVER_RECEIVER_H

#include "shared/role/role.h"

int receiver_prepare(struct role_context *context, void **ret_state, struct err *err);
int receiver_start(struct role_context *context, void *state, struct err *err);
void receiver_drain(struct role_context *context, void *state, enum drain_reason reason,
                    uint64_t deadline_ns);
/* Who may send is read anew; connections stay. */
void receiver_reload(struct role_context *context, void *state);
void receiver_fini(void **state);

#endif
