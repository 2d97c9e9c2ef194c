#include "shared/base/clock.h"
#include "shared/otlp/frame_codec.h"
#include "shared/otlp/transcode.h"
#include "shipper/file_target.h"
#include "shipper/frame_quarantine.h"
#include "shipper/output.h"

#include <errno.h>
#include <stdlib.h>

/*
 * OTLP JSON lines: one line per frame. A group of frames of one lane is written and synced, then
 * the lane's cursor says both how far the lane is and where the file ends. The file's end is the
 * highest of all lanes' cursors; so before a lane's cursor is written, the one that was written
 * before it, if it was another lane's, is synced: after a power cut the highest one is then never
 * ahead of a lower one's lines.
 *
 * Writing and syncing happen on the loop: this output has nothing else to do meanwhile, and the
 * status page says in which call it is.
 */

#define GROUP_PLAIN_BYTES (4u << 20)
/* Lines are handed to the file when so many bytes of them are there. */
#define LINES_BYTES (1u << 20)
#define KEEP_BYTES (64u << 10)

struct output_file {
    struct output output; /* first */
    struct file_target target;
    struct frame_codec *codec;
    struct disk *quarantine;
    unsigned transcode_flags;
    sd_event_source *timer; /* the next try */
    sd_event_source *more;  /* the next group, at once */
    struct parcel parcel;
    bool has_parcel; /* not delivered yet */
    bool opened;     /* the target was found or made */
    unsigned last_lane;
    struct buf plain, lines;
};

static struct output_file *file_of(struct output *output)
{
    return (struct output_file *)output;
}

/* ---- the file's place in the cursors ---- */

/* What the cursors say of the file that the path names now. */
static struct cursor_file known_place(struct output_file *file)
{
    struct source *source = file->output.source;
    struct cursor_file now, known = {0};

    if (file_target_identify(file->target.path, &now) < 0)
        return known;
    for (unsigned i = 0; i < source_lanes(source); i++) {
        struct cursor_file place = cursor_file(source_cursor(source, i));

        if (place.inode != 0 && file_target_is_same(place, now) && place.offset >= known.offset)
            known = place;
    }
    return known;
}

/*
 * A file that no cursor knows: one of them is told before the first line goes into it, or a crash
 * after that line would leave it there and write it again.
 */
static int register_place(struct output_file *file, bool is_new, struct err *err)
{
    struct cursor *cursor = source_cursor(file->output.source, file->last_lane);

    if (is_new)
        cursor_set_file(cursor, file->target.place);
    return cursor_sync(cursor, err);
}

static int open_target(struct output_file *file, struct err *err)
{
    const char *name = file->output.ops->name;
    bool other;
    uint64_t cut;
    int r = file_target_open(&file->target, known_place(file), &other, &cut, err);

    if (r < 0)
        return r;
    if (cut > 0)
        log_info("%s: cut %llu bytes of unfinished lines off %s", name, (unsigned long long)cut,
                 file->target.path);
    if (other && file->target.place.offset > 0)
        log_info("%s: %s is not the file that was written last; going on at its end", name,
                 file->target.path);
    r = register_place(file, other, err);
    file->opened = r == 0;
    return r;
}

static int check_target(struct output_file *file, struct err *err)
{
    int r;

    if (!file->opened)
        return open_target(file, err);
    r = file_target_check(&file->target, err);
    if (r <= 0)
        return r;
    log_info("%s: %s was taken away or changed; going on in the file that is there now",
             file->output.ops->name, file->target.path);
    r = register_place(file, true, err);
    /* Not known durably yet: the next try begins with it. */
    file->opened = r == 0;
    return r;
}

/* ---- frames to lines ---- */

/* Appends the frame's line to file->lines. 1: it went to quarantine instead. */
static int frame_line(struct output_file *file, uint32_t index, struct err *err)
{
    const struct parcel_frame *frame = &file->parcel.frames[index];
    struct slice payload = parcel_bytes(&file->parcel, index, index + 1);
    struct err why = {0};
    int r;

    file->plain.n = 0;
    r = frame_codec_decompress(file->codec, &frame->info, payload, &file->plain, &why);
    if (r == 0)
        r = transcode_json(buf_slice(&file->plain), file->transcode_flags, &file->lines, &why);
    if (r == 0)
        r = buf_append(&file->lines, "\n", 1);
    if (r == -EBADMSG) {
        r = frame_quarantine(file->quarantine, file->output.ops->name, &file->parcel, index,
                             why.text, err);
        return r < 0 ? r : 1;
    }
    return r < 0 ? err_errno(err, -r, "cannot make lines") : 0;
}

static int flush_lines(struct output_file *file, struct err *err)
{
    int r = file_target_write(&file->target, buf_slice(&file->lines), err);

    if (r == 0)
        file->lines.n = 0;
    return r;
}

/* Writes and syncs the parcel's lines. *ret_lost: records that went to quarantine. */
static int write_group(struct output_file *file, uint64_t *ret_lost, struct err *err)
{
    struct status_slot *status = file->output.env.status;
    int r = 0;

    file->lines.n = 0;
    *ret_lost = 0;
    for (uint32_t i = 0; i < file->parcel.count && r >= 0; i++) {
        r = frame_line(file, i, err);
        *ret_lost += r == 1 ? file->parcel.frames[i].info.records : 0;
        if (r >= 0 && file->lines.n >= LINES_BYTES)
            r = flush_lines(file, err);
        status_alive(status);
    }
    status_phase(status, STATUS_IN_SYNC);
    if (r >= 0 && file->lines.n > 0)
        r = flush_lines(file, err);
    if (r >= 0)
        r = file_target_finish(&file->target, err);
    status_phase(status, STATUS_COMPUTING);
    return r < 0 ? r : 0;
}

/* ---- groups ---- */

/* The one before was another lane's: it is made durable first (see the top). */
static int settle_lanes(struct output_file *file, struct err *err)
{
    unsigned lane = file->parcel.lane;
    int r = 0;

    if (lane != file->last_lane)
        r = cursor_sync(source_cursor(file->output.source, file->last_lane), err);
    if (r == 0)
        file->last_lane = lane;
    return r;
}

static int deliver_group(struct output_file *file, struct err *err)
{
    struct output *output = &file->output;
    uint64_t before, lost;
    int r = check_target(file, err);

    if (r >= 0)
        r = settle_lanes(file, err);
    if (r < 0)
        return r;
    before = file->target.place.offset;
    r = write_group(file, &lost, err);
    if (r < 0) {
        file_target_undo(&file->target);
        return r;
    }
    cursor_set_file(source_cursor(output->source, file->parcel.lane), file->target.place);
    output_delivered(output, &file->parcel, 0, file->parcel.count,
                     (struct output_missing){.quarantined = lost});
    status_add(output->env.status, METRIC_BYTES_OUT, file->target.place.offset - before);
    source_finished(output->source, &file->parcel);
    file->has_parcel = false;
    return 0;
}

/*
 * The newest place in the file may stand in the lane's cursor alone: without it the next start
 * would cut the file back to an older one. Lane 0 always has a processor, and stays.
 */
static int leave_lane(struct output *output, unsigned index, struct err *err)
{
    struct output_file *file = file_of(output);
    struct cursor *heir = source_cursor(output->source, 0);
    int r = check_target(file, err);

    (void)index;
    /* The lane that the place belongs to is durable first, or its lines would come twice. */
    if (r >= 0)
        r = cursor_sync(source_cursor(output->source, file->last_lane), err);
    if (r < 0)
        return r;
    file->last_lane = 0;
    cursor_set_file(heir, file->target.place);
    return cursor_sync(heir, err);
}

static void set_timer(struct output_file *file)
{
    uint64_t wake = retry_wake_ns(&file->output.retry);

    if (wake == UINT64_MAX) {
        sd_event_source_set_enabled(file->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(file->timer, wake / NS_PER_US + 1);
    sd_event_source_set_enabled(file->timer, SD_EVENT_ONESHOT);
}

static void pump(struct output *output)
{
    struct output_file *file = file_of(output);
    uint64_t now = clock_monotonic_ns();
    struct err err = {0};

    if (output->phase == OUTPUT_LEAVING || !retry_may_send(&output->retry, now))
        return;
    if (!file->has_parcel)
        file->has_parcel = output_fill(output, GROUP_PLAIN_BYTES, &file->parcel);
    if (!file->has_parcel)
        return;
    retry_sent(&output->retry);
    if (deliver_group(file, &err) < 0) {
        struct output_failure failure = {VERDICT_RETRY, err.text, now, 0};

        output_failed(output, &failure);
        set_timer(file);
    } else {
        output_succeeded(output, now);
        /* One group per turn of the loop: the control socket is heard between two. */
        sd_event_source_set_enabled(file->more, SD_EVENT_ONESHOT);
    }
    output->env.changed(output->env.context);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata)
{
    struct output_file *file = userdata;

    (void)source;
    (void)now;
    pump(&file->output);
    return 0;
}

static int on_more(sd_event_source *source, void *userdata)
{
    struct output_file *file = userdata;

    (void)source;
    pump(&file->output);
    file->output.env.changed(file->output.env.context);
    return 0;
}

static bool is_idle(const struct output *output)
{
    const struct output_file *file = (const struct output_file *)output;

    return output->phase == OUTPUT_LEAVING || (!file->has_parcel && output->exhausted);
}

/* ---- opening and closing ---- */

static int open_file(struct output *output, struct err *err)
{
    struct output_file *file = file_of(output);
    const struct options *options = output->env.options;
    sd_event *event = output->env.event;
    int r;

    file_target_init(&file->target, options_string(options, OPT_FILE_PATH));
    parcel_init(&file->parcel);
    buf_init(&file->plain, SIZE_MAX / 2);
    buf_init(&file->lines, SIZE_MAX / 2);
    if (options_is(options, OPT_RECORD_TRACE_ID, "verbatim"))
        file->transcode_flags = TRANSCODE_VERBATIM_TRACE_ID;
    r = frame_quarantine_open(options, &file->quarantine, err);
    if (r == 0)
        r = frame_codec_new(&file->codec, err);
    if (r < 0)
        return r;
    r = sd_event_add_time(event, &file->timer, CLOCK_MONOTONIC, UINT64_MAX,
                          OUTPUT_TIMER_ACCURACY_US, on_timer, file);
    if (r >= 0)
        r = sd_event_source_set_enabled(file->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_defer(event, &file->more, on_more, file);
    /* After everything else that waits: the tick, the control socket. */
    if (r >= 0)
        r = sd_event_source_set_priority(file->more, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_source_set_enabled(file->more, SD_EVENT_OFF);
    return r < 0 ? err_errno(err, -r, "cannot make a timer") : 0;
}

static int start_file(struct output *output, struct err *err)
{
    struct output_file *file = file_of(output);

    (void)err;
    log_info("%s: writing to %s", output->ops->name, file->target.path);
    return 0;
}

static void trim_file(struct output *output)
{
    struct output_file *file = file_of(output);

    if (file->has_parcel)
        return;
    file->plain.n = 0;
    file->lines.n = 0;
    buf_trim(&file->plain, KEEP_BYTES);
    buf_trim(&file->lines, KEEP_BYTES);
    parcel_reset(&file->parcel, 0, (struct cursor_position){0});
    parcel_trim(&file->parcel);
}

static void close_file(struct output *output)
{
    struct output_file *file = file_of(output);

    sd_event_source_disable_unref(file->timer);
    sd_event_source_disable_unref(file->more);
    file_target_fini(&file->target);
    frame_codec_free(&file->codec);
    disk_free(&file->quarantine);
    parcel_fini(&file->parcel);
    buf_fini(&file->plain);
    buf_fini(&file->lines);
}

const struct output_ops output_file_ops = {
    .name = "file",
    .size = sizeof(struct output_file),
    .open = open_file,
    .start = start_file,
    .pump = pump,
    .leave_lane = leave_lane,
    .is_idle = is_idle,
    .trim = trim_file,
    .close = close_file,
};
