#include "shared/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

static void test_texts(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(err_set(&err, EINVAL, "bad %d", 5), -EINVAL);
    assert_string_equal(err.text, "bad 5");
    assert_int_equal(err_errno(&err, ENOENT, "cannot open %s", "x"), -ENOENT);
    assert_string_equal(err.text, "cannot open x: No such file or directory");
    err_prefix(&err, "lane %d", 3);
    assert_string_equal(err.text, "lane 3: cannot open x: No such file or directory");
}

static void test_null_takes_the_number_only(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, EIO, "x"), -EIO);
    assert_int_equal(err_errno(NULL, EIO, "x"), -EIO);
    err_prefix(NULL, "x");
}

static void test_long_texts_are_cut(void **state)
{
    struct err err = {0};
    char word[600];

    (void)state;
    memset(word, 'w', sizeof(word));
    word[599] = '\0';
    err_set(&err, EIO, "%s", word);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
    err_errno(&err, EIO, "%s", word);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
    err_prefix(&err, "%s", word);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_null_takes_the_number_only),
        cmocka_unit_test(test_long_texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
