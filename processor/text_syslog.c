/*
 * Syslog, in its two forms:
 *
 *     <34>1 2024-01-15T10:30:45.123Z host app 1234 ID47 [sd@1 key="value"] message      RFC 5424
 *     <34>Jan 15 10:30:45 host tag[1234]: message                                       RFC 3164
 *
 * Of the older form everything behind the time may be missing: a tag is what a colon ends, a host
 * what stands before a tag, or looks like an address. Its time has no offset and mostly no year and
 * stays a text, unless it is the newer form's (rsyslog's forward format).
 */
#include "processor/scan.h"

#define PRI_MAX 191
#define STAMP_BYTES 15 /* Mmm dd hh:mm:ss */
#define NAME_MAX_BYTES 255

/* ---- RFC 5424 ---- */

/* A word up to a blank: "-" is none. */
static bool take_field(struct scan *s, struct slice *ret)
{
    *ret = scan_run(s, SCAN_GRAPH);
    if (ret->n == 0 || ret->n > NAME_MAX_BYTES)
        return false;
    if (ret->n == 1 && ret->p[0] == '-')
        ret->n = 0;
    return true;
}

/* A parameter's value: \" \\ and \] are escapes, no other backslash is. */
static void put_param(struct mp_writer *w, struct slice raw)
{
    const uint8_t *p = raw.p, *end = raw.p + raw.n;
    size_t content = mp_str_begin(w, raw.n);

    while (p < end) {
        const uint8_t *stop = memchr(p, '\\', (size_t)(end - p));
        size_t keep = (size_t)((stop == NULL ? end : stop) - p);

        mp_put_raw(w, p, keep);
        p += keep;
        if (stop == NULL)
            continue;
        if (stop + 1 < end && (stop[1] == '"' || stop[1] == '\\' || stop[1] == ']'))
            p++;
        mp_put_raw(w, p, 1);
        p++;
    }
    mp_str_end(w, content);
}

/* name="value", written. */
static bool take_param(struct scan *s, struct mp_writer *w)
{
    const uint8_t *from = s->p;
    struct slice name;

    while (scan_at_class(s, SCAN_GRAPH) && *s->p != '=' && *s->p != ']')
        s->p++;
    name = slice_of(from, (size_t)(s->p - from));
    if (name.n == 0 || !scan_literal(s, "=\""))
        return false;
    for (from = s->p; s->p < s->end && *s->p != '"'; s->p++)
        if (*s->p == '\\' && ++s->p == s->end)
            return false;
    mp_put_str(w, name);
    put_param(w, slice_of(from, (size_t)(s->p - from)));
    return scan_take(s, '"');
}

/* [id name="value" ...], written: the id and a map. */
static bool take_element(struct scan *s, struct mp_writer *w)
{
    const uint8_t *from = ++s->p;
    uint32_t params = 0;
    size_t map;

    while (scan_at_class(s, SCAN_GRAPH) && *s->p != ']' && *s->p != '=')
        s->p++;
    if (s->p == from || !(scan_at(s, ']') || scan_at(s, ' ')))
        return false;
    mp_put_str(w, slice_of(from, (size_t)(s->p - from)));
    map = mp_map_begin(w);
    while (scan_take(s, ' ') && !scan_at(s, ']')) {
        if (!take_param(s, w))
            return false;
        params++;
    }
    mp_map_end(w, map, params);
    return scan_take(s, ']');
}

/*
 * "-" or elements. What is neither belongs to the message, as some senders leave this field out: the
 * place stays, and nothing of it is written.
 */
static void take_structured_data(struct scan *s, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    struct scan begin = *s;
    uint32_t elements = 0;
    bool ok = true;
    size_t map;

    if (scan_take(s, '-')) {
        if (s->p < s->end && *s->p != ' ' && *s->p != '\n')
            *s = begin;
        return;
    }
    if (!scan_at(s, '['))
        return;
    mp_put_str(w, SLICE_LITERAL("syslog.structured_data"));
    map = mp_map_begin(w);
    for (; ok && scan_at(s, '['); elements++)
        ok = take_element(s, w);
    mp_map_end(w, map, elements);
    w->pairs++;
    if (!ok || (s->p < s->end && *s->p != ' ' && *s->p != '\n')) {
        *s = begin;
        scan_verdict(w, mark, TEXT_NO);
    }
}

/* Behind "<PRI>1 ". */
static bool take_rfc5424(struct scan *s, struct mp_writer *w)
{
    static const char *const keys[] = {"hostname", "syslog.appname", "syslog.procid",
                                       "syslog.msgid"};
    struct scan_time time = {.text = {s->p, 0}};

    if (!scan_literal(s, "- ") &&
        (!scan_time(s, &time) || !time.has_zone || time.text.p[10] != 'T' || !scan_take(s, ' ')))
        return false;
    scan_put_text(w, "time", time.text);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct slice field;

        if ((i > 0 && !scan_take(s, ' ')) || !take_field(s, &field))
            return false;
        scan_put_text(w, keys[i], field);
    }
    if (!scan_take(s, ' '))
        return s->p == s->end;
    take_structured_data(s, w);
    if (scan_take(s, ' ') || s->p < s->end) {
        scan_literal(s, "\xef\xbb\xbf");
        mp_put_pair(w, "message", scan_rest(s));
    }
    return true;
}

/* ---- RFC 3164 ---- */

/* "Jan 15 10:30:45", the day's first digit maybe a blank; Cisco's year and fraction. */
static bool take_stamp(struct scan *s, struct slice *ret)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const uint8_t *p = s->p, *from = p;
    bool known = false;

    if (scan_left(s) < STAMP_BYTES || p[3] != ' ' || p[6] != ' ')
        return false;
    for (size_t i = 0; !known && i < 12; i++)
        known = memcmp(months + i * 3, p, 3) == 0;
    if (!known || (p[4] != ' ' && (scan_classes[p[4]] & SCAN_DIGIT) == 0) ||
        (scan_classes[p[5]] & SCAN_DIGIT) == 0)
        return false;
    s->p += 7;
    if (scan_left(s) >= 13 && s->p[4] == ' ' && scan_run(s, SCAN_DIGIT).n == 4)
        s->p++;
    if (scan_left(s) < 8 || !scan_is_clock(s->p))
        return false;
    s->p += 8;
    if (scan_take(s, '.'))
        scan_run(s, SCAN_DIGIT);
    *ret = slice_of(from, (size_t)(s->p - from));
    /* Cisco ends the time with a colon. */
    scan_take(s, ':');
    return s->p == s->end || *s->p == ' ' || *s->p == '\n';
}

/* "tag: ", "tag[pid]: " and "tag[12] "; else the place stays. */
static bool take_tag(struct scan *s, struct slice *ret_tag, struct slice *ret_pid)
{
    struct scan at = *s;
    bool numbered = false;

    while (scan_at_class(&at, SCAN_GRAPH) && *at.p != '[' && *at.p != ':')
        at.p++;
    *ret_tag = slice_of(s->p, (size_t)(at.p - s->p));
    *ret_pid = slice_of(at.p, 0);
    if (ret_tag->n == 0 || ret_tag->n > NAME_MAX_BYTES)
        return false;
    if (scan_take(&at, '[')) {
        const uint8_t *from = at.p;

        numbered = scan_run(&at, SCAN_DIGIT).n > 0 && scan_at(&at, ']');
        while (scan_at_class(&at, SCAN_GRAPH) && *at.p != ']')
            at.p++;
        *ret_pid = slice_of(from, (size_t)(at.p - from));
        if (ret_pid->n == 0 || ret_pid->n > NAME_MAX_BYTES || !scan_take(&at, ']'))
            return false;
    }
    if ((!scan_take(&at, ':') && !numbered) || (at.p < at.end && *at.p != ' ' && *at.p != '\n'))
        return false;
    scan_take(&at, ' ');
    *s = at;
    return true;
}

/* "10.0.0.99", "fe80::1", "web-1.example": not a word of a sentence. */
static bool is_address(struct slice word)
{
    bool dotted = false;

    for (size_t i = 1; i + 1 < word.n; i++)
        dotted = dotted || word.p[i] == '.' || word.p[i] == ':';
    for (size_t i = 0; i < word.n; i++)
        if ((scan_classes[word.p[i]] & SCAN_COMPONENT) == 0 || memchr("/@$", word.p[i], 3) != NULL)
            return false;
    return dotted && (scan_classes[word.p[word.n - 1]] & (SCAN_LETTER | SCAN_DIGIT)) != 0;
}

/* Behind the time and its blank: host, tag and pid, as far as they are there. */
static void take_origin(struct scan *s, struct mp_writer *w)
{
    struct slice host, tag, pid;
    struct scan begin = *s;

    if (take_tag(s, &tag, &pid)) {
        mp_put_pair(w, "syslog.appname", tag);
        scan_put_text(w, "syslog.procid", pid);
        return;
    }
    host = scan_run(s, SCAN_GRAPH);
    if (host.n == 0 || host.n > NAME_MAX_BYTES || !scan_take(s, ' ')) {
        *s = begin;
        return;
    }
    if (take_tag(s, &tag, &pid)) {
        mp_put_pair(w, "hostname", host);
        mp_put_pair(w, "syslog.appname", tag);
        scan_put_text(w, "syslog.procid", pid);
    } else if (is_address(host)) {
        mp_put_pair(w, "hostname", host);
    } else {
        *s = begin;
    }
}

/* Behind "<PRI>". */
static bool take_rfc3164(struct scan *s, struct mp_writer *w)
{
    struct scan_time time;
    struct slice stamp;

    if (scan_time(s, &time)) {
        if (!time.has_zone || !(s->p == s->end || *s->p == ' '))
            return false;
        scan_put_time(w, &time);
    } else if (take_stamp(s, &stamp)) {
        mp_put_pair(w, "syslog.timestamp", stamp);
    } else {
        return false;
    }
    if (scan_take(s, ' '))
        take_origin(s, w);
    mp_put_pair(w, "message", scan_rest(s));
    return true;
}

/* ---- both ---- */

/* "<0>" to "<191>", written with its facility. */
static bool take_pri(struct scan *s, struct mp_writer *w)
{
    struct slice digits;
    unsigned pri = 0;

    if (!scan_take(s, '<'))
        return false;
    digits = scan_run(s, SCAN_DIGIT);
    if (digits.n == 0 || digits.n > 3 || (digits.n > 1 && digits.p[0] == '0') || !scan_take(s, '>'))
        return false;
    for (size_t i = 0; i < digits.n; i++)
        pri = pri * 10 + digits.p[i] - '0';
    if (pri > PRI_MAX)
        return false;
    mp_put_str(w, SLICE_LITERAL("pri"));
    mp_put_uint(w, pri);
    mp_put_str(w, SLICE_LITERAL("syslog.facility"));
    mp_put_uint(w, pri / 8);
    w->pairs += 2;
    return true;
}

enum text_verdict text_syslog(struct slice text, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    struct scan s = scan_of(text);
    bool ok = take_pri(&s, w);

    if (ok)
        ok = scan_literal(&s, "1 ") ? take_rfc5424(&s, w) : take_rfc3164(&s, w);
    return scan_verdict(w, mark, ok ? TEXT_REPLACES : TEXT_NO);
}
