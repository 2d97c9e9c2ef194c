#include "receiver/budget.h"

void budget_init(struct budget *budget, size_t total_bytes, size_t reserve_bytes)
{
    *budget = (struct budget){.reserve = reserve_bytes};
    if (total_bytes < 2 * reserve_bytes)
        total_bytes = 2 * reserve_bytes;
    budget->shared = total_bytes - reserve_bytes;
}

/* Of the shared part, for peers that hold no more than that. */
#define NEWCOMERS_PART 8

bool budget_has(const struct budget *budget, const struct budget_share *share, size_t bytes)
{
    size_t used = budget->used - budget->finisher;
    size_t peers = budget->peers + (share->used == 0 ? 1 : 0);
    size_t kept = budget->shared / NEWCOMERS_PART;
    size_t most = budget->shared - (share->used + bytes > kept ? kept : 0);

    if (bytes > most || used > most - bytes)
        return false;
    if (used + bytes <= budget->shared / 2)
        return true;
    return share->used + bytes <= budget->shared / peers;
}

void budget_take(struct budget *budget, struct budget_share *share, size_t bytes, bool finisher)
{
    if (share->used == 0 && bytes > 0)
        budget->peers++;
    share->used += bytes;
    budget->used += bytes;
    if (finisher)
        budget->finisher += bytes;
}

void budget_give(struct budget *budget, struct budget_share *share, size_t bytes, bool finisher)
{
    share->used -= bytes;
    budget->used -= bytes;
    if (finisher)
        budget->finisher -= bytes;
    if (share->used == 0 && bytes > 0)
        budget->peers--;
}

void budget_begin_finish(struct budget *budget, size_t bytes)
{
    budget->finisher = bytes;
}

void budget_end_finish(struct budget *budget)
{
    budget->finisher = 0;
}

bool budget_may_end_finish(const struct budget *budget)
{
    return budget->used <= budget->shared;
}
