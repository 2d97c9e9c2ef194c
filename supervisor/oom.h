/*
 * oom: whether the kernel killed something of ours because the memory of our control group ran
 * out, from memory.events of control groups version 2. Elsewhere it never knows.
 */
#ifndef SUPERVISOR_OOM_H
#define SUPERVISOR_OOM_H

#include <stdbool.h>
#include <stdint.h>

struct oom {
    char path[512]; /* of memory.events; "" where there is none */
    uint64_t kills; /* as last read */
};

void oom_init(struct oom *oom);

/* True once for each time that the count has grown since the last call (or since oom_init). */
bool oom_happened(struct oom *oom);

#endif
