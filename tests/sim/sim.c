/*
 * sim: runs seeds. Without arguments: the quick set of `make check`, and that each deliberate fault
 * is found.
 *
 *     sim --seeds N [--first S]    N seeds from S on
 *     sim --seed S                 one, with its protocol
 *     sim --broken NAME ...        with a deliberate fault
 */
#include "tests/sim/sim.h"

#include "shared/base/fd.h"
#include "shared/base/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QUICK_SEEDS 300u
#define BROKEN_SEEDS 60u
#define CALM_ROUNDS 200000u

static const char *const sim_broken_names[SIM_BROKEN_KINDS] = {
    "nothing", "early-verdicts", "lying-disk", "early-cursor", "deaf-window"};

/* ---- the machine ---- */

static void make_memory(struct sim *sim)
{
    for (unsigned lane = 0; lane < sim->plan.lanes; lane++) {
        if (lane_page_create(lane, &sim->page_fds[lane], &sim->page_readonly_fds[lane], NULL) < 0)
            abort();
        for (unsigned r = 0; r < sim->plan.receivers; r++) {
            if (ring_create(r, lane, sim->plan.ring_bytes, &sim->ring_fds[r][lane], NULL) < 0)
                abort();
        }
    }
}

static void drop_memory(struct sim *sim)
{
    for (unsigned lane = 0; lane < sim->plan.lanes; lane++) {
        fd_close(&sim->page_fds[lane]);
        fd_close(&sim->page_readonly_fds[lane]);
        for (unsigned r = 0; r < sim->plan.receivers; r++)
            fd_close(&sim->ring_fds[r][lane]);
    }
}

static void kill_all(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.receivers; i++)
        sim_receiver_kill(sim, i);
    for (unsigned i = 0; i < sim->plan.lanes; i++)
        sim_processor_kill(sim, i);
    sim_shipper_kill(sim);
}

/* Everything dies; rings and lane pages are new afterwards. */
static void cold_start(struct sim *sim, bool power_cut)
{
    sim_trace(sim, "%s", power_cut ? "POWER CUT" : "COLD START");
    kill_all(sim);
    sim_oracle_cold(sim);
    if (power_cut) {
        for (unsigned i = 0; i < sim->plan.lanes; i++) {
            sim_disk_power_cut(sim->lane_disks[i]);
            sim_oracle_permit_from(sim, i, sim->shipper.durable[i]);
        }
        sim_disk_power_cut(sim->quarantine);
        sim_disk_power_cut(sim->cursors);
    }
    drop_memory(sim);
    make_memory(sim);
    if (sim->plan.change_lanes)
        sim->lanes = 1 + (unsigned)sim_random_below(&sim->random, sim->plan.lanes);
    sim_trace(sim, "%u of %u lanes have a processor", sim->lanes, sim->plan.lanes);
}

/* ---- a run ---- */

static unsigned chance(struct sim *sim, unsigned percent, unsigned least, unsigned most)
{
    return sim_random_chance(&sim->random, percent)
               ? least + (unsigned)sim_random_below(&sim->random, most - least)
               : 0;
}

static void make_plan(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    struct sim_random *random = &sim->random;

    plan->lanes = 1 + (unsigned)sim_random_below(random, SIM_LANES);
    plan->receivers = 1 + (unsigned)sim_random_chance(random, 30);
    plan->clients = 1 + (unsigned)sim_random_below(random, SIM_CLIENTS);
    plan->chunks = 50 + (unsigned)sim_random_below(random, 200);
    plan->steps = 2000 + (unsigned)sim_random_below(random, 4000);
    plan->segment_bytes = 8192ull << sim_random_below(random, 4);
    plan->ring_bytes = 81920ull << sim_random_below(random, 3);
    plan->down_ns = (sim_random_chance(random, 20) ? 3000 : 80) * NS_PER_MS;
    plan->interval_ns = sim_random_chance(random, 15) ? 200 * NS_PER_MS : 0;
    plan->window_keys = sim_random_chance(random, 10) ? 20 : 4096;
    plan->codec = (enum frame_codec_id)sim_random_below(random, FRAME_CODECS);
    plan->kill_processor = chance(sim, 60, 20, 300);
    /* A third of the seeds: processors die and nothing else; then nothing may come twice. */
    if (sim_random_chance(random, 33))
        return;
    plan->break_connection = chance(sim, 70, 20, 600);
    plan->kill_receiver = chance(sim, 40, 10, 150);
    plan->kill_shipper = chance(sim, 40, 10, 150);
    plan->cold_start = chance(sim, 35, 10, 100);
    plan->power_cut = chance(sim, 35, 10, 100);
    plan->change_lanes = sim_random_chance(random, 25);
    plan->disk_faults = chance(sim, 30, 10, 100);
    plan->disk_full = chance(sim, 20, 10, 60);
    plan->bad_server = chance(sim, 50, 1, 60);
}

static void begin(struct sim *sim, uint64_t seed, enum sim_broken broken, bool verbose)
{
    *sim = (struct sim){.seed = seed, .broken = broken, .verbose = verbose, .now_ns = NS_PER_S};
    sim_random_seed(&sim->random, seed);
    sim_clock_set(sim->now_ns);
    make_plan(sim);
    sim->lanes = sim->plan.lanes;
    sim->machine.random = &sim->random;
    sim->machine.fail_with = EIO;
    sim->machine.lies = broken == SIM_LYING_DISK;
    for (unsigned i = 0; i < sim->plan.lanes; i++) {
        sim->lane_disks[i] = sim_disk_new(&sim->machine);
        sim->processors[i].bell = fd_bell_new();
        sim->processors[i].done_bell = fd_bell_new();
    }
    sim->quarantine = sim_disk_new(&sim->machine);
    sim->cursors = sim_disk_new(&sim->machine);
    for (unsigned i = 0; i < sim->plan.receivers; i++)
        sim->receivers[i].bell = fd_bell_new();
    sim->shipper.bell = fd_bell_new();
    if (frame_codec_new(&sim->codec, NULL) < 0)
        abort();
    make_memory(sim);
    sim_clients_init(sim);
}

static void finish(struct sim *sim)
{
    sim->calm = true;
    kill_all(sim);
    if (!sim_failed(sim))
        sim_oracle_autopsy(sim);
    drop_memory(sim);
    for (unsigned i = 0; i < sim->plan.lanes; i++) {
        disk_free(&sim->lane_disks[i]);
        fd_close(&sim->processors[i].bell);
        fd_close(&sim->processors[i].done_bell);
    }
    disk_free(&sim->quarantine);
    disk_free(&sim->cursors);
    for (unsigned i = 0; i < sim->plan.receivers; i++)
        fd_close(&sim->receivers[i].bell);
    fd_close(&sim->shipper.bell);
    frame_codec_free(&sim->codec);
    for (uint32_t i = 0; i < sim->group_count; i++)
        buf_fini(&sim->groups[i].payload);
    free(sim->groups);
    free(sim->instances);
    free(sim->sends);
    free(sim->frames);
    free(sim->copies);
}

static void events(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.lanes; i++) {
        if (sim->processors[i].alive && sim_event(sim, sim->plan.kill_processor)) {
            sim->counts.processor_kills++;
            sim_processor_kill(sim, i);
        }
    }
    for (unsigned i = 0; i < sim->plan.receivers; i++) {
        if (sim->receivers[i].alive && sim_event(sim, sim->plan.kill_receiver)) {
            sim->counts.receiver_kills++;
            sim_receiver_kill(sim, i);
        }
    }
    if (sim->shipper.alive && sim_event(sim, sim->plan.kill_shipper)) {
        sim->counts.shipper_kills++;
        sim_shipper_kill(sim);
    }
    if (sim_event(sim, sim->plan.cold_start)) {
        sim->counts.cold_starts++;
        cold_start(sim, false);
    }
    if (sim_event(sim, sim->plan.power_cut)) {
        sim->counts.power_cuts++;
        cold_start(sim, true);
    }
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        if (sim->connections[i].used && sim_event(sim, sim->plan.break_connection / 4))
            sim_connection_break(sim, i);
    }
}

/* The disk begins to fail now and then, or fills up; and recovers. */
static void disk_events(struct sim *sim)
{
    struct sim_machine *machine = &sim->machine;

    if (machine->fail_per_mille > 0) {
        if (sim_random_chance(&sim->random, 2))
            machine->fail_per_mille = 0;
    } else if (sim_event(sim, sim->plan.disk_faults)) {
        machine->fail_per_mille = 20 + (unsigned)sim_random_below(&sim->random, 600);
        machine->fail_with = sim_random_chance(&sim->random, 70) ? EIO : ENOSPC;
        sim->counts.disk_faults++;
        sim_trace(sim, "the disk fails, %u of 1000", machine->fail_per_mille);
    }
    if (machine->full_bytes > 0) {
        if (sim_random_chance(&sim->random, 1))
            machine->full_bytes = 0;
    } else if (sim_event(sim, sim->plan.disk_full)) {
        machine->full_bytes = machine->used_bytes + 1;
        sim->counts.disk_fulls++;
        sim_trace(sim, "the disk is full");
    }
}

static void restart_due(struct sim *sim)
{
    for (unsigned i = 0; i < sim->lanes; i++) {
        if (!sim->processors[i].alive && sim->processors[i].restart_ns <= sim->now_ns)
            sim_processor_start(sim, i);
    }
    for (unsigned i = 0; i < sim->plan.receivers; i++) {
        if (!sim->receivers[i].alive && sim->receivers[i].restart_ns <= sim->now_ns)
            sim_receiver_start(sim, i);
    }
    if (!sim->shipper.alive && sim->shipper.restart_ns <= sim->now_ns)
        sim_shipper_start(sim);
}

static void advance(struct sim *sim, uint64_t by_ns)
{
    sim->now_ns += by_ns;
    sim_clock_set(sim->now_ns);
}

/* Lets one of those that can do something do it. False: nobody can. */
static bool run_one(struct sim *sim)
{
    enum {
        RECEIVERS,
        PROCESSORS = SIM_RECEIVERS,
        COMMITS = PROCESSORS + SIM_LANES,
        SHIPPER = COMMITS + SIM_LANES,
        CLIENTS,
        ACTORS = CLIENTS + SIM_CLIENTS
    };
    unsigned first = (unsigned)sim_random_below(&sim->random, ACTORS);

    for (unsigned i = 0; i < ACTORS; i++) {
        unsigned actor = (first + i) % ACTORS;

        if (actor >= CLIENTS) {
            if (actor - CLIENTS < sim->plan.clients && sim_client_ready(sim, actor - CLIENTS)) {
                sim_client_step(sim, actor - CLIENTS);
                return true;
            }
        } else if (actor == SHIPPER) {
            if (sim_shipper_ready(sim)) {
                sim_shipper_step(sim);
                return true;
            }
        } else if (actor >= COMMITS) {
            if (actor - COMMITS < sim->plan.lanes && sim_processor_has_job(sim, actor - COMMITS)) {
                sim_processor_commit_step(sim, actor - COMMITS);
                return true;
            }
        } else if (actor >= PROCESSORS) {
            if (actor - PROCESSORS < sim->plan.lanes &&
                sim_processor_ready(sim, actor - PROCESSORS)) {
                sim_processor_turn(sim, actor - PROCESSORS);
                return true;
            }
        } else if (actor < sim->plan.receivers && sim_receiver_ready(sim, actor)) {
            sim_receiver_turn(sim, actor);
            return true;
        }
    }
    return false;
}

static void storm(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.steps && !sim_failed(sim); i++) {
        sim->counts.steps++;
        restart_due(sim);
        events(sim);
        disk_events(sim);
        if (!run_one(sim) || sim_random_chance(&sim->random, 4))
            advance(sim, sim_random_below(&sim->random, 8) * NS_PER_MS);
        advance(sim, sim_random_below(&sim->random, 100 * NS_PER_US));
        if (sim_random_chance(&sim->random, 1) && sim_random_chance(&sim->random, 20))
            advance(sim, sim_random_below(&sim->random, 1500 * NS_PER_MS));
    }
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Nobody can do anything now: then nothing may wait in a ring for somebody to notice. */
static void check_asleep(struct sim *sim)
{
    bool asleep = true;

    for (unsigned lane = 0; lane < sim->lanes; lane++) {
        const struct sim_processor *p = &sim->processors[lane];

        for (unsigned i = 0; p->alive && p->wake_ns == 0 && i < sim->plan.receivers; i++) {
            if (ring_pending(p->rings[i]))
                sim_fail(sim, "processor %u sleeps, and the ring of receiver %u is not empty", lane,
                         i);
        }
        asleep &= p->alive && p->wake_ns == 0;
    }
    for (unsigned i = 0; asleep && i < sim->plan.receivers; i++) {
        if (sim->receivers[i].alive && producer_pending(sim->receivers[i].producer) > 0)
            sim_fail(sim, "receiver %u waits for verdicts, and all processors sleep", i);
    }
}

static uint64_t next_wake(const struct sim *sim)
{
    uint64_t wake = sim_shipper_wake_ns(sim);

    for (unsigned i = 0; i < sim->lanes; i++)
        wake = sooner(wake, sim->processors[i].alive ? sim->processors[i].wake_ns
                                                     : sim->processors[i].restart_ns);
    for (unsigned i = 0; i < sim->plan.receivers; i++)
        wake = sooner(wake, sim->receivers[i].alive ? 0 : sim->receivers[i].restart_ns);
    for (uint32_t i = 0; i < sim->plan.clients; i++)
        wake = sooner(wake, sim_client_wake_ns(sim, i));
    return wake;
}

static bool all_done(struct sim *sim)
{
    for (unsigned i = 0; i < sim->lanes; i++) {
        struct sim_processor *p = &sim->processors[i];

        if (!p->alive || p->again || p->wake_ns > 0 || sim_processor_has_job(sim, i))
            return false;
    }
    return sim_clients_done(sim) && sim_shipper_done(sim);
}

/* No more faults: everything must come to rest. */
static void calm_down(struct sim *sim)
{
    sim->calm = true;
    sim->machine.fail_per_mille = 0;
    sim->machine.full_bytes = 0;
    sim_trace(sim, "CALM");
    for (unsigned i = 0; i < CALM_ROUNDS && !sim_failed(sim); i++) {
        uint64_t wake;

        restart_due(sim);
        if (run_one(sim))
            continue;
        check_asleep(sim);
        if (all_done(sim))
            return;
        wake = next_wake(sim);
        if (wake == 0) {
            sim_fail(sim, "everybody waits and it is not done");
            return;
        }
        advance(sim, wake > sim->now_ns ? wake - sim->now_ns : 1);
    }
    sim_fail(sim, "it does not come to rest");
}

static void run(struct sim *sim, uint64_t seed, enum sim_broken broken, bool verbose)
{
    begin(sim, seed, broken, verbose);
    storm(sim);
    calm_down(sim);
    if (!sim_failed(sim))
        sim_oracle_check(sim);
    finish(sim);
}

/* ---- many ---- */

static void add_counts(struct sim_counts *sum, const struct sim_counts *counts)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counts;

    static_assert(sizeof(*sum) % sizeof(uint64_t) == 0, "counters only");
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static void print_counts(const struct sim_counts *c, uint64_t seeds)
{
#define N(x) ((unsigned long long)c->x)
    printf("%llu seeds, %llu steps: %llu chunks, %llu sends, %llu resends, %llu acks\n",
           (unsigned long long)seeds, N(steps), N(chunks), N(sends), N(resends), N(acks));
    printf("  deaths: %llu of processors, %llu of receivers, %llu of the shipper, %llu of all, "
           "%llu power cuts, %llu within a disk's operation\n",
           N(processor_kills), N(receiver_kills), N(shipper_kills), N(cold_starts), N(power_cuts),
           N(crashes_in_disk));
    printf("  %llu connections broken, disk failing %llu times, full %llu times\n", N(breaks),
           N(disk_faults), N(disk_fulls));
    printf("  %llu recoveries, %llu requests, %llu frames, %llu records, %llu frames again, "
           "%llu resends that nobody can know, %llu segments removed, %llu chunks in quarantine, "
           "%llu leftover lanes\n",
           N(recoveries), N(requests), N(frames), N(records), N(duplicates), N(permitted),
           N(segments_removed), N(quarantined), N(leftovers));
#undef N
}

/* Returns the number of seeds that failed; stops at the first where `find` says so. */
static unsigned run_seeds(struct sim *sim, uint64_t first, uint64_t count, enum sim_broken broken,
                          bool find)
{
    struct sim_counts sum = {0};
    unsigned failed = 0;
    uint64_t seed;

    for (seed = first; seed < first + count; seed++) {
        run(sim, seed, broken, false);
        add_counts(&sum, &sim->counts);
        if (!sim_failed(sim))
            continue;
        failed++;
        if (find) {
            printf("  found by seed %llu: %s\n", (unsigned long long)seed, sim->failure);
            return failed;
        }
        printf("not ok seed %llu: %s (see it with --seed %llu)\n", (unsigned long long)seed,
               sim->failure, (unsigned long long)seed);
        fflush(stdout);
    }
    if (!find)
        print_counts(&sum, count);
    return failed;
}

static int quick(struct sim *sim)
{
    unsigned failed = run_seeds(sim, 1, QUICK_SEEDS, SIM_SOUND, false);

    printf("%sok %u seeds\n", failed == 0 ? "" : "not ", QUICK_SEEDS);
    for (int broken = SIM_SOUND + 1; broken < SIM_BROKEN_KINDS; broken++) {
        unsigned found = run_seeds(sim, 1, BROKEN_SEEDS, (enum sim_broken)broken, true);

        printf("%sok the oracle finds %s\n", found > 0 ? "" : "not ", sim_broken_names[broken]);
        failed += found == 0;
    }
    return failed == 0 ? 0 : 1;
}

static enum sim_broken broken_of(const char *name)
{
    for (int i = 0; i < SIM_BROKEN_KINDS; i++) {
        if (strcmp(name, sim_broken_names[i]) == 0)
            return (enum sim_broken)i;
    }
    fprintf(stderr, "no such fault: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"broken", required_argument, NULL, 'b'},
                                            {NULL, 0, NULL, 0}};
    struct sim *sim = calloc(1, sizeof(*sim));
    uint64_t seeds = 0, first = 1, seed = 0;
    enum sim_broken broken = SIM_SOUND;
    int c, status;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'n')
            seeds = strtoull(optarg, NULL, 10);
        else if (c == 'f')
            first = strtoull(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'b')
            broken = broken_of(optarg);
        else
            return 2;
    }
    log_set_level(LOG_PANIC);
    if (sim == NULL)
        abort();
    if (seed > 0) {
        run(sim, seed, broken, true);
        print_counts(&sim->counts, 1);
        printf("%s\n", sim_failed(sim) ? sim->failure : "nothing is wrong");
        status = sim_failed(sim);
    } else if (seeds > 0) {
        unsigned failed = run_seeds(sim, first, seeds, broken, false);

        printf("%sok %llu seeds from %llu\n", failed == 0 ? "" : "not ", (unsigned long long)seeds,
               (unsigned long long)first);
        status = failed > 0;
    } else {
        status = quick(sim);
    }
    free(sim);
    return status;
}
