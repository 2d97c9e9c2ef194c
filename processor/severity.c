#include "processor/severity.h"

#include <errno.h>

#define WORD 1
/* slog: only these take an offset. */
#define SLOG_DEBUG 5
#define SLOG_INFO 9
#define SLOG_WARN 13
#define SLOG_ERROR 17
/* "critical" in most places: syslog's crit, Windows, Google, Dash0. */
#define CRITICAL 18
#define CRITICAL_HIGHEST 21

/*
 * Lower case. OpenTelemetry's data model, appendix B; Dash0's list; syslog, java.util.logging, Zap,
 * slog, Winston, klog; the short forms of .NET's console, Serilog and zerolog.
 *
 * "verbose" is 5, debug: so Dash0, which reads what we send, and appendix B (Windows). Winston's lies
 * between debug and info and Serilog's below debug, but the word does not say whose it is.
 */
static const struct name_row words[] = {{"finest", WORD, 1},
                                        {"t", WORD, 1},
                                        {"trc", WORD, 1},
                                        {"trce", WORD, 1},
                                        {"trace", WORD, 1},
                                        {"loglevel.trace", WORD, 1},
                                        {"silly", WORD, 1},
                                        {"trace2", WORD, 2},
                                        {"trace3", WORD, 3},
                                        {"trace4", WORD, 4},
                                        {"v", WORD, 5},
                                        {"vrb", WORD, 5},
                                        {"verbose", WORD, 5},
                                        {"d", WORD, 5},
                                        {"d1", WORD, 5},
                                        {"dbg", WORD, 5},
                                        {"dbug", WORD, 5},
                                        {"debug", WORD, 5},
                                        {"finer", WORD, 5},
                                        {"d2", WORD, 6},
                                        {"debug2", WORD, 6},
                                        {"fine", WORD, 6},
                                        {"d3", WORD, 7},
                                        {"debug3", WORD, 7},
                                        {"config", WORD, 7},
                                        {"d4", WORD, 8},
                                        {"d5", WORD, 8},
                                        {"debug4", WORD, 8},
                                        {"i", WORD, 9},
                                        {"inf", WORD, 9},
                                        {"info", WORD, 9},
                                        {"information", WORD, 9},
                                        {"informational", WORD, 9},
                                        {"http", WORD, 9},
                                        {"notice", WORD, 10},
                                        {"info2", WORD, 10},
                                        {"info3", WORD, 11},
                                        {"info4", WORD, 12},
                                        {"w", WORD, 13},
                                        {"wrn", WORD, 13},
                                        {"warn", WORD, 13},
                                        {"warning", WORD, 13},
                                        {"warn2", WORD, 14},
                                        {"warn3", WORD, 15},
                                        {"warn4", WORD, 16},
                                        {"e", WORD, 17},
                                        {"err", WORD, 17},
                                        {"error", WORD, 17},
                                        {"fail", WORD, 17},
                                        {"severe", WORD, 17},
                                        {"error2", WORD, 18},
                                        {"crit", WORD, CRITICAL},
                                        {"critical", WORD, CRITICAL},
                                        {"dpanic", WORD, 18},
                                        {"error3", WORD, 19},
                                        {"alert", WORD, 19},
                                        {"panic", WORD, 19},
                                        {"pnc", WORD, 19},
                                        {"error4", WORD, 20},
                                        {"f", WORD, 21},
                                        {"ftl", WORD, 21},
                                        {"fatal", WORD, 21},
                                        {"emerg", WORD, 21},
                                        {"emergency", WORD, 21},
                                        {"loglevel.critical", WORD, 21},
                                        {"fatal2", WORD, 22},
                                        {"fatal3", WORD, 23},
                                        {"fatal4", WORD, 24},
                                        {NULL, 0, 0}};

static const char *const names[25] = {
    "",       "TRACE",  "TRACE2", "TRACE3", "TRACE4", "DEBUG",  "DEBUG2", "DEBUG3", "DEBUG4",
    "INFO",   "INFO2",  "INFO3",  "INFO4",  "WARN",   "WARN2",  "WARN3",  "WARN4",  "ERROR",
    "ERROR2", "ERROR3", "ERROR4", "FATAL",  "FATAL2", "FATAL3", "FATAL4"};

/* syslog's severities 0 to 7 */
static const uint8_t syslog_numbers[8] = {21, 19, 18, 17, 13, 10, 9, 5};
static const char *const syslog_names[8] = {"EMERG",   "ALERT",  "CRIT", "ERR",
                                            "WARNING", "NOTICE", "INFO", "DEBUG"};

int severity_words_init(struct severity_words *ret)
{
    const struct name_rows lists[] = {{words}};

    memset(ret->memo, 0, sizeof(ret->memo));
    return name_table_init(&ret->table, lists, 1);
}

struct slice severity_name(uint8_t number)
{
    return slice_string(number < 25 ? names[number] : "");
}

static void set_text(struct severity *ret, const char *text)
{
    ret->text_n = (uint8_t)strlen(text);
    memcpy(ret->text, text, ret->text_n);
}

static bool from_syslog(uint64_t v, struct severity *ret)
{
    ret->number = syslog_numbers[v & 7];
    set_text(ret, syslog_names[v & 7]);
    ret->exact = false;
    return true;
}

/* The number of a number without its text; 0: none. Not for syslog's. */
static uint8_t number_by_size(uint64_t v)
{
    static const uint8_t pino[7] = {0, 1, 5, 9, 13, 17, 21};

    if (v % 10 == 0 && v <= 60)
        return pino[v / 10];
    if (v == 5000)
        return 1;
    return v % 10000 == 0 && v <= 40000 ? (uint8_t)(1 + 4 * (v / 10000)) : 0;
}

static bool from_number(uint64_t v, enum severity_scale scale, struct severity *ret)
{
    static const uint8_t python[6] = {0, 5, 9, 13, 17, 21};
    static const uint8_t dotnet[6] = {1, 5, 9, 13, 17, 21};

    ret->exact = false;
    ret->number = 0;
    switch (scale) {
    case SEVERITY_ANY:
        if (v <= 7)
            return from_syslog(v, ret);
        ret->number = number_by_size(v);
        break;
    case SEVERITY_PYTHON:
        ret->number = v % 10 == 0 && v <= 50 ? python[v / 10] : 0;
        break;
    case SEVERITY_PRI:
        return v <= 191 && from_syslog(v, ret);
    case SEVERITY_OTLP:
        ret->number = v <= 24 ? (uint8_t)v : 0;
        break;
    case SEVERITY_DOTNET:
        ret->number = v <= 5 ? dotnet[v] : 0;
        break;
    case SEVERITY_WORD:
    case SEVERITY_TEXT:
        break;
    }
    if (ret->number == 0)
        return false;
    set_text(ret, names[ret->number]);
    return true;
}

/* The text's capitals into ret->text, its small letters into `lower`. */
static void fold(struct slice text, uint8_t *lower, struct severity *ret)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        uint8_t letter = c | 0x20;
        bool is_letter = letter >= 'a' && letter <= 'z';

        lower[i] = is_letter ? letter : c;
        ret->text[i] = (char)(is_letter ? c & ~0x20 : c);
    }
    ret->text_n = (uint8_t)text.n;
}

/* "debug-4", "error+2": slog's levels lie between its words. */
static bool from_slog(struct slice lower, const struct name_table *table, struct severity *ret)
{
    struct slice word = lower;
    const struct name_slot *slot;
    struct name_word w;
    int offset = 0;

    while (word.n > 0 && word.p[word.n - 1] >= '0' && word.p[word.n - 1] <= '9')
        word.n--;
    if (word.n == lower.n || lower.n - word.n > 2 || word.n < 2)
        return false;
    for (size_t i = word.n; i < lower.n; i++)
        offset = offset * 10 + lower.p[i] - '0';
    word.n--;
    if (word.p[word.n] == '-')
        offset = -offset;
    else if (word.p[word.n] != '+')
        return false;
    w = name_word_of(word);
    slot = name_table_find(table, word, &w);
    if (slot == NULL || (slot->value != SLOG_DEBUG && slot->value != SLOG_INFO &&
                         slot->value != SLOG_WARN && slot->value != SLOG_ERROR))
        return false;
    offset += slot->value;
    ret->number = (uint8_t)(offset < 1 ? 1 : offset > 24 ? 24 : offset);
    ret->exact = true;
    return true;
}

static bool digits_only(struct slice text, uint64_t *ret)
{
    uint64_t v = 0;

    if (text.n == 0 || text.n > 5)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (text.p[i] - '0');
    }
    *ret = v;
    return true;
}

static bool from_word(struct slice text, const struct name_table *table, struct severity *ret)
{
    uint8_t lower[SEVERITY_TEXT_BYTES];
    const struct name_slot *slot;
    struct name_word w;

    fold(text, lower, ret);
    text.p = lower;
    w = name_word_of(text);
    slot = name_table_find(table, text, &w);
    if (slot == NULL)
        return from_slog(text, table, ret);
    ret->number = slot->value;
    ret->exact = true;
    return true;
}

/* Log4j pads its levels to five. */
static struct slice trim(struct slice text)
{
    while (text.n > 0 && text.p[text.n - 1] == ' ')
        text.n--;
    while (text.n > 0 && text.p[0] == ' ')
        text = slice_of(text.p + 1, text.n - 1);
    return text;
}

static bool from_text(struct slice text, enum severity_scale scale,
                      struct severity_words *dictionary, struct severity *ret)
{
    struct severity_memo *memo;
    struct slice trimmed;
    struct name_word w;
    uint64_t v;

    if (text.n == 0 || text.n > SEVERITY_TEXT_BYTES)
        return false;
    w = name_word_of(text);
    memo = &dictionary->memo[(w.mixed * 0xff51afd7ed558ccdull) >> 60];
    if (memo->n == text.n && memo->word.first == w.first && memo->word.last == w.last) {
        *ret = memo->severity;
        return true;
    }
    trimmed = trim(text);
    if (digits_only(trimmed, &v))
        return from_number(v, scale, ret);
    if (!from_word(trimmed, &dictionary->table, ret))
        return false;
    ret->exact = trimmed.n == text.n;
    if (text.n <= 16) {
        memo->word = w;
        memo->n = text.n;
        memo->severity = *ret;
    }
    return true;
}

/* Python's and .NET's CRITICAL is what FATAL is elsewhere. */
static void raise_critical(enum severity_scale scale, struct severity *ret)
{
    if ((scale == SEVERITY_PYTHON || scale == SEVERITY_DOTNET) && ret->number == CRITICAL &&
        ret->text_n == 8 && memcmp(ret->text, "CRITICAL", 8) == 0)
        ret->number = CRITICAL_HIGHEST;
}

bool severity_of(const struct mp_value *v, enum severity_scale scale,
                 struct severity_words *dictionary, struct severity *ret)
{
    if (v->type == MP_STR) {
        if (!from_text(v->bytes, scale, dictionary, ret))
            return false;
        raise_critical(scale, ret);
        return true;
    }
    if (v->type == MP_UINT) {
        if (!from_number(v->u, scale, ret))
            return false;
        ret->exact = scale == SEVERITY_OTLP;
        return true;
    }
    if (v->type == MP_FLOAT && v->d >= 0 && v->d <= 50000 && v->d == (double)(uint64_t)v->d)
        return from_number((uint64_t)v->d, scale, ret);
    return false;
}

/* ---- several ---- */

/* Whether the numbers 10 to 50 are Python's here. */
static bool is_python(const struct severity_candidate *candidate, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (severity_scale_of(candidate[i].value) == SEVERITY_PYTHON)
            return true;
    return false;
}

/* Without bytes that a text would have to be sanitised for. */
static bool is_plain(struct slice s)
{
    uint8_t all = 0;

    for (size_t i = 0; i < s.n; i++)
        all |= s.p[i];
    return all < 0x80;
}

/* The severity_text of a severity_number, where it is a word of its own. Returns whether it is. */
static bool take_own_text(struct severity_candidate *candidate, size_t count, struct severity *ret)
{
    uint8_t lower[SEVERITY_TEXT_BYTES];

    for (size_t i = 0; i < count; i++) {
        const struct mp_value *v = candidate[i].v;

        if (severity_scale_of(candidate[i].value) != SEVERITY_TEXT || v->type != MP_STR ||
            v->bytes.n == 0 || v->bytes.n > SEVERITY_TEXT_BYTES || !is_plain(v->bytes))
            continue;
        fold(v->bytes, lower, ret);
        candidate[i].used = true;
        return true;
    }
    return false;
}

/* The severity_number of a word: it lies in the word's range of four, or it is something else. */
static void take_own_number(struct severity_candidate *candidate, size_t count,
                            struct severity_words *dictionary, struct severity *ret)
{
    for (size_t i = 0; i < count; i++) {
        struct severity more;

        if (severity_scale_of(candidate[i].value) != SEVERITY_OTLP ||
            !severity_of(candidate[i].v, SEVERITY_OTLP, dictionary, &more) ||
            (more.number - 1) / 4 != (ret->number - 1) / 4)
            continue;
        ret->number = more.number;
        /* of a word ("Info2") the text says nothing now */
        candidate[i].used = more.exact && candidate[i].v->type == MP_UINT;
        return;
    }
}

bool severity_choose(struct severity_candidate *candidate, size_t count,
                     struct severity_words *dictionary, struct severity *ret)
{
    const bool python = count > 1 && is_python(candidate, count);
    enum severity_scale scale = SEVERITY_ANY;
    size_t found = count;

    for (size_t i = 0; i < count; i++)
        candidate[i].used = false;
    for (size_t i = 0; i < count && found == count; i++) {
        scale = severity_scale_of(candidate[i].value);
        if (scale == SEVERITY_ANY && python)
            scale = SEVERITY_PYTHON;
        if (severity_of(candidate[i].v, scale, dictionary, ret))
            found = i;
    }
    if (found == count)
        return false;
    candidate[found].used = ret->exact;
    if (count > 1 && scale == SEVERITY_OTLP) {
        /* a word in the number's place is said by no text then */
        if (take_own_text(candidate, count, ret) && candidate[found].v->type == MP_STR)
            candidate[found].used = false;
    } else if (count > 1) {
        take_own_number(candidate, count, dictionary, ret);
    }
    return true;
}
