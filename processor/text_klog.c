/*
 * What Kubernetes' klog and Google's glog write:
 *
 *     I0115 10:30:45.123456    1234 file.go:56] message
 *     level, month and day (glog: year too), clock, thread, place
 *
 * Without an offset, and mostly without a year, the time is none: it stays a text.
 */
#include "processor/scan.h"

#define CLOCK_BYTES 15 /* hh:mm:ss.uuuuuu */

static bool is_month_and_day(const uint8_t *p)
{
    unsigned month = (p[0] - (unsigned)'0') * 10 + p[1] - (unsigned)'0';
    unsigned day = (p[2] - (unsigned)'0') * 10 + p[3] - (unsigned)'0';

    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* "0115 10:30:45.123456", "20240115 10:30:45.123456" */
static bool take_time(struct scan *s, struct slice *ret)
{
    const uint8_t *from = s->p;
    struct slice date = scan_run(s, SCAN_DIGIT), micros;

    if ((date.n != 4 && date.n != 8) || !is_month_and_day(date.p + date.n - 4) ||
        !scan_take(s, ' ') || scan_left(s) < CLOCK_BYTES || !scan_is_clock(s->p) || s->p[8] != '.')
        return false;
    s->p += 9;
    micros = scan_run(s, SCAN_DIGIT);
    *ret = slice_of(from, (size_t)(s->p - from));
    return micros.n == 6 && scan_at(s, ' ');
}

/* "file.go:56]": the last colon before the bracket parts them. */
static bool take_place(struct scan *s, struct slice *ret_file, struct slice *ret_line)
{
    const uint8_t *from = s->p, *colon;

    while (scan_at_class(s, SCAN_GRAPH) && *s->p != ']')
        s->p++;
    colon = memrchr(from, ':', (size_t)(s->p - from));
    if (!scan_at(s, ']') || colon == NULL || colon == from)
        return false;
    *ret_file = slice_of(from, (size_t)(colon - from));
    *ret_line = slice_of(colon + 1, (size_t)(s->p - colon - 1));
    s->p++;
    for (size_t i = 0; i < ret_line->n; i++)
        if ((scan_classes[ret_line->p[i]] & SCAN_DIGIT) == 0)
            return false;
    return ret_line->n > 0 && (s->p == s->end || *s->p == ' ' || *s->p == '\n');
}

enum text_verdict text_klog(struct slice text, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    struct scan s = scan_of(text);
    struct slice level = slice_of(text.p, 1), time, thread, file, line;

    if (text.n < 2 || (scan_classes[text.p[1]] & SCAN_DIGIT) == 0 ||
        memchr("IWEF", text.p[0], 4) == NULL)
        return TEXT_NO;
    s.p++;
    if (!take_time(&s, &time) || !scan_blanks(&s))
        return TEXT_NO;
    thread = scan_run(&s, SCAN_DIGIT);
    if (thread.n == 0 || !scan_blanks(&s) || !take_place(&s, &file, &line))
        return TEXT_NO;
    scan_take(&s, ' ');
    mp_put_pair(w, "level", level);
    mp_put_pair(w, "klog.time", time);
    scan_put_number(w, "thread.id", thread);
    mp_put_pair(w, "code.file.path", file);
    scan_put_number(w, "code.line.number", line);
    mp_put_pair(w, "message", scan_rest(&s));
    return scan_verdict(w, mark, TEXT_REPLACES);
}
