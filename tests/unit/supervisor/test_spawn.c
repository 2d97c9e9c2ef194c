#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/spawn.h"

static void test_environment(void **state)
{
    char *const all[] = {(char *)(uintptr_t) "DASH0_API_KEY=auth_x",
                         (char *)(uintptr_t) "PATH=/bin",
                         (char *)(uintptr_t) "PATHS=/no",
                         (char *)(uintptr_t) "LISTEN_FDS=1",
                         (char *)(uintptr_t) "NOTIFY_SOCKET=/x",
                         (char *)(uintptr_t) "TZ=UTC",
                         (char *)(uintptr_t) "LD_PRELOAD=/evil.so",
                         NULL};
    char **kept = spawn_environment_new(all);

    (void)state;
    assert_non_null(kept);
    assert_string_equal(kept[0], "PATH=/bin");
    assert_string_equal(kept[1], "TZ=UTC");
    assert_null(kept[2]);
    spawn_environment_free(&kept);
    assert_null(kept);
    spawn_environment_free(&kept);
}

static void test_identity(void **state)
{
    struct spawn_identity identity;
    struct err err = {0};

    (void)state;
    assert_int_equal(spawn_identity_find("", &identity, &err), 0);
    assert_false(identity.switches);
    assert_int_equal(identity.uid, geteuid());
    assert_int_equal(spawn_identity_find("no-such-user-here", &identity, &err), -EINVAL);
    assert_non_null(strstr(err.text, "no-such-user-here"));
    if (geteuid() == 0) {
        assert_int_equal(spawn_identity_find("nobody", &identity, &err), 0);
        assert_true(identity.switches);
        assert_int_not_equal(identity.uid, 0);
        assert_true(identity.group_count >= 1);
    } else {
        assert_int_equal(spawn_identity_find("root", &identity, &err), -EPERM);
    }
}

/* A failure in the child, before or in exec, is the caller's error, and no zombie is left. */
static void test_not_there(void **state)
{
    char *const environment[] = {NULL};
    const struct spawn_identity self = {0};
    struct spawn_request request = {
        .path = "/nowhere/sluice-shipper", .environment = environment, .identity = &self};
    struct channel *channel = NULL;
    struct err err = {0};
    pid_t pid = 0;

    (void)state;
    assert_int_equal(spawn_stage(&request, &channel, &pid, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/sluice-shipper"));
    assert_null(channel);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* A program that knows nothing of channels: its end is the end of the channel. */
static void test_runs(void **state)
{
    char *const environment[] = {NULL};
    const struct spawn_identity self = {0};
    struct spawn_request request = {
        .path = "/bin/true", .environment = environment, .identity = &self};
    struct channel *channel = NULL;
    struct channel_message message;
    struct err err = {0};
    pid_t pid = 0;
    int status;

    (void)state;
    assert_int_equal(spawn_stage(&request, &channel, &pid, &err), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(channel_receive(channel, &message), -ENOTCONN);
    channel_free(&channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_runs),
    };

    return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
