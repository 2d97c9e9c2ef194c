#include "shared/options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/options/loading.h"

static void assert_loads(struct loading *l)
{
    if (loading_run(l) < 0)
        fail_msg("refused:\n%s", l->report);
}

static void assert_refused(struct loading *l, const char *line)
{
    assert_int_equal(loading_run(l), -EINVAL);
    assert_null(l->options);
    loading_assert_line(l, line);
}

/* ---- sources ---- */

static void test_defaults(void **state)
{
    struct loading *l = *state;

    assert_loads(l);
    loading_assert_silent(l);
    assert_int_equal(options_int(l->options, OPT_FORWARD_PORT), 24224);
    assert_int_equal(options_size(l->options, OPT_FORWARD_MAX_CHUNK), 16 << 20);
    assert_int_equal(options_time_ms(l->options, OPT_RETRY_MIN), 500);
    assert_false(options_bool(l->options, OPT_FORWARD_ALLOW_ANONYMOUS));
    assert_true(options_is(l->options, OPT_JOURNAL_SYNC, "batch"));
    assert_true(options_is(l->options, OPT_ENVIRONMENT, "development"));
    assert_string_equal(options_origin_text(l->options, OPT_FORWARD_PORT), "default");
    assert_int_equal(options_origin(l->options, OPT_ENVIRONMENT), OPTION_FROM_ENVIRONMENT);
}

static void test_every_type_from_the_file(void **state)
{
    struct loading *l = *state;
    char text[160];

    loading_write(l, "main.conf",
                  "# comment\nforward: { port = 1; max_chunk = \"32M\"; bind = \"127.0.0.1\";\n"
                  "  idle_timeout = 0; allow_anonymous = true; handshake_timeout = \"1500ms\" };\n"
                  "journal: { total_limit = 8589934592; sync = \"interval\"; }\n"
                  "data_dir = \"/srv/\" \"sluice\";");
    assert_loads(l);
    loading_assert_silent(l);
    assert_int_equal(options_int(l->options, OPT_FORWARD_PORT), 1);
    assert_int_equal(options_size(l->options, OPT_FORWARD_MAX_CHUNK), 32 << 20);
    assert_int_equal(options_time_ms(l->options, OPT_FORWARD_HANDSHAKE_TIMEOUT), 1500);
    assert_true(options_bool(l->options, OPT_FORWARD_ALLOW_ANONYMOUS));
    /* libconfig alone reads this as 0. */
    assert_true(options_size(l->options, OPT_JOURNAL_TOTAL_LIMIT) == 8ull << 30);
    assert_string_equal(options_string(l->options, OPT_DATA_DIR), "/srv/sluice");
    snprintf(text, sizeof(text), "%s:3", l->path);
    assert_string_equal(options_origin_text(l->options, OPT_FORWARD_ALLOW_ANONYMOUS), text);
}

static void test_later_sources_win(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf",
                  "forward: { port = 1; };\nlog: { level = \"debug\"; };\n"
                  "service: { name = \"file\"; };\nself: { host = \"file\"; };");
    l->environment[1] = "SLUICE_FORWARD_PORT=2";
    l->environment[2] = "SLUICE_LOG_LEVEL=warn";
    l->environment[3] = "HOSTNAME=alias";
    l->sets[0] = "forward.port=3";
    l->sets[1] = "forward.port=4";
    l->set_count = 2;
    assert_loads(l);
    assert_int_equal(options_int(l->options, OPT_FORWARD_PORT), 4);
    assert_string_equal(options_origin_text(l->options, OPT_FORWARD_PORT), "command line");
    assert_string_equal(options_string(l->options, OPT_LOG_LEVEL), "warn");
    assert_string_equal(options_origin_text(l->options, OPT_LOG_LEVEL), "SLUICE_LOG_LEVEL");
    assert_string_equal(options_string(l->options, OPT_SERVICE_NAME), "file");
    assert_string_equal(options_string(l->options, OPT_SELF_HOST), "alias");
}

static void test_own_variable_over_the_second_name(void **state)
{
    struct loading *l = *state;

    l->environment[0] = "SLUICE_ENVIRONMENT=development";
    l->environment[1] = "NODE_ENV=production";
    l->environment[2] = "DASH0_API_KEY=second";
    l->environment[3] = "SLUICE_OTLP_API_KEY=own";
    assert_loads(l);
    assert_true(options_is(l->options, OPT_ENVIRONMENT, "development"));
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "own"));
}

static void test_empty_variables(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf",
                  "otlp: { api_key = \"k\"; dataset = \"file\"; };\nservice: { name = \"x\"; };");
    l->environment[1] = "DASH0_API_KEY=";
    l->environment[2] = "DASH0_DATASET=";
    l->environment[3] = "SLUICE_OTLP_API_KEY=";
    l->environment[4] = "SLUICE_SERVICE_NAME=";
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "k"));
    assert_string_equal(options_string(l->options, OPT_OTLP_DATASET), "file");
    assert_string_equal(options_string(l->options, OPT_SERVICE_NAME), "");
    l->environment[4] = "SLUICE_HANG_TIMEOUT=";
    assert_refused(l, "SLUICE_HANG_TIMEOUT: error: hang_timeout: the value is empty");
}

static void test_missing_file(void **state)
{
    struct loading *l = *state;
    struct options_sources sources = {.file = l->path, .environment = NULL};
    struct option_report report = {0};
    struct options *options = NULL;

    assert_int_equal(options_load(&sources, NULL, &report, &options), -EINVAL);
    assert_int_equal(report.count, 1);
    assert_string_equal(report.messages[0].text, "cannot be read: No such file or directory");
    option_report_fini(&report);
}

/* ---- mistakes ---- */

static void test_every_mistake_is_named(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf",
                  "forward: {\n  prot = 1;\n  port = 4294991520;\n  max_chunk = \"16X\";\n"
                  "  allow_anonymous = \"yes\";\n  shared_key = 12345;\n  bind = \"localhost\";\n"
                  "};\nfoward: { port = 1; };\nlog = 4;\nservice: { name = 5; };\n"
                  "retry: { min = 500; max = \"10s\"; jitter: { low = 1; }; };\n"
                  "colour = { };\notlp: { requests = (1, 2); timeout = { s = 3; }; };\n");
    assert_refused(l,
                   "main.conf:2: error: forward.prot: unknown option; did you mean forward.port?");
    loading_assert_line(l, "main.conf:3: error: forward.port: \"4294991520\" is above the most "
                           "allowed, 65535");
    loading_assert_line(l, "main.conf:4: error: forward.max_chunk: \"16X\" is not a size: write "
                           "bytes, or k, M or G behind the number, as in 16M");
    loading_assert_line(l, "main.conf:5: error: forward.allow_anonymous: takes true or false, "
                           "without quotes");
    loading_assert_line(l, "main.conf:6: error: forward.shared_key: takes text in double quotes");
    loading_assert_line(l, "main.conf:7: error: forward.bind: \"localhost\" is not an address: "
                           "write * for all, or a literal one such as 127.0.0.1 or ::1 (no name, "
                           "no brackets, no port)");
    loading_assert_line(l, "main.conf:9: error: foward.port: unknown option; did you mean "
                           "forward.port?");
    loading_assert_line(l, "main.conf:10: error: log: is a group: write log: { ... }");
    loading_assert_line(l, "main.conf:11: error: service.name: takes text in double quotes");
    loading_assert_line(l, "main.conf:12: error: retry.min: \"500\" is not a time: write a number "
                           "and its unit, ms, s, m or h, as in 30s");
    loading_assert_line(l, "main.conf:12: error: retry.jitter.low: unknown option");
    loading_assert_line(l, "main.conf:13: error: colour: unknown option");
    loading_assert_line(l, "main.conf:14: error: otlp.requests: takes one value, not a group or a "
                           "list");
    loading_assert_line(l, "main.conf:14: error: otlp.timeout: takes one value, not a group or a "
                           "list");
    assert_int_equal(l->errors, 14);
}

static void test_included_files_are_named(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf", "@include \"sub/a.conf\"\nservice: { nam = \"x\"; };");
    loading_write(l, "sub/a.conf", "\nforward: { port = \"1\"; };\n@include \"b.conf\"\n");
    loading_write(l, "sub/b.conf", "log: {\n level = \"loud\"; };");
    assert_refused(l, "sub/a.conf:2: error: forward.port: takes a whole number, without quotes");
    loading_assert_line(l, "sub/b.conf:2: error: log.level: \"loud\" is not one of its values: "
                           "debug, info, warn or error");
    loading_assert_line(l, "main.conf:2: error: service.nam: unknown option; did you mean "
                           "service.name?");
    assert_int_equal(l->errors, 3);
}

static void test_syntax_errors_name_their_line(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf", "forward: {\n port = 1;\n};\n\noops oops\n");
    assert_refused(l, "main.conf:5: error: syntax error here or just before: write NAME = VALUE; "
                      "and GROUP: { ... };");
    /* And no checks of what the unread rest may have said. */
    assert_int_equal(l->errors, 1);
    loading_write(l, "main.conf", "forward: { port = 1; };\nforward: { bind = \"*\"; };\n");
    assert_refused(l, "main.conf:2: error: this name was given before: an option, and a group, may "
                      "stand only once");
}

static void test_deep_groups_and_long_names(void **state)
{
    struct loading *l = *state;
    char text[4096] = "";
    size_t n = 0;

    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "group_with_a_long_name: { ");
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "};");
    loading_write(l, "main.conf", text);
    assert_int_equal(loading_run(l), -EINVAL);
    assert_int_equal(l->errors, 1);
    assert_non_null(strstr(l->report, "unknown option"));
}

static void test_mistakes_in_the_environment(void **state)
{
    struct loading *l = *state;

    l->environment[1] = "SLUICE_FORWARD_PORT=many";
    l->environment[2] = "SLUICE_FORWARD_PROT=1";
    l->environment[3] = "SLUICE_QQQ=1";
    l->environment[4] = "SLUICE_FORWARD_PORT_FILE=/x";
    l->environment[5] = "NOT_SLUICE=1";
    assert_refused(l, "SLUICE_FORWARD_PORT: error: forward.port: \"many\" is not a whole number");
    loading_assert_line(l, "SLUICE_FORWARD_PROT: warning: names no option; ignored. Did you mean "
                           "SLUICE_FORWARD_PORT?");
    loading_assert_line(l, "SLUICE_QQQ: warning: names no option; ignored");
    loading_assert_line(l, "SLUICE_FORWARD_PORT_FILE: warning: forward.port: is no secret, so its "
                           "value is not read from a file; ignored");
    assert_int_equal(l->errors, 1);
    assert_int_equal(l->warnings, 3);
}

static void test_mistakes_on_the_command_line(void **state)
{
    struct loading *l = *state;

    l->sets[0] = "forward.port";
    l->sets[1] = "forward.prot=1";
    l->sets[2] = "receiver.count=99";
    l->set_count = 3;
    assert_refused(l, "command line: error: --set forward.port: write PATH=VALUE, as in --set "
                      "forward.port=24224");
    loading_assert_line(l, "command line: error: forward.prot: unknown option; did you mean "
                           "forward.port?");
    loading_assert_line(l, "command line: error: receiver.count: \"99\" is above the most allowed, "
                           "8");
    assert_int_equal(l->errors, 3);
}

/* ---- secrets ---- */

static void test_no_message_shows_a_secret(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf", "forward: { shared_key = hunter2; };\n");
    l->environment[1] = "DASH0_API_KEY=hunter2\n";
    l->sets[0] = "otlp.api_key=hunter2";
    l->sets[1] = "otlp.apikey=hunter2";
    l->set_count = 2;
    assert_int_equal(loading_run(l), -EINVAL);
    assert_int_equal(l->errors, 4);
    assert_null(strstr(l->report, "hunter2"));
    loading_assert_line(l, "command line: error: otlp.api_key: a secret is not taken from the "
                           "command line, where ps shows it: put it into the configuration file or "
                           "the environment (DASH0_API_KEY, or DASH0_API_KEY_FILE with the name of "
                           "a file that holds it)");
}

static void test_secret_from_a_file(void **state)
{
    struct loading *l = *state;
    char variable[256];

    snprintf(variable, sizeof(variable), "DASH0_API_KEY_FILE=%s/key", l->folder);
    l->environment[1] = variable;
    loading_write(l, "key", "auth_x\r\nsecond line\n");
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "auth_x"));
    loading_write(l, "key", "auth_y");
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "auth_y"));
    loading_write(l, "key", "\n");
    assert_refused(l, "DASH0_API_KEY_FILE: error: otlp.api_key: cannot read key: the first line is "
                      "empty");
    l->environment[1] = "SLUICE_FORWARD_SHARED_KEY_FILE=/none";
    assert_refused(l, "SLUICE_FORWARD_SHARED_KEY_FILE: error: forward.shared_key: cannot read "
                      "/none: No such file or directory");
    l->environment[1] = "DASH0_API_KEY_FILE=/etc";
    assert_refused(l, "DASH0_API_KEY_FILE: error: otlp.api_key: cannot read /etc: Is a directory");
    l->environment[2] = "DASH0_API_KEY=x";
    assert_refused(l, "DASH0_API_KEY: error: otlp.api_key: DASH0_API_KEY_FILE is set too: set only "
                      "one of them");
    l->environment[1] = "DASH0_API_KEY_FILE=";
    assert_loads(l);
}

static void test_public_file_with_a_secret(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf", "\notlp: { api_key = \"x\"; };");
    assert_loads(l);
    loading_assert_silent(l);
    assert_int_equal(chmod(l->path, 0644), 0);
    assert_loads(l);
    loading_assert_line(l, "main.conf:2: warning: otlp.api_key: a secret stands in a file that "
                           "every user can read: chmod o= main.conf");
}

static void test_secrets_by_role(void **state)
{
    struct loading *l = *state;
    enum option_id id = OPT_COUNT;
    size_t cursor = 0;

    l->environment[1] = "DASH0_API_KEY=a";
    l->environment[2] = "FLUENTD_SHARED_KEY=b";
    assert_loads(l);
    assert_true(options_next_secret(l->options, OPTION_RECEIVER, &cursor, &id));
    assert_int_equal(id, OPT_FORWARD_SHARED_KEY);
    assert_false(options_next_secret(l->options, OPTION_RECEIVER, &cursor, &id));
    cursor = 0;
    assert_true(options_next_secret(l->options, OPTION_SHIPPER, &cursor, &id));
    assert_int_equal(id, OPT_OTLP_API_KEY);
    assert_false(options_next_secret(l->options, OPTION_SHIPPER, &cursor, &id));
    cursor = 0;
    assert_false(options_next_secret(l->options, OPTION_PROCESSOR, &cursor, &id));
    options_wipe_secrets(l->options);
    cursor = 0;
    assert_false(options_next_secret(l->options, OPTION_SHIPPER, &cursor, &id));
    assert_int_equal(options_secret(l->options, OPT_OTLP_API_KEY).n, 0);
    assert_int_equal(options_set_secret(l->options, OPT_OTLP_API_KEY, SLICE_LITERAL("c")), 0);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "c"));
    assert_int_equal(options_set_secret(l->options, OPT_FORWARD_PORT, SLICE_LITERAL("1")), -EINVAL);
    assert_int_equal(options_set_secret(l->options, OPT_COUNT, SLICE_LITERAL("1")), -EINVAL);
}

static void test_environment_is_wiped(void **state)
{
    char key[] = "DASH0_API_KEY=auth", own[] = "SLUICE_FORWARD_SHARED_KEY=k",
         file[] = "DASH0_API_KEY_FILE=/x", other[] = "NODE_ENV=x", again[] = "DASH0_API_KEY=two";
    char *const environment[] = {key, own, file, other, again, NULL};

    (void)state;
    options_wipe_environment(environment);
    assert_memory_equal(key, "DASH0_API_KEY=\0\0\0\0", sizeof(key));
    assert_string_equal(own, "SLUICE_FORWARD_SHARED_KEY=");
    assert_string_equal(file, "DASH0_API_KEY_FILE=/x");
    assert_string_equal(other, "NODE_ENV=x");
    assert_string_equal(again, "DASH0_API_KEY=");
}

/* ---- reload ---- */

static void test_reload_keeps_wiped_secrets(void **state)
{
    struct loading *l = *state;
    char key[] = "DASH0_API_KEY=auth", variable[256];
    char *const environment[] = {key, NULL};
    struct options *first;

    l->environment[1] = key;
    assert_loads(l);
    first = l->options;
    l->options = NULL;
    l->before = first;
    options_wipe_environment(environment);
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "auth"));
    assert_string_equal(options_origin_text(l->options, OPT_OTLP_API_KEY), "DASH0_API_KEY");
    /* A source of the same rank that is there now wins. */
    snprintf(variable, sizeof(variable), "DASH0_API_KEY_FILE=%s/key", l->folder);
    loading_write(l, "key", "now\n");
    l->environment[2] = variable;
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "now"));
    l->environment[2] = NULL;
    /* The environment's beats the file's, as at the start. */
    loading_write(l, "main.conf", "otlp: { api_key = \"file\"; };");
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "auth"));
    options_free(&first);
}

static void test_reload_reads_secret_files_again(void **state)
{
    struct loading *l = *state;
    struct options *first;
    char variable[256];

    snprintf(variable, sizeof(variable), "DASH0_API_KEY_FILE=%s/key", l->folder);
    l->environment[1] = variable;
    loading_write(l, "key", "one\n");
    assert_loads(l);
    first = l->options;
    l->options = NULL;
    l->before = first;
    loading_write(l, "key", "two\n");
    assert_loads(l);
    assert_true(slice_is(options_secret(l->options, OPT_OTLP_API_KEY), "two"));
    /* A file from the last time is not remembered: the variable is gone, and so is the secret. */
    l->environment[1] = NULL;
    assert_loads(l);
    assert_int_equal(options_secret(l->options, OPT_OTLP_API_KEY).n, 0);
    options_free(&first);
}

static int plan(const struct options *a, const struct options *b, struct options_reload *ret,
                char *text, size_t size)
{
    struct option_report report = {0};
    int r = options_plan_reload(a, b, &report, ret);

    text[0] = '\0';
    if (report.count > 0)
        option_message_format(&report.messages[0], text, size);
    option_report_fini(&report);
    return r;
}

static void set(struct options *o, enum option_id id, const char *text)
{
    assert_int_equal(options_set(o, id, slice_string(text), NULL), 0);
}

static void test_reload_plan(void **state)
{
    struct options *a = options_new(), *b = options_new();
    struct options_reload reload;
    char text[OPTION_MESSAGE_LINE_BYTES];

    (void)state;
    assert_int_equal(plan(a, b, &reload, text, sizeof(text)), 0);
    assert_int_equal(reload.changes.count, 0);
    assert_int_equal(reload.restart_roles | reload.reload_roles, 0);
    /* Another place, the same value: nothing to do. */
    set(b, OPT_FORWARD_PORT, "24224");
    set(b, OPT_FORWARD_MAX_CHUNK, "16777216");
    assert_int_equal(plan(a, b, &reload, text, sizeof(text)), 0);
    assert_int_equal(reload.changes.count, 0);

    set(b, OPT_FORWARD_SHARED_KEY, "new");
    assert_int_equal(plan(a, b, &reload, text, sizeof(text)), 0);
    assert_int_equal(reload.changes.count, 1);
    assert_true(reload.changes.changed[OPT_FORWARD_SHARED_KEY]);
    assert_int_equal(reload.reload_roles, OPTION_RECEIVER);
    assert_int_equal(reload.restart_roles, 0);

    set(b, OPT_LOG_LEVEL, "debug");
    set(b, OPT_OTLP_REQUESTS, "2");
    assert_int_equal(plan(a, b, &reload, text, sizeof(text)), 0);
    assert_int_equal(reload.restart_roles, OPTION_SHIPPER);
    assert_int_equal(reload.reload_roles, OPTION_RECEIVER | OPTION_PROCESSOR);

    set(b, OPT_FORWARD_PORT, "24225");
    assert_int_equal(plan(a, b, &reload, text, sizeof(text)), -EINVAL);
    assert_string_equal(text, "command line: error: forward.port: cannot change while sluiced runs "
                              "(it is \"24224\" now, \"24225\" in the new configuration): "
                              "restart sluiced to change it");
    options_free(&a);
    options_free(&b);
}

/* ---- misuse ---- */

static void assert_aborts(void (*misuse)(const struct options *), const struct options *options)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        misuse(options);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void wrong_type(const struct options *o)
{
    options_int(o, OPT_DATA_DIR);
}

static void wrong_word(const struct options *o)
{
    options_is(o, OPT_JOURNAL_SYNC, "bacth");
}

static void secret_as_text(const struct options *o)
{
    options_string(o, OPT_OTLP_API_KEY);
}

static void test_wrong_use_shows_at_once(void **state)
{
    struct options *options = options_new();

    (void)state;
    assert_aborts(wrong_type, options);
    assert_aborts(wrong_word, options);
    assert_aborts(secret_as_text, options);
    options_free(&options);
    options_free(&options);
}

static void test_set_checks(void **state)
{
    struct options *options = options_new();
    struct err err = {0};

    (void)state;
    assert_int_equal(options_set(options, OPT_FORWARD_PORT, SLICE_LITERAL("70000"), &err), -EINVAL);
    assert_string_equal(err.text, "forward.port: \"70000\" is above the most allowed, 65535");
    assert_int_equal(options_int(options, OPT_FORWARD_PORT), 24224);
    set(options, OPT_FORWARD_PORT, "0");
    assert_int_equal(options_int(options, OPT_FORWARD_PORT), 0);
    options_free(&options);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loading_setup, loading_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_type_from_the_file),
        TEST(test_later_sources_win),
        TEST(test_own_variable_over_the_second_name),
        TEST(test_empty_variables),
        TEST(test_missing_file),
        TEST(test_every_mistake_is_named),
        TEST(test_included_files_are_named),
        TEST(test_syntax_errors_name_their_line),
        TEST(test_deep_groups_and_long_names),
        TEST(test_mistakes_in_the_environment),
        TEST(test_mistakes_on_the_command_line),
        TEST(test_no_message_shows_a_secret),
        TEST(test_secret_from_a_file),
        TEST(test_public_file_with_a_secret),
        TEST(test_secrets_by_role),
        TEST(test_environment_is_wiped),
        TEST(test_reload_keeps_wiped_secrets),
        TEST(test_reload_reads_secret_files_again),
        TEST(test_reload_plan),
        TEST(test_wrong_use_shows_at_once),
        TEST(test_set_checks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
