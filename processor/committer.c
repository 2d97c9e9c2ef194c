#include "processor/committer.h"

#include "shared/base/clock.h"
#include "shared/base/fd.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define COMMITTER_STACK_BYTES (256u << 10)

struct committer {
    struct committer_config config;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct commit_job *job; /* under way; under the mutex */
    bool done;              /* the last job has ended and was not asked for yet */
    bool stop;
};

static void publish(struct committer *committer, struct commit_job *job)
{
    const struct committer_config *config = &committer->config;

    commit_job_publish_page(job, config->writer, config->page);
    if (job->batch.bytes.n > 0 && config->shipper_bell >= 0)
        fd_bell_ring(config->shipper_bell);
    commit_job_publish_rings(job);
}

static void count(struct committer *committer, uint64_t took_ns)
{
    const struct writer_counts *counts = writer_counts(committer->config.writer);
    struct status_slot *status = committer->config.status;

    status_set(status, METRIC_JOURNAL_SYNCS, counts->syncs);
    status_set(status, METRIC_JOURNAL_BYTES_WRITTEN, counts->bytes);
    status_set(status, METRIC_JOURNAL_ERRORS, counts->errors);
    status_add(status, METRIC_JOURNAL_SYNC_NS, took_ns);
}

static void run(struct committer *committer, struct commit_job *job)
{
    struct status_slot *status = committer->config.status;
    uint64_t began = clock_monotonic_ns();

    __atomic_store_n(&status->sync_since_ns, began, __ATOMIC_RELAXED);
    job->result = commit_job_store(job, committer->config.writer, committer->config.quarantine);
    __atomic_store_n(&status->sync_since_ns, 0, __ATOMIC_RELAXED);
    count(committer, clock_monotonic_ns() - began);
    if (job->result < 0)
        return;
    publish(committer, job);
    writer_prepare(committer->config.writer);
}

static void *thread_main(void *argument)
{
    struct committer *committer = argument;

    pthread_mutex_lock(&committer->mutex);
    for (;;) {
        struct commit_job *job;

        while (committer->job == NULL && !committer->stop)
            pthread_cond_wait(&committer->wake, &committer->mutex);
        job = committer->job;
        if (job == NULL)
            break;
        pthread_mutex_unlock(&committer->mutex);
        run(committer, job);
        pthread_mutex_lock(&committer->mutex);
        committer->job = NULL;
        committer->done = true;
        fd_bell_ring(committer->config.done_bell);
    }
    pthread_mutex_unlock(&committer->mutex);
    return NULL;
}

static int start_thread(struct committer *committer)
{
    pthread_attr_t attributes;
    sigset_t all, old;
    int r = pthread_attr_init(&attributes);

    if (r != 0)
        return r;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_attr_setstacksize(&attributes, COMMITTER_STACK_BYTES);
    if (r == 0)
        r = pthread_create(&committer->thread, &attributes, thread_main, committer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return r;
}

int committer_new(const struct committer_config *config, struct committer **ret_committer,
                  struct err *err)
{
    struct committer *committer = calloc(1, sizeof(*committer));
    int r;

    if (committer == NULL)
        return err_errno(err, ENOMEM, "cannot start the sync thread");
    committer->config = *config;
    pthread_mutex_init(&committer->mutex, NULL);
    pthread_cond_init(&committer->wake, NULL);
    r = start_thread(committer);
    if (r != 0) {
        free(committer);
        return err_errno(err, r, "cannot start the sync thread");
    }
    *ret_committer = committer;
    return 0;
}

void committer_free(struct committer **committer)
{
    struct committer *c = *committer;

    if (c == NULL)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->wake);
    free(c);
    *committer = NULL;
}

void committer_start(struct committer *committer, struct commit_job *job)
{
    pthread_mutex_lock(&committer->mutex);
    committer->job = job;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->mutex);
}

bool committer_done(struct committer *committer)
{
    bool done;

    pthread_mutex_lock(&committer->mutex);
    done = committer->done;
    committer->done = false;
    pthread_mutex_unlock(&committer->mutex);
    return done;
}
