#include "shipper/split.h"

#include "shared/base/num.h"

#include <string.h>

void split_init(struct split *split, uint8_t *states, uint32_t count)
{
    memset(states, SPLIT_WAITING, count);
    *split = (struct split){.states = states, .count = count, .window = count};
}

enum split_step split_next(struct split *split)
{
    bool refused = false;

    if (split->end > split->first)
        return SPLIT_SEND;
    for (uint32_t i = 0; i < split->count; i++) {
        refused = refused || split->states[i] == SPLIT_REFUSED;
        if (split->states[i] != SPLIT_WAITING)
            continue;
        split->first = i;
        split->end = i + 1;
        while (split->end < split->count && split->end - i < split->window &&
               split->states[split->end] == SPLIT_WAITING)
            split->end++;
        return SPLIT_SEND;
    }
    return refused ? SPLIT_REST : SPLIT_FINISHED;
}

static void settle(struct split *split, enum split_frame state)
{
    memset(split->states + split->first, state, split->end - split->first);
    split->first = split->end = 0;
}

void split_accept(struct split *split)
{
    settle(split, SPLIT_DONE);
}

bool split_refuse(struct split *split, bool too_large)
{
    uint32_t count = split->end - split->first;

    if (count <= 1) {
        settle(split, SPLIT_REFUSED);
        return true;
    }
    split->end = split->first + count / 2;
    if (too_large)
        split->window = count / 2;
    return false;
}

void split_shorten(struct split *split, uint32_t end)
{
    if (end > split->first && end < split->end)
        split->end = end;
}

void split_drop(struct split *split)
{
    split->first = split->end = 0;
}

void split_cut(struct split *split, uint8_t *states, uint32_t index, uint32_t parts)
{
    split->states = states;
    memmove(states + index + parts, states + index + 1, split->count - index - 1);
    memset(states + index, SPLIT_WAITING, parts);
    split->count += parts - 1;
    split_drop(split);
}

void split_again(struct split *split)
{
    for (uint32_t i = 0; i < split->count; i++)
        if (split->states[i] == SPLIT_REFUSED)
            split->states[i] = SPLIT_WAITING;
    split->window = 1;
}
