/*
 * processor/committer.h without a thread: the simulation runs a job step by step, and may let the
 * processor die between any two.
 */
#include "processor/committer.h"

#include "shared/base/fd.h"
#include "tests/sim/sim.h"

#include <stdlib.h>

enum step { STEP_STORE, STEP_PAGE, STEP_RINGS, STEP_PREPARE };

struct committer {
    struct committer_config config;
    struct commit_job *job;
    enum step step;
    bool done;
};

static struct committer *sim_committers[SIM_LANES];

int committer_new(const struct committer_config *config, struct committer **ret_committer,
                  struct err *err)
{
    struct committer *committer = calloc(1, sizeof(*committer));

    (void)err;
    if (committer == NULL)
        abort();
    committer->config = *config;
    sim_committers[lane_page_lane(config->page)] = committer;
    *ret_committer = committer;
    return 0;
}

void committer_free(struct committer **committer)
{
    if (*committer == NULL)
        return;
    sim_committers[lane_page_lane((*committer)->config.page)] = NULL;
    free(*committer);
    *committer = NULL;
}

void committer_start(struct committer *committer, struct commit_job *job)
{
    if (committer->job != NULL)
        abort();
    committer->job = job;
    committer->step = STEP_STORE;
}

bool committer_done(struct committer *committer)
{
    bool done = committer->done;

    committer->done = false;
    return done;
}

struct committer *sim_committer_of(const struct lane_page *page)
{
    return sim_committers[lane_page_lane(page)];
}

bool sim_committer_busy(const struct committer *committer)
{
    return committer->job != NULL;
}

static void end(struct committer *committer)
{
    committer->job = NULL;
    committer->done = true;
    fd_bell_ring(committer->config.done_bell);
}

static void store(struct committer *committer, bool early)
{
    const struct committer_config *config = &committer->config;
    struct commit_job *job = committer->job;

    if (early)
        commit_job_publish_rings(job);
    job->result = commit_job_store(job, config->writer, config->quarantine);
    if (job->result < 0)
        end(committer);
    else
        committer->step = STEP_PAGE;
}

void sim_committer_step(struct committer *committer, bool early)
{
    const struct committer_config *config = &committer->config;
    struct commit_job *job = committer->job;

    switch (committer->step) {
    case STEP_STORE:
        store(committer, early);
        break;
    case STEP_PAGE:
        commit_job_publish_page(job, config->writer, config->page);
        if (job->batch.bytes.n > 0)
            fd_bell_ring(config->shipper_bell);
        committer->step = STEP_RINGS;
        break;
    case STEP_RINGS:
        commit_job_publish_rings(job);
        committer->step = STEP_PREPARE;
        break;
    case STEP_PREPARE:
        writer_prepare(config->writer);
        end(committer);
        break;
    }
}
