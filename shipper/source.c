#include "shipper/source.h"

#include "shared/journal/reader.h"

#include <errno.h>
#include <stdlib.h>

struct lane {
    const struct source_lane *shared;
    struct cursor *cursor;
    struct journal_reader *reader; /* NULL: the lane is retired */
    struct cursor_position at;     /* all before it is done or under way */
    struct cursor_position limit;  /* a piece that is done already begins here */
    struct journal_frame frame;    /* read and not yet handed out, where has_frame */
    bool has_frame;
    bool placed;        /* the reader stands at `at` */
    bool rewind;        /* a piece was forgotten: read from the prefix again */
    unsigned under_way; /* parcels */
};

struct source {
    unsigned count;
    unsigned turn;    /* the lane that is asked first */
    uint64_t skipped; /* in lanes that are retired */
    struct lane lanes[];
};

static int lane_open(struct lane *lane, struct disk *folder, unsigned *damaged, struct err *err)
{
    enum cursor_found found;
    int r = cursor_open(folder, lane->shared->number, &lane->cursor, &found, err);

    if (r < 0)
        return r;
    *damaged += found == CURSOR_DAMAGED;
    return reader_open(lane->shared->disk, lane->shared->page, &lane->reader, err);
}

int source_open(struct disk *folder, const struct source_lane *lanes, unsigned count,
                struct source **ret_source, unsigned *ret_damaged, struct err *err)
{
    struct source *source = calloc(1, sizeof(*source) + count * sizeof(source->lanes[0]));
    unsigned damaged = 0;
    int r = 0;

    if (source == NULL)
        return err_errno(err, ENOMEM, "cannot open an output's source");
    source->count = count;
    for (unsigned i = 0; i < count && r == 0; i++) {
        source->lanes[i].shared = &lanes[i];
        r = lane_open(&source->lanes[i], folder, &damaged, err);
    }
    if (r < 0) {
        source_close(&source);
        return r;
    }
    *ret_source = source;
    *ret_damaged = damaged;
    return 0;
}

void source_close(struct source **source)
{
    if (*source == NULL)
        return;
    for (unsigned i = 0; i < (*source)->count; i++) {
        reader_close(&(*source)->lanes[i].reader);
        cursor_close(&(*source)->lanes[i].cursor);
    }
    free(*source);
    *source = NULL;
}

/* Puts the reader at the first thing at or after `at` that is not done. */
static int place(struct lane *lane, struct err *err)
{
    struct cursor_position from, limit;
    int r;

    cursor_ranges_next(cursor_done(lane->cursor), lane->at, &from, &limit);
    r = reader_seek(lane->reader, from.sequence, from.frame, err);
    if (r < 0)
        return r;
    lane->at = from;
    lane->limit = limit;
    lane->has_frame = false;
    lane->placed = true;
    return 0;
}

/* The next frame stands in lane->frame: 1; 0: nothing is there; -errno. */
static int next_frame(struct lane *lane, struct err *err)
{
    int r;

    if (lane->has_frame)
        return 1;
    r = reader_next(lane->reader, &lane->frame, err);
    lane->has_frame = r > 0;
    return r;
}

/* Where the part of the frame that is not done begins. */
static struct cursor_position frame_start(const struct lane *lane)
{
    const struct journal_frame *frame = &lane->frame;
    struct cursor_position start = {frame->sequence, frame->index, 0};

    return cursor_compare(start, lane->at) < 0 ? lane->at : start;
}

/* Whether a position lies behind the frame's first record, and not behind its last. */
static bool is_inside(const struct journal_frame *frame, struct cursor_position position)
{
    return position.sequence == frame->sequence && position.frame == frame->index &&
           position.record > 0;
}

/*
 * Adds the part of the lane's frame that is not done: all of it, but where an output has been
 * stopped with a frame half delivered.
 */
static int add_frame(struct lane *lane, struct parcel *parcel)
{
    const struct journal_frame *frame = &lane->frame;
    uint32_t first = is_inside(frame, lane->at) ? lane->at.record : 0;
    uint32_t end = frame->records;
    int r = 0;

    if (is_inside(frame, lane->limit) && lane->limit.record < end)
        end = lane->limit.record;
    if (first < end)
        r = parcel_add_part(parcel, frame, first, end);
    if (r < 0)
        return r;
    if (end < frame->records) {
        lane->at = lane->limit; /* and the frame stays, for what is behind the piece */
    } else {
        lane->at = parcel_after(frame);
        lane->has_frame = false;
    }
    return 0;
}

/*
 * The lane has come to a piece that is done. What lies between the last frame and the piece was
 * skipped by the reader: it is marked, or the prefix would stay before it for ever.
 */
static int pass_piece(struct lane *lane, struct err *err)
{
    struct cursor_range gap = {lane->at, lane->limit};
    struct cursor_range forgotten;

    lane->rewind |= cursor_mark(lane->cursor, &gap, 0, &forgotten);
    lane->at = lane->limit;
    lane->placed = false;
    return place(lane, err);
}

static bool fits(const struct parcel *parcel, const struct journal_frame *frame, uint64_t max)
{
    if (parcel->count == 0)
        return true;
    return parcel->count < PARCEL_MAX_FRAMES && frame->codec == parcel->frames[0].info.codec &&
           parcel->plain_bytes + frame->plain_bytes <= max;
}

/*
 * The reader has nothing more, and nothing is under way: batches at the end that hold no frames,
 * or none that could be read, are passed. Only those that the reader has really been at: a mistake
 * here would lose records, and not passing costs nothing but a segment that stays a while longer.
 */
static void pass_rest(struct lane *lane)
{
    struct cursor_range rest = {lane->at, {reader_finished(lane->reader) + 1, 0, 0}};
    struct cursor_range forgotten;

    if (cursor_compare(rest.from, rest.to) >= 0)
        return;
    lane->rewind |= cursor_mark(lane->cursor, &rest, 0, &forgotten);
    lane->at = rest.to;
}

/* 1: the parcel has frames; 0: the lane has nothing; -errno. */
static int lane_fill(struct lane *lane, unsigned index, uint64_t max, struct parcel *parcel,
                     struct err *err)
{
    struct lane_state state;
    int r = 0;

    if (lane->reader == NULL || !lane_page_read(lane->shared->page, &state))
        return 0; /* or recovery has not finished */
    if (lane->rewind && lane->under_way == 0) {
        lane->at = cursor_done(lane->cursor)->done;
        lane->rewind = lane->placed = false;
    }
    if (!lane->placed && (r = place(lane, err)) < 0)
        return r;
    parcel_reset(parcel, index, lane->at);
    while ((r = next_frame(lane, err)) > 0) {
        if (cursor_compare(frame_start(lane), lane->limit) >= 0) {
            if (parcel->count > 0)
                break;
            r = pass_piece(lane, err);
            if (r < 0)
                return r;
            parcel_reset(parcel, index, lane->at);
            continue;
        }
        if (!fits(parcel, &lane->frame, max))
            break;
        r = add_frame(lane, parcel);
        if (r < 0)
            break;
    }
    if (parcel->count > 0)
        return 1; /* an error shows at the next call */
    if (r == 0 && lane->under_way == 0)
        pass_rest(lane);
    if (r == -ENOMEM)
        return err_errno(err, ENOMEM, "cannot take a frame of the journal");
    return r;
}

int source_fill(struct source *source, uint64_t max_plain_bytes, struct parcel *parcel,
                struct err *err)
{
    int failed = 0;

    for (unsigned i = 0; i < source->count; i++) {
        unsigned index = (source->turn + i) % source->count;
        int r = lane_fill(&source->lanes[index], index, max_plain_bytes, parcel, err);

        if (r > 0) {
            source->lanes[index].under_way++;
            source->turn = (index + 1) % source->count;
            return 1;
        }
        if (r < 0)
            failed = r; /* the other lanes may still have something */
    }
    return failed;
}

int source_done(struct source *source, const struct parcel *parcel, uint32_t first, uint32_t end,
                struct err *err)
{
    struct lane *lane = &source->lanes[parcel->lane];
    struct cursor_range range = parcel_range(parcel, first, end);
    struct cursor_range forgotten;

    lane->rewind |=
        cursor_mark(lane->cursor, &range, parcel_records(parcel, first, end), &forgotten);
    return cursor_write(lane->cursor, err);
}

void source_finished(struct source *source, const struct parcel *parcel)
{
    source->lanes[parcel->lane].under_way--;
}

int source_sync(struct source *source, struct err *err)
{
    int result = 0;

    for (unsigned i = 0; i < source->count; i++) {
        int r;

        if (!cursor_is_dirty(source->lanes[i].cursor))
            continue;
        r = cursor_sync(source->lanes[i].cursor, err);
        if (r < 0)
            result = r;
        else if (result == 0)
            result = 1;
    }
    return result;
}

bool source_is_dirty(const struct source *source)
{
    for (unsigned i = 0; i < source->count; i++)
        if (cursor_is_dirty(source->lanes[i].cursor))
            return true;
    return false;
}

struct cursor *source_cursor(struct source *source, unsigned index)
{
    return source->lanes[index].cursor;
}

unsigned source_lanes(const struct source *source)
{
    return source->count;
}

/*
 * The cursor counts records from the lane's first. One that began later (a new output, a damaged
 * cursor) or met a skipped batch counts too few: when everything is delivered, the lane page says
 * what the right number is.
 */
static uint64_t lane_lag(const struct lane *lane)
{
    const struct cursor_ranges *done = cursor_done(lane->cursor);
    uint64_t records = cursor_records(lane->cursor);
    struct lane_state state;

    if (!lane_page_read(lane->shared->page, &state))
        return 0;
    if (lane->under_way == 0 && done->count == 0 && done->done.sequence >= state.next_sequence) {
        cursor_set_records(lane->cursor, state.records);
        return 0;
    }
    return state.records > records ? state.records - records : 0;
}

uint64_t source_lag(const struct source *source)
{
    uint64_t lag = 0;

    for (unsigned i = 0; i < source->count; i++)
        lag += lane_lag(&source->lanes[i]);
    return lag;
}

static uint64_t lane_skipped(const struct lane *lane)
{
    const struct reader_counts *counts;

    if (lane->reader == NULL)
        return 0;
    counts = reader_counts(lane->reader);
    return counts->bad_batches + counts->bad_frames;
}

uint64_t source_skipped(const struct source *source)
{
    uint64_t skipped = source->skipped;

    for (unsigned i = 0; i < source->count; i++)
        skipped += lane_skipped(&source->lanes[i]);
    return skipped;
}

void source_retire(struct source *source, unsigned index)
{
    struct lane *lane = &source->lanes[index];

    source->skipped += lane_skipped(lane);
    reader_close(&lane->reader);
    lane->has_frame = lane->placed = false;
}
