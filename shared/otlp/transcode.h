/*
 * transcode: an OTLP protobuf ExportLogsServiceRequest to OTLP/JSON (one line, no newline), by the
 * JSON mapping of the OTLP specification: lowerCamelCase keys, 64-bit integers as strings, ids in
 * hex, bytes in base64, NaN and the infinities as strings. The one place that makes JSON of
 * records: file output, JSON outputs, export, tail, quarantine views.
 *
 * The input is untrusted: lengths, wire types and ends are checked, unknown fields are skipped,
 * text that is not UTF-8 becomes U+FFFD, values nested deeper than TRANSCODE_MAX_DEPTH are refused.
 * No recursion, no allocation but the growth of *out. Fields come out in the order of the schema,
 * whatever their order on the wire; of a repeated single field the last counts.
 */
#ifndef SHARED_OTLP_TRANSCODE_H
#define SHARED_OTLP_TRANSCODE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"

/* Arrays and key-value lists inside each other. */
#define TRANSCODE_MAX_DEPTH 64

/* flags: traceId is the text of the attribute trace_id, where there is one (record.trace_id =
 * "verbatim"). */
#define TRANSCODE_VERBATIM_TRACE_ID 1u

/*
 * Appends {"resourceLogs":[...]} to *out. Returns 0, -EBADMSG with a reason and the offset, or
 * -ENOMEM. On error *out is as before.
 */
int transcode_json(struct slice request, unsigned flags, struct buf *out, struct err *err);

/*
 * The same for a request of several frames: TRANSCODE_JSON_HEAD, then the elements of each frame
 * with a comma between two frames, then TRANSCODE_JSON_TAIL. Appends the elements of resourceLogs,
 * commas between them; nothing where there are none. Returns as transcode_json.
 */
#define TRANSCODE_JSON_HEAD "{\"resourceLogs\":["
#define TRANSCODE_JSON_TAIL "]}"
int transcode_json_elements(struct slice request, unsigned flags, struct buf *out, struct err *err);

#endif
