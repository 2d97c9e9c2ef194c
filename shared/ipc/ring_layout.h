/*
 * ring_layout: the bytes of a ring and of its reply ring, as both sides and the supervisor see
 * them. Nothing else knows them.
 *
 * One memfd holds both. Sealed against growing and shrinking, owned by the supervisor, so it
 * survives the death of either side:
 *
 *     0        4096          8192                           8192 + reply slots * 64 (page aligned)
 *     +--------+-------------+------------------------------+-----------------------------+
 *     | ring   | reply ring  | reply slots                  | data: `size` bytes, mapped  |
 *     | header | header      | 64 bytes each                | twice in a row              |
 *     +--------+-------------+------------------------------+-----------------------------+
 *
 * Positions are 64-bit byte counts since the ring was made and are never reused; the byte of a
 * position is data[position % size]. An entry is named by the position of its end.
 *
 *     consumer position        lane engine's own cursor        producer position
 *     (committed, durable)     (taken, not yet durable)         (published)
 *     -----|-------------------------|-----------------------------|------------> position
 *      free | still needed if the processor dies | not yet taken    | free
 */
#ifndef SHARED_IPC_RING_LAYOUT_H
#define SHARED_IPC_RING_LAYOUT_H

#include <assert.h>
#include <stdint.h>

#define RING_MAGIC 0x31524543494c5553ull /* "SULICER1", little-endian */
#define RING_VERSION 1u
#define RING_PAGE_BYTES 4096u
#define RING_ALIGN 8u
#define RING_REPLY_SLOTS 16384u

/* Written by the producer (the receiver) only. */
struct ring_producer_line {
    uint64_t position;    /* published; release-stored */
    uint64_t incarnation; /* of the receiver that writes now; 0 before the first */
    uint32_t sleeping;    /* 1: waits for space or replies, ring its doorbell */
    uint32_t zero;
    uint64_t hop_end;   /* end of the newest RING_PAD; 0: none yet */
    uint64_t hop_bytes; /* its length, for who tells how full the ring is */
    uint8_t pad[24];
};

/* Written by the consumer (the processor) only. */
struct ring_consumer_line {
    uint64_t position; /* committed; release-stored */
    uint32_t sleeping; /* 1: waits for entries, ring its doorbell */
    uint32_t suspects; /* entries from `position` to `suspect_end` are retried one per batch */
    uint64_t suspect_end;
    uint64_t marked; /* end of the entry that is being tried alone; 0: none */
    uint8_t pad[32];
};

struct ring_header {
    uint64_t magic;
    uint32_t version;
    uint32_t receiver; /* index */
    uint32_t lane;     /* index of the processor */
    uint32_t reply_slots;
    uint64_t size; /* data bytes, a multiple of the page size */
    uint64_t identity;
    uint8_t pad[24];
    struct ring_producer_line producer;
    struct ring_consumer_line consumer;
};

/* Written by the processor but for `taken` and `sleeping`. */
struct ring_reply_header {
    uint64_t published; /* slots published since the ring was made; release-stored by processor */
    uint8_t pad0[56];
    uint64_t taken; /* slots the receiver is done with; release-stored by receiver */
    uint8_t pad1[56];
};

enum ring_carrier { RING_MESSAGE = 1, RING_FORWARD = 2, RING_PACKED = 3 };
enum ring_compression { RING_PLAIN = 0, RING_GZIP = 1, RING_ZSTD = 2 };

enum ring_kind {
    RING_CHUNK = 1, /* a chunk as received */
    RING_END = 2,   /* a connection ended; `confirmed` tells which acks are known to have arrived */
    RING_PAD = 3,   /* nothing: the producer goes on at the beginning of the data */
};

enum ring_flag {
    /*
     * The chunk has an id: its verdict becomes an ack, its key is remembered. A chunk without the
     * flag gets no verdict, so that it never waits for a free reply slot.
     */
    RING_WANTS_ACK = 1,
    /* Came on a JSON connection: id, options and payload are JSON text, the tag is plain text. */
    RING_JSON = 2,
    RING_CLEAN = 4, /* RING_END: closed with nothing unsent, so every ack was confirmed */
};

/*
 * An entry: this header, then peer, tag, id, options, payload back to back, then zero to seven
 * bytes of padding. Everything is as the client sent it.
 */
struct ring_entry {
    uint32_t length; /* whole entry, a multiple of RING_ALIGN */
    uint8_t kind;
    uint8_t carrier;
    uint8_t compression;
    uint8_t flags;
    uint64_t received_ns; /* CLOCK_REALTIME when the last byte came */
    uint64_t incarnation; /* of the receiver */
    uint64_t connection;  /* counts up within an incarnation */
    uint64_t serial;      /* of the chunk on its connection, from 1 */
    uint64_t confirmed;   /* the highest serial on this connection whose ack surely arrived */
    uint8_t key[16];      /* hash of peer, tag, id and payload; all zero without RING_WANTS_ACK */
    uint32_t signal;      /* fluent_signal: 0 logs, 1 metrics, 2 traces */
    uint32_t declared;    /* entries by the array header (forward) or option `size`; a hint */
    uint16_t peer_bytes;
    uint16_t id_bytes; /* the id as it came: msgpack with its header, or JSON text */
    uint32_t tag_bytes;
    uint32_t option_bytes; /* the option map as it came; 0: none */
    uint32_t payload_bytes;
    uint64_t pad; /* zero */
};

enum ring_verdict {
    RING_DURABLE = 1,     /* stored, or recognised as a resend of what is stored */
    RING_QUARANTINED = 2, /* could not be decoded; kept raw; acknowledged all the same */
    RING_REFUSED = 3,     /* nothing stored; code, line and column say why (HTTP) */
};

/* A verdict: one fixed slot of the reply ring. */
struct ring_reply {
    uint64_t position; /* the end of the entry that it answers */
    uint64_t connection;
    uint64_t serial;
    uint32_t verdict;
    uint32_t code;
    uint32_t line;
    uint32_t column;
    uint64_t rejected;
    uint64_t pad[2];
};

static_assert(sizeof(struct ring_producer_line) == 64, "a cache line");
static_assert(sizeof(struct ring_consumer_line) == 64, "a cache line");
static_assert(sizeof(struct ring_header) == 192, "three cache lines");
static_assert(sizeof(struct ring_entry) == 96, "drawn above");
static_assert(sizeof(struct ring_reply) == 64, "a cache line");
static_assert(sizeof(struct ring_reply_header) == 128, "two cache lines");

#endif
