/*
 * forward_frame: cuts one connection's byte stream into Forward messages, without decoding records.
 * Pure: bytes in, messages out; connection.c calls it.
 *
 *     struct forward_frame frame;
 *     forward_frame_init(&frame, max_chunk_bytes);
 *     for (;;) {                             p[0..n): from the first byte of the present message on
 *         switch (forward_frame_next(&frame, p, n, &message)) {
 *         case FORWARD_FRAME_MORE:    read more behind p + n; it may move, the bytes may not change
 *         case FORWARD_FRAME_CHUNK:   use message; then forward_frame_reset(&frame),
 *                                     p += message.bytes, n -= message.bytes
 *         ...
 *
 * Invariants: the position within a half-received message is kept, so each byte is looked at once
 * however the stream is cut, and a payload in a bin or str is skipped by its length without being
 * looked at. Nothing is allocated; what a header declares is only compared with the limit. Until
 * the reset a complete message is given again by the next call, at no cost, so that a message which
 * finds no room can wait.
 *
 * Rules, all by protocols.md 1.1 to 1.3, mostly Fluentd's behaviour:
 *     nil on top                       keepalive: IGNORED, no reason
 *     other scalars, maps, strings     IGNORED
 *     arrays of 0 or 1                 IGNORED
 *     tag neither str nor bin,
 *     tag or id too long,
 *     no record in Message mode        REFUSED: message.wants_ack says if a client waits for it
 *     the byte c1, an option that is
 *     no map, unknown compression      BROKEN: the connection cannot go on
 *     above the limit                  OVERSIZE, as soon as it is known; it cannot go on either
 */
#ifndef RECEIVER_FORWARD_FRAME_H
#define RECEIVER_FORWARD_FRAME_H

#include "receiver/wire.h"
#include "shared/base/slice.h"
#include "shared/ipc/ring_layout.h"

/* Longer tags and ids are refused: they would be kept, hashed and echoed per message. */
#define FORWARD_FRAME_TAG_BYTES 4096u
#define FORWARD_FRAME_ID_BYTES 1024u

enum forward_frame_result {
    FORWARD_FRAME_MORE,
    FORWARD_FRAME_CHUNK,
    FORWARD_FRAME_IGNORED,
    FORWARD_FRAME_REFUSED,
    FORWARD_FRAME_BROKEN,
    FORWARD_FRAME_OVERSIZE,
};

/* What was framed. Slices point into the caller's bytes. */
struct forward_message {
    enum ring_carrier carrier;
    enum ring_compression compression;
    uint32_t signal;   /* option fluent_signal: 0 logs, 1 metrics, 2 traces */
    uint32_t declared; /* entries by the array's header or the option `size`: a hint */
    bool wants_ack;
    bool json;               /* of json_frame: id, options and payload are JSON text */
    struct slice tag;        /* content */
    struct slice id;         /* option `chunk`, msgpack with its head; empty: no ack is wanted */
    struct slice options;    /* the option map, msgpack; empty: none */
    struct slice payload;    /* as struct ring_entry has it */
    size_t bytes;            /* of the whole message; BROKEN JSON: before the byte that is wrong */
    const char *reason;      /* of IGNORED (NULL: a keepalive), REFUSED, BROKEN and OVERSIZE */
    uint64_t declared_bytes; /* OVERSIZE: bytes that the message wants at least */
};

enum forward_frame_phase {
    FORWARD_FRAME_AT_START,
    FORWARD_FRAME_AT_TAG,
    FORWARD_FRAME_AT_SECOND,
    FORWARD_FRAME_IN_PAYLOAD,
    FORWARD_FRAME_AT_OPTION,
    FORWARD_FRAME_IN_REST,
    FORWARD_FRAME_COMPLETE,
};

/* A span of the message, as offsets: the buffer may move between two calls. */
struct forward_span {
    uint32_t at;
    uint32_t n;
};

/* Owned by the caller; the body is here so that a connection can embed it. Members are private. */
struct forward_frame {
    struct wire_skip skip;
    size_t limit;
    enum forward_frame_phase phase;
    enum ring_carrier carrier;
    uint32_t declared;
    uint64_t elements; /* of the message array that are still to come */
    struct forward_span tag, payload, options;
    const char *refused; /* not NULL: skip the rest of the message, then refuse it */
    const char *ignored;
    bool keepalive;
};

void forward_frame_init(struct forward_frame *frame, size_t max_bytes);

/* The present message is done with; the next call begins at the next one's first byte. */
void forward_frame_reset(struct forward_frame *frame);

/* ret: written for every result but MORE. */
enum forward_frame_result forward_frame_next(struct forward_frame *frame, const uint8_t *p,
                                             size_t n, struct forward_message *ret);

/* After MORE: bytes of the message that must be there before a call can get on. */
size_t forward_frame_need(const struct forward_frame *frame);

/* True where no byte of a message has been looked at. */
bool forward_frame_at_boundary(const struct forward_frame *frame);

/* What the first bytes of a connection look like, where they are no msgpack. */
enum forward_guess {
    FORWARD_GUESS_MSGPACK,
    FORWARD_GUESS_JSON,
    FORWARD_GUESS_HTTP,
    FORWARD_GUESS_TLS,
};

/*
 * By the first bytes that came (n > 0). `{` and `[` are JSON, as Fluentd has it; HTTP and TLS are
 * told by three bytes, which as msgpack would be a run of integers that no client sends.
 */
enum forward_guess forward_frame_guess(const uint8_t *p, size_t n);

#endif
