/*
 * The processors: processor/lane.c on simulated disks, on an event loop of two bells and a timer.
 * Its sync thread is sim_committer.c, stepped by the simulation.
 */
#include "tests/sim/sim.h"

#include "processor/leftover.h"
#include "shared/base/fd.h"
#include "shared/journal/cursor.h"

#include <errno.h>
#include <stdlib.h>

#define RESTART_NS (40 * NS_PER_MS)

static void close_all(struct sim *sim, struct sim_processor *p)
{
    lane_free(&p->lane);
    for (unsigned i = 0; i < sim->plan.receivers; i++)
        ring_close(&p->rings[i]);
    lane_page_close(&p->page);
    disk_free(&p->disk);
    disk_free(&p->quarantine);
    disk_free(&p->cursors);
}

static int open_all(struct sim *sim, unsigned index, struct err *err)
{
    struct sim_processor *p = &sim->processors[index];
    int r = 0;

    p->disk = sim_disk_view(sim->lane_disks[index], &p->process);
    p->quarantine = sim_disk_view(sim->quarantine, &p->process);
    p->cursors = sim_disk_view(sim->cursors, &p->process);
    for (unsigned i = 0; i < sim->plan.receivers && r == 0; i++)
        r = ring_open(sim->ring_fds[i][index], &p->rings[i], err);
    if (r == 0)
        r = lane_page_open(sim->page_fds[index], true, &p->page, err);
    return r;
}

static int make_lane(struct sim *sim, unsigned index, struct lane_recovered *ret_found,
                     struct err *err)
{
    struct sim_processor *p = &sim->processors[index];
    struct lane_config config = {
        .index = index,
        .disk = p->disk,
        .quarantine = p->quarantine,
        .page = p->page,
        .ring_count = sim->plan.receivers,
        .done_bell = p->done_bell,
        .shipper_bell = sim->shipper.bell,
        .status = &p->status,
        .convert = {.service_name = "sim", .max_decompressed = 64u << 20},
        .codec = sim->plan.codec,
        .segment_bytes = sim->plan.segment_bytes,
        .linger_ns = 2 * NS_PER_MS,
        .interval_ns = sim->plan.interval_ns,
        .window_keys = sim->plan.window_keys,
        .window_ns = 3600 * NS_PER_S,
    };
    int r = cursor_peek(p->cursors, index, &config.cursor_sequence, err);

    for (unsigned i = 0; i < sim->plan.receivers; i++) {
        config.rings[i] = p->rings[i];
        config.receiver_bells[i] = sim->receivers[i].bell;
    }
    if (r == 0)
        r = lane_new(&config, &p->lane, ret_found, err);
    return r == 0 ? lane_start(p->lane, err) : r;
}

/* Processor 0 publishes lanes that nobody owns. */
static int recover_leftovers(struct sim *sim, struct sim_processor *p, struct err *err)
{
    int r = 0;

    for (unsigned i = sim->lanes; i < sim->plan.lanes && r == 0; i++) {
        struct disk *disk = sim_disk_view(sim->lane_disks[i], &p->process);
        struct lane_page *page;

        r = lane_page_open(sim->page_fds[i], true, &page, err);
        if (r == 0)
            r = leftover_recover(disk, p->quarantine, page, sim->plan.segment_bytes, err);
        lane_page_close(&page);
        disk_free(&disk);
        sim->counts.leftovers++;
    }
    return r;
}

void sim_processor_start(struct sim *sim, unsigned index)
{
    struct sim_processor *p = &sim->processors[index];
    struct lane_recovered found = {0};
    struct err err = {0};
    int r;

    p->process = (struct sim_process){0};
    if (sim_event(sim, sim->plan.kill_processor * 20))
        p->process.crash_at = 1 + sim_random_below(&sim->random, 12);
    r = open_all(sim, index, &err);
    if (r == 0 && index == 0)
        r = recover_leftovers(sim, p, &err);
    if (r == 0)
        r = make_lane(sim, index, &found, &err);
    if (r < 0) {
        if (sim->calm || r == -EPROTO)
            sim_fail(sim, "processor %u does not start: %s", index, err.text);
        sim_trace(sim, "processor %u does not start: %s", index, err.text);
        sim->counts.crashes_in_disk += p->process.crashed;
        close_all(sim, p);
        p->restart_ns = sim->now_ns + RESTART_NS;
        return;
    }
    p->process.crash_at = 0;
    p->alive = true;
    p->again = true;
    p->wake_ns = 0;
    sim->counts.recoveries++;
    sim_trace(sim, "processor %u starts %s: next batch %llu, rewritten %llu, bad %llu, cut %llu",
              index, found.warm ? "warm" : "cold", (unsigned long long)found.next_sequence,
              (unsigned long long)found.batches_rewritten, (unsigned long long)found.batches_bad,
              (unsigned long long)found.bytes_cut);
    for (unsigned i = 0; i < sim->plan.receivers; i++)
        fd_bell_ring(sim->receivers[i].bell);
    fd_bell_ring(sim->shipper.bell);
}

void sim_processor_kill(struct sim *sim, unsigned index)
{
    struct sim_processor *p = &sim->processors[index];

    if (!p->alive)
        return;
    sim_trace(sim, "processor %u dies", index);
    close_all(sim, p);
    p->alive = false;
    p->restart_ns = sim->now_ns + sim_random_below(&sim->random, sim->plan.down_ns);
}

bool sim_processor_ready(const struct sim *sim, unsigned index)
{
    const struct sim_processor *p = &sim->processors[index];

    return p->alive && (p->again || (p->wake_ns > 0 && p->wake_ns <= sim->now_ns) ||
                        sim_bell(p->bell) || sim_bell(p->done_bell));
}

void sim_processor_turn(struct sim *sim, unsigned index)
{
    struct sim_processor *p = &sim->processors[index];
    uint64_t wait_ns = 0;
    enum lane_want want;

    fd_bell_clear(p->bell);
    fd_bell_clear(p->done_bell);
    want = lane_turn(p->lane, sim->now_ns, &wait_ns);
    p->again = want == LANE_AGAIN;
    p->wake_ns = want == LANE_TIMER ? sim->now_ns + wait_ns : 0;
}

bool sim_processor_has_job(const struct sim *sim, unsigned index)
{
    const struct sim_processor *p = &sim->processors[index];

    return p->alive && sim_committer_busy(sim_committer_of(p->page));
}

void sim_processor_commit_step(struct sim *sim, unsigned index)
{
    struct sim_processor *p = &sim->processors[index];

    if (sim_event(sim, sim->plan.kill_processor * 20))
        p->process.crash_at = p->process.operations + 1 + sim_random_below(&sim->random, 8);
    sim_committer_step(sim_committer_of(p->page), sim->broken == SIM_EARLY_VERDICTS);
    sim->counts.commits++;
    if (p->process.crashed) {
        sim->counts.crashes_in_disk++;
        sim->counts.processor_kills++;
        sim_processor_kill(sim, index);
        return;
    }
    p->process.crash_at = 0;
}
