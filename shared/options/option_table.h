/*
 * option_table: options.def as data, and names to look an option up by. For the other modules of
 * shared/options; everybody else asks options.h.
 */
#ifndef SHARED_OPTIONS_OPTION_TABLE_H
#define SHARED_OPTIONS_OPTION_TABLE_H

#include "shared/options/options.h"

enum option_type {
    OPTION_TYPE_BOOL,
    OPTION_TYPE_INT,
    OPTION_TYPE_SIZE,
    OPTION_TYPE_TIME,
    OPTION_TYPE_STRING,
    OPTION_TYPE_PATH,
    OPTION_TYPE_CHOICE,
    OPTION_TYPE_LIST,
};

enum option_flag {
    OPTION_SECRET = 1 << 0,
    OPTION_RELOAD = 1 << 1,
    OPTION_FIXED = 1 << 2,
};

struct option_row {
    const char *path;
    const char *fallback; /* the default, as text */
    const char *words;    /* of CHOICE, "a|b|c"; of LIST, the names in an element: option_list.h */
    const char *alias;    /* one more environment variable, or NULL */
    const char *help;
    uint64_t min;
    uint64_t max;
    enum option_type type;
    unsigned roles;
    unsigned flags;
};

#define OPTION_NAME_BYTES 64 /* room for a path or a variable name with its NUL */

const struct option_row *option_row(enum option_id id);

/* "SLUICE_FORWARD_PORT" of "forward.port". */
void option_variable(enum option_id id, char ret_name[OPTION_NAME_BYTES]);

/*
 * The option whose path is most like the word ("forward.prot", "fowardport", "port"), or -ENOENT
 * where none is near enough to be worth a suggestion. O(rows * length²).
 */
int option_nearest(const char *word, enum option_id *ret_id);

/* Is it the name of a group ("forward")? */
bool option_is_group(const char *path);

#endif
