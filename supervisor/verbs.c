#include "supervisor/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/log.h"
#include "supervisor/status_report.h"

typedef void verb_run(const struct verbs *verbs, struct control_request *request,
                      const char *const *arguments);

static void run_ping(const struct verbs *verbs, struct control_request *request,
                     const char *const *arguments)
{
    (void)verbs;
    (void)arguments;
    control_reply(request, CONTROL_DONE, "pong");
}

static void run_status(const struct verbs *verbs, struct control_request *request,
                       const char *const *arguments)
{
    char *text = status_report_json(verbs->supervisor, reload_last(verbs->reload));

    (void)arguments;
    if (text == NULL)
        control_reply(request, CONTROL_REFUSED, "out of memory");
    else
        control_reply(request, CONTROL_DONE, text);
    free(text);
}

/* The end of a restart or a reload that a client waits for. */
static void answer_later(void *data, int r, const char *text)
{
    control_reply(data, r < 0 ? CONTROL_REFUSED : CONTROL_DONE, text);
}

static void run_restart(const struct verbs *verbs, struct control_request *request,
                        const char *const *arguments)
{
    struct err err = {0};
    enum stage_id stage;
    int index, r;

    r = stage_parse(arguments[0], &stage, &index);
    if (r < 0)
        r = err_set(&err, EINVAL,
                    "there is no stage %s: receiver, processor or shipper, or one "
                    "of several as receiver.1",
                    arguments[0]);
    else
        r = supervisor_restart(verbs->supervisor, stage, index, answer_later, request, &err);
    if (r < 0)
        control_reply(request, CONTROL_REFUSED, err.text);
    else
        log_info("restart of %s, asked for by sluicectl", arguments[0]);
}

static void run_reload(const struct verbs *verbs, struct control_request *request,
                       const char *const *arguments)
{
    struct err err = {0};

    (void)arguments;
    if (reload_run(verbs->reload, answer_later, request, &err) < 0)
        control_reply(request, CONTROL_REFUSED, err.text);
}

static const struct verb {
    const char *name;
    size_t arguments;
    verb_run *run;
} table[] = {
    {"ping", 0, run_ping},
    {"status", 0, run_status},
    {"restart", 1, run_restart},
    {"reload", 0, run_reload},
};

void verbs_handle(void *data, struct control_request *request, const char *const *words,
                  size_t count)
{
    char text[CONTROL_REQUEST_BYTES + 64];

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].name, words[0]) != 0)
            continue;
        if (count - 1 == table[i].arguments) {
            table[i].run(data, request, words + 1);
            return;
        }
        snprintf(text, sizeof(text), "%s takes %zu arguments", words[0], table[i].arguments);
        control_reply(request, CONTROL_REFUSED, text);
        return;
    }
    snprintf(text, sizeof(text), "this sluiced (%s) does not know %s", SLUICE_VERSION, words[0]);
    control_reply(request, CONTROL_REFUSED, text);
}
