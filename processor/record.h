/*
 * record: one log record, a MessagePack map, to one OTLP LogRecord.
 *
 *     key ──▶ its kind (one table of all names)
 *              none      attribute, at once, with its type
 *              trace     attribute, at once, and read for the OTLP ids
 *              time, severity, body   put aside; at the end the best of each that can be read
 *                        becomes the OTLP field, the others become attributes
 *
 * The names stand in timestamp.h, severity.h, trace_context.h and, of the body, in record.c. A value
 * that its OTLP field does not say fully is an attribute as well. Keys are unique: see key_set.h.
 * Fields are written in the order in which they are known, which protobuf allows; time and observed
 * time come first, at a fixed place.
 */
#ifndef PROCESSOR_RECORD_H
#define PROCESSOR_RECORD_H

#include "processor/key_set.h"
#include "processor/metadata.h"
#include "processor/otlp_out.h"
#include "processor/severity.h"
#include "processor/timestamp.h"

/* One per converter, reused from record to record. */
struct record_maker {
    bool pad_trace_id;
    struct name_table keys;
    struct severity_words severity_words;
    struct key_set seen;
    struct timestamp_memo memo;
};

/* What is known beside the record. */
struct record_event {
    uint64_t event_ns; /* 0: unknown */
    uint64_t received_ns;
    const struct metadata *metadata; /* NULL: none */
    struct slice metadata_raw;       /* kept as an attribute where the former is not complete */
    const struct mp_value *odd_time; /* an event time that is none, kept as an attribute; or NULL */
};

/* Returns 0 or -EINVAL (two rows of the tables have one name). */
int record_maker_init(struct record_maker *maker, bool pad_trace_id);
void record_maker_fini(struct record_maker *maker);

/*
 * Writes the whole log_records field (key, length, LogRecord) of the map of `pairs` pairs that *in
 * is at; *in ends behind it. Returns 0, -ENODATA, -EBADMSG, -ENOMEM or -EFBIG.
 */
int record_put(struct record_maker *maker, const struct record_event *event, struct mp *in,
               uint32_t pairs, struct otlp_out *o, uint64_t *ret_time_ns);

#endif
