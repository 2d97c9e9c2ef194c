/*
 * command_line: sluiced's arguments, after the table shared/options/command_line.def.
 */
#ifndef SUPERVISOR_COMMAND_LINE_H
#define SUPERVISOR_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"

struct command_line {
    const char *config; /* borrowed from argv; NULL: the installed place */
    const char **sets;  /* owned array of borrowed texts */
    size_t set_count;
    bool check_config, show_config, help, version;
};

/* Returns 0, -EINVAL with the reason, -ENOMEM. */
int command_line_parse(int argc, char **argv, struct command_line *ret_command, struct err *err);
void command_line_fini(struct command_line *command);

#endif
