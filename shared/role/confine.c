#include "shared/role/confine.h"

#include <errno.h>
#include <limits.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "shared/role/confine_seccomp.h"
#include "shared/role/confine_table.h"
#include "shared/role/landlock.h"

struct confine_path {
    char *path;
    bool writable;
    bool optional;
};

struct confine_plan {
    const struct confine_row *row;
    uint64_t nofile;
    struct confine_path paths[CONFINE_RULES_MAX];
    size_t path_count;
};

unsigned confine_option_role(const char *role)
{
    const struct confine_row *row = confine_row(role);

    return row != NULL ? row->option_role : 0;
}

/* ---- the plan ---- */

/* The folder of a file's path; "/" and "." where it has none. NULL: out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* The path of a rule, or NULL with *ret_skip where it does not apply to this process. */
static char *rule_path(const struct confine_rule *rule, unsigned index,
                       const struct options *options, bool *ret_skip)
{
    bool root = geteuid() == 0;
    char *path = NULL;
    int n = -1;

    *ret_skip = false;
    switch (rule->base) {
    case CONFINE_DATA:
        n = asprintf(&path, "%s/%s", options_string(options, OPT_DATA_DIR), rule->path);
        return n < 0 ? NULL : path;
    case CONFINE_OWN_LANE:
        /* Processor 0 also recovers and empties the lanes that no processor owns any more. */
        if (index == 0)
            n = asprintf(&path, "%s/lanes", options_string(options, OPT_DATA_DIR));
        else
            n = asprintf(&path, "%s/lanes/%02u", options_string(options, OPT_DATA_DIR), index);
        return n < 0 ? NULL : path;
    case CONFINE_FOLDER_OF:
        *ret_skip = options_string(options, rule->option)[0] == '\0';
        return *ret_skip ? NULL : folder_of(options_string(options, rule->option));
    case CONFINE_SYSTEM_ROOT:
    case CONFINE_SYSTEM_USER:
        *ret_skip = (rule->base == CONFINE_SYSTEM_ROOT) != root;
        return *ret_skip ? NULL : strdup(rule->path);
    default:
        return strdup(rule->path);
    }
}

static bool rule_is_optional(const struct confine_rule *rule)
{
    return rule->base == CONFINE_SYSTEM || rule->base == CONFINE_SYSTEM_ROOT ||
           rule->base == CONFINE_SYSTEM_USER;
}

int confine_plan_new(const char *role, unsigned index, const struct options *options,
                     struct confine_plan **ret_plan, struct err *err)
{
    const struct confine_row *row = confine_row(role);
    struct confine_plan *plan;

    if (row == NULL)
        return err_set(err, ENOENT, "no row for the role %s in the confinement table", role);
    plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return err_set(err, ENOMEM, "out of memory");
    plan->row = row;
    plan->nofile = row->nofile;
    if (row->nofile_option != OPT_COUNT)
        plan->nofile += options_int(options, row->nofile_option);
    for (size_t i = 0; i < CONFINE_RULES_MAX && row->rules[i].base != CONFINE_NOWHERE; i++) {
        struct confine_path *path = &plan->paths[plan->path_count];
        bool skip;

        path->path = rule_path(&row->rules[i], index, options, &skip);
        path->writable = row->rules[i].writable;
        path->optional = rule_is_optional(&row->rules[i]);
        if (path->path != NULL) {
            plan->path_count++;
        } else if (!skip) {
            confine_plan_free(&plan);
            return err_set(err, ENOMEM, "out of memory");
        }
    }
    *ret_plan = plan;
    return 0;
}

void confine_plan_free(struct confine_plan **plan)
{
    if (*plan == NULL)
        return;
    for (size_t i = 0; i < (*plan)->path_count; i++)
        free((*plan)->paths[i].path);
    free(*plan);
    *plan = NULL;
}

/* ---- applying it ---- */

/* /proc/self/task has a link more than two for each thread. Without /proc it is not known. */
static int check_single_threaded(struct err *err)
{
    struct stat st;

    if (stat("/proc/self/task", &st) == 0 && st.st_nlink > 3)
        return err_set(err, EBUSY,
                       "%u threads run before the confinement, which would not bind them",
                       (unsigned)(st.st_nlink - 2));
    return 0;
}

static int set_limits(const struct confine_plan *plan, struct confine_report *report,
                      struct err *err)
{
    struct rlimit none = {0, 0};
    struct rlimit files;

    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return err_errno(err, errno, "rlimit CORE");
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return err_errno(err, errno, "rlimit NOFILE");
    /* Raised above the hard limit where it may be, else as far as that goes. */
    report->nofile_wanted = plan->nofile;
    report->nofile = plan->nofile;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){plan->nofile, plan->nofile}) == 0)
        return 0;
    if (files.rlim_max < plan->nofile)
        report->nofile = files.rlim_max;
    files.rlim_cur = files.rlim_max = report->nofile;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return err_errno(err, errno, "rlimit NOFILE to %llu", (unsigned long long)report->nofile);
    return 0;
}

static int drop_capabilities(struct err *err)
{
    cap_t none;
    int r = 0;

    /* Both need CAP_SETPCAP. Without it there is nothing to come back by either: no_new_privs. */
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                     SECBIT_NO_CAP_AMBIENT_RAISE |
                                     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) < 0 &&
        errno != EPERM)
        return err_errno(err, errno, "securebits");
    for (unsigned long capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_READ, capability) < 0)
            break;
        if (prctl(PR_CAPBSET_DROP, capability) < 0 && errno != EPERM)
            return err_errno(err, errno, "bounding set, capability %lu", capability);
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    none = cap_init();
    if (none == NULL || cap_set_proc(none) < 0)
        r = err_errno(err, errno, "capabilities");
    cap_free(none);
    return r;
}

static int apply_landlock(const struct confine_plan *plan, struct confine_report *report,
                          struct err *err)
{
    unsigned abi = landlock_abi();
    int fd = -1;
    int r;

    if (abi == 0)
        return 0;
    r = landlock_new(abi, plan->row->connects, &fd, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < plan->path_count && r == 0; i++) {
        const struct confine_path *path = &plan->paths[i];

        r = landlock_allow(fd, abi, path->path, path->writable, err);
        if (path->optional && (r == -ENOENT || r == -EACCES))
            r = 0;
    }
    if (r == 0)
        r = landlock_enforce(fd, err);
    fd_close(&fd);
    if (r < 0)
        return r;
    report->landlock_abi = abi;
    report->landlock_net = abi >= 4;
    report->landlock_scoped = abi >= 6;
    return 0;
}

int confine_apply(const struct confine_plan *plan, struct confine_report *ret_report,
                  struct err *err)
{
    struct confine_report report = {0};
    int r = check_single_threaded(err);

    if (r == 0)
        r = set_limits(plan, &report, err);
    if (r == 0)
        r = drop_capabilities(err);
    if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        r = err_errno(err, errno, "not dumpable");
    if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r = err_errno(err, errno, "no_new_privs");
    if (r == 0)
        r = apply_landlock(plan, &report, err);
    if (r == 0)
        r = confine_seccomp_load(plan->row, err);
    if (r == 0)
        *ret_report = report;
    return r;
}
