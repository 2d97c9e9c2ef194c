#include "processor/timestamp.h"

#define NS_PER_SECOND 1000000000ll
#define DAY_SECONDS 86400ll
#define EPOCH_MIN_MS 100000000000ull
#define EPOCH_MIN 100000000ull /* 1973-03-03: smaller numbers are something else */
#define MAX_SECONDS (INT64_MAX / NS_PER_SECOND)
/* Ext types. */
#define EXT_TIMESTAMP (-1)
#define EXT_GO_TIME 5
#define BASIC_BYTES 15  /* 20240115T103045 */
#define APACHE_BYTES 20 /* 15/Jan/2024:10:30:45 */

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

static bool day_of(unsigned year, unsigned month, unsigned day, int64_t *ret_s)
{
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    *ret_s = days_from_civil(year, month, day) * DAY_SECONDS;
    return true;
}

static bool four_digits(const uint8_t *p, unsigned *ret)
{
    unsigned century, rest;

    if (!two_digits(p, &century) || !two_digits(p + 2, &rest))
        return false;
    *ret = century * 100 + rest;
    return true;
}

/* "YYYY-MM-DD" to the second that it begins at. */
static bool parse_date(const uint8_t *p, struct timestamp_memo *memo, int64_t *ret_s)
{
    unsigned year, month, day;

    if (memo->day_s != 0 && memcmp(p, memo->date, sizeof(memo->date)) == 0) {
        *ret_s = memo->day_s;
        return true;
    }
    if (!four_digits(p, &year) || p[4] != '-' || !two_digits(p + 5, &month) || p[7] != '-' ||
        !two_digits(p + 8, &day) || !day_of(year, month, day, ret_s))
        return false;
    memcpy(memo->date, p, sizeof(memo->date));
    memo->day_s = *ret_s;
    return true;
}

/* "hh:mm:ss", or "hhmmss" with `gap` 0. A leap second is the next one, and not exact. */
static inline bool parse_clock(const uint8_t *p, unsigned gap, int64_t *ret_s, bool *exact)
{
    unsigned hour, minute, second;

    if ((gap > 0 && (p[2] != ':' || p[5] != ':')) || !two_digits(p, &hour) ||
        !two_digits(p + 2 + gap, &minute) || !two_digits(p + 4 + 2 * gap, &second) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *ret_s = hour * 3600 + minute * 60 + second;
    *exact = second < 60;
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

/* The zone's name that Go and others write behind the offset, which says nothing more. */
static bool is_zone_name(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 3 || end - p > 6 || *p++ != ' ')
        return false;
    while (p < end && *p >= 'A' && *p <= 'Z')
        p++;
    return p == end;
}

/* "+hh", "+hhmm", "+hh:mm", with a zone's name behind it or not. */
static bool parse_numeric_offset(const uint8_t *p, const uint8_t *end, int64_t *ret_s)
{
    const int sign = *p == '-' ? -1 : 1;
    unsigned hours, minutes = 0;

    if (end - p < 3 || !two_digits(p + 1, &hours) || hours > 23)
        return false;
    p += 3;
    if (end - p >= 3 && *p == ':') {
        if (!two_digits(p + 1, &minutes))
            return false;
        p += 3;
    } else if (end - p >= 2 && *p != ' ') {
        if (!two_digits(p, &minutes))
            return false;
        p += 2;
    }
    if (minutes > 59 || (p < end && !is_zone_name(p, end)))
        return false;
    *ret_s = sign * ((int64_t)hours * 3600 + (int64_t)minutes * 60);
    return true;
}

/* What else than "Z" an offset can be, to the end of the text. */
static bool parse_offset(const uint8_t *p, const uint8_t *end, int64_t *ret_s, bool *exact)
{
    *ret_s = 0;
    if (p < end && *p == ' ')
        p++;
    if (p < end && (*p == '+' || *p == '-')) {
        if (!parse_numeric_offset(p, end, ret_s))
            return false;
        *exact = *exact && *ret_s == 0;
        return true;
    }
    return (end - p == 3 && (memcmp(p, "UTC", 3) == 0 || memcmp(p, "GMT", 3) == 0)) ||
           (end - p == 2 && memcmp(p, "UT", 2) == 0) || (end - p == 1 && *p == 'Z');
}

static inline bool set(int64_t s, int64_t ns, bool exact, struct timestamp *ret)
{
    if (s < 0 || s >= MAX_SECONDS || (s == 0 && ns == 0))
        return false;
    ret->ns = (uint64_t)(s * NS_PER_SECOND + ns);
    ret->exact = exact;
    return true;
}

/*
 * What follows the seconds: fraction, offset, end. `s`: as the clock says it. Inline in the one
 * format that counts: nearly every record has such a time.
 */
static inline __attribute__((always_inline)) bool finish(const uint8_t *p, const uint8_t *end,
                                                         int64_t s, bool exact,
                                                         struct timestamp *ret)
{
    int64_t offset_s = 0, fraction_ns = 0;

    if (p < end && (*p == '.' || *p == ',') && !parse_fraction(&p, end, &fraction_ns, &exact))
        return false;
    if ((end - p != 1 || (*p | 0x20) != 'z') && !parse_offset(p, end, &offset_s, &exact))
        return false;
    return set(s - offset_s, fraction_ns, exact, ret);
}

static bool finish_rare(const uint8_t *p, const uint8_t *end, int64_t s, bool exact,
                        struct timestamp *ret)
{
    return finish(p, end, s, exact, ret);
}

static bool parse_rfc3339(struct slice text, struct timestamp_memo *memo, struct timestamp *ret)
{
    const uint8_t *p = text.p;
    int64_t date_s, clock_s;
    bool exact;

    /* The shortest is 2024-01-15T10:30:45Z. */
    if (text.n < 20 || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') ||
        !parse_clock(p + 11, 1, &clock_s, &exact) || !parse_date(p, memo, &date_s))
        return false;
    return finish(p + 19, p + text.n, date_s + clock_s, exact, ret);
}

/* ---- rarer forms ---- */

/* 20240115T103045Z */
static bool parse_basic(struct slice text, struct timestamp *ret)
{
    const uint8_t *p = text.p;
    unsigned year, month, day;
    int64_t date_s, clock_s;
    bool exact;

    if (text.n <= BASIC_BYTES || p[8] != 'T' || !four_digits(p, &year) ||
        !two_digits(p + 4, &month) || !two_digits(p + 6, &day) ||
        !day_of(year, month, day, &date_s) || !parse_clock(p + 9, 0, &clock_s, &exact))
        return false;
    return finish_rare(p + BASIC_BYTES, p + text.n, date_s + clock_s, exact, ret);
}

/* 1 to 12, or 0 */
static unsigned month_of(const uint8_t *p)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (unsigned i = 0; i < 12; i++)
        if (memcmp(p, months + 3 * i, 3) == 0)
            return i + 1;
    return 0;
}

/* 15/Jan/2024:10:30:45 +0000 */
static bool parse_apache(struct slice text, struct timestamp *ret)
{
    const uint8_t *p = text.p;
    int64_t date_s, clock_s;
    unsigned year, day;
    bool exact;

    if (text.n <= APACHE_BYTES || p[2] != '/' || p[6] != '/' || p[11] != ':' ||
        !two_digits(p, &day) || !four_digits(p + 7, &year) ||
        !day_of(year, month_of(p + 3), day, &date_s) || !parse_clock(p + 12, 1, &clock_s, &exact))
        return false;
    return finish_rare(p + APACHE_BYTES, p + text.n, date_s + clock_s, exact, ret);
}

/* "Mon, ": 0 to 6 from Sunday on; -1: no weekday. */
static int weekday_of(struct slice text)
{
    static const char days[] = "SunMonTueWedThuFriSat";

    for (int i = 0; text.n >= 5 && text.p[3] == ',' && text.p[4] == ' ' && i < 7; i++)
        if (memcmp(text.p, days + 3 * i, 3) == 0)
            return i;
    return -1;
}

/* [Mon, ]15 Jan 2024 10:30:45 GMT */
static bool parse_rfc2822(struct slice text, struct timestamp *ret)
{
    const uint8_t *p = text.p, *const end = text.p + text.n;
    const int weekday = weekday_of(text);
    uint8_t digits[2] = {'0', '0'};
    int64_t date_s, clock_s;
    unsigned year, day;
    bool exact;

    if (weekday >= 0)
        p += 5;
    /* One digit or two, then " Jan 2024 10:30:45" and at least "Z". */
    if (end - p < 20)
        return false;
    digits[1] = *p++;
    if (*p != ' ') {
        digits[0] = digits[1];
        digits[1] = *p++;
    }
    if (end - p < 19 || *p != ' ' || p[4] != ' ' || p[9] != ' ' || !two_digits(digits, &day) ||
        !four_digits(p + 5, &year) || !day_of(year, month_of(p + 1), day, &date_s) ||
        !parse_clock(p + 10, 1, &clock_s, &exact) ||
        (weekday >= 0 && (date_s / DAY_SECONDS + 4) % 7 != weekday))
        return false;
    return finish_rare(p + 18, end, date_s + clock_s, exact, ret);
}

/* By what stands at the places that tell them apart; most texts end here. */
static bool parse_rare(struct slice text, struct timestamp *ret)
{
    if (text.n <= BASIC_BYTES || text.n > 64)
        return false;
    if (text.p[8] == 'T')
        return parse_basic(text, ret);
    if (text.p[2] == '/')
        return parse_apache(text, ret);
    return parse_rfc2822(text, ret);
}

/* ---- numbers ---- */

/* Nanoseconds per unit of an epoch number; 0: it is none. */
static uint64_t epoch_unit(uint64_t v)
{
    uint64_t unit;

    if (v < EPOCH_MIN || v > INT64_MAX)
        return 0;
    unit = v < EPOCH_MIN_MS            ? 1000000000
           : v < 100000000000000ull    ? 1000000
           : v < 100000000000000000ull ? 1000
                                       : 1;
    return v > INT64_MAX / unit ? 0 : unit;
}

static bool from_integer(uint64_t v, struct timestamp *ret)
{
    const uint64_t unit = epoch_unit(v);

    ret->ns = v * unit;
    ret->exact = true;
    return unit != 0;
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
    int64_t fraction = 0; /* in billionths of the unit */
    uint64_t v = 0, unit;
    bool exact;

    if (text.n > 30)
        return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return false;
    if (p < end && (*p != '.' || !parse_fraction(&p, end, &fraction, &exact) || p < end))
        return false;
    unit = epoch_unit(v);
    if (unit == 0)
        return false;
    ret->ns = v * unit + (uint64_t)fraction * unit / NS_PER_SECOND;
    ret->exact = false;
    return ret->ns <= INT64_MAX;
}

/*
 * MessagePack's own: seconds in 4 bytes; 30 bits of nanoseconds and 34 of seconds; or 4 and 8. And
 * what Go's msgp makes of a time.Time: 8 of seconds and 4.
 */
static bool from_ext(const struct mp_value *v, struct timestamp *ret)
{
    const uint8_t *p = v->bytes.p;
    const size_t n = v->bytes.n;
    uint64_t s, ns = 0;

    if (timestamp_is_event_time(v)) {
        ret->ns = timestamp_event_time_ns(v);
        ret->exact = true;
        return ret->ns != 0;
    }
    if (v->ext_type == EXT_TIMESTAMP && n == 4) {
        s = bytes_get_be32(p);
    } else if (v->ext_type == EXT_TIMESTAMP && n == 8) {
        s = bytes_get_be64(p) & 0x3ffffffffull;
        ns = bytes_get_be64(p) >> 34;
    } else if (v->ext_type == EXT_TIMESTAMP && n == 12) {
        ns = bytes_get_be32(p);
        s = bytes_get_be64(p + 4);
    } else if (v->ext_type == EXT_GO_TIME && n == 12) {
        s = bytes_get_be64(p);
        ns = bytes_get_be32(p + 8);
    } else {
        return false;
    }
    return ns < NS_PER_SECOND && set((int64_t)s, (int64_t)ns, true, ret);
}

bool timestamp_of(const struct mp_value *v, struct timestamp_memo *memo, struct timestamp *ret)
{
    switch (v->type) {
    case MP_STR:
        return parse_rfc3339(v->bytes, memo, ret) || from_digits(v->bytes, ret) ||
               parse_rare(v->bytes, ret);
    case MP_UINT:
        return from_integer(v->u, ret);
    case MP_FLOAT:
        return from_double(v->d, ret);
    case MP_EXT:
        return from_ext(v, ret);
    default:
        return false;
    }
}

/* ---- a map ---- */

/* An integer, or one as text, as JavaScript writes 64-bit ones. */
static bool take_integer(const struct mp_value *v, uint64_t max, uint64_t *ret, bool *exact)
{
    uint64_t n = 0;

    if (v->type == MP_UINT) {
        if (v->u > max)
            return false;
        *ret = v->u;
        return true;
    }
    if (v->type != MP_STR || v->bytes.n == 0 || v->bytes.n > 18)
        return false;
    for (size_t i = 0; i < v->bytes.n; i++) {
        if (v->bytes.p[i] < '0' || v->bytes.p[i] > '9')
            return false;
        n = n * 10 + (v->bytes.p[i] - '0');
    }
    if (n > max)
        return false;
    *exact = false;
    *ret = n;
    return true;
}

bool timestamp_of_map(struct mp in, uint32_t pairs, struct timestamp *ret)
{
    uint64_t s = 0, ns = 0;
    bool has_s = false, has_ns = false, exact = true;

    for (uint32_t i = 0; i < pairs; i++) {
        struct mp_value key, v;

        if (mp_next_pair(&in, &key, &v) < 0 || mp_skip_content(&in, &v) < 0)
            return false;
        if (key.type == MP_STR && !has_s && slice_is(key.bytes, "seconds"))
            has_s = take_integer(&v, (uint64_t)MAX_SECONDS, &s, &exact);
        else if (key.type == MP_STR && !has_ns && slice_is(key.bytes, "nanos"))
            has_ns = take_integer(&v, NS_PER_SECOND - 1, &ns, &exact);
        else
            exact = false;
    }
    exact = exact && pairs == (uint32_t)has_s + has_ns;
    return has_s && set((int64_t)s, (int64_t)ns, exact, ret);
}
