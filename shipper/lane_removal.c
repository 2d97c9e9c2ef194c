#include "shipper/lane_removal.h"

#include "shared/journal/cursor.h"
#include "shared/journal/segment.h"

#include <errno.h>
#include <unistd.h>

/* The oldest first: what a crash leaves is the end of the lane, which recovery reads. */
static int remove_segments(struct disk *lane, unsigned *ret_removed, struct err *err)
{
    struct segment_list list;
    int r = segment_list_read(lane, &list, err);

    if (r == -ENOENT)
        return 0; /* the folder is gone already */
    if (r < 0)
        return r;
    for (size_t i = 0; i < list.count && r == 0; i++) {
        char name[SEGMENT_NAME_BYTES];

        segment_name(list.numbers[i], name);
        r = lane->ops->remove(lane, name);
        if (r == 0)
            ++*ret_removed;
        else if (r == -ENOENT)
            r = 0;
    }
    segment_list_fini(&list);
    if (r == 0)
        r = lane->ops->sync_folder(lane);
    return r < 0 ? err_errno(err, -r, "cannot remove a delivered segment") : 0;
}

static int remove_folder(const struct lane_removal *removal, struct err *err)
{
    int r = removal->lane->ops->remove(removal->lane, "lock");

    if (r < 0 && r != -ENOENT)
        return err_errno(err, -r, "cannot remove the lock in %s", removal->path);
    if (rmdir(removal->path) < 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot remove the folder %s", removal->path);
    r = removal->lanes->ops->sync_folder(removal->lanes);
    return r < 0 ? err_errno(err, -r, "cannot sync the folder above %s", removal->path) : 0;
}

int lane_removal(const struct lane_removal *removal, unsigned *ret_removed, struct err *err)
{
    int r;

    *ret_removed = 0;
    r = remove_segments(removal->lane, ret_removed, err);
    for (unsigned i = 0; i < removal->cursor_count && r == 0; i++)
        r = cursor_remove(removal->cursors[i], removal->number, err);
    return r < 0 ? r : remove_folder(removal, err);
}
