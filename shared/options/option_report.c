#include "shared/options/option_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 768

static void message_fini(struct option_message *message)
{
    free(message->place);
    free(message->option);
    free(message->text);
    *message = (struct option_message){0};
}

static int message_init(struct option_message *message, struct option_place place,
                        const char *option, const char *text)
{
    message->line = place.line;
    message->place = place.place != NULL ? strdup(place.place) : NULL;
    message->option = option != NULL ? strdup(option) : NULL;
    message->text = strdup(text);
    if ((place.place != NULL && message->place == NULL) ||
        (option != NULL && message->option == NULL) || message->text == NULL) {
        message_fini(message);
        return -1;
    }
    return 0;
}

static int grow(struct option_report *report)
{
    size_t capacity = report->capacity == 0 ? 16 : report->capacity * 2;
    struct option_message *messages;

    if (report->count < report->capacity)
        return 0;
    messages = reallocarray(report->messages, capacity, sizeof(*messages));
    if (messages == NULL)
        return -1;
    report->messages = messages;
    report->capacity = capacity;
    return 0;
}

void option_report_add(struct option_report *report, enum option_severity severity,
                       struct option_place place, const char *option, const char *format, ...)
{
    struct option_message message = {.severity = severity};
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (grow(report) < 0 || message_init(&message, place, option, text) < 0) {
        report->errors++;
        return;
    }
    report->messages[report->count++] = message;
    if (severity == OPTION_ERROR)
        report->errors++;
    else
        report->warnings++;
}

void option_report_fini(struct option_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        message_fini(&report->messages[i]);
    free(report->messages);
    *report = (struct option_report){0};
}

const char *option_message_format(const struct option_message *message, char *line, size_t size)
{
    char number[16] = "";

    if (message->line > 0)
        snprintf(number, sizeof(number), ":%u", message->line);
    snprintf(line, size, "%s%s%s%s: %s%s%s", message->place != NULL ? message->place : "", number,
             message->place != NULL ? ": " : "",
             message->severity == OPTION_ERROR ? "error" : "warning",
             message->option != NULL ? message->option : "", message->option != NULL ? ": " : "",
             message->text);
    return line;
}
