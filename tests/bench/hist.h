/*
 * hist: a latency histogram with logarithmic buckets (32 to each power of two, so a percentile is
 * at most 3 % too high). Fixed memory, a few nanoseconds to add a value. For the load generator
 * and the sink; values are nanoseconds.
 */
#ifndef TESTS_BENCH_HIST_H
#define TESTS_BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

#define HIST_SUB_BITS 5
#define HIST_BUCKETS (64 << HIST_SUB_BITS)

struct hist {
    uint64_t counts[HIST_BUCKETS];
    uint64_t n;
    uint64_t sum;
    uint64_t max;
};

/* Adds `times` equal values. */
void hist_add(struct hist *hist, uint64_t value, uint64_t times);

/* The value that `share` (0 to 1) of all values do not exceed; 0 when there are none. */
uint64_t hist_percentile(const struct hist *hist, double share);

/* Writes {"count":…,"mean":…,"p50":…,"p95":…,"p99":…,"p999":…,"max":…}, microseconds. */
void hist_write_json(const struct hist *hist, FILE *out);

#endif
