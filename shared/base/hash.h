/*
 * hash: a 128-bit hash of several slices (XXH3), for keys of chunks and other identities. Not for
 * secrets: it does not resist an attacker who looks for collisions.
 *
 * Each slice goes in behind its length, so that ("ab", "c") and ("a", "bc") differ. The value is
 * stable between versions and machines: it is written to the disk.
 */
#ifndef SHARED_BASE_HASH_H
#define SHARED_BASE_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/slice.h"

struct hash128 {
    uint64_t low;
    uint64_t high;
};

struct hash128 hash_slices(const struct slice *parts, size_t count);

static inline bool hash_equal(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

#endif
