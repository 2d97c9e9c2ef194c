#include "processor/lane.h"

#include "processor/committer.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/journal/batch.h"
#include "shared/journal/recovery.h"
#include "shared/journal/resend_window.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LANE_BATCH_MAX_BYTES (1ull << 30)
#define LANE_BATCH_KEEP_BYTES (4u << 20)
#define LANE_FULL_PLAIN_BYTES (8u << 20) /* a batch with so much is full: see full_bytes */
#define LANE_FULL_CHUNKS 8192u
#define LANE_TURN_CHUNKS 256u /* taken between two looks at the event loop */
#define LANE_REPLY_WAIT_NS NS_PER_MS
#define LANE_RETRY_NS (500 * NS_PER_MS)
#define LANE_CONFIRM_NS NS_PER_S /* ends of connections alone wait for company for so long */
#define LANE_COPY_KEEP_BYTES (1u << 20)
#define LANE_MAX_ENTRY_BYTES (3ull << 30)

struct lane_ring {
    struct ring *ring;
    uint64_t replies; /* index of the next verdict */
    bool broken;
};

/* Lines about chunks that go out in a row, and the time that they are counted in. */
#define COMPLAINTS 50u
#define COMPLAINTS_NS (10 * NS_PER_S)

struct lane {
    struct lane_config config;
    uint64_t complaints_ns; /* when the first of these came */
    unsigned complaints, left_out;
    struct lane_ring rings[LANE_PAGE_RINGS];
    struct resend_window *window;
    struct journal_writer *writer;
    struct committer *committer;
    struct converter *converter;
    struct frame_builder *builder;

    /* the batch that is collected */
    struct batch batches[2];
    unsigned current;       /* of batches */
    unsigned chunks;        /* entries taken into it, of any kind */
    unsigned verdicts;      /* of them, those that a sender waits for */
    uint64_t plain_bytes;   /* in its finished frames */
    struct batch_mark mark; /* where the chunk that is converted is cut off if it is damaged */
    uint64_t mark_plain;    /* plain_bytes there */
    uint64_t first_ns;      /* when its first entry was taken; CLOCK_MONOTONIC */
    uint64_t first_received_ns, last_received_ns;
    uint64_t first_time_ns, last_time_ns;
    struct quarantine_list quarantine;
    unsigned stored; /* chunks that became records of it */
    bool full;       /* the next entry did not fit */

    /* the batch that is under way */
    struct commit_job job;
    struct buf saved_window;
    unsigned sealed_chunks;
    bool under_way;
    bool failed; /* to be started again at retry_ns */
    uint64_t retry_ns;
    uint64_t started_ns;

    struct lane_state state;     /* as published last */
    struct commit_record totals; /* cumulative counts */
    struct buf copy;             /* the entry that is converted */
    uint64_t taking;             /* the entry that is taken: numbers its quarantine file */
    unsigned next_ring;
    bool draining, take;
};

/* ---- start ---- */

static uint8_t *sink_reserve(void *context, size_t max_bytes)
{
    struct lane *lane = context;

    return batch_frame_reserve(&lane->batches[lane->current], max_bytes);
}

static int sink_commit(void *context, const struct frame_info *info, size_t bytes)
{
    struct lane *lane = context;
    int r = batch_frame_commit(&lane->batches[lane->current], info, bytes);

    if (r == 0)
        lane->plain_bytes += info->plain_bytes;
    return r;
}

/* What is in the batch now is there to stay: the frames that follow are this chunk's own. */
static void sink_keep(void *context)
{
    struct lane *lane = context;

    lane->mark = batch_mark(&lane->batches[lane->current]);
    lane->mark_plain = lane->plain_bytes;
}

static int make_parts(struct lane *lane, struct err *err)
{
    const struct lane_config *config = &lane->config;
    const struct frame_sink sink = {sink_reserve, sink_commit, sink_keep, lane};
    const struct writer_config writer = {
        .lane = config->index,
        .segment_bytes = config->segment_bytes,
        .may_grow = config->may_grow,
        .context = config->context,
    };
    int r;

    batch_init(&lane->batches[0], LANE_BATCH_MAX_BYTES);
    batch_init(&lane->batches[1], LANE_BATCH_MAX_BYTES);
    buf_init(&lane->copy, LANE_MAX_ENTRY_BYTES);
    buf_init(&lane->saved_window, LANE_BATCH_MAX_BYTES);
    r = converter_new(&config->convert, &lane->converter, err);
    if (r == 0)
        r = frame_builder_new(config->codec, &sink, &lane->builder, err);
    if (r == 0)
        r = resend_window_new(config->window_keys, config->window_ns, &lane->window, err);
    if (r == 0)
        r = writer_new(config->disk, &writer, &lane->writer, err);
    return r;
}

/* True where the page speaks of these very rings, so what is behind it is in them. */
static bool is_warm(const struct lane *lane, const struct lane_state *state)
{
    for (unsigned i = 0; i < lane->config.ring_count; i++) {
        if (state->ring_identity[i] != ring_identity(lane->config.rings[i]))
            return false;
    }
    return true;
}

static int recover(struct lane *lane, struct lane_recovered *ret_recovered, struct err *err)
{
    const struct recovery recovery = {
        .disk = lane->config.disk,
        .quarantine = lane->config.quarantine,
        .lane = lane->config.index,
        .segment_bytes = lane->config.segment_bytes,
        .now_ns = clock_realtime_ns(),
        .window = lane->window,
    };
    struct recovery_result result;
    struct lane_state state;
    bool warm = lane_page_read(lane->config.page, &state) && is_warm(lane, &state);
    int r;

    if (warm) {
        struct writer_position position = {state.segment, state.end, state.records};

        r = recovery_warm(&recovery, &position, &result, err);
        result.next_sequence = state.next_sequence;
    } else {
        state = (struct lane_state){0};
        r = recovery_cold(&recovery, &result, err);
    }
    if (r < 0)
        return r;
    writer_resume(lane->writer, &result.position);
    state.segment = result.position.segment;
    state.end = result.position.end;
    state.records = result.position.records;
    state.next_sequence = result.next_sequence > lane->config.cursor_sequence
                              ? result.next_sequence
                              : lane->config.cursor_sequence;
    lane->state = state;
    lane->totals = result.totals;
    *ret_recovered = (struct lane_recovered){
        .warm = warm,
        .next_sequence = state.next_sequence,
        .batches_rewritten = result.batches_rewritten,
        .batches_bad = result.batches_bad,
        .bytes_cut = result.bytes_cut,
    };
    return 0;
}

static int attach_rings(struct lane *lane, struct err *err)
{
    for (unsigned i = 0; i < lane->config.ring_count; i++) {
        struct lane_ring *r = &lane->rings[i];
        int result;

        r->ring = lane->config.rings[i];
        r->replies = lane->state.replies[i];
        lane->state.ring_identity[i] = ring_identity(r->ring);
        result = ring_consumer_attach(r->ring, lane->state.consumer[i], r->replies, err);
        if (result < 0)
            return result;
    }
    return 0;
}

int lane_new(const struct lane_config *config, struct lane **ret_lane,
             struct lane_recovered *ret_recovered, struct err *err)
{
    struct lane *lane = calloc(1, sizeof(*lane));
    int r;

    if (lane == NULL)
        return err_errno(err, ENOMEM, "cannot make a lane");
    lane->config = *config;
    r = make_parts(lane, err);
    if (r == 0)
        r = recover(lane, ret_recovered, err);
    if (r == 0)
        r = attach_rings(lane, err);
    if (r < 0) {
        lane_free(&lane);
        return r;
    }
    lane_page_publish(config->page, &lane->state);
    *ret_lane = lane;
    return 0;
}

void lane_free(struct lane **lane)
{
    struct lane *l = *lane;

    if (l == NULL)
        return;
    committer_free(&l->committer);
    writer_free(&l->writer);
    resend_window_free(&l->window);
    frame_builder_free(&l->builder);
    converter_free(&l->converter);
    batch_fini(&l->batches[0]);
    batch_fini(&l->batches[1]);
    quarantine_clear(&l->quarantine);
    quarantine_clear(&l->job.quarantine);
    buf_fini(&l->copy);
    buf_fini(&l->saved_window);
    free(l);
    *lane = NULL;
}

int lane_start(struct lane *lane, struct err *err)
{
    const struct committer_config config = {
        .writer = lane->writer,
        .page = lane->config.page,
        .quarantine = lane->config.quarantine,
        .status = lane->config.status,
        .done_bell = lane->config.done_bell,
        .shipper_bell = lane->config.shipper_bell,
    };

    return committer_new(&config, &lane->committer, err);
}

/* ---- taking ---- */

/* Copies the entry's variable part and makes a chunk over the copy. */
static int copy_chunk(struct lane *lane, const struct ring_taken *taken, struct chunk *ret_chunk)
{
    const struct ring_entry *e = &taken->entry;
    size_t n = e->length - sizeof(*e);
    const uint8_t *p;

    lane->copy.n = 0;
    if (buf_reserve(&lane->copy, n) < 0)
        return -ENOMEM;
    if (n > 0)
        memcpy(lane->copy.p, taken->peer.p, n);
    p = lane->copy.p;
    *ret_chunk = (struct chunk){
        .carrier = e->carrier == RING_MESSAGE   ? CHUNK_MESSAGE
                   : e->carrier == RING_FORWARD ? CHUNK_FORWARD
                                                : CHUNK_PACKED,
        .compression = e->compression == RING_GZIP   ? CHUNK_GZIP
                       : e->compression == RING_ZSTD ? CHUNK_ZSTD
                                                     : CHUNK_PLAIN,
        .signal = e->signal == 1   ? CHUNK_METRICS
                  : e->signal == 2 ? CHUNK_TRACES
                                   : CHUNK_LOGS,
        .json = e->flags & RING_JSON,
        .peer = slice_of(p, e->peer_bytes),
        .tag = slice_of(p + e->peer_bytes, e->tag_bytes),
        .options = slice_of(p + e->peer_bytes + e->tag_bytes + e->id_bytes, e->option_bytes),
        .payload = slice_of(p + e->peer_bytes + e->tag_bytes + e->id_bytes + e->option_bytes,
                            e->payload_bytes),
        .received_ns = e->received_ns,
        .entries_declared = e->declared,
    };
    return 0;
}

static void widen(uint64_t *first, uint64_t *last, uint64_t from, uint64_t to)
{
    if (*first == 0 || from < *first)
        *first = from;
    if (to > *last)
        *last = to;
}

/* Whether a line about a chunk may go out. A client could cause any number. */
static bool may_complain(struct lane *lane, const struct chunk *chunk)
{
    if (chunk->received_ns - lane->complaints_ns >= COMPLAINTS_NS) {
        if (lane->left_out > 0)
            log_warn("%u lines about chunks in quarantine were left out", lane->left_out);
        lane->complaints_ns = chunk->received_ns;
        lane->complaints = lane->left_out = 0;
    }
    if (lane->complaints++ < COMPLAINTS)
        return true;
    lane->left_out++;
    return false;
}

static int put_in_quarantine(struct lane *lane, const struct chunk *chunk, const char *reason)
{
    struct slice tag = chunk->tag, peer = chunk->peer;
    int r = quarantine_add(&lane->quarantine, chunk, reason, lane->config.index, lane->taking);

    if (r < 0)
        return r;
    lane->totals.chunks_quarantined++;
    status_add(lane->config.status, METRIC_CHUNKS_QUARANTINED, 1);
    if (may_complain(lane, chunk))
        log_warn("chunk of %zu bytes put in quarantine: %s (tag %.*s, from %.*s)", chunk->payload.n,
                 reason, (int)(tag.n < 64 ? tag.n : 64), (const char *)tag.p,
                 (int)(peer.n < 64 ? peer.n : 64), (const char *)peer.p);
    return 0;
}

/*
 * Entries that are no events, or a chunk that ends inside one: the good ones are in the batch. The
 * others are lost to the outputs, and acknowledged: they are counted, and the chunk's bytes kept.
 */
static void keep_damaged(struct lane *lane, const struct chunk *chunk,
                         const struct convert_result *result)
{
    uint64_t bad = result->dropped_invalid + result->truncated;
    char reason[128];
    bool kept;

    lane->totals.records_invalid += bad;
    status_add(lane->config.status, METRIC_RECORDS_INVALID, bad);
    if (result->dropped_invalid == 0)
        snprintf(reason, sizeof(reason),
                 "it ends inside an entry; what stands before that is delivered");
    else
        snprintf(reason, sizeof(reason),
                 "%" PRIu64 " of its entries are no time and record%s; the others are delivered",
                 result->dropped_invalid, result->truncated > 0 ? ", and it ends inside one" : "");
    kept = quarantine_add(&lane->quarantine, chunk, reason, lane->config.index, lane->taking) == 0;
    if (may_complain(lane, chunk))
        log_warn("chunk of %zu bytes: %s (tag %.*s, from %.*s)%s", chunk->payload.n, reason,
                 (int)(chunk->tag.n < 64 ? chunk->tag.n : 64), (const char *)chunk->tag.p,
                 (int)(chunk->peer.n < 64 ? chunk->peer.n : 64), (const char *)chunk->peer.p,
                 kept ? "; it is kept in quarantine" : "; there is no memory to keep it");
}

/* Converts into the batch, or puts the chunk in quarantine. -ENOMEM: it did not fit any more. */
static int store_chunk(struct lane *lane, const struct chunk *chunk, enum ring_verdict *ret_verdict)
{
    struct batch *batch = &lane->batches[lane->current];
    struct convert_result result;
    struct err err = {0};
    int r;

    sink_keep(lane);
    r = convert_chunk(lane->converter, chunk, lane->builder, &result, &err);
    if (r < 0) {
        batch_cut(batch, lane->mark);
        lane->plain_bytes = lane->mark_plain;
        if (r != -EBADMSG && r != -EFBIG && lane->chunks > 0)
            return r;
        *ret_verdict = RING_QUARANTINED;
        return put_in_quarantine(lane, chunk, err.text);
    }
    *ret_verdict = RING_DURABLE;
    lane->totals.records_decoded += result.records + result.dropped_invalid + result.truncated;
    if (result.dropped_invalid + result.truncated > 0)
        keep_damaged(lane, chunk, &result);
    if (result.foreign > 0) {
        lane->totals.chunks_other++;
        status_add(lane->config.status, METRIC_CHUNKS_OTHER_SIGNAL, 1);
    }
    lane->stored += result.foreign == 0;
    if (result.records > 0)
        widen(&lane->first_time_ns, &lane->last_time_ns, result.first_time_ns, result.last_time_ns);
    widen(&lane->first_received_ns, &lane->last_received_ns, chunk->received_ns,
          chunk->received_ns);
    return 0;
}

/* Judges and stores a chunk. -ENOMEM: does not fit into this batch. */
static int take_chunk(struct lane *lane, const struct ring_taken *taken,
                      const struct resend_origin *origin, enum ring_verdict *ret_verdict)
{
    bool keyed = taken->entry.flags & RING_WANTS_ACK;
    int judged = RESEND_NEW;
    struct chunk chunk;
    int r = copy_chunk(lane, taken, &chunk);

    if (r < 0)
        return r;
    if (keyed)
        judged = resend_window_check(lane->window, taken->entry.key, origin, clock_realtime_ns());
    if (judged == RESEND_AGAIN) {
        lane->totals.chunks_resent++;
        status_add(lane->config.status, METRIC_CHUNKS_RESENT, 1);
        *ret_verdict = RING_DURABLE;
        return 0;
    }
    r = store_chunk(lane, &chunk, ret_verdict);
    if (r < 0 && keyed && judged == RESEND_NEW)
        resend_window_forget_last(lane->window);
    return r;
}

static void put_verdict(struct lane_ring *ring, const struct ring_taken *taken,
                        enum ring_verdict verdict)
{
    const struct ring_reply reply = {
        .position = taken->end,
        .connection = taken->entry.connection,
        .serial = taken->entry.serial,
        .verdict = verdict,
    };

    ring_reply_put(ring->ring, ring->replies++, &reply);
}

/* One entry into the collecting batch. -ENOMEM: it did not fit and stands in the ring again. */
static int take_entry(struct lane *lane, unsigned index, const struct ring_taken *taken)
{
    struct lane_ring *ring = &lane->rings[index];
    const struct ring_entry *e = &taken->entry;
    const struct resend_origin origin = {index, e->incarnation, e->connection, e->serial,
                                         e->confirmed};
    enum ring_verdict verdict = RING_DURABLE;
    int r = resend_window_hear(lane->window, &origin);

    /* The same for a successor that takes it again, and for no other entry of this time. */
    lane->taking = taken->end * LANE_PAGE_RINGS + index;
    if (r == 0 && e->kind == RING_END)
        r = resend_window_ended(lane->window, &origin);
    else if (r == 0 && e->kind == RING_CHUNK)
        r = take_chunk(lane, taken, &origin, &verdict);
    if (r < 0) {
        ring_consumer_rewind(ring->ring, taken->end - e->length);
        return r;
    }
    if (e->kind == RING_CHUNK) {
        /*
         * Nobody waits for the others' verdicts, and with them the reply ring would be full when
         * the receiver has gone before us, at a stop: what is behind would never be stored.
         */
        if (e->flags & RING_WANTS_ACK)
            put_verdict(ring, taken, verdict);
        lane->verdicts++;
        lane->totals.chunks_taken++;
        status_add(lane->config.status, METRIC_CHUNKS_TAKEN, 1);
    }
    if (lane->chunks++ == 0)
        lane->first_ns = clock_monotonic_ns();
    return 0;
}

static uint64_t collected_bytes(const struct lane *lane)
{
    return lane->plain_bytes + frame_builder_pending_bytes(lane->builder);
}

/*
 * No more than a segment, but for a single chunk: a batch has its segment to itself where it is
 * larger, and the present one goes only after the next one was made. Two that are each half of
 * journal.total_limit would wait for each other for ever.
 */
static uint64_t full_bytes(const struct lane *lane)
{
    uint64_t segment = lane->config.segment_bytes;

    return segment < LANE_FULL_PLAIN_BYTES ? segment : LANE_FULL_PLAIN_BYTES;
}

static bool is_full(const struct lane *lane)
{
    return lane->full || lane->chunks >= LANE_FULL_CHUNKS ||
           collected_bytes(lane) >= full_bytes(lane);
}

/* Takes from one ring. True: it took one. */
static bool take_from(struct lane *lane, unsigned index)
{
    struct lane_ring *ring = &lane->rings[index];
    struct ring_taken taken;
    struct err err = {0};
    int r;

    if (ring->broken || !ring_reply_room(ring->ring, ring->replies))
        return false;
    r = ring_consumer_next(ring->ring, &taken, &err);
    if (r == 0)
        return false;
    if (r < 0) {
        ring->broken = true;
        log_error("ring of receiver %u: %s; nothing more is taken from it", index, err.text);
        status_note(lane->config.status, "a ring is broken; restart the receiver's supervisor");
        return false;
    }
    r = take_entry(lane, index, &taken);
    if (r < 0) {
        lane->full = true;
        return false;
    }
    status_alive(lane->config.status);
    return true;
}

/* Takes round the rings until they are empty, the batch is full or the turn is over. */
static bool take(struct lane *lane)
{
    unsigned quiet = 0;

    if (lane->draining && !lane->take)
        return false;
    if (lane->chunks == 0) /* not even one fitted: out of memory; tried again */
        lane->full = false;
    for (unsigned taken = 0; taken < LANE_TURN_CHUNKS && !is_full(lane);) {
        if (take_from(lane, lane->next_ring)) {
            taken++;
            quiet = 0;
        } else if (++quiet == lane->config.ring_count) {
            return false;
        }
        lane->next_ring = (lane->next_ring + 1) % lane->config.ring_count;
    }
    return !is_full(lane);
}

/* ---- committing ---- */

static int add_key(void *context, const struct segment_key *key)
{
    return batch_key(context, key);
}

static int add_confirmation(void *context, const struct segment_confirmation *confirmation)
{
    return batch_confirmation(context, confirmation);
}

/*
 * Completes the collected batch's bytes. Nothing to store: leaves them empty. What the window has
 * learned (resends, confirmations, ends) is stored before the positions move past the entries that
 * said so: a successor would not hear it again, and take a resend for a new chunk, or the reverse.
 */
static int seal(struct lane *lane)
{
    struct batch *batch = &lane->batches[lane->current];
    struct commit_record commit = lane->totals;
    int r = frame_builder_flush(lane->builder);

    if (r < 0)
        return r;
    if (batch->frames == 0 && lane->quarantine.count == 0 && !resend_window_dirty(lane->window))
        return 0;
    r = resend_window_seal(lane->window, add_key, add_confirmation, batch);
    if (r < 0)
        return r;
    lane->totals.records_committed += batch->records;
    commit.records_committed = lane->totals.records_committed;
    commit.durable_segment = lane->state.segment;
    commit.durable_end = lane->state.end;
    commit.written_ns = clock_realtime_ns();
    commit.first_time_ns = lane->first_time_ns;
    commit.last_time_ns = lane->last_time_ns;
    commit.first_received_ns = lane->first_received_ns;
    commit.last_received_ns = lane->last_received_ns;
    return batch_seal(batch, lane->state.next_sequence, &commit);
}

/* What the job publishes when its batch is durable. */
static void fill_job(struct lane *lane)
{
    struct commit_job *job = &lane->job;
    struct batch *batch = &lane->batches[lane->current];
    bool writes = batch->bytes.n > 0;

    job->batch = (struct writer_batch){
        .bytes = buf_slice(&batch->bytes),
        .sequence = lane->state.next_sequence,
        .records = batch->records,
        .now_ns = clock_realtime_ns(),
    };
    job->quarantine = lane->quarantine;
    lane->quarantine = (struct quarantine_list){0};
    job->state = lane->state;
    job->state.next_sequence += writes;
    job->ring_count = lane->config.ring_count;
    for (unsigned i = 0; i < job->ring_count; i++) {
        struct lane_ring *ring = &lane->rings[i];

        job->rings[i] = (struct commit_ring){
            .ring = ring->ring,
            .door = lane->config.receiver_bells[i],
            .position = ring_consumer_cursor(ring->ring),
            .replies = ring->replies,
        };
        job->state.consumer[i] = job->rings[i].position;
        job->state.replies[i] = job->rings[i].replies;
    }
}

/* The collecting batch is under way; an empty one is collected from now on. */
static void begin_next(struct lane *lane)
{
    lane->sealed_chunks = lane->stored;
    lane->stored = 0;
    lane->current = 1 - lane->current;
    batch_clear(&lane->batches[lane->current], LANE_BATCH_KEEP_BYTES);
    lane->copy.n = 0;
    buf_trim(&lane->copy, LANE_COPY_KEEP_BYTES);
    lane->chunks = 0;
    lane->verdicts = 0;
    lane->plain_bytes = 0;
    lane->full = false;
    lane->first_time_ns = lane->last_time_ns = 0;
    lane->first_received_ns = lane->last_received_ns = 0;
}

/* Starts the job, for the first time or again. */
static void start_job(struct lane *lane, uint64_t now_ns)
{
    struct commit_job *job = &lane->job;

    lane->saved_window.n = 0;
    job->batch.window = slice_of(NULL, 0);
    if (job->batch.bytes.n > 0 && writer_would_roll(lane->writer, job->batch.bytes.n) &&
        resend_window_save(lane->window, &lane->saved_window) == 0)
        job->batch.window = buf_slice(&lane->saved_window);
    lane->under_way = true;
    lane->failed = false;
    lane->started_ns = now_ns;
    committer_start(lane->committer, job);
}

static void hand_over(struct lane *lane, uint64_t now_ns)
{
    int r = seal(lane);

    if (r < 0)
        log_panic("a batch of %u chunks cannot be sealed: error %d", lane->chunks, -r);
    status_add(lane->config.status, METRIC_PLAIN_BYTES, lane->plain_bytes);
    fill_job(lane);
    begin_next(lane);
    start_job(lane, now_ns);
}

static void settle_success(struct lane *lane)
{
    struct status_slot *status = lane->config.status;
    const struct batch *batch = &lane->batches[1 - lane->current];

    if (lane->job.batch.bytes.n > 0) {
        resend_window_durable(lane->window);
        status_add(status, METRIC_BATCHES, 1);
        status_add(status, METRIC_FRAMES, batch->frames);
        status_add(status, METRIC_RECORDS_COMMITTED, batch->records);
    }
    status_add(status, METRIC_CHUNKS_COMMITTED, lane->sealed_chunks);
    status_set(status, METRIC_RESEND_WINDOW_KEYS, resend_window_count(lane->window));
    if (status_get(status, METRIC_JOURNAL_FULL) != 0) {
        status_set(status, METRIC_JOURNAL_FULL, 0);
        status_note(status, "");
        log_info("the journal takes batches again");
    }
    lane->state = lane->job.state;
    lane->saved_window.n = 0;
    buf_trim(&lane->saved_window, 0);
    quarantine_clear(&lane->job.quarantine);
}

static void settle_failure(struct lane *lane, uint64_t now_ns)
{
    struct status_slot *status = lane->config.status;

    if (status_get(status, METRIC_JOURNAL_FULL) == 0)
        log_error("%s; input waits until it can be stored", lane->job.err.text);
    status_set(status, METRIC_JOURNAL_FULL, 1);
    status_note(status, lane->job.err.text);
    lane->failed = true;
    lane->retry_ns = now_ns + LANE_RETRY_NS;
}

static void settle(struct lane *lane, uint64_t now_ns)
{
    if (!lane->under_way || !committer_done(lane->committer))
        return;
    lane->under_way = false;
    if (lane->job.result == 0)
        settle_success(lane);
    else
        settle_failure(lane, now_ns);
}

/*
 * How long the collected batch may still wait for more; 0: hand it over. Counted from the start of
 * the commit before: a chunk that comes alone is committed at once, a stream in batches.
 */
static uint64_t wait_for_more(const struct lane *lane, uint64_t now_ns)
{
    uint64_t until = lane->started_ns + lane->config.linger_ns;

    if (lane->draining || is_full(lane))
        return 0;
    if (lane->verdicts == 0)
        until = lane->first_ns + LANE_CONFIRM_NS;
    else if (lane->config.interval_ns > 0)
        until = lane->started_ns + lane->config.interval_ns;
    else if (collected_bytes(lane) >= FRAME_MAX_PLAIN_BYTES)
        return 0;
    return until > now_ns ? until - now_ns : 0;
}

/* Commits what is due. Returns how long to wait; UINT64_MAX: for a bell. */
static uint64_t commit(struct lane *lane, uint64_t now_ns)
{
    uint64_t wait;

    if (lane->under_way)
        return UINT64_MAX;
    if (lane->failed) {
        if (now_ns < lane->retry_ns)
            return lane->retry_ns - now_ns;
        start_job(lane, now_ns);
        return UINT64_MAX;
    }
    if (lane->chunks > 0) {
        wait = wait_for_more(lane, now_ns);
        if (wait > 0)
            return wait;
        hand_over(lane, now_ns);
        return UINT64_MAX;
    }
    if (lane->full)
        return LANE_REPLY_WAIT_NS;
    if (!resend_window_dirty(lane->window))
        return UINT64_MAX;
    wait = lane->started_ns + LANE_CONFIRM_NS;
    if (!lane->draining && wait > now_ns)
        return wait - now_ns;
    hand_over(lane, now_ns);
    return UINT64_MAX;
}

/*
 * True: every ring is empty and will wake us. A ring whose receiver is behind with its verdicts
 * does not wake us when it has caught up: *wait is shortened then.
 */
static bool sleep_on_rings(struct lane *lane, uint64_t *wait)
{
    bool asleep = true;

    for (unsigned i = 0; i < lane->config.ring_count; i++) {
        struct lane_ring *ring = &lane->rings[i];

        if (ring->broken)
            continue;
        if (!ring_reply_room(ring->ring, ring->replies)) {
            if (*wait > LANE_REPLY_WAIT_NS)
                *wait = LANE_REPLY_WAIT_NS;
        } else if (!ring_consumer_sleep(ring->ring)) {
            asleep = false;
        }
    }
    return asleep;
}

enum lane_want lane_turn(struct lane *lane, uint64_t now_ns, uint64_t *ret_wait_ns)
{
    uint64_t wait;
    bool more;

    for (unsigned i = 0; i < lane->config.ring_count; i++)
        ring_consumer_woke(lane->rings[i].ring);
    settle(lane, now_ns);
    more = take(lane);
    wait = commit(lane, now_ns);
    if (more)
        return LANE_AGAIN;
    /* A full batch waits for the one under way; the rings need not wake us before. */
    if (!is_full(lane) && !(lane->draining && !lane->take) && !sleep_on_rings(lane, &wait))
        return LANE_AGAIN;
    if (wait == UINT64_MAX)
        return LANE_SLEEP;
    *ret_wait_ns = wait;
    return LANE_TIMER;
}

void lane_drain(struct lane *lane, bool take_more)
{
    lane->draining = true;
    lane->take = take_more;
}

bool lane_is_drained(struct lane *lane)
{
    if (lane->under_way || lane->failed || lane->chunks > 0 || resend_window_dirty(lane->window))
        return false;
    for (unsigned i = 0; lane->take && i < lane->config.ring_count; i++) {
        if (!lane->rings[i].broken && ring_pending(lane->rings[i].ring))
            return false;
    }
    return true;
}
