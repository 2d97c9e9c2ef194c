/*
 * child_exit: an exit in words, for the log and for status. Pure.
 */
#ifndef SUPERVISOR_CHILD_EXIT_H
#define SUPERVISOR_CHILD_EXIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child_exit {
    int code;               /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
    int status;             /* exit status or signal */
    bool oom;               /* the kernel has just killed for lack of memory */
    const char *killed_why; /* our own SIGKILL and its reason, or NULL */
    const char *said;       /* what the stage said before, or "" */
};

/*
 * "exit status 111 (environment): cannot open …", "signal SEGV", "signal KILL: out of memory",
 * "signal KILL: computed for 30 s without a sign of life". Cut to size; returns text.
 */
const char *child_exit_text(const struct child_exit *exit, char *text, size_t size);

#endif
