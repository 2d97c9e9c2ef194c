/*
 * leftover: lanes that no processor owns any more, because processor.count was lowered. Processor 0
 * recovers each and publishes its lane page once, so that the shipper delivers it to its end.
 */
#ifndef PROCESSOR_LEFTOVER_H
#define PROCESSOR_LEFTOVER_H

#include "shared/base/err.h"
#include "shared/ipc/lane_page.h"
#include "shared/journal/disk.h"

#include <stdint.h>

/*
 * Recovers `lane` in `disk`, unless its page is published already (by a predecessor of this
 * process). 0 or -errno.
 */
int leftover_recover(struct disk *disk, struct disk *quarantine, struct lane_page *page,
                     uint64_t segment_bytes, struct err *err);

#endif
