/*
 * status_report: everything that sluiced knows of itself and its stages, as JSON. What confinement
 * is in force comes from /proc/PID/status, not from what the stage says (but for Landlock, which
 * the kernel shows nowhere).
 */
#ifndef SUPERVISOR_STATUS_REPORT_H
#define SUPERVISOR_STATUS_REPORT_H

#include "supervisor/supervisor.h"

/* The caller frees. NULL: out of memory. Never holds a secret. */
char *status_report_json(const struct supervisor *supervisor, const char *last_reload);

#endif
