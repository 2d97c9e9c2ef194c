#include "supervisor/command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

enum { FIRST_ID = 256 }; /* above every letter */

enum command_line_id {
    BEFORE_FIRST = FIRST_ID - 1,
#define COMMAND_LINE(ID, letter, name, argument, help) ID_##ID,
#include "shared/options/command_line.def"
#undef COMMAND_LINE
    END_OF_IDS
};

static const struct row {
    char letter;
    const char *name, *argument;
} rows[] = {
#define COMMAND_LINE(ID, short_form, long_form, what, help) {short_form, long_form, what},
#include "shared/options/command_line.def"
#undef COMMAND_LINE
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int take(struct command_line *command, int id, const char *argument)
{
    switch (id) {
    case ID_CONFIG:
        command->config = argument;
        return 0;
    case ID_SET:
        command->sets[command->set_count++] = argument;
        return 0;
    case ID_CHECK_CONFIG:
        command->check_config = true;
        return 0;
    case ID_SHOW_CONFIG:
        command->show_config = true;
        return 0;
    case ID_HELP:
        command->help = true;
        return 0;
    case ID_VERSION:
        command->version = true;
        return 0;
    default:
        return -EINVAL;
    }
}

/* getopt's tables, made from ours. */
static void fill(struct option options[ROWS + 1], char letters[2 * ROWS + 2])
{
    size_t n = 0;

    letters[n++] = ':';
    for (size_t i = 0; i < ROWS; i++) {
        options[i] = (struct option){
            .name = rows[i].name,
            .has_arg = rows[i].argument != NULL ? required_argument : no_argument,
            .val = FIRST_ID + (int)i,
        };
        if (rows[i].letter == 0)
            continue;
        letters[n++] = rows[i].letter;
        if (rows[i].argument != NULL)
            letters[n++] = ':';
    }
    letters[n] = '\0';
}

static int id_of_letter(int letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter != 0 && rows[i].letter == letter)
            return FIRST_ID + (int)i;
    return letter;
}

int command_line_parse(int argc, char **argv, struct command_line *ret_command, struct err *err)
{
    struct command_line command = {0};
    struct option options[ROWS + 1] = {0};
    char letters[2 * ROWS + 2];
    int id;

    command.sets = calloc((size_t)argc + 1, sizeof(*command.sets));
    if (command.sets == NULL)
        return err_set(err, ENOMEM, "out of memory");
    fill(options, letters);
    opterr = 0;
    optind = 1;
    while ((id = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (take(&command, id_of_letter(id), optarg) == 0)
            continue;
        err_set(err, EINVAL, id == ':' ? "%s needs an argument" : "unknown option %s",
                argv[optind - 1]);
        command_line_fini(&command);
        return -EINVAL;
    }
    if (optind < argc) {
        err_set(err, EINVAL, "unexpected argument %s", argv[optind]);
        command_line_fini(&command);
        return -EINVAL;
    }
    *ret_command = command;
    return 0;
}

void command_line_fini(struct command_line *command)
{
    free(command->sets);
    command->sets = NULL;
    command->set_count = 0;
}
