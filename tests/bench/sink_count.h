/*
 * sink_count: what the sink has seen: each serial once or more often, how long each record was
 * under way, and what was wrong. A serial is a bit in a map of 2^32, of which only the touched
 * pages exist.
 */
#ifndef TESTS_BENCH_SINK_COUNT_H
#define TESTS_BENCH_SINK_COUNT_H

#include <stdint.h>
#include <stdio.h>

#include "tests/bench/hist.h"
#include "tests/bench/sink_walk.h"

#define SINK_DUPLICATES_SHOWN 32

struct sink_count {
    uint64_t *map;
    uint64_t expected; /* 0: unknown */
    uint64_t first_serial;

    uint64_t requests;
    uint64_t accepted;
    uint64_t failed; /* 503 on purpose */
    uint64_t bad;    /* 400 */
    char bad_reason[ERR_TEXT_BYTES];
    uint64_t body_bytes;
    uint64_t plain_bytes;
    uint64_t many_members; /* bodies of several gzip members or zstd frames */

    uint64_t records;
    uint64_t unique;
    uint64_t unique_expected; /* of them, in the expected range */
    uint64_t duplicates;
    uint64_t shown_duplicates[SINK_DUPLICATES_SHOWN];
    uint64_t without_seq;
    uint64_t from_the_future; /* sent after they came: the clock or the conversion is wrong */
    struct sink_walk totals;  /* `seen` unused */
    struct hist delivery;
    uint64_t first_ns;
    uint64_t last_ns;
};

int sink_count_init(struct sink_count *count);
void sink_count_fini(struct sink_count *count);

/* Expects `expected` serials from count->first_serial on, also after some of them came. */
void sink_count_expect(struct sink_count *count, uint64_t expected);

/* Counts an accepted request's records, which arrived at now_ns (realtime). */
void sink_count_add(struct sink_count *count, const struct sink_walk *walk, uint64_t now_ns);

void sink_count_write_json(const struct sink_count *count, FILE *out);

#endif
