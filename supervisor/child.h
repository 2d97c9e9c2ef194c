/*
 * child: one instance of a stage: its process, its control channel, its restarts. The supervisor
 * decides when it shall run; the child sees to it that it does.
 *
 *                      start            READY              drain
 *     GONE ───────────────▶ STARTING ─────────▶ RUNNING ─────────▶ DRAINING
 *       ▲                      │ ▲                 │                  │
 *       │ exit, not wanted     │ └── the delay ────┼── exit, wanted ──┘
 *       └──────────────────────┴──────────────── DELAYED ◀┘
 *
 * A successor is started only after the predecessor was reaped, because two writers must never
 * share a lane: a process that is stuck in a dead disk's call keeps its place.
 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include <systemd/sd-event.h>

#include "shared/ipc/messages.h"
#include "shared/role/role.h"
#include "supervisor/spawn.h"
#include "supervisor/stage.h"

enum child_state { CHILD_GONE, CHILD_DELAYED, CHILD_STARTING, CHILD_RUNNING, CHILD_DRAINING };
#define CHILD_STATES 5

struct child;

/* What a child needs of its supervisor. */
struct child_host {
    sd_event *event;
    /* Executable, environment and user for the next start; `path` is freed by the child. */
    int (*request)(void *data, struct child *child, struct spawn_request *ret_request);
    /* Sends options, secrets and descriptors, not HELLO and not GO. */
    int (*configure)(void *data, struct child *child, struct channel *channel, struct err *err);
    /* The state has changed. */
    void (*changed)(void *data, struct child *child, enum child_state from);
    /* Those in force now. */
    const struct options *(*options)(void *data);
    /* True where the kernel has killed for lack of memory since the last call. */
    bool (*oom)(void *data);
    void *data;
};

/* `host` is borrowed until child_free. */
int child_new(enum stage_id stage, unsigned index, const struct child_host *host,
              struct child **ret_child);
/* Does not end the process. */
void child_free(struct child **child);

/* Wants it to run. From GONE; otherwise nothing. */
void child_start(struct child *child);

/*
 * Wants it gone: drains it until the deadline, kills it CHILD_KILL_SLACK_NS later. One that drains
 * for a restart is started once more, because it leaves work to its successor.
 */
void child_stop(struct child *child, uint64_t deadline_ns);

/* Drains it and starts it again at once when it is gone. */
void child_restart(struct child *child, uint64_t deadline_ns);

/* Moves the time of the kill of a draining child forward. */
void child_hasten(struct child *child, uint64_t kill_ns);

/* SIGKILL, because it hangs; it counts as a failure with that reason. */
void child_kill_hung(struct child *child, const char *why);

/* Sends changed options and secrets (host->configure sends them all) and RELOAD. */
void child_reload(struct child *child, int (*send)(void *data, struct child *child,
                                                   struct channel *channel, struct err *err));

#define CHILD_KILL_SLACK_NS (5 * 1000000000ull)

enum stage_id child_stage(const struct child *child);
unsigned child_index(const struct child *child);
unsigned child_slot(const struct child *child);
enum child_state child_state(const struct child *child);
const char *child_state_name(enum child_state state);
pid_t child_pid(const struct child *child);             /* 0: none */
uint64_t child_started_ns(const struct child *child);   /* of the process that runs */
unsigned child_restarts(const struct child *child);     /* deaths that nobody asked for */
const char *child_last_exit(const struct child *child); /* "" before the first */
/* It was refused for its configuration and was never ready: starting it again is no use. */
bool child_is_refused(const struct child *child);
/* What it said of its confinement; all zero before READY. */
const struct message_ready *child_ready(const struct child *child);

#endif
