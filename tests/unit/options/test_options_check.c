#include "shared/options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shared/options/option_table.h"
#include "tests/unit/options/loading.h"

static void check(struct loading *l, const char *text, int wanted)
{
    loading_write(l, "main.conf", text);
    if (loading_run(l) != wanted)
        fail_msg("%s\ngave:\n%s", text, l->report);
}

static void test_production_asks_for_a_key(void **state)
{
    struct loading *l = *state;

    l->environment[0] = NULL;
    check(l, "file: { path = \"/y/x\"; };", -EINVAL);
    loading_assert_line(l, "error: forward.shared_key: is not set, and production asks for one on "
                           "a forward port off loopback (forward.bind is \"*\"): set "
                           "FLUENTD_SHARED_KEY or forward.shared_key, or bind to 127.0.0.1, or "
                           "allow all with forward.allow_anonymous = true, or set "
                           "NODE_ENV=development");
    assert_int_equal(l->errors, 1);
    check(l, "file: { path = \"/y/x\"; }; forward: { shared_key = \"k\"; };", 0);
    check(l, "file: { path = \"/y/x\"; }; forward: { allow_anonymous = true; };", 0);
    check(l, "file: { path = \"/y/x\"; }; forward: { bind = \"127.0.0.2\"; };", 0);
    check(l, "file: { path = \"/y/x\"; }; forward: { bind = \"::1\"; };", 0);
    check(l, "file: { path = \"/y/x\"; }; forward: { bind = \"::\"; };", -EINVAL);
    check(l, "file: { path = \"/y/x\"; }; forward: { bind = \"192.168.1.1\"; };", -EINVAL);
    /* Any other name is as strict. */
    check(l, "environment = \"staging\"; file: { path = \"/y/x\"; };", -EINVAL);
    check(l, "environment = \"development\";", 0);
}

/* A mistake in the key itself is one message, not two. */
static void test_broken_values_do_not_cascade(void **state)
{
    struct loading *l = *state;

    l->environment[0] = NULL;
    check(l, "forward: { shared_key = 5; }; otlp: { api_key = 5; };", -EINVAL);
    assert_int_equal(l->errors, 2);
}

static void test_production_asks_for_an_output(void **state)
{
    struct loading *l = *state;

    l->environment[0] = "FLUENTD_SHARED_KEY=k";
    check(l, "", -EINVAL);
    loading_assert_line(l, "error: no output: production needs a place to send the logs to: set "
                           "DASH0_API_KEY (otlp.api_key), or DASH0_LOGS_ENDPOINT (otlp.endpoint), "
                           "or file.path, or set NODE_ENV=development");
    check(l, "otlp: { api_key = \"x\"; };", 0);
    check(l, "otlp: { endpoint = \"http://localhost:4318/v1/logs\"; };", 0);
    check(l, "file: { path = \"/var/log/x.jsonl\"; };", 0);
}

/* The shipper may write in its file's folder: that must not be all there is. */
static void test_files_stand_in_folders(void **state)
{
    struct loading *l = *state;

    l->environment[0] = "NODE_ENV=development";
    check(l, "file: { path = \"/x.jsonl\"; }; otlp: { ca_file = \"/ca.pem\"; };", -EINVAL);
    loading_assert_line(
        l, "main.conf:1: error: file.path: \"/x.jsonl\" stands in /; put it into a folder of its "
           "own");
    assert_int_equal(l->errors, 2);
}

static void test_outputs_follow(void **state)
{
    struct loading *l = *state;

    check(l, "data_dir = \"/srv\";", 0);
    assert_string_equal(options_string(l->options, OPT_OTLP_ENDPOINT), "");
    assert_string_equal(options_string(l->options, OPT_FILE_PATH), "/srv/otlp.jsonl");
    check(l, "otlp: { api_key = \"x\"; };", 0);
    assert_string_equal(options_string(l->options, OPT_FILE_PATH), "");
    assert_int_equal(options_origin(l->options, OPT_OTLP_ENDPOINT), OPTION_FROM_DEFAULT);
    /* The help names the address that is filled in. */
    assert_non_null(
        strstr(option_row(OPT_OTLP_ENDPOINT)->help, options_string(l->options, OPT_OTLP_ENDPOINT)));
    check(l, "otlp: { endpoint = \"http://localhost/v1/logs\"; }; file: { path = \"/f/f\"; };", 0);
    assert_string_equal(options_string(l->options, OPT_FILE_PATH), "/f/f");
}

static void test_other_values_follow(void **state)
{
    struct loading *l = *state;
    char host[256];

    check(l, "forward: { max_chunk = \"256M\"; };", 0);
    assert_int_equal(options_size(l->options, OPT_RECEIVER_MEMORY), 512 << 20);
    assert_int_equal(gethostname(host, sizeof(host)), 0);
    assert_string_equal(options_string(l->options, OPT_SELF_HOST), host);
    check(l, "self: { host = \"central\"; };", 0);
    assert_string_equal(options_string(l->options, OPT_SELF_HOST), "central");
}

/* The profile is Dash0's where the endpoint is, unless it was set. */
static void test_profile_follows(void **state)
{
    static const struct {
        const char *text, *profile;
    } rows[] = {
        {"", "none"},
        {"otlp: { api_key = \"x\"; };", "dash0"},
        {"otlp: { api_key = \"x\"; profile = \"none\"; };", "none"},
        {"otlp: { endpoint = \"https://ingress.eu-west-1.aws.Dash0.com:4318/v1/logs\"; };",
         "dash0"},
        {"otlp: { endpoint = \"https://dash0.com/v1/logs\"; };", "dash0"},
        {"otlp: { endpoint = \"https://notdash0.com/v1/logs\"; };", "none"},
        {"otlp: { endpoint = \"https://x/dash0.com\"; };", "none"},
        {"otlp: { endpoint = \"https://x/v1/logs\"; profile = \"dash0\"; };", "dash0"},
    };
    struct loading *l = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(l, rows[i].text, 0);
        if (!options_is(l->options, OPT_OTLP_PROFILE, rows[i].profile))
            fail_msg("%s: not %s", rows[i].text, rows[i].profile);
    }
}

/* The warning says what the encoding makes of such ids. */
static void test_verbatim_ids(void **state)
{
    static const char text[] = "otlp: { endpoint = \"https://x/v1/logs\"; encoding = \"%s\"; }; "
                               "record: { trace_id = \"verbatim\"; };";
    struct loading *l = *state;
    char line[256];

    snprintf(line, sizeof(line), text, "protobuf");
    check(l, line, 0);
    assert_non_null(strstr(l->report, "the OTLP requests to x leave such ids out"));
    snprintf(line, sizeof(line), text, "json");
    check(l, line, 0);
    assert_non_null(strstr(l->report, "servers that check them refuse the whole request"));
}

static void test_resource_attributes(void **state)
{
    struct loading *l = *state;
    char text[1024] = "resource: { attributes = \"";

    check(l, "resource: { attributes = \" team=a%2Cb , zone =1,,k=\"; };", 0);
    check(l, "resource: { attributes = \"team\"; };", -EINVAL);
    loading_assert_line(l, "main.conf:1: error: resource.attributes: \"team\" is no KEY=VALUE");
    check(l, "resource: { attributes = \"a=1, =2\"; };", -EINVAL);
    loading_assert_line(l, "main.conf:1: error: resource.attributes: \" =2\" is no KEY=VALUE");
    for (unsigned i = 0; i <= OPTIONS_MAX_RESOURCE; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "k%u=v,", i);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "\"; };");
    check(l, text, -EINVAL);
    loading_assert_line(l, "main.conf:1: error: resource.attributes: has more than 60 attributes");
}

static void endpoint(struct loading *l, const char *url, int wanted, const char *words)
{
    char text[512];

    snprintf(text, sizeof(text), "otlp: { api_key = \"hunter2\"; endpoint = \"%s\"; };", url);
    check(l, text, wanted);
    assert_null(strstr(l->report, "hunter2"));
    if (words == NULL)
        loading_assert_silent(l);
    else if (strstr(l->report, words) == NULL)
        fail_msg("%s: no \"%s\" in:\n%s", url, words, l->report);
}

static void test_endpoints(void **state)
{
    struct loading *l = *state;

    endpoint(l, "https://ingress.example/v1/logs", 0, NULL);
    endpoint(l, "https://ingress.example:4318/v1/logs?x=y", 0, NULL);
    endpoint(l, "http://localhost:4318/v1/logs", 0, NULL);
    endpoint(l, "http://127.0.0.1:4318/v1/logs", 0, NULL);
    endpoint(l, "http://[::1]:4318/v1/logs", 0, NULL);
    endpoint(l, "HTTPS://x/v1/logs", 0, NULL);
    endpoint(l, "http://collector:4318/v1/logs", 0,
             "warning: otlp.endpoint: the API key goes to collector in the clear: use https://");
    endpoint(l, "http://[fe80::1]/v1/logs", 0, "the API key goes to fe80::1 in the clear");
    endpoint(l, "https://x", 0, "\"https://x\" has no path");
    endpoint(l, "https://x/", 0, "has no path");
    endpoint(l, "ftp://x", -EINVAL, "\"ftp://x\" is no http:// or https:// URL");
    endpoint(l, "x", -EINVAL, "is no http:// or https:// URL");
    endpoint(l, "https://", -EINVAL, "is a URL without a host");
    endpoint(l, "https:///x", -EINVAL, "is a URL without a host");
    endpoint(l, "https://x:0/y", -EINVAL, "is a URL with a bad port");
    endpoint(l, "https://x:65536/y", -EINVAL, "is a URL with a bad port");
    endpoint(l, "https://x:/y", -EINVAL, "is a URL with a bad port");
    endpoint(l, "https://[::1/y", -EINVAL, "the ] after the address is missing");
    endpoint(l, "https://[::1]5/y", -EINVAL, "is a URL with a bad port");
    endpoint(l, "https://u:hunter2@x/y", -EINVAL, "a URL with a user or password in it");
    endpoint(l, "https://x y/z", -EINVAL, "it holds a blank");
}

static void test_orders(void **state)
{
    struct loading *l = *state;

    check(l, "retry: { min = \"1m\"; max = \"10s\"; };", -EINVAL);
    loading_assert_line(l, "main.conf:1: error: retry.max: is 10s, less than retry.min, which is "
                           "1m");
    check(l, "retry: { min = \"10s\"; max = \"10s\"; };", 0);
    check(l, "journal: { segment_size = \"64M\"; total_limit = \"100M\"; };", -EINVAL);
    loading_assert_line(l, "main.conf:1: error: journal.total_limit: is 100M, too little for two "
                           "segments of 64M (journal.segment_size) for each of 1 processors");
    check(l, "journal: { segment_size = \"1M\"; total_limit = \"4M\"; };", 0);
}

static void test_paths(void **state)
{
    struct loading *l = *state;
    char text[256];

    check(l, "data_dir = \"\"; control: { path = \"\"; }; environment = \"\";", 0 - EINVAL);
    loading_assert_line(l, "main.conf:1: error: data_dir: is empty: name the directory for the "
                           "journal");
    loading_assert_line(l, "main.conf:1: error: control.path: is empty: name the socket that "
                           "sluicectl speaks to");
    snprintf(text, sizeof(text), "control: { path = \"/%0120d\"; };", 0);
    check(l, text, -EINVAL);
    loading_assert_line(l, "main.conf:1: error: control.path: is longer than the 107 bytes that a "
                           "socket's path may have");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loading_setup, loading_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_production_asks_for_a_key),
        TEST(test_broken_values_do_not_cascade),
        TEST(test_production_asks_for_an_output),
        TEST(test_files_stand_in_folders),
        TEST(test_outputs_follow),
        TEST(test_other_values_follow),
        TEST(test_profile_follows),
        TEST(test_resource_attributes),
        TEST(test_verbatim_ids),
        TEST(test_endpoints),
        TEST(test_orders),
        TEST(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
