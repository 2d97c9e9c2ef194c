#include "supervisor/child.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/num.h"
#include "shared/role/exit.h"
#include "supervisor/child_exit.h"
#include "supervisor/restart_policy.h"

#define LEAVE_DELAY_NS (100 * NS_PER_MS)

struct child {
    enum stage_id stage;
    unsigned index;
    const struct child_host *host;
    enum child_state state;
    bool wanted;   /* to be started again when it is gone */
    bool asked;    /* its process was told to stop */
    bool replaced; /* it drains for a successor, and may leave work to it */
    bool stopped;  /* the successor is to stop at once, by stop_deadline_ns */
    uint64_t stop_deadline_ns;
    pid_t pid;
    struct channel *channel;
    sd_event_source *control, *exit, *timer;
    uint64_t incarnation;
    uint64_t started_ns;
    uint64_t ready_ns; /* 0: not yet */
    struct restart_policy policy;
    unsigned restarts;
    bool ever_ready;
    bool refused;
    struct message_ready ready;
    char said[256]; /* its reason for giving up */
    char killed_why[160];
    char last_exit[320];
};

static const char *const state_names[CHILD_STATES] = {
    [CHILD_GONE] = "gone",       [CHILD_DELAYED] = "delayed",   [CHILD_STARTING] = "starting",
    [CHILD_RUNNING] = "running", [CHILD_DRAINING] = "draining",
};

/* Row: from, column: to, in the order of enum child_state. */
static const bool transitions[CHILD_STATES][CHILD_STATES] = {
    /* GONE, DELAYED, STARTING, RUNNING, DRAINING */
    [CHILD_GONE] = {false, true, true, false, false},
    [CHILD_DELAYED] = {true, true, true, false, false},
    [CHILD_STARTING] = {true, true, true, true, true},
    [CHILD_RUNNING] = {true, true, true, false, true},
    [CHILD_DRAINING] = {true, true, true, false, false},
};

static void spawn(struct child *child);
static int on_timer(sd_event_source *source, uint64_t usec, void *data);

int child_new(enum stage_id stage, unsigned index, const struct child_host *host,
              struct child **ret_child)
{
    struct child *child = calloc(1, sizeof(*child));

    if (child == NULL)
        return -ENOMEM;
    child->stage = stage;
    child->index = index;
    child->host = host;
    *ret_child = child;
    return 0;
}

static void forget_process(struct child *child)
{
    child->control = sd_event_source_disable_unref(child->control);
    child->exit = sd_event_source_disable_unref(child->exit);
    child->timer = sd_event_source_disable_unref(child->timer);
    channel_free(&child->channel);
    child->pid = 0;
}

void child_free(struct child **child)
{
    if (*child == NULL)
        return;
    forget_process(*child);
    free(*child);
    *child = NULL;
}

/* ---- the state ---- */

static void enter(struct child *child, enum child_state to)
{
    enum child_state from = child->state;

    if (!transitions[from][to])
        log_panic("%s.%u cannot go from %s to %s", stage_row(child->stage)->name, child->index,
                  state_names[from], state_names[to]);
    child->state = to;
    log_debug("%s.%u: %s -> %s", stage_row(child->stage)->name, child->index, state_names[from],
              state_names[to]);
    child->host->changed(child->host->data, child, from);
}

static void set_timer(struct child *child, uint64_t at_ns)
{
    int r;

    child->timer = sd_event_source_disable_unref(child->timer);
    r = sd_event_add_time(child->host->event, &child->timer, CLOCK_MONOTONIC, at_ns / NS_PER_US,
                          1000, on_timer, child);
    if (r < 0)
        log_panic("timer: %s", strerror(-r));
}

/* Starts it now, or after the policy's delay. */
static void start_again(struct child *child, uint64_t healthy_ns)
{
    struct restart_facts facts = {
        .asked = child->asked,
        .healthy_ns = healthy_ns,
        .delay_max_ns =
            options_time_ms(child->host->options(child->host->data), OPT_RESTART_DELAY_MAX) *
            NS_PER_MS,
    };
    uint64_t delay_ns;

    (void)!getrandom(&facts.random, sizeof(facts.random), 0);
    delay_ns = restart_policy_next(&child->policy, &facts);
    if (delay_ns == 0) {
        spawn(child);
        return;
    }
    log_info("%s.%u: next start in %llu ms", stage_row(child->stage)->name, child->index,
             (unsigned long long)(delay_ns / NS_PER_MS));
    set_timer(child, clock_monotonic_ns() + delay_ns);
    enter(child, CHILD_DELAYED);
}

static void kill_now(struct child *child, const char *why)
{
    if (child->pid <= 0)
        return;
    snprintf(child->killed_why, sizeof(child->killed_why), "%s", why);
    log_warn("%s.%u (pid %d): killed: %s", stage_row(child->stage)->name, child->index, child->pid,
             why);
    kill(child->pid, SIGKILL);
}

static void restart_for_signal(struct child *child)
{
    uint64_t grace_ms =
        options_time_ms(child->host->options(child->host->data), OPT_SHUTDOWN_GRACE);

    log_info("%s.%u (pid %d): told by a signal to stop; it is restarted",
             stage_row(child->stage)->name, child->index, child->pid);
    child_restart(child, clock_monotonic_ns() + grace_ms * NS_PER_MS);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct child *child = data;

    (void)source;
    (void)usec;
    child->timer = sd_event_source_disable_unref(child->timer);
    if (child->state == CHILD_DELAYED)
        spawn(child);
    else if (child->state == CHILD_DRAINING)
        kill_now(child, "did not finish draining in time");
    else if (child->state == CHILD_RUNNING || child->state == CHILD_STARTING)
        restart_for_signal(child);
    return 0;
}

/* ---- its end ---- */

static void note_exit(struct child *child, const siginfo_t *info)
{
    struct child_exit exit = {
        .code = info->si_code,
        .status = info->si_status,
        .killed_why = child->killed_why[0] != '\0' ? child->killed_why : NULL,
        .said = child->said,
    };

    exit.oom = info->si_code != CLD_EXITED && info->si_status == SIGKILL &&
               child->host->oom(child->host->data);
    child_exit_text(&exit, child->last_exit, sizeof(child->last_exit));
    child->refused =
        info->si_code == CLD_EXITED && info->si_status == EXIT_CONFIG && !child->ever_ready;
    if (child->asked && info->si_code == CLD_EXITED && info->si_status == EXIT_ASKED) {
        log_info("%s.%u (pid %d): stopped", stage_row(child->stage)->name, child->index,
                 child->pid);
        return;
    }
    if (!child->asked || child->state != CHILD_DRAINING)
        child->restarts++;
    log_write(child->asked ? LOG_WARN : LOG_ERROR, "%s.%u (pid %d) ended: %s",
              stage_row(child->stage)->name, child->index, child->pid, child->last_exit);
}

static int on_exit_of(sd_event_source *source, const siginfo_t *info, void *data)
{
    struct child *child = data;
    uint64_t healthy_ns = child->ready_ns != 0 ? clock_monotonic_ns() - child->ready_ns : 0;

    (void)source;
    note_exit(child, info);
    forget_process(child);
    if (child->stopped && clock_monotonic_ns() >= child->stop_deadline_ns) {
        child->stopped = false; /* no time left for a successor */
        child->wanted = false;
    }
    if (child->wanted && !child->refused)
        start_again(child, healthy_ns);
    else
        enter(child, CHILD_GONE);
    return 0;
}

/* ---- its words ---- */

static void take_message(struct child *child, const struct channel_message *message)
{
    switch (message->type) {
    case MESSAGE_READY:
        if (child->state != CHILD_STARTING)
            return;
        memcpy(&child->ready, message->body.p, sizeof(child->ready));
        child->ready_ns = clock_monotonic_ns();
        child->ever_ready = true;
        log_info("%s.%u (pid %d): ready", stage_row(child->stage)->name, child->index, child->pid);
        enter(child, CHILD_RUNNING);
        break;
    case MESSAGE_LEAVE:
        /* SIGTERM. Perhaps our own comes next, as one to the whole group: then that counts. */
        if (child->state == CHILD_RUNNING || child->state == CHILD_STARTING)
            set_timer(child, clock_monotonic_ns() + LEAVE_DELAY_NS);
        break;
    case MESSAGE_FAILED:
        snprintf(child->said, sizeof(child->said), "%.*s", (int)message->body.n,
                 (const char *)message->body.p);
        break;
    default:
        break;
    }
}

static int on_control(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    struct child *child = data;
    struct channel_message message;
    int r = channel_receive(child->channel, &message);

    (void)fd;
    (void)revents;
    if (r > 0) {
        take_message(child, &message);
    } else if (r < 0) {
        /* Its end is told by its exit. Anything else must not go on. */
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (r != -ENOTCONN)
            kill_now(child, "a malformed message on its control channel");
    }
    return 0;
}

/* ---- its start ---- */

static int send_hello(struct child *child)
{
    const struct stage_row *row = stage_row(child->stage);
    uint64_t now_us = clock_realtime_ns() / NS_PER_US;
    struct message_hello hello = {.version = MESSAGE_VERSION, .index = child->index};
    struct slice parts[2] = {slice_of(&hello, sizeof(hello)), slice_string(row->name)};

    /* By the clock, so that it also differs from those of an earlier sluiced on the same data. */
    child->incarnation = num_max_u64(child->incarnation + 1, now_us);
    hello.incarnation = child->incarnation;
    hello.slot = row->first_slot + child->index;
    return channel_send(child->channel, MESSAGE_HELLO, parts, 2);
}

static int start_process(struct child *child, struct err *err)
{
    const struct child_host *host = child->host;
    struct spawn_request request = {0};
    int r;

    r = host->request(host->data, child, &request);
    if (r < 0)
        return err_errno(err, -r, "start of the %s", stage_row(child->stage)->name);
    r = spawn_stage(&request, &child->channel, &child->pid, err);
    free((char *)(uintptr_t)request.path);
    if (r < 0) {
        child->pid = 0;
        return r;
    }
    r = sd_event_add_child(host->event, &child->exit, child->pid, WEXITED, on_exit_of, child);
    if (r >= 0)
        r = sd_event_add_io(host->event, &child->control, channel_fd(child->channel), EPOLLIN,
                            on_control, child);
    /* What it said last is read before its end is acted upon. */
    if (r >= 0)
        r = sd_event_source_set_priority(child->exit, SD_EVENT_PRIORITY_NORMAL + 10);
    if (r < 0)
        log_panic("event source of a child: %s", strerror(-r));
    return 0;
}

static void configure(struct child *child)
{
    struct err err = {0};
    int r = send_hello(child);

    if (r == 0)
        r = child->host->configure(child->host->data, child, child->channel, &err);
    if (r == 0)
        r = channel_send(child->channel, MESSAGE_GO, NULL, 0);
    if (r == 0 || r == -EPIPE) /* -EPIPE: it died already, and its exit says why */
        return;
    log_error("%s.%u: cannot be configured: %s", stage_row(child->stage)->name, child->index,
              err.text[0] != '\0' ? err.text : strerror(-r));
    kill_now(child, "could not be configured");
}

/* It cannot be started, and is wanted only to finish its predecessor's work. */
static bool gives_up(struct child *child)
{
    if (!child->stopped)
        return false;
    child->stopped = false;
    child->wanted = false;
    enter(child, CHILD_GONE);
    return true;
}

static void spawn(struct child *child)
{
    struct err err = {0};

    child->asked = false;
    child->replaced = false;
    child->ready_ns = 0;
    child->ready = (struct message_ready){0};
    child->said[0] = '\0';
    child->killed_why[0] = '\0';
    child->started_ns = clock_monotonic_ns();
    if (start_process(child, &err) < 0) {
        log_error("%s.%u: %s", stage_row(child->stage)->name, child->index, err.text);
        snprintf(child->last_exit, sizeof(child->last_exit), "not started: %.300s", err.text);
        child->restarts++;
        if (gives_up(child))
            return;
        /* At once would be at once for ever: the next try always waits. */
        child->policy.failures = (unsigned)num_max_u64(child->policy.failures, 1);
        start_again(child, 0);
        return;
    }
    enter(child, CHILD_STARTING);
    configure(child);
    if (child->stopped) {
        child->stopped = false;
        child_stop(child, child->stop_deadline_ns);
    }
}

void child_start(struct child *child)
{
    child->wanted = true;
    if (child->state == CHILD_GONE)
        spawn(child);
}

/* ---- drains ---- */

static void drain(struct child *child, enum drain_reason reason, uint64_t deadline_ns)
{
    struct message_drain body = {.reason = reason, .deadline_ns = deadline_ns};
    struct slice part = slice_of(&body, sizeof(body));
    int r;

    child->asked = true;
    r = channel_send(child->channel, MESSAGE_DRAIN, &part, 1);
    if (r < 0 && r != -EPIPE)
        kill_now(child, "does not read its control channel");
    set_timer(child, deadline_ns + CHILD_KILL_SLACK_NS);
    if (child->state != CHILD_DRAINING)
        enter(child, CHILD_DRAINING);
}

void child_stop(struct child *child, uint64_t deadline_ns)
{
    /* What it leaves, and no ack was asked for, would be lost: its successor takes it and stops. */
    if (child->state == CHILD_DRAINING && child->replaced) {
        child->stopped = true;
        child->stop_deadline_ns = deadline_ns;
        return;
    }
    child->wanted = false;
    if (child->state == CHILD_DELAYED) {
        child->timer = sd_event_source_disable_unref(child->timer);
        enter(child, CHILD_GONE);
    } else if (child->state != CHILD_GONE) {
        drain(child, DRAIN_STOP, deadline_ns);
    }
}

void child_restart(struct child *child, uint64_t deadline_ns)
{
    if (child->state == CHILD_DELAYED) {
        child->timer = sd_event_source_disable_unref(child->timer);
        spawn(child);
    } else if (child->state == CHILD_GONE) {
        child_start(child);
    } else {
        drain(child, DRAIN_RESTART, deadline_ns);
        child->replaced = true;
    }
}

void child_hasten(struct child *child, uint64_t kill_ns)
{
    if (child->state != CHILD_DRAINING)
        return;
    set_timer(child, kill_ns);
    child->stop_deadline_ns = num_min_u64(child->stop_deadline_ns, kill_ns);
}

void child_kill_hung(struct child *child, const char *why)
{
    kill_now(child, why);
}

void child_reload(struct child *child, int (*send)(void *data, struct child *child,
                                                   struct channel *channel, struct err *err))
{
    struct err err = {0};
    int r;

    if (child->state != CHILD_STARTING && child->state != CHILD_RUNNING)
        return; /* the next start gets them anyway */
    r = send(child->host->data, child, child->channel, &err);
    if (r == 0)
        r = channel_send(child->channel, MESSAGE_RELOAD, NULL, 0);
    if (r < 0 && r != -EPIPE)
        kill_now(child, "does not take its new options");
}

/* ---- what is known of it ---- */

enum stage_id child_stage(const struct child *child)
{
    return child->stage;
}

unsigned child_index(const struct child *child)
{
    return child->index;
}

unsigned child_slot(const struct child *child)
{
    return stage_row(child->stage)->first_slot + child->index;
}

enum child_state child_state(const struct child *child)
{
    return child->state;
}

const char *child_state_name(enum child_state state)
{
    assert((unsigned)state < CHILD_STATES);
    return state_names[state];
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

uint64_t child_started_ns(const struct child *child)
{
    return child->started_ns;
}

unsigned child_restarts(const struct child *child)
{
    return child->restarts;
}

const char *child_last_exit(const struct child *child)
{
    return child->last_exit;
}

bool child_is_refused(const struct child *child)
{
    return child->refused;
}

const struct message_ready *child_ready(const struct child *child)
{
    return &child->ready;
}
