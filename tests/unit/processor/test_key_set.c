/* The set of keys, and the one-probe table of names. */
#include "processor/key_set.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int add(struct key_set *set, const char *key)
{
    struct slice s = slice_string(key);

    return key_set_add(set, s, name_word_of(s).mixed);
}

/* Every size, around the limit between array and table too. */
static void keys_are_found(void **state)
{
    static char keys[5000][24];
    struct key_set set;

    (void)state;
    key_set_init(&set);
    for (int i = 0; i < 5000; i++)
        snprintf(keys[i], sizeof(keys[i]), i % 2 ? "same%06dsame" : "%d", i);
    for (size_t n = 1; n <= 5000; n = n < 140 ? n + 1 : n * 3) {
        key_set_clear(&set);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(add(&set, keys[i]), 1);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(add(&set, keys[i]), 0);
    }
    key_set_fini(&set);
}

static void names_for_duplicates(void **state)
{
    struct key_set set;
    struct slice key = SLICE_LITERAL("k"), name;
    uint64_t hash = name_word_of(key).mixed;
    char want[24];

    (void)state;
    key_set_init(&set);
    for (int round = 0; round < 3; round++) {
        key_set_clear(&set);
        assert_int_equal(add(&set, "k"), 1);
        assert_int_equal(add(&set, "k#5"), 1);
        for (int i = 2; i < 3000; i++) {
            assert_int_equal(add(&set, "k"), 0);
            assert_int_equal(key_set_rename(&set, key, hash, &name), 0);
            /* 5 is taken */
            snprintf(want, sizeof(want), "k#%d", i < 5 ? i : i + 1);
            assert_true(slice_is(name, want));
        }
        assert_int_equal(add(&set, "k#2"), 0);
    }
    key_set_fini(&set);
}

static void the_table_of_names(void **state)
{
    static const struct name_row good[] = {{"a", 1, 7},
                                           {"ab", 1, 8},
                                           {"abc", 2, 9},
                                           {"abcdefgh", 2, 10},
                                           {"abcdefghi", 2, 11},
                                           {"abcdefgh01234567", 2, 12},
                                           {"logging.googleapis.com/trace", 3, 13},
                                           {NULL, 0, 0}};
    static const struct name_row twice[] = {{"a", 1, 0}, {"a", 1, 0}, {NULL, 0, 0}};
    static struct name_table table;
    const struct name_rows lists[] = {{good}}, bad[] = {{twice}};
    static const char *const others[] = {"",
                                         "b",
                                         "aa",
                                         "ac",
                                         "abcdefghj",
                                         "logging.googleapis.net/trace",
                                         "logging.googleapis.com/tracE"};

    (void)state;
    assert_int_equal(name_table_init(&table, lists, 1), 0);
    for (const struct name_row *row = good; row->name != NULL; row++) {
        struct slice s = slice_string(row->name);
        struct name_word w = name_word_of(s);
        const struct name_slot *slot = name_table_find(&table, s, &w);

        assert_non_null(slot);
        assert_int_equal(slot->kind, row->kind);
        assert_int_equal(slot->value, row->value);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct slice s = slice_string(others[i]);
        struct name_word w = name_word_of(s);

        assert_null(name_table_find(&table, s, &w));
    }
    assert_int_equal(name_table_init(&table, bad, 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found),
        cmocka_unit_test(names_for_duplicates),
        cmocka_unit_test(the_table_of_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
