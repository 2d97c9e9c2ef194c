/*
 * sink_walk: walks an ExportLogsServiceRequest in protobuf, strictly, with no code of the product's:
 * every length is checked, a known field with the wrong wire type makes the whole request bad, as
 * the collectors have it. Values below an attribute's own (maps, arrays) are not entered.
 */
#ifndef TESTS_BENCH_SINK_WALK_H
#define TESTS_BENCH_SINK_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/base/slice.h"

struct sink_seen {
    uint64_t seq;
    uint64_t sent_ns; /* the attribute sent_ns, or else the record's time */
    bool has_seq;
};

struct sink_walk {
    struct sink_seen *seen; /* one per record, in order */
    size_t records;
    size_t room;

    uint64_t attributes;
    uint64_t no_body;          /* records without a body, or with an empty one */
    uint64_t no_time;          /* without time_unix_nano */
    uint64_t bad_severity;     /* above 24 */
    uint64_t bad_trace_id;     /* neither 16 bytes nor absent */
    uint64_t trace_id_differs; /* from the attribute trace_id, where that has 32 hex digits */
    uint64_t unknown_fields;
};

/*
 * Walks a whole request. The counts are of this request alone; `seen` is reused and freed by the
 * caller. Returns 0, -EBADMSG or -ENOMEM.
 */
int sink_walk_request(struct sink_walk *walk, struct slice body, struct err *err);

#endif
