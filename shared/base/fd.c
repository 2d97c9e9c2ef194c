#include "shared/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

int fd_read_full(int fd, void *p, size_t n)
{
    uint8_t *to = p;

    while (n > 0) {
        ssize_t r = read(fd, to, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            return -ENODATA;
        to += r;
        n -= (size_t)r;
    }
    return 0;
}

int fd_pread_full(int fd, void *p, size_t n, off_t offset)
{
    uint8_t *to = p;

    while (n > 0) {
        ssize_t r = pread(fd, to, n, offset);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            return -ENODATA;
        to += r;
        offset += r;
        n -= (size_t)r;
    }
    return 0;
}

int fd_write_full(int fd, const void *p, size_t n)
{
    const uint8_t *from = p;

    while (n > 0) {
        ssize_t r = write(fd, from, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        from += r;
        n -= (size_t)r;
    }
    return 0;
}

int fd_pwrite_full(int fd, const void *p, size_t n, off_t offset)
{
    const uint8_t *from = p;

    while (n > 0) {
        ssize_t r = pwrite(fd, from, n, offset);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        from += r;
        offset += r;
        n -= (size_t)r;
    }
    return 0;
}

int fd_set_cloexec(int fd, int on)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0)
        return -errno;
    flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, int on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_bell_new(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

int fd_bell_ring(int fd)
{
    uint64_t one = 1;

    for (;;) {
        if (write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
            return 0;
        if (errno == EAGAIN) /* the counter is full: it rings */
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

int fd_bell_clear(int fd)
{
    uint64_t count;

    for (;;) {
        if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
            return 0;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}
