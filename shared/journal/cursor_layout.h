/*
 * cursor_layout: the bytes of a cursor file, data_dir/cursors/<output>/NN.cursor, one per output
 * and lane. Little-endian. Two slots, each in a page of its own, so that a torn write can damage
 * only one of them:
 *
 *     0                    4096                 8192
 *     +-------------+------+-------------+------+
 *     | slot 0      | 0... | slot 1      | 0... |   the valid slot with the higher
 *     +-------------+------+-------------+------+   generation is the truth
 *
 * A position names the first thing that is not done: {sequence, frame, record} of it. The batch
 * after a finished one is {sequence + 1, 0, 0}, whether it exists yet or not.
 */
#ifndef SHARED_JOURNAL_CURSOR_LAYOUT_H
#define SHARED_JOURNAL_CURSOR_LAYOUT_H

#include <assert.h>
#include <stdint.h>

#define CURSOR_MAGIC 0x3152535255434c53ull /* "SLCURSR1" */
#define CURSOR_VERSION 1u
#define CURSOR_SLOT_STRIDE 4096u
#define CURSOR_FILE_BYTES 8192u
#define CURSOR_RANGES 32u
#define CURSOR_SUFFIX ".cursor"

struct cursor_position {
    uint64_t sequence; /* of the batch */
    uint32_t frame;    /* within the batch */
    uint32_t record;   /* within the frame */
};

/* Done: from the one, up to and without the other. */
struct cursor_range {
    struct cursor_position from;
    struct cursor_position to;
};

struct cursor_slot {
    uint64_t magic;
    uint32_t version;
    uint32_t lane;
    uint64_t generation;         /* counts writes; 0: never written */
    struct cursor_position done; /* everything before it is done */
    uint64_t records;            /* records passed, counted from the lane's first, for the ledger */
    uint64_t file_offset;        /* file output: where its next line goes */
    uint64_t file_inode;         /* file output: which file that is */
    uint64_t file_born_ns;       /* and when it was made, where the file system knows; else 0 */
    uint32_t range_count;
    uint32_t pad32;
    struct cursor_range ranges[CURSOR_RANGES]; /* done too; ascending, apart, beyond `done` */
    uint64_t pad[23];
    uint64_t checksum; /* of everything before it: low half of hash_slices */
};

static_assert(sizeof(struct cursor_position) == 16, "drawn above");
static_assert(sizeof(struct cursor_range) == 32, "drawn above");
static_assert(sizeof(struct cursor_slot) == 1296, "no holes");
static_assert(sizeof(struct cursor_slot) <= CURSOR_SLOT_STRIDE, "a slot is within its page");

#endif
