/*
 * num: arithmetic that says when it does not fit, and numbers from text. For every length and
 * count that comes from outside.
 *
 * Each returns 0 and writes *ret, or an error and leaves it: -EOVERFLOW where the result does not
 * fit, -EINVAL where the text is no number.
 */
#ifndef SHARED_BASE_NUM_H
#define SHARED_BASE_NUM_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/slice.h"

static inline int num_add_size(size_t a, size_t b, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return -EOVERFLOW;
    *ret = sum;
    return 0;
}

static inline int num_mul_size(size_t a, size_t b, size_t *ret)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return -EOVERFLOW;
    *ret = product;
    return 0;
}

static inline int num_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return -EOVERFLOW;
    *ret = sum;
    return 0;
}

static inline int num_mul_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return -EOVERFLOW;
    *ret = product;
    return 0;
}

static inline bool num_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* align: a power of two. */
static inline int num_align_up(uint64_t value, uint64_t align, uint64_t *ret)
{
    uint64_t sum;

    if (__builtin_add_overflow(value, align - 1, &sum))
        return -EOVERFLOW;
    *ret = sum & ~(align - 1);
    return 0;
}

static inline uint64_t num_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t num_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Decimal digits and nothing else: no sign, no space. -EINVAL (also for ""), -EOVERFLOW. */
static inline int num_parse_u64(struct slice text, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return -EINVAL;
    for (size_t i = 0; i < text.n; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value))
            return -EOVERFLOW;
    *ret = value;
    return 0;
}

#endif
