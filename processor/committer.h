/*
 * committer: the lane's sync thread. It makes one sealed batch durable at a time, while the main
 * thread collects the next one: so at most one sync is in flight, and the slower the disk, the
 * larger the batches (group commit).
 *
 * Why a thread: fdatasync may take seconds and has no form that an event loop could wait for.
 * It shares nothing with the main thread but the job, which belongs to it from committer_start to
 * committer_done.
 *
 * Any failure publishes nothing; the main thread starts the same job again after a while.
 */
#ifndef PROCESSOR_COMMITTER_H
#define PROCESSOR_COMMITTER_H

#include "processor/commit_job.h"
#include "shared/base/err.h"
#include "shared/ipc/status_page.h"

#include <stdbool.h>

struct committer;

struct committer_config {
    struct journal_writer *writer; /* used by the thread only, but while no job is under way */
    struct lane_page *page;
    struct disk *quarantine;
    struct status_slot *status;
    int done_bell;    /* rung when a job has ended; borrowed */
    int shipper_bell; /* rung after each publication of frames; borrowed; < 0: none */
};

/* Starts the thread, with all signals blocked. */
int committer_new(const struct committer_config *config, struct committer **ret_committer,
                  struct err *err);
/* Waits for a job under way, ends the thread. */
void committer_free(struct committer **committer);

/* Hands the job over. No job may be under way. Borrowed until committer_done. */
void committer_start(struct committer *committer, struct commit_job *job);

/* True once after each job that ended. Does not wait. */
bool committer_done(struct committer *committer);

#endif
