#include "processor/stage.h"

#include "processor/lane.h"
#include "processor/leftover.h"
#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/journal/cursor.h"
#include "shared/journal/segment_layout.h"
#include "shared/role/exit.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define STAGE_LANES 100u /* lane folders have two digits */
#define STAGE_TIMER_ACCURACY_US 1u
#define STAGE_INTERVAL_NS (200 * NS_PER_MS)
/* A lane never fills the journal alone: segments are cut so that four of each lane fit. */
#define STAGE_SEGMENTS_PER_LANE 4u
#define STAGE_MIN_SEGMENT_BYTES (1u << 20)
#define STAGE_ORPHAN_QUIET_NS (500 * NS_PER_MS)

struct stage {
    struct role_context *context;
    struct lane *lane;
    struct lane_page *page;
    struct ring *rings[LANE_PAGE_RINGS];
    int receiver_bells[LANE_PAGE_RINGS];
    unsigned ring_count;
    int door; /* rung by the receivers; borrowed */
    int done_bell;

    struct disk *own; /* the lane's folder */
    struct disk *quarantine;
    struct disk *counted[STAGE_LANES + 2]; /* folders that journal.total_limit covers */
    unsigned counted_count;
    uint64_t total_limit;

    sd_event_source *timer;
    sd_event_source *again;
    bool draining;
    enum drain_reason drain_reason;
    uint64_t drain_deadline_ns;
    uint64_t quiet_since_ns; /* DRAIN_ORPHANED: the rings have been empty since */
};

static uint64_t segment_bytes(const struct stage *stage)
{
    const struct options *options = role_options(stage->context);
    uint64_t lanes = options_int(options, OPT_PROCESSOR_COUNT);
    uint64_t bytes = options_size(options, OPT_JOURNAL_SEGMENT_SIZE);
    uint64_t most = stage->total_limit / (lanes * STAGE_SEGMENTS_PER_LANE);

    if (bytes > most)
        bytes = most;
    return bytes < STAGE_MIN_SEGMENT_BYTES ? STAGE_MIN_SEGMENT_BYTES : bytes;
}

static int count_segment(void *context, const char *name)
{
    size_t n = strlen(name), suffix = strlen(SEGMENT_SUFFIX);

    if (n > suffix && strcmp(name + n - suffix, SEGMENT_SUFFIX) == 0)
        ++*(unsigned *)context;
    return 0;
}

/*
 * The journal's share of the disk: asked by the sync thread before it makes a segment. A lane that
 * holds nothing but its present segment may always have one more: waiting would never end, for the
 * present one is not removed before it has a successor.
 */
static int may_grow(void *context, uint64_t bytes, struct err *err)
{
    struct stage *stage = context;
    uint64_t used = 0;
    unsigned segments = 0;

    for (unsigned i = 0; i < stage->counted_count; i++) {
        int64_t n = stage->counted[i]->ops->usage(stage->counted[i]);

        if (n > 0)
            used += (uint64_t)n;
    }
    if (used + bytes <= stage->total_limit)
        return 0;
    if (stage->own->ops->list(stage->own, count_segment, &segments) == 0 && segments <= 1)
        return 0;
    return err_set(err, ENOSPC,
                   "journal, backup and quarantine hold %" PRIu64
                   " MiB, journal.total_limit is %" PRIu64 " MiB",
                   used >> 20, stage->total_limit >> 20);
}

/* ---- prepare ---- */

static int open_folder(const char *data_dir, const char *name, bool make, struct disk **ret_disk,
                       struct err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", data_dir, name) >= (int)sizeof(path))
        return err_set(err, ENAMETOOLONG, "the path of %s is too long", name);
    return disk_posix_open(path, make, ret_disk, err);
}

static int open_folders(struct stage *stage, struct err *err)
{
    const char *data_dir = options_string(role_options(stage->context), OPT_DATA_DIR);
    struct disk *backup;
    char name[32];
    int r;

    snprintf(name, sizeof(name), "lanes/%02u", role_index(stage->context));
    r = open_folder(data_dir, name, true, &stage->own, err);
    if (r == 0)
        r = open_folder(data_dir, "quarantine", true, &stage->quarantine, err);
    if (r < 0)
        return r;
    stage->counted[stage->counted_count++] = stage->quarantine;
    if (open_folder(data_dir, "backup", false, &backup, NULL) == 0)
        stage->counted[stage->counted_count++] = backup;
    for (unsigned i = 0; i < STAGE_LANES; i++) {
        struct disk *disk;

        snprintf(name, sizeof(name), "lanes/%02u", i);
        if (open_folder(data_dir, name, false, &disk, NULL) == 0)
            stage->counted[stage->counted_count++] = disk;
    }
    return 0;
}

static int open_ring(struct stage *stage, unsigned receiver, struct err *err)
{
    char name[32];
    int fd, bell;

    snprintf(name, sizeof(name), "ring.%u", receiver);
    fd = role_fd(stage->context, name);
    snprintf(name, sizeof(name), "door.receiver.%u", receiver);
    bell = role_fd(stage->context, name);
    if (fd < 0 || bell < 0)
        return err_set(err, EINVAL, "the ring or the bell of receiver %u was not given", receiver);
    stage->receiver_bells[receiver] = bell;
    stage->ring_count = receiver + 1;
    return ring_open(fd, &stage->rings[receiver], err);
}

static int open_shared_memory(struct stage *stage, struct err *err)
{
    uint64_t receivers = options_int(role_options(stage->context), OPT_RECEIVER_COUNT);
    int fd = role_fd(stage->context, "lane_page");
    int r;

    stage->door = role_fd(stage->context, "door.processor");
    if (fd < 0 || stage->door < 0)
        return err_set(err, EINVAL, "the lane page or the processor's bell was not given");
    r = lane_page_open(fd, true, &stage->page, err);
    for (unsigned i = 0; r == 0 && i < receivers && i < LANE_PAGE_RINGS; i++)
        r = open_ring(stage, i, err);
    return r;
}

/* Processor 0 looks after lanes that no processor owns. */
static int recover_leftovers(struct stage *stage, struct err *err)
{
    const char *data_dir = options_string(role_options(stage->context), OPT_DATA_DIR);

    for (unsigned i = 0; i < STAGE_LANES; i++) {
        struct lane_page *page;
        struct lane_state state;
        struct disk *disk;
        char name[32];
        int fd, r;

        snprintf(name, sizeof(name), "lane_page.%u", i);
        fd = role_fd(stage->context, name);
        if (fd < 0)
            continue;
        r = lane_page_open(fd, true, &page, err);
        if (r < 0)
            return r;
        snprintf(name, sizeof(name), "lanes/%02u", i);
        r = open_folder(data_dir, name, false, &disk, err);
        if (r == -ENOENT && lane_page_read(page, &state)) {
            lane_page_close(&page); /* delivered and removed since a predecessor recovered it */
            continue;
        }
        if (r == 0) {
            r = leftover_recover(disk, stage->quarantine, page, segment_bytes(stage), err);
            disk_free(&disk);
        }
        lane_page_close(&page);
        if (r < 0)
            return r;
        log_info("lane %u has no processor any more; it is delivered to its end", i);
    }
    return 0;
}

static int stage_prepare(struct role_context *context, void **ret_state, struct err *err)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    int r;

    if (stage == NULL)
        return err_errno(err, ENOMEM, "cannot prepare");
    *ret_state = stage;
    stage->context = context;
    stage->total_limit = options_size(role_options(context), OPT_JOURNAL_TOTAL_LIMIT);
    stage->done_bell = fd_bell_new();
    if (stage->done_bell < 0)
        return err_errno(err, -stage->done_bell, "cannot make a bell");
    r = open_folders(stage, err);
    if (r == 0)
        r = open_shared_memory(stage, err);
    return r;
}

/* ---- start ---- */

static enum convert_trace_id trace_id_mode(const struct options *options)
{
    if (options_is(options, OPT_RECORD_TRACE_ID, "strict"))
        return CONVERT_TRACE_STRICT;
    if (options_is(options, OPT_RECORD_TRACE_ID, "verbatim"))
        return CONVERT_TRACE_VERBATIM;
    return CONVERT_TRACE_PAD;
}

static enum record_service service_mode(const struct options *options)
{
    if (options_is(options, OPT_RECORD_SERVICE, "never"))
        return RECORD_SERVICE_NEVER;
    if (options_is(options, OPT_RECORD_SERVICE, "any"))
        return RECORD_SERVICE_ANY;
    return RECORD_SERVICE_NAMED;
}

static enum frame_codec_id frame_codec_of(const struct options *options)
{
    if (options_is(options, OPT_JOURNAL_COMPRESSION, "zstd"))
        return FRAME_ZSTD;
    if (options_is(options, OPT_JOURNAL_COMPRESSION, "none"))
        return FRAME_NONE;
    return FRAME_GZIP;
}

static void fill_config(struct stage *stage, struct lane_config *config)
{
    const struct options *options = role_options(stage->context);

    *config = (struct lane_config){
        .index = role_index(stage->context),
        .disk = stage->own,
        .quarantine = stage->quarantine,
        .page = stage->page,
        .ring_count = stage->ring_count,
        .done_bell = stage->done_bell,
        .shipper_bell = role_fd(stage->context, "door.shipper"),
        .status = role_status(stage->context),
        .convert =
            {
                .service_name = options_string(options, OPT_SERVICE_NAME),
                .environment = options_string(options, OPT_ENVIRONMENT),
                .self_name = options_string(options, OPT_SELF_NAME),
                .self_version = SLUICE_VERSION,
                .self_host = options_string(options, OPT_SELF_HOST),
                .resource_attributes = options_string(options, OPT_RESOURCE_ATTRIBUTES),
                .trace_id = trace_id_mode(options),
                .service = service_mode(options),
                .parse_text = options_bool(options, OPT_RECORD_PARSE_TEXT),
                .is_limited = options_is(options, OPT_OTLP_PROFILE, "dash0"),
                .max_decompressed = options_size(options, OPT_PROCESSOR_MAX_DECOMPRESSED),
            },
        .codec = frame_codec_of(options),
        .segment_bytes = segment_bytes(stage),
        .linger_ns = options_time_ms(options, OPT_JOURNAL_LINGER) * NS_PER_MS,
        .interval_ns = options_is(options, OPT_JOURNAL_SYNC, "interval") ? STAGE_INTERVAL_NS : 0,
        .window_keys = (uint32_t)options_int(options, OPT_RESEND_WINDOW),
        .window_ns = options_time_ms(options, OPT_RESEND_TIME) * NS_PER_MS,
        .may_grow = may_grow,
        .context = stage,
    };
    memcpy(config->rings, stage->rings, sizeof(config->rings));
    memcpy(config->receiver_bells, stage->receiver_bells, sizeof(config->receiver_bells));
}

static int make_lane(struct stage *stage, struct err *err)
{
    const struct options *options = role_options(stage->context);
    struct lane_recovered found = {0};
    struct lane_config config;
    char cursors[PATH_MAX];
    int r;

    fill_config(stage, &config);
    snprintf(cursors, sizeof(cursors), "%s/cursors", options_string(options, OPT_DATA_DIR));
    r = cursor_peek_all(cursors, config.index, &config.cursor_sequence, err);
    if (r == 0)
        r = lane_new(&config, &stage->lane, &found, err);
    if (r == 0)
        r = lane_start(stage->lane, err);
    if (r < 0)
        return r;
    log_info("lane %u recovered %s: next batch %" PRIu64, config.index,
             found.warm ? "warm" : "cold", found.next_sequence);
    if (found.batches_rewritten > 0)
        log_info("batches beyond the durable end, written again: %" PRIu64,
                 found.batches_rewritten);
    if (found.batches_bad > 0)
        log_error("damaged places in the last segment: %" PRIu64 "; what is whole is kept",
                  found.batches_bad);
    if (found.bytes_cut > 0)
        log_warn("bytes that were no whole batch, kept in quarantine: %" PRIu64, found.bytes_cut);
    return 0;
}

/* ---- run ---- */

/* True where this process has nothing left to do before it leaves. */
static bool may_leave(struct stage *stage, uint64_t now_ns)
{
    if (!lane_is_drained(stage->lane)) {
        stage->quiet_since_ns = 0;
        return now_ns >= stage->drain_deadline_ns;
    }
    if (stage->drain_reason != DRAIN_ORPHANED)
        return true;
    /* The receivers finish at the same time: what they still put into the rings is taken too. */
    if (stage->quiet_since_ns == 0)
        stage->quiet_since_ns = now_ns;
    return now_ns - stage->quiet_since_ns >= STAGE_ORPHAN_QUIET_NS ||
           now_ns >= stage->drain_deadline_ns;
}

static void arm_timer(struct stage *stage, uint64_t wait_ns)
{
    uint64_t wait_us = (wait_ns + NS_PER_US - 1) / NS_PER_US;

    sd_event_source_set_time_relative(stage->timer, wait_us);
    sd_event_source_set_enabled(stage->timer, SD_EVENT_ONESHOT);
}

static void turn(struct stage *stage)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t wait_ns = 0;
    enum lane_want want = lane_turn(stage->lane, now_ns, &wait_ns);

    if (stage->draining) {
        if (may_leave(stage, now_ns)) {
            role_drained(stage->context);
            return;
        }
        if (want == LANE_SLEEP) {
            want = LANE_TIMER;
            wait_ns = 20 * NS_PER_MS;
        }
    }
    if (want == LANE_AGAIN)
        sd_event_source_set_enabled(stage->again, SD_EVENT_ONESHOT);
    else if (want == LANE_TIMER)
        arm_timer(stage, wait_ns);
}

static int on_bell(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    fd_bell_clear(fd);
    turn(userdata);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    turn(userdata);
    return 0;
}

static int on_again(sd_event_source *source, void *userdata)
{
    (void)source;
    turn(userdata);
    return 0;
}

static int add_sources(struct stage *stage, struct err *err)
{
    sd_event *event = role_event(stage->context);
    int r = sd_event_add_io(event, NULL, stage->door, EPOLLIN, on_bell, stage);

    if (r >= 0)
        r = sd_event_add_io(event, NULL, stage->done_bell, EPOLLIN, on_bell, stage);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &stage->timer, CLOCK_MONOTONIC, 0,
                                       STAGE_TIMER_ACCURACY_US, on_timer, stage);
    if (r >= 0)
        r = sd_event_source_set_enabled(stage->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_defer(event, &stage->again, on_again, stage);
    /* A busy lane must not starve the supervisor's messages and the timers. */
    if (r >= 0)
        r = sd_event_source_set_priority(stage->again, SD_EVENT_PRIORITY_IDLE);
    return r < 0 ? err_errno(err, -r, "cannot set up the event loop") : 0;
}

static int stage_start(struct role_context *context, void *state, struct err *err)
{
    struct stage *stage = state;
    int r = 0;

    if (role_index(context) == 0)
        r = recover_leftovers(stage, err);
    if (r == 0)
        r = make_lane(stage, err);
    if (r == 0)
        r = add_sources(stage, err);
    if (r < 0)
        return r;
    /* Verdicts that a predecessor committed and did not say are published now. */
    for (unsigned i = 0; i < stage->ring_count; i++)
        fd_bell_ring(stage->receiver_bells[i]);
    fd_bell_ring(role_fd(context, "door.shipper"));
    return 0;
}

static void stage_drain(struct role_context *context, void *state, enum drain_reason reason,
                        uint64_t deadline_ns)
{
    struct stage *stage = state;

    (void)context;
    if (stage->lane == NULL) {
        role_drained(context);
        return;
    }
    stage->draining = true;
    stage->drain_reason = reason;
    stage->drain_deadline_ns = deadline_ns;
    lane_drain(stage->lane, reason != DRAIN_RESTART);
    turn(stage);
}

static void stage_fini(void **state)
{
    struct stage *stage = *state;

    if (stage == NULL)
        return;
    sd_event_source_unref(stage->timer);
    sd_event_source_unref(stage->again);
    lane_free(&stage->lane);
    for (unsigned i = 0; i < stage->ring_count; i++)
        ring_close(&stage->rings[i]);
    lane_page_close(&stage->page);
    for (unsigned i = 0; i < stage->counted_count; i++) {
        if (stage->counted[i] != stage->quarantine)
            disk_free(&stage->counted[i]);
    }
    disk_free(&stage->quarantine);
    disk_free(&stage->own);
    fd_close(&stage->done_bell);
    free(stage);
    *state = NULL;
}

const struct role processor_role = {
    .name = "processor",
    .prepare = stage_prepare,
    .start = stage_start,
    .drain = stage_drain,
    .reload = NULL,
    .fini = stage_fini,
};
