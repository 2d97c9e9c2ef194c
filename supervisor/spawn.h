/*
 * spawn: the only place that forks. Starts a stage's executable with exactly: /dev/null as 0, the
 * supervisor's 1 and 2, its end of a control pair as 3; no signal blocked; a minimal environment;
 * and the stages' user where sluiced may switch.
 */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared/base/err.h"
#include "shared/ipc/channel.h"

#define SPAWN_GROUPS_MAX 64

/* Who the stages are. switches false: as sluiced itself. */
struct spawn_identity {
    bool switches;
    uid_t uid;
    gid_t gid;
    gid_t groups[SPAWN_GROUPS_MAX];
    int group_count;
};

/*
 * From the option `user`: a name or "". -EINVAL for an unknown user, -EPERM where sluiced is not
 * root and the user is another one than its own.
 */
int spawn_identity_find(const char *user, struct spawn_identity *ret_identity, struct err *err);

/* A copy of what of `environ` a stage gets: PATH, TZ, LANG, JOURNAL_STREAM. NULL: out of memory. */
char **spawn_environment_new(char *const *environment);
void spawn_environment_free(char ***environment);

struct spawn_request {
    const char *path;
    char *const *environment;
    const struct spawn_identity *identity;
};

/*
 * Starts it and waits (milliseconds) until the kernel has taken the executable. *ret_channel is
 * the supervisor's non-blocking end, the caller's.
 */
int spawn_stage(const struct spawn_request *request, struct channel **ret_channel, pid_t *ret_pid,
                struct err *err);

#endif
