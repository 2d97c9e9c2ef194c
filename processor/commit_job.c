#include "processor/commit_job.h"

#include "shared/base/fd.h"

int commit_job_store(struct commit_job *job, struct journal_writer *writer, struct disk *quarantine)
{
    int r = quarantine_write(quarantine, &job->quarantine, &job->err);

    if (r == 0 && job->batch.bytes.n > 0)
        r = writer_commit(writer, &job->batch, &job->err);
    return r;
}

void commit_job_publish_page(struct commit_job *job, const struct journal_writer *writer,
                             struct lane_page *page)
{
    struct writer_position position = writer_position(writer);

    job->state.segment = position.segment;
    job->state.end = position.end;
    job->state.records = position.records;
    lane_page_publish(page, &job->state);
}

void commit_job_publish_rings(struct commit_job *job)
{
    for (unsigned i = 0; i < job->ring_count; i++) {
        struct commit_ring *r = &job->rings[i];

        if (ring_consumer_publish(r->ring, r->position, r->replies))
            fd_bell_ring(r->door);
    }
}
