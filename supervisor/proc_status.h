/*
 * proc_status: what /proc/PID/status says of a process's confinement.
 */
#ifndef SUPERVISOR_PROC_STATUS_H
#define SUPERVISOR_PROC_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_status {
    bool known; /* false: the process or /proc is not there */
    bool no_new_privs;
    bool seccomp;          /* filter mode */
    uint64_t capabilities; /* effective and permitted */
    uint64_t bounding;
    unsigned uid;
};

struct proc_status proc_status_read(pid_t pid);

/* Whether any process that can be seen has this command name (its first 15 bytes). */
bool proc_status_any_named(const char *name);

#endif
