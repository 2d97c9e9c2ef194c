#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/fd.h"

#define CONTROL_FD 3
/* Where the pipe that reports a failed exec lies in the child until exec closes it. */
#define REPORT_FD 4

/* What failed in the child, over the pipe. */
enum spawn_step { STEP_DESCRIPTORS = 1, STEP_IDENTITY, STEP_EXEC };

struct spawn_failure {
    int step;
    int error;
};

int spawn_identity_find(const char *user, struct spawn_identity *ret_identity, struct err *err)
{
    struct spawn_identity identity = {.switches = true, .group_count = SPAWN_GROUPS_MAX};
    const struct passwd *entry;

    if (user[0] == '\0') {
        *ret_identity = (struct spawn_identity){.uid = geteuid(), .gid = getegid()};
        return 0;
    }
    errno = 0;
    entry = getpwnam(user);
    if (entry == NULL)
        return err_set(err, EINVAL, "user: there is no user %s", user);
    identity.uid = entry->pw_uid;
    identity.gid = entry->pw_gid;
    if (geteuid() != 0) {
        if (entry->pw_uid != geteuid())
            return err_set(err, EPERM, "user: only root can start stages as %s", user);
        identity.switches = false;
    } else if (getgrouplist(user, identity.gid, identity.groups, &identity.group_count) < 0) {
        return err_set(err, EINVAL, "user: %s is in more than %d groups", user, SPAWN_GROUPS_MAX);
    }
    *ret_identity = identity;
    return 0;
}

char **spawn_environment_new(char *const *environment)
{
    /* JOURNAL_STREAM: log.format = "auto" tells by it that standard error is the journal. */
    static const char *const kept[] = {"PATH", "TZ", "LANG", "JOURNAL_STREAM"};
    const size_t kept_count = sizeof(kept) / sizeof(kept[0]);
    char **copy = calloc(kept_count + 1, sizeof(*copy));
    size_t count = 0;

    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < kept_count; i++) {
        size_t n = strlen(kept[i]);

        for (char *const *entry = environment; *entry != NULL; entry++) {
            if (strncmp(*entry, kept[i], n) != 0 || (*entry)[n] != '=')
                continue;
            copy[count] = strdup(*entry);
            if (copy[count] == NULL) {
                spawn_environment_free(&copy);
                return NULL;
            }
            count++;
            break;
        }
    }
    return copy;
}

void spawn_environment_free(char ***environment)
{
    if (*environment == NULL)
        return;
    for (char **entry = *environment; *entry != NULL; entry++)
        free(*entry);
    free(*environment);
    *environment = NULL;
}

/* ---- in the child: only calls that are safe after fork ---- */

static _Noreturn void fail(int step)
{
    struct spawn_failure failure = {.step = step, .error = errno};

    (void)!write(REPORT_FD, &failure, sizeof(failure));
    _exit(127);
}

/*
 * SIGINT and SIGHUP of a terminal go to the whole group; sluiced alone acts on them. Ignored from
 * before exec on, so that there is no gap.
 */
static void reset_signals(void)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts 0, 3 and 4 in place and closes all others. The three are above 4 (high_fd). */
static void place_descriptors(int null, int control, int report)
{
    if (dup2(null, STDIN_FILENO) < 0 || dup3(report, REPORT_FD, O_CLOEXEC) < 0)
        fail(STEP_DESCRIPTORS);
    if (dup2(control, CONTROL_FD) < 0)
        fail(STEP_DESCRIPTORS);
    closefrom(REPORT_FD + 1); /* close_range, or /proc on kernels that do not have it */
}

static void switch_identity(const struct spawn_identity *identity)
{
    if (!identity->switches)
        return;
    if (setgroups((size_t)identity->group_count, identity->groups) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) < 0)
        fail(STEP_IDENTITY);
}

static _Noreturn void become_stage(const struct spawn_request *request, int null, int control,
                                   int report)
{
    char *const argv[] = {(char *)(uintptr_t)request->path, NULL};

    place_descriptors(null, control, report);
    switch_identity(request->identity);
    reset_signals();
    execve(request->path, argv, request->environment);
    fail(STEP_EXEC);
}

/* ---- in the supervisor ---- */

/* Moves a descriptor above those that place_descriptors fills. */
static int high_fd(int *fd)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, 10);

    if (high < 0)
        return -errno;
    fd_close(fd);
    *fd = high;
    return 0;
}

static int take_report(int report, const char *path, pid_t pid, struct err *err)
{
    static const char *const steps[] = {
        [STEP_DESCRIPTORS] = "descriptors", [STEP_IDENTITY] = "user", [STEP_EXEC] = "execute"};
    struct spawn_failure failure;
    int r = fd_read_full(report, &failure, sizeof(failure));

    if (r == -ENODATA) /* closed by exec */
        return 0;
    (void)waitpid(pid, NULL, 0);
    if (r < 0)
        return err_errno(err, -r, "start of %s", path);
    if (failure.step < STEP_DESCRIPTORS || failure.step > STEP_EXEC)
        failure.step = STEP_EXEC;
    return err_errno(err, failure.error, "%s %s", steps[failure.step], path);
}

int spawn_stage(const struct spawn_request *request, struct channel **ret_channel, pid_t *ret_pid,
                struct err *err)
{
    int null = -1, ours = -1, theirs = -1;
    int report[2] = {-1, -1};
    pid_t pid = -1;
    int r;

    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || pipe2(report, O_CLOEXEC) < 0) {
        r = -errno;
        goto out;
    }
    r = channel_pair(&ours, &theirs);
    if (r == 0)
        r = fd_set_nonblock(ours, 1);
    if (r == 0)
        r = high_fd(&null);
    if (r == 0)
        r = high_fd(&theirs);
    if (r == 0)
        r = high_fd(&report[1]);
    if (r < 0)
        goto out;
    pid = fork();
    if (pid == 0)
        become_stage(request, null, theirs, report[1]);
    r = pid < 0 ? -errno : 0;
out:
    if (r < 0)
        err_errno(err, -r, "start of %s", request->path);
    fd_close(&null);
    fd_close(&theirs);
    fd_close(&report[1]);
    if (r == 0)
        r = take_report(report[0], request->path, pid, err);
    fd_close(&report[0]);
    if (r == 0) {
        r = channel_new(ours, CHANNEL_SUPERVISOR, ret_channel);
        ours = -1;
        if (r < 0) {
            kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            err_set(err, -r, "out of memory");
        }
    }
    fd_close(&ours);
    if (r == 0)
        *ret_pid = pid;
    return r;
}
