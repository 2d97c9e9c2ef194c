/*
 * batch: the bytes of one batch in the making, laid out as they go to the disk
 * (segment_layout.h). The processor fills it while the one before is being synced.
 *
 *     batch_clear(batch);
 *     mark = batch_mark(batch);                     before each chunk
 *     p = batch_frame_reserve(batch, bound); ... compress into p ...
 *     batch_frame_commit(batch, &info, bytes);
 *     batch_cut(batch, mark);                       where the chunk turned out corrupt
 *     batch_key(batch, &key); batch_confirmation(batch, &confirmation);
 *     batch_seal(batch, sequence, &commit);         then batch->buf is what is written
 */
#ifndef SHARED_JOURNAL_BATCH_H
#define SHARED_JOURNAL_BATCH_H

#include "shared/base/buf.h"
#include "shared/journal/segment_layout.h"
#include "shared/otlp/frame.h"

struct batch {
    struct buf bytes;
    struct buf keys;          /* struct segment_key */
    struct buf confirmations; /* struct segment_confirmation */
    uint32_t frames;
    uint32_t records;
};

struct batch_mark {
    size_t bytes;
    uint32_t frames, records;
};

/* max_bytes: the most that a batch's frames may take. */
void batch_init(struct batch *batch, size_t max_bytes);
void batch_fini(struct batch *batch);

/* Empties it; memory above keep_bytes is given back. */
void batch_clear(struct batch *batch, size_t keep_bytes);

static inline struct batch_mark batch_mark(const struct batch *batch)
{
    return (struct batch_mark){batch->bytes.n, batch->frames, batch->records};
}
void batch_cut(struct batch *batch, struct batch_mark mark);

/* Room for a payload of up to max_bytes behind a frame header; NULL: out of memory. */
uint8_t *batch_frame_reserve(struct batch *batch, size_t max_bytes);
/* The reserved frame is complete with `bytes` payload bytes. */
int batch_frame_commit(struct batch *batch, const struct frame_info *info, size_t bytes);

/* Both return 0 or -ENOMEM. */
int batch_key(struct batch *batch, const struct segment_key *key);
int batch_confirmation(struct batch *batch, const struct segment_confirmation *confirmation);

/*
 * Completes it: numbers and checks every frame, appends the commit record. The caller has filled
 * in what only it knows of `commit` (durable end, times, totals); the rest is set here.
 */
int batch_seal(struct batch *batch, uint64_t sequence, const struct commit_record *commit);

#endif
