/*
 * load_record: the load generator's records and chunks, in msgpack as the forward protocol carries
 * them.
 *
 * A record has ten fields, like those of a job-queue worker, about 370 bytes in all:
 *
 *     timestamp   RFC 3339 with nine digits: the time of sending, realtime, plus the record's
 *                 number in its chunk in nanoseconds (so that no two are equal)
 *     level, message, trace_id (32 hex digits), job_id, machine_id, worker_id, source, component
 *     seq         the record's serial number, which the sink counts
 *
 * and, on request, an eleventh, sent_ns: the same time as an integer.
 *
 * Records are made from a pool of RECORD_POOL prepared ones, which differ in message (40 templates
 * with numbers), machine, worker and so on. For each record one of them is copied and its serial,
 * times, trace id, job id and some of the message's digits are replaced: about 40 ns a record.
 * The pool is larger than any window of a compressor that matters here.
 *
 * Lines come from 64 jobs at a time, mixed at random; a job's lines share its trace id and job id,
 * as real ones do, and after `job_records` lines another job with new random ids takes its place.
 * 1: no two records share an id, the hardest case for compression.
 *
 * A chunk's lines come from one machine of 64, as a Fluent Bit sends its own machine's; with
 * `machines` above 1 they come from so many in turn, as a relay's do.
 */
#ifndef TESTS_BENCH_LOAD_RECORD_H
#define TESTS_BENCH_LOAD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

/* No record is larger, with its time and its entry header. */
#define LOAD_RECORD_MAX 512

/* A chunk's id: 24 hex digits that hold a run number, a chunk number and the slot below. */
#define LOAD_CHUNK_ID_BYTES 24

enum load_mode { LOAD_MESSAGE, LOAD_FORWARD, LOAD_PACKED, LOAD_GZIP };

struct load_chunk {
    const char *tag;
    enum load_mode mode;
    uint32_t first_serial;
    uint32_t records; /* 1 in message mode */
    uint64_t sent_ns; /* realtime */
    const char *id;   /* LOAD_CHUNK_ID_BYTES characters, or NULL: no ack wanted */
};

struct load_pool;

struct load_kind {
    uint32_t job_records; /* at least 1 */
    uint32_t machines;    /* 1 to 64 */
    bool with_sent_ns;
};

/* The pool depends on its arguments alone. Returns 0 or -ENOMEM. */
int load_pool_new(uint64_t seed, const struct load_kind *kind, struct load_pool **ret_pool);
void load_pool_free(struct load_pool **pool);

/* The most bytes that a chunk of so many records takes in any mode. */
size_t load_chunk_bound(uint32_t records, const char *tag);

/*
 * Writes one whole message to `out`, which has load_chunk_bound() bytes. Returns 0 and its length,
 * or -EIO where the compressor fails.
 */
int load_chunk_write(struct load_pool *pool, const struct load_chunk *chunk, uint8_t *out,
                     size_t *ret_bytes);

#endif
