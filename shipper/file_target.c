#include "shipper/file_target.h"

#include "shared/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void file_target_init(struct file_target *target, const char *path)
{
    *target = (struct file_target){.path = path, .fd = -1};
}

void file_target_fini(struct file_target *target)
{
    fd_close(&target->fd);
}

/* Which file it is. The device is left out: its number may differ after a boot. */
static int identify(int fd, struct cursor_file *ret_file)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_SIZE | STATX_BTIME, &st) < 0)
        return -errno;
    if (!S_ISREG(st.stx_mode))
        return -EINVAL;
    *ret_file = (struct cursor_file){.offset = st.stx_size, .inode = st.stx_ino};
    if (st.stx_mask & STATX_BTIME)
        ret_file->born_ns =
            (uint64_t)st.stx_btime.tv_sec * 1000000000u + (uint64_t)st.stx_btime.tv_nsec;
    return 0;
}

bool file_target_is_same(struct cursor_file a, struct cursor_file b)
{
    return a.inode == b.inode && a.born_ns == b.born_ns;
}

int file_target_identify(const char *path, struct cursor_file *ret_file)
{
    int r, fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    r = identify(fd, ret_file);
    fd_close(&fd);
    return r;
}

/* Somebody else's last line may have no end: ours must not become part of it. */
static int end_last_line(int fd, uint64_t *size)
{
    uint8_t last;
    int r;

    if (*size == 0)
        return 0;
    r = fd_pread_full(fd, &last, 1, (off_t)*size - 1);
    if (r < 0 || last == '\n')
        return r;
    r = fd_pwrite_full(fd, "\n", 1, (off_t)*size);
    if (r == 0)
        (*size)++;
    return r;
}

static int sync_folder_of(const char *path)
{
    char folder[4096];
    size_t n = strlen(path);
    int fd, r = 0;

    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n >= sizeof(folder))
        return -ENAMETOOLONG;
    memcpy(folder, n > 0 ? path : "./", n > 0 ? n : 2);
    folder[n > 0 ? n : 2] = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        r = -errno;
    fd_close(&fd);
    return r;
}

/* Opens it; a new one is durable by name. */
static int open_path(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int r;

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return -errno;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return -errno;
    r = sync_folder_of(path);
    if (r < 0) {
        fd_close(&fd);
        return r;
    }
    return fd;
}

int file_target_open(struct file_target *target, struct cursor_file known, bool *ret_other,
                     uint64_t *ret_cut, struct err *err)
{
    struct cursor_file found;
    bool other;
    uint64_t cut = 0;
    int r, fd = open_path(target->path);

    if (fd < 0)
        return err_errno(err, -fd, "cannot open %s", target->path);
    r = identify(fd, &found);
    other = r == 0 && (!file_target_is_same(found, known) || found.offset < known.offset);
    if (r == 0 && other)
        r = end_last_line(fd, &found.offset);
    if (r == 0 && !other && found.offset > known.offset) {
        cut = found.offset - known.offset;
        found.offset = known.offset;
        r = ftruncate(fd, (off_t)known.offset) < 0 ? -errno : 0;
    }
    if (r < 0) {
        fd_close(&fd);
        if (r == -EINVAL)
            return err_set(err, EINVAL, "%s is not a plain file", target->path);
        return err_errno(err, -r, "cannot prepare %s", target->path);
    }
    fd_close(&target->fd);
    target->fd = fd;
    target->place = found;
    target->written = 0;
    *ret_other = other;
    *ret_cut = cut;
    return 0;
}

int file_target_check(struct file_target *target, struct err *err)
{
    struct cursor_file ours;
    struct stat st;
    uint64_t cut;
    bool other;
    int r;

    if (target->fd >= 0 && identify(target->fd, &ours) == 0 && stat(target->path, &st) == 0 &&
        st.st_ino == ours.inode && ours.offset == target->place.offset)
        return 0;
    r = file_target_open(target, target->place, &other, &cut, err);
    return r < 0 ? r : 1;
}

int file_target_write(struct file_target *target, struct slice bytes, struct err *err)
{
    int r = fd_pwrite_full(target->fd, bytes.p, bytes.n,
                           (off_t)(target->place.offset + target->written));

    if (r < 0)
        return err_errno(err, -r, "cannot write to %s", target->path);
    target->written += bytes.n;
    return 0;
}

int file_target_finish(struct file_target *target, struct err *err)
{
    int r;

    do
        r = fdatasync(target->fd);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return err_errno(err, errno, "cannot sync %s", target->path);
    target->place.offset += target->written;
    target->written = 0;
    return 0;
}

void file_target_undo(struct file_target *target)
{
    int r;

    target->written = 0;
    /* Where even that fails, the next open or the next write puts it right. */
    do
        r = target->fd >= 0 ? ftruncate(target->fd, (off_t)target->place.offset) : 0;
    while (r < 0 && errno == EINTR);
}
