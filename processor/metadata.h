/*
 * metadata: what Fluent Bit says beside a record (its v2 event format: [[time, metadata], record]).
 * Under the key "otlp" it carries the fields of an OTLP record that it received itself; they win
 * over what the record says. Everything else, if there is any, is kept as one attribute.
 */
#ifndef PROCESSOR_METADATA_H
#define PROCESSOR_METADATA_H

#include "processor/mp.h"
#include "processor/trace_context.h"

struct metadata {
    uint64_t time_ns; /* 0: not said */
    uint64_t observed_ns;
    uint8_t severity_number; /* 0: not said */
    uint32_t dropped_attributes;
    struct slice severity_text;
    struct slice event_name;
    struct trace_context trace;
    struct mp attributes; /* at the first pair */
    uint32_t attributes_count;
    bool is_group;    /* it has a "schema": a group marker's */
    bool is_otlp;     /* it has an "otlp": the record came as OTLP */
    bool is_complete; /* the fields above say all of it */
};

/* Reads `pairs` pairs and leaves *in behind them. Returns 0, -ENODATA or -EBADMSG. */
int metadata_read(struct mp *in, uint32_t pairs, struct metadata *ret);

#endif
