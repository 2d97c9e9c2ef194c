#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/fd.h"
#include "shared/ipc/channel.h"

struct pair {
    struct channel *supervisor, *stage;
};

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    int ours, theirs;

    if (pair == NULL || channel_pair(&ours, &theirs) < 0)
        return -1;
    fd_set_nonblock(ours, 1);
    fd_set_nonblock(theirs, 1);
    *state = pair;
    return channel_new(ours, CHANNEL_SUPERVISOR, &pair->supervisor) |
           channel_new(theirs, CHANNEL_STAGE, &pair->stage);
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    channel_free(&pair->supervisor);
    channel_free(&pair->stage);
    free(pair);
    return 0;
}

/* A packet as only a broken or hostile peer would send it, past the channel. */
static void send_raw(struct channel *from, uint32_t type, uint32_t length, const void *body,
                     size_t n, const int *fds, unsigned fd_count)
{
    uint32_t head[2] = {type, length};
    struct iovec parts[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)body, n}};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    assert_true(sendmsg(channel_fd(from), &message, 0) >= 0);
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_messages_arrive(void **state)
{
    struct pair *pair = *state;
    struct channel_message message;
    struct slice parts[2] = {SLICE_LITERAL("0123456789ab"), SLICE_LITERAL("cdef")};

    assert_int_equal(channel_receive(pair->stage, &message), 0);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_SNAPSHOT, parts, 2), 0);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_GO, NULL, 0), 0);
    assert_int_equal(channel_receive(pair->stage, &message), 1);
    assert_int_equal(message.type, MESSAGE_SNAPSHOT);
    assert_true(slice_is(message.body, "0123456789abcdef"));
    assert_int_equal(message.fd, -1);
    assert_int_equal(channel_receive(pair->stage, &message), 1);
    assert_int_equal(message.type, MESSAGE_GO);
    assert_int_equal(message.body.n, 0);
    assert_int_equal(channel_send(pair->stage, MESSAGE_FAILED, parts, 1), 0);
    assert_int_equal(channel_receive(pair->supervisor, &message), 1);
    assert_int_equal(message.type, MESSAGE_FAILED);
}

static void test_largest(void **state)
{
    struct pair *pair = *state;
    struct channel_message message;
    uint8_t *body = malloc(131073);
    struct slice part = slice_of(body, 131072);

    memset(body, 7, 131073);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_SNAPSHOT, &part, 1), 0);
    assert_int_equal(channel_receive(pair->stage, &message), 1);
    assert_int_equal(message.body.n, 131072);
    assert_memory_equal(message.body.p, body, 131072);
    part.n++;
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_SNAPSHOT, &part, 1), -EINVAL);
    free(body);
}

static void test_descriptor(void **state)
{
    struct pair *pair = *state;
    struct channel_message message;
    int bell = fd_bell_new();
    uint64_t count;

    assert_int_equal(
        channel_send_fd(pair->supervisor, MESSAGE_FD, SLICE_LITERAL("door.shipper"), bell), 0);
    assert_int_equal(channel_receive(pair->stage, &message), 1);
    assert_true(slice_is(message.body, "door.shipper"));
    assert_true(message.fd >= 0 && message.fd != bell);
    assert_true((fcntl(message.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(fd_bell_ring(message.fd), 0);
    assert_int_equal(read(bell, &count, sizeof(count)), sizeof(count));
    fd_close(&message.fd);
    fd_close(&bell);
}

/* What does not fit the table is not even sent. */
static void test_sender_is_checked(void **state)
{
    struct pair *pair = *state;
    struct slice one = SLICE_LITERAL("x");

    assert_int_equal(channel_send(pair->supervisor, MESSAGE_READY, &one, 1), -EINVAL);
    assert_int_equal(channel_send(pair->stage, MESSAGE_GO, NULL, 0), -EINVAL);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_GO, &one, 1), -EINVAL);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_DRAIN, &one, 1), -EINVAL);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_FD, &one, 1), -EINVAL);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_TYPES, NULL, 0), -EINVAL);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_NONE, NULL, 0), -EINVAL);
}

static void refused(struct pair *pair)
{
    struct channel_message message;

    assert_int_equal(channel_receive(pair->stage, &message), -EPROTO);
    assert_int_equal(channel_receive(pair->stage, &message), 0);
}

static void test_receiver_checks(void **state)
{
    struct pair *pair = *state;
    struct channel *from = pair->supervisor;
    uint8_t body[64] = {0};
    int bells[3] = {fd_bell_new(), fd_bell_new(), fd_bell_new()};
    int before = open_descriptors();

    send_raw(from, MESSAGE_TYPES, 0, body, 0, NULL, 0); /* unknown */
    refused(pair);
    send_raw(from, 0xffffffff, 0, body, 0, NULL, 0);
    refused(pair);
    send_raw(from, MESSAGE_NONE, 0, body, 0, NULL, 0);
    refused(pair);
    send_raw(from, MESSAGE_READY, 24, body, 24, NULL, 0); /* the wrong way */
    refused(pair);
    send_raw(from, MESSAGE_DRAIN, 16, body, 15, NULL, 0); /* says more than it has */
    refused(pair);
    send_raw(from, MESSAGE_DRAIN, 16, body, 17, NULL, 0); /* and less */
    refused(pair);
    send_raw(from, MESSAGE_DRAIN, 15, body, 15, NULL, 0); /* too short, too long */
    refused(pair);
    send_raw(from, MESSAGE_DRAIN, 17, body, 17, NULL, 0);
    refused(pair);
    send_raw(from, MESSAGE_FD, 4, "door", 4, NULL, 0); /* no descriptor */
    refused(pair);
    send_raw(from, MESSAGE_FD, 4, "door", 4, bells, 2); /* two */
    refused(pair);
    send_raw(from, MESSAGE_FD, 4, "door", 4, bells, 3);
    refused(pair);
    send_raw(from, MESSAGE_GO, 0, body, 0, bells, 1); /* one that nobody wants */
    refused(pair);
    assert_true(send(channel_fd(from), body, 7, 0) == 7); /* less than a header */
    refused(pair);
    assert_int_equal(open_descriptors(), before); /* none leaked */
    for (int i = 0; i < 3; i++)
        fd_close(&bells[i]);
}

static void test_longer_than_any(void **state)
{
    struct pair *pair = *state;
    uint8_t *body = calloc(1, 140000);

    send_raw(pair->supervisor, MESSAGE_SNAPSHOT, 140000, body, 140000, NULL, 0);
    refused(pair);
    send_raw(pair->supervisor, MESSAGE_SNAPSHOT, 131072, body, 131073, NULL, 0);
    refused(pair);
    free(body);
}

static void test_end(void **state)
{
    struct pair *pair = *state;
    struct channel_message message;
    struct slice one = SLICE_LITERAL("x");

    channel_free(&pair->supervisor);
    assert_int_equal(channel_receive(pair->stage, &message), -ENOTCONN);
    assert_int_equal(channel_send(pair->stage, MESSAGE_FAILED, &one, 1), -EPIPE);
}

/* What was sent before the end still arrives. */
static void test_last_words(void **state)
{
    struct pair *pair = *state;
    struct channel_message message;
    struct slice words = SLICE_LITERAL("no room");

    assert_int_equal(channel_send(pair->stage, MESSAGE_FAILED, &words, 1), 0);
    channel_free(&pair->stage);
    assert_int_equal(channel_receive(pair->supervisor, &message), 1);
    assert_true(slice_is(message.body, "no room"));
    assert_int_equal(channel_receive(pair->supervisor, &message), -ENOTCONN);
}

static void test_full(void **state)
{
    struct pair *pair = *state;
    uint8_t body[16] = {0};
    struct slice part = slice_of(body, sizeof(body));
    int r = 0;

    for (int i = 0; i < 100000 && r == 0; i++)
        r = channel_send(pair->supervisor, MESSAGE_DRAIN, &part, 1);
    assert_int_equal(r, -EAGAIN);
}

static void test_secret_is_wiped(void **state)
{
    struct pair *pair = *state;
    struct channel_message message;
    struct slice body = SLICE_LITERAL("\4\0pathsesame");

    assert_int_equal(channel_send(pair->supervisor, MESSAGE_SECRET, &body, 1), 0);
    assert_int_equal(channel_receive(pair->stage, &message), 1);
    assert_memory_equal(message.body.p + 6, "sesame", 6);
    channel_wipe(pair->stage);
    assert_memory_equal(message.body.p + 6, "\0\0\0\0\0\0", 6);
    assert_int_equal(channel_send(pair->supervisor, MESSAGE_SECRET, &body, 1), 0);
    assert_int_equal(channel_receive(pair->stage, &message), 1);
    assert_int_equal(channel_receive(pair->stage, &message), 0); /* wiped by the next look */
    assert_memory_equal(message.body.p + 6, "\0\0\0\0\0\0", 6);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(channel_type_name(MESSAGE_HELLO), "HELLO");
    assert_string_equal(channel_type_name(MESSAGE_NONE), "?");
    assert_string_equal(channel_type_name((enum message_type)4711), "?");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_messages_arrive),
        TEST(test_largest),
        TEST(test_descriptor),
        TEST(test_sender_is_checked),
        TEST(test_receiver_checks),
        TEST(test_longer_than_any),
        TEST(test_end),
        TEST(test_last_words),
        TEST(test_full),
        TEST(test_secret_is_wiped),
        TEST(test_names),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
