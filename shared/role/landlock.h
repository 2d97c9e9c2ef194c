/*
 * landlock: the kernel's Landlock by raw system calls, with constants of our own, because the
 * headers to build with may be older than the kernel to run on. Used by confine.c only.
 *
 * Rights that the running kernel does not know are left out: the ABI is asked for at run time.
 */
#ifndef SHARED_ROLE_LANDLOCK_H
#define SHARED_ROLE_LANDLOCK_H

#include <stdbool.h>

#include "shared/base/err.h"

/* 0: none (not built in, or switched off). */
unsigned landlock_abi(void);

/* Handles every right of `abi`; with allow_connect TCP connects stay free. *ret_fd: the ruleset. */
int landlock_new(unsigned abi, bool allow_connect, int *ret_fd, struct err *err);

/* Allows what is below `path`. -ENOENT where it does not exist. */
int landlock_allow(int fd, unsigned abi, const char *path, bool writable, struct err *err);

/* Puts the calling thread under it. Needs no_new_privs. */
int landlock_enforce(int fd, struct err *err);

#endif
