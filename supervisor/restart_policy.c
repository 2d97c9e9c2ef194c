#include "supervisor/restart_policy.h"

#include "shared/base/num.h"

/* 100 ms doubled so often passes every limit that restart.delay_max may have. */
#define DOUBLINGS_MAX 20u

uint64_t restart_policy_next(struct restart_policy *policy, const struct restart_facts *facts)
{
    uint64_t delay;

    if (facts->asked)
        return 0;
    if (facts->healthy_ns >= RESTART_HEALTHY_NS)
        policy->failures = 0;
    policy->failures++;
    if (policy->failures == 1)
        return 0;
    delay = RESTART_DELAY_FIRST_NS << num_min_u64(policy->failures - 2, DOUBLINGS_MAX);
    delay = num_min_u64(delay, facts->delay_max_ns);
    return delay / 2 + facts->random % (delay / 2 + 1);
}
