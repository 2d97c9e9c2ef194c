/*
 * reload: SIGHUP and `sluicectl reload`. Reads all sources again and validates them before anything
 * is touched: a bad configuration never stops a running service. What is refused is logged with
 * file, line and option, and shown in status until the next reload.
 */
#ifndef SUPERVISOR_RELOAD_H
#define SUPERVISOR_RELOAD_H

#include "shared/options/options.h"
#include "supervisor/supervisor.h"

struct reload;

/* Both borrowed until reload_free. */
int reload_new(struct supervisor *supervisor, const struct options_sources *sources,
               struct reload **ret_reload);
void reload_free(struct reload **reload);

/*
 * Reloads now. Returns 0, and `done` (may be NULL) is called when the stages that had to be
 * restarted are back; -EBUSY and -EINVAL with the reason otherwise.
 */
int reload_run(struct reload *reload, supervisor_restarted *done, void *data, struct err *err);

/* As reload_run, tried again while stages are being restarted. For SIGHUP. */
void reload_soon(struct reload *reload);

/* "", or what became of the last one. */
const char *reload_last(const struct reload *reload);

#endif
