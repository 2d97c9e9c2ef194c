/*
 * Prose. The text stays the body; what is found in it is said beside it:
 *
 *     ERROR: text    [warn] text    ERROR text    <3>text            a level in front
 *     ... job_id=17, trace_id="4bf9..." ...                          the correlation fields
 *
 * This runs over almost every text, so it looks at its first bytes and where memchr finds a '='.
 */
#include "processor/scan.h"

#define VALUE_MAX_BYTES 256

/* ---- the level ---- */

/* What the level words begin with. */
static bool may_begin_level(uint8_t c)
{
    static const uint32_t letters = 1u << ('a' & 31) | 1u << ('c' & 31) | 1u << ('d' & 31) |
                                    1u << ('e' & 31) | 1u << ('f' & 31) | 1u << ('i' & 31) |
                                    1u << ('n' & 31) | 1u << ('p' & 31) | 1u << ('t' & 31) |
                                    1u << ('w' & 31);

    return c >= 'A' && c <= 'z' && (letters >> (c & 31) & 1) != 0;
}

/* Something is said behind the level; "DEBUG = 1" says something else. */
static bool says_more(struct scan *s)
{
    scan_blanks(s);
    return s->p < s->end && *s->p != '\n' && *s->p != '\r' && *s->p != '=';
}

/* systemd's "<3>text" (sd-daemon(3)). */
static bool take_prefix(struct scan *s, struct slice *ret)
{
    static const char *const names[] = {"emerg",   "alert",  "crit", "err",
                                        "warning", "notice", "info", "debug"};

    if (scan_left(s) < 4 || s->p[2] != '>' || s->p[1] < '0' || s->p[1] > '7')
        return false;
    *ret = slice_string(names[s->p[1] - '0']);
    s->p += 3;
    return says_more(s);
}

static bool take_level(struct scan s, struct slice *ret)
{
    bool in_brackets;

    if (scan_at(&s, '<'))
        return take_prefix(&s, ret);
    in_brackets = scan_take(&s, '[');
    if (s.p == s.end || !may_begin_level(*s.p))
        return false;
    *ret = scan_run(&s, SCAN_LETTER);
    if (s.p == s.end)
        return false;
    if (in_brackets || *s.p == ':') {
        if ((in_brackets && !scan_take(&s, ']')) || !scan_is_level(*ret, SCAN_LEVEL_MARKED_FRONT))
            return false;
        scan_take(&s, ':');
        return says_more(&s);
    }
    return ret->n > 1 && (ret->p[1] & 0x20) == 0 && (*s.p == ' ' || *s.p == '\t') &&
           scan_is_level(*ret, SCAN_LEVEL_FRONT) && says_more(&s);
}

/* ---- correlation fields ---- */

static const char *const fields[] = {"job_id", "span_id", "trace_id", "worker_id", "machine_id"};
#define FIELDS (sizeof(fields) / sizeof(*fields))

/* Which field's name ends at `end`, after the beginning or something that ends a word. */
static size_t field_before(const uint8_t *begin, const uint8_t *end)
{
    size_t left = (size_t)(end - begin);

    if (left < 6 || memcmp(end - 3, "_id", 3) != 0)
        return FIELDS;
    for (size_t i = 0; i < FIELDS; i++) {
        size_t n = strlen(fields[i]);

        if (left >= n && memcmp(end - n, fields[i], n) == 0 &&
            (left == n || memchr(" \t\n([{,;|\"'", end[-(ptrdiff_t)n - 1], 11) != NULL))
            return i;
    }
    return FIELDS;
}

static bool ends_value(uint8_t c)
{
    return c <= ' ' || memchr(",;)]}|\"'&<>", c, 11) != NULL;
}

/* Behind the equals sign: "quoted", or bare without the sentence's full stop or colon. */
static bool take_value(struct scan *s, struct slice *ret)
{
    const uint8_t *from, *end;
    bool quoted = scan_take(s, '"');

    from = s->p;
    end = scan_left(s) > VALUE_MAX_BYTES ? from + VALUE_MAX_BYTES : s->end;
    while (s->p < end &&
           (quoted ? *s->p != '"' && *s->p != '\\' && *s->p >= ' ' : !ends_value(*s->p)))
        s->p++;
    if (quoted ? !scan_at(s, '"') : s->p < s->end && !ends_value(*s->p))
        return false;
    *ret = slice_of(from, (size_t)(s->p - from));
    while (!quoted && ret->n > 0 && memchr(".:!?", ret->p[ret->n - 1], 4) != NULL)
        ret->n--;
    return ret->n > 0;
}

/* Each field once, where it comes first: that bounds what a text can make of itself. */
static bool put_fields(struct slice text, struct mp_writer *w)
{
    struct scan s = scan_of(text);
    const uint8_t *equals;
    unsigned found = 0;

    while (found != (1u << FIELDS) - 1 && (equals = memchr(s.p, '=', scan_left(&s))) != NULL) {
        size_t field = field_before(text.p, equals);
        struct slice value;

        s.p = equals + 1;
        if (field == FIELDS || (found >> field & 1) != 0 || !take_value(&s, &value))
            continue;
        found |= 1u << field;
        mp_put_pair(w, fields[field], value);
    }
    return found != 0;
}

enum text_verdict text_plain(struct slice text, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    enum text_verdict verdict = TEXT_NO;
    struct slice level;

    if (text.n == 0)
        return TEXT_NO;
    if (take_level(scan_of(text), &level)) {
        mp_put_pair(w, "level", level);
        verdict = TEXT_ADDS;
    }
    if (put_fields(text, w))
        verdict = TEXT_ADDS;
    return scan_verdict(w, mark, verdict);
}
