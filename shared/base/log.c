#include "shared/base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock.h"

/* shared/role/exit.h lies in a higher layer; the number is an interface (style 8) and never moves. */
#define LOG_PANIC_STATUS 101

/*
 * A line is at most PIPE_BUF bytes: a pipe then takes it whole or not at all, so that the lines of
 * several processes on one pipe never mix, and a pipe that polls writable has room for it.
 */
#define LOG_LINE_BYTES PIPE_BUF
#define LOG_MESSAGE_BYTES 3072
#define LOG_CUT_MARK "..."

static struct {
    const char *name;
    unsigned index;
    enum log_format format; /* never AUTO */
    atomic_int level;
    atomic_ulong lost;          /* since the start */
    atomic_ulong lost_reported; /* of these, said in a line */
} logger = {.format = LOG_FORMAT_TEXT, .level = LOG_INFO};

static const struct {
    const char *word; /* in JSON and in the configuration */
    const char *text; /* padded, for the text form */
    char journald;    /* never '0': emergencies are broadcast to all terminals */
} levels[] = {
    [LOG_DEBUG] = {"debug", "DEBUG", '7'}, [LOG_INFO] = {"info", "INFO ", '6'},
    [LOG_WARN] = {"warn", "WARN ", '4'},   [LOG_ERROR] = {"error", "ERROR", '3'},
    [LOG_FATAL] = {"fatal", "FATAL", '2'}, [LOG_PANIC] = {"panic", "PANIC", '1'},
};

static const char *const formats[] = {
    [LOG_FORMAT_AUTO] = "auto",
    [LOG_FORMAT_TEXT] = "text",
    [LOG_FORMAT_JSON] = "json",
    [LOG_FORMAT_JOURNALD] = "journald",
};

/* A line under construction. What does not fit is dropped; room for its end is set aside. */
struct line {
    char bytes[LOG_LINE_BYTES];
    size_t n;
    size_t max;
};

static void line_add(struct line *line, const char *p, size_t n)
{
    if (n > line->max - line->n)
        n = line->max - line->n;
    memcpy(line->bytes + line->n, p, n);
    line->n += n;
}

static void line_add_string(struct line *line, const char *text)
{
    line_add(line, text, strlen(text));
}

/* Adds all or nothing, so that an escape sequence is never cut. */
static bool line_add_whole(struct line *line, const char *p, size_t n)
{
    if (n > line->max - line->n)
        return false;
    line_add(line, p, n);
    return true;
}

static void line_add_number(struct line *line, uint64_t value)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);

    line_add(line, digits, (size_t)n);
}

/*
 * 2026-11-22T12:00:00.123Z. By hand (days to civil date, Howard Hinnant's algorithm) because
 * gmtime_r opens the time zone file on its first call, which a confined process may not.
 */
static void line_add_time(struct line *line, uint64_t ns)
{
    uint64_t seconds = ns / NS_PER_S;
    uint64_t z = seconds / 86400 + 719468;
    uint64_t era = z / 146097;
    uint64_t day_of_era = z - era * 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t shifted_month = (5 * day_of_year + 2) / 153;
    unsigned day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    unsigned month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    unsigned year = (unsigned)(year_of_era + era * 400 + (month <= 2));
    unsigned second_of_day = (unsigned)(seconds % 86400);
    char text[64];

    snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
             second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60,
             (unsigned)(ns / NS_PER_MS % 1000));
    line_add_string(line, text);
}

/*
 * Length of the well-formed UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF), or 0.
 */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t want;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (want > n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return want;
}

static size_t escape_json(unsigned char c, char out[8])
{
    switch (c) {
    case '"':
        return (size_t)snprintf(out, 8, "\\\"");
    case '\\':
        return (size_t)snprintf(out, 8, "\\\\");
    case '\n':
        return (size_t)snprintf(out, 8, "\\n");
    case '\t':
        return (size_t)snprintf(out, 8, "\\t");
    default:
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    }
}

/* The control character at p, a sequence of n bytes (U+0080 to U+009F, C1, has two); 0: none. NUL
 * ends a message, so it is not among them. */
static unsigned char control_character(const unsigned char *p, size_t n)
{
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
        return p[1];
    return *p < 0x20 || *p == 0x7f ? *p : 0;
}

/*
 * Adds a message so that it stays on one line and cannot forge another or drive a terminal: a
 * message may quote what a peer sent. Bytes that are not UTF-8 become U+FFFD.
 */
static void line_add_escaped(struct line *line, const char *text, bool json)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = strlen(text);
    bool fits = true;

    while (left > 0 && fits) {
        size_t n = utf8_length(p, left);
        unsigned char c = control_character(p, n);
        char escaped[8];

        if (json && (*p == '"' || *p == '\\'))
            c = *p;
        if (n == 0) {
            fits = line_add_whole(line, "\xef\xbf\xbd", 3);
            n = 1;
        } else if (c != 0) {
            fits = line_add_whole(line, escaped,
                                  json || c == '\n' || c == '\t'
                                      ? escape_json(c, escaped)
                                      : (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x", c));
        } else {
            fits = line_add_whole(line, (const char *)p, n);
        }
        p += n;
        left -= n;
    }
    if (!fits) {
        line->max += strlen(LOG_CUT_MARK);
        line_add_string(line, LOG_CUT_MARK);
    }
}

static void line_add_process(struct line *line)
{
    line_add_string(line, logger.name != NULL ? logger.name : program_invocation_short_name);
    if (logger.name == NULL)
        return;
    line_add_string(line, "/");
    line_add_number(line, logger.index);
}

static void line_build(struct line *line, enum log_level level, const char *message)
{
    const char *end = logger.format == LOG_FORMAT_JSON ? "\"}\n" : "\n";

    line->n = 0;
    line->max = sizeof(line->bytes) - strlen(end) - strlen(LOG_CUT_MARK);
    switch (logger.format) {
    case LOG_FORMAT_JSON:
        line_add_string(line, "{\"time\":\"");
        line_add_time(line, clock_realtime_ns());
        line_add_string(line, "\",\"level\":\"");
        line_add_string(line, levels[level].word);
        line_add_string(line, "\",\"process\":\"");
        line_add_string(line, logger.name != NULL ? logger.name : program_invocation_short_name);
        line_add_string(line, "\",\"index\":");
        line_add_number(line, logger.index);
        line_add_string(line, ",\"pid\":");
        line_add_number(line, (uint64_t)getpid());
        line_add_string(line, ",\"message\":\"");
        break;
    case LOG_FORMAT_JOURNALD:
        line_add(line, (char[]){'<', levels[level].journald, '>'}, 3);
        line_add_process(line);
        line_add_string(line, ": ");
        break;
    default:
        line_add_time(line, clock_realtime_ns());
        line_add_string(line, " ");
        line_add_string(line, levels[level].text);
        line_add_string(line, " ");
        line_add_process(line);
        line_add_string(line, ": ");
    }
    line_add_escaped(line, message, logger.format == LOG_FORMAT_JSON);
    line->max = sizeof(line->bytes);
    line_add_string(line, end);
}

/*
 * One write per line. Standard error is shared with other programs, so it is not made non-blocking
 * (that would change it for them all); it is polled first. Two processes that poll the last room
 * of a full pipe at once can still make one of them wait for the reader: the price of that.
 */
static bool line_write(const struct line *line)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&fd, 1, 0) != 1 || (fd.revents & POLLOUT) == 0 || (fd.revents & POLLERR) != 0)
        return false;
    return write(STDERR_FILENO, line->bytes, line->n) == (ssize_t)line->n;
}

/* Says how many lines were lost, once standard error takes lines again. */
static bool report_lost(void)
{
    unsigned long lost = atomic_load(&logger.lost);
    unsigned long reported = atomic_load(&logger.lost_reported);
    struct line line;
    char message[96];

    if (lost == reported || !atomic_compare_exchange_strong(&logger.lost_reported, &reported, lost))
        return true;
    snprintf(message, sizeof(message), "%lu log lines lost: standard error did not take them",
             lost - reported);
    line_build(&line, LOG_WARN, message);
    if (line_write(&line))
        return true;
    atomic_fetch_sub(&logger.lost_reported, lost - reported);
    return false;
}

static void log_message(enum log_level level, const char *message)
{
    int saved = errno;
    struct line line;

    line_build(&line, level, message);
    if (!report_lost() || !line_write(&line))
        atomic_fetch_add(&logger.lost, 1);
    errno = saved;
}

void log_write(enum log_level level, const char *format, ...)
{
    char message[LOG_MESSAGE_BYTES];
    va_list args;
    int n;

    if ((int)level < atomic_load_explicit(&logger.level, memory_order_relaxed))
        return;
    va_start(args, format);
    n = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (n >= (int)sizeof(message))
        memcpy(message + sizeof(message) - sizeof(LOG_CUT_MARK), LOG_CUT_MARK,
               sizeof(LOG_CUT_MARK));
    log_message(level, message);
}

void log_panic_at(const char *file, int line, const char *format, ...)
{
    char message[LOG_MESSAGE_BYTES];
    char words[LOG_MESSAGE_BYTES - 256];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    snprintf(message, sizeof(message), "%.200s:%d: %s", file, line, words);
    log_message(LOG_PANIC, message);
    _exit(LOG_PANIC_STATUS);
}

/* sd_is_journal by the book: JOURNAL_STREAM holds the device and inode of the journal's socket. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    char *end;

    if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
        return false;
    device = strtoull(stream, &end, 10);
    if (end == stream || *end != ':')
        return false;
    stream = end + 1;
    inode = strtoull(stream, &end, 10);
    if (end == stream || *end != '\0')
        return false;
    return device == (unsigned long long)st.st_dev && inode == (unsigned long long)st.st_ino;
}

void log_open(const char *name, unsigned index, enum log_format format, enum log_level level)
{
    if (format == LOG_FORMAT_AUTO) {
        if (stderr_is_journal())
            format = LOG_FORMAT_JOURNALD;
        else
            format = isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
    }
    logger.name = name;
    logger.index = index;
    logger.format = format;
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&logger.level, (int)level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&logger.level, memory_order_relaxed);
}

int log_level_parse(const char *word, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(word, levels[i].word) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

int log_format_parse(const char *word, enum log_format *ret_format)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(word, formats[i]) == 0) {
            *ret_format = (enum log_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

uint64_t log_lost(void)
{
    return atomic_load(&logger.lost);
}

int log_limit_pass(struct log_limit *limit, uint64_t now_ns, uint64_t interval_ns)
{
    if (now_ns < limit->next_ns) {
        limit->suppressed++;
        return 0;
    }
    limit->next_ns = now_ns + interval_ns;
    return 1;
}
