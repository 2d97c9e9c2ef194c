/*
 * options_internal: how the sources put values into struct options. Only for shared/options.
 */
#ifndef SHARED_OPTIONS_OPTIONS_INTERNAL_H
#define SHARED_OPTIONS_OPTIONS_INTERNAL_H

#include "shared/options/option_table.h"

/*
 * Checks and sets one value. A mistake goes into the report, marks the option as broken and leaves
 * its value: the checks of what options mean together then skip it. The place is copied.
 */
void options_assign(struct options *options, enum option_id id, struct slice text,
                    enum option_origin origin, struct option_place place,
                    struct option_report *report);

/* As options_assign, for text as a person wrote it: of a LIST, JSON. */
void options_assign_written(struct options *options, enum option_id id, struct slice text,
                            enum option_origin origin, struct option_place place,
                            struct option_report *report);

/* A mistake about an option whose text could not even be read. */
void options_mark_broken(struct options *options, enum option_id id);
bool options_is_broken(const struct options *options, enum option_id id);

/* Sets an effective value that follows from others; the origin stays. -ENOMEM, -EINVAL. */
int options_fill(struct options *options, enum option_id id, const char *text);

/* Where the value stands, for messages; .place is NULL for a default. Borrowed. */
struct option_place options_place(const struct options *options, enum option_id id);

/* All values came from a snapshot. */
void options_mark_snapshot(struct options *options);

/* The value as text; of a secret "(set)" or "(not set)". Returns `text` or a borrowed string. */
const char *options_show(const struct options *options, enum option_id id, char *text, size_t size);

/* The sources, in their order. What is wrong goes into the report. -EINVAL: the file could not be
 * read as a whole, so that checks of the rest would only mislead. */
int options_file_load(struct options *options, const char *path, bool may_be_missing,
                      struct option_report *report);
void options_environment_load(struct options *options, char *const *environment,
                              struct option_report *report);
void options_environment_set(struct options *options, const char *argument,
                             struct option_report *report);

/* Fills in what follows from others. 0 or -ENOMEM. */
int options_check_fill(struct options *options);
/* What options mean together. 0 or -ENOMEM. */
int options_check(const struct options *options, struct option_report *report);

#endif
