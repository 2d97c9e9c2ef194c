#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/base/fd.h"
#include "shared/role/role_config.h"

static struct role_config config;

static int setup(void **state)
{
    (void)state;
    role_config_init(&config, "receiver", OPTION_RECEIVER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    role_config_fini(&config);
    return 0;
}

static int take(enum message_type type, const void *body, size_t n, int fd)
{
    struct channel_message message = {.type = type, .body = slice_of(body, n), .fd = fd};
    struct err err = {0};
    int r = role_config_take(&config, &message, &err);

    assert_int_equal(message.fd, -1); /* taken or closed, always */
    assert_true(r >= 0 || err.text[0] != '\0');
    return r;
}

static int hello(const char *name, uint32_t version, uint32_t slot, uint64_t incarnation)
{
    uint8_t body[64];
    struct message_hello head = {
        .version = version, .index = 2, .slot = slot, .incarnation = incarnation};

    memcpy(body, &head, sizeof(head));
    memcpy(body + sizeof(head), name, strlen(name));
    return take(MESSAGE_HELLO, body, sizeof(head) + strlen(name), -1);
}

static int snapshot(const char *level)
{
    struct options *options = options_new();
    struct buf buf;
    struct err err;
    int r;

    buf_init(&buf, 1 << 20);
    assert_int_equal(options_set(options, OPT_LOG_LEVEL, slice_string(level), &err), 0);
    assert_int_equal(options_snapshot(options, OPTION_RECEIVER, &buf), 0);
    r = take(MESSAGE_SNAPSHOT, buf.p, buf.n, -1);
    buf_fini(&buf);
    options_free(&options);
    return r;
}

static int secret(const char *path, const char *value)
{
    uint8_t body[256];
    uint16_t n = (uint16_t)strlen(path);

    memcpy(body, &n, sizeof(n));
    memcpy(body + 2, path, n);
    memcpy(body + 2 + n, value, strlen(value));
    return take(MESSAGE_SECRET, body, 2 + n + strlen(value), -1);
}

static void start(void)
{
    assert_int_equal(hello("receiver", MESSAGE_VERSION, 3, 99), ROLE_CONFIG_MORE);
    assert_int_equal(snapshot("warn"), ROLE_CONFIG_MORE);
    assert_int_equal(secret("forward.shared_key", "one"), ROLE_CONFIG_MORE);
    assert_int_equal(take(MESSAGE_FD, "door", 4, fd_bell_new()), ROLE_CONFIG_MORE);
    assert_int_equal(take(MESSAGE_GO, NULL, 0, -1), ROLE_CONFIG_GO);
}

static void test_start(void **state)
{
    (void)state;
    start();
    assert_int_equal(config.index, 2);
    assert_int_equal(config.slot, 3);
    assert_int_equal(config.incarnation, 99);
    assert_string_equal(options_string(config.options, OPT_LOG_LEVEL), "warn");
    assert_true(slice_is(options_secret(config.options, OPT_FORWARD_SHARED_KEY), "one"));
    assert_true(role_config_fd(&config, "door") >= 0);
    assert_int_equal(role_config_fd(&config, "doo"), -ENOENT);
    assert_int_equal(role_config_fd(&config, "door.0"), -ENOENT);
}

static void test_reload(void **state)
{
    const char *kept;

    (void)state;
    start();
    kept = options_string(config.options, OPT_LOG_LEVEL);
    assert_int_equal(snapshot("debug"), ROLE_CONFIG_MORE);
    /* Not before the word. */
    assert_string_equal(options_string(config.options, OPT_LOG_LEVEL), "warn");
    assert_int_equal(take(MESSAGE_RELOAD, NULL, 0, -1), ROLE_CONFIG_RELOADED);
    assert_string_equal(options_string(config.options, OPT_LOG_LEVEL), "debug");
    /* A secret that was not sent again is gone. */
    assert_int_equal(options_secret(config.options, OPT_FORWARD_SHARED_KEY).n, 0);
    assert_string_equal(kept, "warn"); /* what a stage kept stays readable */
}

static void test_hello_is_checked(void **state)
{
    (void)state;
    assert_int_equal(hello("shipper", MESSAGE_VERSION, 3, 99), -EPROTO);
    assert_int_equal(hello("receive", MESSAGE_VERSION, 3, 99), -EPROTO);
    assert_int_equal(hello("receiver", MESSAGE_VERSION + 1, 3, 99), -EPROTO);
    assert_int_equal(hello("receiver", MESSAGE_VERSION, 32, 99), -EPROTO);
    assert_int_equal(hello("receiver", MESSAGE_VERSION, 3, 0), -EPROTO);
    assert_int_equal(hello("receiver", MESSAGE_VERSION, 3, 99), ROLE_CONFIG_MORE);
    assert_int_equal(hello("receiver", MESSAGE_VERSION, 3, 99), -EPROTO);
}

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(take(MESSAGE_GO, NULL, 0, -1), -EPROTO);
    assert_int_equal(take(MESSAGE_RELOAD, NULL, 0, -1), -EPROTO);
    assert_int_equal(secret("forward.shared_key", "x"), -EPROTO); /* before the options */
    assert_int_equal(snapshot("warn"), ROLE_CONFIG_MORE);
    assert_int_equal(take(MESSAGE_GO, NULL, 0, -1), -EPROTO); /* before the hello */
    role_config_fini(&config);
    start();
    assert_int_equal(take(MESSAGE_GO, NULL, 0, -1), -EPROTO);
    assert_int_equal(take(MESSAGE_RELOAD, NULL, 0, -1), -EPROTO);
    assert_int_equal(take(MESSAGE_FD, "late", 4, fd_bell_new()), -EPROTO);
    assert_int_equal(take(MESSAGE_READY, NULL, 0, -1), -EPROTO);
}

static void test_secrets_are_checked(void **state)
{
    uint8_t cut[] = {200, 0, 'f'};

    (void)state;
    assert_int_equal(snapshot("warn"), ROLE_CONFIG_MORE);
    assert_int_equal(secret("otlp.api_key", "x"), -EINVAL); /* not the receiver's */
    assert_int_equal(secret("log.level", "x"), -EINVAL);    /* no secret */
    assert_int_equal(secret("no.such", "x"), -EINVAL);
    assert_int_equal(secret("", "x"), -EPROTO);
    assert_int_equal(take(MESSAGE_SECRET, cut, sizeof(cut), -1), -EPROTO);
}

static void test_descriptors_are_checked(void **state)
{
    int held = fd_bell_new();

    (void)state;
    assert_int_equal(take(MESSAGE_FD, "door", 4, fcntl(held, F_DUPFD_CLOEXEC, 0)), 0);
    assert_int_equal(take(MESSAGE_FD, "door", 4, fcntl(held, F_DUPFD_CLOEXEC, 0)), -EPROTO);
    assert_int_equal(take(MESSAGE_FD, "a\0b", 3, fcntl(held, F_DUPFD_CLOEXEC, 0)), -EPROTO);
    fd_close(&held);
}

static void test_bad_snapshot(void **state)
{
    (void)state;
    assert_true(take(MESSAGE_SNAPSHOT, "garbage-garbage", 15, -1) < 0);
    assert_null(config.next);
    assert_int_equal(take(MESSAGE_GO, NULL, 0, -1), -EPROTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_start),
        TEST(test_reload),
        TEST(test_order),
        TEST(test_hello_is_checked),
        TEST(test_secrets_are_checked),
        TEST(test_descriptors_are_checked),
        TEST(test_bad_snapshot),
    };

    return cmocka_run_group_tests_name("role_config", tests, NULL, NULL);
}
