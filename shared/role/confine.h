/*
 * confine: puts a stage under the limits of its row in the confinement table (confine_table.c):
 * which paths it may read and write, whether it may accept, connect, run threads, how many
 * descriptors it may have. role_main() calls it between role->prepare and role->start; after it
 * there is no way back.
 *
 * What is done, in this order: rlimits; all capabilities gone, from the bounding set too, and
 * locked; not dumpable; no_new_privs; Landlock (paths; TCP from ABI 4; devices' ioctl from ABI 5;
 * signals and abstract sockets from ABI 6); a seccomp filter. Where the kernel has no Landlock the
 * rest still holds, and the report says so: sluiced shows it and raises an alert.
 *
 * The seccomp filter lists what is allowed. Any other call fails with EPERM, so that a call that a
 * library makes on a rare path does not become a crash loop; calls that only an attacker would
 * make (execve, fork, ptrace, mount, …) kill the process.
 *
 * Landlock and the dropped capabilities bind the calling thread and what it starts later, so
 * threads must be started after it: with more than one thread it refuses.
 */
#ifndef SHARED_ROLE_CONFINE_H
#define SHARED_ROLE_CONFINE_H

#include "shared/base/err.h"
#include "shared/options/options.h"

#include <stdbool.h>

struct confine_plan;

/* What is in force, for `sluicectl status`. */
struct confine_report {
    unsigned landlock_abi; /* 0: the kernel has none */
    bool landlock_net;     /* TCP bind and connect are restricted by it */
    bool landlock_scoped;  /* signals to others and abstract sockets are */
    uint64_t nofile;       /* descriptors it may have; may be less than wanted */
    uint64_t nofile_wanted;
};

/* The options that `role` may see; a mask of enum option_role; 0: no such role. */
unsigned confine_option_role(const char *role);

/*
 * The row of `role` with its paths filled in for stage `index` with these options. Returns 0,
 * -ENOENT for an unknown role, -ENOMEM.
 */
int confine_plan_new(const char *role, unsigned index, const struct options *options,
                     struct confine_plan **ret_plan, struct err *err);
void confine_plan_free(struct confine_plan **plan);

/*
 * Applies it to the calling process, for ever. After an error the process is in between and must
 * exit. -EBUSY: it has threads already.
 */
int confine_apply(const struct confine_plan *plan, struct confine_report *ret_report,
                  struct err *err);

#endif
