/*
 * shipper: the stage that delivers. It opens the lanes, makes the configured outputs, wakes them
 * when the processor has committed (door.shipper), syncs their cursors every 100 ms, removes
 * segments that all have passed, and shows how things are in the status page.
 *
 * These are the hooks of the role (shared/role/role.h); main.c names them.
 */
#ifndef SHIPPER_SHIPPER_H
#define SHIPPER_SHIPPER_H

#include "shared/role/role.h"

int shipper_prepare(struct role_context *context, void **ret_state, struct err *err);
int shipper_start(struct role_context *context, void *state, struct err *err);
void shipper_reload(struct role_context *context, void *state);
void shipper_fini(void **state);

/*
 * DRAIN_STOP: delivers what is there until the deadline. Otherwise begins nothing new. Then waits
 * for the requests in flight, so that none of them is sent again, syncs the cursors and leaves.
 */
void shipper_drain(struct role_context *context, void *state, enum drain_reason reason,
                   uint64_t deadline_ns);

#endif
