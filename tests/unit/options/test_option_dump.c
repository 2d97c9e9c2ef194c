#include "shared/options/option_dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "shared/options/option_table.h"
#include "shared/role/exit.h"
#include "tests/unit/options/loading.h"

/* A dump as text; the caller frees it. */
static char *dumped(void (*dump)(FILE *))
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    assert_non_null(out);
    dump(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void conf_man(FILE *out)
{
    option_dump_conf_man(out, "1.2.3");
}

static void daemon_man(FILE *out)
{
    option_dump_daemon_man(out, "1.2.3", "/usr/local/etc/sluice/sluice.conf");
}

static void assert_holds(const char *text, const char *word)
{
    if (strstr(text, word) == NULL)
        fail_msg("no \"%s\" in:\n%s", word, text);
}

static void test_help_has_every_row(void **state)
{
    char *text = dumped(option_dump_help);
    char word[OPTION_NAME_BYTES + 8];

    (void)state;
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        snprintf(word, sizeof(word), "\n  %s = ", option_path(i));
        assert_holds(text, word);
        option_variable(i, word);
        assert_holds(text, word);
        if (option_row(i)->alias != NULL)
            assert_holds(text, option_row(i)->alias);
    }
    assert_holds(text, "-c, --config FILE");
    assert_holds(text, "--check-config");
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        assert_in_range(strcspn(line, "\n"), 0, 100);
    free(text);
}

static void test_conf_man_has_every_row(void **state)
{
    char *text = dumped(conf_man);
    char word[OPTION_NAME_BYTES + 16];

    (void)state;
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        snprintf(word, sizeof(word), "\n.B %s = ", option_path(i));
        assert_holds(text, word);
        option_variable(i, word);
        assert_holds(text, word);
    }
    assert_holds(text, ".TH SLUICE.CONF 5 ");
    assert_holds(text, "\"sluice 1.2.3\"");
    free(text);
}

static void test_daemon_man(void **state)
{
    static const enum exit_status statuses[] = {EXIT_ASKED, EXIT_CONFIG, EXIT_MISUSE, EXIT_PANIC,
                                                EXIT_ENVIRONMENT};
    char *text = dumped(daemon_man);
    char word[64];

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        snprintf(word, sizeof(word), "\n.B %d\n", (int)statuses[i]);
        assert_holds(text, word);
    }
    for (unsigned i = 0; i < OPT_COUNT; i++)
        if (option_row(i)->alias != NULL)
            assert_holds(text, option_row(i)->alias);
    assert_holds(text, "SIGHUP");
    assert_holds(text, "SIGTERM");
    assert_holds(text, "\\-\\-check\\-config");
    assert_holds(text, "/usr/local/etc/sluice/sluice.conf");
    assert_holds(text, option_row(OPT_DATA_DIR)->fallback);
    assert_holds(text, option_row(OPT_CONTROL_PATH)->fallback);
    free(text);
}

/* groff and mandoc take what is not a known request as one when a line begins with . or '. */
static void assert_requests(const char *text)
{
    static const char *const known[] = {".TH ",  ".SH ",  ".SS ",  ".TP\n", ".B ",  ".BR ",
                                        ".BI ",  ".I ",   ".IP ",  ".PP\n", ".RS ", ".RE\n",
                                        ".nf\n", ".fi\n", ".br\n", ".RI ",  ".RB "};

    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        bool found = *line != '.';

        assert_int_not_equal(*line, '\'');
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !found; i++)
            found = strncmp(line, known[i], strlen(known[i])) == 0;
        if (!found)
            fail_msg("no request: %.40s", line);
    }
}

static void test_pages_are_roff(void **state)
{
    char *text = dumped(conf_man);

    (void)state;
    assert_requests(text);
    free(text);
    text = dumped(daemon_man);
    assert_requests(text);
    free(text);
}

/* The shipped file loads as it is, and with every line switched on gives the defaults. */
static void test_conf_is_the_defaults(void **state)
{
    struct loading *l = *state;
    char *text = dumped(option_dump_conf);
    struct options *defaults = options_new();
    struct options_changes changes;
    size_t switched = 0;
    char *p;

    l->environment[0] = "SLUICE_ENVIRONMENT=development";
    loading_write(l, "main.conf", text);
    assert_int_equal(loading_run(l), 0);
    for (p = text; (p = strchr(p, '#')) != NULL; p++) {
        if ((p == text || p[-1] == '\n' || p[-1] == ' ') && islower((unsigned char)p[1])) {
            *p = ' ';
            switched++;
        }
    }
    assert_int_equal(switched, OPT_COUNT);
    loading_write(l, "main.conf", text);
    if (loading_run(l) < 0)
        fail_msg("%s\n%s", l->report, text);
    loading_assert_silent(l);
    options_diff(defaults, l->options, &changes);
    /* What is filled in or came from the environment above. */
    assert_true(changes.changed[OPT_ENVIRONMENT] && changes.changed[OPT_SELF_HOST]);
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (i == OPT_ENVIRONMENT || i == OPT_SELF_HOST || i == OPT_FILE_PATH ||
            i == OPT_OTLP_PROFILE)
            continue;
        if (changes.changed[i])
            fail_msg("%s", option_path(i));
        if (!option_is_secret(i))
            assert_int_equal(options_origin(l->options, i), OPTION_FROM_FILE);
    }
    options_free(&defaults);
    free(text);
}

/* conf/sluice.conf is in the tree for people to read; it is what the table says. */
static void test_shipped_conf_is_generated(void **state)
{
    const char *srcdir = getenv("srcdir");
    char *text = dumped(option_dump_conf);
    char path[4096];
    char *shipped;
    FILE *file;
    size_t n;

    (void)state;
    snprintf(path, sizeof(path), "%s/conf/sluice.conf", srcdir != NULL ? srcdir : ".");
    file = fopen(path, "re");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    shipped = calloc(1, strlen(text) + 2);
    n = fread(shipped, 1, strlen(text) + 1, file);
    assert_int_equal(fclose(file), 0);
    if (n != strlen(text) || strcmp(shipped, text) != 0)
        fail_msg("conf/sluice.conf differs from the table: write it again with "
                 "shared/options/option-generate sluice.conf");
    free(shipped);
    free(text);
}

static void test_values_without_secrets(void **state)
{
    struct loading *l = *state;
    char *text = NULL;
    size_t n;
    FILE *out;
    char word[OPTION_NAME_BYTES + 8];

    l->environment[1] = "DASH0_API_KEY=hunter2";
    l->environment[2] = "SLUICE_FORWARD_PORT=24225";
    assert_int_equal(loading_run(l), 0);
    out = open_memstream(&text, &n);
    option_dump_values(l->options, out);
    assert_int_equal(fclose(out), 0);
    assert_holds(text, "\nforward.port = 24225    (SLUICE_FORWARD_PORT)\n");
    assert_holds(text, "\notlp.api_key = (set)    (DASH0_API_KEY)\n");
    assert_holds(text, "\nforward.shared_key = (not set)    (default)\n");
    assert_holds(text, "\nretry.min = \"500ms\"    (default)\n");
    assert_null(strstr(text, "hunter2"));
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        snprintf(word, sizeof(word), "%s = ", option_path(i));
        assert_holds(text, word);
    }
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loading_setup, loading_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_help_has_every_row),
        TEST(test_conf_man_has_every_row),
        TEST(test_daemon_man),
        TEST(test_pages_are_roff),
        TEST(test_conf_is_the_defaults),
        TEST(test_shipped_conf_is_generated),
        TEST(test_values_without_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
