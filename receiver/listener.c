#include "receiver/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "shared/base/fd.h"

void listener_init(struct listener *listener, int fd)
{
    int on = 1;

    *listener = (struct listener){.fd = fd};
    fd_set_nonblock(fd, 1);
    /* A socket of another family has no such options; it works without. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

int listener_watch(struct listener *listener, int epoll, uint64_t data, bool on)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};

    if (listener->watched == on)
        return 0;
    if (epoll_ctl(epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener->fd, &event) < 0)
        return -errno;
    listener->watched = on;
    return 0;
}

int listener_accept(const struct listener *listener, struct sockaddr_storage *ret_address)
{
    for (;;) {
        socklen_t size = sizeof(*ret_address);
        int fd = accept4(listener->fd, (struct sockaddr *)ret_address, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            return fd;
        /* The client went away while it waited: the next one. */
        if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO)
            return -errno;
    }
}
