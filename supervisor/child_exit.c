#include "supervisor/child_exit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "shared/role/exit.h"

static const struct {
    int status;
    const char *name;
} names[] = {
    {EXIT_ASKED, "asked to stop"}, {EXIT_CONFIG, "configuration"},    {EXIT_MISUSE, "misuse"},
    {EXIT_PANIC, "panic"},         {EXIT_ENVIRONMENT, "environment"},
};

static const char *status_name(int status)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].status == status)
            return names[i].name;
    return NULL;
}

const char *child_exit_text(const struct child_exit *exit, char *text, size_t size)
{
    const char *name;

    if (exit->code == CLD_EXITED) {
        name = status_name(exit->status);
        snprintf(text, size, "exit status %d%s%s%s%s%s", exit->status, name != NULL ? " (" : "",
                 name != NULL ? name : "", name != NULL ? ")" : "",
                 exit->said[0] != '\0' ? ": " : "", exit->said);
        for (char *c = text; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
        return text;
    }
    name = sigabbrev_np(exit->status);
    if (name == NULL)
        snprintf(text, size, "signal %d", exit->status);
    else if (exit->killed_why != NULL)
        snprintf(text, size, "signal %s: %s", name, exit->killed_why);
    else if (exit->status == SIGKILL)
        snprintf(text, size, "signal %s: %s", name, exit->oom ? "out of memory" : "from outside");
    else if (exit->status == SIGSYS)
        snprintf(text, size, "signal %s: a forbidden system call", name);
    else
        snprintf(text, size, "signal %s", name);
    return text;
}
