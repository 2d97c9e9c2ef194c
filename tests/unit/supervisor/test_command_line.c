#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/command_line.h"

static int parse(struct command_line *command, struct err *err, ...)
{
    char *argv[16] = {(char *)(uintptr_t) "sluiced"};
    int argc = 1;
    va_list args;

    va_start(args, err);
    while ((argv[argc] = va_arg(args, char *)) != NULL)
        argc++;
    va_end(args);
    return command_line_parse(argc, argv, command, err);
}

static void test_good(void **state)
{
    struct command_line command;
    struct err err;

    (void)state;
    assert_int_equal(parse(&command, &err, NULL), 0);
    assert_null(command.config);
    assert_int_equal(command.set_count, 0);
    command_line_fini(&command);
    assert_int_equal(parse(&command, &err, "--config", "/x", "--set", "a=1", "--set=b=2", "-s",
                           "c=3", "--check-config", NULL),
                     0);
    assert_string_equal(command.config, "/x");
    assert_int_equal(command.set_count, 3);
    assert_string_equal(command.sets[0], "a=1");
    assert_string_equal(command.sets[1], "b=2");
    assert_string_equal(command.sets[2], "c=3");
    assert_true(command.check_config);
    assert_false(command.show_config || command.help || command.version);
    command_line_fini(&command);
    assert_int_equal(parse(&command, &err, "-h", NULL), 0);
    assert_true(command.help);
    command_line_fini(&command);
    assert_int_equal(parse(&command, &err, "--version", "--show-config", NULL), 0);
    assert_true(command.version && command.show_config);
    command_line_fini(&command);
}

static void test_bad(void **state)
{
    struct command_line command;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse(&command, &err, "--colour", NULL), -EINVAL);
    assert_non_null(strstr(err.text, "--colour"));
    assert_int_equal(parse(&command, &err, "--config", NULL), -EINVAL);
    assert_non_null(strstr(err.text, "needs an argument"));
    assert_int_equal(parse(&command, &err, "/etc/x", NULL), -EINVAL);
    assert_non_null(strstr(err.text, "/etc/x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests_name("command_line", tests, NULL, NULL);
}
