/*
 * commit_job: what it takes to make one sealed batch durable and to say so, step by step, in the
 * only order that is right (design: one commit, in this order):
 *
 *     store:    quarantine files, their folder ── segment         written and synced
 *     publish:  lane page ── verdicts ── consumer positions       never before store returned 0
 *
 * The sync thread (committer.h) runs it; a simulation runs the same steps and dies between them.
 */
#ifndef PROCESSOR_COMMIT_JOB_H
#define PROCESSOR_COMMIT_JOB_H

#include "processor/quarantine.h"
#include "shared/base/err.h"
#include "shared/ipc/lane_page.h"
#include "shared/ipc/ring.h"
#include "shared/journal/writer.h"

struct commit_ring {
    struct ring *ring;
    int door;          /* of its receiver; borrowed */
    uint64_t position; /* committed with this job */
    uint64_t replies;
};

struct commit_job {
    struct writer_batch batch; /* bytes.n == 0: nothing to write, positions move only */
    struct quarantine_list quarantine;
    struct lane_state
        state; /* to publish; segment, end and records are filled in from the writer */
    struct commit_ring rings[LANE_PAGE_RINGS];
    unsigned ring_count;
    int result; /* 0 or -errno, when it has ended */
    struct err err;
};

/* Writes and syncs. 0 or -errno; after an error nothing may be published. */
int commit_job_store(struct commit_job *job, struct journal_writer *writer,
                     struct disk *quarantine);

/* Publishes the lane page. */
void commit_job_publish_page(struct commit_job *job, const struct journal_writer *writer,
                             struct lane_page *page);

/* Publishes the verdicts and the consumer positions, and wakes receivers that sleep. */
void commit_job_publish_rings(struct commit_job *job);

#endif
