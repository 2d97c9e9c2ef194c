/*
 * scan: what the text detectors (text.h) read with: classes of characters, times, level words; and
 * the few ways of writing that all of them need. A place is a pair of pointers; nothing here looks
 * at or beyond its end, allocates, or walks a byte twice.
 */
#ifndef PROCESSOR_SCAN_H
#define PROCESSOR_SCAN_H

#include "processor/text.h"

struct scan {
    const uint8_t *p;
    const uint8_t *end;
};

enum scan_class {
    SCAN_DIGIT = 1,
    SCAN_LETTER = 2,
    SCAN_KEY = 4,       /* logfmt's keys: letters, digits, _ . - @ / */
    SCAN_COMPONENT = 8, /* names of modules and threads: these and : $ */
    SCAN_GRAPH = 16,    /* printable ASCII but the blank */
    SCAN_BARE = 32,     /* logfmt's bare values: no blank, control character or quote */
    SCAN_FIRST = 64     /* what names begin with: letters and _ */
};

/* Per byte, the classes that it is of. */
extern const uint8_t scan_classes[256];

static inline struct scan scan_of(struct slice text)
{
    return (struct scan){text.p, text.p + text.n};
}

static inline size_t scan_left(const struct scan *s)
{
    return (size_t)(s->end - s->p);
}

static inline bool scan_at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == (uint8_t)c;
}

static inline bool scan_at_class(const struct scan *s, enum scan_class class)
{
    return s->p < s->end && (scan_classes[*s->p] & class) != 0;
}

/* Moves over c where it is. */
static inline bool scan_take(struct scan *s, char c)
{
    if (!scan_at(s, c))
        return false;
    s->p++;
    return true;
}

/* The run of bytes of a class, moved over; maybe empty. */
static inline struct slice scan_run(struct scan *s, enum scan_class class)
{
    const uint8_t *from = s->p;

    while (s->p < s->end && (scan_classes[*s->p] & class) != 0)
        s->p++;
    return slice_of(from, (size_t)(s->p - from));
}

/* Blanks and tabs; returns whether there was one. */
static inline bool scan_blanks(struct scan *s)
{
    const uint8_t *from = s->p;

    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
        s->p++;
    return s->p > from;
}

static inline struct slice scan_rest(const struct scan *s)
{
    return slice_of(s->p, scan_left(s));
}

/* Moves over a literal where it is. */
bool scan_literal(struct scan *s, const char *text);

/*
 * YYYY-MM-DD and "T" or a blank, or YYYY/MM/DD and a blank; hh:mm:ss, a fraction behind a point or
 * comma, an offset ("Z", "+hh:mm", "+hhmm") directly behind it. scan_time_zone also takes the
 * offset, or "UTC", one blank away. The shape alone counts: whether it is a time says timestamp.h.
 */
struct scan_time {
    struct slice text;
    struct slice zone; /* what stood a blank away; else empty */
    bool has_zone;
};
bool scan_time(struct scan *s, struct scan_time *ret);
bool scan_time_zone(struct scan *s, struct scan_time *ret);

/* As timestamp.h reads it: the pair "time". */
void scan_put_time(struct mp_writer *w, const struct scan_time *t);

/* "hh:mm:ss" at p, which has that many bytes. */
bool scan_is_clock(const uint8_t *p);

/*
 * Whether a word is a level, by how it stands. All of them are words of severity.h. Upper case goes
 * everywhere; "Error" and "error" only where brackets, a colon or dashes mark them; without a time
 * beside it only words that mean nothing else.
 */
enum scan_level_place {
    SCAN_LEVEL_BARE,
    SCAN_LEVEL_MARKED,
    SCAN_LEVEL_FRONT,
    SCAN_LEVEL_MARKED_FRONT
};
bool scan_is_level(struct slice word, enum scan_level_place place);

/* Every word that scan_is_level knows, in small letters; NULL behind the last. For tests. */
const char *scan_level_word(size_t i);

/* key and a number; as text where it would not be read back the same ("007"). */
void scan_put_number(struct mp_writer *w, const char *key, struct slice digits);

/* The pair, unless the text is empty. */
static inline void scan_put_text(struct mp_writer *w, const char *key, struct slice text)
{
    if (text.n > 0)
        mp_put_pair(w, key, text);
}

/* Where the writer stood when a detector began, to take its pairs back. */
struct scan_mark {
    size_t n;
    uint32_t pairs;
};

static inline struct scan_mark scan_mark_of(const struct mp_writer *w)
{
    return (struct scan_mark){w->buf->n, w->pairs};
}

/* A detector's last step: its verdict, with its pairs taken back where it is TEXT_NO or must be. */
enum text_verdict scan_verdict(struct mp_writer *w, struct scan_mark mark,
                               enum text_verdict verdict);

#endif
