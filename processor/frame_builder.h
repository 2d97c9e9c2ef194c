/*
 * frame_builder: collects the OTLP bytes of log records and gives them to a sink as compressed
 * frames. It lies between convert.c, which writes records, and the batch that the commit engine
 * builds.
 *
 *     convert_chunk ──records──▶ group: resource A, scope 1 │ record record record
 *                                group: resource A, scope 2 │ record            │ ──▶ one frame
 *                                group: resource B, scope 1 │ record record     │     (sink)
 *
 * A group is one resource and one scope; its records lie in one buffer with room in front for the
 * headers, so that a frame of one group is compressed where it lies. Consecutive chunks of equal
 * tag and peer share a group. A frame is at most FRAME_MAX_PLAIN_BYTES plain; a single larger
 * record gets a frame of its own.
 *
 * A chunk that turns out corrupt leaves no trace here, and no record of an earlier one is lost:
 * the caller notes where its batch stands before the chunk; when records of earlier chunks must go
 * out in the middle of it, they go alone, and the sink's `keep` tells the caller to note again.
 * After chunk_abort the caller cuts its batch back to the note.
 *
 * Errors: -ENOMEM, -EFBIG (one record above FRAME_BUILDER_MAX_RECORD_BYTES), -EIO (codec), and
 * whatever the sink returns. After an error only chunk_abort, reset and free are allowed.
 */
#ifndef PROCESSOR_FRAME_BUILDER_H
#define PROCESSOR_FRAME_BUILDER_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/hash.h"
#include "shared/otlp/frame.h"

#define FRAME_BUILDER_MAX_RECORD_BYTES (256u << 20)

struct frame_builder;

/*
 * Where frames go. reserve gives room for max_bytes payload bytes, valid until the next call, or
 * NULL (-ENOMEM). commit appends the frame whose payload is the first `bytes` of that room, and
 * returns 0 or -errno. keep says, between two frames of one chunk, that all frames so far hold
 * earlier chunks' records only: an abort of this chunk must not cut them off. It may be NULL.
 */
struct frame_sink {
    uint8_t *(*reserve)(void *context, size_t max_bytes);
    int (*commit)(void *context, const struct frame_info *info, size_t bytes);
    void (*keep)(void *context);
    void *context;
};

/* The sink is copied. Returns 0 or -ENOMEM. */
int frame_builder_new(enum frame_codec_id codec, const struct frame_sink *sink,
                      struct frame_builder **ret_builder, struct err *err);
void frame_builder_free(struct frame_builder **builder);

/* convert_chunk brackets each chunk with these; nobody else needs to. */
void frame_builder_chunk_begin(struct frame_builder *builder);
void frame_builder_chunk_end(struct frame_builder *builder);
void frame_builder_chunk_abort(struct frame_builder *builder);

/* Compresses what is left and gives it to the sink: at the end of a batch. No-op when empty. */
int frame_builder_flush(struct frame_builder *builder);

/* Drops everything collected: the batch is given up. */
void frame_builder_reset(struct frame_builder *builder);

/* Plain bytes collected and not yet given to the sink, headers left out. */
size_t frame_builder_pending_bytes(const struct frame_builder *builder);

/*
 * The encoded fields of a ResourceLogs message but for scope_logs, or of a ScopeLogs message but
 * for log_records; and a hash of them. Heads of one id are equal: the bytes are compared only where
 * the ids differ. Ids are the maker's, from 1 on, never given twice.
 */
struct frame_head {
    uint64_t id;
    uint64_t hash;
    struct slice bytes;
};

static inline struct frame_head frame_head_of(uint64_t id, struct slice bytes)
{
    return (struct frame_head){id, hash_slices(&bytes, 1).low, bytes};
}

/* For convert.c. Chooses the group that the next records belong to. Both are copied. */
int frame_builder_group(struct frame_builder *builder, const struct frame_head *resource,
                        const struct frame_head *scope);

/*
 * The same, and puts a record that is not counted in yet behind the group's records: one that was
 * written behind those of the group chosen before, or elsewhere. Returns 1 where the group is new,
 * and so a head more will be written; else 0.
 */
int frame_builder_move(struct frame_builder *builder, const struct frame_head *resource,
                       const struct frame_head *scope, struct slice record);

/*
 * The chosen group's buffer: the record is written behind records->n as a whole log_records field
 * (key 12, length, LogRecord) with records->n as it was, then counted in with
 * frame_builder_record. The pointer holds until the next _group, _move or _record.
 */
struct buf *frame_builder_records(struct frame_builder *builder);

/* Counts in the `bytes` written behind records->n; gives frames to the sink when they are full. */
int frame_builder_record(struct frame_builder *builder, size_t bytes, uint64_t time_ns);

#endif
