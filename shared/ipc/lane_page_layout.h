/*
 * lane_page_layout: how far a lane of the journal is durable, in a memfd of the supervisor. The
 * lane's processor writes it (and processor 0 those of lanes that no processor owns), the shipper
 * and every reader map it read-only. It survives the processor, not the machine.
 *
 *     0         64                 1088               2112
 *     +---------+------------------+------------------+
 *     | header  | slot 0           | slot 1           |   the valid slot with the higher
 *     +---------+------------------+------------------+   generation is the truth
 */
#ifndef SHARED_IPC_LANE_PAGE_LAYOUT_H
#define SHARED_IPC_LANE_PAGE_LAYOUT_H

#include <assert.h>
#include <stdint.h>

#define LANE_PAGE_MAGIC 0x31454e414c45534cull
#define LANE_PAGE_VERSION 1u
#define LANE_PAGE_BYTES 4096u
#define LANE_PAGE_RINGS 8u

struct lane_page_slot {
    uint64_t generation; /* 0: never written */
    uint64_t segment;    /* number of the segment that takes batches now */
    uint64_t end;        /* bytes of it that are durable */
    uint64_t next_sequence;
    uint64_t ring_identity[LANE_PAGE_RINGS];
    uint64_t consumer[LANE_PAGE_RINGS]; /* committed position of each receiver's ring */
    uint64_t replies[LANE_PAGE_RINGS];  /* verdicts published in each ring */
    uint64_t records;                   /* committed since the lane was made, for the ledger */
    uint64_t pad[98];
    uint64_t checksum; /* of everything before it */
};

struct lane_page_header {
    uint64_t magic;
    uint32_t version;
    uint32_t lane;
    uint8_t pad[48];
};

static_assert(sizeof(struct lane_page_header) == 64, "drawn above");
static_assert(sizeof(struct lane_page_slot) == 1024, "drawn above");

#endif
