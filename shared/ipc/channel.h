/*
 * channel: typed messages over a SOCK_SEQPACKET pair between sluiced and a stage, one packet each.
 *
 * The table messages.def is the policy: a message that is not in it, goes the wrong way, is too
 * short or too long, or comes with another number of descriptors than its row says, is -EPROTO,
 * and the caller gives the other side up. A packet is
 *
 *     u32 type | u32 length of the body | body
 *
 * and ends exactly there. Both sides own one struct channel.
 *
 *     channel_pair(&ours, &theirs);
 *     channel_new(ours, CHANNEL_SUPERVISOR, &channel);    takes `ours`
 *     channel_send(channel, MESSAGE_GO, NULL, 0);
 *     while ((r = channel_receive(channel, &message)) > 0) …
 */
#ifndef SHARED_IPC_CHANNEL_H
#define SHARED_IPC_CHANNEL_H

#include "shared/base/slice.h"
#include "shared/ipc/messages.h"

enum channel_side { CHANNEL_SUPERVISOR, CHANNEL_STAGE };

struct channel;

struct channel_message {
    enum message_type type;
    struct slice body; /* in the channel's buffer: until the next receive or channel_free */
    int fd;            /* -1, or the caller's to close */
};

/* A connected pair, close-on-exec, blocking. Returns 0 or -errno. */
int channel_pair(int *ret_supervisor_fd, int *ret_stage_fd);

/* Takes fd, also when it fails (-ENOMEM). */
int channel_new(int fd, enum channel_side side, struct channel **ret_channel);
void channel_free(struct channel **channel);

int channel_fd(const struct channel *channel);

/*
 * Sends one message whose body is `count` slices back to back. Returns 0, -EAGAIN where the other
 * side does not read (non-blocking descriptors), -EPIPE where it is gone, -EINVAL for a message
 * that does not fit its row. A secret's copy in the channel is wiped.
 */
int channel_send(struct channel *channel, enum message_type type, const struct slice *parts,
                 size_t count);

/* As channel_send, with a descriptor, which stays the caller's. */
int channel_send_fd(struct channel *channel, enum message_type type, struct slice body, int fd);

/*
 * The next message. Returns 1, 0 where there is none now (non-blocking descriptors), -ENOTCONN
 * at the end (the other side is gone), -EPROTO for a packet that is not allowed, or -errno.
 * Received descriptors are close-on-exec. The body of a secret is wiped at the next receive; call
 * channel_wipe to have it gone at once.
 */
int channel_receive(struct channel *channel, struct channel_message *ret_message);

/* Overwrites the last received body. */
void channel_wipe(struct channel *channel);

/* "HELLO" … for logs. */
const char *channel_type_name(enum message_type type);

#endif
