#include "supervisor/restart_queue.h"

#include <errno.h>
#include <stdio.h>

#include "shared/base/clock.h"

void restart_queue_add(struct restart_queue *queue, struct child *child)
{
    if (queue->count < RESTART_QUEUE_MAX)
        queue->children[queue->count++] = child;
}

static void finish(struct restart_queue *queue)
{
    restart_queue_done *done = queue->done;
    void *data = queue->data;
    char text[sizeof(queue->text)];
    int r = queue->r;

    if (r == 0)
        snprintf(queue->text, sizeof(queue->text), "%u restarted in %llu ms", queue->count,
                 (unsigned long long)((clock_monotonic_ns() - queue->began_ns) / NS_PER_MS));
    snprintf(text, sizeof(text), "%s", queue->text);
    *queue = (struct restart_queue){0}; /* before the call: it may begin the next list */
    if (done != NULL)
        done(data, r, text);
}

static void restart_next(struct restart_queue *queue, uint64_t grace_ns)
{
    if (queue->next == queue->count) {
        finish(queue);
        return;
    }
    queue->gone = false;
    child_restart(queue->children[queue->next], clock_monotonic_ns() + grace_ns);
}

void restart_queue_begin(struct restart_queue *queue, uint64_t grace_ns, restart_queue_done *done,
                         void *data)
{
    queue->active = true;
    queue->done = done;
    queue->data = data;
    queue->began_ns = clock_monotonic_ns();
    restart_next(queue, grace_ns);
}

void restart_queue_changed(struct restart_queue *queue, struct child *child, uint64_t grace_ns)
{
    enum child_state state = child_state(child);

    if (!queue->active || queue->next == queue->count || queue->children[queue->next] != child)
        return;
    if (state == CHILD_STARTING || state == CHILD_GONE)
        queue->gone = true;
    if (state == CHILD_RUNNING && queue->gone) {
        queue->next++;
        restart_next(queue, grace_ns);
        return;
    }
    /* It died on its start. It is tried again like every stage, but the list does not wait. */
    if (state == CHILD_DELAYED || state == CHILD_GONE) {
        if (queue->r == 0) {
            queue->r = -EIO;
            snprintf(queue->text, sizeof(queue->text), "%s.%u does not come back: %s",
                     stage_row(child_stage(child))->name, child_index(child),
                     child_last_exit(child));
        }
        queue->next++;
        restart_next(queue, grace_ns);
    }
}

void restart_queue_abort(struct restart_queue *queue, const char *why)
{
    if (!queue->active)
        return;
    queue->r = -ECANCELED;
    snprintf(queue->text, sizeof(queue->text), "%s", why);
    finish(queue);
}
