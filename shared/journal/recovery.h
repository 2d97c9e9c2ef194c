/*
 * recovery: brings a lane back to a state that a writer can go on from. Called by the processor
 * before it takes anything, and by processor 0 for lanes that no processor owns any more.
 *
 * Warm (the lane page says how far the lane is durable, the rings are the same): everything behind
 * the lane page is cut; it comes from the rings again. No loss, no duplicate.
 *
 * Cold (a new supervisor, or a new machine): whole valid batches up to the last durable end that a
 * commit record names are trusted. Batches beyond it may be in the page cache only, and after a
 * failed write-back a second sync would succeed over lost pages; so they are written again into a
 * new segment under their old numbers and synced, then the segment's header is written and synced,
 * and only then may the caller publish. Bytes that are no whole batch are kept in quarantine. A
 * bad batch in the middle is counted and left where it is; readers pass it.
 *
 *     L:  | header | batch | batch | batch beyond the durable end | torn |
 *                                  ^ trusted                       ^ to quarantine
 *     N:  | header (previous = L, previous_end = trusted) | window | the same batch | ...
 *
 * Cost: reads the lane's last segment, whatever the backlog.
 */
#ifndef SHARED_JOURNAL_RECOVERY_H
#define SHARED_JOURNAL_RECOVERY_H

#include "shared/base/err.h"
#include "shared/journal/disk.h"
#include "shared/journal/resend_window.h"
#include "shared/journal/segment_layout.h"
#include "shared/journal/writer.h"

struct recovery {
    struct disk *disk;       /* the lane's folder */
    struct disk *quarantine; /* where torn bytes are kept */
    uint32_t lane;
    uint64_t segment_bytes;
    uint64_t now_ns;              /* CLOCK_REALTIME */
    struct resend_window *window; /* what the journal remembers is loaded into it; may be NULL */
};

struct recovery_result {
    struct writer_position position;
    uint64_t next_sequence;      /* above every batch here; the caller adds the cursors */
    struct commit_record totals; /* the last commit record, for its cumulative counts */
    uint64_t batches_rewritten;
    uint64_t batches_bad; /* places in the last segment that are no batch but lie before one */
    uint64_t bytes_cut;   /* kept in quarantine */
};

/* Nothing is written. position: as the lane page says. */
int recovery_warm(const struct recovery *recovery, const struct writer_position *position,
                  struct recovery_result *ret_result, struct err *err);

int recovery_cold(const struct recovery *recovery, struct recovery_result *ret_result,
                  struct err *err);

#endif
