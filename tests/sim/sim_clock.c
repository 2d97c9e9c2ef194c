/* The simulation's clocks, in the place of shared/base/clock.c. */
#include "tests/sim/sim.h"

#define SIM_REALTIME_NS 1700000000000000000ull

static uint64_t sim_now_ns;

void sim_clock_set(uint64_t now_ns)
{
    sim_now_ns = now_ns;
}

uint64_t clock_monotonic_ns(void)
{
    return sim_now_ns;
}

uint64_t clock_realtime_ns(void)
{
    return SIM_REALTIME_NS + sim_now_ns;
}
