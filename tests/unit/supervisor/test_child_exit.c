#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "supervisor/child_exit.h"

static void says(struct child_exit exit, const char *want)
{
    char text[256];

    if (exit.said == NULL)
        exit.said = "";
    assert_string_equal(child_exit_text(&exit, text, sizeof(text)), want);
}

static void test_words(void **state)
{
    (void)state;
    says((struct child_exit){.code = CLD_EXITED}, "exit status 0 (asked to stop)");
    says((struct child_exit){.code = CLD_EXITED, .status = 78}, "exit status 78 (configuration)");
    says((struct child_exit){.code = CLD_EXITED, .status = 100}, "exit status 100 (misuse)");
    says((struct child_exit){.code = CLD_EXITED, .status = 101}, "exit status 101 (panic)");
    says((struct child_exit){.code = CLD_EXITED, .status = 111, .said = "no disk"},
         "exit status 111 (environment): no disk");
    says((struct child_exit){.code = CLD_EXITED, .status = 3}, "exit status 3");
    says((struct child_exit){.code = CLD_DUMPED, .status = SIGSEGV}, "signal SEGV");
    says((struct child_exit){.code = CLD_KILLED, .status = SIGSYS},
         "signal SYS: a forbidden system call");
    says((struct child_exit){.code = CLD_KILLED, .status = SIGKILL}, "signal KILL: from outside");
    says((struct child_exit){.code = CLD_KILLED, .status = SIGKILL, .oom = true},
         "signal KILL: out of memory");
    says((struct child_exit){.code = CLD_KILLED, .status = SIGKILL, .killed_why = "hang"},
         "signal KILL: hang");
    says((struct child_exit){.code = CLD_KILLED, .status = 4711}, "signal 4711");
}

static void test_cut(void **state)
{
    struct child_exit exit = {.code = CLD_EXITED, .status = 111, .said = "a long reason"};
    char text[12];

    (void)state;
    assert_string_equal(child_exit_text(&exit, text, sizeof(text)), "exit status");
}

static void test_crashes(void **state)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    static const int others[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP};

    (void)state;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        assert_true(
            child_exit_is_crash(&(struct child_exit){.code = CLD_DUMPED, .status = crashes[i]}));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(
            child_exit_is_crash(&(struct child_exit){.code = CLD_KILLED, .status = others[i]}));
    assert_true(child_exit_is_crash(&(struct child_exit){.code = CLD_EXITED, .status = 101}));
    assert_false(child_exit_is_crash(&(struct child_exit){.code = CLD_EXITED, .status = 11}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_crashes),
    };

    return cmocka_run_group_tests_name("child_exit", tests, NULL, NULL);
}
