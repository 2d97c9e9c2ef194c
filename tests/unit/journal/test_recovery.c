/* recovery: what is left of a lane after every kind of death, at every operation of the disk. */
#include "tests/unit/journal/rig.h"

#include "shared/journal/segment.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <string.h>

/* A life of some batches, of sizes that make the segments roll; stops where the disk fails. */
static void live(struct rig *rig, unsigned batches)
{
    for (unsigned i = 0; i < batches; i++) {
        uint32_t frames = 1 + (uint32_t)sim_random_below(&rig->random, 3);
        size_t bytes = 64 + sim_random_below(&rig->random, 1800);

        if (rig_commit(rig, frames, bytes) < 0)
            return;
    }
}

/* Goes on after a recovery, and all is there. */
static void go_on(struct rig *rig)
{
    uint64_t last = rig->count > 0 ? rig->committed[rig->count - 1].sequence : 0;

    rig_check(rig, 0);
    assert_true(rig->state.next_sequence > last);
    live(rig, 4);
    rig_check(rig, 0);
}

enum death { DEATH_WARM, DEATH_COLD, DEATH_POWER };

static void die(struct rig *rig, enum death death)
{
    if (death == DEATH_POWER) {
        rig_power_cut(rig);
        return;
    }
    rig_die(rig);
    if (death == DEATH_COLD)
        rig_new_page(rig);
}

/* Dies at each operation of a life, recovers, goes on, dies again, recovers. */
static void at_every_operation(enum death death)
{
    for (uint64_t at = 1;; at++) {
        struct rig rig;
        bool died;

        rig_init(&rig, at);
        rig.machine.process.crash_at = rig.machine.process.operations + at;
        live(&rig, 14);
        died = rig.machine.process.crashed;
        die(&rig, death);
        assert_int_equal(rig_recover(&rig), 0);
        go_on(&rig);
        die(&rig, death);
        assert_int_equal(rig_recover(&rig), 0);
        go_on(&rig);
        rig_fini(&rig);
        if (!died)
            break;
    }
}

static void test_warm(void **state)
{
    (void)state;
    at_every_operation(DEATH_WARM);
}

static void test_cold(void **state)
{
    (void)state;
    at_every_operation(DEATH_COLD);
}

static void test_power_cut(void **state)
{
    (void)state;
    at_every_operation(DEATH_POWER);
}

/* Dies in the life at `at`, then in each operation of the recovery, then in that one's, and so on. */
static void recovery_dies(uint64_t at, enum death death)
{
    for (uint64_t within = 1; within < 64; within++) {
        struct rig rig;
        unsigned deaths = 0;

        rig_init(&rig, at * 100 + within);
        rig.machine.process.crash_at = rig.machine.process.operations + at;
        live(&rig, 14);
        die(&rig, death);
        rig.machine.process.crash_at = rig.machine.process.operations + within;
        while (rig_recover(&rig) < 0) {
            deaths++;
            die(&rig, death);
            if (deaths < 3)
                rig.machine.process.crash_at = rig.machine.process.operations + within;
        }
        rig.machine.process.crash_at = 0;
        go_on(&rig);
        rig_fini(&rig);
        if (deaths == 0)
            break;
    }
}

static void test_recovery_dies(void **state)
{
    (void)state;
    for (enum death death = DEATH_WARM; death <= DEATH_POWER; death++) {
        for (uint64_t at = 1; at < 60; at++)
            recovery_dies(at, death);
    }
}

/* Kinds of death after each other, at random operations. */
static void test_many_deaths(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rig rig;

        rig_init(&rig, seed);
        for (unsigned life = 0; life < 8; life++) {
            rig.machine.process.crash_at =
                rig.machine.process.operations + 1 + sim_random_below(&rig.random, 40);
            live(&rig, 8);
            die(&rig, (enum death)sim_random_below(&rig.random, 3));
            while (rig_recover(&rig) < 0)
                die(&rig, (enum death)sim_random_below(&rig.random, 3));
            rig_check(&rig, 0);
            if (rig.count > 0)
                rig_check(&rig, rig.committed[sim_random_below(&rig.random, rig.count)].sequence);
        }
        rig_fini(&rig);
    }
}

/* Bytes that are no whole batch are cut, and kept in quarantine. */
static void test_torn_tail_is_kept(void **state)
{
    static const char tail[] = "half a batch";
    char name[SEGMENT_NAME_BYTES];
    struct rig rig;
    uint64_t end;
    int file;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    assert_int_equal(rig_commit(&rig, 2, 100), 0);
    end = rig.state.end;
    segment_name(1, name);
    rig_die(&rig);
    file = rig.disk->ops->open(rig.disk, name, DISK_WRITE);
    assert_int_equal(rig.disk->ops->pwrite(rig.disk, file, tail, sizeof(tail) - 1, end), 0);
    rig.disk->ops->close(rig.disk, file);
    rig_new_page(&rig);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(rig.recovered.bytes_cut, sizeof(tail) - 1);
    assert_int_equal(rig.recovered.batches_rewritten, 1);
    assert_int_equal(sim_disk_files(rig.quarantine), 1);
    go_on(&rig);
    rig_fini(&rig);
}

/*
 * Nothing fits on the disk any more, but what the last segment had allocated ahead. A lane that did
 * not start here would never be delivered, and the disk would stay full.
 */
static void test_full_disk(void **state)
{
    static const char tail[] = "half a batch";

    (void)state;
    for (unsigned torn = 0; torn <= 1; torn++) {
        char name[SEGMENT_NAME_BYTES];
        struct rig rig;
        int file;

        rig_init(&rig, 1);
        assert_int_equal(rig_commit(&rig, 1, 1000), 0);
        assert_int_equal(rig_commit(&rig, 2, 1000), 0);
        segment_name(1, name);
        if (torn > 0) {
            file = rig.disk->ops->open(rig.disk, name, DISK_WRITE);
            rig.disk->ops->pwrite(rig.disk, file, tail, sizeof(tail) - 1, rig.state.end);
            rig.disk->ops->close(rig.disk, file);
        }
        rig_die(&rig);
        rig.machine.full_bytes = rig.machine.used_bytes;
        rig_new_page(&rig);
        assert_int_equal(rig_recover(&rig), 0);
        assert_int_equal(rig_check(&rig, 1), 2);
        assert_int_equal(sim_disk_files(rig.quarantine), torn);
        rig.machine.full_bytes = 0;
        go_on(&rig);
        rig_fini(&rig);
    }
}

/* Not even that: it does not start, leaves nothing behind, and starts when there is room. */
static void test_fuller_disk(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 1000), 0);
    assert_int_equal(rig_commit(&rig, 8, 1600), 0); /* larger than what a segment has left */
    rig_die(&rig);
    rig.machine.full_bytes = rig.machine.used_bytes;
    for (unsigned i = 0; i < 3; i++) {
        rig_new_page(&rig);
        assert_int_equal(rig_recover(&rig), -ENOSPC);
        assert_int_equal(sim_disk_files(rig.disk), 2); /* what was prepared has gone */
    }
    rig.machine.full_bytes = 0;
    rig_new_page(&rig);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(rig_check(&rig, 1), 2);
    assert_int_equal(sim_disk_files(rig.quarantine), 0);
    rig_fini(&rig);
}

/* A damaged batch among others costs itself, not its neighbours; recovery starts all the same. */
static void test_damage_in_the_middle(void **state)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    struct rig rig;
    uint64_t ends[4];

    (void)state;
    rig_init(&rig, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(rig_commit(&rig, 1, 100), 0);
        ends[i] = rig.state.end;
    }
    rig_damage(&rig, 1, ends[0] + 3); /* the second one's header */
    rig_die(&rig);
    rig_new_page(&rig);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(rig.recovered.batches_bad, 1);
    assert_int_equal(rig.state.next_sequence, 5);
    assert_int_equal(reader_open(rig.disk, rig.page, &reader, NULL), 0);
    for (uint64_t sequence = 1; sequence <= 4; sequence++) {
        if (sequence == 2)
            continue;
        assert_int_equal(reader_next(reader, &frame, NULL), 1);
        assert_int_equal(frame.sequence, sequence);
    }
    assert_int_equal(reader_next(reader, &frame, NULL), 0);
    assert_int_equal(reader_counts(reader)->bad_batches, 1);
    reader_close(&reader);
    rig_fini(&rig);
}

/* The lane page's segment is gone or its header is damaged: warm recovery starts all the same. */
static void test_warm_without_its_segment(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        char name[SEGMENT_NAME_BYTES];
        struct rig rig;

        rig_init(&rig, 1);
        assert_int_equal(rig_commit(&rig, 1, 100), 0);
        segment_name(1, name);
        if (gone)
            rig.disk->ops->remove(rig.disk, name);
        else
            rig_damage(&rig, 1, 16);
        rig_die(&rig);
        assert_int_equal(rig_recover(&rig), 0);
        assert_int_equal(rig_commit(&rig, 1, 100), 0);
        assert_int_equal(rig.totals.records_committed, 2);
        rig_fini(&rig);
    }
}

/* A commit record that claims more than there was before it is not believed. */
static void test_durable_end_beyond_the_batch(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, 8);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    rig.state.end += (uint64_t)1 << 20;
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    die(&rig, DEATH_COLD);
    assert_int_equal(rig_recover(&rig), 0);
    assert_true(rig.state.end < RIG_SEGMENT_BYTES);
    assert_int_equal(rig_check(&rig, 0), 2);
    rig_fini(&rig);
}

/* What the journal remembers of chunks is there again. */
static void test_window_comes_back(void **state)
{
    (void)state;
    for (enum death death = DEATH_WARM; death <= DEATH_POWER; death++) {
        struct resend_origin origin = {0, 1, 0, 1, 0};
        uint8_t key[16] = {0};
        struct rig rig;

        rig_init(&rig, 7);
        live(&rig, 20);
        assert_true(rig.state.segment > 2);
        die(&rig, death);
        assert_int_equal(rig_recover(&rig), 0);
        rig_check(&rig, 0);
        assert_int_equal(resend_window_count(rig.window), 20);
        for (unsigned i = 0; i < rig.count; i++) {
            memcpy(key, &rig.committed[i].tag, sizeof(uint64_t));
            origin.connection = rig.committed[i].tag;
            assert_int_equal(resend_window_check(rig.window, key, &origin, RIG_NOW_NS),
                             RESEND_AGAIN);
        }
        rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm),
        cmocka_unit_test(test_cold),
        cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_recovery_dies),
        cmocka_unit_test(test_many_deaths),
        cmocka_unit_test(test_torn_tail_is_kept),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_fuller_disk),
        cmocka_unit_test(test_damage_in_the_middle),
        cmocka_unit_test(test_warm_without_its_segment),
        cmocka_unit_test(test_durable_end_beyond_the_batch),
        cmocka_unit_test(test_window_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
