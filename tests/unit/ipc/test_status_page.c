#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/fd.h"
#include "shared/ipc/status_page.h"

static struct status_page *open_page(int fd)
{
    struct status_page *page = NULL;
    struct err err;

    assert_int_equal(status_page_open(fd, &page, &err), 0);
    return page;
}

static void test_two_views(void **state)
{
    struct status_page *writer, *reader;
    struct status_slot *slot;
    const struct status_slot *seen;
    struct err err;
    int fd = -1;

    (void)state;
    assert_int_equal(status_page_create(&fd, &err), 0);
    writer = open_page(fd);
    reader = open_page(fd);
    slot = status_page_slot(writer, 3);
    seen = status_page_slot(reader, 3);
    assert_int_equal(status_get(seen, METRIC_CHUNKS_IN), 0);
    assert_int_equal(seen->phase, STATUS_STARTING);
    status_add(slot, METRIC_CHUNKS_IN, 5);
    status_add(slot, METRIC_CHUNKS_IN, 2);
    status_set(slot, METRIC_CONNECTIONS_OPEN, 9);
    assert_int_equal(status_get(seen, METRIC_CHUNKS_IN), 7);
    assert_int_equal(status_get(seen, METRIC_CONNECTIONS_OPEN), 9);
    assert_int_equal(status_get(status_page_slot(reader, 2), METRIC_CHUNKS_IN), 0);
    assert_int_equal(status_get(status_page_slot(reader, 4), METRIC_CHUNKS_IN), 0);
    /* A restarted stage maps it anew: its counters go on. */
    status_page_close(&writer);
    assert_null(writer);
    status_page_close(&writer);
    writer = open_page(fd);
    status_add(status_page_slot(writer, 3), METRIC_CHUNKS_IN, 1);
    assert_int_equal(status_get(seen, METRIC_CHUNKS_IN), 8);
    status_page_close(&writer);
    status_page_close(&reader);
    fd_close(&fd);
}

static void test_signs_of_life(void **state)
{
    struct status_page *page;
    struct status_slot *slot;
    struct err err;
    uint64_t progress, since;
    int fd = -1;

    (void)state;
    assert_int_equal(status_page_create(&fd, &err), 0);
    page = open_page(fd);
    slot = status_page_slot(page, STATUS_SLOTS - 1);
    progress = slot->progress;
    status_alive(slot);
    assert_int_not_equal(slot->progress, progress);
    progress = slot->progress;
    since = slot->phase_since_ns;
    status_phase(slot, STATUS_IN_SYNC);
    assert_int_not_equal(slot->progress, progress);
    assert_int_equal(slot->phase, STATUS_IN_SYNC);
    assert_true(slot->phase_since_ns > since);
    status_page_close(&page);
    fd_close(&fd);
}

static void test_note_is_cut(void **state)
{
    struct status_page *page;
    struct status_slot *slot;
    struct err err;
    char text[400];
    int fd = -1;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(status_page_create(&fd, &err), 0);
    page = open_page(fd);
    slot = status_page_slot(page, 0);
    status_note(slot, "disk full");
    assert_string_equal(slot->note, "disk full");
    status_note(slot, text);
    assert_int_equal(strlen(slot->note), STATUS_NOTE_BYTES - 1);
    assert_int_equal(slot[1].progress, 0);
    status_note(slot, "");
    assert_string_equal(slot->note, "");
    status_page_close(&page);
    fd_close(&fd);
}

static int open_altered(off_t offset, uint8_t byte)
{
    struct status_page *page = NULL;
    struct err err = {0};
    int fd = -1, r;

    assert_int_equal(status_page_create(&fd, &err), 0);
    assert_int_equal(fd_pwrite_full(fd, &byte, 1, offset), 0);
    r = status_page_open(fd, &page, &err);
    assert_null(page);
    assert_true(err.text[0] != '\0');
    fd_close(&fd);
    return r;
}

static void test_other_versions(void **state)
{
    (void)state;
    assert_int_equal(open_altered(0, 0xff), -EPROTO);  /* magic */
    assert_int_equal(open_altered(8, 9), -EPROTO);     /* version */
    assert_int_equal(open_altered(12, 7), -EPROTO);    /* slots */
    assert_int_equal(open_altered(16, 7), -EPROTO);    /* words */
    assert_int_equal(open_altered(20, 0xff), -EPROTO); /* metrics */
    assert_int_equal(open_altered(24, 0xff), -EPROTO); /* their order */
}

static void test_foreign_descriptors(void **state)
{
    struct status_page *page = NULL;
    struct err err;
    int fd = -1, copy;

    (void)state;
    assert_int_equal(status_page_open(-1, &page, &err), -EBADF);
    copy = memfd_create("short", MFD_CLOEXEC);
    assert_int_equal(status_page_open(copy, &page, &err), -EPROTO);
    /* As large, but without seals: it could be cut under us. */
    assert_int_equal(status_page_create(&fd, &err), 0);
    assert_int_equal(ftruncate(copy, lseek(fd, 0, SEEK_END)), 0);
    assert_int_equal(status_page_open(copy, &page, &err), -EPROTO);
    assert_int_equal(ftruncate(fd, 4096), -1);
    fd_close(&copy);
    fd_close(&fd);
}

/* Every row is complete, and no name is there twice. */
static void test_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = metric_row((enum metric_id)i);

        assert_true(row->name[0] != '\0' && row->help[0] != '\0');
        assert_non_null(strchr("RPSA", row->stage));
        assert_true(strcmp(row->kind, "counter") == 0 || strcmp(row->kind, "gauge") == 0);
        if (strcmp(row->kind, "counter") == 0)
            assert_string_equal(row->name + strlen(row->name) - 6, "_total");
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(row->name, metric_row((enum metric_id)j)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_views),           cmocka_unit_test(test_signs_of_life),
        cmocka_unit_test(test_note_is_cut),         cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_foreign_descriptors), cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests_name("status_page", tests, NULL, NULL);
}
