/*
 * trace_context: a record's trace id, span id and flags. Which keys hold them and in what form;
 * the attributes themselves always stay, verbatim.
 *
 * OTLP's traceId is 16 bytes and not zero, spanId 8 and not zero: real collectors refuse a whole
 * request over one that does not fit, so what does not fit is left out. trace ids by the option
 * record.trace_id: 32 hex digits as they are, UUIDs without their dashes; with "pad" shorter hex is
 * filled with zeros on the left.
 */
#ifndef PROCESSOR_TRACE_CONTEXT_H
#define PROCESSOR_TRACE_CONTEXT_H

#include "processor/mp.h"
#include "processor/name_table.h"

struct trace_context {
    bool has_trace;
    bool has_span;
    bool has_flags;
    uint8_t trace_rank; /* of the key that gave it; smaller is better */
    uint8_t span_rank;
    uint8_t trace[16];
    uint8_t span[8];
    uint8_t flags;
};

/* What a key's value looks like. */
enum trace_form {
    TRACE_ID,         /* hex */
    TRACE_ID_DECIMAL, /* Datadog: a 64-bit number, or 32 hex digits */
    TRACE_ID_PATH,    /* Google: projects/P/traces/<32 hex> */
    TRACE_SPAN,       /* 16 hex */
    TRACE_SPAN_DECIMAL,
    TRACE_FLAGS, /* two hex digits, a number or a bool */
    TRACE_PARENT /* W3C traceparent: all three */
};

/* `value` is the form; the rank of a form is its number, so a trace_id wins over a traceparent. */
#define TRACE_CONTEXT_NAMES(kind)                                                                 \
    {"trace_id", kind, TRACE_ID}, {"traceId", kind, TRACE_ID}, {"traceID", kind, TRACE_ID},       \
        {"TraceId", kind, TRACE_ID}, {"traceid", kind, TRACE_ID}, {"trace.id", kind, TRACE_ID},   \
        {"@tr", kind, TRACE_ID}, {"otelTraceID", kind, TRACE_ID},                                 \
        {"contextMap.trace_id", kind, TRACE_ID}, {"X-B3-TraceId", kind, TRACE_ID},                \
        {"x_b3_traceid", kind, TRACE_ID}, {"dd.trace_id", kind, TRACE_ID_DECIMAL},                \
        {"logging.googleapis.com/trace", kind, TRACE_ID_PATH}, {"span_id", kind, TRACE_SPAN},     \
        {"spanId", kind, TRACE_SPAN}, {"spanID", kind, TRACE_SPAN}, {"SpanId", kind, TRACE_SPAN}, \
        {"span.id", kind, TRACE_SPAN}, {"@sp", kind, TRACE_SPAN},                                 \
        {"otelSpanID", kind, TRACE_SPAN}, {"X-B3-SpanId", kind, TRACE_SPAN},                      \
        {"x_b3_spanid", kind, TRACE_SPAN}, {"logging.googleapis.com/spanId", kind, TRACE_SPAN},   \
        {"dd.span_id", kind, TRACE_SPAN_DECIMAL}, {"trace_flags", kind, TRACE_FLAGS},             \
        {"traceFlags", kind, TRACE_FLAGS}, {"otelTraceSampled", kind, TRACE_FLAGS},               \
    {                                                                                             \
        "traceparent", kind, TRACE_PARENT                                                         \
    }

/* Takes what the value says into *context, unless a better key has. pad: record.trace_id. */
void trace_context_take(struct trace_context *context, enum trace_form form,
                        const struct mp_value *v, bool pad);

/* Ids as bytes (Fluent Bit's metadata). Ignores what has the wrong length or is zero. */
void trace_context_take_bytes(struct trace_context *context, struct slice trace, struct slice span);

#endif
