/*
 * confine_seccomp: the system call filter of a role's row. Used by confine.c only.
 *
 * Allowed: a list for all, and lists for what the row says (files, accepts, connects, threads).
 * Everything else fails with EPERM; what only an attacker would call kills the process.
 */
#ifndef SHARED_ROLE_CONFINE_SECCOMP_H
#define SHARED_ROLE_CONFINE_SECCOMP_H

#include "shared/base/err.h"
#include "shared/role/confine_table.h"

/* Loads the filter into the calling process, all its threads. -ENOTSUP where the kernel has none. */
int confine_seccomp_load(const struct confine_row *row, struct err *err);

#endif
