/*
 * segment_layout: the bytes of a journal segment. Little-endian, as every machine that Sluice runs
 * on. One lane is one folder of segments; a segment's file name is its number, 16 hex digits and
 * ".seg"; numbers count up without gaps.
 *
 *     0          4096                   4096 + window (aligned)
 *     +----------+----------------------+---------+---------+----~~~----+--------------+
 *     | segment  | resend window, as    | batch   | batch   |           | zeros up to  |
 *     | header   | it stood at creation |         |         |           | the prepared |
 *     +----------+----------------------+---------+---------+----~~~----+ size         |
 *                                                                       +--------------+
 *     a batch, the unit of commit:
 *     +-------------+--------------+---------+--------------+---------+-----------------------+
 *     | batch       | frame header | payload | frame header | payload | commit record: keys,  |
 *     | header (64) | (64)         | pad to 8| (64)         | pad to 8| confirmations, totals |
 *     +-------------+--------------+---------+--------------+---------+-----------------------+
 *
 * The commit record's batch_crc covers the batch header and every frame header, and these hold the
 * CRCs of the payloads, so together they cover the whole batch and each byte is summed once. A
 * batch without a valid commit record does not exist. A frame has checks of its own, so that a
 * reader inside the durable part need not read a whole batch to trust one frame.
 */
#ifndef SHARED_JOURNAL_SEGMENT_LAYOUT_H
#define SHARED_JOURNAL_SEGMENT_LAYOUT_H

#include <assert.h>
#include <stdint.h>

#define SEGMENT_MAGIC 0x31474553454c5553ull /* "SULESEG1" */
#define SEGMENT_VERSION 1u
#define SEGMENT_HEADER_BYTES 4096u
#define SEGMENT_ALIGN 8u
#define SEGMENT_SUFFIX ".seg"
#define BATCH_MAGIC 0x48435442u  /* "BTCH" */
#define FRAME_MAGIC 0x4d415246u  /* "FRAM" */
#define COMMIT_MAGIC 0x54494d43u /* "CMIT" */

/* CRCs here are CRC-32C (Castagnoli), but for plain_crc, which is gzip's CRC-32. */

struct segment_header {
    uint64_t magic;
    uint32_t version;
    uint32_t lane;
    uint64_t number;
    uint64_t first_sequence; /* of its first batch */
    uint64_t previous;       /* number of the segment that it follows; 0: none. Segments between */
    uint64_t previous_end;   /* the two are void; and where that one validly ends */
    uint64_t created_ns;     /* CLOCK_REALTIME */
    uint64_t records_before; /* records committed to the lane before it, for the ledger */
    uint32_t window_keys;    /* entries of struct segment_key behind the header */
    uint32_t window_crc;     /* of those bytes */
    uint64_t data_offset;    /* of the first batch */
    uint8_t pad[4008];
    uint32_t zero;
    uint32_t crc; /* of everything before it */
};

enum segment_key_flag {
    SEGMENT_KEY_CONFIRMED = 1, /* its ack surely arrived */
    SEGMENT_KEY_ENDED = 2,     /* its connection ended */
    SEGMENT_KEY_RESENT = 4,    /* a resend: takes the place of an older equal key */
};

/* A chunk key, in the window at a segment's head and in commit records. */
struct segment_key {
    uint8_t key[16];
    uint64_t incarnation; /* of the receiver; grows with each start of one */
    uint64_t connection;
    uint64_t serial;
    uint64_t seen_ns; /* CLOCK_REALTIME when it was committed */
    uint32_t receiver;
    uint32_t flags; /* enum segment_key_flag */
};

/* Acks that surely arrived, up to and with `serial`. */
struct segment_confirmation {
    uint64_t incarnation;
    uint64_t connection;
    uint64_t serial;
    uint32_t receiver;
    uint32_t ended; /* 1: the connection ended */
};

struct batch_header {
    uint32_t magic;
    uint32_t frames;
    uint64_t sequence;
    uint64_t length; /* of the batch, this header and the commit record included */
    uint32_t commit_bytes;
    uint32_t records;
    uint8_t pad[24];
    uint32_t zero;
    uint32_t crc; /* of everything before it */
};

struct frame_header {
    uint32_t magic;
    uint32_t index;    /* within the batch, from 0 */
    uint64_t sequence; /* of the batch */
    uint32_t codec;    /* enum frame_codec */
    uint32_t payload_bytes;
    uint32_t plain_bytes;
    uint32_t plain_crc;
    uint32_t records;
    uint32_t payload_crc;
    uint64_t first_time_ns; /* of its records' times */
    uint64_t last_time_ns;
    uint32_t zero;
    uint32_t crc; /* of everything before it */
};

struct commit_record {
    uint32_t magic;
    uint32_t frames;
    uint64_t sequence;
    uint64_t length;          /* of the batch, as in its header */
    uint64_t durable_segment; /* the lane's durable end when this was written */
    uint64_t durable_end;
    uint64_t written_ns; /* CLOCK_REALTIME */
    uint64_t first_time_ns, last_time_ns;
    uint64_t first_received_ns, last_received_ns;
    uint64_t chunks_taken, chunks_resent, chunks_quarantined, chunks_other; /* since the lane was
                                                                               made, cumulative */
    uint64_t records_decoded, records_invalid, records_committed;
    uint32_t keys;          /* struct segment_key, behind this */
    uint32_t confirmations; /* struct segment_confirmation, behind those */
    uint32_t commit_bytes;  /* of this record with both */
    uint32_t batch_crc;     /* of the batch header and all frame headers, in order */
    uint32_t zero;
    uint32_t crc; /* of this record with keys and confirmations, this field taken as 0 */
};

static_assert(sizeof(struct segment_header) == SEGMENT_HEADER_BYTES, "one page");
static_assert(sizeof(struct segment_key) == 56, "drawn above");
static_assert(sizeof(struct segment_confirmation) == 32, "drawn above");
static_assert(sizeof(struct batch_header) == 64, "drawn above");
static_assert(sizeof(struct frame_header) == 64, "drawn above");
static_assert(sizeof(struct commit_record) == 160, "drawn above");

#endif
