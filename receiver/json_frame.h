/*
 * json_frame: cuts the byte stream of a connection that speaks JSON into Forward messages; what
 * forward_frame is for msgpack, and used alike (forward_frame.h). Pure; messages.c calls it.
 *
 *     done += json_scan_space(p, n);              white space between the documents is the caller's
 *     json_frame_next(&frame, p, n, room, &message)
 *
 * A connection is JSON for its whole life if its first byte is `[` or `{` (protocols.md 1.1); the
 * documents stand one behind the other, separators are not needed. The shapes and rules are those
 * of msgpack, second element array: Forward; string: Packed; else Message. Instead of the malformed
 * msgpack there, malformed JSON is BROKEN. There are no lengths in JSON, so what is above the limit
 * is known when as many bytes are there.
 *
 * The result is a struct forward_message with `json` set: its slices hold JSON text as it came,
 * without the white space around; the id is the value's whole text (a string with its quotes);
 * only the tag is decoded. `declared` is the option `size`, or 1 in Message mode.
 *
 * Invariants: those of forward_frame. A document that waits for room in a ring has its tag and its
 * options read again at each call.
 */
#ifndef RECEIVER_JSON_FRAME_H
#define RECEIVER_JSON_FRAME_H

#include "receiver/forward_frame.h"
#include "receiver/json_scan.h"

/* Tag, second element, record or option, option: more are skipped. */
#define JSON_FRAME_ELEMENTS 4u

enum json_frame_phase {
    JSON_FRAME_AT_START,
    JSON_FRAME_BEFORE_ELEMENT,
    JSON_FRAME_IN_ELEMENT,
    JSON_FRAME_BEHIND_ELEMENT,
    JSON_FRAME_IN_OTHER, /* no array: it is skipped */
    JSON_FRAME_COMPLETE,
};

/* Owned by the caller; the body is here so that a connection can embed it. Members are private. */
struct json_frame {
    struct json_scan scan;
    size_t limit;
    enum json_frame_phase phase;
    uint32_t elements; /* whole ones */
    struct forward_span element[JSON_FRAME_ELEMENTS];
    uint8_t kind[JSON_FRAME_ELEMENTS];
};

void json_frame_init(struct json_frame *frame, size_t max_bytes);

/* The present document is done with; the next call begins at the next one's first byte. */
void json_frame_reset(struct json_frame *frame);

/*
 * ret: written for every result but MORE. After MORE one more byte may be enough. room: for a tag
 * with escapes, FORWARD_FRAME_TAG_BYTES; ret->tag may point there. BROKEN: ret->bytes is
 * where in the document.
 */
enum forward_frame_result json_frame_next(struct json_frame *frame, const uint8_t *p, size_t n,
                                          uint8_t *room, struct forward_message *ret);

#endif
