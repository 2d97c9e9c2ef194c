/*
 * lane: the processor's engine. Takes chunks from its rings, converts them into a batch, hands the
 * batch to the sync thread, and goes on collecting the next one meanwhile.
 *
 *     rings ──take──▶ collecting batch ──seal──▶ sync thread ──▶ journal, lane page, verdicts
 *                     (main thread)               (committer.h)
 *
 * At most one batch is sealed and under way, at most one is being collected; when that one is full
 * nothing is taken until the other is durable: the rings fill, and the receivers stop reading.
 * A batch whose commit fails is started again as it is, after a while, for ever: nothing in it was
 * promised, and the rings still hold all of it should this process die.
 *
 * What comes from the rings is untrusted. A broken ring is a broken invariant of the receiver: the
 * lane says so and takes nothing more from that ring until the receiver is a new one.
 */
#ifndef PROCESSOR_LANE_H
#define PROCESSOR_LANE_H

#include "processor/convert.h"
#include "shared/base/err.h"
#include "shared/ipc/lane_page.h"
#include "shared/ipc/ring.h"
#include "shared/ipc/status_page.h"
#include "shared/journal/disk.h"
#include "shared/otlp/frame.h"

#include <stdbool.h>

struct lane;

struct lane_config {
    uint32_t index;
    struct disk *disk; /* the lane's folder */
    struct disk *quarantine;
    struct lane_page *page;              /* writable */
    struct ring *rings[LANE_PAGE_RINGS]; /* by receiver */
    int receiver_bells[LANE_PAGE_RINGS];
    unsigned ring_count;
    int done_bell; /* rung by the sync thread; the caller polls it and calls lane_turn */
    int shipper_bell;
    struct status_slot *status;
    struct converter_config convert;
    enum frame_codec_id codec;
    uint64_t segment_bytes;
    uint64_t cursor_sequence; /* no cursor is at or above this batch sequence */
    uint64_t linger_ns;       /* least time between the starts of two small commits */
    uint64_t interval_ns;     /* journal.sync = "interval": the least time between syncs; else 0 */
    uint32_t window_keys;
    uint64_t window_ns;
    int (*may_grow)(void *context, uint64_t bytes, struct err *err); /* writer.h */
    void *context;
};

/* What recovery found, for one line of the log. */
struct lane_recovered {
    bool warm;
    uint64_t next_sequence;
    uint64_t batches_rewritten, batches_bad, bytes_cut;
};

/* Recovers the lane, attaches to the rings, publishes the lane page. Borrows what config names. */
int lane_new(const struct lane_config *config, struct lane **ret_lane,
             struct lane_recovered *ret_recovered, struct err *err);
void lane_free(struct lane **lane);

/* Starts the sync thread: after confinement, which a thread made before would escape. */
int lane_start(struct lane *lane, struct err *err);

enum lane_want {
    LANE_SLEEP, /* nothing to do until a bell rings */
    LANE_AGAIN, /* more to do at once */
    LANE_TIMER, /* nothing until *ret_wait_ns has passed, or a bell rings */
};

/* One bounded turn: settles a finished commit, takes entries, hands a batch over. */
enum lane_want lane_turn(struct lane *lane, uint64_t now_ns, uint64_t *ret_wait_ns);

/* From now on: commit at once what was taken; with `take` go on taking until the rings are empty. */
void lane_drain(struct lane *lane, bool take);
/* Drained: nothing is collected or under way, and with `take` the rings are empty. */
bool lane_is_drained(struct lane *lane);

#endif
