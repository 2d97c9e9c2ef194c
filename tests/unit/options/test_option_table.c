#include "shared/options/option_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "shared/options/option_value.h"

#define EACH(id) (unsigned id = 0; id < OPT_COUNT; id++)

static void test_defaults_are_valid(void **state)
{
    (void)state;
    for
        EACH(id)
        {
            const struct option_row *row = option_row(id);
            struct err err = {0};
            uint64_t number;

            if (option_value_check(row, slice_string(row->fallback), &number, &err) < 0)
                fail_msg("%s: %s", row->path, err.text);
        }
}

static void test_rows_are_complete(void **state)
{
    (void)state;
    for
        EACH(id)
        {
            const struct option_row *row = option_row(id);
            size_t n = strlen(row->path);

            assert_in_range(n, 1, OPTION_NAME_BYTES - 16);
            for (size_t i = 0; i < n; i++)
                assert_true(islower((unsigned char)row->path[i]) || row->path[i] == '_' ||
                            row->path[i] == '.');
            /* One level of groups; no group is an option too. */
            assert_ptr_equal(strchr(row->path, '.'), strrchr(row->path, '.'));
            assert_false(option_is_group(row->path));
            assert_true(strlen(row->help) > 10);
            assert_int_equal(row->help[strlen(row->help) - 1], '.');
            assert_true(row->min <= row->max);
            assert_int_equal(row->type == OPTION_TYPE_CHOICE || row->type == OPTION_TYPE_LIST,
                             row->words != NULL);
            /* A secret without a role reaches nobody; and it is text. Lists are not shown yet. */
            if (option_is_secret(id))
                assert_true(option_roles(id) != 0 &&
                            (row->type == OPTION_TYPE_STRING || row->type == OPTION_TYPE_LIST));
            else
                assert_int_not_equal(row->type, OPTION_TYPE_LIST);
            assert_false(option_is_fixed(id) && option_is_reloadable(id));
        }
}

static void test_names_are_unique(void **state)
{
    char a[OPTION_NAME_BYTES], b[OPTION_NAME_BYTES];

    (void)state;
    for
        EACH(i)
        {
            option_variable(i, a);
        for
            EACH(k)
            {
                const char *alias = option_row(k)->alias;

                if (alias != NULL)
                    assert_string_not_equal(a, alias);
                if (k == i)
                    continue;
                option_variable(k, b);
                assert_string_not_equal(option_path(i), option_path(k));
                assert_string_not_equal(a, b);
                if (alias != NULL && option_row(i)->alias != NULL)
                    assert_string_not_equal(alias, option_row(i)->alias);
            }
        }
}

/* The variables that the service which Sluice replaces was deployed with. */
static void test_old_variables_are_there(void **state)
{
    static const char *const names[] = {"NODE_ENV",          "SERVICE_NAME",        "HOSTNAME",
                                        "DASH0_API_KEY",     "DASH0_LOGS_ENDPOINT", "DASH0_DATASET",
                                        "FLUENTD_SHARED_KEY"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bool found = false;

        for
            EACH(id)
        found |= option_row(id)->alias != NULL && strcmp(option_row(id)->alias, names[i]) == 0;
        if (!found)
            fail_msg("no option takes %s", names[i]);
    }
}

static void test_look_up(void **state)
{
    char name[OPTION_NAME_BYTES];
    enum option_id id;

    (void)state;
    assert_int_equal(option_by_path("forward.port", &id), 0);
    assert_int_equal(id, OPT_FORWARD_PORT);
    assert_string_equal(option_path(id), "forward.port");
    assert_int_equal(option_by_path("forward", &id), -ENOENT);
    assert_int_equal(option_by_path("", &id), -ENOENT);
    option_variable(OPT_FORWARD_SHARED_KEY, name);
    assert_string_equal(name, "SLUICE_FORWARD_SHARED_KEY");
    assert_true(option_is_group("forward"));
    assert_false(option_is_group("forwar"));
}

static void assert_nearest(const char *word, enum option_id wanted)
{
    enum option_id id = OPT_COUNT;

    assert_int_equal(option_nearest(word, &id), 0);
    if (id != wanted)
        fail_msg("%s: %s suggested", word, option_path(id));
}

static void test_suggestions(void **state)
{
    enum option_id id;
    char word[300];

    (void)state;
    assert_nearest("forward.prot", OPT_FORWARD_PORT);
    assert_nearest("foward.port", OPT_FORWARD_PORT);
    assert_nearest("FORWARD_PRT", OPT_FORWARD_PORT);
    assert_nearest("port", OPT_FORWARD_PORT);
    /* One swap, where two wrong letters would be too many. */
    assert_nearest("usre", OPT_USER);
    assert_nearest("datadir", OPT_DATA_DIR);
    assert_nearest("data-dir", OPT_DATA_DIR);
    assert_nearest("otlp.apikey", OPT_OTLP_API_KEY);
    assert_nearest("journal.segmentsize", OPT_JOURNAL_SEGMENT_SIZE);
    assert_int_equal(option_nearest("colour", &id), -ENOENT);
    assert_int_equal(option_nearest("x", &id), -ENOENT);
    assert_int_equal(option_nearest("", &id), -ENOENT);
    memset(word, 'w', sizeof(word));
    word[299] = '\0';
    assert_int_equal(option_nearest(word, &id), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_valid),
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_old_variables_are_there),
        cmocka_unit_test(test_look_up),
        cmocka_unit_test(test_suggestions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
