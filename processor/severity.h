/*
 * severity: a record's level, as a word or a number, to OTLP's severity number (1 to 24) and text.
 *
 * Words are compared without case; the text is the word in capitals ("info" gives 9, "INFO"), and
 * blanks around it do not count. slog's "DEBUG-4" and "ERROR+2" count from their word. Numbers by
 * key and size:
 *
 *   0 to 7             syslog's, and GELF's          pri       facility * 8 + severity, 0 to 191
 *   10 to 60           Pino's and Bunyan's           LogLevel  .NET's, 0 to 5
 *   10 to 50           Python's, if the record has   severity_number  OTLP's, 1 to 24
 *                      a levelno or a levelname      s, priority      words only: a number there
 *   5000 to 40000      Logback's                                      is a job's priority or less
 *
 * A number's text is its level's name, and the attribute stays, since the text does not say the
 * number. An unknown word or number is no level: the attribute stays and nothing is set; so for
 * null, the empty text, GCP's DEFAULT and .NET's None.
 */
#ifndef PROCESSOR_SEVERITY_H
#define PROCESSOR_SEVERITY_H

#include "processor/mp.h"
#include "processor/name_table.h"

#define SEVERITY_TEXT_BYTES 24

struct severity {
    uint8_t number; /* 1 to 24 */
    uint8_t text_n;
    bool exact; /* number and text say all that the value said */
    char text[SEVERITY_TEXT_BYTES];
};

/* Words that were looked up lately, by their name_word; exact, for words of up to 16 bytes. */
#define SEVERITY_MEMOS 16
struct severity_memo {
    struct name_word word;
    size_t n; /* 0: empty */
    struct severity severity;
};

struct severity_words {
    struct name_table table;
    struct severity_memo memo[SEVERITY_MEMOS];
};

/* How a key's value is read. */
enum severity_scale {
    SEVERITY_ANY,    /* numbers by size */
    SEVERITY_PYTHON, /* numbers 10 to 50; CRITICAL is the highest, 21 */
    SEVERITY_PRI,    /* syslog's facility * 8 + severity */
    SEVERITY_OTLP,   /* 1 to 24 as they are */
    SEVERITY_WORD,   /* words only */
    SEVERITY_DOTNET, /* numbers 0 to 5; Critical is the highest, 21 */
    SEVERITY_TEXT    /* words only; the text that belongs to a SEVERITY_OTLP */
};

/* The keys, best first: `value` is rank * 8 + scale. */
#define SEVERITY_VALUE(rank, scale) ((rank)*8 + (scale))
#define SEVERITY_NAMES(kind)                                          \
    {"level", kind, SEVERITY_VALUE(0, SEVERITY_ANY)},                 \
        {"severity", kind, SEVERITY_VALUE(1, SEVERITY_ANY)},          \
        {"lvl", kind, SEVERITY_VALUE(2, SEVERITY_ANY)},               \
        {"loglevel", kind, SEVERITY_VALUE(3, SEVERITY_ANY)},          \
        {"log.level", kind, SEVERITY_VALUE(4, SEVERITY_ANY)},         \
        {"levelname", kind, SEVERITY_VALUE(5, SEVERITY_PYTHON)},      \
        {"@l", kind, SEVERITY_VALUE(6, SEVERITY_ANY)},                \
        {"LogLevel", kind, SEVERITY_VALUE(7, SEVERITY_DOTNET)},       \
        {"_logLevel", kind, SEVERITY_VALUE(8, SEVERITY_ANY)},         \
        {"log_level", kind, SEVERITY_VALUE(9, SEVERITY_ANY)},         \
        {"logLevel", kind, SEVERITY_VALUE(10, SEVERITY_ANY)},         \
        {"Level", kind, SEVERITY_VALUE(11, SEVERITY_ANY)},            \
        {"LEVEL", kind, SEVERITY_VALUE(12, SEVERITY_ANY)},            \
        {"Severity", kind, SEVERITY_VALUE(13, SEVERITY_ANY)},         \
        {"SEVERITY", kind, SEVERITY_VALUE(14, SEVERITY_ANY)},         \
        {"severity_text", kind, SEVERITY_VALUE(15, SEVERITY_TEXT)},   \
        {"severityText", kind, SEVERITY_VALUE(16, SEVERITY_TEXT)},    \
        {"SeverityText", kind, SEVERITY_VALUE(17, SEVERITY_TEXT)},    \
        {"severity_number", kind, SEVERITY_VALUE(18, SEVERITY_OTLP)}, \
        {"severityNumber", kind, SEVERITY_VALUE(19, SEVERITY_OTLP)},  \
        {"SeverityNumber", kind, SEVERITY_VALUE(20, SEVERITY_OTLP)},  \
        {"PRIORITY", kind, SEVERITY_VALUE(21, SEVERITY_ANY)},         \
        {"levelno", kind, SEVERITY_VALUE(22, SEVERITY_PYTHON)},       \
        {"level_value", kind, SEVERITY_VALUE(23, SEVERITY_ANY)},      \
        {"pri", kind, SEVERITY_VALUE(24, SEVERITY_PRI)},              \
        {"s", kind, SEVERITY_VALUE(25, SEVERITY_WORD)},               \
    {                                                                 \
        "priority", kind, SEVERITY_VALUE(26, SEVERITY_WORD)           \
    }

static inline enum severity_scale severity_scale_of(uint8_t value)
{
    return (enum severity_scale)(value % 8);
}

/* Returns 0 or -EINVAL (a mistake in the table). */
int severity_words_init(struct severity_words *words);

/* Returns whether the value, found under a key of this scale, is a level. */
bool severity_of(const struct mp_value *v, enum severity_scale scale, struct severity_words *words,
                 struct severity *ret);

/* One of a record's levels. */
struct severity_candidate {
    const struct mp_value *v;
    uint8_t value; /* its row's */
    bool used;     /* set by severity_choose: the result says all of it */
};

/*
 * The level that a record's `count` candidates, best first, say together: the first that is one,
 * with the others' help. A levelno or levelname beside it makes 10 to 50 Python's. A
 * severity_number of the same range is more precise than a word ("INFO" and 10 give 10, "INFO"),
 * and a severity_text that is no known word belongs to the number. Returns whether there is one.
 */
bool severity_choose(struct severity_candidate *candidate, size_t count,
                     struct severity_words *words, struct severity *ret);

/* The name of a severity number, for a number that came without one ("INFO", "INFO2"). */
struct slice severity_name(uint8_t number);

#endif
