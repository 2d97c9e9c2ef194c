/*
 * verdict: what an OTLP/HTTP server's answer means for the request it answers. Pure: one table
 * from status to verdict, and parsers for the bodies (ExportLogsServiceResponse and
 * google.rpc.Status, as protobuf or JSON), which are untrusted.
 *
 * Nothing is ever thrown away for a server's word, so an unknown status holds: the data is fine.
 * Rules: OTLP specification, "OTLP/HTTP response"; 408 and 500 are not named there as retryable.
 */
#ifndef SHIPPER_VERDICT_H
#define SHIPPER_VERDICT_H

#include "shared/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum verdict_kind {
    VERDICT_SUCCESS, /* the server has it; maybe it rejected some records, for good */
    VERDICT_RETRY,   /* passes by itself: send the same again, later */
    VERDICT_SPLIT,   /* this body is refused: send less at once */
    VERDICT_HOLD,    /* somebody must act; probe slowly */
};

/* How far the request came. */
enum verdict_transport {
    VERDICT_ANSWERED,    /* there is a status */
    VERDICT_UNREACHABLE, /* refused, reset, timed out, not resolved: it may have arrived or not */
    VERDICT_UNTRUSTED,   /* the server's certificate does not hold, or the URL cannot be used */
};

#define VERDICT_WORDS_BYTES 256
/* Longer waits than this are not believed. */
#define VERDICT_RETRY_AFTER_MAX_MS (3600u * 1000u)

/* All slices are borrowed during the call. */
struct verdict_answer {
    enum verdict_transport transport;
    unsigned status;
    struct slice content_type;
    struct slice retry_after; /* the header's value; empty: there was none */
    struct slice body;        /* the beginning of it, at least */
    const char *failure;      /* words where transport is not VERDICT_ANSWERED */
    uint64_t now_s;           /* CLOCK_REALTIME, for Retry-After as a date */
};

struct verdict {
    enum verdict_kind kind;
    bool too_large;          /* SPLIT because of the size: the next ones should be smaller too */
    uint64_t rejected;       /* records that a partial success rejected */
    bool has_words;          /* the server said something beside the status */
    uint64_t retry_after_ms; /* 0: not said */
    char words[VERDICT_WORDS_BYTES]; /* "503: overloaded"; printable, one line */
};

/* Never fails: what cannot be parsed is left out. */
void verdict_of(const struct verdict_answer *answer, struct verdict *ret_verdict);

/* Retry-After: seconds, or a date in one of HTTP's three forms. 0 for anything else. */
uint64_t verdict_retry_after_ms(struct slice value, uint64_t now_s);

#endif
