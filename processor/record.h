/*
 * record: one log record, a MessagePack map, to one OTLP LogRecord.
 *
 *     key ──▶ its kind (one table of all names, record_names.c)
 *              none      attribute, at once, with its type
 *              kept      job_id, worker_id, trace ids …: attribute, at once, and read for the ids
 *              rename    attribute, at once, under the semantic conventions' name
 *              nest      a map whose children are looked up as "map.child"
 *              time, severity, body, fact   put aside; at the end the best of each that can be read
 *                        becomes the OTLP field or a resource attribute, the others attributes
 *
 * A body that is text is given to the detectors (text.h); what they find goes the same way again.
 * A record without a message is its own body, as a map.
 *
 * The names stand in record_names.c, timestamp.h, severity.h and trace_context.h. A value that its
 * OTLP field does not say fully is an attribute as well. Keys are unique: see key_set.h. Fields are
 * written in the order in which they are known, which protobuf allows; time and observed time come
 * first, at a fixed place.
 */
#ifndef PROCESSOR_RECORD_H
#define PROCESSOR_RECORD_H

#include "processor/key_set.h"
#include "processor/metadata.h"
#include "processor/otlp_out.h"
#include "processor/resource.h"
#include "processor/severity.h"
#include "processor/text.h"
#include "processor/timestamp.h"

/* Which of a record's names for its service become service.name. */
enum record_service {
    RECORD_SERVICE_NEVER, /* the configured one counts alone */
    RECORD_SERVICE_NAMED, /* what is certainly meant so: service.name, service_name, dd.service … */
    RECORD_SERVICE_ANY,   /* service and app, too */
};

struct record_config {
    bool pad_trace_id; /* record.trace_id */
    bool parse_text;   /* record.parse_text */
    bool is_limited;   /* the dash0 profile */
    bool has_service;  /* service.name is configured; else a program's name will do */
    enum record_service service;
};

/* One per converter, reused from record to record. */
struct record_maker {
    bool pad_trace_id;
    bool parse_text;
    bool is_limited;
    uint8_t service_ranks; /* ranks of service names below this count */
    struct name_table keys;
    struct severity_words severity_words;
    struct key_set seen;
    struct timestamp_memo memo;
    struct buf text[TEXT_MAX_DEPTH]; /* what was found in texts, by depth */
    struct buf more;                 /* the surplus of attributes */
    struct buf nest;                 /* what is left of a map */
};

/* What is known beside the record. */
struct record_event {
    uint64_t event_ns; /* 0: unknown */
    uint64_t received_ns;
    const struct metadata *metadata; /* NULL: none */
    struct slice metadata_raw;       /* kept as an attribute where the former is not complete */
    const struct mp_value *odd_time; /* an event time that is none, kept as an attribute; or NULL */
    struct mp odd_content;           /* where its content begins */
};

/* Where a record goes, and what it says beside its bytes. */
struct record_out {
    struct otlp_out o;
    struct facts facts; /* cleared by the caller; their bytes are lent until the next record */
    uint64_t time_ns;
};

/* Returns 0 or -EINVAL (two rows of the tables have one name). */
int record_maker_init(struct record_maker *maker, const struct record_config *config);
void record_maker_fini(struct record_maker *maker);

/* Gives memory back that an unusual chunk took. */
void record_maker_trim(struct record_maker *maker);

/*
 * Writes the whole log_records field (key, length, LogRecord) of the map of `pairs` pairs that *in
 * is at; *in ends behind it. Returns 0, -ENODATA, -EBADMSG, -ENOMEM or -EFBIG.
 */
int record_put(struct record_maker *maker, const struct record_event *event, struct mp *in,
               uint32_t pairs, struct record_out *ret);

#endif
