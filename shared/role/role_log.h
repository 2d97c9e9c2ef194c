/*
 * role_log: opens the log of a process as log.level and log.format say. For stages and sluiced.
 */
#ifndef SHARED_ROLE_ROLE_LOG_H
#define SHARED_ROLE_ROLE_LOG_H

#include "shared/options/options.h"

/* `name` is borrowed for ever. "auto" means text in development, else what log.h says. */
void role_log_open(const char *name, unsigned index, const struct options *options);

/* After a reload: the level only, the format stays until a restart. */
void role_log_reload(const struct options *options);

#endif
