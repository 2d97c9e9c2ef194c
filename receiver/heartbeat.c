#include "receiver/heartbeat.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/base/clock.h"
#include "shared/base/fd.h"

/* Datagrams in a row; clients' connections wait meanwhile. */
#define HEARTBEATS_PER_WAKE 64u
#define HEARTBEAT_BYTES 128u
#define WELL_KNOWN_PORTS 1024u

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* One datagram: whom it came from, and in `control` where it was sent to. */
struct datagram {
    union address from;
    uint8_t bytes[HEARTBEAT_BYTES];
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct iovec iov;
    struct msghdr header;
};

static union address own_address(int fd)
{
    union address address = {0};
    socklen_t size = sizeof(address);

    /* A failure leaves family and port 0. */
    (void)getsockname(fd, &address.any, &size);
    return address;
}

void heartbeat_init(int fd)
{
    int on = 1;

    fd_set_nonblock(fd, 1);
    /* Without it the route chooses our address. An IPv6 socket gives IPv4 ones mapped. */
    if (own_address(fd).any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    else
        (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
}

static uint16_t port_of(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

/* 1: there is one; 0: try again; -errno. */
static int take(int fd, struct datagram *d)
{
    d->iov = (struct iovec){.iov_base = d->bytes, .iov_len = sizeof(d->bytes)};
    d->header = (struct msghdr){
        .msg_name = &d->from,
        .msg_namelen = sizeof(d->from),
        .msg_iov = &d->iov,
        .msg_iovlen = 1,
        .msg_control = d->control,
        .msg_controllen = sizeof(d->control),
    };
    if (recvmsg(fd, &d->header, MSG_DONTWAIT) >= 0)
        return 1;
    /* Else an answer of before could not be delivered. */
    return errno == EAGAIN ? -EAGAIN : 0;
}

/* From the address that it was sent to, but by whatever interface the route takes. */
static void free_interface(struct datagram *d)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&d->header); c; c = CMSG_NXTHDR(&d->header, c)) {
        struct in_pktinfo v4;
        struct in6_pktinfo v6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&v4, CMSG_DATA(c), sizeof(v4));
            v4.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &v4, sizeof(v4));
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&v6, CMSG_DATA(c), sizeof(v6));
            v6.ipi6_ifindex = 0;
            memcpy(CMSG_DATA(c), &v6, sizeof(v6));
        }
    }
}

static bool answer(int fd, struct datagram *d)
{
    d->bytes[0] = 0;
    d->iov.iov_len = 1;
    d->header.msg_flags = 0;
    free_interface(d);
    return sendmsg(fd, &d->header, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

uint64_t heartbeat_answer(struct heartbeat_limit *limit, int fd, uint64_t now_ns)
{
    union address own = own_address(fd);
    uint64_t answered = 0;

    if (now_ns - limit->since_ns >= NS_PER_S)
        *limit = (struct heartbeat_limit){.since_ns = now_ns};
    for (unsigned i = 0; i < HEARTBEATS_PER_WAKE; i++) {
        struct datagram d;
        int r = take(fd, &d);
        uint16_t port;

        if (r < 0)
            break;
        if (r == 0)
            continue;
        port = port_of(&d.from);
        if (limit->answers < HEARTBEATS_PER_SECOND && port >= WELL_KNOWN_PORTS &&
            port != port_of(&own) && answer(fd, &d)) {
            limit->answers++;
            answered++;
        }
    }
    return answered;
}
