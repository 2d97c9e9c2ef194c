#include "supervisor/reaper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "shared/base/log.h"

struct reaper {
    bool (*is_known)(void *data, pid_t pid);
    void *data;
    sd_event_source *signal;
    sd_event_source *again;
};

/*
 * waitid shows one dead child at a time, always the same one until it is reaped. So where that is
 * one of our own, the rest waits until the event loop has dealt with it: `again` runs after that.
 */
static void reap(struct reaper *reaper)
{
    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        if (reaper->is_known(reaper->data, info.si_pid)) {
            sd_event_source_set_enabled(reaper->again, SD_EVENT_ONESHOT);
            return;
        }
        if (waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG) == 0)
            log_debug("reaped process %d, which is not ours", info.si_pid);
    }
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
    (void)source;
    (void)info;
    reap(data);
    return 0;
}

static int on_again(sd_event_source *source, void *data)
{
    (void)source;
    reap(data);
    return 0;
}

int reaper_new(sd_event *event, bool (*is_known)(void *data, pid_t pid), void *data,
               struct reaper **ret_reaper)
{
    struct reaper *reaper = calloc(1, sizeof(*reaper));
    int r;

    if (reaper == NULL)
        return -ENOMEM;
    reaper->is_known = is_known;
    reaper->data = data;
    r = sd_event_add_signal(event, &reaper->signal, SIGCHLD | SD_EVENT_SIGNAL_PROCMASK, on_signal,
                            reaper);
    if (r >= 0)
        r = sd_event_add_defer(event, &reaper->again, on_again, reaper);
    if (r >= 0)
        r = sd_event_source_set_priority(reaper->again, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_source_set_enabled(reaper->again, SD_EVENT_OFF);
    if (r < 0) {
        reaper_free(&reaper);
        return r;
    }
    *ret_reaper = reaper;
    return 0;
}

void reaper_free(struct reaper **reaper)
{
    if (*reaper == NULL)
        return;
    sd_event_source_disable_unref((*reaper)->signal);
    sd_event_source_disable_unref((*reaper)->again);
    free(*reaper);
    *reaper = NULL;
}
