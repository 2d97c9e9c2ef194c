#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "supervisor/listeners.h"

static struct options *options_for(const char *address, const char *port)
{
    struct options *options = options_new();
    struct err err;

    assert_non_null(options);
    assert_int_equal(options_set(options, OPT_FORWARD_BIND, slice_string(address), &err), 0);
    assert_int_equal(options_set(options, OPT_FORWARD_PORT, slice_string(port), &err), 0);
    return options;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;

    fd_close(&fd);
    return r;
}

static void test_all_addresses(void **state)
{
    struct options *options = options_for("*", "0");
    struct listeners listeners;
    struct err err;
    int fd;

    (void)state;
    assert_int_equal(listeners_open(&listeners, options, &err), 0);
    assert_int_equal(listeners.count, 1);
    fd = listeners.all[0].fd;
    assert_string_equal(listeners.all[0].name, "forward");
    assert_true(listeners.all[0].port > 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(connect_to(listeners.all[0].port), 0); /* IPv4, also on an IPv6 socket */
    listeners_close(&listeners);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    options_free(&options);
}

/* Whether a datagram to this port of 127.0.0.1 arrives at fd. */
static bool hears(int fd, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t byte = 1;

    assert_int_equal(sendto(client, &byte, 1, 0, (struct sockaddr *)&address, sizeof(address)), 1);
    fd_close(&client);
    return recv(fd, &byte, 1, 0) == 1; /* loopback: it is there at once */
}

static void test_heartbeat(void **state)
{
    static const char *const addresses[] = {"*", "127.0.0.1"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct options *options = options_for(addresses[i], "0");
        struct listeners listeners;
        struct err err;
        int fd;

        assert_int_equal(listeners_open(&listeners, options, &err), 0);
        assert_int_equal(listeners.all[0].heartbeat_error, 0);
        fd = listeners.all[0].heartbeat_fd;
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        assert_true(hears(fd, listeners.all[0].port));
        listeners_close(&listeners);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        options_free(&options);
    }
}

static void test_no_heartbeat(void **state)
{
    struct options *options = options_for("127.0.0.1", "0");
    /* An address that nobody else has connections from, which might have the port. */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f4d0001)};
    socklen_t size = sizeof(address);
    struct listeners listeners;
    struct err err;
    char port[16];
    int fd;

    (void)state;
    assert_int_equal(options_set(options, OPT_FORWARD_HEARTBEAT, slice_string("false"), &err), 0);
    assert_int_equal(listeners_open(&listeners, options, &err), 0);
    assert_int_equal(listeners.all[0].heartbeat_fd, -1);
    assert_int_equal(listeners.all[0].heartbeat_error, 0);
    listeners_close(&listeners);
    options_free(&options);
    /* Another program has the UDP port: no failure, but known. */
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
    options = options_for("127.77.0.1", port);
    assert_int_equal(listeners_open(&listeners, options, &err), 0);
    assert_int_equal(listeners.all[0].heartbeat_fd, -1);
    assert_int_equal(listeners.all[0].heartbeat_error, -EADDRINUSE);
    assert_true(listeners.all[0].fd >= 0);
    listeners_close(&listeners);
    fd_close(&fd);
    options_free(&options);
}

static void test_taken(void **state)
{
    struct options *options = options_for("127.0.0.1", "0");
    struct listeners first, second;
    struct err err = {0};
    char port[16];

    (void)state;
    assert_int_equal(listeners_open(&first, options, &err), 0);
    options_free(&options);
    snprintf(port, sizeof(port), "%u", first.all[0].port);
    options = options_for("127.0.0.1", port);
    assert_int_equal(listeners_open(&second, options, &err), -EADDRINUSE);
    assert_int_equal(second.count, 0);
    assert_non_null(strstr(err.text, "forward.port"));
    assert_non_null(strstr(err.text, port));
    /* Free again at once, though a connection of it lingers. */
    assert_int_equal(connect_to(first.all[0].port), 0);
    listeners_close(&first);
    assert_int_equal(listeners_open(&second, options, &err), 0);
    listeners_close(&second);
    options_free(&options);
}

static void test_no_such_address(void **state)
{
    struct options *options = options_for("192.0.2.1", "0"); /* RFC 5737: nobody's */
    struct listeners listeners;
    struct err err = {0};

    (void)state;
    assert_int_equal(listeners_open(&listeners, options, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "forward.bind"));
    options_free(&options);
    options = options_for("localhost", "0");
    assert_int_equal(listeners_open(&listeners, options, &err), -EINVAL);
    assert_non_null(strstr(err.text, "forward.bind"));
    options_free(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_addresses),   cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_no_heartbeat),    cmocka_unit_test(test_taken),
        cmocka_unit_test(test_no_such_address),
    };

    return cmocka_run_group_tests_name("listeners", tests, NULL, NULL);
}
