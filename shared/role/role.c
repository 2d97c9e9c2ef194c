#include "shared/role/role.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/ipc/channel.h"
#include "shared/ipc/status_page.h"
#include "shared/role/confine.h"
#include "shared/role/exit.h"
#include "shared/role/role_config.h"
#include "shared/role/role_log.h"

#define ROLE_CONTROL_FD 3
/* A phase is over and the next may begin; anything else that it returns is an exit status. */
#define ROLE_GO_ON (-1)

struct role_context {
    const struct role *role;
    struct role_config config;
    struct channel *channel;
    struct status_page *page;
    struct status_slot *slot;
    struct confine_report confined;
    sd_event *event;
    void *state;
    uint64_t lost_before; /* log lines that predecessors lost */
    bool draining;
    bool leaving; /* sluiced has been asked for a drain */
    bool failed;
    int status; /* once failed */
};

#ifdef __SANITIZE_ADDRESS__
/*
 * LeakSanitizer stops the process with a cloned, ptracing helper at exit, which is just what the
 * seccomp filter kills for. Leaks are found by the unit tests, which run unconfined.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

sd_event *role_event(struct role_context *context)
{
    return context->event;
}

unsigned role_index(const struct role_context *context)
{
    return context->config.index;
}

uint64_t role_incarnation(const struct role_context *context)
{
    return context->config.incarnation;
}

const struct options *role_options(const struct role_context *context)
{
    return context->config.options;
}

struct slice role_secret(const struct role_context *context, enum option_id id)
{
    return options_secret(context->config.options, id);
}

int role_fd(const struct role_context *context, const char *name)
{
    return role_config_fd(&context->config, name);
}

struct status_slot *role_status(const struct role_context *context)
{
    return context->slot;
}

void role_drained(struct role_context *context)
{
    if (context->event != NULL)
        sd_event_exit(context->event, EXIT_ASKED);
}

/* Tells sluiced why, so that `sluicectl status` can; when it is gone the log has it all the same. */
static void tell_failure(struct role_context *context, const char *text)
{
    struct slice body = slice_string(text);

    if (body.n == 0 || context->channel == NULL)
        return;
    (void)channel_send(context->channel, MESSAGE_FAILED, &body, 1);
}

void role_fail(struct role_context *context, int status, const char *format, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_fatal("%s", text);
    if (context->failed)
        return;
    context->failed = true;
    context->status = status;
    tell_failure(context, text);
    if (context->event != NULL)
        sd_event_exit(context->event, status);
}

/* A hook of the role failed; unless it has said so itself with role_fail. */
static int hook_failed(struct role_context *context, const char *what, int r, const struct err *err)
{
    if (!context->failed)
        role_fail(context, EXIT_ENVIRONMENT, "%s: %s", what,
                  err->text[0] != '\0' ? err->text : strerror(-r));
    return context->status;
}

/* ---- run and drain ---- */

static void drain(struct role_context *context, enum drain_reason reason, uint64_t deadline_ns)
{
    static const char *const words[] = {
        [DRAIN_STOP] = "stopping",
        [DRAIN_RESTART] = "stopping for a successor",
        [DRAIN_ORPHANED] = "sluiced is gone: finishing what is here, then stopping",
    };

    if (context->draining)
        return;
    context->draining = true;
    log_info("%s", words[reason]);
    if (context->role->drain == NULL)
        role_drained(context);
    else
        context->role->drain(context, context->state, reason, deadline_ns);
}

static uint64_t grace_deadline(const struct role_context *context)
{
    return clock_monotonic_ns() +
           options_time_ms(context->config.options, OPT_SHUTDOWN_GRACE) * NS_PER_MS;
}

/*
 * SIGTERM asks sluiced for the drain instead of beginning it: who signals the whole process group
 * (systemd's default, a shell's timeout) means sluiced too, and it stops the stages in their order.
 * The second one is taken at its word.
 */
static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
    struct role_context *context = data;

    (void)source;
    (void)info;
    if (!context->leaving && channel_send(context->channel, MESSAGE_LEAVE, NULL, 0) == 0)
        context->leaving = true;
    else
        drain(context, DRAIN_STOP, grace_deadline(context));
    return 0;
}

static void on_drain_message(struct role_context *context, const struct channel_message *message)
{
    struct message_drain body;

    memcpy(&body, message->body.p, sizeof(body));
    if (body.reason > DRAIN_RESTART) {
        role_fail(context, EXIT_MISUSE, "sluiced gave an unknown reason to drain");
        return;
    }
    drain(context, (enum drain_reason)body.reason, body.deadline_ns);
}

static void on_message(struct role_context *context, struct channel_message *message)
{
    struct err err = {0};
    int r;

    if (message->type == MESSAGE_DRAIN) {
        on_drain_message(context, message);
        return;
    }
    r = role_config_take(&context->config, message, &err);
    channel_wipe(context->channel);
    if (r < 0) {
        role_fail(context, EXIT_CONFIG, "%s", err.text);
        return;
    }
    if (r == ROLE_CONFIG_RELOADED) {
        role_log_reload(context->config.options);
        if (context->role->reload != NULL)
            context->role->reload(context, context->state);
    }
}

static int on_control(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    struct role_context *context = data;
    struct channel_message message;
    int r;

    (void)fd;
    (void)revents;
    r = channel_receive(context->channel, &message);
    if (r > 0) {
        on_message(context, &message);
    } else if (r == -ENOTCONN) {
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        drain(context, DRAIN_ORPHANED, grace_deadline(context));
    } else if (r < 0) {
        role_fail(context, EXIT_MISUSE, "control channel: %s", strerror(-r));
    }
    return 0;
}

/*
 * sd_event_loop with signs of life: computing while sources are dispatched, idle in the wait. By
 * hand, because sd-event has no hook between the two that costs nothing.
 */
static int loop(struct role_context *context)
{
    status_phase(context->slot, STATUS_COMPUTING);
    for (;;) {
        int r = sd_event_prepare(context->event);

        if (r == 0) {
            status_phase(context->slot, context->draining ? STATUS_DRAINING : STATUS_IDLE);
            r = sd_event_wait(context->event, UINT64_MAX);
            status_phase(context->slot, STATUS_COMPUTING);
        }
        if (r > 0)
            r = sd_event_dispatch(context->event);
        if (r < 0) {
            role_fail(context, EXIT_PANIC, "event loop: %s", strerror(-r));
            return context->status;
        }
        status_set(context->slot, METRIC_LOG_LINES_LOST, context->lost_before + log_lost());
        if (sd_event_get_state(context->event) == SD_EVENT_FINISHED)
            return context->failed ? context->status : EXIT_ASKED;
    }
}

/* ---- the phases before it ---- */

static int attach(struct role_context *context)
{
    int type, r;
    socklen_t size = sizeof(type);

    if (getsockopt(ROLE_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET) {
        fprintf(stderr, "%s is a stage of Sluice and is started by sluiced, not by hand.\n",
                program_invocation_short_name);
        return EXIT_MISUSE;
    }
    r = fd_set_cloexec(ROLE_CONTROL_FD, 1);
    if (r == 0)
        r = channel_new(ROLE_CONTROL_FD, CHANNEL_STAGE, &context->channel);
    if (r < 0) {
        log_fatal("control channel: %s", strerror(-r));
        return EXIT_ENVIRONMENT;
    }
    return ROLE_GO_ON;
}

static int configure(struct role_context *context)
{
    struct err err = {0};
    int r;

    do {
        struct channel_message message;

        /* An end or a drain before the start: there is nothing to finish. */
        r = channel_receive(context->channel, &message);
        if (r == -ENOTCONN)
            return EXIT_ASKED;
        if (r <= 0) {
            role_fail(context, EXIT_MISUSE, "control channel: %s", strerror(-r));
            return context->status;
        }
        if (message.type == MESSAGE_DRAIN)
            return EXIT_ASKED;
        r = role_config_take(&context->config, &message, &err);
        channel_wipe(context->channel);
        if (r < 0) {
            role_fail(context, r == -EINVAL ? EXIT_CONFIG : EXIT_MISUSE, "%s", err.text);
            return context->status;
        }
    } while (r != ROLE_CONFIG_GO);

    role_log_open(context->role->name, context->config.index, context->config.options);
    r = role_config_fd(&context->config, "status");
    if (r < 0) {
        role_fail(context, EXIT_MISUSE, "sluiced gave no status page");
        return context->status;
    }
    r = status_page_open(r, &context->page, &err);
    if (r < 0) {
        role_fail(context, EXIT_MISUSE, "%s", err.text);
        return context->status;
    }
    context->slot = status_page_slot(context->page, context->config.slot);
    context->lost_before = status_get(context->slot, METRIC_LOG_LINES_LOST);
    status_note(context->slot, "");
    status_phase(context->slot, STATUS_STARTING);
    return ROLE_GO_ON;
}

static int make_loop(struct role_context *context, struct err *err)
{
    sd_id128_t boot;
    int r;

    /* sd-event spreads its timers by it and remembers it; once confined it cannot be read. */
    (void)sd_id128_get_boot(&boot);
    r = sd_event_new(&context->event);
    if (r >= 0)
        r = sd_event_add_signal(context->event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK,
                                on_terminate, context);
    if (r >= 0)
        r = fd_set_nonblock(ROLE_CONTROL_FD, 1);
    if (r >= 0)
        r = sd_event_add_io(context->event, NULL, ROLE_CONTROL_FD, EPOLLIN, on_control, context);
    return r < 0 ? err_errno(err, -r, "event loop") : 0;
}

static int confine(struct role_context *context, struct err *err)
{
    struct confine_plan *plan = NULL;
    int r = confine_plan_new(context->role->name, context->config.index, context->config.options,
                             &plan, err);

    if (r == 0)
        r = confine_apply(plan, &context->confined, err);
    confine_plan_free(&plan);
    if (r == 0 && context->confined.nofile < context->confined.nofile_wanted)
        log_warn("only %llu descriptors instead of %llu: raise the limit (LimitNOFILE)",
                 (unsigned long long)context->confined.nofile,
                 (unsigned long long)context->confined.nofile_wanted);
    return r;
}

static int tell_ready(struct role_context *context)
{
    struct message_ready ready = {
        .landlock_abi = context->confined.landlock_abi,
        .landlock_net = context->confined.landlock_net,
        .landlock_scoped = context->confined.landlock_scoped,
        .seccomp = 1,
        .nofile = context->confined.nofile,
    };
    struct slice body = slice_of(&ready, sizeof(ready));
    int r = channel_send(context->channel, MESSAGE_READY, &body, 1);

    return r == -EPIPE ? 0 : r; /* the loop sees the end and drains */
}

static int run(struct role_context *context)
{
    struct err err = {0};
    int r;

    r = make_loop(context, &err);
    if (r < 0)
        return hook_failed(context, "start", r, &err);
    if (context->role->prepare != NULL) {
        r = context->role->prepare(context, &context->state, &err);
        if (r < 0)
            return hook_failed(context, "prepare", r, &err);
    }
    r = confine(context, &err);
    if (r < 0)
        return hook_failed(context, "confinement", r, &err);
    if (context->role->start != NULL && !context->failed) {
        r = context->role->start(context, context->state, &err);
        if (r < 0)
            return hook_failed(context, "start", r, &err);
    }
    if (context->failed)
        return context->status;
    r = tell_ready(context);
    if (r < 0)
        return hook_failed(context, "ready", r, &err);
    log_debug("ready");
    return loop(context);
}

/* What a terminal or a broken pipe sends is not for a stage: sluiced tells it when to stop. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGHUP, SIGQUIT};

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
}

int role_main(const struct role *role, int argc, char **argv)
{
    struct role_context context = {.role = role};
    int status;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("sluice-%s %s\n", role->name, SLUICE_VERSION);
        return 0;
    }
    ignore_signals();
    status = attach(&context);
    if (status == ROLE_GO_ON) {
        role_config_init(&context.config, role->name, confine_option_role(role->name));
        status = configure(&context);
        if (status == ROLE_GO_ON)
            status = run(&context);
        if (role->fini != NULL && context.state != NULL)
            role->fini(&context.state);
        role_config_fini(&context.config);
    }
    sd_event_unref(context.event);
    status_page_close(&context.page);
    channel_free(&context.channel);
    return status;
}
