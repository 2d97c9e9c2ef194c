/*
 * split: which frames of a parcel go into its next request, when a server refuses the whole of it.
 * Pure.
 *
 * A refused run of frames is halved until it is accepted or is one frame. A frame that is refused
 * alone is set aside, so that the others of its parcel are not held up; it is tried again, alone,
 * when all others are through. After a "too large" the halves stay small.
 *
 * A frame may be cut into several at any time (parcel_splice), and a run made shorter because its
 * body would be too large.
 *
 *     split_init(&split, states, count);
 *     while (split_next(&split) == SPLIT_SEND)      frames [split.first, split.end)
 *         accepted ? split_accept(&split) : split_refuse(&split, too_large);
 */
#ifndef SHIPPER_SPLIT_H
#define SHIPPER_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

enum split_frame { SPLIT_WAITING = 0, SPLIT_DONE, SPLIT_REFUSED };

enum split_step {
    SPLIT_SEND,     /* the run [first, end) */
    SPLIT_REST,     /* only refused frames are left: wait, then split_again */
    SPLIT_FINISHED, /* all are done */
};

struct split {
    uint8_t *states; /* enum split_frame of each frame; borrowed */
    uint32_t count;
    uint32_t window; /* the most frames of a run */
    uint32_t first, end;
};

/* Sets all states to SPLIT_WAITING. */
void split_init(struct split *split, uint8_t *states, uint32_t count);

/* Chooses the next run. The same run again until it is accepted or refused. */
enum split_step split_next(struct split *split);

void split_accept(struct split *split);
/* True: it was one frame alone, and is set aside now. */
bool split_refuse(struct split *split, bool too_large);

/* The run ends before frame `end` of it, after its first: the rest goes later. */
void split_shorten(struct split *split, uint32_t end);
/* Ends the run without a verdict. */
void split_drop(struct split *split);
/*
 * Frame `index` is `parts` frames now, all of them waiting. `states` has room for split->count +
 * parts - 1 and begins with what split->states had; it is used from now on. Ends the run.
 */
void split_cut(struct split *split, uint8_t *states, uint32_t index, uint32_t parts);

/* The frames that were set aside are waiting again, each alone. */
void split_again(struct split *split);

#endif
