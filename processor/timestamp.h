/*
 * timestamp: a record's own time. Which keys hold one, and what their values mean:
 *
 *   text      RFC 3339, any fraction, any offset ("T" may be "t" or a blank, the fraction's point a
 *             comma), its basic form (20240115T103045Z), RFC 2822's and HTTP's (Mon, 15 Jan 2024
 *             10:30:45 GMT), Apache's (15/Jan/2024:10:30:45 +0000); or an epoch number as text
 *   integer   epoch: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else
 *             nanoseconds; below 1e8 (1973) it is no time but some other number
 *   float     the same ranges
 *   ext       Forward's EventTime, MessagePack's timestamp (-1) of 4, 8 or 12 bytes, Go's (5)
 *   map       Google's {seconds, nanos}: timestamp_of_map
 *
 * Offsets are Z, UTC, GMT, +hh, +hhmm and +hh:mm, a blank before them and a zone's name behind them
 * allowed ("+0100 CET"). Text without an offset is no time: it is some clock's local time, the
 * event's own is safer. A weekday that is not the date's, hour 24, the 30th of February: no time.
 * `exact` says that the OTLP field holds all that the value said; else the attribute stays too
 * (another offset than UTC, more than nine digits of fraction, a leap second, a number as text).
 */
#ifndef PROCESSOR_TIMESTAMP_H
#define PROCESSOR_TIMESTAMP_H

#include "processor/mp.h"
#include "processor/name_table.h"

struct timestamp {
    uint64_t ns; /* since 1970; never 0, at most INT64_MAX */
    bool exact;
};

/* The day of the last text, so that the calendar is computed once a day. Zeroed at start. */
struct timestamp_memo {
    uint8_t date[10];
    int64_t day_s; /* seconds from 1970 to its beginning */
};

/* The keys, best first (`value` is the rank). kind is `kind` in every row. */
#define TIMESTAMP_NAMES(kind)                                                             \
    {"timestamp", kind, 0}, {"@timestamp", kind, 1}, {"time", kind, 2}, {"ts", kind, 3},  \
        {"@t", kind, 4}, {"date", kind, 5}, {"asctime", kind, 6}, {"Timestamp", kind, 7}, \
    {                                                                                     \
        "date_time", kind, 8                                                              \
    }

/* Returns whether the value is a time. */
bool timestamp_of(const struct mp_value *v, struct timestamp_memo *memo, struct timestamp *ret);

/* Returns whether the map of `pairs` pairs, which `in` is at, is {seconds, nanos}. Other pairs in it
 * do not matter, but then it is not exact. */
bool timestamp_of_map(struct mp in, uint32_t pairs, struct timestamp *ret);

/* Forward's EventTime: ext type 0, 8 bytes. */
static inline bool timestamp_is_event_time(const struct mp_value *v)
{
    return v->type == MP_EXT && v->ext_type == 0 && v->bytes.n == 8;
}

static inline uint64_t timestamp_event_time_ns(const struct mp_value *v)
{
    return bytes_get_be32(v->bytes.p) * 1000000000ull + bytes_get_be32(v->bytes.p + 4);
}

#endif
