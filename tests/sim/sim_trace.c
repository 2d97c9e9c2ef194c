/* What the parts of the simulation share: the protocol of a run, its verdict, small helpers. */
#include "tests/sim/sim.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void sim_trace(struct sim *sim, const char *format, ...)
{
    va_list list;

    if (!sim->verbose)
        return;
    printf("%10.3f ms  ", (double)sim->now_ns / NS_PER_MS);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    fflush(stdout);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list list;

    if (sim_failed(sim))
        return;
    va_start(list, format);
    vsnprintf(sim->failure, sizeof(sim->failure), format, list);
    va_end(list);
    sim_trace(sim, "FAILED: %s", sim->failure);
}

bool sim_failed(const struct sim *sim)
{
    return sim->failure[0] != '\0';
}

bool sim_event(struct sim *sim, unsigned chance)
{
    return !sim->calm && chance > 0 && sim_random_below(&sim->random, 100000) < chance;
}

bool sim_bell(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

void *sim_grow(void *array, uint32_t count, size_t size)
{
    /* Grows in powers of two: only where `count` is one, there is no room. */
    if (count >= 64 && (count & (count - 1)) != 0)
        return array;
    if (count > 0 && count < 64)
        return array;
    array = reallocarray(array, count == 0 ? 64 : 2 * (size_t)count, size);
    if (array == NULL)
        abort();
    return array;
}
