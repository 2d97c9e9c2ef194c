/* writer: what it promises, and that it promises nothing after any failure. */
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

static void read_header(struct rig *rig, uint64_t number, struct segment_header *ret_header)
{
    char name[SEGMENT_NAME_BYTES];
    int file;

    segment_name(number, name);
    file = rig->disk->ops->open(rig->disk, name, DISK_READ);
    assert_true(file >= 0);
    assert_int_equal(segment_header_read(rig->disk, file, number, ret_header), 0);
    rig->disk->ops->close(rig->disk, file);
}

static void test_rolls(void **state)
{
    struct segment_header header;
    struct rig rig;
    uint64_t segment = 0;

    (void)state;
    rig_init(&rig, 1);
    for (unsigned i = 0; i < 40; i++) {
        struct lane_state before = rig.state;

        assert_int_equal(rig_commit(&rig, 2, 700), 0);
        if (rig.state.segment == before.segment)
            continue;
        assert_int_equal(rig.state.segment, segment + 1);
        read_header(&rig, rig.state.segment, &header);
        assert_int_equal(header.previous, segment);
        assert_int_equal(header.previous_end, before.end);
        assert_int_equal(header.first_sequence, i + 1);
        assert_int_equal(header.records_before, 2 * i);
        segment = rig.state.segment;
    }
    assert_true(rig.state.segment > 2);
    assert_int_equal(rig_check(&rig, 0), 40);
    rig_fini(&rig);
}

/* A batch larger than a segment gets a segment of its own size. */
static void test_large_batch(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    assert_int_equal(rig_commit(&rig, 3, 10000), 0);
    assert_int_equal(rig.state.segment, 2);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    assert_int_equal(rig_check(&rig, 0), 3);
    rig_fini(&rig);
}

/* The next segment is made ahead, when the present one is half full, and used. */
static void test_prepared(void **state)
{
    char name[SEGMENT_NAME_BYTES];
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    assert_int_equal(rig_commit(&rig, 1, 100), 0);
    segment_name(2, name);
    assert_int_equal(sim_disk_file_size(rig.disk, name), -ENOENT);
    assert_int_equal(rig_commit(&rig, 1, RIG_SEGMENT_BYTES / 2), 0);
    assert_int_equal(sim_disk_file_size(rig.disk, name), RIG_SEGMENT_BYTES);
    assert_int_equal(rig_commit(&rig, 1, RIG_SEGMENT_BYTES / 2), 0);
    assert_int_equal(rig.state.segment, 2);
    rig_fini(&rig);
}

enum death { DEATH_NONE, DEATH_WARM, DEATH_COLD, DEATH_POWER, DEATHS };

static void die(struct rig *rig, enum death death)
{
    rig->machine.fail_at = 0;
    if (death == DEATH_NONE)
        return;
    if (death == DEATH_POWER)
        rig_power_cut(rig);
    else
        rig_die(rig);
    if (death == DEATH_COLD)
        rig_new_page(rig);
    assert_int_equal(rig_recover(rig), 0);
}

/* Batches, each tried until it is stored; `failed` counts failures; dies after `deadly` of them. */
static bool live(struct rig *rig, unsigned batches, unsigned deadly, enum death death)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < batches; i++) {
        int r = rig_commit(rig, 1 + i % 3, 200 + 300 * (i % 5));

        while (r < 0) {
            rig_check(rig, 0);
            if (++failed == deadly && death != DEATH_NONE) {
                die(rig, death);
                rig_check(rig, 0);
                break;
            }
            assert_true(failed < 20);
            r = rig_again(rig);
        }
    }
    return failed > 0;
}

/*
 * Each n-th operation fails, or a run of them: nothing was promised, what was promised before is
 * there, the batch is stored when it is tried again, and all survives each kind of death, at once
 * or after some more failures.
 */
static void every_failure(int error)
{
    for (enum death death = DEATH_NONE; death < DEATHS; death++) {
        for (uint64_t n = 0; n < 100; n++) {
            for (unsigned count = 1; count <= 4; count++) {
                struct rig rig;

                rig_init(&rig, n * 10 + count);
                rig.machine.fail_with = error;
                rig.machine.fail_count = count;
                rig.machine.fail_at = rig.machine.operations + 1 + n;
                live(&rig, 14, 1 + (unsigned)(n % 3), death);
                die(&rig, death);
                rig_check(&rig, 0);
                live(&rig, 3, 0, DEATH_NONE);
                rig_check(&rig, 0);
                rig_fini(&rig);
            }
        }
    }
}

static void test_every_failure(void **state)
{
    (void)state;
    every_failure(EIO);
    every_failure(ENOSPC);
}

/* A full disk is a state: when there is room again, it goes on. */
static void test_full_disk(void **state)
{
    struct rig rig;
    int r = 0;

    (void)state;
    rig_init(&rig, 1);
    rig.machine.full_bytes = 2 * RIG_SEGMENT_BYTES + 1000;
    while (rig.count < 100 && r == 0)
        r = rig_commit(&rig, 1, 1000);
    assert_int_equal(r, -ENOSPC);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(rig_again(&rig), -ENOSPC);
    rig_check(&rig, 0);
    rig.machine.full_bytes = 0;
    assert_int_equal(rig_again(&rig), 0);
    rig_check(&rig, 0);
    rig_fini(&rig);
}

/* The present segment is full, and there is no room for a whole one: less will do. */
static void test_nearly_full_disk(void **state)
{
    struct rig rig;
    uint64_t segment;

    (void)state;
    rig_init(&rig, 1);
    while (rig.state.segment < 2)
        assert_int_equal(rig_commit(&rig, 1, 1000), 0);
    rig.machine.full_bytes = rig.machine.used_bytes + RIG_SEGMENT_BYTES * 3 / 4;
    segment = rig.state.segment;
    while (rig.state.segment == segment)
        assert_int_equal(rig_commit(&rig, 1, 1000), 0);
    assert_true(rig.machine.used_bytes <= rig.machine.full_bytes);
    segment = rig.state.segment;
    assert_int_equal(rig_commit(&rig, 1, 1000), 0); /* not one for each batch */
    assert_int_equal(rig.state.segment, segment);
    rig.machine.full_bytes = 0;
    while (rig.state.segment < segment + 2)
        assert_int_equal(rig_commit(&rig, 1, 1000), 0);
    rig_check(&rig, 0);
    rig_fini(&rig);
}

static int refuse(void *context, uint64_t bytes, struct err *err)
{
    (void)bytes;
    return *(bool *)context ? err_set(err, ENOSPC, "journal.total_limit") : 0;
}

static void test_may_grow(void **state)
{
    struct writer_config config = {.segment_bytes = RIG_SEGMENT_BYTES, .may_grow = refuse};
    bool full = true;
    struct rig rig;

    (void)state;
    rig_init(&rig, 1);
    config.context = &full;
    writer_free(&rig.writer);
    assert_int_equal(writer_new(rig.disk, &config, &rig.writer, NULL), 0);
    assert_int_equal(rig_commit(&rig, 1, 100), -ENOSPC);
    assert_int_equal(sim_disk_files(rig.disk), 0);
    full = false;
    assert_int_equal(rig_again(&rig), 0);
    rig_fini(&rig);
}

/*
 * A successor that goes on in the present segment leaves none behind that its predecessor had begun
 * behind it: such a one would claim, after a power cut too, that the present one ends earlier.
 */
static void test_resume_removes_later_segments(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rig rig;

        rig_init(&rig, seed);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(rig_commit(&rig, 1, 100), 0);
        rig_build(&rig, 1, RIG_SEGMENT_BYTES, &rig.pending); /* needs a new one */
        /* Make, allocate, folder, window, header, batch, sync. Dies in one of the last two. */
        rig.machine.process.crash_at = rig.machine.process.operations + 6 + (seed & 1);
        assert_true(rig_again(&rig) < 0);
        rig_die(&rig);
        assert_int_equal(rig_recover(&rig), 0);
        assert_int_equal(sim_disk_files(rig.disk), 1);
        assert_int_equal(rig_commit(&rig, 1, 100), 0);
        assert_int_equal(rig.state.segment, 1);
        rig_power_cut(&rig);
        assert_int_equal(rig_recover(&rig), 0);
        assert_int_equal(rig_check(&rig, 0), 3);
        rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolls),     cmocka_unit_test(test_large_batch),
        cmocka_unit_test(test_prepared),  cmocka_unit_test(test_every_failure),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_nearly_full_disk),
        cmocka_unit_test(test_may_grow),  cmocka_unit_test(test_resume_removes_later_segments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
