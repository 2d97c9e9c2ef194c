#include "tests/unit/options/loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int loading_setup(void **state)
{
    struct loading *l = calloc(1, sizeof(*l));

    snprintf(l->folder, sizeof(l->folder), "/tmp/sluice-options-XXXXXX");
    if (mkdtemp(l->folder) == NULL)
        return -1;
    snprintf(l->path, sizeof(l->path), "%s/main.conf", l->folder);
    l->environment[0] = "NODE_ENV=development";
    *state = l;
    return 0;
}

int loading_teardown(void **state)
{
    struct loading *l = *state;
    char command[128];

    options_free(&l->options);
    snprintf(command, sizeof(command), "rm -rf %s", l->folder);
    if (system(command) != 0)
        return -1;
    free(l);
    return 0;
}

void loading_write(struct loading *l, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", l->folder, name);
    if (strchr(name, '/') != NULL) {
        *strrchr(path, '/') = '\0';
        mkdir(path, 0700);
        path[strlen(path)] = '/';
    }
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* Adds the line to the report, without the folder's name wherever it stands. */
static void add_line(struct loading *l, const char *line)
{
    size_t used = strlen(l->report), folder_n = strlen(l->folder) + 1;

    while (*line != '\0' && used < sizeof(l->report) - 2) {
        if (strncmp(line, l->folder, folder_n - 1) == 0 && line[folder_n - 1] == '/')
            line += folder_n;
        else
            l->report[used++] = *line++;
    }
    l->report[used++] = '\n';
    l->report[used] = '\0';
}

int loading_run(struct loading *l)
{
    struct options_sources sources = {
        .file = l->path,
        .file_may_be_missing = true,
        .environment = (char *const *)(uintptr_t)l->environment,
        .sets = l->sets,
        .set_count = l->set_count,
    };
    struct option_report report = {0};
    struct options *options = NULL;
    char line[OPTION_MESSAGE_LINE_BYTES];
    int r = options_load(&sources, l->before, &report, &options);

    l->report[0] = '\0';
    for (size_t i = 0; i < report.count; i++)
        add_line(l, option_message_format(&report.messages[i], line, sizeof(line)));
    l->errors = report.errors;
    l->warnings = report.warnings;
    option_report_fini(&report);
    if (l->before != l->options)
        options_free(&l->options);
    l->options = options;
    return r;
}

void loading_assert_line(const struct loading *l, const char *line)
{
    size_t n = strlen(line);

    for (const char *at = l->report; *at != '\0'; at = strchr(at, '\n') + 1)
        if (strncmp(at, line, n) == 0 && at[n] == '\n')
            return;
    fail_msg("no line \"%s\" in:\n%s", line, l->report);
}

void loading_assert_silent(const struct loading *l)
{
    assert_string_equal(l->report, "");
}
