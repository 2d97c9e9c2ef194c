#include "shared/journal/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[32];
    char path[64];
    struct disk *disk;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->folder, sizeof(f->folder), "/tmp/test_disk.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/00/", f->folder);
    assert_int_equal(disk_posix_open(f->path, true, &f->disk, NULL), 0);
    *state = f;
    return 0;
}

static int remove_each(void *context, const char *name)
{
    struct disk *disk = context;

    return disk->ops->remove(disk, name);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->disk->ops->list(f->disk, remove_each, f->disk), 0);
    disk_free(&f->disk);
    assert_null(f->disk);
    disk_free(&f->disk);
    assert_int_equal(rmdir(f->path), 0);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void test_folder(void **state)
{
    struct fixture *f = *state;
    struct disk *disk = NULL;
    struct err err = {0};
    struct stat st;
    char path[64];

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0750, 0);
    assert_int_equal(disk_posix_open(f->path, true, &disk, NULL), 0); /* it is there: fine */
    disk_free(&disk);
    snprintf(path, sizeof(path), "%s/missing", f->folder);
    assert_int_equal(disk_posix_open(path, false, &disk, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    snprintf(path, sizeof(path), "%s/missing/deeper", f->folder);
    assert_int_equal(disk_posix_open(path, true, &disk, &err), -ENOENT);
}

static void test_open_modes(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    int file, again;

    assert_int_equal(d->ops->open(d, "a", DISK_READ), -ENOENT);
    assert_int_equal(d->ops->open(d, "a", DISK_WRITE), -ENOENT);
    file = d->ops->open(d, "a", DISK_FRESH);
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(d->ops->pwrite(d, file, "abc", 3, 0), 0);
    assert_int_equal(d->ops->open(d, "a", DISK_FRESH), -EEXIST);
    again = d->ops->open(d, "a", DISK_CREATE);
    assert_int_equal(d->ops->size(d, again), 3); /* not truncated */
    d->ops->close(d, again);
    again = d->ops->open(d, "a", DISK_READ);
    assert_int_equal(d->ops->pwrite(d, again, "x", 1, 0), -EBADF);
    d->ops->close(d, again);
    d->ops->close(d, file);
}

static void test_links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    char path[96];

    snprintf(path, sizeof(path), "%slink", f->path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(f->disk->ops->open(f->disk, "link", DISK_READ), -ELOOP);
    assert_int_equal(unlink(path), 0);
}

static void test_bytes(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    int file = d->ops->open(d, "a", DISK_CREATE);
    char back[16] = {0};

    assert_int_equal(d->ops->pwrite(d, file, "hello", 5, 4), 0);
    assert_int_equal(d->ops->datasync(d, file), 0);
    assert_int_equal(d->ops->size(d, file), 9);
    assert_int_equal(d->ops->pread(d, file, back, sizeof(back), 4), 5);
    assert_string_equal(back, "hello");
    assert_int_equal(d->ops->pread(d, file, back, sizeof(back), 9), 0);
    assert_int_equal(d->ops->truncate(d, file, 6), 0);
    assert_int_equal(d->ops->size(d, file), 6);
    assert_int_equal(d->ops->allocate(d, file, 65536), 0);
    assert_int_equal(d->ops->size(d, file), 65536);
    assert_true(d->ops->usage(d) >= 65536);
    assert_int_equal(d->ops->pread(d, file, back, 2, 4), 2);
    assert_memory_equal(back, "he", 2);
    d->ops->close(d, file);
}

struct names {
    unsigned count, stop_at;
    char seen[4][8];
};

static int each_name(void *context, const char *name)
{
    struct names *names = context;

    assert_true(names->count < 4);
    snprintf(names->seen[names->count++], sizeof(names->seen[0]), "%s", name);
    return names->count == names->stop_at ? 7 : 0;
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    struct disk *d = f->disk;
    struct names names = {0};
    char path[96];

    d->ops->close(d, d->ops->open(d, "a", DISK_CREATE));
    d->ops->close(d, d->ops->open(d, "b", DISK_CREATE));
    snprintf(path, sizeof(path), "%sfolder", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(d->ops->list(d, each_name, &names), 0);
    assert_int_equal(names.count, 2); /* files only */
    names = (struct names){.stop_at = 1};
    assert_int_equal(d->ops->list(d, each_name, &names), 7);
    assert_int_equal(names.count, 1);

    assert_int_equal(d->ops->rename(d, "a", "c"), 0);
    assert_int_equal(d->ops->open(d, "a", DISK_READ), -ENOENT);
    assert_int_equal(d->ops->remove(d, "c"), 0);
    assert_int_equal(d->ops->remove(d, "c"), -ENOENT);
    assert_int_equal(d->ops->sync_folder(d), 0);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
