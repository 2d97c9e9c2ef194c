/*
 * confine: each role's row is applied to a child process of the test, which then tries what it may
 * and what it must not do. The child reports by its exit status or by the signal that ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/fd.h"
#include "shared/role/confine.h"
#include "shared/role/landlock.h"
#include "supervisor/proc_status.h"

static struct {
    char folder[64]; /* of this run: data, outside, out */
    int listener;    /* as the supervisor would give one */
    int heartbeats;  /* the same, UDP */
    struct sockaddr_in address;
    struct options *options;
} world;

/* ---- a confined child ---- */

typedef int attempt(void);

static char path_buffer[256];

static const char *path_of(const char *name)
{
    snprintf(path_buffer, sizeof(path_buffer), "%s/%s", world.folder, name);
    return path_buffer;
}

/*
 * Runs `try` confined as a role; it returns 0 or a positive errno. The result: that, or minus
 * the number of the signal that killed the child. 200: the confinement itself failed.
 */
static int confined(const char *role, unsigned index, attempt *try)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct confine_plan *plan = NULL;
        struct confine_report report;
        struct err err = {0};

        if (confine_plan_new(role, index, world.options, &plan, &err) < 0 ||
            confine_apply(plan, &report, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            _exit(200);
        }
        _exit(try());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int opened(int fd)
{
    int r = result(fd);

    fd_close(&fd);
    return r;
}

/* ---- attempts ---- */

static int open_passwd(void)
{
    return opened(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_shadow(void)
{
    return opened(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

static int open_proc(void)
{
    return opened(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
}

static int read_outside(void)
{
    return opened(open(path_of("outside"), O_RDONLY | O_CLOEXEC));
}

static int write_in(const char *name)
{
    return opened(open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int write_outside(void)
{
    return write_in("new");
}

static int write_own_lane(void)
{
    return write_in("data/lanes/01/new");
}

static int write_other_lane(void)
{
    return write_in("data/lanes/00/new");
}

static int read_other_lane(void)
{
    return opened(open(path_of("data/lanes/00/segment"), O_RDONLY | O_CLOEXEC));
}

static int write_quarantine(void)
{
    return write_in("data/quarantine/new");
}

static int write_cursors(void)
{
    return write_in("data/cursors/new");
}

static int write_backup(void)
{
    return write_in("data/backup/new");
}

static int write_output(void)
{
    return write_in("out/otlp.jsonl");
}

static int make_link(void)
{
    return result(symlink("/etc/shadow", path_of("data/quarantine/link")));
}

static int read_cursors(void)
{
    return opened(open(path_of("data/cursors"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int unlink_segment(void)
{
    return result(unlink(path_of("data/lanes/00/segment")));
}

static int rename_to_backup(void)
{
    char to[256];

    snprintf(to, sizeof(to), "%s/data/backup/kept", world.folder);
    return result(rename(path_of("data/lanes/00/segment2"), to));
}

static int make_socket(int family, int type)
{
    return opened(socket(family, type | SOCK_CLOEXEC, 0));
}

static int socket_inet(void)
{
    return make_socket(AF_INET, SOCK_STREAM);
}

static int socket_unix(void)
{
    return make_socket(AF_UNIX, SOCK_STREAM);
}

static int socket_packet(void)
{
    return make_socket(AF_PACKET, SOCK_RAW);
}

static int socket_netlink(void)
{
    return make_socket(AF_NETLINK, SOCK_RAW);
}

static int connect_to_listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    return result(connect(fd, (struct sockaddr *)&world.address, sizeof(world.address)));
}

/* With a socket from before: the row, not only the lack of a socket, must refuse. */
static int held_socket = -1;

static int connect_held(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return result(connect(held_socket, (struct sockaddr *)&address, sizeof(address)));
}

/* As the receiver answers a heartbeat, on a UDP socket that it was given. */
static int answer_heartbeat(void)
{
    struct sockaddr_in from = {0};
    struct iovec iov = {.iov_base = (uint8_t[1]){0}, .iov_len = 1};
    struct msghdr header = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
    socklen_t size = sizeof(from);
    int on = 1;

    if (setsockopt(world.heartbeats, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
        getsockname(world.heartbeats, (struct sockaddr *)&from, &size) < 0 ||
        sendto(world.heartbeats, &on, 1, 0, (struct sockaddr *)&from, sizeof(from)) < 0 ||
        recvmsg(world.heartbeats, &header, MSG_DONTWAIT) < 0 ||
        sendmsg(world.heartbeats, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return errno;
    return 0;
}

static int connect_heartbeats(void)
{
    return result(
        connect(world.heartbeats, (struct sockaddr *)&world.address, sizeof(world.address)));
}

static int bind_held(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return result(bind(held_socket, (struct sockaddr *)&address, sizeof(address)));
}

static int listen_held(void)
{
    return result(listen(held_socket, 1));
}

static int accept_given(void)
{
    int fd = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return fd < 0 && errno == EAGAIN ? 0 : opened(fd);
}

static int try_execve(void)
{
    char *const argv[] = {(char *)(uintptr_t) "true", NULL};

    return result(execve("/bin/true", argv, NULL));
}

static int try_execveat(void)
{
    char *const argv[] = {(char *)(uintptr_t) "true", NULL};

    return result(execveat(AT_FDCWD, "/bin/true", argv, NULL, 0));
}

static int try_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return result(pid);
}

static int try_clone3(void)
{
    return result(syscall(SYS_clone3, NULL, 0));
}

static void *nothing(void *data)
{
    return data;
}

static int start_thread(void)
{
    pthread_t thread;
    int r = pthread_create(&thread, NULL, nothing, NULL);

    return r != 0 ? r : pthread_join(thread, NULL);
}

static int try_ptrace(void)
{
    return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int read_parent_memory(void)
{
    return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int kill_parent(void)
{
    return result(kill(getppid(), SIGTERM));
}

static int tgkill_parent(void)
{
    return result(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM));
}

static int try_setuid(void)
{
    return result(syscall(SYS_setuid, 0));
}

static int try_mount(void)
{
    return result(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL));
}

static int try_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_userfaultfd(void)
{
    return result(syscall(SYS_userfaultfd, 0));
}

static int try_io_uring(void)
{
    return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int make_code(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? errno : 0;
}

static int make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? 202 : result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int become_dumpable(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int raise_limit(void)
{
    struct rlimit limit = {1 << 20, 1 << 20};

    return result(setrlimit(RLIMIT_NOFILE, &limit));
}

static int work(void)
{
    /* What every stage does: memory, a bell, time, a random number, its own limits. */
    char *p = malloc(10 << 20);
    struct rlimit limit;
    struct timespec now;
    int bell = fd_bell_new();

    if (p == NULL || bell < 0 || clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        return 1;
    memset(p, 1, 10 << 20);
    free(p);
    if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max != 0)
        return 2;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 3;
    return opened(bell);
}

/* ---- tests ---- */

struct expectation {
    const char *what;
    attempt *run;
    int receiver, processor, shipper; /* 0, errno, or minus a signal */
};

#define ANY_REFUSAL 999 /* EPERM of seccomp or EACCES of Landlock */
#define EITHER 998      /* allowed, or EACCES: depends on the user and on the kernel's Landlock */
#define DEAD (-SIGSYS)

static const struct expectation expectations[] = {
    {"ordinary work", work, 0, 0, 0},
    {"/etc/passwd", open_passwd, ANY_REFUSAL, ANY_REFUSAL, EITHER},
    {"/etc/shadow", open_shadow, ANY_REFUSAL, ANY_REFUSAL, ANY_REFUSAL},
    {"/proc/self/maps", open_proc, ANY_REFUSAL, ANY_REFUSAL, ANY_REFUSAL},
    {"a file outside", read_outside, ANY_REFUSAL, ANY_REFUSAL, ANY_REFUSAL},
    {"a new file outside", write_outside, ANY_REFUSAL, ANY_REFUSAL, ANY_REFUSAL},
    {"own lane", write_own_lane, ANY_REFUSAL, 0, 0},
    {"another lane", write_other_lane, ANY_REFUSAL, ANY_REFUSAL, 0},
    {"reading another lane", read_other_lane, ANY_REFUSAL, 0, 0},
    {"quarantine", write_quarantine, ANY_REFUSAL, 0, 0},
    {"cursors", write_cursors, ANY_REFUSAL, ANY_REFUSAL, 0},
    {"reading cursors", read_cursors, ANY_REFUSAL, 0, 0},
    {"backup", write_backup, ANY_REFUSAL, ANY_REFUSAL, 0},
    {"the file output", write_output, ANY_REFUSAL, ANY_REFUSAL, 0},
    {"a symbolic link", make_link, ANY_REFUSAL, ANY_REFUSAL, ANY_REFUSAL},
    {"unlinking a segment", unlink_segment, ANY_REFUSAL, ANY_REFUSAL, 0},
    {"renaming a segment to backup", rename_to_backup, ANY_REFUSAL, ANY_REFUSAL, 0},
    {"socket IPv4", socket_inet, EPERM, EPERM, 0},
    {"socket unix", socket_unix, EPERM, EPERM, EPERM},
    {"socket netlink", socket_netlink, EPERM, EPERM, 0},
    {"socket packet", socket_packet, EPERM, EPERM, EPERM},
    {"connect", connect_to_listener, EPERM, EPERM, 0},
    {"connect a held socket", connect_held, EPERM, EPERM, ECONNREFUSED},
    {"bind a held socket", bind_held, EPERM, EPERM, EITHER},
    {"listen", listen_held, EPERM, EPERM, EPERM},
    {"accept", accept_given, 0, EPERM, EPERM},
    {"a heartbeat", answer_heartbeat, 0, EPERM, 0},
    {"connect a UDP socket", connect_heartbeats, EPERM, EPERM, 0},
    {"execve", try_execve, DEAD, DEAD, DEAD},
    {"execveat", try_execveat, DEAD, DEAD, DEAD},
    {"fork", try_fork, DEAD, DEAD, DEAD},
    {"clone3", try_clone3, ENOSYS, ENOSYS, ENOSYS},
    {"a thread", start_thread, EPERM, 0, 0},
    {"ptrace", try_ptrace, DEAD, DEAD, DEAD},
    {"process_vm_readv", read_parent_memory, DEAD, DEAD, DEAD},
    {"kill the parent", kill_parent, EPERM, EPERM, EPERM},
    {"tgkill the parent", tgkill_parent, EPERM, EPERM, EPERM},
    {"setuid", try_setuid, DEAD, DEAD, DEAD},
    {"mount", try_mount, DEAD, DEAD, DEAD},
    {"bpf", try_bpf, DEAD, DEAD, DEAD},
    {"userfaultfd", try_userfaultfd, DEAD, DEAD, DEAD},
    {"io_uring", try_io_uring, DEAD, DEAD, DEAD},
    {"writable code", make_code, EPERM, EPERM, EPERM},
    {"executable data", make_executable, EPERM, EPERM, EPERM},
    {"dumpable", become_dumpable, EPERM, EPERM, EPERM},
    {"a higher limit", raise_limit, EPERM, EPERM, EPERM},
};

static int make_file(const char *name)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    return opened(fd);
}

/* Everything that an attempt might have changed is put back. */
static void prepare_files(void)
{
    assert_int_equal(make_file("outside"), 0);
    assert_int_equal(make_file("data/lanes/00/segment"), 0);
    assert_int_equal(make_file("data/lanes/00/segment2"), 0);
}

static void check(const char *role, const struct expectation *row, int want)
{
    int got = confined(role, 1, row->run);

    if (want == EITHER) {
        assert_true(got == 0 || got == EACCES);
        return;
    }
    if (want == ANY_REFUSAL ? got != EPERM && got != EACCES : got != want)
        fail_msg("%s: %s: got %d, want %d", role, row->what, got, want);
}

static void check_role(const char *role, size_t offset)
{
    held_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(held_socket >= 0);
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        int want;

        memcpy(&want, (const char *)&expectations[i] + offset, sizeof(want));
        prepare_files();
        check(role, &expectations[i], want);
    }
    fd_close(&held_socket);
}

static void test_receiver(void **state)
{
    (void)state;
    check_role("receiver", offsetof(struct expectation, receiver));
}

static void test_processor(void **state)
{
    (void)state;
    check_role("processor", offsetof(struct expectation, processor));
}

static void test_shipper(void **state)
{
    (void)state;
    check_role("shipper", offsetof(struct expectation, shipper));
}

/* Processor 0 also empties the lanes that nobody owns any more. */
static void test_processor_zero(void **state)
{
    (void)state;
    prepare_files();
    assert_int_equal(confined("processor", 0, write_other_lane), 0);
    assert_int_equal(confined("processor", 0, write_own_lane), 0);
    assert_int_not_equal(confined("processor", 0, write_cursors), 0);
}

/* With user id 0, /etc/shadow is not among the shipper's paths, and what resolving needs is. */
static int open_resolv(void)
{
    return opened(open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC));
}

static int open_hosts(void)
{
    return opened(open("/etc/hosts", O_RDONLY | O_CLOEXEC));
}

static void test_shipper_resolves(void **state)
{
    (void)state;
    if (access("/etc/resolv.conf", R_OK) == 0)
        assert_int_equal(confined("shipper", 0, open_resolv), 0);
    if (access("/etc/hosts", R_OK) == 0)
        assert_int_equal(confined("shipper", 0, open_hosts), 0);
}

static int bind_shipper(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    held_socket = fd;
    return fd < 0 ? errno : bind_held();
}

static void test_landlock_tcp(void **state)
{
    (void)state;
    if (landlock_abi() < 4)
        skip();
    assert_int_equal(confined("shipper", 0, bind_shipper), EACCES);
}

/* What the kernel says of a confined process. */
static void test_kernel_agrees(void **state)
{
    int ready[2], go[2];
    struct proc_status status;
    unsigned abi = landlock_abi(); /* confined it cannot be asked any more */
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        struct confine_plan *plan = NULL;
        struct confine_report report;

        fd_close(&go[1]);
        if (confine_plan_new("receiver", 0, world.options, &plan, NULL) < 0 ||
            confine_apply(plan, &report, NULL) < 0 || report.landlock_abi != abi)
            _exit(1);
        (void)!write(ready[1], "r", 1);
        (void)!read(go[0], &byte, 1);
        _exit(0);
    }
    fd_close(&ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    status = proc_status_read(pid);
    assert_true(status.known);
    assert_true(status.no_new_privs);
    assert_true(status.seccomp);
    assert_int_equal(status.capabilities, 0);
    if (geteuid() == 0)
        assert_int_equal(status.bounding, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fd_close(&ready[0]);
    fd_close(&go[0]);
    fd_close(&go[1]);
}

/* Threads that run already would stay free. */
static void *sleep_for_ever(void *data)
{
    pause();
    return data;
}

static int confine_with_thread(void)
{
    struct confine_plan *plan = NULL;
    struct confine_report report;
    pthread_t thread;
    int r;

    if (pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0)
        return 1;
    r = confine_plan_new("shipper", 0, world.options, &plan, NULL);
    return r < 0 ? 2 : -confine_apply(plan, &report, NULL);
}

static void test_threads_before(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0)
        _exit(confine_with_thread());
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EBUSY);
}

static void test_unknown_role(void **state)
{
    struct confine_plan *plan = NULL;
    struct err err;

    (void)state;
    assert_int_equal(confine_plan_new("butler", 0, world.options, &plan, &err), -ENOENT);
    assert_int_equal(confine_option_role("butler"), 0);
    assert_int_equal(confine_option_role("shipper"), OPTION_SHIPPER);
}

static void test_missing_folder(void **state)
{
    (void)state;
    if (landlock_abi() == 0)
        skip();
    assert_int_equal(confined("processor", 5, work), 200); /* there is no lanes/05 */
}

static void set(enum option_id id, const char *text)
{
    struct err err;

    assert_int_equal(options_set(world.options, id, slice_string(text), &err), 0);
}

static int setup(void **state)
{
    socklen_t size = sizeof(world.address);
    static const char *const folders[] = {"data",          "data/lanes",   "data/lanes/00",
                                          "data/lanes/01", "data/cursors", "data/quarantine",
                                          "data/backup",   "out"};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)state;
    snprintf(world.folder, sizeof(world.folder), "/tmp/test_confine.XXXXXX");
    if (mkdtemp(world.folder) == NULL)
        return -1;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(path_of(folders[i]), 0700) < 0)
            return -1;
    world.options = options_new();
    if (world.options == NULL)
        return -1;
    set(OPT_DATA_DIR, path_of("data"));
    set(OPT_FILE_PATH, path_of("out/otlp.jsonl"));
    set(OPT_FORWARD_MAX_CONNECTIONS, "100");
    world.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(world.listener, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    if (getsockname(world.listener, (struct sockaddr *)&world.address, &size) < 0)
        return -1;
    world.heartbeats = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(world.heartbeats, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return listen(world.listener, 8);
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    options_free(&world.options);
    fd_close(&world.listener);
    fd_close(&world.heartbeats);
    snprintf(command, sizeof(command), "rm -rf '%s'", world.folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiver),         cmocka_unit_test(test_processor),
        cmocka_unit_test(test_shipper),          cmocka_unit_test(test_processor_zero),
        cmocka_unit_test(test_shipper_resolves), cmocka_unit_test(test_landlock_tcp),
        cmocka_unit_test(test_kernel_agrees),    cmocka_unit_test(test_threads_before),
        cmocka_unit_test(test_unknown_role),     cmocka_unit_test(test_missing_folder),
    };

    return cmocka_run_group_tests_name("confine", tests, setup, teardown);
}
