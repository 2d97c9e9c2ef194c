#include "supervisor/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/base/num.h"
#include "shared/role/exit.h"
#include "supervisor/notify.h"
#include "supervisor/oom.h"
#include "supervisor/proc_status.h"
#include "supervisor/restart_queue.h"

#define LOCK_RETRY_NS (200 * NS_PER_MS)
#define LOCK_SAY_NS (10 * NS_PER_S)
#define BIND_PATIENCE_NS (5 * NS_PER_S) /* beyond shutdown.grace */
#define LOOK_INTERVAL_NS NS_PER_S
/* Receivers and processors get at least so long, however short shutdown.grace is. */
#define STORE_GRACE_NS (5 * NS_PER_S)
#define HASTE_NS NS_PER_S

struct supervisor {
    sd_event *event;
    struct options *options;
    struct spawn_identity identity;
    char *const *environment;
    enum supervisor_state state;
    uint64_t started_ns;
    int lock_fd;
    sd_event_source *lock_timer, *look_timer;
    uint64_t say_lock_ns;   /* when to say again that the lock is held */
    uint64_t bind_until_ns; /* a port that a left-over receiver has is tried until then */
    struct wiring *wiring;
    struct child_host host;
    struct child *children[STAGE_COUNT][STAGE_INSTANCES_MAX];
    struct liveness liveness[STAGE_COUNT][STAGE_INSTANCES_MAX];
    enum liveness_verdict verdicts[STAGE_COUNT][STAGE_INSTANCES_MAX];
    unsigned step; /* of the start or of the stop */
    uint64_t stop_deadline_ns;
    bool hastened;
    bool stepping;   /* stop_step is at work */
    int exit_status; /* once stopped */
    struct restart_queue queue;
    struct oom oom;
};

static const char *const state_names[] = {
    [SUPERVISOR_WAITING] = "waiting",
    [SUPERVISOR_STARTING] = "starting",
    [SUPERVISOR_RUNNING] = "running",
    [SUPERVISOR_STOPPING] = "stopping",
};

static void start_step(struct supervisor *supervisor);
static void stop_step(struct supervisor *supervisor);

/* Each instance that there is, in the order of the table. */
static struct child *next_child(const struct supervisor *supervisor, unsigned *cursor)
{
    while (*cursor < STAGE_COUNT * STAGE_INSTANCES_MAX) {
        unsigned n = (*cursor)++;
        struct child *child =
            supervisor->children[n / STAGE_INSTANCES_MAX][n % STAGE_INSTANCES_MAX];

        if (child != NULL)
            return child;
    }
    return NULL;
}

static void enter(struct supervisor *supervisor, enum supervisor_state state)
{
    log_debug("%s -> %s", state_names[supervisor->state], state_names[state]);
    supervisor->state = state;
    notify_status("%s", state_names[state]);
}

static void fail(struct supervisor *supervisor, int status, const char *reason)
{
    log_fatal("%s", reason);
    sd_event_exit(supervisor->event, status);
}

static uint64_t grace_ns(const struct supervisor *supervisor)
{
    return options_time_ms(supervisor->options, OPT_SHUTDOWN_GRACE) * NS_PER_MS;
}

/* ---- what children ask of us ---- */

static int on_request(void *data, struct child *child, struct spawn_request *ret_request)
{
    struct supervisor *supervisor = data;
    char *path = stage_executable(child_stage(child), supervisor->options);

    if (path == NULL)
        return -ENOMEM;
    *ret_request = (struct spawn_request){
        .path = path,
        .environment = supervisor->environment,
        .identity = &supervisor->identity,
    };
    return 0;
}

static int send_secret(struct channel *channel, const struct options *options, enum option_id id)
{
    const char *path = option_path(id);
    uint16_t n = (uint16_t)strlen(path);
    struct slice parts[3] = {slice_of(&n, sizeof(n)), slice_of(path, n),
                             options_secret(options, id)};

    return channel_send(channel, MESSAGE_SECRET, parts, 3);
}

/* Options and secrets, as at the start, so also for a reload. */
static int send_options(void *data, struct child *child, struct channel *channel, struct err *err)
{
    const struct supervisor *supervisor = data;
    unsigned role = stage_row(child_stage(child))->option_role;
    struct slice snapshot;
    struct buf buf;
    size_t cursor = 0;
    enum option_id id;
    int r;

    buf_init(&buf, 128 << 10);
    r = options_snapshot(supervisor->options, role, &buf);
    snapshot = buf_slice(&buf);
    if (r == 0)
        r = channel_send(channel, MESSAGE_SNAPSHOT, &snapshot, 1);
    buf_fini(&buf);
    while (r == 0 && options_next_secret(supervisor->options, role, &cursor, &id))
        r = send_secret(channel, supervisor->options, id);
    return r < 0 ? err_errno(err, -r, "options") : 0;
}

static int on_configure(void *data, struct child *child, struct channel *channel, struct err *err)
{
    struct supervisor *supervisor = data;
    int r = send_options(data, child, channel, err);

    if (r == 0)
        r = wiring_give(supervisor->wiring, child_stage(child), child_index(child), channel, err);
    liveness_reset(&supervisor->liveness[child_stage(child)][child_index(child)],
                   clock_monotonic_ns());
    supervisor->verdicts[child_stage(child)][child_index(child)] = LIVENESS_FINE;
    return r;
}

static void on_changed(void *data, struct child *child, enum child_state from)
{
    struct supervisor *supervisor = data;

    (void)from;
    if (supervisor->state == SUPERVISOR_STOPPING) {
        if (child_state(child) == CHILD_GONE)
            stop_step(supervisor);
        return;
    }
    if (child_state(child) == CHILD_GONE && child_is_refused(child)) {
        log_fatal("the %s refuses its configuration: %s", stage_row(child_stage(child))->name,
                  child_last_exit(child));
        supervisor->exit_status = EXIT_CONFIG;
        supervisor_stop(supervisor);
        return;
    }
    if (supervisor->state == SUPERVISOR_STARTING && child_state(child) == CHILD_RUNNING)
        start_step(supervisor);
    restart_queue_changed(&supervisor->queue, child, grace_ns(supervisor));
}

static const struct options *on_options(void *data)
{
    return ((struct supervisor *)data)->options;
}

static bool on_oom(void *data)
{
    return oom_happened(&((struct supervisor *)data)->oom);
}

/* ---- life ---- */

int supervisor_new(sd_event *event, struct options *options, const struct spawn_identity *identity,
                   char *const *environment, struct supervisor **ret_supervisor, struct err *err)
{
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));

    if (supervisor == NULL)
        return err_set(err, ENOMEM, "out of memory");
    supervisor->event = sd_event_ref(event);
    supervisor->options = options;
    supervisor->identity = *identity;
    supervisor->environment = environment;
    supervisor->started_ns = clock_monotonic_ns();
    supervisor->lock_fd = -1;
    supervisor->host = (struct child_host){
        .event = event,
        .request = on_request,
        .configure = on_configure,
        .changed = on_changed,
        .options = on_options,
        .oom = on_oom,
        .data = supervisor,
    };
    oom_init(&supervisor->oom);
    *ret_supervisor = supervisor;
    return 0;
}

void supervisor_free(struct supervisor **supervisor)
{
    struct supervisor *s = *supervisor;

    if (s == NULL)
        return;
    for (unsigned i = 0; i < STAGE_COUNT; i++)
        for (unsigned j = 0; j < STAGE_INSTANCES_MAX; j++)
            child_free(&s->children[i][j]);
    sd_event_source_disable_unref(s->lock_timer);
    sd_event_source_disable_unref(s->look_timer);
    wiring_free(&s->wiring);
    fd_close(&s->lock_fd);
    options_wipe_secrets(s->options);
    options_free(&s->options);
    sd_event_unref(s->event);
    free(s);
    *supervisor = NULL;
}

/* ---- liveness ---- */

static void look_at(struct supervisor *supervisor, struct child *child, uint64_t now_ns)
{
    enum stage_id stage = child_stage(child);
    unsigned index = child_index(child);
    const struct status_slot *slot = wiring_slot(supervisor->wiring, child_slot(child));
    struct liveness_look look = {
        .now_ns = now_ns,
        .hang_timeout_ns = options_time_ms(supervisor->options, OPT_HANG_TIMEOUT) * NS_PER_MS,
        .progress = __atomic_load_n(&slot->progress, __ATOMIC_RELAXED),
        .phase = __atomic_load_n(&slot->phase, __ATOMIC_RELAXED),
        .phase_since_ns = __atomic_load_n(&slot->phase_since_ns, __ATOMIC_RELAXED),
        .sync_since_ns = __atomic_load_n(&slot->sync_since_ns, __ATOMIC_RELAXED),
    };
    enum liveness_verdict verdict = liveness_check(&supervisor->liveness[stage][index], &look);

    supervisor->verdicts[stage][index] = verdict;
    if (verdict != LIVENESS_HUNG)
        return;
    child_kill_hung(child, "hang: no sign of life for hang_timeout while it computed");
    liveness_reset(&supervisor->liveness[stage][index], now_ns);
}

static int on_look(sd_event_source *source, uint64_t usec, void *data)
{
    struct supervisor *supervisor = data;
    uint64_t now_ns = clock_monotonic_ns();
    unsigned cursor = 0;
    struct child *child;

    while ((child = next_child(supervisor, &cursor)) != NULL)
        if (child_pid(child) > 0)
            look_at(supervisor, child, now_ns);
    wiring_watch_rings(supervisor->wiring, now_ns);
    sd_event_source_set_time(source, usec + LOOK_INTERVAL_NS / NS_PER_US);
    return 0;
}

/* ---- start ---- */

static int make_children(struct supervisor *supervisor, struct err *err)
{
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        unsigned count = stage_instances((enum stage_id)stage, supervisor->options);

        for (unsigned i = 0; i < count; i++)
            if (child_new((enum stage_id)stage, i, &supervisor->host,
                          &supervisor->children[stage][i]) < 0)
                return err_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

/* Starts the next group when the one before is ready; after the last one Sluice runs. */
static void start_step(struct supervisor *supervisor)
{
    while (supervisor->state == SUPERVISOR_STARTING) {
        unsigned cursor = 0;
        bool all_running = true;
        struct child *child;

        if (supervisor->step == STAGE_STEPS) {
            enter(supervisor, SUPERVISOR_RUNNING);
            log_info("running");
            notify_ready();
            return;
        }
        while ((child = next_child(supervisor, &cursor)) != NULL) {
            if (stage_row(child_stage(child))->start_step != supervisor->step)
                continue;
            if (child_state(child) == CHILD_GONE)
                child_start(child);
            all_running = all_running && child_state(child) == CHILD_RUNNING;
        }
        if (!all_running)
            return;
        supervisor->step++;
    }
}

static void log_listener(const struct listener *listener)
{
    log_info("%s: listening on port %u of %s", listener->name, listener->port, listener->address);
    if (listener->heartbeat_error < 0)
        log_warn(
            "%s: no UDP heartbeats on port %u of %s: %s; a Fluentd with heartbeat_type udp will "
            "take us for dead",
            listener->name, listener->port, listener->address,
            strerror(-listener->heartbeat_error));
}

static int begin_locked(struct supervisor *supervisor, struct err *err)
{
    const struct listeners *listeners;
    int r = wiring_new(supervisor->options, &supervisor->identity, supervisor->lock_fd,
                       &supervisor->wiring, err);

    if (r < 0)
        return r;
    listeners = wiring_listeners(supervisor->wiring);
    for (unsigned i = 0; i < listeners->count; i++)
        log_listener(&listeners->all[i]);
    r = make_children(supervisor, err);
    if (r < 0)
        return r;
    r = sd_event_add_time(supervisor->event, &supervisor->look_timer, CLOCK_MONOTONIC,
                          (clock_monotonic_ns() + LOOK_INTERVAL_NS) / NS_PER_US, 100000, on_look,
                          supervisor);
    if (r >= 0)
        r = sd_event_source_set_enabled(supervisor->look_timer, SD_EVENT_ON);
    if (r < 0)
        return err_errno(err, -r, "event loop");
    enter(supervisor, SUPERVISOR_STARTING);
    start_step(supervisor);
    return 0;
}

static void say_lock_is_held(struct supervisor *supervisor)
{
    uint64_t now_ns = clock_monotonic_ns();
    char pids[256];

    if (now_ns < supervisor->say_lock_ns)
        return;
    supervisor->say_lock_ns = now_ns + LOCK_SAY_NS;
    data_dir_holders(supervisor->lock_fd, pids, sizeof(pids));
    log_warn("%s is locked by another sluiced or by stages that one left behind%s%s%s; waiting",
             options_string(supervisor->options, OPT_DATA_DIR), pids[0] != '\0' ? " (pid " : "",
             pids, pids[0] != '\0' ? ")" : "");
    notify_status("waiting for the lock of the data directory");
}

/*
 * Whether a taken port may be that of a receiver that another sluiced left behind (receivers hold
 * no lock: they have no file open). It finishes by itself; any other program's port is final.
 */
static bool may_become_free(struct supervisor *supervisor, const struct err *err)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (!proc_status_any_named(stage_row(STAGE_RECEIVER)->executable))
        return false;
    if (supervisor->bind_until_ns == 0) {
        supervisor->bind_until_ns = now_ns + grace_ns(supervisor) + BIND_PATIENCE_NS;
        log_warn("%s; perhaps by a receiver that stops: waiting", err->text);
    }
    return now_ns < supervisor->bind_until_ns;
}

/* Lock, then begin. *ret_again: try later. */
static int try_begin(struct supervisor *supervisor, bool *ret_again, struct err *err)
{
    int r = data_dir_try_lock(supervisor->lock_fd);

    *ret_again = r == -EAGAIN;
    if (r == -EAGAIN) {
        say_lock_is_held(supervisor);
        return 0;
    }
    if (r < 0)
        return err_errno(err, -r, "lock of the data directory");
    r = begin_locked(supervisor, err);
    /* EAGAIN: a stage of a dead sluiced still holds its lane; it leaves soon. */
    *ret_again = r == -EAGAIN || (r == -EADDRINUSE && may_become_free(supervisor, err));
    return *ret_again ? 0 : r;
}

static int on_lock_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct supervisor *supervisor = data;
    struct err err = {0};
    bool again;
    int r;

    if (supervisor->state != SUPERVISOR_WAITING)
        return 0;
    r = try_begin(supervisor, &again, &err);
    if (r < 0) {
        fail(supervisor, EXIT_ENVIRONMENT, err.text);
    } else if (again) {
        sd_event_source_set_time(source, usec + LOCK_RETRY_NS / NS_PER_US);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    }
    return 0;
}

int supervisor_begin(struct supervisor *supervisor, struct err *err)
{
    bool again;
    int r = data_dir_make(supervisor->options, &supervisor->identity, err);

    if (r == 0)
        r = data_dir_open_lock(supervisor->options, "lock", &supervisor->lock_fd, err);
    if (r == 0)
        r = try_begin(supervisor, &again, err);
    if (r < 0 || !again)
        return r;
    /* flock cannot be awaited without a thread. */
    r = sd_event_add_time_relative(supervisor->event, &supervisor->lock_timer, CLOCK_MONOTONIC,
                                   LOCK_RETRY_NS / NS_PER_US, 1000, on_lock_timer, supervisor);
    return r < 0 ? err_errno(err, -r, "event loop") : 0;
}

/* ---- stop ---- */

static uint64_t stop_deadline(const struct supervisor *supervisor, enum stage_id stage)
{
    if (supervisor->hastened || stage == STAGE_SHIPPER)
        return supervisor->stop_deadline_ns;
    return num_max_u64(supervisor->stop_deadline_ns, clock_monotonic_ns() + STORE_GRACE_NS);
}

static bool all_gone(const struct supervisor *supervisor, unsigned step)
{
    unsigned cursor = 0;
    const struct child *child;

    while ((child = next_child(supervisor, &cursor)) != NULL)
        if (stage_row(child_stage(child))->stop_step == step && child_state(child) != CHILD_GONE)
            return false;
    return true;
}

static void stop_group(struct supervisor *supervisor)
{
    unsigned cursor = 0;
    struct child *child;

    while ((child = next_child(supervisor, &cursor)) != NULL) {
        if (stage_row(child_stage(child))->stop_step != supervisor->step)
            continue;
        child_stop(child, stop_deadline(supervisor, child_stage(child)));
        if (supervisor->hastened)
            child_hasten(child, clock_monotonic_ns() + HASTE_NS);
    }
}

/*
 * Stops the next group when the one before is gone; after the last one the loop ends. A child that
 * is gone at once calls this again from within: the outer call goes on with what it left.
 */
static void stop_step(struct supervisor *supervisor)
{
    if (supervisor->stepping)
        return;
    supervisor->stepping = true;
    while (supervisor->step < STAGE_STEPS && all_gone(supervisor, supervisor->step)) {
        supervisor->step++;
        stop_group(supervisor);
    }
    supervisor->stepping = false;
    if (supervisor->step < STAGE_STEPS)
        return;
    log_info("stopped");
    sd_event_exit(supervisor->event, supervisor->exit_status);
}

/* The second signal: no more patience with anybody. What is acknowledged is on the disk. */
static void hasten(struct supervisor *supervisor)
{
    unsigned cursor = 0;
    struct child *child;

    if (supervisor->hastened)
        return;
    log_warn("told twice to stop: stages that do not end within a second are killed");
    supervisor->hastened = true;
    supervisor->stop_deadline_ns = clock_monotonic_ns();
    while ((child = next_child(supervisor, &cursor)) != NULL)
        child_hasten(child, clock_monotonic_ns() + HASTE_NS);
}

void supervisor_stop(struct supervisor *supervisor)
{
    if (supervisor->state == SUPERVISOR_STOPPING) {
        hasten(supervisor);
        return;
    }
    log_info("stopping");
    notify_stopping();
    enter(supervisor, SUPERVISOR_STOPPING);
    restart_queue_abort(&supervisor->queue, "Sluice stops");
    supervisor->stop_deadline_ns = clock_monotonic_ns() + grace_ns(supervisor);
    supervisor->step = 0;
    supervisor->stepping = true;
    stop_group(supervisor);
    supervisor->stepping = false;
    stop_step(supervisor);
}

/* ---- restarts ---- */

int supervisor_check_idle(const struct supervisor *supervisor, struct err *err)
{
    if (supervisor->state != SUPERVISOR_RUNNING)
        return err_set(err, EBUSY, "Sluice is %s", state_names[supervisor->state]);
    if (supervisor->queue.active)
        return err_set(err, EBUSY, "another restart is under way");
    return 0;
}

int supervisor_restart(struct supervisor *supervisor, enum stage_id stage, int index,
                       supervisor_restarted *done, void *data, struct err *err)
{
    int r = supervisor_check_idle(supervisor, err);

    if (r < 0)
        return r;
    if (index >= 0 && supervisor_child(supervisor, stage, (unsigned)index) == NULL)
        return err_set(err, ENOENT, "there is no %s.%d", stage_row(stage)->name, index);
    for (unsigned i = 0; i < STAGE_INSTANCES_MAX; i++)
        if (supervisor->children[stage][i] != NULL && (index < 0 || (unsigned)index == i))
            restart_queue_add(&supervisor->queue, supervisor->children[stage][i]);
    restart_queue_begin(&supervisor->queue, grace_ns(supervisor), done, data);
    return 0;
}

int supervisor_take_options(struct supervisor *supervisor, struct options *options,
                            unsigned reload_roles, unsigned restart_roles,
                            supervisor_restarted *done, void *data, struct err *err)
{
    unsigned cursor = 0;
    struct child *child;
    int r = supervisor_check_idle(supervisor, err);

    if (r < 0)
        return r;
    options_wipe_secrets(supervisor->options);
    options_free(&supervisor->options);
    supervisor->options = options;
    while ((child = next_child(supervisor, &cursor)) != NULL) {
        unsigned role = stage_row(child_stage(child))->option_role;

        if ((role & restart_roles) != 0)
            restart_queue_add(&supervisor->queue, child);
        else if ((role & reload_roles) != 0)
            child_reload(child, send_options);
    }
    restart_queue_begin(&supervisor->queue, grace_ns(supervisor), done, data);
    return 0;
}

/* ---- what is known ---- */

enum supervisor_state supervisor_state(const struct supervisor *supervisor)
{
    return supervisor->state;
}

const char *supervisor_state_name(enum supervisor_state state)
{
    assert((unsigned)state <= SUPERVISOR_STOPPING);
    return state_names[state];
}

sd_event *supervisor_event(const struct supervisor *supervisor)
{
    return supervisor->event;
}

const struct options *supervisor_options(const struct supervisor *supervisor)
{
    return supervisor->options;
}

uint64_t supervisor_started_ns(const struct supervisor *supervisor)
{
    return supervisor->started_ns;
}

const struct wiring *supervisor_wiring(const struct supervisor *supervisor)
{
    return supervisor->wiring;
}

struct child *supervisor_child(const struct supervisor *supervisor, enum stage_id stage,
                               unsigned index)
{
    return index < STAGE_INSTANCES_MAX ? supervisor->children[stage][index] : NULL;
}

enum liveness_verdict supervisor_liveness(const struct supervisor *supervisor,
                                          const struct child *child)
{
    return supervisor->verdicts[child_stage(child)][child_index(child)];
}
