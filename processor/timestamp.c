#include "processor/timestamp.h"

#define NS_PER_SECOND 1000000000ll
#define DAY_SECONDS 86400ll
#define EPOCH_MIN_MS 100000000000ull
#define EPOCH_MIN 100000000ull /* 1973-03-03: smaller numbers are something else */

static bool two_digits(const uint8_t *p, unsigned *ret)
{
    unsigned a = p[0] - (unsigned)'0', b = p[1] - (unsigned)'0';

    *ret = a * 10 + b;
    return a <= 9 && b <= 9;
}

/* Days from 1970-01-01 in the Gregorian calendar (Howard Hinnant's days_from_civil). */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + (int64_t)doe - 719468;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        return 29;
    return days[month - 1];
}

/* "YYYY-MM-DD" to the second that it begins at. */
static bool parse_date(const uint8_t *p, struct timestamp_memo *memo, int64_t *ret_s)
{
    unsigned century, rest, year, month, day;

    if (memo->day_s != 0 && memcmp(p, memo->date, sizeof(memo->date)) == 0) {
        *ret_s = memo->day_s;
        return true;
    }
    if (!two_digits(p, &century) || !two_digits(p + 2, &rest) || p[4] != '-' ||
        !two_digits(p + 5, &month) || p[7] != '-' || !two_digits(p + 8, &day))
        return false;
    year = century * 100 + rest;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    *ret_s = days_from_civil(year, month, day) * DAY_SECONDS;
    memcpy(memo->date, p, sizeof(memo->date));
    memo->day_s = *ret_s;
    return true;
}

/* ".123…": moves *p behind it. Digits beyond the ninth are not kept. */
static bool parse_fraction(const uint8_t **p, const uint8_t *end, int64_t *ret_ns, bool *exact)
{
    int64_t scale = NS_PER_SECOND / 10, ns = 0;
    const uint8_t *start = *p + 1, *q = start;

    for (; q < end && *q >= '0' && *q <= '9'; q++) {
        ns += (*q - '0') * scale;
        if (scale == 0 && *q != '0')
            *exact = false;
        scale /= 10;
    }
    *p = q;
    *ret_ns = ns;
    return q > start;
}

/* "Z" or "+hh:mm" to the end of the text. */
static bool parse_offset(const uint8_t *p, const uint8_t *end, int64_t *ret_s, bool *exact)
{
    unsigned hours, minutes;
    int64_t s;

    if (end - p == 1 && (*p == 'Z' || *p == 'z')) {
        *ret_s = 0;
        return true;
    }
    /* "+hh:mm" and "+hhmm" */
    if ((end - p != 6 && end - p != 5) || (*p != '+' && *p != '-') ||
        (end - p == 6 && p[3] != ':') || !two_digits(p + 1, &hours) ||
        !two_digits(end - 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    s = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ret_s = *p == '-' ? -s : s;
    *exact = *exact && s == 0;
    return true;
}

static bool parse_rfc3339(struct slice text, struct timestamp_memo *memo, struct timestamp *ret)
{
    const uint8_t *p = text.p, *end = text.p + text.n;
    unsigned hour, minute, second;
    int64_t date_s, offset_s, fraction_ns = 0, s;
    bool exact = true;

    /* The shortest is 2024-01-15T10:30:45Z. */
    if (text.n < 20 || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') || p[13] != ':' ||
        p[16] != ':' || !two_digits(p + 11, &hour) || !two_digits(p + 14, &minute) ||
        !two_digits(p + 17, &second) || hour > 23 || minute > 59 || second > 60)
        return false;
    if (!parse_date(p, memo, &date_s))
        return false;
    p += 19;
    if ((*p == '.' || *p == ',') && !parse_fraction(&p, end, &fraction_ns, &exact))
        return false;
    if (!parse_offset(p, end, &offset_s, &exact))
        return false;
    s = date_s + hour * 3600 + minute * 60 + second - offset_s;
    if (s < 0 || s >= INT64_MAX / NS_PER_SECOND || (s == 0 && fraction_ns == 0))
        return false;
    ret->ns = (uint64_t)(s * NS_PER_SECOND + fraction_ns);
    ret->exact = exact && second < 60;
    return true;
}

static bool from_integer(uint64_t v, struct timestamp *ret)
{
    uint64_t unit;

    if (v < EPOCH_MIN || v > INT64_MAX)
        return false;
    unit = v < EPOCH_MIN_MS            ? 1000000000
           : v < 100000000000000ull    ? 1000000
           : v < 100000000000000000ull ? 1000
                                       : 1;
    if (v > INT64_MAX / unit)
        return false;
    ret->ns = v * unit;
    ret->exact = true;
    return true;
}

/*
 * A double holds today's seconds to a quarter of a microsecond: what it means is the decimal that
 * it was printed from, so it is rounded to microseconds. Exact if that gives the same double again.
 */
static bool from_double(double v, struct timestamp *ret)
{
    double unit;

    if (!(v >= (double)EPOCH_MIN && v < 9.2e18))
        return false;
    unit = v < 1e11 ? 1e6 : v < 1e14 ? 1e3 : v < 1e17 ? 1 : 1e-3;
    if (v * unit >= 9.2e15)
        return false;
    ret->ns = (uint64_t)(v * unit + 0.5) * 1000;
    ret->exact = (double)(ret->ns / 1000) / unit == v;
    return true;
}

/* "1705314645" and "1705314645.123": taken, but what is text stays as an attribute. */
static bool from_digits(struct slice text, struct timestamp *ret)
{
    const uint8_t *p = text.p, *end = text.p + text.n;
    int64_t fraction_ns = 0;
    uint64_t v = 0;
    bool exact;

    if (text.n > 30)
        return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return false;
    if (p < end && (*p != '.' || !parse_fraction(&p, end, &fraction_ns, &exact) || p < end))
        return false;
    if (!from_integer(v, ret))
        return false;
    if (v < EPOCH_MIN_MS)
        ret->ns += (uint64_t)fraction_ns;
    ret->exact = false;
    return true;
}

bool timestamp_of(const struct mp_value *v, struct timestamp_memo *memo, struct timestamp *ret)
{
    switch (v->type) {
    case MP_STR:
        return parse_rfc3339(v->bytes, memo, ret) || from_digits(v->bytes, ret);
    case MP_UINT:
        return from_integer(v->u, ret);
    case MP_FLOAT:
        return from_double(v->d, ret);
    case MP_EXT:
        if (!timestamp_is_event_time(v) || timestamp_event_time_ns(v) == 0)
            return false;
        *ret = (struct timestamp){timestamp_event_time_ns(v), true};
        return true;
    default:
        return false;
    }
}
