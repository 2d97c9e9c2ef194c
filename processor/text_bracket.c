/*
 * Lines of a time, a level, maybe a component, and a text:
 *
 *     [time] LEVEL component: text           time LEVEL component: text    time [LEVEL] text
 *     [time] [LEVEL] [component] text        [time][LEVEL][component] text
 *     [time] [12] [LEVEL] text               time [thread] LEVEL component - text
 *     [time LEVEL component] text            Rust's env_logger
 *     time - component - LEVEL - text        Python
 *     time | LEVEL | component - text        Python's loguru
 *     LEVEL:component:text                   Python without a time
 *
 * Times are those of scan.h. One without an offset is no time, and stays an attribute. The text may
 * have more lines; what is no component (a word that ": " ends) belongs to it.
 */
#include "processor/scan.h"

#define BRACKETS_MAX_BYTES 128

struct head {
    struct scan_time time;
    struct slice thread; /* of brackets before the level */
    struct slice pid;    /* Spring Boot's, and its name of the program */
    struct slice application;
    struct slice level;
    struct slice component;
};

/* ---- parts ---- */

static struct slice trim(struct slice s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* What short brackets hold, on one line and without brackets in it; else the place stays. */
static bool take_brackets(struct scan *s, struct slice *ret)
{
    const uint8_t *from, *p, *end;

    ret->n = 0;
    if (!scan_at(s, '['))
        return false;
    from = p = s->p + 1;
    /* with the bracket that ends them */
    end = s->end - from > BRACKETS_MAX_BYTES ? from + BRACKETS_MAX_BYTES + 1 : s->end;
    while (p < end && *p >= ' ' && *p != '[' && *p != ']')
        p++;
    if (p == end || *p != ']' || p == from)
        return false;
    *ret = trim(slice_of(from, (size_t)(p - from)));
    s->p = p + 1;
    return ret->n > 0;
}

/* "[error]", and where a time stands before it "[E]" too. */
static bool is_level_in_brackets(struct slice word)
{
    return scan_is_level(word, SCAN_LEVEL_MARKED) ||
           (word.n == 1 && memchr("TDVIWEF", word.p[0], 7) != NULL);
}

/* "LEVEL " and "level:". */
static bool take_level_word(struct scan *s, struct slice *ret)
{
    *ret = scan_run(s, SCAN_LETTER);
    if (scan_take(s, ':'))
        return scan_is_level(*ret, SCAN_LEVEL_MARKED);
    return scan_is_level(*ret, SCAN_LEVEL_BARE) &&
           (s->p == s->end || *s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == ']');
}

/* A name with a point in it, "com.example.Main". */
static bool is_dotted(struct slice word)
{
    const uint8_t *dot = memchr(word.p, '.', word.n);

    return dot != NULL && dot > word.p && dot + 1 < word.p + word.n;
}

/* "TypeError: x is no function": what happened, not where. */
static bool is_exception(struct slice name)
{
    return (name.n >= 5 && memcmp(name.p + name.n - 5, "Error", 5) == 0) ||
           (name.n >= 9 && memcmp(name.p + name.n - 9, "Exception", 9) == 0);
}

/* "component: ", "[component] " and behind loggers of their kind "component - "; or nothing. */
static void take_component(struct scan *s, bool may_dash, struct slice *ret)
{
    struct scan at = *s;

    if (take_brackets(&at, ret)) {
        struct scan inner = scan_of(*ret);

        if (!scan_at_class(&inner, SCAN_FIRST) || scan_run(&inner, SCAN_COMPONENT).n != ret->n ||
            !(at.p == at.end || *at.p == ' ' || *at.p == '\n')) {
            ret->n = 0;
            return;
        }
        *s = at;
        return;
    }
    ret->n = 0;
    if (!scan_at_class(&at, SCAN_FIRST))
        return;
    *ret = scan_run(&at, SCAN_COMPONENT);
    if (ret->p[ret->n - 1] == ':' && scan_at(&at, ' ') &&
        memmem(ret->p, ret->n, "://", 3) == NULL) {
        ret->n--;
        if (is_exception(*ret))
            ret->n = 0;
    } else if (!(may_dash || is_dotted(*ret)) || !scan_literal(&at, " - "))
        ret->n = 0;
    if (ret->n > 0)
        *s = at;
}

/* Spring Boot behind the level: "12345 --- [main] c.e.Application : text"; its name of the program
 * may stand in brackets before the thread. Moves only over the whole of it. */
static void take_spring(struct scan *s, struct head *h)
{
    struct scan at = *s;
    struct slice pid = scan_run(&at, SCAN_DIGIT), thread, name, logger;

    if (pid.n == 0 || !scan_literal(&at, " --- ") || !take_brackets(&at, &thread))
        return;
    scan_blanks(&at);
    if (take_brackets(&at, &name)) {
        h->application = thread;
        thread = name;
        scan_blanks(&at);
    }
    logger = scan_run(&at, SCAN_COMPONENT);
    scan_blanks(&at);
    if (logger.n == 0 || !scan_literal(&at, ": ")) {
        h->application.n = 0;
        return;
    }
    h->pid = pid;
    h->thread = thread;
    h->component = logger;
    *s = at;
}

/* ---- forms ---- */

/* Behind the time: "[LEVEL]", "[12] [LEVEL]", "LEVEL", "[thread] LEVEL", and the component. */
static bool take_fields(struct scan *s, struct head *h)
{
    struct slice inner;

    scan_blanks(s);
    if (take_brackets(s, &inner) && !is_level_in_brackets(inner)) {
        h->thread = inner;
        inner.n = 0;
        scan_blanks(s);
        take_brackets(s, &inner);
        if (inner.n > 0 && !is_level_in_brackets(inner))
            return false;
    }
    h->level = inner;
    if (inner.n == 0 && (!take_level_word(s, &h->level) || scan_at(s, ']')))
        return false;
    if (inner.n > 0)
        scan_take(s, ':');
    scan_blanks(s);
    take_spring(s, h);
    if (h->pid.n == 0)
        take_component(s, h->thread.n > 0, &h->component);
    return true;
}

/* A word up to " - ", or "   - ", which may end the text. */
static bool take_dashed(struct scan *s, struct slice *ret)
{
    *ret = scan_run(s, SCAN_GRAPH);
    if (ret->n == 0 || !scan_blanks(s) || !scan_take(s, '-'))
        return false;
    return scan_take(s, ' ') || s->p == s->end || *s->p == '\n';
}

/* Behind "time - ". */
static bool take_dashes(struct scan *s, struct head *h)
{
    if (!take_dashed(s, &h->level))
        return false;
    if (scan_is_level(h->level, SCAN_LEVEL_MARKED))
        return true;
    h->component = h->level;
    return take_dashed(s, &h->level) && scan_is_level(h->level, SCAN_LEVEL_MARKED);
}

/* Behind "time | ". */
static bool take_pipes(struct scan *s, struct head *h)
{
    struct scan at;

    h->level = scan_run(s, SCAN_LETTER);
    scan_blanks(s);
    if (!scan_is_level(h->level, SCAN_LEVEL_MARKED) || !scan_take(s, '|'))
        return false;
    scan_blanks(s);
    at = *s;
    if (take_dashed(&at, &h->component))
        *s = at;
    else
        h->component.n = 0;
    return true;
}

/* Behind "[time": "]" and fields, or " LEVEL component]". */
static bool take_in_brackets(struct scan *s, struct head *h)
{
    if (scan_take(s, ']'))
        return take_fields(s, h);
    if (!scan_blanks(s) || !take_level_word(s, &h->level))
        return false;
    scan_blanks(s);
    h->component = scan_run(s, SCAN_COMPONENT);
    scan_blanks(s);
    return scan_take(s, ']');
}

/* Behind "time". */
static bool take_after_time(struct scan *s, struct head *h)
{
    if (!scan_blanks(s))
        return false;
    if (scan_literal(s, "- "))
        return take_dashes(s, h);
    if (scan_literal(s, "| "))
        return take_pipes(s, h);
    return take_fields(s, h);
}

/* "ERROR:name:text" */
static bool take_basic(struct scan *s, struct head *h)
{
    static const char *const levels[] = {"DEBUG:", "INFO:", "WARNING:", "ERROR:", "CRITICAL:"};
    const uint8_t *from = s->p;

    /* Most words that begin as these do go on in small letters. */
    if (scan_left(s) < 2 || from[1] < 'A' || from[1] > 'Z')
        return false;
    for (size_t i = 0; s->p == from && i < sizeof(levels) / sizeof(*levels); i++)
        scan_literal(s, levels[i]);
    if (s->p == from || !scan_at_class(s, SCAN_FIRST))
        return false;
    h->level = slice_of(from, (size_t)(s->p - from - 1));
    from = s->p;
    while (scan_at_class(s, SCAN_KEY) && *s->p != '/' && *s->p != '@')
        s->p++;
    h->component = slice_of(from, (size_t)(s->p - from));
    /* "ERROR:http://" and "ERROR:C:\" are no names */
    return h->component.n > 1 && scan_take(s, ':') && !scan_at(s, '/') && !scan_at(s, '\\');
}

/* ---- the detector ---- */

static void put_head(struct mp_writer *w, const struct head *h)
{
    if (h->time.text.n > 0)
        scan_put_time(w, &h->time);
    if (h->pid.n > 0)
        scan_put_number(w, "pid", h->pid);
    scan_put_text(w, "application", h->application);
    if (h->thread.n > 0) {
        struct scan s = scan_of(h->thread);

        if (h->pid.n == 0 && scan_run(&s, SCAN_DIGIT).n == h->thread.n)
            scan_put_number(w, "pid", h->thread);
        else
            mp_put_pair(w, "thread.name", h->thread);
    }
    mp_put_pair(w, "level", h->level);
    scan_put_text(w, "component", h->component);
}

enum text_verdict text_bracket(struct slice text, struct mp_writer *w)
{
    struct scan_mark mark = scan_mark_of(w);
    struct scan s = scan_of(text);
    struct head h = {.time = {.text = {text.p, 0}}};
    bool ok;

    if (scan_take(&s, '['))
        ok = scan_time_zone(&s, &h.time) && take_in_brackets(&s, &h);
    else if (scan_at_class(&s, SCAN_DIGIT))
        ok = scan_time_zone(&s, &h.time) && take_after_time(&s, &h);
    else
        ok = take_basic(&s, &h);
    if (!ok)
        return TEXT_NO;
    scan_take(&s, ' ');
    put_head(w, &h);
    mp_put_pair(w, "message", scan_rest(&s));
    return scan_verdict(w, mark, TEXT_REPLACES);
}
