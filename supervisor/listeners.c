#include "supervisor/listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/fd.h"

/* Cut by net.core.somaxconn. Long, because it is all that clients see during a restart. */
#define LISTEN_BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_size(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

/* "*": every address, IPv4 ones mapped. -EINVAL: no literal address. */
static int address_parse(const char *text, uint16_t port, union address *ret_address)
{
    union address address = {0};

    if (strcmp(text, "*") == 0) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_addr = in6addr_any;
        address.v6.sin6_port = htons(port);
    } else if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
    } else {
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

/* type: SOCK_STREAM, which then listens, or SOCK_DGRAM. */
static int bind_address(const union address *address, int type, int *ret_fd)
{
    int on = 1, off = 0, r = 0;
    int fd = socket(address->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    /* With it two programs could have the same UDP port. */
    if (type == SOCK_STREAM)
        r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (r == 0 && address->any.sa_family == AF_INET6)
        r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (r == 0)
        r = bind(fd, &address->any, address_size(address));
    if (r == 0 && type == SOCK_STREAM)
        r = listen(fd, LISTEN_BACKLOG);
    if (r < 0) {
        r = -errno;
        fd_close(&fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static int describe(struct listener *listener)
{
    union address address;
    socklen_t size = sizeof(address);
    const void *host;

    if (getsockname(listener->fd, &address.any, &size) < 0)
        return -errno;
    if (address.any.sa_family == AF_INET6) {
        host = &address.v6.sin6_addr;
        listener->port = ntohs(address.v6.sin6_port);
    } else {
        host = &address.v4.sin_addr;
        listener->port = ntohs(address.v4.sin_port);
    }
    if (inet_ntop(address.any.sa_family, host, listener->address, sizeof(listener->address)) ==
        NULL)
        return -errno;
    return 0;
}

/* On the address and port that the TCP socket got. */
static void add_heartbeat(struct listener *listener)
{
    union address address;
    socklen_t size = sizeof(address);

    if (getsockname(listener->fd, &address.any, &size) < 0)
        listener->heartbeat_error = -errno;
    else
        listener->heartbeat_error = bind_address(&address, SOCK_DGRAM, &listener->heartbeat_fd);
}

/* Opens one; the options are named in the reason. */
static int add(struct listeners *listeners, const char *name, const struct options *options,
               enum option_id bind_option, enum option_id port_option, struct err *err)
{
    struct listener *listener = &listeners->all[listeners->count];
    const char *host = options_string(options, bind_option);
    uint16_t port = (uint16_t)options_int(options, port_option);
    union address address;
    int r = address_parse(host, port, &address);

    if (r < 0)
        return err_set(err, -r, "%s: \"%s\" is neither * nor a literal address",
                       option_path(bind_option), host);
    *listener = (struct listener){.name = name, .fd = -1, .heartbeat_fd = -1};
    r = bind_address(&address, SOCK_STREAM, &listener->fd);
    if ((r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) && strcmp(host, "*") == 0) {
        (void)address_parse("0.0.0.0", port, &address); /* a machine without IPv6 */
        r = bind_address(&address, SOCK_STREAM, &listener->fd);
    }
    if (r == 0)
        r = describe(listener);
    if (r == 0) {
        listeners->count++;
        return 0;
    }
    fd_close(&listener->fd);
    if (r == -EADDRINUSE)
        return err_set(err, EADDRINUSE, "%s: port %u of %s is taken by another program",
                       option_path(port_option), port, host);
    if (r == -EADDRNOTAVAIL)
        return err_set(err, EADDRNOTAVAIL, "%s: %s is no address of this machine",
                       option_path(bind_option), host);
    return err_errno(err, -r, "%s: cannot listen on port %u of %s", option_path(port_option), port,
                     host);
}

int listeners_open(struct listeners *listeners, const struct options *options, struct err *err)
{
    int r;

    *listeners = (struct listeners){0};
    r = add(listeners, "forward", options, OPT_FORWARD_BIND, OPT_FORWARD_PORT, err);
    if (r < 0)
        listeners_close(listeners);
    else if (options_bool(options, OPT_FORWARD_HEARTBEAT))
        add_heartbeat(&listeners->all[listeners->count - 1]);
    return r;
}

void listeners_close(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        fd_close(&listeners->all[i].fd);
        fd_close(&listeners->all[i].heartbeat_fd);
    }
    listeners->count = 0;
}
