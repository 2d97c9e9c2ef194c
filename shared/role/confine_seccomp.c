#include "shared/role/confine_seccomp.h"

#include <asm/termbits.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "shared/base/num.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* malloc and sanitizers name their mappings; Linux 5.17 */
#endif

#define END (-1000000) /* no system call of any architecture, nor one of libseccomp's own numbers */

/* Every stage: memory, time, the event loop, descriptors it was given. */
static const int for_all[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(dup3),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(mincore),
    SCMP_SYS(membarrier),
    SCMP_SYS(fallocate),
    SCMP_SYS(futex),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(signalfd4),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(getcpu),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    SCMP_SYS(shutdown),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    END,
};

/* Landlock decides which files. */
static const int for_files[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(preadv2),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(fstatfs),
    SCMP_SYS(statfs),
    SCMP_SYS(flock),
    SCMP_SYS(msync),
    END,
};

/*
 * With sendmsg, which every stage has, a UDP socket that was given for heartbeats can send anywhere:
 * a filter does not see addresses. What may be sent to a client on a connection can leave anyway.
 */
static const int for_accepting[] = {
    SCMP_SYS(accept4),    SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),  END,
};

static const int for_connecting[] = {
    SCMP_SYS(connect),    SCMP_SYS(bind),       SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendmmsg),    SCMP_SYS(recvmmsg),
    SCMP_SYS(pipe2),      SCMP_SYS(select),     SCMP_SYS(pselect6),    END,
};

/*
 * Nothing a stage or its libraries do by mistake. clone without CLONE_THREAD comes on top; clone3,
 * whose flags a filter cannot see, is ENOSYS, and the C library then takes clone.
 */
static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setfsgid),
    SCMP_SYS(capset),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(personality),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(acct),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(syslog),
    END,
};

/* libseccomp's answer for a call that this architecture does not have. */
static int rule_result(int r)
{
    return r == -EDOM || r == -EFAULT ? 0 : r;
}

static int add_list(scmp_filter_ctx filter, uint32_t action, const int *calls)
{
    int r = 0;

    for (size_t i = 0; calls[i] != END && r == 0; i++)
        r = rule_result(seccomp_rule_add(filter, action, calls[i], 0));
    return r;
}

/* Allows `call` where argument `index` under `mask` is `value`. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned index, uint64_t mask, uint64_t value)
{
    struct scmp_arg_cmp compare = {
        .arg = index, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};

    return rule_result(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare));
}

#define WHOLE UINT64_MAX
/* int arguments: the upper half of the register is anything. */
#define WHOLE_INT 0xffffffffull

static int add_memory(scmp_filter_ctx filter)
{
    int r = allow_if(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);

    if (r == 0)
        r = allow_if(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
    return r;
}

static int add_narrow(scmp_filter_ctx filter)
{
    /* TIOCOUTQ is also SIOCOUTQ: what a socket has not sent yet. */
    static const uint64_t ioctls[] = {FIONREAD, FIONBIO, TCGETS, TIOCOUTQ};
    static const uint64_t prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE};
    int r = 0;

    for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]) && r == 0; i++)
        r = allow_if(filter, SCMP_SYS(ioctl), 1, WHOLE_INT, ioctls[i]);
    for (size_t i = 0; i < sizeof(prctls) / sizeof(prctls[0]) && r == 0; i++)
        r = allow_if(filter, SCMP_SYS(prctl), 0, WHOLE_INT, prctls[i]);
    /* getrlimit(): no new limit. abort(): a signal to itself. */
    if (r == 0)
        r = allow_if(filter, SCMP_SYS(prlimit64), 2, WHOLE, 0);
    if (r == 0)
        r = allow_if(filter, SCMP_SYS(tgkill), 0, WHOLE_INT, (uint64_t)getpid());
    return r;
}

static int add_processes(scmp_filter_ctx filter, bool threads)
{
    struct scmp_arg_cmp not_a_thread = {
        .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = 0};
    int r =
        seccomp_rule_add_array(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1, &not_a_thread);

    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r == 0 && threads)
        r = allow_if(filter, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD);
    return r;
}

/* A pair of connected sockets inside the process is how libcurl wakes itself up. */
static int add_sockets(scmp_filter_ctx filter)
{
    static const uint64_t families[] = {AF_INET, AF_INET6, AF_NETLINK};
    int r = allow_if(filter, SCMP_SYS(socketpair), 0, WHOLE_INT, AF_UNIX);

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++)
        r = allow_if(filter, SCMP_SYS(socket), 0, WHOLE_INT, families[i]);
    return r;
}

static int fill(scmp_filter_ctx filter, const struct confine_row *row)
{
    int r = add_list(filter, SCMP_ACT_ALLOW, for_all);

    if (r == 0)
        r = add_memory(filter);
    if (r == 0)
        r = add_narrow(filter);
    if (r == 0)
        r = add_processes(filter, row->threads);
    if (r == 0 && row->files)
        r = add_list(filter, SCMP_ACT_ALLOW, for_files);
    if (r == 0 && row->accepts)
        r = add_list(filter, SCMP_ACT_ALLOW, for_accepting);
    if (r == 0 && row->connects)
        r = add_list(filter, SCMP_ACT_ALLOW, for_connecting);
    if (r == 0 && row->connects)
        r = add_sockets(filter);
    if (r == 0)
        r = add_list(filter, SCMP_ACT_KILL_PROCESS, deadly);
    return r;
}

int confine_seccomp_load(const struct confine_row *row, struct err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r;

    if (filter == NULL)
        return err_set(err, ENOMEM, "seccomp: out of memory");
    /* The kernel remembers what is always allowed; for the rest a tree is faster than a list. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    /* Kernels before 5.16 would slow every load and store of a filtered process down. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    r = fill(filter, row);
    if (r < 0) {
        err_errno(err, -r, "seccomp: rules");
    } else {
        r = seccomp_load(filter);
        if (r < 0)
            err_errno(err, -r, "seccomp: load");
    }
    seccomp_release(filter);
    return r;
}
