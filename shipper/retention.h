/*
 * retention: removes segments of the journal that every output has passed for certain.
 *
 * "For certain": by cursors that are synced. A segment that is unlinked earlier would be missed
 * after a power cut that takes the cursor back.
 */
#ifndef SHIPPER_RETENTION_H
#define SHIPPER_RETENTION_H

#include "shared/base/err.h"
#include "shipper/source.h"

struct retention;

/* Has readers of its own, so that those of the outputs are not disturbed. Borrows the lanes. */
int retention_new(const struct source_lane *lanes, unsigned count, struct retention **ret_retention,
                  struct err *err);
void retention_free(struct retention **retention);

/*
 * `sequence`: the lowest that an output's durable cursor of the lane names. Cheap where nothing
 * can be removed. Returns 0 and how many were removed, or -errno; the next call tries again.
 */
int retention_pass(struct retention *retention, unsigned lane, uint64_t sequence,
                   unsigned *ret_removed, struct err *err);

/* Bytes of all lanes' segments on the disk. */
uint64_t retention_bytes(struct retention *retention);

#endif
