#include "shared/role/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/fd.h"

/* The same numbers on every architecture (unified since Linux 5.13). */
#define SYSCALL_CREATE_RULESET 444
#define SYSCALL_ADD_RULE 445
#define SYSCALL_RESTRICT_SELF 446

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

/* include/uapi/linux/landlock.h, with the ABI that brought each. */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_ALL_ABI1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,     /* 2: renames between folders */
    FS_TRUNCATE = 1 << 14,  /* 3 */
    FS_IOCTL_DEV = 1 << 15, /* 5 */
    NET_BIND_TCP = 1 << 0,  /* 4 */
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX = 1 << 0, /* 6 */
    SCOPE_SIGNAL = 1 << 1,
};

#define RIGHTS_READ ((uint64_t)(FS_READ_FILE | FS_READ_DIR))
#define RIGHTS_WRITE                                                                         \
    ((uint64_t)(FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | \
                FS_REFER | FS_TRUNCATE))
/* What a rule on a file, and not a folder, may hold. */
#define RIGHTS_FILE ((uint64_t)(FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE))

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

static uint64_t handled_fs(unsigned abi)
{
    return (uint64_t)FS_ALL_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
           (abi >= 5 ? FS_IOCTL_DEV : 0);
}

unsigned landlock_abi(void)
{
    long abi = syscall(SYSCALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

    return abi > 0 ? (unsigned)abi : 0;
}

int landlock_new(unsigned abi, bool allow_connect, int *ret_fd, struct err *err)
{
    /* Older kernels take the longer struct as long as what they do not know is zero. */
    struct ruleset_attr attr = {.handled_access_fs = handled_fs(abi)};
    long fd;

    if (abi >= 4)
        attr.handled_access_net = NET_BIND_TCP | (allow_connect ? 0 : NET_CONNECT_TCP);
    if (abi >= 6)
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    fd = syscall(SYSCALL_CREATE_RULESET, &attr, sizeof(attr), 0);
    if (fd < 0)
        return err_errno(err, errno, "Landlock: ruleset");
    *ret_fd = (int)fd; /* the kernel makes it close-on-exec */
    return 0;
}

int landlock_allow(int fd, unsigned abi, const char *path, bool writable, struct err *err)
{
    struct path_beneath_attr attr = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    int parent = attr.parent_fd;
    int r = 0;

    if (parent < 0)
        return err_errno(err, errno, "Landlock: %s", path);
    if (fstat(parent, &st) < 0) {
        r = err_errno(err, errno, "Landlock: %s", path);
        goto out;
    }
    attr.allowed_access = (RIGHTS_READ | (writable ? RIGHTS_WRITE : 0)) & handled_fs(abi);
    if (!S_ISDIR(st.st_mode))
        attr.allowed_access &= RIGHTS_FILE;
    if (syscall(SYSCALL_ADD_RULE, fd, RULE_PATH_BENEATH, &attr, 0) < 0)
        r = err_errno(err, errno, "Landlock: rule for %s", path);
out:
    fd_close(&parent);
    return r;
}

int landlock_enforce(int fd, struct err *err)
{
    if (syscall(SYSCALL_RESTRICT_SELF, fd, 0) < 0)
        return err_errno(err, errno, "Landlock: restrict");
    return 0;
}
