#include "shipper/shipper.h"

#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/base/num.h"
#include "shared/ipc/status_page.h"
#include "shipper/lane_removal.h"
#include "shipper/output.h"
#include "shipper/retention.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define OUTPUTS_MAX 2u
#define TICK_NS (100 * NS_PER_MS)
/* Gauges, the note, retention, and a look for work that no bell told of. */
#define SLOW_TICK_NS NS_PER_S
/* Idle for so long: memory is given back. */
#define TRIM_NS (5 * NS_PER_S)
/* What a request in flight may take beyond its own time-out, or a stop beyond its deadline. */
#define LEAVE_NS NS_PER_S

struct shipper {
    struct role_context *context;
    sd_event *event;
    struct status_slot *status;
    unsigned lane_count;
    struct source_lane lanes[SOURCE_LANES];
    bool gone[SOURCE_LANES]; /* delivered to their end and removed */
    struct disk *lanes_folder;
    unsigned output_count;
    struct output *outputs[OUTPUTS_MAX];
    struct retention *retention;
    sd_event_source *door, *tick, *leave;
    uint64_t slow_tick_ns; /* when the next is due */
    uint64_t busy_ns;      /* when something was last delivered */
    uint64_t delivered;    /* METRIC_RECORDS_DELIVERED then */
    bool tick_is_slow;     /* nothing waited to be synced when it was set */
    bool draining, left;
    uint64_t drain_deadline_ns;
    struct log_limit retention_limit;
};

/* ---- pumping ---- */

static void pump_all(struct shipper *shipper)
{
    for (unsigned i = 0; i < shipper->output_count; i++)
        output_pump(shipper->outputs[i]);
}

static int on_door(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct shipper *shipper = userdata;

    (void)source;
    (void)events;
    /* Cleared first: a ring after it is about something that this pump may not see. */
    fd_bell_clear(fd);
    pump_all(shipper);
    return 0;
}

/* ---- leaving ---- */

static bool all_idle(const struct shipper *shipper)
{
    for (unsigned i = 0; i < shipper->output_count; i++)
        if (!output_is_idle(shipper->outputs[i]))
            return false;
    return true;
}

static void leave(struct shipper *shipper)
{
    if (shipper->left)
        return;
    shipper->left = true;
    for (unsigned i = 0; i < shipper->output_count; i++)
        output_sync(shipper->outputs[i]);
    role_drained(shipper->context);
}

static void leave_if_idle(struct shipper *shipper)
{
    if (shipper->draining && all_idle(shipper))
        leave(shipper);
}

static void set_tick(struct shipper *shipper, uint64_t delay_ns)
{
    sd_event_source_set_time(shipper->tick, (clock_monotonic_ns() + delay_ns) / NS_PER_US);
    sd_event_source_set_enabled(shipper->tick, SD_EVENT_ONESHOT);
    shipper->tick_is_slow = delay_ns > TICK_NS;
}

static void on_changed(void *context)
{
    struct shipper *shipper = context;

    if (shipper->tick_is_slow)
        set_tick(shipper, TICK_NS);
    leave_if_idle(shipper);
}

static int set_leave_time(struct shipper *shipper, uint64_t when_ns)
{
    int r = sd_event_source_set_time(shipper->leave, when_ns / NS_PER_US);

    return r < 0 ? r : sd_event_source_set_enabled(shipper->leave, SD_EVENT_ONESHOT);
}

/* Requests in flight are waited for, but not longer than they may take. */
static void begin_leaving(struct shipper *shipper, uint64_t until_ns)
{
    for (unsigned i = 0; i < shipper->output_count; i++)
        output_set_phase(shipper->outputs[i], OUTPUT_LEAVING);
    leave_if_idle(shipper);
    if (!shipper->left && set_leave_time(shipper, until_ns) < 0)
        leave(shipper);
}

/* The deadline has come: first of delivering the rest, then of waiting for what is in flight. */
static int on_leave(sd_event_source *source, uint64_t now, void *userdata)
{
    struct shipper *shipper = userdata;

    (void)source;
    (void)now;
    if (shipper->outputs[0]->phase == OUTPUT_FINISHING) {
        log_info("the time to stop is over; what is not delivered stays in the journal");
        begin_leaving(shipper, clock_monotonic_ns() + LEAVE_NS);
    } else {
        log_warn("left with requests unanswered; they are sent again at the next start");
        leave(shipper);
    }
    return 0;
}

void shipper_drain(struct role_context *context, void *state, enum drain_reason reason,
                   uint64_t deadline_ns)
{
    struct shipper *shipper = state;
    const struct options *options = role_options(context);
    uint64_t now = clock_monotonic_ns();

    shipper->draining = true;
    if (reason != DRAIN_STOP) {
        begin_leaving(shipper,
                      now + options_time_ms(options, OPT_OTLP_TIMEOUT) * NS_PER_MS + LEAVE_NS);
        return;
    }
    for (unsigned i = 0; i < shipper->output_count; i++)
        output_set_phase(shipper->outputs[i], OUTPUT_FINISHING);
    pump_all(shipper);
    leave_if_idle(shipper);
    if (!shipper->left && set_leave_time(shipper, num_max_u64(deadline_ns, now)) < 0)
        leave(shipper);
}

/* ---- the tick ---- */

/* The lowest that an output's durable cursor of the lane names. */
static uint64_t passed_by_all(const struct shipper *shipper, unsigned lane)
{
    uint64_t sequence = UINT64_MAX;

    for (unsigned i = 0; i < shipper->output_count; i++) {
        struct cursor *cursor = source_cursor(shipper->outputs[i]->source, lane);

        sequence = num_min_u64(sequence, cursor_durable(cursor).sequence);
    }
    return sequence;
}

/* Whether a processor may still write the lane. Their number changes over a stop only. */
static bool has_processor(const struct shipper *shipper, uint32_t number)
{
    return number < options_int(role_options(shipper->context), OPT_PROCESSOR_COUNT);
}

/* A lane that no processor owns and that is passed to its end: 0 when it is gone. */
static int remove_lane(struct shipper *shipper, unsigned index, unsigned *ret_removed,
                       struct err *err)
{
    const char *data = options_string(role_options(shipper->context), OPT_DATA_DIR);
    struct disk *cursors[OUTPUTS_MAX];
    char path[PATH_MAX];
    struct lane_removal removal = {
        .lanes = shipper->lanes_folder,
        .lane = shipper->lanes[index].disk,
        .path = path,
        .number = shipper->lanes[index].number,
        .cursors = cursors,
        .cursor_count = shipper->output_count,
    };
    int r = 0;

    *ret_removed = 0;
    for (unsigned i = 0; i < shipper->output_count && r == 0; i++) {
        cursors[i] = shipper->outputs[i]->folder;
        r = output_leave_lane(shipper->outputs[i], index, err);
    }
    if (r < 0)
        return r;
    if ((size_t)snprintf(path, sizeof(path), "%s/lanes/%02u", data, removal.number) >= sizeof(path))
        return err_errno(err, ENAMETOOLONG, "%s", data);
    r = lane_removal(&removal, ret_removed, err);
    if (r < 0 && r != -ENOTEMPTY)
        return r;
    shipper->gone[index] = true;
    if (r < 0)
        log_warn("lane %u is delivered to its end; %s: what else is in it is not Sluice's",
                 removal.number, err->text);
    else
        log_info("lane %u had no processor any more; it is delivered to its end and removed",
                 removal.number);
    return 0;
}

static void remove_passed(struct shipper *shipper)
{
    for (unsigned lane = 0; lane < shipper->lane_count; lane++) {
        uint64_t sequence = passed_by_all(shipper, lane);
        struct lane_state state;
        unsigned removed = 0;
        struct err err = {0};
        int r;

        if (shipper->gone[lane])
            continue;
        if (!has_processor(shipper, shipper->lanes[lane].number) &&
            lane_page_read(shipper->lanes[lane].page, &state) && sequence >= state.next_sequence)
            r = remove_lane(shipper, lane, &removed, &err);
        else
            r = retention_pass(shipper->retention, lane, sequence, &removed, &err);
        if (r < 0 && log_limit_pass(&shipper->retention_limit, clock_monotonic_ns(), 60 * NS_PER_S))
            log_error("%s; trying again", err.text);
        status_add(shipper->status, METRIC_SEGMENTS_REMOVED, removed);
    }
}

static void show(struct shipper *shipper)
{
    char note[STATUS_NOTE_BYTES] = "";
    uint64_t lag = 0, tries = 0;
    bool held = false;

    for (unsigned i = 0; i < shipper->output_count; i++) {
        const struct output *output = shipper->outputs[i];

        lag = num_max_u64(lag, source_lag(output->source));
        tries = num_max_u64(tries, output->retry.tries);
        held = held || output->retry.state == RETRY_HELD;
        if (note[0] == '\0')
            output_note(output, note, sizeof(note));
    }
    status_set(shipper->status, METRIC_OUTPUT_LAG_RECORDS, lag);
    status_set(shipper->status, METRIC_OUTPUT_RETRY, tries);
    status_set(shipper->status, METRIC_OUTPUT_HELD, held);
    status_note(shipper->status, note);
}

static void trim_if_idle(struct shipper *shipper, uint64_t now)
{
    uint64_t delivered = status_get(shipper->status, METRIC_RECORDS_DELIVERED);

    if (delivered != shipper->delivered || shipper->busy_ns == 0) {
        shipper->delivered = delivered;
        shipper->busy_ns = now;
    } else if (now - shipper->busy_ns > TRIM_NS) {
        shipper->busy_ns = now;
        for (unsigned i = 0; i < shipper->output_count; i++)
            output_trim(shipper->outputs[i]);
    }
}

static void slow_tick(struct shipper *shipper, uint64_t now)
{
    remove_passed(shipper);
    status_set(shipper->status, METRIC_JOURNAL_BYTES, retention_bytes(shipper->retention));
    trim_if_idle(shipper, now);
    pump_all(shipper);
}

static bool is_dirty(const struct shipper *shipper)
{
    for (unsigned i = 0; i < shipper->output_count; i++)
        if (source_is_dirty(shipper->outputs[i]->source))
            return true;
    return false;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct shipper *shipper = userdata;
    uint64_t now = clock_monotonic_ns();
    bool was_dirty = is_dirty(shipper);

    (void)source;
    (void)usec;
    for (unsigned i = 0; i < shipper->output_count; i++)
        output_sync(shipper->outputs[i]);
    if (now >= shipper->slow_tick_ns) {
        slow_tick(shipper, now);
        shipper->slow_tick_ns = now + SLOW_TICK_NS;
    }
    show(shipper);
    /* Nothing moves: once a second is enough, and an idle machine sleeps. */
    set_tick(shipper, was_dirty ? TICK_NS : SLOW_TICK_NS);
    return 0;
}

/* ---- preparing ---- */

static int open_lane(struct shipper *shipper, int fd, struct err *err)
{
    struct source_lane *lane = &shipper->lanes[shipper->lane_count];
    const char *data = options_string(role_options(shipper->context), OPT_DATA_DIR);
    char path[PATH_MAX];
    struct lane_state state;
    int r = lane_page_open(fd, false, &lane->page, err);

    if (r < 0)
        return r;
    shipper->lane_count++;
    lane->number = lane_page_lane(lane->page);
    /* The processor makes the folder too: whoever comes first. */
    if ((size_t)snprintf(path, sizeof(path), "%s/lanes/%02u", data, lane->number) >= sizeof(path))
        return err_errno(err, ENAMETOOLONG, "%s", data);
    r = disk_posix_open(path, has_processor(shipper, lane->number), &lane->disk, err);
    if (r == -ENOENT && lane_page_read(lane->page, &state)) {
        shipper->lane_count--; /* a predecessor removed it */
        lane_page_close(&lane->page);
        return 0;
    }
    return r;
}

static int open_lanes_folder(struct shipper *shipper, struct err *err)
{
    const char *data = options_string(role_options(shipper->context), OPT_DATA_DIR);
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/lanes", data) >= sizeof(path))
        return err_errno(err, ENAMETOOLONG, "%s", data);
    return disk_posix_open(path, true, &shipper->lanes_folder, err);
}

static int open_lanes(struct shipper *shipper, struct err *err)
{
    int made = open_lanes_folder(shipper, err);

    if (made < 0)
        return made;
    for (unsigned i = 0; i < SOURCE_LANES; i++) {
        char name[32];
        int fd, r;

        snprintf(name, sizeof(name), "lane_page.%u", i);
        fd = role_fd(shipper->context, name);
        if (fd < 0)
            continue;
        r = open_lane(shipper, fd, err);
        if (r < 0)
            return r;
    }
    return shipper->lane_count > 0 ? 0 : err_set(err, EINVAL, "no lane page was given");
}

static int open_output(struct shipper *shipper, const struct output_ops *ops, struct err *err)
{
    struct output_env env = {
        .event = shipper->event,
        .status = shipper->status,
        .options = role_options(shipper->context),
        .api_key = role_secret(shipper->context, OPT_OTLP_API_KEY),
        .lanes = shipper->lanes,
        .lane_count = shipper->lane_count,
        .changed = on_changed,
        .context = shipper,
    };
    int r = output_open(ops, &env, &shipper->outputs[shipper->output_count], err);

    if (r == 0)
        shipper->output_count++;
    return r;
}

static int open_outputs(struct shipper *shipper, struct err *err)
{
    const struct options *options = role_options(shipper->context);
    int r = 0;

    if (options_string(options, OPT_OTLP_ENDPOINT)[0] != '\0')
        r = open_output(shipper, &output_http_ops, err);
    if (r == 0 && options_string(options, OPT_FILE_PATH)[0] != '\0')
        r = open_output(shipper, &output_file_ops, err);
    if (r == 0 && shipper->output_count == 0)
        r = err_set(err, EINVAL, "no output is configured");
    return r;
}

/*
 * glibc loads its name service modules at the first question; after confinement it could not. The
 * name is never asked over the network.
 */
static void load_name_service(void)
{
    struct addrinfo *list = NULL;

    if (getaddrinfo("localhost", NULL, NULL, &list) == 0)
        freeaddrinfo(list);
}

int shipper_prepare(struct role_context *context, void **ret_state, struct err *err)
{
    struct shipper *shipper = calloc(1, sizeof(*shipper));
    int r;

    if (shipper == NULL)
        return err_errno(err, ENOMEM, "cannot start");
    shipper->context = context;
    shipper->event = role_event(context);
    shipper->status = role_status(context);
    load_name_service();
    r = open_lanes(shipper, err);
    if (r == 0)
        r = open_outputs(shipper, err);
    if (r == 0)
        r = retention_new(shipper->lanes, shipper->lane_count, &shipper->retention, err);
    if (r < 0) {
        shipper_fini((void **)&shipper);
        return r;
    }
    *ret_state = shipper;
    return 0;
}

static int add_sources(struct shipper *shipper, struct err *err)
{
    int door = role_fd(shipper->context, "door.shipper");
    int r;

    if (door < 0)
        return err_errno(err, -door, "no door was given");
    r = sd_event_add_io(shipper->event, &shipper->door, door, EPOLLIN, on_door, shipper);
    if (r >= 0)
        r = sd_event_add_time(shipper->event, &shipper->tick, CLOCK_MONOTONIC, 0,
                              OUTPUT_TIMER_ACCURACY_US, on_tick, shipper);
    if (r >= 0)
        r = sd_event_add_time(shipper->event, &shipper->leave, CLOCK_MONOTONIC, UINT64_MAX,
                              OUTPUT_TIMER_ACCURACY_US, on_leave, shipper);
    if (r >= 0)
        r = sd_event_source_set_enabled(shipper->leave, SD_EVENT_OFF);
    return r < 0 ? err_errno(err, -r, "cannot watch the door") : 0;
}

int shipper_start(struct role_context *context, void *state, struct err *err)
{
    struct shipper *shipper = state;
    int r = add_sources(shipper, err);

    (void)context;
    for (unsigned i = 0; i < shipper->output_count && r == 0; i++)
        r = output_start(shipper->outputs[i], err);
    return r;
}

void shipper_reload(struct role_context *context, void *state)
{
    struct shipper *shipper = state;

    for (unsigned i = 0; i < shipper->output_count; i++)
        output_reload(shipper->outputs[i], role_secret(context, OPT_OTLP_API_KEY));
}

void shipper_fini(void **state)
{
    struct shipper *shipper = *state;

    *state = NULL;
    if (shipper == NULL)
        return;
    sd_event_source_disable_unref(shipper->door);
    sd_event_source_disable_unref(shipper->tick);
    sd_event_source_disable_unref(shipper->leave);
    for (unsigned i = 0; i < shipper->output_count; i++)
        output_close(&shipper->outputs[i]);
    retention_free(&shipper->retention);
    for (unsigned i = 0; i < shipper->lane_count; i++) {
        disk_free(&shipper->lanes[i].disk);
        lane_page_close(&shipper->lanes[i].page);
    }
    disk_free(&shipper->lanes_folder);
    free(shipper);
}
