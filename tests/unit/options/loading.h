/*
 * loading: what the tests of the options share: a folder of configuration files and a load from
 * it, with the report as text.
 */
#ifndef TESTS_UNIT_OPTIONS_LOADING_H
#define TESTS_UNIT_OPTIONS_LOADING_H

#include "shared/options/options.h"

struct loading {
    char folder[64];
    char path[128]; /* of main.conf in it */
    char report[16384];
    const char *environment[16]; /* NULL-terminated */
    const char *sets[8];
    size_t set_count;
    const struct options *before;
    struct options *options; /* of the last load, or NULL */
    size_t errors;
    size_t warnings;
};

/* For cmocka_unit_test_setup_teardown. The environment begins with NODE_ENV=development. */
int loading_setup(void **state);
int loading_teardown(void **state);

/* Writes a file into the folder; its name may hold one slash. */
void loading_write(struct loading *l, const char *name, const char *text);

/* Loads main.conf (if there is one), environment and sets. The report's lines do not name the
 * folder. Returns what options_load returns. */
int loading_run(struct loading *l);

/* The last report has this line, or fails with the report. */
void loading_assert_line(const struct loading *l, const char *line);
void loading_assert_silent(const struct loading *l);

#endif
