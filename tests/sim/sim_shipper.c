/*
 * The shipper: shipper/source.c, retention and retry, with several requests in flight to a server
 * whose answers come late, in any order, or never although it took the request.
 */
#include "tests/sim/sim.h"

#include "shared/base/fd.h"

#include <errno.h>
#include <stdlib.h>

#define SYNC_NS (100 * NS_PER_MS)
#define RESTART_NS (40 * NS_PER_MS)
#define REQUEST_BYTES (16u << 10)

static void close_all(struct sim *sim, struct sim_shipper *s)
{
    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        parcel_fini(&s->requests[i].parcel);
        s->requests[i].state = REQUEST_FREE;
    }
    source_close(&s->source);
    retention_free(&s->retention);
    for (unsigned i = 0; i < sim->plan.lanes; i++) {
        lane_page_close(&s->pages[i]);
        disk_free(&s->lanes[i]);
    }
    disk_free(&s->cursors);
}

static int open_all(struct sim *sim, struct sim_shipper *s, struct err *err)
{
    unsigned damaged = 0;
    int r = 0;

    s->cursors = sim_disk_view(sim->cursors, &s->process);
    for (unsigned i = 0; i < sim->plan.lanes && r == 0; i++) {
        s->lanes[i] = sim_disk_view(sim->lane_disks[i], &s->process);
        r = lane_page_open(sim->page_readonly_fds[i], false, &s->pages[i], err);
        s->shared[i] = (struct source_lane){s->pages[i], s->lanes[i], i};
    }
    if (r == 0)
        r = source_open(s->cursors, s->shared, sim->plan.lanes, &s->source, &damaged, err);
    if (r == 0)
        r = retention_new(s->shared, sim->plan.lanes, &s->retention, err);
    /*
     * A cursor that was never synced may be torn: then it is as if there were none. So may one whose
     * last sync has failed, when the power fails while it is written again.
     */
    for (unsigned i = 0; damaged > 0 && i < sim->plan.lanes; i++) {
        if (s->durable[i].sequence > 0 && sim->counts.disk_faults == 0)
            sim_fail(sim, "%u cursors have no valid slot", damaged);
        sim_oracle_permit_from(sim, i, (struct cursor_position){0, 0, 0});
    }
    return r;
}

void sim_shipper_start(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;
    struct err err = {0};
    int r;

    s->process = (struct sim_process){0};
    if (sim_event(sim, sim->plan.kill_shipper * 20))
        s->process.crash_at = 1 + sim_random_below(&sim->random, 6);
    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        parcel_init(&s->requests[i].parcel);
        s->requests[i].state = REQUEST_FREE;
    }
    r = open_all(sim, s, &err);
    if (r < 0) {
        if (sim->calm)
            sim_fail(sim, "the shipper does not start: %s", err.text);
        sim_trace(sim, "the shipper does not start: %s", err.text);
        sim->counts.crashes_in_disk += s->process.crashed;
        close_all(sim, s);
        s->restart_ns = sim->now_ns + RESTART_NS;
        return;
    }
    s->process.crash_at = 0;
    retry_init(&s->retry, 100 * NS_PER_MS, 5 * NS_PER_S);
    for (unsigned i = 0; i < sim->plan.lanes; i++)
        s->durable[i] = cursor_durable(source_cursor(s->source, i));
    s->alive = true;
    s->again = true;
    s->unwritten = false;
    s->sync_ns = sim->now_ns + SYNC_NS;
    sim_trace(sim, "the shipper starts");
}

void sim_shipper_kill(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;

    if (!s->alive)
        return;
    sim_trace(sim, "the shipper dies");
    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        struct sim_request *q = &s->requests[i];

        if (q->state != REQUEST_FREE && q->delivered)
            sim_oracle_permit(sim, &q->parcel, q->first, q->end);
    }
    for (unsigned i = 0; s->unwritten && i < sim->plan.lanes; i++)
        sim_oracle_permit_from(sim, i, s->durable[i]);
    close_all(sim, s);
    s->alive = false;
    s->restart_ns = sim->now_ns + sim_random_below(&sim->random, 2 * RESTART_NS);
}

/* ---- requests ---- */

static void done(struct sim *sim, struct sim_request *q, uint32_t end)
{
    struct sim_shipper *s = &sim->shipper;

    s->unwritten |= source_done(s->source, &q->parcel, q->first, end, NULL) < 0;
    q->first = end;
    if (q->first < q->parcel.count)
        return;
    source_finished(s->source, &q->parcel);
    q->state = REQUEST_FREE;
}

static void send_request(struct sim *sim, struct sim_request *q)
{
    struct sim_shipper *s = &sim->shipper;
    uint32_t left = q->parcel.count - q->first;
    uint64_t dice = sim_random_below(&sim->random, 100);

    q->state = REQUEST_SENT;
    q->delivered = false;
    q->sent_ns = sim->now_ns;
    q->done_ns = sim->now_ns + 1 + sim_random_below(&sim->random, 30 * NS_PER_MS);
    /* A refused parcel is sent in smaller runs, as shipper/split.h has it. */
    q->end = q->first + (sim_random_chance(&sim->random, 80)
                             ? left
                             : 1 + (uint32_t)sim_random_below(&sim->random, left));
    q->answer = ANSWER_OK;
    if (!sim->calm && dice < sim->plan.bad_server)
        q->answer = dice % 3 == 0 ? ANSWER_503 : dice % 3 == 1 ? ANSWER_LOST : ANSWER_UNREACHABLE;
    retry_sent(&s->retry);
    sim->counts.requests++;
    sim_trace(sim, "request: lane %u, %u frames of %u", q->parcel.lane, q->end - q->first,
              q->parcel.count);
    if (sim->broken == SIM_EARLY_CURSOR && q->end == q->parcel.count)
        source_done(s->source, &q->parcel, q->first, q->end, NULL);
}

static void reach_server(struct sim *sim, struct sim_request *q)
{
    for (uint32_t i = q->first; i < q->end; i++)
        sim_oracle_delivered(sim, &q->parcel, i);
    q->delivered = true;
}

static void answer(struct sim *sim, struct sim_request *q)
{
    struct sim_shipper *s = &sim->shipper;
    struct retry_failure failure = {
        .now_ns = sim->now_ns, .sent_ns = q->sent_ns, .random = sim_random_next(&sim->random)};

    if (!q->delivered && (q->answer == ANSWER_OK || q->answer == ANSWER_LOST))
        reach_server(sim, q);
    if (q->answer == ANSWER_OK) {
        retry_succeeded(&s->retry, q->sent_ns);
        if (q->end < q->parcel.count)
            q->state = REQUEST_WAITS;
        done(sim, q, q->end);
        return;
    }
    sim_trace(sim, "request: lane %u failed%s", q->parcel.lane,
              q->delivered ? ", but it has arrived" : "");
    if (q->delivered)
        sim_oracle_permit(sim, &q->parcel, q->first, q->end);
    q->delivered = false;
    retry_failed(&s->retry, &failure);
    q->state = REQUEST_WAITS;
}

static bool step_requests(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;
    unsigned first = (unsigned)sim_random_below(&sim->random, SIM_REQUESTS);

    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        struct sim_request *q = &s->requests[(first + i) % SIM_REQUESTS];

        if (q->state == REQUEST_SENT && q->done_ns <= sim->now_ns) {
            answer(sim, q);
            return true;
        }
        if (q->state == REQUEST_SENT && !q->delivered && sim_random_chance(&sim->random, 30) &&
            (q->answer == ANSWER_OK || q->answer == ANSWER_LOST)) {
            reach_server(sim, q);
            return true;
        }
        if (q->state == REQUEST_WAITS && retry_may_send(&s->retry, sim->now_ns)) {
            send_request(sim, q);
            return true;
        }
    }
    return false;
}

static void fill(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;

    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        struct sim_request *q = &s->requests[i];
        struct err err = {0};
        int r;

        if (q->state != REQUEST_FREE)
            continue;
        if (!retry_may_send(&s->retry, sim->now_ns))
            return;
        r = source_fill(s->source, REQUEST_BYTES, &q->parcel, &err);
        if (r < 0 && sim->calm)
            sim_fail(sim, "the journal cannot be read: %s", err.text);
        s->again = r != 0;
        if (r <= 0)
            return;
        q->first = 0;
        send_request(sim, q);
        return;
    }
    s->again = false;
}

/* ---- cursors ---- */

static void sync_cursors(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;
    int r = source_sync(s->source, NULL);

    s->sync_ns = sim->now_ns + SYNC_NS;
    if (r >= 0)
        s->unwritten = false;
    for (unsigned i = 0; i < sim->plan.lanes && !s->process.crashed; i++) {
        unsigned removed = 0;

        s->durable[i] = cursor_durable(source_cursor(s->source, i));
        retention_pass(s->retention, i, s->durable[i].sequence, &removed, NULL);
        sim->counts.segments_removed += removed;
    }
}

void sim_shipper_step(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;

    if (sim_event(sim, sim->plan.kill_shipper * 20))
        s->process.crash_at = s->process.operations + 1 + sim_random_below(&sim->random, 4);
    if (sim_bell(s->bell)) {
        fd_bell_clear(s->bell);
        s->again = true;
    }
    if (s->sync_ns <= sim->now_ns)
        sync_cursors(sim);
    else if (!step_requests(sim))
        fill(sim);
    if (s->process.crashed) {
        sim->counts.crashes_in_disk++;
        sim->counts.shipper_kills++;
        s->unwritten = true; /* the present write may be torn */
        sim_shipper_kill(sim);
        return;
    }
    s->process.crash_at = 0;
}

bool sim_shipper_ready(const struct sim *sim)
{
    const struct sim_shipper *s = &sim->shipper;
    bool may_send = s->alive && retry_may_send(&s->retry, sim->now_ns);
    bool has_free = false;

    if (!s->alive)
        return false;
    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        const struct sim_request *q = &s->requests[i];

        if ((q->state == REQUEST_SENT && q->done_ns <= sim->now_ns) ||
            (q->state == REQUEST_WAITS && may_send))
            return true;
        has_free |= q->state == REQUEST_FREE;
    }
    return (sim_bell(s->bell) && !s->again) || (s->again && may_send && has_free) ||
           s->sync_ns <= sim->now_ns;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Leaves out the cursors' syncs, which go on for ever: see sim_shipper_done. */
uint64_t sim_shipper_wake_ns(const struct sim *sim)
{
    const struct sim_shipper *s = &sim->shipper;
    uint64_t wake = 0;

    if (!s->alive)
        return s->restart_ns;
    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        if (s->requests[i].state == REQUEST_SENT)
            wake = sooner(wake, s->requests[i].done_ns);
        if (s->requests[i].state == REQUEST_WAITS || s->again) {
            uint64_t retry = retry_wake_ns(&s->retry);

            if (retry != UINT64_MAX)
                wake = sooner(wake, retry);
        }
    }
    if (source_is_dirty(s->source))
        wake = sooner(wake, s->sync_ns);
    return wake;
}

bool sim_shipper_done(struct sim *sim)
{
    struct sim_shipper *s = &sim->shipper;

    if (!s->alive || s->again || source_is_dirty(s->source))
        return false;
    for (unsigned i = 0; i < SIM_REQUESTS; i++) {
        if (s->requests[i].state != REQUEST_FREE)
            return false;
    }
    return source_lag(s->source) == 0;
}
