/*
 * record_internal: the record at hand, shared by the files of record.c and by nobody else.
 *
 *     record.c             the candidates, the record as a whole
 *     record_pairs.c       the pairs of a record or a text
 *     record_names.c       which keys mean what
 *     record_attributes.c  where attributes go: all of them, or as many as a profile allows
 *     record_nest.c        maps whose children mean something: kubernetes, error, trace …
 *     record_text.c        a body that is text with more in it
 */
#ifndef PROCESSOR_RECORD_INTERNAL_H
#define PROCESSOR_RECORD_INTERNAL_H

#include "processor/otlp_value.h"
#include "processor/record.h"
#include "processor/text.h"

/* LogRecord's fields. */
#define F_TIME PB_KEY(1, PB_FIXED64)
#define F_SEVERITY PB_KEY(2, PB_VARINT)
#define F_SEVERITY_TEXT PB_KEY(3, PB_BYTES)
#define F_BODY PB_KEY(5, PB_BYTES)
#define F_ATTRIBUTE PB_KEY(6, PB_BYTES)
#define F_DROPPED PB_KEY(7, PB_VARINT)
#define F_FLAGS PB_KEY(8, PB_FIXED32)
#define F_TRACE_ID PB_KEY(9, PB_BYTES)
#define F_SPAN_ID PB_KEY(10, PB_BYTES)
#define F_OBSERVED PB_KEY(11, PB_FIXED64)
#define F_EVENT_NAME PB_KEY(12, PB_BYTES)
#define F_LOG_RECORD PB_KEY(2, PB_BYTES) /* of ScopeLogs */

/* What a key is. */
enum key_kind {
    KEY_PLAIN,
    KEY_TIME,     /* put aside: value is the rank */
    KEY_SEVERITY, /* put aside: rank and scale, severity.h */
    KEY_BODY,     /* put aside: rank */
    KEY_FACT,     /* put aside: FACT_VALUE */
    KEY_KEPT,     /* attribute that no profile folds away */
    KEY_MACHINE,  /* the same, and host.name */
    KEY_TRACE,    /* attribute, and read for the ids: enum trace_form */
    KEY_RENAME,   /* attribute under another name: enum rename */
    KEY_NEST,     /* a map whose children are looked up as "key.child" */
    KEY_LABELS,   /* a map whose pairs are resource attributes: enum fact_map */
};

/* A fact's row: which, and how good; 0 is best. */
#define FACT_VALUE(fact, rank) ((fact)*10 + (rank))
#define FACT_OF(value) ((enum fact)((value) / 10))
#define FACT_RANK(value) ((value) % 10)
/* Ranks of service names: what is certainly meant as one, what may be, and what else there is. */
#define SERVICE_MAYBE_RANK 5
#define SERVICE_FALLBACK_RANK 7

enum rename {
    RENAME_IOSTREAM, /* only stdout and stderr */
    RENAME_EXCEPTION_TYPE,
    RENAME_EXCEPTION_MESSAGE,
    RENAME_EXCEPTION_STACK,
    RENAME_FUNCTION,
    RENAME_FILE,
    RENAME_LINE,
    RENAME_PID,
    RENAME_THREAD_NAME,
    RENAME_CALLER, /* "path:line" */
    RENAME_FACILITY,
    RENAME_PROCID,
    RENAME_MSGID,
    RENAMES
};

/* "event" is structlog's message, but elsewhere an object: only text counts. */
#define BODY_EVENT_RANK 9

/* Candidates put aside per record; more of them are plain attributes. */
#define MAX_ASIDE 40

/* A candidate for an OTLP field. */
struct aside {
    enum key_kind kind;
    uint8_t value;  /* its row's */
    bool used;      /* the OTLP field says all of it */
    uint16_t order; /* smaller is better: what lies deeper in texts, then the row's rank */
    struct slice name;
    struct mp_value v;
    struct mp content; /* where v's content begins */
};

struct state {
    struct record_maker *maker;
    struct facts *facts;
    struct otlp_out *o;
    size_t first;   /* where the record's attributes begin, an offset */
    unsigned depth; /* in texts */
    size_t aside_count;
    unsigned kinds; /* bits: of the candidates */
    struct trace_context trace;
    /* A profile's limit; without one all stay 0. */
    unsigned flat, more;
    unsigned kept;        /* bits by the lengths of the names */
    struct otlp_out side; /* the surplus */
    struct aside aside[MAX_ASIDE];
};

static inline uint16_t aside_order(const struct state *s, uint8_t value)
{
    return (uint16_t)((TEXT_MAX_DEPTH - s->depth) << 8 | value);
}

/* What a text only hints at is worse than everything that was said. */
#define ORDER_HINT 0x8000u

extern const struct name_row record_names[];
extern const struct slice record_renames[RENAMES];

/* ---- record_pairs.c ---- */

/* Makes a key unique. *ret_slot: its row if it has one and is the first so named. */
int record_enter(struct state *s, struct slice *name, const struct name_slot **ret_slot);

/* Reads a key, of any type, and enters it. */
int record_key(struct state *s, struct mp *in, struct slice *ret_name,
               const struct name_slot **ret_slot);

/* Reads `pairs` pairs: each becomes a candidate or an attribute. */
int record_pairs(struct state *s, struct mp *in, uint32_t pairs);

/* A value whose key has a row (or none: NULL); *in is at its content and ends behind it. */
int record_value(struct state *s, struct mp *in, struct slice name, const struct name_slot *slot,
                 const struct mp_value *v);

/* An attribute of ours: under another name where the record has one so named. */
int record_put_own(struct state *s, struct slice name, struct mp *in, const struct mp_value *v);

/* ---- record.c ---- */

/* The best candidate of a kind whose order is `from` or worse; NULL when there is none. */
struct aside *record_best(struct state *s, enum key_kind kind, unsigned from);

void record_merge_trace(struct trace_context *trace, const struct trace_context *from);

/* ---- record_attributes.c ---- */

struct otlp_out *record_out_limited(struct state *s, const struct name_slot *slot);

/* Where the next attribute is written. */
static inline struct otlp_out *record_out(struct state *s, const struct name_slot *slot)
{
    if (__builtin_expect(!s->maker->is_limited, 1))
        return s->o;
    return record_out_limited(s, slot);
}

/* Writes the surplus: as it is where it fits, else folded into one attribute. */
int record_out_finish(struct state *s);

/* ---- record_nest.c ---- */

/* A map under `name`; *in is at its first pair and ends behind it. */
int record_nest(struct state *s, struct slice name, struct mp *in, const struct mp_value *map);

/* ---- record_text.c ---- */

/* What the record's body is, after all texts in it were read; NULL: there is none. */
int record_body(struct state *s, struct aside **ret_body);

#endif
