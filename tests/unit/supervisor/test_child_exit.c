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
    /* A stage that is not itself any more must not speak to the administrator's terminal. */
    says((struct child_exit){.code = CLD_EXITED, .status = 111, .said = "a\x1b[2Jb\nc\x7f"},
         "exit status 111 (environment): a?[2Jb?c?");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests_name("child_exit", tests, NULL, NULL);
}
