#include "shared/ipc/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "shared/base/fd.h"
#include "shared/base/secret.h"

#define CHANNEL_MAX_BODY 131072u
#define CHANNEL_MAX_PARTS 4u

struct channel_header {
    uint32_t type;
    uint32_t length;
};

enum channel_direction { CHANNEL_DOWN, CHANNEL_UP };

static const struct channel_row {
    const char *name;
    enum channel_direction direction;
    uint32_t min, max;
    unsigned descriptors;
    bool secret;
} rows[MESSAGE_TYPES] = {
#define MESSAGE(ID, way, least, most, fds, is_secret) \
    [MESSAGE_##ID] = {#ID, CHANNEL_##way, least, most, fds, is_secret},
#include "shared/ipc/messages.def"
#undef MESSAGE
};

#define MESSAGE(ID, way, least, most, fds, is_secret) \
    static_assert((most) <= CHANNEL_MAX_BODY && (least) <= (most) && (fds) <= 1, #ID);
#include "shared/ipc/messages.def"
#undef MESSAGE

struct channel {
    int fd;
    enum channel_side side;
    size_t received; /* bytes of the last body */
    /* One byte more than any message, so that a longer one shows. */
    uint8_t body[CHANNEL_MAX_BODY + 1];
};

union channel_control {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int) * 4)];
};

int channel_pair(int *ret_supervisor_fd, int *ret_stage_fd)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    *ret_supervisor_fd = fds[0];
    *ret_stage_fd = fds[1];
    return 0;
}

int channel_new(int fd, enum channel_side side, struct channel **ret_channel)
{
    /* Not zeroed: the body's pages are touched only as far as messages reach. */
    struct channel *channel = malloc(sizeof(*channel));

    if (channel == NULL) {
        fd_close(&fd);
        return -ENOMEM;
    }
    channel->fd = fd;
    channel->side = side;
    channel->received = 0;
    *ret_channel = channel;
    return 0;
}

void channel_free(struct channel **channel)
{
    if (*channel == NULL)
        return;
    channel_wipe(*channel);
    fd_close(&(*channel)->fd);
    free(*channel);
    *channel = NULL;
}

int channel_fd(const struct channel *channel)
{
    return channel->fd;
}

const char *channel_type_name(enum message_type type)
{
    return type > MESSAGE_NONE && type < MESSAGE_TYPES ? rows[type].name : "?";
}

static enum channel_direction sends(const struct channel *channel)
{
    return channel->side == CHANNEL_SUPERVISOR ? CHANNEL_DOWN : CHANNEL_UP;
}

static int send_message(struct channel *channel, enum message_type type, struct iovec *parts,
                        size_t count, int fd)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    union channel_control control = {0};
    size_t total = 0;
    ssize_t n;

    for (size_t i = 0; i < count; i++)
        total += parts[i].iov_len;
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    if (rows[type].direction != sends(channel))
        return -EINVAL;
    do
        n = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return (size_t)n == total ? 0 : -EPROTO;
}

static int send_parts(struct channel *channel, enum message_type type, const struct slice *parts,
                      size_t count, int fd)
{
    struct channel_header header = {.type = type};
    struct iovec iov[CHANNEL_MAX_PARTS + 1] = {{&header, sizeof(header)}};
    size_t total = 0;

    if (type <= MESSAGE_NONE || type >= MESSAGE_TYPES || count > CHANNEL_MAX_PARTS)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        iov[i + 1] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
        if (parts[i].n > CHANNEL_MAX_BODY)
            return -EINVAL;
        total += parts[i].n;
    }
    if (total < rows[type].min || total > rows[type].max ||
        rows[type].descriptors != (fd >= 0 ? 1u : 0u))
        return -EINVAL;
    header.length = (uint32_t)total;
    return send_message(channel, type, iov, count + 1, fd);
}

int channel_send(struct channel *channel, enum message_type type, const struct slice *parts,
                 size_t count)
{
    return send_parts(channel, type, parts, count, -1);
}

int channel_send_fd(struct channel *channel, enum message_type type, struct slice body, int fd)
{
    if (fd < 0)
        return -EINVAL;
    return send_parts(channel, type, &body, 1, fd);
}

/* Takes all descriptors that came, so that none leaks, and says how many. The last one stays. */
static unsigned take_descriptors(struct msghdr *message, int *ret_fd)
{
    unsigned count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t n = c->cmsg_len >= CMSG_LEN(0) ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            fd_close(ret_fd);
            memcpy(ret_fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            count++;
        }
    }
    return count;
}

static int check(const struct channel *channel, const struct channel_header *header, size_t body,
                 unsigned descriptors)
{
    const struct channel_row *row;

    if (header->type == MESSAGE_NONE || header->type >= MESSAGE_TYPES)
        return -EPROTO;
    row = &rows[header->type];
    if (row->direction == sends(channel) || header->length != body)
        return -EPROTO;
    if (body < row->min || body > row->max || descriptors != row->descriptors)
        return -EPROTO;
    return 0;
}

int channel_receive(struct channel *channel, struct channel_message *ret_message)
{
    struct channel_header header;
    struct iovec iov[2] = {{&header, sizeof(header)}, {channel->body, sizeof(channel->body)}};
    union channel_control control;
    struct msghdr message = {.msg_iov = iov,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    unsigned descriptors;
    int fd = -1;
    ssize_t n;

    channel_wipe(channel);
    do
        n = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -ENOTCONN;
    if (n < 0)
        return -errno;
    descriptors = take_descriptors(&message, &fd);
    if ((size_t)n > sizeof(header))
        channel->received = (size_t)n - sizeof(header);
    if ((size_t)n < sizeof(header) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        check(channel, &header, channel->received, descriptors) < 0) {
        fd_close(&fd);
        return -EPROTO;
    }
    *ret_message = (struct channel_message){
        .type = (enum message_type)header.type,
        .body = slice_of(channel->body, channel->received),
        .fd = fd,
    };
    return 1;
}

void channel_wipe(struct channel *channel)
{
    secret_wipe(channel->body, channel->received);
    channel->received = 0;
}
