/*
 * log: one process's own words, to standard error. Only roles, the supervisor and `shared/role`
 * log; the rest of `shared/` returns a struct err.
 *
 * Severities: debug, info, warn (handled), error (something was lost or is wrong until somebody
 * acts), fatal (this process gives up), panic (own invariant broken). Lines never hold a secret.
 *
 * Writing never blocks: standard error is polled, a line that does not fit at once is dropped and
 * counted, and the next line that fits says how many were.
 *
 *     log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_INFO);
 *     log_warn("message of %zu bytes refused: above forward.max_chunk", n);
 */
#ifndef SHARED_BASE_LOG_H
#define SHARED_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL, LOG_PANIC };

/*
 * text:     2026-11-22T12:00:00.123Z INFO  receiver/0: words
 * json:     {"time":"…","level":"info","process":"receiver","index":0,"pid":12,"message":"words"}
 * journald: "<6>receiver/0: words", chosen by "auto" where standard error is the journal
 * auto:     journald where JOURNAL_STREAM names standard error, text on a terminal, else json
 */
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNALD };

/* Names the process. `name` is borrowed for ever (a literal). Before it, lines are text, info. */
void log_open(const char *name, unsigned index, enum log_format format, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* "debug" … "panic" to a level. Returns -EINVAL for another word. */
int log_level_parse(const char *word, enum log_level *ret_level);
int log_format_parse(const char *word, enum log_format *ret_format);

/* Lines lost because standard error did not take them. */
uint64_t log_lost(void);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_fatal(...) log_write(LOG_FATAL, __VA_ARGS__)
/* An own invariant is broken: logs and exits with EXIT_PANIC (101, shared/role/exit.h). */
#define log_panic(...) log_panic_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void log_panic_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * At most one line per interval from this place: `static struct log_limit limit;
 * if (log_limit_pass(&limit, now_ns, 10 * NS_PER_S)) log_warn(...)`. The number of suppressed
 * calls since the last pass is in limit.suppressed until the caller clears it.
 */
struct log_limit {
    uint64_t next_ns;
    uint64_t suppressed;
};
int log_limit_pass(struct log_limit *limit, uint64_t now_ns, uint64_t interval_ns);

#endif
