/*
 * stage: the table of stages: what sluiced starts, how many of each, in which order.
 */
#ifndef SUPERVISOR_STAGE_H
#define SUPERVISOR_STAGE_H

#include "shared/options/options.h"

#define STAGE_INSTANCES_MAX 8u

enum stage_id { STAGE_RECEIVER, STAGE_PROCESSOR, STAGE_SHIPPER, STAGE_COUNT };

struct stage_row {
    const char *name;       /* the role's, as in the confinement table */
    const char *executable; /* below libexec_dir, and below the build tree's folder `name` */
    char metric_letter;     /* in metrics.def */
    unsigned option_role;
    enum option_id count_option; /* OPT_COUNT: one */
    unsigned first_slot;         /* of the status page; instances follow */
    /*
     * Receivers start last, so that nothing is taken before it can be stored, and stop first, so
     * that what was taken is stored and delivered.
     */
    unsigned start_step;
    unsigned stop_step;
};

#define STAGE_STEPS 3u

const struct stage_row *stage_row(enum stage_id id);

/* How many the configuration asks for; at most STAGE_INSTANCES_MAX. */
unsigned stage_instances(enum stage_id id, const struct options *options);

/* "receiver" or "receiver.1" to stage and index; *ret_index -1: all of them. -EINVAL. */
int stage_parse(const char *word, enum stage_id *ret_id, int *ret_index);

/*
 * The executable's path: libexec_dir, else the build tree that sluiced stands in
 * (…/supervisor/sluiced, …/receiver/sluice-receiver), else the installed place. The caller frees. NULL: out of memory.
 */
char *stage_executable(enum stage_id id, const struct options *options);

#endif
