/*
 * logfmt: the whole text is
 *
 *     level=info msg="it \"works\"" url=http://host/?a=b empty= flag
 *
 * A bare word is a key that is true; but prose has pairs too ("x=1 and y=2"), so there must be three
 * pairs to each bare word, and two at least. Values stay text. Escapes in quotes are those of JSON;
 * one that is none stays as it is. A tail that is not of this form and the text is none.
 */
#include "processor/scan.h"

#define PAIRS_MIN 2
#define PAIRS_PER_BARE 3

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX at p, which is behind the u: writes the character; false where it is not one alone. */
static bool put_unicode(struct mp_writer *w, const uint8_t *p, const uint8_t *end)
{
    uint8_t utf8[3];
    unsigned c = 0;

    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        if (hex_digit(p[i]) < 0)
            return false;
        c = c << 4 | (unsigned)hex_digit(p[i]);
    }
    if (c >= 0xd800 && c <= 0xdfff)
        return false;
    if (c < 0x80) {
        utf8[0] = (uint8_t)c;
        mp_put_raw(w, utf8, 1);
    } else if (c < 0x800) {
        utf8[0] = (uint8_t)(0xc0 | c >> 6);
        utf8[1] = (uint8_t)(0x80 | (c & 0x3f));
        mp_put_raw(w, utf8, 2);
    } else {
        utf8[0] = (uint8_t)(0xe0 | c >> 12);
        utf8[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        utf8[2] = (uint8_t)(0x80 | (c & 0x3f));
        mp_put_raw(w, utf8, 3);
    }
    return true;
}

/* One escape at p, which is at the backslash and has a byte behind it; returns where it ends. */
static const uint8_t *put_escape(struct mp_writer *w, const uint8_t *p, const uint8_t *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *known = memchr(from, p[1], sizeof(from) - 1);

    if (known != NULL) {
        mp_put_raw(w, to + (known - from), 1);
        return p + 2;
    }
    if (p[1] == 'u' && put_unicode(w, p + 2, end))
        return p + 6;
    mp_put_raw(w, p, 2);
    return p + 2;
}

/* What stands between the quotes. */
static void put_unescaped(struct mp_writer *w, struct slice raw)
{
    const uint8_t *p = raw.p, *end = raw.p + raw.n;
    size_t content = mp_str_begin(w, raw.n);

    while (p < end) {
        const uint8_t *stop = memchr(p, '\\', (size_t)(end - p));

        mp_put_raw(w, p, (size_t)((stop == NULL ? end : stop) - p));
        p = stop == NULL ? end : put_escape(w, stop, end);
    }
    mp_str_end(w, content);
}

/* A value in quotes; the place is behind the first one. */
static bool take_quoted(struct scan *s, struct mp_writer *w)
{
    const uint8_t *from = s->p;
    bool escaped = false;
    struct slice raw;

    for (; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p != '\\')
            continue;
        escaped = true;
        if (++s->p == s->end)
            return false;
    }
    if (s->p == s->end)
        return false;
    raw = slice_of(from, (size_t)(s->p - from));
    s->p++;
    if (escaped)
        put_unescaped(w, raw);
    else
        mp_put_str(w, raw);
    return true;
}

/* What stands behind the equals sign. No logger ends a value so: a list in prose, code, or what
 * auditd writes ("msg=audit(1364481363.243:24287): arch=…"). */
static bool take_value(struct scan *s, struct mp_writer *w)
{
    struct slice value;

    if (scan_take(s, '"'))
        return take_quoted(s, w);
    if (scan_at(s, '=') || scan_at(s, '>'))
        return false;
    value = scan_run(s, SCAN_BARE);
    if (value.n > 0 && memchr(",;:", value.p[value.n - 1], 3) != NULL)
        return false;
    mp_put_str(w, value);
    return true;
}

/* Pairs and bare words up to the end. */
static bool take_pairs(struct scan *s, struct mp_writer *w)
{
    uint32_t pairs = 0, bare = 0;

    do {
        struct slice key;

        if (s->p == s->end)
            break;
        if (!scan_at_class(s, SCAN_FIRST))
            return false;
        key = scan_run(s, SCAN_KEY);
        mp_put_str(w, key);
        if (scan_take(s, '=')) {
            if (!take_value(s, w))
                return false;
            pairs++;
        } else if (pairs == 0) {
            return false;
        } else {
            mp_put_bool(w, true);
            bare++;
        }
    } while (scan_blanks(s));
    if (s->p < s->end || pairs < PAIRS_MIN || (uint64_t)bare * PAIRS_PER_BARE > pairs)
        return false;
    w->pairs += pairs + bare;
    return true;
}

/* "key=" in front, before anything is written: most texts are none. */
static bool may_be(struct scan s)
{
    if (!scan_at_class(&s, SCAN_FIRST))
        return false;
    scan_run(&s, SCAN_KEY);
    return scan_at(&s, '=');
}

enum text_verdict text_logfmt(struct slice text, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    struct scan s = scan_of(text);

    if (!may_be(s))
        return TEXT_NO;
    while (s.end > s.p && (s.end[-1] == '\n' || s.end[-1] == '\r'))
        s.end--;
    return scan_verdict(w, mark, take_pairs(&s, w) ? TEXT_REPLACES : TEXT_NO);
}
