/*
 * feed: the bytes of the present message as a connection holds them, in memory of exactly their
 * size, moved at every feed, so that a look behind them or at where they were is seen.
 */
#ifndef TESTS_UNIT_RECEIVER_FEED_H
#define TESTS_UNIT_RECEIVER_FEED_H

#include "tests/unit/receiver/fixture.h"

struct feed {
    uint8_t *p;
    size_t n;
};

static inline void feed_add(struct feed *feed, const uint8_t *p, size_t n)
{
    uint8_t *moved = malloc(feed->n + n > 0 ? feed->n + n : 1);

    assert_non_null(moved);
    if (feed->n > 0)
        memcpy(moved, feed->p, feed->n);
    memcpy(moved + feed->n, p, n);
    free(feed->p);
    feed->p = moved;
    feed->n += n;
}

static inline void feed_drop(struct feed *feed, size_t n)
{
    struct feed rest = {0};

    assert_true(n <= feed->n);
    feed_add(&rest, feed->p + n, feed->n - n);
    free(feed->p);
    *feed = rest;
}

#endif
