/*
 * disk: the few things that the journal does with files, behind a table of functions, so that a
 * simulation can put a disk of its own there: one that loses unsynced writes, tears them, fails
 * the n-th sync. The real one (disk_posix) costs one indirect call beside a system call.
 *
 * A `struct disk` is one folder. Names are plain file names in it, without "/". Files are small
 * integers >= 0. Everything returns 0 or a count, or -errno.
 */
#ifndef SHARED_JOURNAL_DISK_H
#define SHARED_JOURNAL_DISK_H

#include "shared/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk;

enum disk_open {
    DISK_READ = 0,
    DISK_WRITE = 1,  /* read and write */
    DISK_CREATE = 3, /* write; made if missing, never truncated */
    DISK_FRESH = 7,  /* write; must not exist */
};

struct disk_ops {
    int (*open)(struct disk *disk, const char *name, enum disk_open how);
    void (*close)(struct disk *disk, int file);
    /* Whole counts: fewer bytes only at the end of the file. EINTR is handled inside. */
    ssize_t (*pread)(struct disk *disk, int file, void *p, size_t n, uint64_t offset);
    /* All of it, or -errno; how much reached the file is unknown then. */
    int (*pwrite)(struct disk *disk, int file, const void *p, size_t n, uint64_t offset);
    int (*datasync)(struct disk *disk, int file);
    int (*allocate)(struct disk *disk, int file, uint64_t size);
    int (*truncate)(struct disk *disk, int file, uint64_t size);
    int64_t (*size)(struct disk *disk, int file);
    int (*remove)(struct disk *disk, const char *name);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*sync_folder)(struct disk *disk);
    /* Calls `each` for every file's name; stops when it returns non-zero, with that. */
    int (*list)(struct disk *disk, int (*each)(void *context, const char *name), void *context);
    /* Bytes that all files of the folder occupy. */
    int64_t (*usage)(struct disk *disk);
    void (*free)(struct disk *disk);
};

/* Embedded first in every implementation. */
struct disk {
    const struct disk_ops *ops;
};

/*
 * The real disk: a folder by path, made with mode 0750 when missing and `make` says so (its parent
 * is synced then). *ret_disk is freed by disk_free.
 */
int disk_posix_open(const char *path, bool make, struct disk **ret_disk, struct err *err);

void disk_free(struct disk **disk);

#endif
