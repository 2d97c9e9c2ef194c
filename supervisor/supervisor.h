/*
 * supervisor: the life of Sluice: waits for the data directory's lock, makes what the stages share,
 * starts them in order, restarts what dies, and stops them in order.
 *
 *     WAITING ──lock──▶ STARTING ──all ready──▶ RUNNING ──SIGTERM──▶ STOPPING ──all gone──▶ exit
 *
 *     start   processors, then the shipper, then receivers: nothing is taken that cannot be stored
 *     stop    receivers, then processors, then the shipper: what was taken is stored and delivered
 *
 * It reads no network input and no record. Owned by main.c; verbs, status and reload use it.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <systemd/sd-event.h>

#include "supervisor/child.h"
#include "supervisor/liveness.h"
#include "supervisor/wiring.h"

enum supervisor_state {
    SUPERVISOR_WAITING,
    SUPERVISOR_STARTING,
    SUPERVISOR_RUNNING,
    SUPERVISOR_STOPPING,
};

struct supervisor;

/*
 * options: taken. identity: copied. environment: of the stages; borrowed. Nothing is started yet.
 */
int supervisor_new(sd_event *event, struct options *options, const struct spawn_identity *identity,
                   char *const *environment, struct supervisor **ret_supervisor, struct err *err);
/* Stages that still run are left to themselves: the end of their control channel tells them. */
void supervisor_free(struct supervisor **supervisor);

/*
 * Takes the lock and begins; where another process holds the lock it says so and begins when it is
 * free. Later failures end the event loop with an exit status.
 */
int supervisor_begin(struct supervisor *supervisor, struct err *err);

/* Stops everything, then ends the event loop with 0. A second call hastens. */
void supervisor_stop(struct supervisor *supervisor);

enum supervisor_state supervisor_state(const struct supervisor *supervisor);
const char *supervisor_state_name(enum supervisor_state state);
sd_event *supervisor_event(const struct supervisor *supervisor);
const struct options *supervisor_options(const struct supervisor *supervisor);
uint64_t supervisor_started_ns(const struct supervisor *supervisor);
/* NULL while waiting. */
const struct wiring *supervisor_wiring(const struct supervisor *supervisor);
/* NULL: no such instance (yet). */
struct child *supervisor_child(const struct supervisor *supervisor, enum stage_id stage,
                               unsigned index);
/* What the last look at a running child said. */
enum liveness_verdict supervisor_liveness(const struct supervisor *supervisor,
                                          const struct child *child);

/* ---- restarts of running stages, one instance after the other ---- */

/* Said once: 0, or -errno with the reason. */
typedef void supervisor_restarted(void *data, int r, const char *text);

/* 0, or -EBUSY where neither a restart nor a reload can begin now. */
int supervisor_check_idle(const struct supervisor *supervisor, struct err *err);

/*
 * Restarts one instance of a stage, or all (index -1). -EBUSY: stopping, not running yet, or
 * restarts are under way; -ENOENT: no such instance. done (may be NULL) is called later.
 */
int supervisor_restart(struct supervisor *supervisor, enum stage_id stage, int index,
                       supervisor_restarted *done, void *data, struct err *err);

/*
 * Takes new options (from a reload) in force: sends them to the stages of reload_roles, restarts
 * those of restart_roles. -EBUSY as above; options are taken only where it returns 0.
 */
int supervisor_take_options(struct supervisor *supervisor, struct options *options,
                            unsigned reload_roles, unsigned restart_roles,
                            supervisor_restarted *done, void *data, struct err *err);

#endif
