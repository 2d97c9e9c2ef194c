/*
 * rig: a lane's journal on a simulated disk, for the tests of writer, reader and recovery. What a
 * frame holds follows from its batch's tag and its index, so a reader can tell whether it is whole.
 * Failures end the test (cmocka), but for what a disk fault may cause: that is returned.
 */
#ifndef TESTS_UNIT_JOURNAL_RIG_H
#define TESTS_UNIT_JOURNAL_RIG_H

#include "shared/ipc/lane_page.h"
#include "shared/journal/batch.h"
#include "shared/journal/reader.h"
#include "shared/journal/recovery.h"
#include "shared/journal/writer.h"
#include "tests/sim/sim_disk.h"

#define RIG_BATCHES 256
#define RIG_SEGMENT_BYTES 16384u
#define RIG_NOW_NS 1700000000000000000ull

/* A batch as the rig wrote it: the tag names its content. */
struct rig_batch {
    uint64_t sequence, tag;
    uint32_t frames;
};

struct rig {
    struct sim_random random;
    struct sim_machine machine;
    struct disk *disk, *quarantine;
    struct lane_page *page;
    struct journal_writer *writer;
    struct resend_window *window;
    struct batch batch;
    struct lane_state state; /* as published */
    struct commit_record totals;
    uint64_t next_tag;
    struct rig_batch committed[RIG_BATCHES]; /* writer_commit returned 0 */
    unsigned count;
    struct rig_batch
        pending; /* was tried and has failed, or the process died in it; frames 0: none */
    struct recovery_result recovered;
};

void rig_init(struct rig *rig, uint64_t seed);
void rig_fini(struct rig *rig);

/* Builds the next batch in rig->batch, sealed. */
void rig_build(struct rig *rig, uint32_t frames, size_t frame_bytes, struct rig_batch *ret_batch);
/* Writes and publishes it. 0 or -errno; after an error rig->pending has it. */
int rig_commit(struct rig *rig, uint32_t frames, size_t frame_bytes);
/* Tries the pending batch again, as the lane does. */
int rig_again(struct rig *rig);

/* The process dies: its writer is gone, what it had open is closed, its disk works again. */
void rig_die(struct rig *rig);
/* ... and the machine with it; a new page. */
void rig_power_cut(struct rig *rig);
/* A new supervisor: the page is gone, the page cache stays. */
void rig_new_page(struct rig *rig);

/* Recovers (cold without a page, else warm), makes a writer and publishes. 0 or -errno. */
int rig_recover(struct rig *rig);

/*
 * Reads all from `sequence` on. Every committed batch must be there once, in order, whole; and
 * nothing else but the pending one. Returns how many batches were read.
 */
unsigned rig_check(struct rig *rig, uint64_t sequence);

/* Flips a bit. */
void rig_damage(struct rig *rig, uint64_t segment, uint64_t offset);

#endif
