/* Times, levels and trace contexts as records say them: timestamp, severity, trace_context. */
#include "processor/severity.h"
#include "processor/timestamp.h"
#include "processor/trace_context.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct mp_value text_value(const char *text)
{
    return (struct mp_value){.type = MP_STR, .bytes = slice_string(text)};
}

static struct mp_value number_value(uint64_t n)
{
    return (struct mp_value){.type = MP_UINT, .u = n};
}

static struct mp_value double_value(double d)
{
    return (struct mp_value){.type = MP_FLOAT, .d = d};
}

/* ---- timestamp ---- */

static void times_as_text(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns; /* 0: no time */
        bool exact;
    } rows[] = {
        {"2024-01-15T10:30:45.123Z", 1705314645123000000, true},
        {"2024-01-15T10:30:45Z", 1705314645000000000, true},
        {"2024-01-15t10:30:45z", 1705314645000000000, true},
        {"2024-01-15 10:30:45.5Z", 1705314645500000000, true},
        {"2024-01-15T10:30:45,123Z", 1705314645123000000, true},
        {"2024-01-15T10:30:45.123456789Z", 1705314645123456789, true},
        {"2024-01-15T10:30:45.1234567890Z", 1705314645123456789, true},
        {"2024-01-15T10:30:45.1234567891Z", 1705314645123456789, false},
        {"2024-01-15T12:30:45.123+02:00", 1705314645123000000, false},
        {"2024-01-15T05:00:45.123-05:30", 1705314645123000000, false},
        {"2024-01-15T12:30:45+0200", 1705314645000000000, false},
        {"2024-01-15T10:30:45+00:00", 1705314645000000000, true},
        {"2024-01-15T10:30:45-00:00", 1705314645000000000, true},
        {"2016-12-31T23:59:60Z", 1483228800000000000, false},
        {"1970-01-01T00:00:00.000000001Z", 1, true},
        {"1970-01-01T00:00:00Z", 0, false}, /* OTLP's "unknown" */
        {"1969-12-31T23:59:59Z", 0, false},
        {"2262-04-11T23:47:15Z", 9223372035000000000, true},
        {"2262-04-11T23:47:16Z", 0, false},
        {"2024-02-29T00:00:00Z", 1709164800000000000, true},
        {"2023-02-29T00:00:00Z", 0, false},
        {"2100-02-29T00:00:00Z", 0, false},
        {"2000-02-29T00:00:00Z", 951782400000000000, true},
        {"2024-13-01T00:00:00Z", 0, false},
        {"2024-00-01T00:00:00Z", 0, false},
        {"2024-01-32T00:00:00Z", 0, false},
        {"2024-01-15T24:00:00Z", 0, false},
        {"2024-01-15T10:60:00Z", 0, false},
        {"2024-01-15T10:30:61Z", 0, false},
        {"2024-01-15T10:30:45", 0, false}, /* whose clock? */
        {"2024-01-15T10:30:45.Z", 0, false},
        {"2024-01-15T10:30:45.123", 0, false},
        {"2024-01-15T10:30:45.123Zx", 0, false},
        {"2024-01-15T10:30:45+2:00", 0, false},
        {"2024-01-15T10:30:45+24:00", 0, false},
        {"2024-01-15T10:30Z", 0, false},
        {"2024-01-15", 0, false},
        {"10:30:45", 0, false},
        {"", 0, false},
        {"now", 0, false},
        {"1705314645", 1705314645000000000, false},
        {"1705314645.123", 1705314645123000000, false},
        {"1705314645123", 1705314645123000000, false},
        {"1705314645.", 0, false},
        {"1705314645x", 0, false},
        {"99999999999999999999999", 0, false},
        {"12", 0, false},
    };

    (void)state;
    for (int again = 0; again < 2; again++) {
        struct timestamp_memo memo = {.day_s = 0};

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            struct mp_value v = text_value(rows[i].text);
            uint8_t *copy = malloc(v.bytes.n + 1);
            struct timestamp t;
            bool is;

            memcpy(copy, v.bytes.p, v.bytes.n);
            v.bytes.p = copy; /* of the exact size, for the sanitizer */
            if (again)
                is = timestamp_of(&v, &memo, &t); /* fill the memo, then use it */
            is = timestamp_of(&v, &memo, &t);
            if (is != (rows[i].ns != 0) || (is && (t.ns != rows[i].ns || t.exact != rows[i].exact)))
                fail_msg("%s: %d %lu %d", rows[i].text, is, t.ns, t.exact);
            free(copy);
        }
    }
}

/* Against the C library's calendar. */
static void every_day(void **state)
{
    struct timestamp_memo memo = {.day_s = 0};

    (void)state;
    for (time_t day = 1; day < 106751; day += 13) {
        time_t s = day * 86400 + day % 86400;
        char text[40];
        struct tm tm;
        struct mp_value v;
        struct timestamp t;

        assert_non_null(gmtime_r(&s, &tm));
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        v = text_value(text);
        assert_true(timestamp_of(&v, &memo, &t));
        assert_true(t.ns == (uint64_t)s * 1000000000 && t.exact);
    }
}

static void times_as_numbers(void **state)
{
    struct timestamp_memo memo = {.day_s = 0};
    struct timestamp t;
    struct mp_value v;
    static const struct {
        uint64_t n;
        uint64_t ns;
    } rows[] = {
        {0, 0},
        {5, 0},
        {99999999, 0},
        {100000000, 100000000000000000},
        {1705314645, 1705314645000000000},
        {99999999999, 0}, /* the year 5138: beyond OTLP's signed readers */
        {1705314645123, 1705314645123000000},
        {1705314645123456, 1705314645123456000},
        {1705314645123456789, 1705314645123456789},
        {UINT64_MAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        v = number_value(rows[i].n);
        assert_int_equal(timestamp_of(&v, &memo, &t), rows[i].ns != 0);
        if (rows[i].ns != 0)
            assert_true(t.ns == rows[i].ns && t.exact);
    }
    v = double_value(1705314645.123456);
    assert_true(timestamp_of(&v, &memo, &t) && t.ns == 1705314645123456000 && t.exact);
    v = double_value(1705314645123.0);
    assert_true(timestamp_of(&v, &memo, &t) && t.ns == 1705314645123000000 && t.exact);
    v = double_value(0.25);
    assert_false(timestamp_of(&v, &memo, &t));
    v = double_value(NAN);
    assert_false(timestamp_of(&v, &memo, &t));
    v = double_value(INFINITY);
    assert_false(timestamp_of(&v, &memo, &t));
    v = double_value(-1.7e9);
    assert_false(timestamp_of(&v, &memo, &t));
    v = double_value(1e300);
    assert_false(timestamp_of(&v, &memo, &t));
    v = (struct mp_value){.type = MP_EXT, .bytes = slice_of("\x65\xf1\x23\x45\x00\x00\x00\x07", 8)};
    assert_true(timestamp_of(&v, &memo, &t) && t.ns == 0x65f12345 * 1000000000ull + 7);
    v = (struct mp_value){.type = MP_NIL};
    assert_false(timestamp_of(&v, &memo, &t));
}

/* {seconds, nanos}; every cut of it is no time and reads nothing behind its end. */
static void times_as_maps(void **state)
{
    static const struct {
        const char *hex; /* of the pairs */
        uint32_t pairs;
        uint64_t ns;
        bool exact;
    } rows[] = {
        /* seconds: 1705314645, nanos: 123456789 */
        {"a77365636f6e6473 ce65a50955 a56e616e6f73 ce075bcd15", 2, 1705314645123456789, true},
        {"a56e616e6f73 ce075bcd15 a77365636f6e6473 ce65a50955", 2, 1705314645123456789, true},
        {"a77365636f6e6473 ce65a50955", 1, 1705314645000000000, true},
        {"a77365636f6e6473 aa31373035333134363435 a56e616e6f73 05", 2, 1705314645000000005, false},
        {"a77365636f6e6473 ce65a50955 a17a 81a16bc0", 2, 1705314645000000000, false},
        {"a77365636f6e6473 ce65a50955 a56e616e6f73 ce3b9aca00", 2, 1705314645000000000, false},
        {"a77365636f6e6473 ce65a50955 a77365636f6e6473 01", 2, 1705314645000000000, false},
        {"a77365636f6e6473 ff", 1, 0, false},
        {"a77365636f6e6473 00", 1, 0, false},
        {"a77365636f6e6473 cf0000000225c17d05", 1, 0, false}, /* 2262-04-11T23:47:17Z */
        {"a56e616e6f73 05", 1, 0, false},
        {"05 06", 1, 0, false},
        {"", 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf b = new_buf();
        struct timestamp t;

        put_hex_text(&b, rows[i].hex);
        if (timestamp_of_map(mp_of(buf_slice(&b)), rows[i].pairs, &t) != (rows[i].ns != 0))
            fail_msg("row %zu", i);
        if (rows[i].ns != 0 && (t.ns != rows[i].ns || t.exact != rows[i].exact))
            fail_msg("row %zu: %lu %d", i, t.ns, t.exact);
        for (size_t n = 0; n < b.n; n++) {
            uint8_t *copy = malloc(n + 1);

            memcpy(copy, b.p, n);
            assert_false(timestamp_of_map(mp_of(slice_of(copy, n)), rows[i].pairs, &t));
            free(copy);
        }
        buf_fini(&b);
    }
}

/* Texts cut at every place and with a byte replaced at every place: nothing is read beyond the end
 * (the sanitizer sees it), and what is taken has a time of today's length. */
static void damaged_times(void **state)
{
    static const char *const texts[] = {
        "2024-01-15T10:30:45.123456789+05:30",
        "2024-01-15 10:30:45.5 +0100 CET",
        "20240115T103045.123Z",
        "15/Jan/2024:10:30:45.123 +0000",
        "Mon, 15 Jan 2024 10:30:45.123 +0200",
        "5 Jan 2024 10:30:45 GMT",
        "1705314645123.123456",
    };
    struct timestamp_memo memo = {.day_s = 0};
    struct timestamp t;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const size_t n = strlen(texts[i]);
        struct mp_value v = text_value(texts[i]);

        assert_true(timestamp_of(&v, &memo, &t));
        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *copy = malloc(cut + 1);

            memcpy(copy, texts[i], cut);
            v.bytes = slice_of(copy, cut);
            if (timestamp_of(&v, &memo, &t))
                assert_true(t.ns > 0 && t.ns <= INT64_MAX);
            for (size_t k = 0; k < cut; k++) {
                uint8_t old = copy[k];

                for (unsigned byte = 0; byte < 256; byte += 5) {
                    copy[k] = (uint8_t)byte;
                    if (timestamp_of(&v, &memo, &t))
                        assert_true(t.ns > 0 && t.ns <= INT64_MAX);
                }
                copy[k] = old;
            }
            free(copy);
        }
    }
}

/* ---- severity ---- */

static struct severity_words words;

static void check_level(struct mp_value v, enum severity_scale scale, unsigned number,
                        const char *text, bool exact)
{
    struct severity s;

    for (int again = 0; again < 2; again++) {
        bool is = severity_of(&v, scale, &words, &s);

        if (is != (number != 0))
            fail_msg("\"%s\" %s a level", text, is ? "is" : "is not");
        if (!is)
            continue;
        if (s.number != number || s.exact != exact || s.text_n != strlen(text) ||
            memcmp(s.text, text, s.text_n) != 0)
            fail_msg("%u %.*s, not %u %s", s.number, s.text_n, s.text, number, text);
    }
}

static void levels_as_words(void **state)
{
    static const struct {
        const char *word;
        unsigned number;
        const char *text;
    } rows[] = {
        {"info", 9, "INFO"},
        {"INFO", 9, "INFO"},
        {"Information", 9, "INFORMATION"},
        {"warning", 13, "WARNING"},
        {"warn", 13, "WARN"},
        {"ERROR", 17, "ERROR"},
        {"err", 17, "ERR"},
        {"debug", 5, "DEBUG"},
        {"trace", 1, "TRACE"},
        {"fatal", 21, "FATAL"},
        {"critical", 18, "CRITICAL"},
        {"notice", 10, "NOTICE"},
        {"emerg", 21, "EMERG"},
        {"alert", 19, "ALERT"},
        {"panic", 19, "PANIC"},
        {"SEVERE", 17, "SEVERE"},
        {"FINE", 6, "FINE"},
        {"I", 9, "I"},
        {"LogLevel.Critical", 21, "LOGLEVEL.CRITICAL"},
        {"ERROR3", 19, "ERROR3"},
        {"DEBUG-4", 1, "DEBUG-4"},
        {"ERROR+2", 19, "ERROR+2"},
        {"INFO+1", 10, "INFO+1"},
        {"ERROR+20", 24, "ERROR+20"},
        {"DEBUG-9", 1, "DEBUG-9"},
        {"", 0, ""},
        {"custom", 0, ""},
        {"inform", 0, ""},
        {"trace-1", 0, ""},
        {"+2", 0, ""},
        {"info+", 0, ""},
        {"info+123", 0, ""},
        {"a word that is no level at all", 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_level(text_value(rows[i].word), SEVERITY_ANY, rows[i].number, rows[i].text, true);
}

static void levels_as_numbers(void **state)
{
    (void)state;
    check_level(number_value(30), SEVERITY_ANY, 9, "INFO", false);
    check_level(number_value(60), SEVERITY_ANY, 21, "FATAL", false);
    check_level(number_value(10), SEVERITY_ANY, 1, "TRACE", false);
    check_level(number_value(10), SEVERITY_PYTHON, 5, "DEBUG", false);
    check_level(number_value(50), SEVERITY_PYTHON, 21, "FATAL", false);
    check_level(number_value(60), SEVERITY_PYTHON, 0, "", false);
    check_level(number_value(0), SEVERITY_ANY, 21, "EMERG", false);
    check_level(number_value(6), SEVERITY_ANY, 9, "INFO", false);
    check_level(number_value(7), SEVERITY_ANY, 5, "DEBUG", false);
    check_level(text_value("3"), SEVERITY_ANY, 17, "ERR", false);
    check_level(number_value(20000), SEVERITY_ANY, 9, "INFO", false);
    check_level(number_value(40000), SEVERITY_ANY, 17, "ERROR", false);
    check_level(number_value(5000), SEVERITY_ANY, 1, "TRACE", false);
    check_level(number_value(134), SEVERITY_PRI, 9, "INFO", false);
    check_level(number_value(192), SEVERITY_PRI, 0, "", false);
    check_level(number_value(13), SEVERITY_OTLP, 13, "WARN", true);
    check_level(text_value("13"), SEVERITY_OTLP, 13, "WARN", false);
    check_level(number_value(2), SEVERITY_DOTNET, 9, "INFO", false);
    check_level(number_value(6), SEVERITY_DOTNET, 0, "", false);
    check_level(number_value(3), SEVERITY_WORD, 0, "", false);
    check_level(text_value("3"), SEVERITY_TEXT, 0, "", false);
    check_level(number_value(25), SEVERITY_OTLP, 0, "", false);
    check_level(number_value(0), SEVERITY_OTLP, 0, "", false);
    check_level(number_value(8), SEVERITY_ANY, 0, "", false);
    check_level(number_value(15), SEVERITY_ANY, 0, "", false);
    check_level(number_value(70), SEVERITY_ANY, 0, "", false);
    check_level(number_value(UINT64_MAX), SEVERITY_ANY, 0, "", false);
    check_level(double_value(30), SEVERITY_ANY, 9, "INFO", false);
    check_level(double_value(30.5), SEVERITY_ANY, 0, "", false);
    check_level(double_value(NAN), SEVERITY_ANY, 0, "", false);
    check_level((struct mp_value){.type = MP_NIL}, SEVERITY_ANY, 0, "", false);
}

/* "Critical" is the highest in Python and .NET, elsewhere a high error; the memo knows no scale. */
static void critical_by_key(void **state)
{
    (void)state;
    check_level(text_value("Critical"), SEVERITY_ANY, 18, "CRITICAL", true);
    check_level(text_value("Critical"), SEVERITY_PYTHON, 21, "CRITICAL", true);
    check_level(text_value("Critical"), SEVERITY_DOTNET, 21, "CRITICAL", true);
    check_level(text_value("Critical"), SEVERITY_ANY, 18, "CRITICAL", true);
    check_level(text_value("crit"), SEVERITY_PYTHON, 18, "CRIT", true);
}

/* A number that came as text under one key means something else under another. */
static void numbers_are_not_remembered(void **state)
{
    (void)state;
    check_level(text_value("10"), SEVERITY_ANY, 1, "TRACE", false);
    check_level(text_value("10"), SEVERITY_PYTHON, 5, "DEBUG", false);
    check_level(text_value("10"), SEVERITY_OTLP, 10, "INFO2", false);
    check_level(text_value("10"), SEVERITY_ANY, 1, "TRACE", false);
}

#define MAX_CANDIDATES 3
struct choice {
    struct {
        enum severity_scale scale;
        const char *text; /* NULL: the number */
        uint64_t number;
        bool used;
    } candidate[MAX_CANDIDATES];
    size_t count;
    unsigned number; /* 0: no level */
    const char *text;
};

static void check_choice(size_t row, const struct choice *choice)
{
    struct severity_candidate candidate[MAX_CANDIDATES];
    struct mp_value v[MAX_CANDIDATES];
    struct severity s;

    for (size_t i = 0; i < choice->count; i++) {
        v[i] = choice->candidate[i].text != NULL ? text_value(choice->candidate[i].text)
                                                 : number_value(choice->candidate[i].number);
        candidate[i] = (struct severity_candidate){
            .v = &v[i],
            .value = (uint8_t)SEVERITY_VALUE(i, choice->candidate[i].scale),
            .used = true};
    }
    if (severity_choose(candidate, choice->count, &words, &s) != (choice->number != 0))
        fail_msg("row %zu: %s", row, choice->number != 0 ? "no level" : "a level");
    if (choice->number != 0 && (s.number != choice->number || s.text_n != strlen(choice->text) ||
                                memcmp(s.text, choice->text, s.text_n) != 0))
        fail_msg("row %zu: %u %.*s", row, s.number, s.text_n, s.text);
    for (size_t i = 0; i < choice->count; i++)
        if (candidate[i].used != choice->candidate[i].used)
            fail_msg("row %zu: candidate %zu", row, i);
}

static void levels_together(void **state)
{
    static const struct choice rows[] = {
        {.count = 0},
        {{{SEVERITY_ANY, "custom", 0, false}}, 1, 0, ""},
        {{{SEVERITY_ANY, "info", 0, true}}, 1, 9, "INFO"},
        {{{SEVERITY_ANY, "custom", 0, false}, {SEVERITY_ANY, "warn", 0, true}}, 2, 13, "WARN"},
        {{{SEVERITY_ANY, "info", 0, true}, {SEVERITY_ANY, "warn", 0, false}}, 2, 9, "INFO"},
        /* Python's numbers, by what stands beside them */
        {{{SEVERITY_ANY, NULL, 20, false}}, 1, 5, "DEBUG"},
        {{{SEVERITY_ANY, NULL, 20, false}, {SEVERITY_PYTHON, "INFO", 0, false}}, 2, 9, "INFO"},
        {{{SEVERITY_ANY, "20", 0, false}, {SEVERITY_PYTHON, NULL, 20, false}}, 2, 9, "INFO"},
        {{{SEVERITY_ANY, "CRITICAL", 0, true}, {SEVERITY_PYTHON, NULL, 50, false}},
         2,
         21,
         "CRITICAL"},
        /* OTLP's pair */
        {{{SEVERITY_TEXT, "Info", 0, true}, {SEVERITY_OTLP, NULL, 10, true}}, 2, 10, "INFO"},
        {{{SEVERITY_TEXT, "Info", 0, true}, {SEVERITY_OTLP, "10", 0, false}}, 2, 10, "INFO"},
        {{{SEVERITY_TEXT, "Info", 0, true}, {SEVERITY_OTLP, NULL, 13, false}}, 2, 9, "INFO"},
        {{{SEVERITY_TEXT, "Info", 0, true}, {SEVERITY_OTLP, NULL, 77, false}}, 2, 9, "INFO"},
        {{{SEVERITY_TEXT, "custom", 0, true}, {SEVERITY_OTLP, NULL, 11, true}}, 2, 11, "CUSTOM"},
        {{{SEVERITY_TEXT, "", 0, false}, {SEVERITY_OTLP, NULL, 11, true}}, 2, 11, "INFO3"},
        {{{SEVERITY_TEXT, "a\xff", 0, false}, {SEVERITY_OTLP, NULL, 9, true}}, 2, 9, "INFO"},
        {{{SEVERITY_TEXT, "longer than 24 characters", 0, false}, {SEVERITY_OTLP, NULL, 9, true}},
         2,
         9,
         "INFO"},
        {{{SEVERITY_ANY, "warn", 0, true},
          {SEVERITY_TEXT, "custom", 0, false},
          {SEVERITY_OTLP, NULL, 16, true}},
         3,
         16,
         "WARN"},
        {{{SEVERITY_WORD, "high", 0, false}, {SEVERITY_OTLP, NULL, 9, true}}, 2, 9, "INFO"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_choice(i, &rows[i]);
}

/* ---- trace context ---- */

static const char *hex_of(const uint8_t *p, size_t n)
{
    static char text[2][40];
    static int turn;
    char *to = text[turn ^= 1];

    for (size_t i = 0; i < n; i++)
        snprintf(to + 2 * i, 3, "%02x", p[i]);
    return to;
}

static void check_trace(enum trace_form form, const char *value, bool pad, const char *trace,
                        const char *span)
{
    struct trace_context c = {0};
    struct mp_value v = text_value(value);

    trace_context_take(&c, form, &v, pad);
    assert_int_equal(c.has_trace, trace[0] != '\0');
    assert_int_equal(c.has_span, span[0] != '\0');
    if (c.has_trace)
        assert_string_equal(hex_of(c.trace, 16), trace);
    if (c.has_span)
        assert_string_equal(hex_of(c.span, 8), span);
}

#define ID "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static void trace_contexts(void **state)
{
    char text[40];

    (void)state;
    check_trace(TRACE_ID, ID, false, ID, "");
    check_trace(TRACE_ID, "0AF7651916CD43DD8448EB211C80319C", false, ID, "");
    check_trace(TRACE_ID, SPAN, true, "0000000000000000" SPAN, "");
    check_trace(TRACE_ID, SPAN, false, "", "");
    check_trace(TRACE_SPAN, SPAN, true, "", SPAN);
    check_trace(TRACE_SPAN, "b7ad", true, "", "");
    check_trace(TRACE_SPAN, "0000000000000000", true, "", "");
    check_trace(TRACE_ID_DECIMAL, "1234567890123456789", true, "0000000000000000112210f47de98115",
                "");
    check_trace(TRACE_ID_DECIMAL, ID, true, ID, "");
    check_trace(TRACE_ID_DECIMAL, "0", true, "", "");
    check_trace(TRACE_ID_DECIMAL, "99999999999999999999", true, "", "");
    check_trace(TRACE_ID_DECIMAL, "12x", true, "", "");
    check_trace(TRACE_SPAN_DECIMAL, "18446744073709551615", true, "", "ffffffffffffffff");
    check_trace(TRACE_ID_PATH, "projects/p/traces/" ID, true, ID, "");
    check_trace(TRACE_ID_PATH, "projects/p/traces/abc", true, "", "");
    check_trace(TRACE_PARENT, "00-" ID "-" SPAN "-01", true, ID, SPAN);
    check_trace(TRACE_PARENT, "cc-" ID "-" SPAN "-01-more", true, ID, SPAN);
    check_trace(TRACE_PARENT, "00-" ID "-" SPAN "-01-more", true, "", "");
    check_trace(TRACE_PARENT, "ff-" ID "-" SPAN "-01", true, "", "");
    check_trace(TRACE_PARENT, "00-" ID "-" SPAN, true, "", "");
    check_trace(TRACE_PARENT, "", true, "", "");
    /* one bad digit at every place, and the characters around the digits */
    for (size_t i = 0; i < 32; i++) {
        static const char around[] = "/:@G`g \x80";

        for (size_t k = 0; k < sizeof(around) - 1; k++) {
            memcpy(text, ID, 33);
            text[i] = around[k];
            check_trace(TRACE_ID, text, true, "", "");
        }
    }
    for (size_t n = 1; n < 32; n++) {
        char want[33];

        memset(want, '0', 32);
        memcpy(want + 32 - n, ID + 32 - n, n);
        want[32] = '\0';
        check_trace(TRACE_ID, ID + 32 - n, true, want, "");
    }
}

/* Every cut and every replaced byte: nothing is read beyond the end, no id is zero. */
static void damaged_headers(void **state)
{
    static const struct {
        enum trace_form form;
        const char *text;
    } rows[] = {
        {TRACE_ID, ID},
        {TRACE_ID, "0af76519-16cd-43dd-8448-eb211c80319c"},
        {TRACE_ID_DECIMAL, "18446744073709551615"},
        {TRACE_ID_PATH, "projects/p/traces/" ID},
        {TRACE_PARENT, "00-" ID "-" SPAN "-01"},
        {TRACE_B3, ID "-" SPAN "-1-" SPAN},
        {TRACE_UBER, ID "%3A" SPAN ":0:1"},
        {TRACE_AMZN, "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=" SPAN ";Sampled=1"},
    };
    static const uint8_t zero[16];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t cut = 0; cut <= strlen(rows[i].text); cut++) {
            uint8_t *copy = malloc(cut + 1);
            struct mp_value v = {.type = MP_STR, .bytes = slice_of(copy, cut)};

            memcpy(copy, rows[i].text, cut);
            for (size_t k = 0; k < cut; k++) {
                static const char bytes[] = "0f:;-%/=3A \xff";
                uint8_t old = copy[k];

                for (size_t b = 0; b < sizeof(bytes); b++) {
                    struct trace_context c = {0};

                    copy[k] = (uint8_t)bytes[b];
                    trace_context_take(&c, rows[i].form, &v, b % 2);
                    assert_true(!c.has_trace || memcmp(c.trace, zero, 16) != 0);
                    assert_true(!c.has_span || memcmp(c.span, zero, 8) != 0);
                }
                copy[k] = old;
            }
            free(copy);
        }
    }
}

/* trace_id wins over a traceparent, whichever comes first. */
static void the_better_key_wins(void **state)
{
    const struct mp_value id = text_value(ID);
    const struct mp_value parent =
        text_value("00-11111111111111111111111111111111-2222222222222222-01");

    (void)state;
    for (int order = 0; order < 2; order++) {
        struct trace_context c = {0};

        if (order == 0)
            trace_context_take(&c, TRACE_ID, &id, true);
        trace_context_take(&c, TRACE_PARENT, &parent, true);
        if (order == 1)
            trace_context_take(&c, TRACE_ID, &id, true);
        assert_string_equal(hex_of(c.trace, 16), ID);
        assert_string_equal(hex_of(c.span, 8), "2222222222222222");
        assert_true(c.has_flags && c.flags == 1);
    }
}

static int setup(void **state)
{
    (void)state;
    return severity_words_init(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_as_text),
        cmocka_unit_test(every_day),
        cmocka_unit_test(times_as_numbers),
        cmocka_unit_test(times_as_maps),
        cmocka_unit_test(damaged_times),
        cmocka_unit_test(levels_as_words),
        cmocka_unit_test(levels_as_numbers),
        cmocka_unit_test(critical_by_key),
        cmocka_unit_test(numbers_are_not_remembered),
        cmocka_unit_test(levels_together),
        cmocka_unit_test(trace_contexts),
        cmocka_unit_test(damaged_headers),
        cmocka_unit_test(the_better_key_wins),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
