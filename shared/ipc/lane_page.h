/*
 * lane_page: publishes and reads how far a lane is durable. Layout: lane_page_layout.h.
 *
 * One writer, many readers. A reader never sees a torn state: it takes the valid slot with the
 * higher generation, and the writer only ever overwrites the other one.
 */
#ifndef SHARED_IPC_LANE_PAGE_H
#define SHARED_IPC_LANE_PAGE_H

#include "shared/base/err.h"
#include "shared/ipc/lane_page_layout.h"

#include <stdbool.h>

struct lane_page;

/* What the page says; the caller's own copy. */
struct lane_state {
    uint64_t segment, end, next_sequence, records;
    uint64_t ring_identity[LANE_PAGE_RINGS];
    uint64_t consumer[LANE_PAGE_RINGS];
    uint64_t replies[LANE_PAGE_RINGS];
};

/* Supervisor: makes the sealed memfd. *ret_fd is the caller's, *ret_readonly_fd too (O_RDONLY). */
int lane_page_create(uint32_t lane, int *ret_fd, int *ret_readonly_fd, struct err *err);

/* Maps it. `writable` where fd is. Borrows fd during the call. */
int lane_page_open(int fd, bool writable, struct lane_page **ret_page, struct err *err);
void lane_page_close(struct lane_page **page);

uint32_t lane_page_lane(const struct lane_page *page);

/* False: nothing was published yet (a cold start whose recovery has not finished). O(1). */
bool lane_page_read(const struct lane_page *page, struct lane_state *ret_state);

/* Publishes; the caller has synced what it claims. */
void lane_page_publish(struct lane_page *page, const struct lane_state *state);

#endif
