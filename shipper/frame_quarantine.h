/*
 * frame_quarantine: keeps a frame that an output cannot read, as it stands in the journal, as a file
 * in data_dir/quarantine. Its bytes had the right checksum: it was made wrongly. For the kinds of
 * output.
 *
 * The same frame gets the same name, whichever output meets it: it is kept once.
 */
#ifndef SHIPPER_FRAME_QUARANTINE_H
#define SHIPPER_FRAME_QUARANTINE_H

#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/journal/disk.h"
#include "shared/options/options.h"
#include "shipper/parcel.h"

/* Opens, or makes, the folder. For the privileged phase. */
int frame_quarantine_open(const struct options *options, struct disk **ret_folder, struct err *err);

/*
 * Writes and syncs frame `index` of the parcel, and logs it: `output` is the name of who could not
 * read it, `why` its words. 0, or -errno: it is not kept, and must not count as done.
 */
int frame_quarantine(struct disk *folder, const char *output, const struct parcel *parcel,
                     uint32_t index, const char *why, struct err *err);

#endif
