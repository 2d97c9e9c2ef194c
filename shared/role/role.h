/*
 * role: the skeleton of every stage (receiver, processor, shipper). A stage's main.c is one screen:
 * a `const struct role` and a call of role_main().
 *
 * sluiced starts `sluice-NAME` with nothing but descriptors 0, 1, 2 and its end of a SOCK_SEQPACKET
 * pair as descriptor 3. Everything else comes over that: index and incarnation, the options that
 * the stage may see, secrets, and named descriptors. Phases, always in this order:
 *
 *     attach     the control socket, the hello; log opened
 *     configure  options, secrets and descriptors arrive, then "go"
 *     prepare    role->prepare: map shared memory, open directories, start threads' resources
 *     confine    capabilities dropped, rlimits, not dumpable, no_new_privs, Landlock, seccomp
 *     ready      role->start: sources on the event loop; then READY to the supervisor
 *     run        the event loop
 *     drain      the supervisor's word, or its end: role->drain, once, until role_drained().
 *                SIGTERM asks the supervisor for it
 *     exit       role->fini, exit status
 *
 * What a stage may do is its row in the confinement table (shared/role/confine.h).
 */
#ifndef SHARED_ROLE_ROLE_H
#define SHARED_ROLE_ROLE_H

#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/options/options.h"

#include <systemd/sd-event.h>

struct role_context;
struct status_slot; /* shared/ipc/status_page.h */

enum drain_reason {
    DRAIN_STOP,     /* the whole of Sluice stops, or this stage is restarted: finish, then leave */
    DRAIN_RESTART,  /* this stage alone is restarted: its successor goes on where it stops */
    DRAIN_ORPHANED, /* the supervisor is gone */
};

struct role {
    const char *name; /* "receiver" */
    /* Privileged. *ret_state is the stage's own. No threads yet: confinement would not bind them. */
    int (*prepare)(struct role_context *context, void **ret_state, struct err *err);
    /* Confined, on the event loop's thread. */
    int (*start)(struct role_context *context, void *state, struct err *err);
    /* Finish what is under way; call role_drained() when done, at once or later. */
    void (*drain)(struct role_context *context, void *state, enum drain_reason reason,
                  uint64_t deadline_ns);
    /* Changed RELOAD options or secrets are in the context. NULL: none concern this stage. */
    void (*reload)(struct role_context *context, void *state);
    void (*fini)(void **state);
};

/* Runs a stage to its end. Returns the exit status. */
int role_main(const struct role *role, int argc, char **argv);

sd_event *role_event(struct role_context *context);
unsigned role_index(const struct role_context *context);
/* Counts up with each start of this stage under this supervisor; never 0; unique per boot of it. */
uint64_t role_incarnation(const struct role_context *context);
/* In force now. Strings of older ones stay readable after a reload. */
const struct options *role_options(const struct role_context *context);

/* A secret's bytes, "" where it is not set. Borrowed until the next reload. */
struct slice role_secret(const struct role_context *context, enum option_id id);

/* A descriptor by its name, e.g. "ring.0", "listen.forward.1". -ENOENT: not given. Borrowed. */
int role_fd(const struct role_context *context, const char *name);

/* This process's slot of the status page: counters, liveness. Never NULL. */
struct status_slot *role_status(const struct role_context *context);

/* The stage has finished draining: the loop ends with EXIT_ASKED. */
void role_drained(struct role_context *context);

/* Ends the loop with `status` after logging the reason as fatal. */
void role_fail(struct role_context *context, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
