/*
 * lane_removal: takes a lane that no processor owns any more, and that every output has delivered
 * to its end, off the disk.
 *
 * The order is what makes a crash at any point harmless: first the segments, for certain; then the
 * cursors, which say that nothing of them is to be delivered; the folder last. What is left of it
 * is found at the next start, recovered as a lane without a batch, and removed again.
 *
 * The lane's lock goes with it. It is the supervisor's that started this process, and no other can
 * start while this process holds the data directory's lock.
 */
#ifndef SHIPPER_LANE_REMOVAL_H
#define SHIPPER_LANE_REMOVAL_H

#include "shared/base/err.h"
#include "shared/journal/disk.h"

#include <stdint.h>

struct lane_removal {
    struct disk *lanes;          /* the folder of all lanes' folders */
    struct disk *lane;           /* this one's */
    const char *path;            /* of the lane's folder */
    uint32_t number;             /* the lane's */
    struct disk *const *cursors; /* the outputs' folders */
    unsigned cursor_count;
};

/*
 * 0; or -errno: something is still there, another call goes on. What is no segment and no lock is
 * not removed: -ENOTEMPTY, and nothing but the folder with it is left. ret_removed: segments.
 */
int lane_removal(const struct lane_removal *removal, unsigned *ret_removed, struct err *err);

#endif
