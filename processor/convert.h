/*
 * convert: a chunk's entries to OTLP log records (the rules are those of the conversion in the
 * documentation of sluice.conf and ARCHITECTURE.md). The commit engine calls it once per chunk.
 *
 * Order of work per record: decode, parse text, timestamp, severity, trace context, resource; one
 * pass over the bytes, no allocation per record. The time is the record's own where it has one, else the
 * event's, else the time of receipt; what an OTLP field says fully (time, severity, body) is not
 * repeated as an attribute, everything else is an attribute.
 *
 *     converter_new(&config, &converter, &err);
 *     r = convert_chunk(converter, &chunk, builder, &result, &err);
 */
#ifndef PROCESSOR_CONVERT_H
#define PROCESSOR_CONVERT_H

#include "processor/chunk.h"
#include "processor/frame_builder.h"
#include "processor/record.h"
#include "shared/base/err.h"

struct converter;

/* record.trace_id. Verbatim ids cannot stand in protobuf: there it is as strict, and the
 * transcoder copies the attribute's text (TRANSCODE_VERBATIM_TRACE_ID). */
enum convert_trace_id { CONVERT_TRACE_PAD, CONVERT_TRACE_STRICT, CONVERT_TRACE_VERBATIM };

/* NULL or "" leaves the attribute out. The self_ strings are borrowed for as long as the converter
 * lives, the others copied. */
struct converter_config {
    const char *service_name;        /* resource: service.name */
    const char *environment;         /* resource: deployment.environment */
    const char *self_name;           /* scope: name */
    const char *self_version;        /* scope: version */
    const char *self_host;           /* scope: sluice.host */
    const char *resource_attributes; /* resource.attributes: "key=value,…" */
    enum convert_trace_id trace_id;
    enum record_service service; /* record.service */
    bool parse_text;             /* record.parse_text */
    bool is_limited;             /* otlp.profile is dash0 */
    size_t max_decompressed;     /* processor.max_decompressed */
};

/* What became of a chunk's entries. An event time that cannot be read (negative, an unknown type)
 * drops nothing: the record gets the time of receipt and the attribute fluent.time. */
struct convert_result {
    uint64_t records;         /* converted */
    uint64_t dropped_invalid; /* entries that are no [time, record] or whose record is no map */
    uint64_t truncated;       /* 1: the payload ended inside an entry, lost with what follows */
    uint64_t markers;         /* Fluent Bit's group markers: no logs, but applied */
    uint64_t foreign;         /* 1: a chunk of metrics or traces, not looked into */
    uint64_t first_time_ns;   /* smallest and largest time of the records; 0 without records */
    uint64_t last_time_ns;
};

/* Returns 0, -EINVAL or -ENOMEM. */
int converter_new(const struct converter_config *config, struct converter **ret_converter,
                  struct err *err);
void converter_free(struct converter **converter);

/*
 * Converts a chunk into `builder`, all of it or nothing: it calls frame_builder_chunk_begin and
 * _chunk_end, or on any error _chunk_abort. The caller then cuts its batch back to where it stood
 * before the call, or to where the sink's `keep` came since (frame_builder.h).
 * Returns 0; -EBADMSG (corrupt: the chunk belongs into quarantine, err says why); -EFBIG (above
 * max_decompressed, or a record too large: quarantine too); -ENOMEM; or what the sink returned.
 */
int convert_chunk(struct converter *converter, const struct chunk *chunk,
                  struct frame_builder *builder, struct convert_result *ret_result,
                  struct err *err);

#endif
