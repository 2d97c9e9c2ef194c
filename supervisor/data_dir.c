#include "supervisor/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "shared/base/fd.h"

#define FOLDER_MODE 0750

static int own(const char *path, const struct spawn_identity *identity, struct err *err)
{
    struct stat st;

    if (!identity->switches)
        return 0;
    /* Never through a link: the folder above belongs to a less trusted user. */
    if (lstat(path, &st) < 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ENOTDIR, "%s is not a folder", path);
    if (st.st_uid == identity->uid && st.st_gid == identity->gid)
        return 0;
    if (lchown(path, identity->uid, identity->gid) < 0)
        return err_errno(err, errno, "owner of %s", path);
    return 0;
}

/* Makes one folder unless it is there. */
static int make(const char *path, const struct spawn_identity *identity, struct err *err)
{
    struct stat st;

    if (mkdir(path, FOLDER_MODE) < 0) {
        if (errno != EEXIST)
            return err_errno(err, errno, "cannot make the folder %s", path);
        if (stat(path, &st) < 0)
            return err_errno(err, errno, "%s", path);
        if (!S_ISDIR(st.st_mode))
            return err_set(err, ENOTDIR, "%s is not a folder", path);
    }
    return own(path, identity, err);
}

/* Makes the missing folders above `path` too; those above keep what owner they have. */
static int make_parents(const char *path, struct err *err)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return err_set(err, ENAMETOOLONG, "%s: the path is too long", path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return err_errno(err, errno, "cannot make the folder %s", copy);
        *slash = '/';
    }
    return 0;
}

static int below(const struct options *options, const char *name, char path[PATH_MAX],
                 struct err *err)
{
    const char *folder = options_string(options, OPT_DATA_DIR);

    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return err_set(err, ENAMETOOLONG, "data_dir: the path is too long");
    return 0;
}

/* The folder of file.path, where it is not there; an existing one keeps its owner. */
static int make_file_folder(const struct options *options, const struct spawn_identity *identity,
                            struct err *err)
{
    const char *file = options_string(options, OPT_FILE_PATH);
    const char *slash = strrchr(file, '/');
    char path[PATH_MAX];
    int r;

    if (slash == NULL || slash == file)
        return 0;
    if (snprintf(path, sizeof(path), "%.*s", (int)(slash - file), file) >= (int)sizeof(path))
        return err_set(err, ENAMETOOLONG, "file.path: the path is too long");
    if (access(path, F_OK) == 0)
        return 0;
    r = make_parents(path, err);
    if (r == 0)
        r = make(path, identity, err);
    if (r < 0)
        err_prefix(err, "file.path");
    return r;
}

int data_dir_make(const struct options *options, const struct spawn_identity *identity,
                  struct err *err)
{
    static const char *const names[] = {"lanes", "cursors", "quarantine", "backup"};
    const char *folder = options_string(options, OPT_DATA_DIR);
    char path[PATH_MAX];
    int r;

    r = make_parents(folder, err);
    if (r == 0)
        r = make(folder, identity, err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && r == 0; i++) {
        r = below(options, names[i], path, err);
        if (r == 0)
            r = make(path, identity, err);
    }
    if (r < 0) {
        err_prefix(err, "data_dir");
        return r;
    }
    return make_file_folder(options, identity, err);
}

int data_dir_make_lane(const struct options *options, const struct spawn_identity *identity,
                       unsigned lane, struct err *err)
{
    char name[32], path[PATH_MAX];
    int r;

    snprintf(name, sizeof(name), "lanes/%02u", lane);
    r = below(options, name, path, err);
    return r < 0 ? r : make(path, identity, err);
}

int data_dir_find_lanes(const struct options *options, bool exists[DATA_DIR_LANES_MAX],
                        struct err *err)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    DIR *folder;
    int r = below(options, "lanes", path, err);

    if (r < 0)
        return r;
    folder = opendir(path);
    if (folder == NULL)
        return err_errno(err, errno, "%s", path);
    while ((entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;

        if (name[0] >= '0' && name[0] <= '9' && name[1] >= '0' && name[1] <= '9' && name[2] == '\0')
            exists[(name[0] - '0') * 10 + (name[1] - '0')] = true;
    }
    closedir(folder);
    return 0;
}

int data_dir_open_lock(const struct options *options, const char *name, int *ret_fd,
                       struct err *err)
{
    char path[PATH_MAX];
    int fd;
    int r = below(options, name, path, err);

    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_errno(err, errno, "cannot open the lock %s", path);
    *ret_fd = fd;
    return 0;
}

int data_dir_try_lock(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Whether a process has the file open; -errno where it may not be looked at. */
static int has_open(const char *pid, const struct stat *file)
{
    char path[64];
    struct stat st;
    const struct dirent *entry;
    int found = 0;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    folder = opendir(path);
    if (folder == NULL)
        return -errno;
    while (found == 0 && (entry = readdir(folder)) != NULL)
        if (fstatat(dirfd(folder), entry->d_name, &st, 0) == 0 && st.st_dev == file->st_dev &&
            st.st_ino == file->st_ino)
            found = 1;
    closedir(folder);
    return found;
}

const char *data_dir_holders(int fd, char *text, size_t size)
{
    const struct dirent *entry;
    struct stat file;
    size_t n = 0;
    DIR *proc;

    text[0] = '\0';
    if (fstat(fd, &file) < 0)
        return text;
    proc = opendir("/proc");
    if (proc == NULL)
        return text;
    while ((entry = readdir(proc)) != NULL && n + 24 < size) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        if (strtol(entry->d_name, NULL, 10) == (long)getpid() ||
            has_open(entry->d_name, &file) <= 0)
            continue;
        n += (size_t)snprintf(text + n, size - n, "%s%.20s", n > 0 ? ", " : "", entry->d_name);
    }
    closedir(proc);
    return text;
}

const char *data_dir_alert(const struct options *options)
{
    struct statfs fs;

    if (statfs(options_string(options, OPT_DATA_DIR), &fs) < 0)
        return NULL;
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
        return "data_dir is in memory (tmpfs): what is acknowledged is lost when the machine stops";
    if (fs.f_type == OVERLAYFS_SUPER_MAGIC)
        return "data_dir is in the container's own layer: what is acknowledged is lost with the "
               "container; mount a volume";
    return NULL;
}
