/* lane_page: what is published is read whole, whatever the writer died in. */
#include "shared/ipc/lane_page.h"

#include "shared/base/fd.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT(i) (64u + (i)*1024u)

struct rig {
    int fd, readonly;
    struct lane_page *writer, *reader;
    uint8_t *bytes;
};

static void open_rig(struct rig *rig)
{
    assert_int_equal(lane_page_create(5, &rig->fd, &rig->readonly, NULL), 0);
    assert_int_equal(lane_page_open(rig->fd, true, &rig->writer, NULL), 0);
    assert_int_equal(lane_page_open(rig->readonly, false, &rig->reader, NULL), 0);
    rig->bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rig->fd, 0);
    assert_ptr_not_equal(rig->bytes, MAP_FAILED);
}

static void close_rig(struct rig *rig)
{
    munmap(rig->bytes, 4096);
    lane_page_close(&rig->writer);
    lane_page_close(&rig->reader);
    fd_close(&rig->fd);
    fd_close(&rig->readonly);
}

/* A state of which every word follows from n. */
static struct lane_state state_of(uint64_t n)
{
    struct lane_state state = {
        .segment = n, .end = n * 3, .next_sequence = n * 5, .records = n * 7};

    for (unsigned i = 0; i < LANE_PAGE_RINGS; i++) {
        state.ring_identity[i] = n + i;
        state.consumer[i] = n * 11 + i;
        state.replies[i] = n * 13 + i;
    }
    return state;
}

static void check(const struct rig *rig, uint64_t n)
{
    struct lane_state expected = state_of(n), got;

    assert_true(lane_page_read(rig->reader, &got));
    assert_memory_equal(&got, &expected, sizeof(got));
}

static void publish(struct rig *rig, uint64_t n)
{
    struct lane_state state = state_of(n);

    lane_page_publish(rig->writer, &state);
}

static void test_publish(void **state)
{
    struct lane_state got;
    struct rig rig;

    (void)state;
    open_rig(&rig);
    assert_int_equal(lane_page_lane(rig.reader), 5);
    assert_false(lane_page_read(rig.reader, &got));
    for (uint64_t n = 1; n < 20; n++) {
        publish(&rig, n);
        check(&rig, n);
    }
    close_rig(&rig);
}

/* The writer died anywhere in the middle of a slot: the other one stays the truth. */
static void test_torn_slot(void **state)
{
    (void)state;
    for (unsigned cut = 0; cut < 1024; cut += 8) {
        uint8_t older[1024];
        unsigned target;
        struct rig rig;

        open_rig(&rig);
        publish(&rig, 1);
        publish(&rig, 2);
        /* The third goes where the first is. */
        target = memcmp(rig.bytes + SLOT(0), "\1\0\0\0\0\0\0\0", 8) == 0 ? 0 : 1;
        memcpy(older, rig.bytes + SLOT(target), sizeof(older));
        publish(&rig, 3);
        check(&rig, 3);
        memcpy(rig.bytes + SLOT(target) + cut, older + cut, 1024 - cut);
        check(&rig, 2);
        publish(&rig, 4); /* by a successor */
        check(&rig, 4);
        publish(&rig, 5);
        check(&rig, 5);
        close_rig(&rig);
    }
}

static void test_flipped_bits(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig);
    publish(&rig, 1);
    publish(&rig, 2);
    for (unsigned i = 0; i < 1024; i++) {
        struct lane_state got;

        rig.bytes[SLOT(1) + i] ^= 1;
        assert_true(lane_page_read(rig.reader, &got));
        assert_int_equal(got.segment, 1);
        rig.bytes[SLOT(1) + i] ^= 1;
        check(&rig, 2);
    }
    close_rig(&rig);
}

static void test_both_damaged(void **state)
{
    struct lane_state got;
    struct rig rig;

    (void)state;
    open_rig(&rig);
    publish(&rig, 1);
    publish(&rig, 2);
    rig.bytes[SLOT(0) + 100] ^= 1;
    rig.bytes[SLOT(1) + 100] ^= 1;
    assert_false(lane_page_read(rig.reader, &got)); /* and it does not hang */
    close_rig(&rig);
}

static void test_open_checks(void **state)
{
    struct lane_page *page = NULL;
    struct rig rig;
    int fd = memfd_create("x", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(lane_page_open(fd, true, &page, NULL), -EPROTO);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(lane_page_open(fd, true, &page, NULL), -EPROTO);
    assert_null(page);
    fd_close(&fd);
    open_rig(&rig);
    assert_int_equal(lane_page_open(rig.readonly, true, &page, NULL), -EACCES);
    close_rig(&rig);
}

static void *publish_many(void *argument)
{
    for (uint64_t n = 2; n < 30000; n++)
        publish(argument, n);
    return NULL;
}

/* A reader beside a busy writer sees whole states only, and never an older one. */
static void test_concurrent_reader(void **state)
{
    struct lane_state got, expected;
    uint64_t last = 1;
    pthread_t thread;
    struct rig rig;

    (void)state;
    open_rig(&rig);
    publish(&rig, 1);
    assert_int_equal(pthread_create(&thread, NULL, publish_many, &rig), 0);
    while (last < 29999) {
        assert_true(lane_page_read(rig.reader, &got));
        expected = state_of(got.segment);
        assert_memory_equal(&got, &expected, sizeof(got));
        assert_true(got.segment >= last);
        last = got.segment;
    }
    pthread_join(thread, NULL);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish),      cmocka_unit_test(test_torn_slot),
        cmocka_unit_test(test_flipped_bits), cmocka_unit_test(test_both_damaged),
        cmocka_unit_test(test_open_checks),  cmocka_unit_test(test_concurrent_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
