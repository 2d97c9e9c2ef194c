/*
 * otlp_check: what must be true of every request that Sluice makes, whatever came in. Reads the
 * protobuf with a reader of its own, so that no mistake of the writer's helpers is shared. For the
 * converter's property test and its fuzz target; pure, allocates a little, keeps nothing.
 *
 *   - protobuf of the ExportLogsServiceRequest, without unknown fields or wrong wire types
 *   - every text valid UTF-8; every key there, not empty, and unique at its level
 *   - time and observed time set; severity 0 to 24; trace ids of 16 bytes, span ids of 8, not zero
 *   - values nested no deeper than collectors go; under the dash0 profile at most 16 attributes
 */
#ifndef TESTS_UNIT_PROCESSOR_OTLP_CHECK_H
#define TESTS_UNIT_PROCESSOR_OTLP_CHECK_H

#include "shared/base/slice.h"

/* Numbers are handed out as 8 bytes of the machine's own order. */
enum otlp_leaf {
    OTLP_LEAF_KEY,
    OTLP_LEAF_TEXT,
    OTLP_LEAF_BOOL,
    OTLP_LEAF_INT,
    OTLP_LEAF_DOUBLE,
    OTLP_LEAF_BYTES,
    OTLP_LEAF_NIL,
};

/* A record with the whole messages around it, each without its head. */
struct otlp_place {
    struct slice resource; /* ResourceLogs' Resource; maybe empty */
    struct slice scope;
    struct slice record;
};

struct otlp_check {
    bool is_limited;                                                    /* the dash0 profile */
    void (*each_record)(void *context, const struct otlp_place *place); /* or NULL */
    /* Every key, value and field of a message; or NULL. */
    void (*each_leaf)(void *context, enum otlp_leaf leaf, struct slice bytes);
    void *context;
    size_t records;       /* counted */
    struct slice culprit; /* the key that stands twice */
};

/* All return NULL, or what is wrong. */
const char *otlp_check_request(struct otlp_check *check, struct slice request);
const char *otlp_check_resource(struct otlp_check *check, struct slice resource);
const char *otlp_check_scope(struct otlp_check *check, struct slice scope);
const char *otlp_check_record(struct otlp_check *check, struct slice record);

/* RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF. */
bool otlp_check_utf8(struct slice text);

#endif
