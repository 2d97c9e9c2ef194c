/*
 * Access: lists of clients and users from the file and the environment, every mistake in them with
 * its place and its element (and no value shown), and who may come from where.
 */
#include "shared/options/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/options/loading.h"

static struct access *loaded(struct loading *l)
{
    struct option_report report = {0};
    struct access *access = NULL;

    if (loading_run(l) < 0)
        fail_msg("%s", l->report);
    assert_int_equal(access_load(l->options, &report, &access), 0);
    option_report_fini(&report);
    return access;
}

/* The key that counts for a client from there; "-" where it may not come. */
static const char *key_from(const struct access *access, const char *address, char text[64])
{
    struct access_grant grant = {0};
    struct network network;

    assert_int_equal(network_parse(slice_string(address), &network), 0);
    if (!access_admit(access, &network, &grant))
        return "-";
    snprintf(text, 64, "%.*s", (int)grant.shared_key.n, (const char *)grant.shared_key.p);
    return text;
}

#define ASSERT_KEY(access, address, key) \
    assert_string_equal(key_from(access, address, (char[64]){0}), key)

/* Who gets in from there: "alice bob". */
static const char *users_from(const struct access *access, const char *address, char text[64])
{
    static const char *const names[] = {"alice", "bob", "carol", "alic", "alicee", ""};
    struct access_grant grant = {0};
    struct network network;

    text[0] = '\0';
    assert_int_equal(network_parse(slice_string(address), &network), 0);
    assert_true(access_admit(access, &network, &grant));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t used = strlen(text);
        struct slice password;

        if (!access_password(access, &grant, slice_string(names[i]), &password))
            continue;
        snprintf(text + used, 64 - used, "%s%s:%.*s", used > 0 ? " " : "", names[i],
                 (int)password.n, (const char *)password.p);
    }
    return text;
}

#define ASSERT_USERS(access, address, users) \
    assert_string_equal(users_from(access, address, (char[64]){0}), users)

static const char whole_file[] =
    "forward: {\n"
    "  shared_key = \"common\";\n"
    "  clients = (\n"
    "    { network = \"10.0.0.0/8\"; shared_key = \"ten\"; users = (\"alice\"); },\n"
    "    { network = \"10.1.0.0/16\"; users = [\"alice\", \"bob\"]; },\n"
    "    { host = \"10.1.2.3\"; shared_key = \"three\"; },\n"
    "    { network = \"2001:db8::/32\"; shared_key = \"six\"; },\n"
    "    { network = \"0.0.0.0/0\"; shared_key = \"rest\"; }\n"
    "  );\n"
    "  users = ( { name = \"alice\"; password = \"wonder\"; },\n"
    "            { name = \"bob\"; password = \"builder\"; } );\n"
    "};\n";

static void assert_whole(struct loading *l)
{
    struct access *access = loaded(l);

    assert_false(access_is_open(access));
    assert_true(access_asks_user(access));
    ASSERT_KEY(access, "10.9.9.9", "ten");
    ASSERT_KEY(access, "10.1.9.9", "common"); /* the narrower network has no key of its own */
    ASSERT_KEY(access, "10.1.2.3", "three");
    ASSERT_KEY(access, "::ffff:10.1.2.3", "three");
    ASSERT_KEY(access, "192.0.2.1", "rest");
    ASSERT_KEY(access, "2001:db8::1", "six");
    ASSERT_KEY(access, "2001:db9::1", "common");
    ASSERT_USERS(access, "10.9.9.9", "alice:wonder");
    ASSERT_USERS(access, "10.1.9.9", "alice:wonder bob:builder");
    ASSERT_USERS(access, "10.1.2.3", "alice:wonder bob:builder");
    ASSERT_USERS(access, "2001:db9::1", "alice:wonder bob:builder");
    access_free(&access);
}

static void test_groups_in_the_file(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf", whole_file);
    assert_whole(l);
    loading_assert_silent(l);
}

#define WHOLE_CLIENTS                                                             \
    "[{\"network\":\"10.0.0.0/8\",\"shared_key\":\"ten\",\"users\":[\"alice\"]}," \
    "{\"network\":\"10.1.0.0/16\",\"users\":[\"alice\",\"bob\"]},"                \
    "{\"host\":\"10.1.2.3\",\"shared_key\":\"three\"},"                           \
    "{\"network\":\"2001:db8::/32\",\"shared_key\":\"six\"},\n"                   \
    "{\"network\":\"0.0.0.0/0\",\"shared_key\":\"rest\"}]\n"
#define WHOLE_USERS                                    \
    "[{\"name\":\"alice\",\"password\":\"wonder\"},\n" \
    "{\"name\":\"bob\",\"password\":\"builder\"}]\n\n"

static void test_json_in_the_environment(void **state)
{
    struct loading *l = *state;

    l->environment[1] = "FLUENTD_SHARED_KEY=common";
    l->environment[2] = "SLUICE_FORWARD_CLIENTS=" WHOLE_CLIENTS;
    l->environment[3] = "SLUICE_FORWARD_USERS=" WHOLE_USERS;
    assert_whole(l);
    loading_assert_silent(l);
}

/* All of the file counts, not its first line. */
static void test_json_in_files_of_the_environment(void **state)
{
    struct loading *l = *state;
    char clients[128], users[128];

    loading_write(l, "clients", WHOLE_CLIENTS);
    loading_write(l, "users", WHOLE_USERS);
    snprintf(clients, sizeof(clients), "SLUICE_FORWARD_CLIENTS_FILE=%s/clients", l->folder);
    snprintf(users, sizeof(users), "SLUICE_FORWARD_USERS_FILE=%s/users", l->folder);
    l->environment[1] = "FLUENTD_SHARED_KEY=common";
    l->environment[2] = clients;
    l->environment[3] = users;
    assert_whole(l);
    loading_assert_silent(l);
    loading_write(l, "users", "");
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(
        l, "SLUICE_FORWARD_USERS_FILE: error: forward.users: cannot read users: it is empty");
}

static void test_json_in_the_file(void **state)
{
    struct loading *l = *state;

    loading_write(
        l, "main.conf",
        "forward: {\n"
        "  shared_key = \"k\";\n"
        "  clients = \"[{\\\"host\\\":\\\"10.1.2.3\\\",\\\"shared_key\\\":\\\"j\\\"}]\";\n"
        "};\n");
    {
        struct access *access = loaded(l);

        ASSERT_KEY(access, "10.1.2.3", "j");
        ASSERT_KEY(access, "10.1.2.4", "k");
        assert_false(access_asks_user(access));
        access_free(&access);
    }
    loading_assert_silent(l);
}

/* The same list in two ways is no change; another order is one. */
static void test_one_list_in_two_ways_is_equal(void **state)
{
    struct loading *l = *state, other = *l;
    struct options_changes changes;

    loading_write(l, "main.conf", whole_file);
    assert_int_equal(loading_run(l), 0);
    other.options = NULL;
    snprintf(other.path, sizeof(other.path), "%s/none.conf", l->folder);
    other.environment[1] = "FLUENTD_SHARED_KEY=common";
    other.environment[2] = "SLUICE_FORWARD_CLIENTS=" WHOLE_CLIENTS;
    other.environment[3] = "SLUICE_FORWARD_USERS=" WHOLE_USERS;
    assert_int_equal(loading_run(&other), 0);
    options_diff(l->options, other.options, &changes);
    assert_int_equal(changes.count, 0);
    options_free(&other.options);
}

/* What the environment said counts after it was wiped too, also where it said: none. */
static void test_reload_keeps_wiped_lists(void **state)
{
    struct loading *l = *state;
    char users[] = "SLUICE_FORWARD_USERS=[]";
    char clients[] = "SLUICE_FORWARD_CLIENTS=[{\"host\":\"10.1.2.3\",\"shared_key\":\"j\"}]";
    struct options *before;
    struct access *access;

    loading_write(l, "main.conf",
                  "forward: { shared_key = \"k\"; users = ( { name = \"a\"; password = \"p\"; } ); "
                  "};");
    l->environment[1] = users;
    l->environment[2] = clients;
    assert_int_equal(loading_run(l), 0);
    before = l->options;
    l->before = before;
    options_wipe_environment((char *const *)(uintptr_t)l->environment);
    assert_string_equal(users, "SLUICE_FORWARD_USERS=");
    assert_string_equal(clients, "SLUICE_FORWARD_CLIENTS=");
    access = loaded(l);
    assert_false(access_asks_user(access));
    ASSERT_KEY(access, "10.1.2.3", "j");
    ASSERT_KEY(access, "10.1.2.4", "k");
    access_free(&access);
    options_free(&before);
}

/* ---- mistakes ---- */

/* The file is `forward: {`, the shared key, then `text`, so that its first line is line 3. */
static void assert_mistakes(struct loading *l, const char *text, const char *const *lines,
                            size_t count)
{
    char file[2048];

    snprintf(file, sizeof(file), "forward: {\nshared_key = \"hush\";\n%s\n};\n", text);
    loading_write(l, "main.conf", file);
    if (loading_run(l) == 0)
        fail_msg("taken: %s", text);
    for (size_t i = 0; i < count; i++)
        loading_assert_line(l, lines[i]);
    if (l->errors != count)
        fail_msg("%zu mistakes, not %zu, in %s:\n%s", l->errors, count, text, l->report);
    if (strstr(l->report, "hush") != NULL)
        fail_msg("a value shows: %s", l->report);
}

#define ASSERT_MISTAKES(l, text, ...)                       \
    assert_mistakes(l, text, (const char *[]){__VA_ARGS__}, \
                    sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

#define CLIENTS ": error: forward.clients: "
#define USERS ": error: forward.users: "

static void test_wrong_groups(void **state)
{
    struct loading *l = *state;

    ASSERT_MISTAKES(l, "clients = 5;",
                    "main.conf:3" CLIENTS
                    "takes a list of groups, ( { NAME = \"...\"; }, ... ), or the same as JSON in "
                    "double quotes");
    ASSERT_MISTAKES(l, "clients = { host = \"hush\"; };",
                    "main.conf:3" CLIENTS
                    "takes a list of groups, ( { NAME = \"...\"; }, ... ), or the same as JSON in "
                    "double quotes");
    ASSERT_MISTAKES(l, "clients = ( \"hush\" );",
                    "main.conf:3" CLIENTS "element 1: is no group: write { NAME = \"...\"; }");
    ASSERT_MISTAKES(
        l, "clients = (\n{ host = \"10.1.2.3\"; },\n{\nhost = \"10.1.2.4\";\nhush = 1; });",
        "main.conf:7" CLIENTS "element 2: has an unknown name; it may have host, "
        "network, shared_key, users");
    ASSERT_MISTAKES(l, "clients = ( {\nhost = \"10.1.2.3\";\nshared_key = 12345; } );",
                    "main.conf:5" CLIENTS "element 1: takes texts in double quotes");
    ASSERT_MISTAKES(l, "clients = ( { host = \"10.1.2.3\"; users = \"hush\"; } );",
                    "main.conf:3" CLIENTS "element 1: users takes a list of texts");
    ASSERT_MISTAKES(l, "clients = ( { host = \"10.1.2.3\"; users = (); } );",
                    "main.conf:3" CLIENTS "element 1: users is empty: leave it out");
    ASSERT_MISTAKES(l, "clients = ( { host = \"10.1.2.3\"; users = (\"a\", 5); } );",
                    "main.conf:3" CLIENTS "element 1: takes texts in double quotes");
    ASSERT_MISTAKES(l, "clients = ( { } );", "main.conf:3" CLIENTS "element 1: is empty");
    ASSERT_MISTAKES(l, "users = ( { name = \"alice\"; password = \"hu\\nsh\"; } );",
                    "main.conf:3" USERS "element 1: password holds a control character");
    ASSERT_MISTAKES(l, "users = \"hush\";",
                    "main.conf:3" USERS "is no list of objects in JSON: [ is missing at byte 1");
}

static void test_wrong_places(void **state)
{
    struct loading *l = *state;

    ASSERT_MISTAKES(l, "clients = ( { shared_key = \"hush\"; } );",
                    "main.conf:3" CLIENTS "element 1: needs a host or a network");
    ASSERT_MISTAKES(l, "clients = ( { host = \"10.1.2.3\"; network = \"10.0.0.0/8\"; } );",
                    "main.conf:3" CLIENTS "element 1: needs a host or a network, not both");
    ASSERT_MISTAKES(l, "clients = ( { host = \"hush.example\"; }, { host = \"10.0.0.0/8\"; } );",
                    "main.conf:3" CLIENTS
                    "element 1: host is not an address: names are not looked up here; write "
                    "10.1.2.3 or 2001:db8::7",
                    "main.conf:3" CLIENTS
                    "element 2: host is not an address: names are not looked up here; write "
                    "10.1.2.3 or 2001:db8::7");
    ASSERT_MISTAKES(l, "clients = ( { network = \"10.0.0.0/33\"; } );",
                    "main.conf:3" CLIENTS
                    "element 1: network is none: write an address and the length of its prefix, "
                    "10.0.0.0/8 or 2001:db8::/32");
    ASSERT_MISTAKES(l,
                    "clients = ( { network = \"10.0.0.0/8\"; }, { network = \"10.0.0.0/16\"; },\n"
                    " { network = \"10.0.0.0/8\"; }, { host = \"1.2.3.4\"; }, "
                    "{ network = \"1.2.3.4/32\"; } );",
                    "main.conf:3" CLIENTS "element 3: is the same host or network as element 1",
                    "main.conf:3" CLIENTS "element 5: is the same host or network as element 4");
}

static void test_wrong_users(void **state)
{
    struct loading *l = *state;

    ASSERT_MISTAKES(l, "users = ( { name = \"hush\"; }, { password = \"hush\"; } );",
                    "main.conf:3" USERS "element 1: has no password",
                    "main.conf:3" USERS "element 2: has no name");
    ASSERT_MISTAKES(l,
                    "users = ( { name = \"a\"; password = \"1\"; }, { name = \"b\"; password = "
                    "\"2\"; }, { name = \"a\"; password = \"3\"; } );",
                    "main.conf:3" USERS "element 3: has the same name as element 1");
    ASSERT_MISTAKES(l,
                    "users = ( { name = \"a\"; password = \"1\"; } );\n"
                    "clients = ( { host = \"10.1.2.3\"; users = (\"a\", \"hush\"); },\n"
                    "{ host = \"10.1.2.4\"; users = (\"a\", \"a\"); } );",
                    "main.conf:4" CLIENTS "element 1: its user 2 is not in forward.users",
                    "main.conf:4" CLIENTS "element 2: its users 1 and 2 are the same");
    ASSERT_MISTAKES(l, "clients = ( { host = \"10.1.2.3\"; users = (\"hush\"); } );",
                    "main.conf:3" CLIENTS "element 1: its user 1 is not in forward.users");
    /* What is wrong with the users is not said of the clients too. */
    ASSERT_MISTAKES(l,
                    "users = ( { name = \"a\"; word = \"1\"; } );\n"
                    "clients = ( { host = \"10.1.2.3\"; users = (\"a\"); } );",
                    "main.conf:3" USERS
                    "element 1: has an unknown name; it may have name, password");
}

/* Everybody who is let in has a key. */
static void test_keys_for_all(void **state)
{
    struct loading *l = *state;

    loading_write(l, "main.conf",
                  "forward: { clients = ( { host = \"10.1.2.3\"; } );\n"
                  "allow_unknown_clients = false; };\n");
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf:1" CLIENTS
                           "element 1: has no shared_key, and forward.shared_key is empty");
    loading_write(l, "main.conf",
                  "forward: { clients = ( { host = \"10.1.2.3\"; shared_key = \"k\"; } ); };\n");
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf:1" CLIENTS
                           "needs forward.shared_key for the clients that forward.clients does not "
                           "name, or forward.allow_unknown_clients = false");
    loading_write(l, "main.conf",
                  "forward: { users = ( { name = \"a\"; password = \"p\"; } ); };\n");
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf:1" USERS
                           "needs forward.shared_key for the clients that forward.clients does not "
                           "name, or forward.allow_unknown_clients = false");
    loading_write(l, "main.conf", "forward: { allow_unknown_clients = false; };\n");
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf:1: error: forward.allow_unknown_clients: is false, and "
                           "forward.clients is empty: nobody could send");
}

/* In production, off loopback, keys of the clients are as good as the common one. */
static void test_production_takes_keys_of_clients(void **state)
{
    struct loading *l = *state;
    struct access *access;
    char text[128];

    l->environment[0] = "NODE_ENV=production";
    l->environment[1] = "DASH0_API_KEY=k";
    loading_write(l, "main.conf",
                  "forward: { clients = ( { host = \"10.1.2.3\"; shared_key = \"k\"; } );\n"
                  "allow_unknown_clients = false; };\n");
    access = loaded(l);
    loading_assert_silent(l);
    assert_false(access_is_open(access));
    assert_string_equal(access_describe(access, text, sizeof(text)),
                        "without forward.shared_key, 1 clients in forward.clients and no others, "
                        "0 users");
    ASSERT_KEY(access, "10.1.2.3", "k");
    ASSERT_KEY(access, "10.1.2.4", "-");
    ASSERT_KEY(access, "::1", "-");
    access_free(&access);
    loading_write(l, "main.conf", "forward: { clients = (); };\n");
    assert_int_equal(loading_run(l), -EINVAL);
    assert_non_null(strstr(l->report, "forward.shared_key"));
}

static void test_warnings(void **state)
{
    struct loading *l = *state;

    loading_write(
        l, "main.conf",
        "forward: { shared_key = \"k\";\nclients = ( { network = \"10.1.2.3/8\"; } ); };\n");
    assert_int_equal(loading_run(l), 0);
    loading_assert_line(l, "main.conf:2: warning: forward.clients: element 1: the bits of network "
                           "behind its prefix do not count");
    assert_int_equal(l->warnings, 1);
}

static void test_a_public_file_with_a_list(void **state)
{
    struct loading *l = *state;
    char command[256];

    loading_write(l, "main.conf", whole_file);
    snprintf(command, sizeof(command), "chmod o+r %s", l->path);
    assert_int_equal(system(command), 0);
    assert_int_equal(loading_run(l), 0);
    assert_int_equal(l->warnings, 3); /* the key and both lists */
}

static void test_open_without_keys(void **state)
{
    struct access *access = loaded(*state);

    assert_true(access_is_open(access));
    assert_false(access_asks_user(access));
    ASSERT_KEY(access, "10.1.2.3", "");
    access_free(&access);
    access_free(&access);
}

/* Lists are secrets: from the command line they are refused, in a dump they do not show. */
static void test_lists_are_secrets(void **state)
{
    struct loading *l = *state;

    l->sets[l->set_count++] = "forward.users=[{\"name\":\"alice\",\"password\":\"hush\"}]";
    assert_int_equal(loading_run(l), -EINVAL);
    assert_non_null(strstr(l->report, "a secret is not taken from the command line"));
    assert_null(strstr(l->report, "hush"));
    assert_true(option_is_secret(OPT_FORWARD_CLIENTS) && option_is_secret(OPT_FORWARD_USERS));
    assert_true(option_is_reloadable(OPT_FORWARD_CLIENTS));
    assert_true(option_is_reloadable(OPT_FORWARD_USERS));
    assert_true(option_is_reloadable(OPT_FORWARD_ALLOW_UNKNOWN_CLIENTS));
}

/* A name is as long as it is: no longer one and no shorter one is it. */
static void test_names_of_all_lengths(void **state)
{
    struct loading *l = *state;
    struct access_grant grant = {0};
    struct access *access;
    struct slice password;
    char file[1024], name[300];

    memset(name, 'n', sizeof(name));
    snprintf(
        file, sizeof(file),
        "forward: { shared_key = \"k\"; users = ( { name = \"%.255s\"; password = \"p\"; } ); };",
        name);
    loading_write(l, "main.conf", file);
    access = loaded(l);
    assert_true(access_password(access, &grant, slice_of(name, 255), &password));
    assert_false(access_password(access, &grant, slice_of(name, 254), &password));
    assert_false(access_password(access, &grant, slice_of(name, 256), &password));
    assert_false(access_password(access, &grant, slice_of(name, 300), &password));
    name[254] = '\0';
    assert_false(access_password(access, &grant, slice_of(name, 255), &password));
    assert_false(access_password(access, &grant, slice_of(NULL, 0), &password));
    access_free(&access);
    memset(name, 'n', sizeof(name));
    snprintf(
        file, sizeof(file),
        "forward: { shared_key = \"k\"; users = ( { name = \"%.256s\"; password = \"p\"; } ); };",
        name);
    loading_write(l, "main.conf", file);
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf:1" USERS "element 1: its name has more than 255 bytes");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, loading_setup, loading_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_groups_in_the_file),
        TEST(test_json_in_the_environment),
        TEST(test_json_in_files_of_the_environment),
        TEST(test_json_in_the_file),
        TEST(test_one_list_in_two_ways_is_equal),
        TEST(test_reload_keeps_wiped_lists),
        TEST(test_wrong_groups),
        TEST(test_wrong_places),
        TEST(test_wrong_users),
        TEST(test_keys_for_all),
        TEST(test_production_takes_keys_of_clients),
        TEST(test_warnings),
        TEST(test_a_public_file_with_a_list),
        TEST(test_open_without_keys),
        TEST(test_lists_are_secrets),
        TEST(test_names_of_all_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
