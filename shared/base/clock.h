/*
 * clock: the two clocks, in nanoseconds. Pure cores never call these: they take the time as a
 * parameter, so that a simulation can decide it.
 */
#ifndef SHARED_BASE_CLOCK_H
#define SHARED_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

/* CLOCK_MONOTONIC: for every wait, age and time-out. Comparable between processes of one boot. */
uint64_t clock_monotonic_ns(void);

/* CLOCK_REALTIME: for time stamps that leave the machine. */
uint64_t clock_realtime_ns(void);

#endif
