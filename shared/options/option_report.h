/*
 * option_report: what is wrong with a configuration, all of it: one message per mistake, each with
 * the place where it stands and the option that it is about. sluiced prints it at start, for
 * --check-config and when it refuses a reload.
 *
 * Filled by shared/options, read by the supervisor. Texts never hold the value of a secret.
 * Out of memory: the message is dropped and counted as an error, so that nothing wrong passes.
 *
 *     struct option_report report = {0};
 *     r = options_load(&sources, NULL, &report, &options);
 *     for (size_t i = 0; i < report.count; i++)
 *         fprintf(stderr, "%s\n", option_message_format(&report.messages[i], line, sizeof(line)));
 *     option_report_fini(&report);
 */
#ifndef SHARED_OPTIONS_OPTION_REPORT_H
#define SHARED_OPTIONS_OPTION_REPORT_H

#include <stddef.h>

#define OPTION_MESSAGE_LINE_BYTES 1024

enum option_severity { OPTION_WARNING, OPTION_ERROR };

struct option_message {
    enum option_severity severity;
    char *place;   /* file name, "environment", "command line", or NULL: about the whole */
    unsigned line; /* of the file, or 0 */
    char *option;  /* path ("forward.port"), variable or whatever stood there; or NULL */
    char *text;
};

struct option_report {
    struct option_message *messages; /* in the order in which they were found */
    size_t count;
    size_t capacity;
    size_t errors; /* of these; more than there are messages where memory ran out */
    size_t warnings;
};

/* Where something stands. Borrowed. */
struct option_place {
    const char *place;
    unsigned line;
};

void option_report_add(struct option_report *report, enum option_severity severity,
                       struct option_place place, const char *option, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

void option_report_fini(struct option_report *report);

/*
 * Writes "conf/sluice.conf:12: error: forward.port: words" without a newline, cut to `size`, and
 * returns `line`.
 */
const char *option_message_format(const struct option_message *message, char *line, size_t size);

#endif
