/*
 * option_group: the options in the order in which people read them: those without a group first,
 * then group by group. For what is written from the table.
 */
#ifndef SHARED_OPTIONS_OPTION_GROUP_H
#define SHARED_OPTIONS_OPTION_GROUP_H

#include "shared/options/option_table.h"

struct option_ordered {
    enum option_id ids[OPT_COUNT];
};

struct option_ordered option_group_order(void);

/* "forward" of "forward.port"; empty for an option without a group. */
struct slice option_group_of(enum option_id id);

/* "port" of "forward.port". */
const char *option_group_member(enum option_id id);

/* What it takes, in words: "a time, 100ms to 10m", "gzip, zstd or none". Returns `text`. */
const char *option_group_takes(enum option_id id, char *text, size_t size);

/* How the default stands in a configuration file: 24224, "16M", true. Returns `text`. */
const char *option_group_default(enum option_id id, char *text, size_t size);

#endif
