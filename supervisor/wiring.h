/*
 * wiring: everything that outlives a stage, and who is given what of it. The rings, lane pages,
 * doors, the status page, the listening sockets and the locks live as long as sluiced; a restarted
 * stage gets the same ones, so it goes on where its predecessor stopped.
 *
 * Which stage gets which descriptor under which name is one table in wiring.c.
 */
#ifndef SUPERVISOR_WIRING_H
#define SUPERVISOR_WIRING_H

#include <stdbool.h>

#include "shared/ipc/channel.h"
#include "shared/ipc/lane_page.h"
#include "shared/ipc/status_page.h"
#include "supervisor/data_dir.h"
#include "supervisor/listeners.h"
#include "supervisor/stage.h"

struct wiring;

/* Fill of a ring. */
struct wiring_ring {
    unsigned receiver, lane;
    uint64_t used_bytes, size_bytes;
    uint64_t waiting_since_ns; /* it holds something, and nothing is taken; 0: not so */
};

/*
 * Makes all of it. The data directory exists and its lock is held; lock_fd is borrowed until
 * wiring_free. -EAGAIN: a lane is locked by another process.
 */
int wiring_new(const struct options *options, const struct spawn_identity *identity, int lock_fd,
               struct wiring **ret_wiring, struct err *err);
void wiring_free(struct wiring **wiring);

/* Sends one instance all its descriptors. Returns 0 or -errno of the channel. */
int wiring_give(const struct wiring *wiring, enum stage_id stage, unsigned index,
                struct channel *channel, struct err *err);

const struct listeners *wiring_listeners(const struct wiring *wiring);
struct status_slot *wiring_slot(const struct wiring *wiring, unsigned slot);

/* To be called about once a second: from it waiting_since_ns is known. */
void wiring_watch_rings(struct wiring *wiring, uint64_t now_ns);

/* One ring after the other: start with *cursor = 0. False: no more. */
bool wiring_next_ring(const struct wiring *wiring, unsigned *cursor, struct wiring_ring *ret_ring);

/* One lane after the other, in rising order. *ret_published false: nothing was published yet. */
bool wiring_next_lane(const struct wiring *wiring, unsigned *cursor, unsigned *ret_lane,
                      bool *ret_published, struct lane_state *ret_state);

#endif
