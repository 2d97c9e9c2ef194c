/* ring: entries and verdicts through real shared memory, deaths of both sides, broken bytes. */
#include "shared/ipc/ring.h"

#include "shared/base/fd.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (64u << 10)
#define DATA_OFFSET (8192u + RING_REPLY_SLOTS * 64u)

/* Both sides of one ring, each with a mapping of its own, and the memory itself. */
struct pair {
    int fd;
    struct ring *producer, *consumer;
    struct ring_header *header;
    struct ring_reply_header *reply;
    uint8_t *data;
};

static void open_pair(struct pair *pair)
{
    uint8_t *map;

    assert_int_equal(ring_create(1, 2, SIZE, &pair->fd, NULL), 0);
    assert_int_equal(ring_open(pair->fd, &pair->producer, NULL), 0);
    assert_int_equal(ring_open(pair->fd, &pair->consumer, NULL), 0);
    assert_int_equal(ring_producer_attach(pair->producer, 1), 0);
    assert_int_equal(ring_consumer_attach(pair->consumer, 0, 0, NULL), 0);
    map = mmap(NULL, DATA_OFFSET + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, pair->fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    pair->header = (struct ring_header *)map;
    pair->reply = (struct ring_reply_header *)(map + 4096);
    pair->data = map + DATA_OFFSET;
}

static void close_pair(struct pair *pair)
{
    munmap(pair->header, DATA_OFFSET + SIZE);
    ring_close(&pair->producer);
    ring_close(&pair->consumer);
    fd_close(&pair->fd);
}

static uint64_t entry_size(size_t payload)
{
    return (sizeof(struct ring_entry) + payload + RING_ALIGN - 1) / RING_ALIGN * RING_ALIGN;
}

static uint8_t byte_of(uint64_t serial, size_t i)
{
    return (uint8_t)(serial * 7 + i);
}

/* Puts an entry with `payload` bytes. False: no room. */
static bool put(struct ring *ring, uint64_t serial, size_t payload)
{
    struct ring_entry e = {.length = (uint32_t)entry_size(payload),
                           .kind = RING_CHUNK,
                           .serial = serial,
                           .payload_bytes = (uint32_t)payload};
    uint8_t *p = ring_reserve(ring, e.length);

    if (p == NULL)
        return false;
    memcpy(p, &e, sizeof(e));
    for (size_t i = 0; i < payload; i++)
        p[sizeof(e) + i] = byte_of(serial, i);
    ring_commit(ring, e.length);
    return true;
}

static void check_taken(const struct ring_taken *taken, uint64_t serial)
{
    assert_int_equal(taken->entry.serial, serial);
    for (size_t i = 0; i < taken->payload.n; i++)
        assert_int_equal(taken->payload.p[i], byte_of(serial, i));
}

static uint64_t take(struct ring *ring, uint64_t serial)
{
    struct ring_taken taken;

    assert_int_equal(ring_consumer_next(ring, &taken, NULL), 1);
    check_taken(&taken, serial);
    return taken.end;
}

static bool is_empty(struct ring *ring)
{
    struct ring_taken taken;

    return ring_consumer_next(ring, &taken, NULL) == 0;
}

static void test_create_checks(void **state)
{
    struct ring *ring = NULL;
    int fd = memfd_create("x", MFD_CLOEXEC);
    struct err err = {0};

    (void)state;
    assert_int_equal(ring_open(fd, &ring, &err), -EPROTO);
    assert_null(ring);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_true(ring_open(fd, &ring, &err) < 0);
    assert_string_not_equal(err.text, "");
    fd_close(&fd);
    assert_int_equal(ring_create(0, 0, 0, &fd, &err), -EINVAL);
    assert_int_equal(ring_create(0, 0, 4097, &fd, &err), -EINVAL);
    assert_true(ring_size_for(16u << 20) > 2u * (16u << 20));
    assert_int_equal(ring_size_for(12345) % 4096, 0);
}

static void test_sealed_memory_only(void **state)
{
    struct pair pair;
    struct ring *ring;
    int plain;

    (void)state;
    open_pair(&pair);
    assert_true(ftruncate(pair.fd, 4096) < 0);
    plain = memfd_create("plain", MFD_CLOEXEC);
    assert_int_equal(ftruncate(plain, DATA_OFFSET + SIZE), 0);
    assert_int_equal(pwrite(plain, pair.header, 4096, 0), 4096);
    assert_int_equal(ring_open(plain, &ring, NULL), -EPROTO);
    fd_close(&plain);
    close_pair(&pair);
}

static void test_visible_after_publish(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_true(put(pair.producer, 1, 100));
    assert_true(is_empty(pair.consumer));
    assert_false(ring_pending(pair.consumer));
    ring_publish(pair.producer);
    assert_true(ring_pending(pair.consumer));
    take(pair.consumer, 1);
    assert_false(ring_pending(pair.consumer));
    assert_true(is_empty(pair.consumer));
    close_pair(&pair);
}

/* Many times round the ring with sizes that meet its end in every way; entries stay contiguous. */
static void test_wrap(void **state)
{
    struct pair pair;
    uint64_t serial = 0, taken = 0, position = 0;

    (void)state;
    open_pair(&pair);
    while (position < 20ull * SIZE) {
        while (put(pair.producer, serial + 1, serial * 37 % 5000))
            serial++;
        ring_publish(pair.producer);
        while (taken < serial)
            position = take(pair.consumer, ++taken);
        assert_true(is_empty(pair.consumer));
        ring_consumer_publish(pair.consumer, position, 0);
    }
    close_pair(&pair);
}

/* Puts and releases entries until the producer stands at `position`. */
static void advance_to(struct pair *pair, uint64_t position)
{
    for (uint64_t at = 0; at < position; at += entry_size(904)) {
        assert_true(put(pair->producer, at, 904));
        ring_publish(pair->producer);
        ring_consumer_publish(pair->consumer, take(pair->consumer, at), 0);
    }
}

/* Behind its first quarter and nearly empty, the producer goes back to the beginning. */
static void test_hop(void **state)
{
    struct pair pair;
    uint64_t end;

    (void)state;
    open_pair(&pair);
    advance_to(&pair, SIZE / 4);
    assert_true(pair.header->producer.position >= SIZE / 4);
    assert_ptr_not_equal(ring_reserve(pair.producer, entry_size(904)), NULL);
    end = ring_reserved_end(pair.producer, entry_size(904));
    assert_int_equal(end, SIZE + entry_size(904));
    assert_true(put(pair.producer, 77, 904));
    ring_publish(pair.producer);
    assert_int_equal(pair.header->producer.hop_end, SIZE);
    assert_int_equal(pair.header->producer.position, end);
    assert_int_equal(take(pair.consumer, 77), end);
    /* The padding counts as used until it is released. */
    assert_true(ring_used(pair.producer) > SIZE / 2);
    ring_consumer_publish(pair.consumer, end, 0);
    assert_int_equal(ring_used(pair.producer), 0);
    close_pair(&pair);
}

/* No hop where much is not released yet, or where the entry would not fit behind it. */
static void test_no_hop(void **state)
{
    struct pair pair;
    uint64_t before;

    (void)state;
    open_pair(&pair);
    advance_to(&pair, SIZE / 4);
    before = pair.header->producer.position;
    assert_ptr_not_equal(ring_reserve(pair.producer, SIZE / 2), NULL);
    assert_int_equal(ring_reserved_end(pair.producer, 0), before);
    for (unsigned i = 0; i * entry_size(904) <= SIZE / 8; i++) {
        pair.header->consumer.position = 0; /* as if nothing were released */
        assert_true(put(pair.producer, i, 904));
    }
    pair.header->consumer.position = before;
    before = ring_reserved_end(pair.producer, 0);
    assert_true(put(pair.producer, 99, 904));
    assert_int_equal(ring_reserved_end(pair.producer, 0), before + entry_size(904));
    close_pair(&pair);
}

/* A padding that does not end where the data ends is broken. */
static void test_broken_pad(void **state)
{
    struct ring_entry *pad;
    struct ring_taken taken;
    struct pair pair;

    (void)state;
    open_pair(&pair);
    advance_to(&pair, SIZE / 4);
    pad = (struct ring_entry *)(pair.data + pair.header->producer.position % SIZE);
    assert_true(put(pair.producer, 5, 904));
    ring_publish(pair.producer);
    assert_int_equal(pad->kind, RING_PAD);
    pad->length -= RING_ALIGN;
    assert_int_equal(ring_consumer_next(pair.consumer, &taken, NULL), -EPROTO);
    pad->length += RING_ALIGN;
    take(pair.consumer, 5);
    close_pair(&pair);
}

static void test_full(void **state)
{
    struct pair pair;
    uint64_t end;

    (void)state;
    open_pair(&pair);
    assert_null(ring_reserve(pair.producer, SIZE / 2 + 8));
    assert_null(ring_reserve(pair.producer, 0));
    assert_null(ring_reserve(pair.producer, 100)); /* not aligned */
    for (unsigned i = 1; i <= 4; i++)
        assert_true(put(pair.producer, i, SIZE / 4 - sizeof(struct ring_entry)));
    assert_int_equal(ring_used(pair.producer), SIZE);
    assert_false(put(pair.producer, 5, 0));
    ring_publish(pair.producer);
    end = take(pair.consumer, 1);
    assert_false(put(pair.producer, 5, 0)); /* taken is not committed */
    ring_consumer_publish(pair.consumer, end, 0);
    assert_true(put(pair.producer, 5, SIZE / 4 - sizeof(struct ring_entry)));
    assert_false(put(pair.producer, 6, 0));
    ring_publish(pair.producer);
    for (unsigned i = 2; i <= 5; i++)
        take(pair.consumer, i);
    close_pair(&pair);
}

static void put_reply(struct ring *ring, uint64_t index, uint64_t position)
{
    struct ring_reply reply = {.position = position, .verdict = RING_DURABLE, .serial = index};

    ring_reply_put(ring, index, &reply);
}

static void test_replies_in_order(void **state)
{
    struct pair pair;
    struct ring_reply reply;
    uint64_t end = 0, taken = 0;

    (void)state;
    open_pair(&pair);
    for (uint64_t i = 0; i < 3u * RING_REPLY_SLOTS; i += 5) {
        for (uint64_t k = i; k < i + 5; k++) {
            assert_true(put(pair.producer, k, 0));
            ring_publish(pair.producer);
            end = take(pair.consumer, k);
            assert_true(ring_reply_room(pair.consumer, k));
            put_reply(pair.consumer, k, end);
            assert_false(ring_reply_next(pair.producer, &reply));
        }
        ring_consumer_publish(pair.consumer, end, i + 5);
        while (ring_reply_next(pair.producer, &reply))
            assert_int_equal(reply.serial, taken++);
        assert_int_equal(taken, i + 5);
    }
    close_pair(&pair);
}

static void test_reply_room(void **state)
{
    struct pair pair;
    struct ring_reply reply;

    (void)state;
    open_pair(&pair);
    assert_true(ring_reply_room(pair.consumer, RING_REPLY_SLOTS - 1));
    assert_false(ring_reply_room(pair.consumer, RING_REPLY_SLOTS));
    assert_true(put(pair.producer, 0, 0));
    ring_publish(pair.producer);
    put_reply(pair.consumer, 0, take(pair.consumer, 0));
    ring_consumer_publish(pair.consumer, entry_size(0), 1);
    assert_true(ring_reply_next(pair.producer, &reply));
    assert_true(ring_reply_room(pair.consumer, RING_REPLY_SLOTS));
    close_pair(&pair);
}

/* The processor dies: what was taken and not committed comes again, from the lane page's word. */
static void test_new_consumer(void **state)
{
    struct pair pair;
    struct ring_reply reply;
    uint64_t first, second;

    (void)state;
    open_pair(&pair);
    for (unsigned i = 1; i <= 3; i++)
        assert_true(put(pair.producer, i, 50));
    ring_publish(pair.producer);
    first = take(pair.consumer, 1);
    put_reply(pair.consumer, 0, first);
    second = take(pair.consumer, 2);
    put_reply(pair.consumer, 1, second);
    /* The lane page says that both are durable, and it died before it told the ring. */
    ring_close(&pair.consumer);
    assert_int_equal(ring_open(pair.fd, &pair.consumer, NULL), 0);
    assert_false(ring_reply_next(pair.producer, &reply));
    assert_int_equal(ring_consumer_attach(pair.consumer, second, 2, NULL), 0);
    assert_true(ring_reply_next(pair.producer, &reply));
    assert_int_equal(reply.position, first);
    assert_true(ring_reply_next(pair.producer, &reply));
    assert_int_equal(reply.position, second);
    assert_int_equal(ring_used(pair.producer), entry_size(50));
    take(pair.consumer, 3);
    /* And one that knows of the first only cannot be: positions never go back. */
    assert_int_equal(ring_consumer_attach(pair.consumer, first, 1, NULL), -EPROTO);
    close_pair(&pair);
}

static void test_consumer_attach_checks(void **state)
{
    struct pair pair;
    uint64_t end;

    (void)state;
    open_pair(&pair);
    assert_true(put(pair.producer, 1, 50));
    ring_publish(pair.producer);
    end = take(pair.consumer, 1);
    assert_int_equal(ring_consumer_attach(pair.consumer, end + 8, 0, NULL), -EPROTO);
    assert_int_equal(ring_consumer_attach(pair.consumer, end, RING_REPLY_SLOTS + 1, NULL), -EPROTO);
    assert_int_equal(ring_consumer_attach(pair.consumer, UINT64_MAX, 0, NULL), -EPROTO);
    assert_int_equal(ring_consumer_attach(pair.consumer, end, 0, NULL), 0);
    close_pair(&pair);
}

/* The receiver dies: half an entry is nothing; verdicts of its entries are not the successor's. */
static void test_new_producer(void **state)
{
    struct pair pair;
    struct ring_reply reply;
    uint64_t ends[3];

    (void)state;
    open_pair(&pair);
    assert_true(put(pair.producer, 1, 50));
    assert_true(put(pair.producer, 2, 50));
    ring_publish(pair.producer);
    assert_true(put(pair.producer, 9, 500)); /* committed, not published */
    assert_non_null(ring_reserve(pair.producer, 800));
    ring_close(&pair.producer);
    assert_int_equal(ring_open(pair.fd, &pair.producer, NULL), 0);
    assert_int_equal(ring_producer_attach(pair.producer, 2), 2 * entry_size(50));
    assert_int_equal(pair.header->producer.incarnation, 2);
    assert_true(put(pair.producer, 3, 60));
    ring_publish(pair.producer);
    for (unsigned i = 0; i < 3; i++) {
        ends[i] = take(pair.consumer, i + 1);
        put_reply(pair.consumer, i, ends[i]);
    }
    assert_true(is_empty(pair.consumer));
    ring_consumer_publish(pair.consumer, ends[2], 3);
    assert_true(ring_reply_next(pair.producer, &reply));
    assert_int_equal(reply.position, ends[2]);
    assert_false(ring_reply_next(pair.producer, &reply));
    close_pair(&pair);
}

static void test_rewind(void **state)
{
    struct pair pair;
    uint64_t first;

    (void)state;
    open_pair(&pair);
    assert_true(put(pair.producer, 1, 50));
    assert_true(put(pair.producer, 2, 50));
    ring_publish(pair.producer);
    first = take(pair.consumer, 1);
    take(pair.consumer, 2);
    assert_int_equal(ring_consumer_cursor(pair.consumer), 2 * first);
    ring_consumer_rewind(pair.consumer, first);
    take(pair.consumer, 2);
    ring_consumer_rewind(pair.consumer, 0);
    take(pair.consumer, 1);
    close_pair(&pair);
}

/* ---- broken bytes ---- */

static void test_broken_producer_position(void **state)
{
    static const uint64_t positions[] = {1, 8, 95, SIZE + 96, UINT64_MAX, UINT64_MAX - 96};

    (void)state;
    for (unsigned i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        struct ring_taken taken;
        struct err err = {0};
        struct pair pair;

        open_pair(&pair);
        pair.header->producer.position = positions[i];
        assert_int_equal(ring_consumer_next(pair.consumer, &taken, &err), -EPROTO);
        assert_string_not_equal(err.text, "");
        close_pair(&pair);
    }
}

/* Every flipped bit of an entry's header: an error, or an entry whose parts lie within it. */
static void test_broken_entry(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    assert_true(put(pair.producer, 1, 333));
    ring_publish(pair.producer);
    for (size_t bit = 0; bit < 8 * sizeof(struct ring_entry); bit++) {
        struct ring_taken t;

        pair.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ring_consumer_rewind(pair.consumer, 0);
        if (ring_consumer_next(pair.consumer, &t, NULL) == 1) {
            uint64_t parts = t.peer.n + t.tag.n + t.id.n + t.options.n + t.payload.n;

            assert_true(t.end <= pair.header->producer.position);
            assert_true(parts + sizeof(t.entry) <= t.entry.length);
            assert_ptr_equal(t.tag.p, t.peer.p + t.peer.n);
        }
        pair.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ring_consumer_rewind(pair.consumer, 0);
    take(pair.consumer, 1);
    close_pair(&pair);
}

static void test_broken_consumer(void **state)
{
    static const uint64_t positions[] = {1000, SIZE, UINT64_MAX, UINT64_MAX / 2};

    (void)state;
    for (unsigned i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        struct ring_reply reply;
        struct pair pair;

        open_pair(&pair);
        pair.header->consumer.position = positions[i];
        assert_int_equal(ring_used(pair.producer), SIZE); /* as if full */
        assert_null(ring_reserve(pair.producer, 96));
        pair.header->consumer.position = 0;
        pair.reply->published = RING_REPLY_SLOTS + 1 + positions[i];
        assert_false(ring_reply_next(pair.producer, &reply));
        close_pair(&pair);
    }
}

static void test_broken_reply_position_of_the_receiver(void **state)
{
    struct pair pair;

    (void)state;
    open_pair(&pair);
    pair.reply->taken = 5; /* more than there ever were */
    assert_false(ring_reply_room(pair.consumer, 0));
    close_pair(&pair);
}

/* ---- memory ---- */

static uint64_t resident(const struct pair *pair)
{
    struct stat st;

    assert_int_equal(fstat(pair->fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* A consumer that publishes a count which cannot be gives no verdicts, and keeps nobody awake. */
static void test_broken_reply_count_of_the_consumer(void **state)
{
    static const uint64_t counts[] = {RING_REPLY_SLOTS + 2, 0, UINT64_MAX};
    struct ring_reply reply;
    struct pair pair;

    (void)state;
    open_pair(&pair);
    put_reply(pair.consumer, 0, 96);
    ring_consumer_publish(pair.consumer, 0, 1);
    assert_true(ring_reply_next(pair.producer, &reply));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        pair.reply->published = counts[i];
        assert_false(ring_reply_next(pair.producer, &reply));
        assert_true(ring_producer_sleep(pair.producer, 0));
        ring_producer_woke(pair.producer);
    }
    put_reply(pair.consumer, 1, 192);
    ring_consumer_publish(pair.consumer, 0, 2);
    assert_false(ring_producer_sleep(pair.producer, 0));
    assert_true(ring_reply_next(pair.producer, &reply));
    assert_int_equal(reply.position, 192);
    close_pair(&pair);
}

static void test_give_back(void **state)
{
    struct pair pair;
    uint64_t before, end;

    (void)state;
    open_pair(&pair);
    before = resident(&pair);
    assert_true(put(pair.producer, 1, SIZE / 2 - 200));
    ring_publish(pair.producer);
    assert_true(resident(&pair) > before);
    ring_give_back(pair.producer); /* not while something is in it */
    end = take(pair.consumer, 1);
    ring_consumer_publish(pair.consumer, end, 0);
    ring_give_back(pair.producer);
    assert_true(resident(&pair) <= before + 4096);
    assert_true(put(pair.producer, 2, 3000));
    ring_publish(pair.producer);
    take(pair.consumer, 2);
    close_pair(&pair);
}

/* ---- sleep and wake ---- */

static void test_doorbells(void **state)
{
    struct pair pair;
    struct ring_reply reply;

    (void)state;
    open_pair(&pair);
    assert_true(put(pair.producer, 1, 0));
    assert_false(ring_publish(pair.producer));        /* awake */
    assert_false(ring_consumer_sleep(pair.consumer)); /* something is there */
    assert_int_equal(pair.header->consumer.sleeping, 0);
    take(pair.consumer, 1);
    assert_true(ring_consumer_sleep(pair.consumer));
    assert_true(put(pair.producer, 2, 0));
    assert_true(ring_publish(pair.producer));
    ring_consumer_woke(pair.consumer);
    assert_false(ring_publish(pair.producer));

    put_reply(pair.consumer, 0, take(pair.consumer, 2));
    assert_false(ring_consumer_publish(pair.consumer, 96, 0));
    assert_true(ring_producer_sleep(pair.producer, 0));
    assert_true(ring_consumer_publish(pair.consumer, 192, 1));
    assert_false(ring_producer_sleep(pair.producer, 0)); /* a verdict is there */
    assert_true(ring_reply_next(pair.producer, &reply));
    assert_false(ring_producer_sleep(pair.producer, 96)); /* there is room */
    assert_true(ring_producer_sleep(pair.producer, SIZE + 8));
    close_pair(&pair);
}

#define STRESS_ENTRIES 60000u

struct stress {
    struct pair pair;
    int producer_bell, consumer_bell;
    bool hung;
};

/* A lost wake-up would wait for ever: ten seconds of silence are one. */
static void wait_for(struct stress *s, int bell)
{
    struct pollfd fd = {.fd = bell, .events = POLLIN};

    if (poll(&fd, 1, 10000) != 1)
        s->hung = true;
    fd_bell_clear(bell);
}

static void *stress_consumer(void *argument)
{
    struct stress *s = argument;
    struct ring *ring = s->pair.consumer;
    uint64_t taken = 0, end = 0;

    while (taken < STRESS_ENTRIES && !s->hung) {
        struct ring_taken t;
        unsigned batch = 0;

        while (batch < 1 + taken % 7 && ring_reply_room(ring, taken) &&
               ring_consumer_next(ring, &t, NULL) == 1) {
            end = t.end;
            put_reply(ring, taken, end);
            s->hung |= t.entry.serial != ++taken;
            batch++;
        }
        if (batch > 0 && ring_consumer_publish(ring, end, taken))
            fd_bell_ring(s->producer_bell);
        if (batch == 0 && ring_reply_room(ring, taken) && ring_consumer_sleep(ring)) {
            wait_for(s, s->consumer_bell);
            ring_consumer_woke(ring);
        }
    }
    return NULL;
}

/* Two threads that sleep whenever they can, over a ring of a few entries: none may oversleep. */
static void test_no_lost_wakeup(void **state)
{
    struct stress s = {0};
    uint64_t put_count = 0, acked = 0;
    pthread_t thread;

    (void)state;
    open_pair(&s.pair);
    s.producer_bell = fd_bell_new();
    s.consumer_bell = fd_bell_new();
    assert_int_equal(pthread_create(&thread, NULL, stress_consumer, &s), 0);
    while (acked < STRESS_ENTRIES && !s.hung) {
        struct ring *ring = s.pair.producer;
        size_t payload = SIZE / 4 - (put_count * 1024) % 12000;
        struct ring_reply reply;
        bool more = put_count < STRESS_ENTRIES;

        if (more && put(ring, put_count + 1, payload)) {
            put_count++;
            if (ring_publish(ring))
                fd_bell_ring(s.consumer_bell);
            continue;
        }
        while (ring_reply_next(ring, &reply))
            s.hung |= reply.serial != acked++;
        if (acked < STRESS_ENTRIES && ring_producer_sleep(ring, more ? entry_size(payload) : 0)) {
            wait_for(&s, s.producer_bell);
            ring_producer_woke(ring);
        }
    }
    pthread_join(thread, NULL);
    assert_false(s.hung);
    assert_int_equal(acked, STRESS_ENTRIES);
    fd_close(&s.producer_bell);
    fd_close(&s.consumer_bell);
    close_pair(&s.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_checks),
        cmocka_unit_test(test_sealed_memory_only),
        cmocka_unit_test(test_visible_after_publish),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_hop),
        cmocka_unit_test(test_no_hop),
        cmocka_unit_test(test_broken_pad),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_replies_in_order),
        cmocka_unit_test(test_reply_room),
        cmocka_unit_test(test_new_consumer),
        cmocka_unit_test(test_consumer_attach_checks),
        cmocka_unit_test(test_new_producer),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_broken_producer_position),
        cmocka_unit_test(test_broken_entry),
        cmocka_unit_test(test_broken_consumer),
        cmocka_unit_test(test_broken_reply_position_of_the_receiver),
        cmocka_unit_test(test_broken_reply_count_of_the_consumer),
        cmocka_unit_test(test_give_back),
        cmocka_unit_test(test_doorbells),
        cmocka_unit_test(test_no_lost_wakeup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
