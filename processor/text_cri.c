/*
 * What container runtimes write (the Kubernetes container log format):
 *
 *     2024-01-15T10:30:45.123456789Z stdout F message
 *     time (RFC 3339, with its offset)  stream  tags (F full, P partial; more behind colons)
 */
#include "processor/scan.h"

static bool take_stream(struct scan *s, struct slice *ret)
{
    ret->p = s->p;
    ret->n = 6;
    return scan_literal(s, "stdout ") || scan_literal(s, "stderr ");
}

/* "F", "P", "P:more:tags" and the blank behind it, which is missing where nothing follows. */
static bool take_tags(struct scan *s, struct slice *ret)
{
    *ret = scan_run(s, SCAN_GRAPH);
    if (ret->n == 0 || (ret->p[0] != 'F' && ret->p[0] != 'P') || (ret->n > 1 && ret->p[1] != ':'))
        return false;
    return scan_take(s, ' ') || s->p == s->end || *s->p == '\n';
}

enum text_verdict text_cri(struct slice text, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    struct scan s = scan_of(text);
    struct scan_time time;
    struct slice stream, tags;

    if (!scan_time(&s, &time) || !time.has_zone || time.text.p[10] != 'T' || !scan_take(&s, ' ') ||
        !take_stream(&s, &stream) || !take_tags(&s, &tags))
        return TEXT_NO;
    scan_put_time(w, &time);
    mp_put_pair(w, "stream", stream);
    mp_put_pair(w, "logtag", tags);
    mp_put_pair(w, "message", scan_rest(&s));
    return scan_verdict(w, mark, TEXT_REPLACES);
}
