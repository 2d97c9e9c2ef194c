/*
 * reaper: the duty of process 1: to reap processes whose parents died, which the kernel gives to
 * it, without taking sluiced's own children from the event loop.
 *
 * Only for getpid() == 1. The other thing that is different there is that signals with a default
 * disposition do nothing; sluiced takes all that it wants through the event loop.
 */
#ifndef SUPERVISOR_REAPER_H
#define SUPERVISOR_REAPER_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct reaper;

/* is_known: whether a pid is one of our own children. Returns 0 or -errno. */
int reaper_new(sd_event *event, bool (*is_known)(void *data, pid_t pid), void *data,
               struct reaper **ret_reaper);
void reaper_free(struct reaper **reaper);

#endif
