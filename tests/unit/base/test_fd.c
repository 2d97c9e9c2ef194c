#include "shared/base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_ringing(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void test_close_once(void **state)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    int number = fd;

    (void)state;
    assert_true(fd >= 0);
    errno = ENOENT;
    fd_close(&fd);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(number, F_GETFD), -1);
    fd_close(&fd);
    assert_int_equal(fd, -1);
}

static void test_all_bytes_or_an_error(void **state)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    char bytes[8] = "";

    (void)state;
    assert_int_equal(fd_write_full(fd, "0123", 4), 0);
    assert_int_equal(fd_pwrite_full(fd, "4567", 4, 4), 0);
    assert_int_equal(fd_pread_full(fd, bytes, 8, 0), 0);
    assert_memory_equal(bytes, "01234567", 8);
    assert_int_equal(fd_pread_full(fd, bytes, 8, 1), -ENODATA);
    assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
    assert_int_equal(fd_read_full(fd, bytes, 2), 0);
    assert_memory_equal(bytes, "67", 2);
    assert_int_equal(fd_read_full(fd, bytes, 1), -ENODATA);
    assert_int_equal(fd_read_full(fd, bytes, 0), 0);
    fd_close(&fd);
    assert_int_equal(fd_read_full(fd, bytes, 1), -EBADF);
    assert_int_equal(fd_pwrite_full(fd, bytes, 1, 0), -EBADF);
}

static void test_full_device(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(fd_write_full(fd, "x", 1), -ENOSPC);
    fd_close(&fd);
}

static void test_flags(void **state)
{
    int fd = memfd_create("test", 0);

    (void)state;
    assert_int_equal(fd_set_cloexec(fd, 1), 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(fd_set_cloexec(fd, 0), 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0);
    assert_int_equal(fd_set_nonblock(fd, 1), 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(fd_set_nonblock(fd, 0), 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    fd_close(&fd);
    assert_int_equal(fd_set_cloexec(fd, 1), -EBADF);
    assert_int_equal(fd_set_nonblock(fd, 1), -EBADF);
}

static void test_bell(void **state)
{
    int fd = fd_bell_new();
    uint64_t almost = UINT64_MAX - 1;

    (void)state;
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_false(is_ringing(fd));
    assert_int_equal(fd_bell_clear(fd), 0);
    assert_int_equal(fd_bell_ring(fd), 0);
    assert_int_equal(fd_bell_ring(fd), 0);
    assert_true(is_ringing(fd));
    assert_int_equal(fd_bell_clear(fd), 0);
    assert_false(is_ringing(fd));
    /* A counter at its end must not block or fail. */
    assert_int_equal(write(fd, &almost, sizeof(almost)), (ssize_t)sizeof(almost));
    assert_int_equal(fd_bell_ring(fd), 0);
    assert_true(is_ringing(fd));
    fd_close(&fd);
    assert_int_equal(fd_bell_ring(fd), -EBADF);
    assert_int_equal(fd_bell_clear(fd), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_once),  cmocka_unit_test(test_all_bytes_or_an_error),
        cmocka_unit_test(test_full_device), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_bell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
