/*
 * options_environment: values from environment variables and from --set.
 *
 * An option is set by SLUICE_<PATH>, or by its second name in the table; SLUICE_<PATH> wins. Either
 * name with _FILE behind it names a file whose first line (of a LIST: all of it) is the value, for
 * secrets only. An empty
 * second name, and an empty variable of a secret, counts as not set: deployments pass variables on
 * that nobody filled in.
 */
#include "shared/options/options_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "shared/base/secret.h"
#include "shared/options/option_list.h"
#include "shared/options/option_value.h"

#define PREFIX "SLUICE_"
#define FILE_SUFFIX "_FILE"

/* A variable name, with room for the suffix. */
struct variable {
    char name[OPTION_NAME_BYTES + sizeof(FILE_SUFFIX)];
};

static struct variable variable_of(const char *name, const char *suffix)
{
    struct variable variable;

    snprintf(variable.name, sizeof(variable.name), "%s%s", name, suffix);
    return variable;
}

/* The value of a variable, or NULL. */
static char *find(char *const *environment, const char *name)
{
    size_t n = strlen(name);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    return NULL;
}

static bool is_set(char *const *environment, const char *name)
{
    const char *value = find(environment, name);

    return value != NULL && *value != '\0';
}

/* The beginning of a file, up to size. */
static int read_file(const char *path, char *text, size_t size, size_t *ret_n)
{
    /* O_NONBLOCK: a fifo must not stop the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t n = 0;
    ssize_t r = 0;

    if (fd < 0)
        return -errno;
    while (n < size) {
        r = read(fd, text + n, size - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    if (r < 0)
        r = -errno;
    fd_close(&fd);
    if (r < 0)
        return (int)r;
    *ret_n = n;
    return 0;
}

static struct slice first_line(const char *text, size_t n)
{
    const char *end = memchr(text, '\n', n);

    if (end != NULL)
        n = (size_t)(end - text);
    if (n > 0 && text[n - 1] == '\r')
        n--;
    return slice_of(text, n);
}

static void assign_from_file(struct options *options, enum option_id id, const char *name,
                             const char *path, struct option_report *report)
{
    struct option_place place = {.place = name};
    bool is_list = option_row(id)->type == OPTION_TYPE_LIST;
    char text[OPTION_LIST_MAX_BYTES + 1];
    struct slice value = {0};
    size_t n = 0;
    int r = read_file(path, text, sizeof(text), &n);

    if (r == 0 && is_list && n == sizeof(text))
        r = -EFBIG;
    if (r == 0)
        value = is_list ? slice_of(text, n) : first_line(text, n);
    if (value.n > 0) {
        options_assign_written(options, id, value, OPTION_FROM_ENVIRONMENT, place, report);
    } else {
        options_mark_broken(options, id);
        option_report_add(report, OPTION_ERROR, place, option_path(id), "cannot read %s: %s", path,
                          r < 0     ? strerror(-r)
                          : is_list ? "it is empty"
                                    : "the first line is empty");
    }
    secret_wipe(text, sizeof(text));
}

static void load_secret(struct options *options, enum option_id id, const char *name,
                        char *const *environment, struct option_report *report)
{
    struct variable file = variable_of(name, FILE_SUFFIX);
    struct option_place place = {.place = name};

    if (is_set(environment, name) && is_set(environment, file.name)) {
        options_mark_broken(options, id);
        option_report_add(report, OPTION_ERROR, place, option_path(id),
                          "%s is set too: set only one of them", file.name);
    } else if (is_set(environment, file.name)) {
        assign_from_file(options, id, file.name, find(environment, file.name), report);
    } else if (is_set(environment, name)) {
        options_assign_written(options, id, slice_string(find(environment, name)),
                               OPTION_FROM_ENVIRONMENT, place, report);
    }
}

static void load_variable(struct options *options, enum option_id id, const char *name,
                          bool empty_counts, char *const *environment, struct option_report *report)
{
    const char *value = find(environment, name);

    if (option_is_secret(id))
        load_secret(options, id, name, environment, report);
    else if (value != NULL && (*value != '\0' || empty_counts))
        options_assign_written(options, id, slice_string(value), OPTION_FROM_ENVIRONMENT,
                               (struct option_place){.place = name}, report);
}

/* Is the option's own variable there, so that its second name is not looked at? */
static bool counts(enum option_id id, const char *own, char *const *environment)
{
    if (!option_is_secret(id))
        return find(environment, own) != NULL;
    return is_set(environment, own) || is_set(environment, variable_of(own, FILE_SUFFIX).name);
}

/* 0: an option's own variable. 1: its _FILE, where there is none. -ENOENT: neither. */
static int option_by_variable(const char *name, enum option_id *ret_id)
{
    char own[OPTION_NAME_BYTES];

    for (unsigned i = 0; i < OPT_COUNT; i++) {
        enum option_id id = (enum option_id)i;
        size_t n;

        option_variable(id, own);
        n = strlen(own);
        if (strncmp(name, own, n) != 0)
            continue;
        if (name[n] == '\0' || (option_is_secret(id) && strcmp(name + n, FILE_SUFFIX) == 0))
            return 0;
        if (strcmp(name + n, FILE_SUFFIX) == 0) {
            *ret_id = id;
            return 1;
        }
    }
    return -ENOENT;
}

static void warn_unknown(const char *name, struct option_report *report)
{
    struct option_place place = {.place = name};
    char meant[OPTION_NAME_BYTES];
    enum option_id id;
    int r = option_by_variable(name, &id);

    if (r == 0)
        return;
    if (r == 1) {
        option_report_add(report, OPTION_WARNING, place, option_path(id),
                          "is no secret, so its value is not read from a file; ignored");
    } else if (option_nearest(name + strlen(PREFIX), &id) == 0) {
        option_variable(id, meant);
        option_report_add(report, OPTION_WARNING, place, NULL,
                          "names no option; ignored. Did you mean %s?", meant);
    } else {
        option_report_add(report, OPTION_WARNING, place, NULL, "names no option; ignored");
    }
}

void options_environment_load(struct options *options, char *const *environment,
                              struct option_report *report)
{
    char own[OPTION_NAME_BYTES];

    for (unsigned i = 0; i < OPT_COUNT; i++) {
        enum option_id id = (enum option_id)i;
        const char *alias = option_row(id)->alias;

        option_variable(id, own);
        /* Only one of the two is read, so that a mistake in the one that loses harms nobody. */
        if (alias != NULL && !counts(id, own, environment))
            load_variable(options, id, alias, false, environment, report);
        else
            load_variable(options, id, own, true, environment, report);
    }
    for (; *environment != NULL; environment++) {
        size_t n = strcspn(*environment, "=");
        char name[128];

        if (strncmp(*environment, PREFIX, strlen(PREFIX)) != 0)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)n, *environment);
        warn_unknown(name, report);
    }
}

static void wipe(char *const *environment, const char *name)
{
    size_t n = strlen(name);

    /* Every one: a name may stand there twice. */
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            secret_wipe(*environment + n + 1, strlen(*environment + n + 1));
}

void options_wipe_environment(char *const *environment)
{
    char own[OPTION_NAME_BYTES];

    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const char *alias = option_row((enum option_id)i)->alias;

        if (!option_is_secret((enum option_id)i))
            continue;
        option_variable((enum option_id)i, own);
        wipe(environment, own);
        if (alias != NULL)
            wipe(environment, alias);
    }
}

void options_environment_set(struct options *options, const char *argument,
                             struct option_report *report)
{
    struct option_place place = {.place = "command line"};
    const char *equals = strchr(argument, '=');
    char path[OPTION_NAME_BYTES], own[OPTION_NAME_BYTES];
    enum option_id id;

    /* What stands behind = is never quoted here: it may be a secret. */
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(argument, "="), argument);
    if (equals == NULL) {
        option_report_add(report, OPTION_ERROR, place, NULL,
                          "--set %s: write PATH=VALUE, as in --set forward.port=24224", path);
    } else if (option_by_path(path, &id) < 0) {
        bool near = option_nearest(path, &id) == 0;

        option_report_add(report, OPTION_ERROR, place, path, "unknown option%s%s%s",
                          near ? "; did you mean " : "", near ? option_path(id) : "",
                          near ? "?" : "");
    } else if (option_is_secret(id)) {
        const char *alias = option_row(id)->alias;

        options_mark_broken(options, id);
        option_variable(id, own);
        option_report_add(report, OPTION_ERROR, place, path,
                          "a secret is not taken from the command line, where ps shows it: put it "
                          "into the configuration file or the environment (%s, or %s_FILE with the "
                          "name of a file that holds it)",
                          alias != NULL ? alias : own, alias != NULL ? alias : own);
    } else {
        options_assign_written(options, id, slice_string(equals + 1), OPTION_FROM_COMMAND_LINE,
                               place, report);
    }
}
