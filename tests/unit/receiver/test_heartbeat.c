/*
 * UDP heartbeats over real sockets: what is answered, from which address, and what is not.
 */
#include "receiver/heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"

#define PATIENCE_MS 20000

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct heartbeat_limit limit;
static uint64_t now_ns = 5 * NS_PER_S;

static uint64_t answer(int fd)
{
    return heartbeat_answer(&limit, fd, now_ns);
}

static union address v4(uint32_t host, uint16_t port)
{
    return (union address){
        .v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host), .sin_port = htons(port)}};
}

static union address v6(struct in6_addr host, uint16_t port)
{
    return (union address){
        .v6 = {.sin6_family = AF_INET6, .sin6_addr = host, .sin6_port = htons(port)}};
}

/* A socket bound to it; the address gets the real port. -1: this machine has no such. */
static int bound(union address *address)
{
    socklen_t size = sizeof(*address);
    int off = 0;
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (address->any.sa_family == AF_INET6)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
    if (bind(fd, &address->any,
             address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4)) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, &address->any, &size), 0);
    return fd;
}

static int server(union address *address)
{
    int fd = bound(address);

    if (fd >= 0)
        heartbeat_init(fd);
    return fd;
}

static void send_to(int fd, const union address *to, const void *p, size_t n)
{
    assert_int_equal(sendto(fd, p, n, 0, &to->any,
                            to->any.sa_family == AF_INET6 ? sizeof(to->v6) : sizeof(to->v4)),
                     n);
}

static bool is_ready(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1;
}

/* One answer of one byte 00, from `from`. */
static void expect_answer(int fd, const union address *from)
{
    uint8_t bytes[16] = {0xff};
    union address got = {0};
    socklen_t size = sizeof(got);

    assert_true(is_ready(fd, PATIENCE_MS));
    assert_int_equal(recvfrom(fd, bytes, sizeof(bytes), 0, &got.any, &size), 1);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(got.any.sa_family, from->any.sa_family);
    if (from->any.sa_family == AF_INET6) {
        assert_int_equal(got.v6.sin6_port, from->v6.sin6_port);
        assert_memory_equal(&got.v6.sin6_addr, &from->v6.sin6_addr, sizeof(got.v6.sin6_addr));
    } else {
        assert_int_equal(got.v4.sin_port, from->v4.sin_port);
        assert_int_equal(got.v4.sin_addr.s_addr, from->v4.sin_addr.s_addr);
    }
}

static void every_datagram_is_answered(void **state)
{
    union address here = v4(INADDR_LOOPBACK, 0), there = v4(INADDR_LOOPBACK, 0);
    int fd = server(&here), client = bound(&there);
    uint8_t large[9000] = {7};

    (void)state;
    assert_true(fd >= 0 && client >= 0);
    assert_int_equal(answer(fd), 0); /* nothing came: it does not wait */
    send_to(client, &here, "", 1);
    send_to(client, &here, "", 0);
    send_to(client, &here, "hello", 5);
    send_to(client, &here, large, sizeof(large));
    assert_int_equal(answer(fd), 4);
    for (unsigned i = 0; i < 4; i++)
        expect_answer(client, &here);
    assert_int_equal(answer(fd), 0);
    close(client);
    close(fd);
}

/* So many in a row; what is left still makes the socket readable. */
static void a_wake_has_an_end(void **state)
{
    union address here = v4(INADDR_LOOPBACK, 0), there = v4(INADDR_LOOPBACK, 0);
    int fd = server(&here), client = bound(&there);
    uint64_t first;

    (void)state;
    assert_true(fd >= 0 && client >= 0);
    for (unsigned i = 0; i < 100; i++)
        send_to(client, &here, "", 1);
    first = answer(fd);
    assert_true(first > 0 && first < 100);
    assert_true(is_ready(fd, 0));
    assert_int_equal(first + answer(fd), 100);
    assert_false(is_ready(fd, 0));
    close(client);
    close(fd);
}

/* On a socket of all addresses: the answer comes from the one that was asked. */
static void the_address_that_was_asked_answers(void **state)
{
    union address here = v6(in6addr_any, 0), there = v4(INADDR_LOOPBACK, 0);
    union address asked = v4(INADDR_LOOPBACK + 6, 0), asked6 = v6(in6addr_loopback, 0);
    union address there6 = v6(in6addr_loopback, 0);
    int fd = server(&here), client, client6;

    (void)state;
    if (fd < 0) { /* no IPv6 here: the same with IPv4 */
        here = v4(INADDR_ANY, 0);
        fd = server(&here);
    }
    client = bound(&there);
    assert_true(fd >= 0 && client >= 0);
    asked.v4.sin_port = here.any.sa_family == AF_INET6 ? here.v6.sin6_port : here.v4.sin_port;
    send_to(client, &asked, "", 1);
    assert_int_equal(answer(fd), 1);
    expect_answer(client, &asked);
    client6 = bound(&there6);
    if (here.any.sa_family == AF_INET6 && client6 >= 0) {
        asked6.v6.sin6_port = here.v6.sin6_port;
        send_to(client6, &asked6, "", 1);
        assert_int_equal(answer(fd), 1);
        expect_answer(client6, &asked6);
    }
    if (client6 >= 0)
        close(client6);
    close(client);
    close(fd);
}

/* Two servers that answer everything would answer each other for ever. */
static void another_server_is_not_answered(void **state)
{
    union address here = v4(INADDR_LOOPBACK, 0), there;
    int fd = server(&here), other;

    (void)state;
    assert_true(fd >= 0);
    there = v4(INADDR_LOOPBACK + 6, ntohs(here.v4.sin_port)); /* another machine, the same port */
    other = bound(&there);
    assert_true(other >= 0);
    send_to(other, &here, "", 1);
    send_to(fd, &here, "", 1); /* itself */
    assert_int_equal(answer(fd), 0);
    assert_false(is_ready(fd, 0));
    assert_false(is_ready(other, 0));
    close(other);
    there = v4(INADDR_LOOPBACK + 6, 1007); /* echo and its like */
    other = bound(&there);
    if (other >= 0) { /* needs root */
        send_to(other, &here, "", 1);
        assert_int_equal(answer(fd), 0);
        close(other);
    }
    close(fd);
}

/* A sender that is gone again: the error of the answer harms nobody else's. */
static void a_sender_that_is_gone_is_no_matter(void **state)
{
    union address here = v4(INADDR_LOOPBACK, 0), there = v4(INADDR_LOOPBACK, 0), gone = there;
    int fd = server(&here), client = bound(&there), other = bound(&gone);

    (void)state;
    assert_true(fd >= 0 && client >= 0 && other >= 0);
    send_to(other, &here, "", 1);
    close(other);
    answer(fd);
    send_to(client, &here, "", 1);
    assert_int_equal(answer(fd), 1);
    expect_answer(client, &here);
    close(client);
    close(fd);
}

/* Two servers that a forged sender has set upon each other: one of them leaves a datagram out. */
static void a_second_has_an_end(void **state)
{
    union address here = v4(INADDR_LOOPBACK, 0), there = v4(INADDR_LOOPBACK, 0);
    int fd = server(&here), client = bound(&there);
    uint64_t answered = 0;

    (void)state;
    assert_true(fd >= 0 && client >= 0);
    now_ns += NS_PER_S;
    for (unsigned i = 0; i < HEARTBEATS_PER_SECOND + 100; i++) {
        send_to(client, &here, "", 1);
        answered += answer(fd);
    }
    assert_int_equal(answered, HEARTBEATS_PER_SECOND);
    now_ns += NS_PER_S;
    send_to(client, &here, "", 1);
    assert_int_equal(answer(fd), 1);
    close(client);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_datagram_is_answered),
        cmocka_unit_test(a_wake_has_an_end),
        cmocka_unit_test(the_address_that_was_asked_answers),
        cmocka_unit_test(another_server_is_not_answered),
        cmocka_unit_test(a_sender_that_is_gone_is_no_matter),
        cmocka_unit_test(a_second_has_an_end),
    };

    return cmocka_run_group_tests_name("heartbeat", tests, NULL, NULL);
}
