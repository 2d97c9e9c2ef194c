/*
 * status_page: what each process says of itself, in one memfd of the supervisor: counters and
 * gauges (one row of metrics.def each), and signs of life. A process writes only its own slot; the
 * supervisor and sluicectl's `status` read all. Counters survive a restart of their process.
 *
 * A slot's values are single 64-bit words, stored relaxed: one thread writes a given word (the
 * processor's sync thread has words of its own).
 */
#ifndef SHARED_IPC_STATUS_PAGE_H
#define SHARED_IPC_STATUS_PAGE_H

#include "shared/base/err.h"

#include <stdint.h>

#define STATUS_SLOTS 32u
#define STATUS_WORDS 96u
#define STATUS_NOTE_BYTES 160u

enum metric_id {
#define METRIC(id, stage, name, kind, help) METRIC_##id,
#include "shared/ipc/metrics.def"
#undef METRIC
    METRIC_COUNT
};

/* What a process does now; a computing phase must show progress, a waiting one need not. */
enum status_phase {
    STATUS_STARTING = 0,
    STATUS_COMPUTING = 1,
    STATUS_IDLE = 2,    /* waits in the event loop */
    STATUS_IN_SYNC = 3, /* in fdatasync, write or another call on the disk */
    STATUS_DRAINING = 4,
};

struct status_slot {
    uint64_t progress;       /* any change is a sign of life */
    uint64_t phase;          /* enum status_phase, of the main thread */
    uint64_t phase_since_ns; /* CLOCK_MONOTONIC */
    uint64_t sync_since_ns;  /* the sync thread is in a disk call since; 0: is not */
    uint64_t words[STATUS_WORDS];
    char note[STATUS_NOTE_BYTES]; /* a short human text: what is wrong now; "" when nothing is */
};

struct status_page;

int status_page_create(int *ret_fd, struct err *err);
int status_page_open(int fd, struct status_page **ret_page, struct err *err);
void status_page_close(struct status_page **page);
/* Slot `index` below STATUS_SLOTS. */
struct status_slot *status_page_slot(struct status_page *page, unsigned index);

static inline void status_add(struct status_slot *slot, enum metric_id id, uint64_t n)
{
    __atomic_store_n(&slot->words[id], __atomic_load_n(&slot->words[id], __ATOMIC_RELAXED) + n,
                     __ATOMIC_RELAXED);
}

static inline void status_set(struct status_slot *slot, enum metric_id id, uint64_t n)
{
    __atomic_store_n(&slot->words[id], n, __ATOMIC_RELAXED);
}

static inline uint64_t status_get(const struct status_slot *slot, enum metric_id id)
{
    return __atomic_load_n(&slot->words[id], __ATOMIC_RELAXED);
}

/* Enters a phase, which is a sign of life too. */
void status_phase(struct status_slot *slot, enum status_phase phase);
/* A sign of life from within a long computation. O(1), no system call. */
static inline void status_alive(struct status_slot *slot)
{
    __atomic_store_n(&slot->progress, __atomic_load_n(&slot->progress, __ATOMIC_RELAXED) + 1,
                     __ATOMIC_RELAXED);
}
/* Sets the note; cut to size; never a secret. */
void status_note(struct status_slot *slot, const char *text);

/* Name, kind ("counter", "gauge"), stage letter and help of a metric. */
struct metric_row {
    const char *name, *kind, *help;
    char stage;
};
const struct metric_row *metric_row(enum metric_id id);

#endif
