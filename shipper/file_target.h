/*
 * file_target: the file that lines are appended to, at an offset that the caller keeps durably.
 * What stands behind that offset was never promised and is cut off, so a crash leaves no torn and
 * no doubled line.
 *
 * The file may be taken away while Sluice runs (logrotate): file_target_check sees that the path
 * names another file, or none, and opens that one. Where the path's file is not the one that the
 * offset belongs to, or is shorter, lines go behind what is there. logrotate needs neither
 * `copytruncate` nor a signal; a rotated file is complete, because every group of lines is synced
 * before the next check.
 *
 * Errors: -errno with words; the target stays usable, the caller tries again later.
 */
#ifndef SHIPPER_FILE_TARGET_H
#define SHIPPER_FILE_TARGET_H

#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/journal/cursor.h"

#include <stdbool.h>

struct file_target {
    const char *path; /* borrowed */
    int fd;
    struct cursor_file place; /* where the next group of lines begins */
    uint64_t written;         /* bytes behind it that are not finished */
};

void file_target_init(struct file_target *target, const char *path);
void file_target_fini(struct file_target *target);

/*
 * Opens the path's file, makes it where it is missing, and cuts it to `known` where it is that
 * file; else *ret_other is true and lines go behind what is there. *ret_cut: bytes cut off.
 */
int file_target_open(struct file_target *target, struct cursor_file known, bool *ret_other,
                     uint64_t *ret_cut, struct err *err);

/* Which file the path names, and its size. -ENOENT: none. */
int file_target_identify(const char *path, struct cursor_file *ret_file);
bool file_target_is_same(struct cursor_file a, struct cursor_file b);

/* Between groups. 1: the path names another file now, or the size of ours is not what we left: it
 * was opened anew. */
int file_target_check(struct file_target *target, struct err *err);

/* Appends bytes to the group. After an error: file_target_undo. */
int file_target_write(struct file_target *target, struct slice bytes, struct err *err);
/* Syncs the group. On success target->place is behind it. After an error: file_target_undo. */
int file_target_finish(struct file_target *target, struct err *err);
/* Cuts the unfinished group off, as far as the disk lets it. */
void file_target_undo(struct file_target *target);

#endif
