#include "shipper/frame_quarantine.h"

#include "shared/base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

int frame_quarantine_open(const struct options *options, struct disk **ret_folder, struct err *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/quarantine", options_string(options, OPT_DATA_DIR));

    if (n < 0 || (size_t)n >= sizeof(path))
        return err_errno(err, ENAMETOOLONG, "data_dir");
    return disk_posix_open(path, true, ret_folder, err);
}

/* Where the frame ends in its lane; with a record where it is a piece of one. */
static void frame_name(const struct parcel *parcel, uint32_t index, char *ret_name, size_t size)
{
    const struct parcel_frame *frame = &parcel->frames[index];
    char piece[16] = "";

    if (frame->end.record > 0)
        snprintf(piece, sizeof(piece), "-%u", frame->end.record);
    snprintf(ret_name, size, "frame-%02u-before-%llu-%u%s.codec%u", parcel->lane,
             (unsigned long long)frame->end.sequence, frame->end.frame, piece, frame->info.codec);
}

int frame_quarantine(struct disk *folder, const char *output, const struct parcel *parcel,
                     uint32_t index, const char *why, struct err *err)
{
    struct slice bytes = parcel_bytes(parcel, index, index + 1);
    char name[96];
    int fd, r;

    frame_name(parcel, index, name, sizeof(name));
    fd = folder->ops->open(folder, name, DISK_CREATE);
    if (fd < 0)
        return err_errno(err, -fd, "cannot make quarantine/%s", name);
    r = folder->ops->truncate(folder, fd, 0);
    if (r == 0)
        r = folder->ops->pwrite(folder, fd, bytes.p, bytes.n, 0);
    if (r == 0)
        r = folder->ops->datasync(folder, fd);
    if (r == 0)
        r = folder->ops->sync_folder(folder);
    folder->ops->close(folder, fd);
    if (r < 0)
        return err_errno(err, -r, "cannot write quarantine/%s", name);
    log_error("%s: a frame (records: %u) cannot be read (%s); it is kept in quarantine/%s", output,
              parcel->frames[index].info.records, why, name);
    return 0;
}
