#include "receiver/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct outbox_item {
    struct outbox_item *next;
    struct outbox_mark mark;
    size_t sent, n;
    uint8_t bytes[];
};

/* Bytes taken, 0 where the socket takes none now, or -errno. */
static ssize_t send_some(int fd, const uint8_t *p, size_t n)
{
    ssize_t sent;

    do
        sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN ? 0 : -errno;
}

int outbox_send(struct outbox *outbox, int fd, struct slice message, const struct outbox_mark *mark)
{
    struct outbox_item *item;
    ssize_t sent = 0;

    if (!outbox->first) {
        sent = send_some(fd, message.p, message.n);
        if (sent < 0)
            return (int)sent;
        if ((size_t)sent == message.n)
            return 1;
    }
    item = malloc(sizeof(*item) + message.n);
    if (!item)
        return -ENOMEM;
    *item = (struct outbox_item){.mark = *mark, .sent = (size_t)sent, .n = message.n};
    memcpy(item->bytes, message.p, message.n);
    if (outbox->last)
        outbox->last->next = item;
    else
        outbox->first = item;
    outbox->last = item;
    outbox->bytes += sizeof(*item) + message.n;
    return 0;
}

static void drop_first(struct outbox *outbox)
{
    struct outbox_item *item = outbox->first;

    outbox->first = item->next;
    if (!outbox->first)
        outbox->last = NULL;
    outbox->bytes -= sizeof(*item) + item->n;
    free(item);
}

int outbox_flush(struct outbox *outbox, int fd, struct outbox_mark *ret_mark)
{
    struct outbox_item *item = outbox->first;
    ssize_t sent;

    if (!item)
        return 0;
    sent = send_some(fd, item->bytes + item->sent, item->n - item->sent);
    if (sent < 0)
        return (int)sent;
    item->sent += (size_t)sent;
    if (item->sent < item->n)
        return 0;
    *ret_mark = item->mark;
    drop_first(outbox);
    return 1;
}

void outbox_fini(struct outbox *outbox)
{
    while (outbox->first)
        drop_first(outbox);
}
