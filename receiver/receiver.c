#include "receiver/receiver.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "receiver/clients.h"
#include "receiver/heartbeat.h"
#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"

/* A turn goes on while sockets are ready, but the control socket is not kept waiting. */
#define ROUNDS_PER_TURN 16u
#define TURN_NS (5 * NS_PER_MS)
/* A half-received message that does not go on for so long ends while others wait for memory. */
#define HOARD_NS (10 * NS_PER_S)

/* Sockets for heartbeats; a listening socket has one or none. */
#define HEARTBEATS_MAX 16u

struct receiver {
    struct role_context *context; /* borrowed */
    struct producer *producer;
    struct clients *clients;
    struct access *access;
    int door; /* borrowed */
    char host[HOST_NAME_MAX + 1];
    sd_event_source *sockets, *bell, *timer, *again;
    sd_event_source *heartbeats[HEARTBEATS_MAX]; /* NULL where there is none */
    struct heartbeat_limit heartbeat_limit;
    uint64_t armed_ns; /* when the timer goes off; 0: it is off */
    bool draining;
    uint64_t deadline_ns;
};

/* ---- prepare ---- */

static int named_fd(const struct role_context *context, struct err *err, const char *format,
                    unsigned index, int *ret_fd)
{
    char name[32];
    int fd;

    snprintf(name, sizeof(name), format, index);
    fd = role_fd(context, name);
    if (fd < 0)
        return err_errno(err, -fd, "descriptor %s", name);
    *ret_fd = fd;
    return 0;
}

static int open_rings(struct receiver *receiver, struct err *err)
{
    const struct role_context *context = receiver->context;
    struct producer_setup setup = {
        .incarnation = role_incarnation(context),
        .lanes = (unsigned)options_int(role_options(context), OPT_PROCESSOR_COUNT),
    };
    int r = 0;

    for (unsigned lane = 0; r == 0 && lane < setup.lanes; lane++) {
        r = named_fd(context, err, "ring.%u", lane, &setup.rings[lane]);
        if (r == 0)
            r = named_fd(context, err, "door.processor.%u", lane, &setup.doors[lane]);
    }
    return r < 0 ? r : producer_new(&setup, &receiver->producer, err);
}

/* The supervisor has checked the same options with the same code. */
static int open_access(const struct receiver *receiver, struct access **ret_access, struct err *err)
{
    struct option_report report = {0};
    int r = access_load(role_options(receiver->context), &report, ret_access);

    if (r < 0)
        err_set(err, -r, "who may send: %s",
                report.count > 0 ? report.messages[0].text : strerror(-r));
    option_report_fini(&report);
    return r;
}

static int open_clients(struct receiver *receiver, struct err *err)
{
    const struct options *options = role_options(receiver->context);
    struct clients_setup setup = {
        .producer = receiver->producer,
        .status = role_status(receiver->context),
        .access = receiver->access,
        .max_chunk = options_size(options, OPT_FORWARD_MAX_CHUNK),
        .memory = options_size(options, OPT_RECEIVER_MEMORY),
        .max_connections = options_int(options, OPT_FORWARD_MAX_CONNECTIONS),
        .handshake_ns = options_time_ms(options, OPT_FORWARD_HANDSHAKE_TIMEOUT) * NS_PER_MS,
        .idle_ns = options_time_ms(options, OPT_FORWARD_IDLE_TIMEOUT) * NS_PER_MS,
        .hoard_ns = HOARD_NS,
    };

    snprintf(receiver->host, sizeof(receiver->host), "%s", options_string(options, OPT_SELF_HOST));
    if (receiver->host[0] == '\0' && gethostname(receiver->host, sizeof(receiver->host)) < 0)
        snprintf(receiver->host, sizeof(receiver->host), "localhost");
    setup.server_host = slice_string(receiver->host);
    return clients_new(&setup, &receiver->clients, err);
}

int receiver_prepare(struct role_context *context, void **ret_state, struct err *err)
{
    struct receiver *receiver = calloc(1, sizeof(*receiver));
    int r;

    if (!receiver)
        return err_errno(err, ENOMEM, "cannot begin");
    *ret_state = receiver;
    receiver->context = context;
    receiver->door = role_fd(context, "door.receiver");
    if (receiver->door < 0)
        return err_errno(err, -receiver->door, "descriptor door.receiver");
    r = open_access(receiver, &receiver->access, err);
    if (r == 0)
        r = open_rings(receiver, err);
    return r < 0 ? r : open_clients(receiver, err);
}

void receiver_reload(struct role_context *context, void *state)
{
    struct receiver *receiver = state;
    struct access *access = NULL;
    struct err err = {0};
    char text[128];

    (void)context;
    if (open_access(receiver, &access, &err) < 0) {
        log_error("reload: %s; what was in force goes on", err.text);
        return;
    }
    clients_set_access(receiver->clients, access);
    access_free(&receiver->access);
    receiver->access = access;
    log_info("reload: who may send: %s", access_describe(access, text, sizeof(text)));
}

/* ---- turns ---- */

static void end_drain(struct receiver *receiver)
{
    bool late = clock_monotonic_ns() >= receiver->deadline_ns;

    if (!late && !clients_are_gone(receiver->clients))
        return;
    if (late)
        log_warn("some clients did not end in time; they are cut");
    clients_close_all(receiver->clients);
    role_drained(receiver->context);
}

/* Arms it for then, or leaves it armed for sooner: a turn too early costs less than arming. */
static void set_timer(struct receiver *receiver, uint64_t next_ns)
{
    if (receiver->draining && (next_ns == 0 || next_ns > receiver->deadline_ns))
        next_ns = receiver->deadline_ns;
    if (next_ns == 0 || (receiver->armed_ns != 0 && receiver->armed_ns <= next_ns))
        return;
    receiver->armed_ns = next_ns;
    sd_event_source_set_time(receiver->timer, next_ns / NS_PER_US + 1);
    sd_event_source_set_enabled(receiver->timer, SD_EVENT_ONESHOT);
}

/* What one turn does, whatever woke it. */
static void turn(struct receiver *receiver)
{
    struct clients *clients = receiver->clients;
    uint64_t start_ns = clock_monotonic_ns();

    producer_woke(receiver->producer);
    clients_begin(clients);
    for (unsigned round = 0; round < ROUNDS_PER_TURN; round++) {
        int events = clients_dispatch(clients);

        clients_settle(clients);
        if (events <= 0)
            break;
        clients_begin(clients);
        if (clock_monotonic_ns() - start_ns > TURN_NS)
            break;
    }
    set_timer(receiver, clients_tick(clients));
    clients_settle(clients);
    if (receiver->draining)
        end_drain(receiver);
    /* Verdicts came meanwhile, more than a turn takes: go on at once. */
    if (!producer_sleep(receiver->producer))
        sd_event_source_set_enabled(receiver->again, SD_EVENT_ONESHOT);
}

static int on_sockets(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    (void)source;
    (void)fd;
    (void)revents;
    turn(data);
    return 0;
}

static int on_bell(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    (void)source;
    (void)revents;
    fd_bell_clear(fd);
    turn(data);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct receiver *receiver = data;

    (void)source;
    (void)usec;
    receiver->armed_ns = 0;
    turn(receiver);
    return 0;
}

static int on_again(sd_event_source *source, void *data)
{
    (void)source;
    turn(data);
    return 0;
}

/* Also while clients wait: who is not answered is taken for dead and loses its clients. */
static int on_heartbeat(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    struct receiver *receiver = data;

    (void)source;
    (void)revents;
    status_add(role_status(receiver->context), METRIC_HEARTBEATS,
               heartbeat_answer(&receiver->heartbeat_limit, fd, clock_monotonic_ns()));
    return 0;
}

/* ---- start, drain, end ---- */

static int listen_all(struct receiver *receiver, struct err *err)
{
    unsigned count = 0;
    int fd = -1, r = 0;

    while (r == 0 && named_fd(receiver->context, NULL, "listen.forward.%u", count, &fd) == 0) {
        r = clients_listen(receiver->clients, fd, err);
        count++;
    }
    if (r == 0 && count == 0)
        return err_set(err, ENOENT, "no listening socket was given");
    return r;
}

static bool heartbeat_fd(const struct receiver *receiver, unsigned index, int *ret_fd)
{
    return named_fd(receiver->context, NULL, "heartbeat.forward.%u", index, ret_fd) == 0;
}

static int hear_heartbeats(struct receiver *receiver)
{
    int fd = -1, r = 0;

    for (unsigned i = 0; i < HEARTBEATS_MAX && r >= 0; i++) {
        if (!heartbeat_fd(receiver, i, &fd))
            continue;
        heartbeat_init(fd);
        r = sd_event_add_io(role_event(receiver->context), &receiver->heartbeats[i], fd, EPOLLIN,
                            on_heartbeat, receiver);
    }
    return r;
}

/* Those that come from now on are for a successor; with none, clients shall know that we go. */
static void ignore_heartbeats(struct receiver *receiver)
{
    for (unsigned i = 0; i < HEARTBEATS_MAX; i++)
        receiver->heartbeats[i] = sd_event_source_unref(receiver->heartbeats[i]);
}

int receiver_start(struct role_context *context, void *state, struct err *err)
{
    struct receiver *receiver = state;
    sd_event *event = role_event(context);
    int r = listen_all(receiver, err);

    if (r < 0)
        return r;
    r = sd_event_add_io(event, &receiver->sockets, clients_fd(receiver->clients), EPOLLIN,
                        on_sockets, receiver);
    if (r >= 0)
        r = sd_event_add_io(event, &receiver->bell, receiver->door, EPOLLIN, on_bell, receiver);
    /* To the millisecond: an accuracy of its own would let the kernel's timers pile up. */
    if (r >= 0)
        r = sd_event_add_time(event, &receiver->timer, CLOCK_MONOTONIC, 0, 1000, on_timer,
                              receiver);
    /* The first turn, and each that could not sleep. */
    if (r >= 0)
        r = sd_event_add_defer(event, &receiver->again, on_again, receiver);
    if (r >= 0)
        r = hear_heartbeats(receiver);
    return r < 0 ? err_errno(err, -r, "event sources") : 0;
}

/*
 * Nobody else has these sockets: the next sluiced can open the port only when we let go,
 * which must not wait for the acks that we wait for.
 */
static void close_listeners(const struct receiver *receiver)
{
    int fd = -1;

    for (unsigned i = 0; i < HEARTBEATS_MAX; i++)
        if (heartbeat_fd(receiver, i, &fd))
            close(fd);
    for (unsigned i = 0; named_fd(receiver->context, NULL, "listen.forward.%u", i, &fd) == 0; i++)
        close(fd);
}

void receiver_drain(struct role_context *context, void *state, enum drain_reason reason,
                    uint64_t deadline_ns)
{
    struct receiver *receiver = state;

    (void)context;
    receiver->draining = true;
    receiver->deadline_ns = deadline_ns;
    clients_begin(receiver->clients);
    clients_drain(receiver->clients);
    ignore_heartbeats(receiver);
    /* For any other reason they wait in the supervisor for our successor, if there is one. */
    if (reason == DRAIN_ORPHANED)
        close_listeners(receiver);
    sd_event_source_set_enabled(receiver->again, SD_EVENT_ONESHOT);
}

void receiver_fini(void **state)
{
    struct receiver *receiver = *state;

    if (!receiver)
        return;
    sd_event_source_unref(receiver->sockets);
    sd_event_source_unref(receiver->bell);
    sd_event_source_unref(receiver->timer);
    sd_event_source_unref(receiver->again);
    ignore_heartbeats(receiver);
    clients_free(&receiver->clients);
    producer_free(&receiver->producer);
    access_free(&receiver->access);
    free(receiver);
    *state = NULL;
}
