/*
 * restart_queue: drains and restarts instances one after the other, the next one when the one
 * before is running again; one list at a time.
 */
#ifndef SUPERVISOR_RESTART_QUEUE_H
#define SUPERVISOR_RESTART_QUEUE_H

#include <stdbool.h>

#include "supervisor/child.h"

#define RESTART_QUEUE_MAX (STAGE_COUNT * STAGE_INSTANCES_MAX)

typedef void restart_queue_done(void *data, int r, const char *text);

struct restart_queue {
    struct child *children[RESTART_QUEUE_MAX];
    unsigned count;
    unsigned next; /* the one under way */
    bool active;
    bool gone; /* its old process has ended */
    uint64_t began_ns;
    int r; /* of the first that did not come back */
    char text[400];
    restart_queue_done *done;
    void *data;
};

/* Before: not active. An empty list is done at once. */
void restart_queue_add(struct restart_queue *queue, struct child *child);
void restart_queue_begin(struct restart_queue *queue, uint64_t grace_ns, restart_queue_done *done,
                         void *data);

/* To be called at every change of a child's state. */
void restart_queue_changed(struct restart_queue *queue, struct child *child, uint64_t grace_ns);

/* Gives up what is not done yet, because Sluice stops. */
void restart_queue_abort(struct restart_queue *queue, const char *why);

#endif
