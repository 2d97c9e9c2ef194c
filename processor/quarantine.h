/*
 * quarantine: chunks that could not be decoded, kept as they came, with the reason. They are
 * acknowledged, or their senders would send them for ever, so they must be as durable as a batch:
 * the sync thread writes and syncs them before the batch they belong to.
 *
 * A file is one line of JSON (reason, tag, peer, times, sizes), a newline, then the payload's bytes
 * as they came. Its name: "chunk-<receive time, ns>-<lane>-<number>.raw".
 */
#ifndef PROCESSOR_QUARANTINE_H
#define PROCESSOR_QUARANTINE_H

#include "processor/chunk.h"
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/journal/disk.h"

#define QUARANTINE_NAME_BYTES 96

struct quarantine_item {
    char name[QUARANTINE_NAME_BYTES];
    struct buf bytes;
};

/* What one batch puts there; empty: all zero. */
struct quarantine_list {
    struct quarantine_item *items;
    unsigned count;
};

/* Adds a chunk. `lane` and `number` make the name unique. Copies everything. 0 or -ENOMEM. */
int quarantine_add(struct quarantine_list *list, const struct chunk *chunk, const char *reason,
                   uint32_t lane, uint64_t number);

/* Writes and syncs all files, then the folder. 0, also for an empty list, or -errno. */
int quarantine_write(struct disk *disk, const struct quarantine_list *list, struct err *err);

void quarantine_clear(struct quarantine_list *list);

#endif
