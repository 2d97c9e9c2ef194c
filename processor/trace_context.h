/*
 * trace_context: a record's trace id, span id and flags. Which keys hold them and in what form;
 * the attributes themselves always stay, verbatim.
 *
 * OTLP's traceId is 16 bytes and not zero, spanId 8 and not zero: real collectors refuse a whole
 * request over one that does not fit, so what does not fit is left out. trace ids by the option
 * record.trace_id: 32 hex digits as they are, UUIDs without their dashes; with "pad" shorter hex is
 * filled with zeros on the left. Digits are hex in either case, never behind a "0x".
 *
 * Not here, on purpose: request_id and correlation_id (a UUID without dashes is 32 hex digits and
 * yet no trace id), Elastic's transaction.id (no span id), parent ids.
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
    uint8_t flags_rank;
    uint8_t trace[16];
    uint8_t span[8];
    uint8_t flags;
};

/*
 * What a key's value looks like. The order is the rank: a trace_id wins over a traceparent, and that
 * over a header of another system.
 */
enum trace_form {
    TRACE_ID,         /* hex, or 16 bytes as bin */
    TRACE_ID_DECIMAL, /* Datadog: a 64-bit number, or 32 or 16 hex digits */
    TRACE_ID_PATH,    /* Google: projects/P/traces/<32 hex>, its last segment */
    TRACE_SPAN,       /* 16 hex, or 8 bytes as bin */
    TRACE_SPAN_DECIMAL,
    TRACE_FLAGS,  /* two hex digits, a number, a bool, "true", B3's "d" (debug, so sampled) */
    TRACE_PARENT, /* W3C traceparent: all three */
    TRACE_B3,     /* trace-span[-sampled[-parent]], or sampled alone */
    TRACE_UBER,   /* Jaeger: trace:span:parent:flags, hex without leading zeros, ":" or "%3A" */
    TRACE_AMZN    /* X-Ray: Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1; or the root alone */
};

/* `value` is the form. HTTP headers as they are sent, as Go, Node and WSGI spell them. */
#define TRACE_CONTEXT_NAMES(kind)                                                                  \
    {"trace_id", kind, TRACE_ID}, {"traceId", kind, TRACE_ID}, {"traceID", kind, TRACE_ID},        \
        {"TraceId", kind, TRACE_ID}, {"TraceID", kind, TRACE_ID}, {"traceid", kind, TRACE_ID},     \
        {"trace.id", kind, TRACE_ID}, {"@tr", kind, TRACE_ID}, {"otelTraceID", kind, TRACE_ID},    \
        {"contextMap.trace_id", kind, TRACE_ID}, {"X-B3-TraceId", kind, TRACE_ID},                 \
        {"X-B3-Traceid", kind, TRACE_ID}, {"x-b3-traceid", kind, TRACE_ID},                        \
        {"x_b3_traceid", kind, TRACE_ID}, {"dd.trace_id", kind, TRACE_ID_DECIMAL},                 \
        {"logging.googleapis.com/trace", kind, TRACE_ID_PATH}, {"span_id", kind, TRACE_SPAN},      \
        {"spanId", kind, TRACE_SPAN}, {"spanID", kind, TRACE_SPAN}, {"SpanId", kind, TRACE_SPAN},  \
        {"SpanID", kind, TRACE_SPAN}, {"spanid", kind, TRACE_SPAN}, {"span.id", kind, TRACE_SPAN}, \
        {"@sp", kind, TRACE_SPAN}, {"otelSpanID", kind, TRACE_SPAN},                               \
        {"contextMap.span_id", kind, TRACE_SPAN}, {"X-B3-SpanId", kind, TRACE_SPAN},               \
        {"X-B3-Spanid", kind, TRACE_SPAN}, {"x-b3-spanid", kind, TRACE_SPAN},                      \
        {"x_b3_spanid", kind, TRACE_SPAN}, {"logging.googleapis.com/spanId", kind, TRACE_SPAN},    \
        {"dd.span_id", kind, TRACE_SPAN_DECIMAL}, {"trace_flags", kind, TRACE_FLAGS},              \
        {"traceFlags", kind, TRACE_FLAGS}, {"TraceFlags", kind, TRACE_FLAGS},                      \
        {"otelTraceSampled", kind, TRACE_FLAGS}, {"contextMap.trace_flags", kind, TRACE_FLAGS},    \
        {"X-B3-Sampled", kind, TRACE_FLAGS}, {"x-b3-sampled", kind, TRACE_FLAGS},                  \
        {"x_b3_sampled", kind, TRACE_FLAGS},                                                       \
        {"logging.googleapis.com/trace_sampled", kind, TRACE_FLAGS},                               \
        {"traceparent", kind, TRACE_PARENT}, {"Traceparent", kind, TRACE_PARENT},                  \
        {"b3", kind, TRACE_B3}, {"B3", kind, TRACE_B3}, {"uber-trace-id", kind, TRACE_UBER},       \
        {"Uber-Trace-Id", kind, TRACE_UBER}, {"uber_trace_id", kind, TRACE_UBER},                  \
        {"X-Amzn-Trace-Id", kind, TRACE_AMZN}, {"x-amzn-trace-id", kind, TRACE_AMZN},              \
        {"x_amzn_trace_id", kind, TRACE_AMZN}, {"xray_trace_id", kind, TRACE_AMZN},                \
    {                                                                                              \
        "xrayTraceId", kind, TRACE_AMZN                                                            \
    }

/* Takes what the value says into *context, unless a better key has. pad: record.trace_id. */
void trace_context_take(struct trace_context *context, enum trace_form form,
                        const struct mp_value *v, bool pad);

/* Ids as bytes (Fluent Bit's metadata). Ignores what has the wrong length or is zero. */
void trace_context_take_bytes(struct trace_context *context, struct slice trace, struct slice span);

#endif
