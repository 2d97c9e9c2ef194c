/*
 * verbs: what sluicectl can ask for, one row of the table in verbs.c each.
 */
#ifndef SUPERVISOR_VERBS_H
#define SUPERVISOR_VERBS_H

#include "supervisor/control.h"
#include "supervisor/reload.h"
#include "supervisor/supervisor.h"

/* The data of verbs_handle. Borrowed. */
struct verbs {
    struct supervisor *supervisor;
    struct reload *reload;
};

/* A control_handler. */
void verbs_handle(void *data, struct control_request *request, const char *const *words,
                  size_t count);

#endif
