#include "shared/journal/disk.h"

#include "shared/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The real disk: one open folder; names are resolved below its descriptor, so a folder that is
 * renamed or replaced while Sluice runs is not followed. Symbolic links in it are not followed
 * either: nobody but Sluice has a reason to put one there.
 */
struct disk_posix {
    struct disk disk; /* first */
    int folder;
};

static struct disk_posix *posix_of(struct disk *disk)
{
    return (struct disk_posix *)disk;
}

static int posix_open(struct disk *disk, const char *name, enum disk_open how)
{
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
    int fd;

    switch (how) {
    case DISK_READ:
        flags |= O_RDONLY;
        break;
    case DISK_WRITE:
        flags |= O_RDWR;
        break;
    case DISK_CREATE:
        flags |= O_RDWR | O_CREAT;
        break;
    case DISK_FRESH:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
    default:
        return -EINVAL;
    }
    do
        fd = openat(posix_of(disk)->folder, name, flags, 0640);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static void posix_close(struct disk *disk, int file)
{
    (void)disk;
    fd_close(&file);
}

static ssize_t posix_pread(struct disk *disk, int file, void *p, size_t n, uint64_t offset)
{
    size_t got = 0;

    (void)disk;
    while (got < n) {
        ssize_t r = pread(file, (uint8_t *)p + got, n - got, (off_t)(offset + got));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static int posix_pwrite(struct disk *disk, int file, const void *p, size_t n, uint64_t offset)
{
    (void)disk;
    return fd_pwrite_full(file, p, n, (off_t)offset);
}

static int posix_datasync(struct disk *disk, int file)
{
    int r;

    (void)disk;
    do
        r = fdatasync(file);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static int posix_truncate(struct disk *disk, int file, uint64_t size)
{
    int r;

    (void)disk;
    do
        r = ftruncate(file, (off_t)size);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static int64_t posix_size(struct disk *disk, int file)
{
    struct stat st;

    (void)disk;
    return fstat(file, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int posix_allocate(struct disk *disk, int file, uint64_t size)
{
    int64_t now;
    int r;

    do
        r = fallocate(file, 0, 0, (off_t)size);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    /* A file system that cannot prepare blocks: the size alone keeps later appends from changing
     * it, and a full disk then shows at the write. */
    now = posix_size(disk, file);
    if (now < 0)
        return (int)now;
    return (uint64_t)now >= size ? 0 : posix_truncate(disk, file, size);
}

static int posix_remove(struct disk *disk, const char *name)
{
    return unlinkat(posix_of(disk)->folder, name, 0) < 0 ? -errno : 0;
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    int folder = posix_of(disk)->folder;

    return renameat(folder, from, folder, to) < 0 ? -errno : 0;
}

static int posix_sync_folder(struct disk *disk)
{
    int r;

    do
        r = fsync(posix_of(disk)->folder);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* A second description of the folder, so that its read position is the caller's own. */
static DIR *folder_stream(struct disk *disk, int *ret_error)
{
    int fd = openat(posix_of(disk)->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream;

    if (fd < 0) {
        *ret_error = -errno;
        return NULL;
    }
    stream = fdopendir(fd);
    if (stream == NULL) {
        *ret_error = -errno;
        fd_close(&fd);
    }
    return stream;
}

static bool is_file(struct disk *disk, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    return fstatat(posix_of(disk)->folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

static int posix_list(struct disk *disk, int (*each)(void *context, const char *name),
                      void *context)
{
    struct dirent *entry;
    int r = 0;
    DIR *stream = folder_stream(disk, &r);

    if (stream == NULL)
        return r;
    for (;;) {
        errno = 0;
        entry = readdir(stream);
        if (entry == NULL) {
            r = -errno;
            break;
        }
        if (!is_file(disk, entry))
            continue;
        r = each(context, entry->d_name);
        if (r != 0)
            break;
    }
    closedir(stream);
    return r;
}

static int64_t posix_usage(struct disk *disk)
{
    struct dirent *entry;
    struct stat st;
    int64_t bytes = 0;
    int r = 0;
    DIR *stream = folder_stream(disk, &r);

    if (stream == NULL)
        return r;
    for (;;) {
        errno = 0;
        entry = readdir(stream);
        if (entry == NULL)
            break;
        /* A file may vanish between the two calls; it takes no room then. */
        if (fstatat(posix_of(disk)->folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            bytes += (int64_t)st.st_blocks * 512;
    }
    r = -errno;
    closedir(stream);
    return r < 0 ? r : bytes;
}

static void posix_free(struct disk *disk)
{
    struct disk_posix *posix = posix_of(disk);

    fd_close(&posix->folder);
    free(posix);
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .datasync = posix_datasync,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .size = posix_size,
    .remove = posix_remove,
    .rename = posix_rename,
    .sync_folder = posix_sync_folder,
    .list = posix_list,
    .usage = posix_usage,
    .free = posix_free,
};

/* Makes the folder; a folder that is there already is not an error. Its name is durable after. */
static int make_folder(const char *path, struct err *err)
{
    char parent[PATH_MAX];
    size_t n = strlen(path);
    int fd, r = 0;

    if (mkdir(path, 0750) < 0)
        return errno == EEXIST ? 0 : err_errno(err, errno, "cannot make the folder %s", path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n >= sizeof(parent))
        return err_errno(err, ENAMETOOLONG, "%s", path);
    memcpy(parent, n > 0 ? path : ".", n > 0 ? n : 1);
    parent[n > 0 ? n : 1] = '\0';
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        r = err_errno(err, errno, "cannot sync the folder %s", parent);
    fd_close(&fd);
    return r;
}

int disk_posix_open(const char *path, bool make, struct disk **ret_disk, struct err *err)
{
    struct disk_posix *posix;
    int r;

    if (make) {
        r = make_folder(path, err);
        if (r < 0)
            return r;
    }
    posix = calloc(1, sizeof(*posix));
    if (posix == NULL)
        return err_errno(err, ENOMEM, "cannot open the folder %s", path);
    posix->disk.ops = &posix_ops;
    posix->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (posix->folder < 0) {
        r = err_errno(err, errno, "cannot open the folder %s", path);
        free(posix);
        return r;
    }
    *ret_disk = &posix->disk;
    return 0;
}

void disk_free(struct disk **disk)
{
    if (*disk != NULL)
        (*disk)->ops->free(*disk);
    *disk = NULL;
}
