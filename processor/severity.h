/*
 * severity: a record's level, as a word or a number, to OTLP's severity number (1 to 24) and text.
 *
 * Words are compared without case; the text is the word in capitals ("info" gives 9, "INFO").
 * slog's "DEBUG-4" and "ERROR+2" count from their word. Numbers by key and size: 0 to 7 are
 * syslog's, 10 to 60 Pino's, 10 to 50 under levelno Python's, thousands Logback's; their text is the
 * level's name, and the attribute stays, since the text does not say the number.
 * An unknown word or number is no level: the attribute stays and nothing is set.
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

/* How a key's numbers are read. */
enum severity_scale {
    SEVERITY_ANY,    /* by size */
    SEVERITY_PYTHON, /* 10 to 50 */
    SEVERITY_PRI,    /* syslog's facility * 8 + severity */
    SEVERITY_OTLP    /* 1 to 24 as they are */
};

/* The keys, best first: `value` is rank * 4 + scale. */
#define SEVERITY_VALUE(rank, scale) ((rank)*4 + (scale))
#define SEVERITY_NAMES(kind)                                          \
    {"level", kind, SEVERITY_VALUE(0, SEVERITY_ANY)},                 \
        {"severity", kind, SEVERITY_VALUE(1, SEVERITY_ANY)},          \
        {"lvl", kind, SEVERITY_VALUE(2, SEVERITY_ANY)},               \
        {"loglevel", kind, SEVERITY_VALUE(3, SEVERITY_ANY)},          \
        {"log.level", kind, SEVERITY_VALUE(4, SEVERITY_ANY)},         \
        {"levelname", kind, SEVERITY_VALUE(5, SEVERITY_ANY)},         \
        {"@l", kind, SEVERITY_VALUE(6, SEVERITY_ANY)},                \
        {"LogLevel", kind, SEVERITY_VALUE(7, SEVERITY_ANY)},          \
        {"_logLevel", kind, SEVERITY_VALUE(8, SEVERITY_ANY)},         \
        {"severity_text", kind, SEVERITY_VALUE(9, SEVERITY_ANY)},     \
        {"severity_number", kind, SEVERITY_VALUE(10, SEVERITY_OTLP)}, \
        {"PRIORITY", kind, SEVERITY_VALUE(11, SEVERITY_ANY)},         \
        {"levelno", kind, SEVERITY_VALUE(12, SEVERITY_PYTHON)},       \
        {"level_value", kind, SEVERITY_VALUE(13, SEVERITY_ANY)},      \
    {                                                                 \
        "pri", kind, SEVERITY_VALUE(14, SEVERITY_PRI)                 \
    }

/* Returns 0 or -EINVAL (a mistake in the table). */
int severity_words_init(struct severity_words *words);

/* Returns whether the value, found under a key of this scale, is a level. */
bool severity_of(const struct mp_value *v, enum severity_scale scale, struct severity_words *words,
                 struct severity *ret);

/* The name of a severity number, for a number that came without one ("INFO", "INFO2"). */
struct slice severity_name(uint8_t number);

#endif
