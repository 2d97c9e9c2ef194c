#include "processor/scan.h"

#define DIGIT (SCAN_DIGIT | SCAN_KEY | SCAN_COMPONENT | SCAN_GRAPH | SCAN_BARE)
#define LETTER (SCAN_LETTER | SCAN_FIRST | SCAN_KEY | SCAN_COMPONENT | SCAN_GRAPH | SCAN_BARE)
#define IN_KEY (SCAN_KEY | SCAN_COMPONENT | SCAN_GRAPH | SCAN_BARE)
#define IN_COMPONENT (SCAN_COMPONENT | SCAN_GRAPH | SCAN_BARE)
#define OTHER (SCAN_GRAPH | SCAN_BARE)

const uint8_t scan_classes[256] = {
    ['!'] = OTHER,
    ['"'] = SCAN_GRAPH,
    ['#'] = OTHER,
    ['$'] = IN_COMPONENT,
    ['%' ... ','] = OTHER,
    ['-' ... '/'] = IN_KEY,
    ['0' ... '9'] = DIGIT,
    [':'] = IN_COMPONENT,
    [';' ... '?'] = OTHER,
    ['@'] = IN_KEY,
    ['A' ... 'Z'] = LETTER,
    ['[' ... '^'] = OTHER,
    ['_'] = IN_KEY | SCAN_FIRST,
    ['`'] = OTHER,
    ['a' ... 'z'] = LETTER,
    ['{' ... '~'] = OTHER,
    [0x80 ... 0xff] = SCAN_BARE,
};

bool scan_literal(struct scan *s, const char *text)
{
    size_t n = strlen(text);

    if (scan_left(s) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* ---- times ---- */

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline bool two_digits(const uint8_t *p)
{
    return is_digit(p[0]) && is_digit(p[1]);
}

bool scan_is_clock(const uint8_t *p)
{
    return two_digits(p) && p[2] == ':' && two_digits(p + 3) && p[5] == ':' && two_digits(p + 6) &&
           (p[0] < '2' || (p[0] == '2' && p[1] < '4')) && p[3] < '6' && p[6] < '7';
}

/* The length of "Z", "+hh:mm" or "+hhmm" at p; 0 where there is none. */
static size_t offset_length(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);

    if (left >= 1 && (*p == 'Z' || *p == 'z'))
        return 1;
    if (left < 5 || (*p != '+' && *p != '-') || !two_digits(p + 1))
        return 0;
    if (two_digits(p + 3))
        return 5;
    return left >= 6 && p[3] == ':' && two_digits(p + 4) ? 6 : 0;
}

bool scan_time(struct scan *s, struct scan_time *ret)
{
    const uint8_t *p = s->p, *q;
    size_t offset;

    if (scan_left(s) < 19 || !is_digit(p[0]) || (p[4] != '-' && p[4] != '/') || p[7] != p[4] ||
        (p[10] != ' ' && (p[4] == '/' || (p[10] | 0x20) != 't')) || !two_digits(p) ||
        !two_digits(p + 2) || !two_digits(p + 5) || !two_digits(p + 8) || !scan_is_clock(p + 11))
        return false;
    p += 19;
    if (s->end - p >= 2 && (*p == '.' || *p == ',') && is_digit(p[1])) {
        for (q = p + 1; q < s->end && is_digit(*q); q++)
            ;
        p = q;
    }
    offset = offset_length(p, s->end);
    p += offset;
    ret->text = slice_of(s->p, (size_t)(p - s->p));
    ret->zone = slice_of(p, 0);
    ret->has_zone = offset > 0;
    s->p = p;
    return true;
}

bool scan_time_zone(struct scan *s, struct scan_time *ret)
{
    const uint8_t *zone;
    size_t n;

    if (!scan_time(s, ret))
        return false;
    if (ret->has_zone || scan_left(s) < 4 || *s->p != ' ')
        return true;
    zone = s->p + 1;
    n = memcmp(zone, "UTC", 3) == 0    ? 3
        : *zone == '+' || *zone == '-' ? offset_length(zone, s->end)
                                       : 0;
    /* A whole word, or it belongs to what follows. */
    if (n == 0 || (zone + n < s->end && zone[n] != ' ' && zone[n] != ']'))
        return true;
    ret->zone = slice_of(zone, n);
    ret->has_zone = true;
    s->p = zone + n;
    return true;
}

void scan_put_time(struct mp_writer *w, const struct scan_time *t)
{
    bool utc = t->zone.n > 0 && t->zone.p[0] == 'U';
    size_t content;

    if (t->zone.n == 0) {
        mp_put_pair(w, "time", t->text);
        return;
    }
    mp_put_str(w, SLICE_LITERAL("time"));
    content = mp_str_begin(w, t->text.n + t->zone.n);
    mp_put_raw(w, t->text.p, t->text.n);
    mp_put_raw(w, utc ? (const uint8_t *)"Z" : t->zone.p, utc ? 1 : t->zone.n);
    mp_str_end(w, content);
    w->pairs++;
}

/* ---- levels ---- */

#define LEVEL_MAX 13
#define LEVEL_WORDS 10

/* By length. `front`: without a time beside it, a line may begin so. */
static const struct level_word {
    const char *word;
    bool front;
} levels[LEVEL_MAX + 1][LEVEL_WORDS] = {
    [3] = {{"err", true}, {"inf", false}, {"wrn", false}, {"dbg", false}},
    [4] = {{"info", true}, {"warn", true}, {"crit", true}, {"fine", false}},
    [5] = {{"error", true},
           {"debug", true},
           {"trace", true},
           {"fatal", true},
           {"alert", true},
           {"panic", true},
           {"emerg", true},
           {"finer", false},
           {"silly", false}},
    [6] = {{"notice", true}, {"severe", false}, {"finest", false}, {"dpanic", false}},
    [7] = {{"warning", true}, {"verbose", false}},
    [8] = {{"critical", true}},
    [9] = {{"emergency", false}},
    [11] = {{"information", false}},
    [LEVEL_MAX] = {{"informational", false}},
};

const char *scan_level_word(size_t i)
{
    for (size_t n = 0; n <= LEVEL_MAX; n++)
        for (size_t k = 0; k < LEVEL_WORDS && levels[n][k].word != NULL; k++)
            if (i-- == 0)
                return levels[n][k].word;
    return NULL;
}

/* Small letters into `lower`; how many were capitals. Not for other bytes than letters. */
static bool fold(struct slice word, char *lower, size_t *ret_capitals)
{
    size_t capitals = 0;

    for (size_t i = 0; i < word.n; i++) {
        if ((scan_classes[word.p[i]] & SCAN_LETTER) == 0)
            return false;
        capitals += (word.p[i] & 0x20) == 0;
        lower[i] = (char)(word.p[i] | 0x20);
    }
    *ret_capitals = capitals;
    return true;
}

bool scan_is_level(struct slice word, enum scan_level_place place)
{
    bool marked = place == SCAN_LEVEL_MARKED || place == SCAN_LEVEL_MARKED_FRONT;
    bool front = place == SCAN_LEVEL_FRONT || place == SCAN_LEVEL_MARKED_FRONT;
    char lower[LEVEL_MAX];
    size_t capitals;

    if (word.n < 3 || word.n > LEVEL_MAX || !fold(word, lower, &capitals))
        return false;
    /* "ERROR"; marked "error" and "Error" too; never "eRRor" */
    if (capitals != word.n &&
        !(marked && (capitals == 0 || (capitals == 1 && (word.p[0] & 0x20) == 0))))
        return false;
    for (size_t k = 0; k < LEVEL_WORDS && levels[word.n][k].word != NULL; k++)
        if (memcmp(levels[word.n][k].word, lower, word.n) == 0)
            return levels[word.n][k].front || !front;
    return false;
}

/* ---- writing ---- */

void scan_put_number(struct mp_writer *w, const char *key, struct slice digits)
{
    uint64_t v = 0;

    /* 19 digits always fit. */
    if (digits.n == 0 || digits.n > 19 || (digits.n > 1 && digits.p[0] == '0')) {
        mp_put_pair(w, key, digits);
        return;
    }
    for (size_t i = 0; i < digits.n; i++)
        v = v * 10 + (uint64_t)(digits.p[i] - '0');
    mp_put_str(w, slice_string(key));
    mp_put_uint(w, v);
    w->pairs++;
}

enum text_verdict scan_verdict(struct mp_writer *w, struct scan_mark mark,
                               enum text_verdict verdict)
{
    if (verdict != TEXT_NO && !w->failed)
        return verdict;
    w->buf->n = mark.n;
    w->pairs = mark.pairs;
    return TEXT_NO;
}
