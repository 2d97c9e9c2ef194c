#include "supervisor/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/role/role_log.h"
#include "supervisor/notify.h"

#define RETRY_US 500000u

struct reload {
    struct supervisor *supervisor;
    const struct options_sources *sources;
    sd_event_source *retry;
    supervisor_restarted *done;
    void *data;
    char last[OPTION_MESSAGE_LINE_BYTES + 64];
};

int reload_new(struct supervisor *supervisor, const struct options_sources *sources,
               struct reload **ret_reload)
{
    struct reload *reload = calloc(1, sizeof(*reload));

    if (reload == NULL)
        return -ENOMEM;
    reload->supervisor = supervisor;
    reload->sources = sources;
    *ret_reload = reload;
    return 0;
}

void reload_free(struct reload **reload)
{
    if (*reload == NULL)
        return;
    sd_event_source_disable_unref((*reload)->retry);
    free(*reload);
    *reload = NULL;
}

const char *reload_last(const struct reload *reload)
{
    return reload->last;
}

/* Logs all mistakes; the first one becomes what status shows. */
static int refuse(struct reload *reload, const struct option_report *report, struct err *err)
{
    char line[OPTION_MESSAGE_LINE_BYTES];
    const char *first = NULL;

    /* A service manager that asked for it (Type=notify-reload) waits for both. */
    notify_reloading();
    notify_ready();
    for (size_t i = 0; i < report->count; i++) {
        const struct option_message *message = &report->messages[i];

        option_message_format(message, line, sizeof(line));
        if (message->severity != OPTION_ERROR) {
            log_warn("%s", line);
            continue;
        }
        log_error("reload: %s", line);
        if (first == NULL) {
            snprintf(reload->last, sizeof(reload->last), "refused: %s", line);
            first = reload->last;
        }
    }
    if (first == NULL)
        snprintf(reload->last, sizeof(reload->last), "refused: out of memory");
    else if (report->errors > 1)
        snprintf(reload->last + strlen(reload->last), sizeof(reload->last) - strlen(reload->last),
                 " (and %zu more)", report->errors - 1);
    log_error("reload refused; what was in force goes on");
    return err_set(err, EINVAL, "%.480s", reload->last);
}

static void finished(void *data, int r, const char *text)
{
    struct reload *reload = data;
    supervisor_restarted *done = reload->done;

    if (r < 0) {
        snprintf(reload->last, sizeof(reload->last), "in force, but: %s", text);
        log_error("reload: %s", text);
    }
    log_info("reload: %s", reload->last);
    if (supervisor_state(reload->supervisor) == SUPERVISOR_RUNNING)
        notify_ready();
    reload->done = NULL;
    if (done != NULL)
        done(reload->data, r, reload->last);
}

/* `next` is taken where it returns 0. */
static int apply(struct reload *reload, struct options *next, const struct options_reload *plan,
                 supervisor_restarted *done, void *data, struct err *err)
{
    int r;

    notify_reloading();
    snprintf(reload->last, sizeof(reload->last), "%zu options changed", plan->changes.count);
    reload->done = done;
    reload->data = data;
    r = supervisor_take_options(reload->supervisor, next, plan->reload_roles, plan->restart_roles,
                                finished, reload, err);
    if (r < 0) {
        reload->done = NULL;
        notify_ready();
        return r;
    }
    role_log_reload(supervisor_options(reload->supervisor));
    return 0;
}

int reload_run(struct reload *reload, supervisor_restarted *done, void *data, struct err *err)
{
    const struct options *before = supervisor_options(reload->supervisor);
    struct option_report report = {0};
    struct options_reload plan = {0};
    struct options *next = NULL;
    int r = supervisor_check_idle(reload->supervisor, err);

    if (r < 0)
        return r;
    r = options_load(reload->sources, before, &report, &next);
    if (r == 0)
        r = options_plan_reload(before, next, &report, &plan);
    if (r < 0)
        r = refuse(reload, &report, err);
    else
        r = apply(reload, next, &plan, done, data, err);
    if (r < 0)
        options_free(&next);
    option_report_fini(&report);
    return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *data)
{
    struct reload *reload = data;

    (void)source;
    (void)usec;
    reload->retry = sd_event_source_disable_unref(reload->retry);
    reload_soon(reload);
    return 0;
}

void reload_soon(struct reload *reload)
{
    struct err err = {0};
    int r = reload_run(reload, NULL, NULL, &err);

    if (r != -EBUSY || supervisor_state(reload->supervisor) == SUPERVISOR_STOPPING ||
        reload->retry != NULL)
        return;
    r = sd_event_add_time_relative(supervisor_event(reload->supervisor), &reload->retry,
                                   CLOCK_MONOTONIC, RETRY_US, 1000, on_retry, reload);
    if (r < 0)
        log_error("reload: %s", strerror(-r));
}
