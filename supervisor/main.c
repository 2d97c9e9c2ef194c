/*
 * sluiced: reads and checks the configuration, then gives the event loop to the supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/options/option_dump.h"
#include "shared/options/options.h"
#include "shared/role/exit.h"
#include "shared/role/role_log.h"
#include "supervisor/command_line.h"
#include "supervisor/control.h"
#include "supervisor/reaper.h"
#include "supervisor/reload.h"
#include "supervisor/supervisor.h"
#include "supervisor/verbs.h"

extern char **environ;

struct daemon {
    struct options_sources sources;
    struct options *options; /* until the supervisor takes it */
    struct spawn_identity identity;
    char **environment;
    sd_event *event;
    struct supervisor *supervisor;
    struct reload *reload;
    struct verbs verbs;
    struct control *control;
    struct reaper *reaper;
};

static void print_report(const struct option_report *report)
{
    char line[OPTION_MESSAGE_LINE_BYTES];

    for (size_t i = 0; i < report->count; i++)
        fprintf(stderr, "%s\n", option_message_format(&report->messages[i], line, sizeof(line)));
    if (report->errors > report->count)
        fprintf(stderr, "sluiced: out of memory\n");
}

/* Loads the configuration, or prints what is wrong. Returns 0 or an exit status. */
static int load(struct daemon *daemon, const struct command_line *command)
{
    struct option_report report = {0};
    int r;

    daemon->sources = (struct options_sources){
        .file = command->config != NULL ? command->config : SLUICE_CONFIG_FILE,
        .file_may_be_missing = command->config == NULL,
        .environment = environ,
        .sets = command->sets,
        .set_count = command->set_count,
    };
    r = options_load(&daemon->sources, NULL, &report, &daemon->options);
    print_report(&report);
    option_report_fini(&report);
    return r < 0 ? EXIT_CONFIG : 0;
}

/* ---- signals ---- */

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
    struct daemon *daemon = data;

    (void)source;
    log_debug("signal %u", info->ssi_signo);
    supervisor_stop(daemon->supervisor);
    return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
    struct daemon *daemon = data;

    (void)source;
    (void)info;
    reload_soon(daemon->reload);
    return 0;
}

static int take_signals(struct daemon *daemon)
{
    static const struct {
        int number;
        sd_event_signal_handler_t handler;
    } rows[] = {{SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGHUP, on_hangup}};
    sigset_t child;
    int r = 0;

    signal(SIGPIPE, SIG_IGN);
    /* sd-event wants it blocked before it watches children. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && r >= 0; i++)
        r = sd_event_add_signal(daemon->event, NULL, rows[i].number | SD_EVENT_SIGNAL_PROCMASK,
                                rows[i].handler, daemon);
    return r < 0 ? r : 0;
}

/* ---- process 1 ---- */

static bool is_known(void *data, pid_t pid)
{
    const struct daemon *daemon = data;

    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        for (unsigned i = 0; i < STAGE_INSTANCES_MAX; i++) {
            const struct child *child =
                supervisor_child(daemon->supervisor, (enum stage_id)stage, i);

            if (child != NULL && child_pid(child) == pid)
                return true;
        }
    }
    return false;
}

/* ---- the parts, in order ---- */

static int make_loop(struct daemon *daemon, struct err *err)
{
    int r = sd_event_default(&daemon->event);

    if (r >= 0)
        r = take_signals(daemon);
    if (r >= 0)
        r = sd_event_set_watchdog(daemon->event, 1); /* only where the manager asked for it */
    return r < 0 ? err_errno(err, -r, "event loop") : 0;
}

static int make_parts(struct daemon *daemon, struct err *err)
{
    const char *control_path = options_string(daemon->options, OPT_CONTROL_PATH);
    int r = spawn_identity_find(options_string(daemon->options, OPT_USER), &daemon->identity, err);

    if (r < 0)
        return r;
    daemon->environment = spawn_environment_new(environ);
    if (daemon->environment == NULL)
        return err_set(err, ENOMEM, "out of memory");
    r = supervisor_new(daemon->event, daemon->options, &daemon->identity, daemon->environment,
                       &daemon->supervisor, err);
    if (r < 0)
        return r;
    daemon->options = NULL;
    if (reload_new(daemon->supervisor, &daemon->sources, &daemon->reload) < 0)
        return err_set(err, ENOMEM, "out of memory");
    if (getpid() == 1) {
        r = reaper_new(daemon->event, is_known, daemon, &daemon->reaper);
        if (r < 0)
            return err_errno(err, -r, "reaper");
    }
    daemon->verbs = (struct verbs){daemon->supervisor, daemon->reload};
    return control_open(daemon->event, control_path, daemon->identity.gid, verbs_handle,
                        &daemon->verbs, &daemon->control, err);
}

static void free_parts(struct daemon *daemon)
{
    control_close(&daemon->control);
    reaper_free(&daemon->reaper);
    reload_free(&daemon->reload);
    supervisor_free(&daemon->supervisor);
    spawn_environment_free(&daemon->environment);
    options_free(&daemon->options);
    sd_event_unref(daemon->event);
}

static int run(struct daemon *daemon)
{
    struct err err = {0};
    int r;

    role_log_open("sluiced", 0, daemon->options);
    r = make_loop(daemon, &err);
    if (r == 0)
        r = make_parts(daemon, &err);
    if (r == 0) {
        log_info("sluiced %s, pid %d", SLUICE_VERSION, getpid());
        r = supervisor_begin(daemon->supervisor, &err);
    }
    if (r < 0) {
        log_fatal("%s", err.text);
        return EXIT_ENVIRONMENT;
    }
    return sd_event_loop(daemon->event);
}

/*
 * Whoever closed 0, 1 or 2 before the start would have the first socket opened in its place, and a
 * stage would inherit that.
 */
static int fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO && fd_set_cloexec(fd, 0) == 0);
    if (fd < 0)
        return -errno;
    fd_close(&fd);
    return 0;
}

int main(int argc, char **argv)
{
    struct daemon daemon = {0};
    struct command_line command;
    struct err err = {0};
    int status;

    /* It holds every secret: no core dump, and no look into it by other processes of its user. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (fill_standard_descriptors() < 0)
        return EXIT_ENVIRONMENT;
    if (command_line_parse(argc, argv, &command, &err) < 0) {
        fprintf(stderr, "sluiced: %s (sluiced --help lists all)\n", err.text);
        return EXIT_MISUSE;
    }
    if (command.help) {
        option_dump_help(stdout);
        status = 0;
    } else if (command.version) {
        printf("sluiced %s\n", SLUICE_VERSION);
        status = 0;
    } else {
        status = load(&daemon, &command);
        options_wipe_environment(environ);
        if (status == 0 && command.show_config)
            option_dump_values(daemon.options, stdout);
        else if (status == 0 && !command.check_config)
            status = run(&daemon);
    }
    free_parts(&daemon);
    command_line_fini(&command);
    return status < 0 ? EXIT_PANIC : status;
}
