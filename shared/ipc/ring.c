#include "shared/ipc/ring.h"

#include "shared/ipc/double_map.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_REPLY_OFFSET RING_PAGE_BYTES
#define RING_SLOTS_OFFSET (2u * RING_PAGE_BYTES)
#define RING_DATA_OFFSET (RING_SLOTS_OFFSET + RING_REPLY_SLOTS * sizeof(struct ring_reply))
#define RING_SLACK_BYTES (4u << 20)
#define RING_HOP_SHARE 4u
#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static_assert(RING_DATA_OFFSET % RING_PAGE_BYTES == 0, "the data begins on a page");

struct ring {
    struct ring_header *header;
    struct ring_reply_header *reply;
    struct ring_reply *slots;
    uint8_t *data;
    uint64_t size;
    int fd; /* for giving pages back */

    /* producer's own */
    uint64_t committed; /* end of the last committed entry, published or not */
    uint64_t attached;  /* replies at or below belong to a predecessor */
    uint64_t replies_taken;
    uint64_t touched; /* highest position ever written since pages were given back */

    /* consumer's own */
    uint64_t cursor;
    uint64_t consumed; /* the committed position, as this consumer published it */
};

static uint64_t load_acquire(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store_release(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

uint64_t ring_size_for(uint64_t max_chunk_bytes)
{
    uint64_t want = 2 * max_chunk_bytes + RING_SLACK_BYTES;

    return (want + RING_PAGE_BYTES - 1) / RING_PAGE_BYTES * RING_PAGE_BYTES;
}

int ring_create(uint32_t receiver, uint32_t lane, uint64_t size_bytes, int *ret_fd, struct err *err)
{
    struct ring_header header = {
        .magic = RING_MAGIC,
        .version = RING_VERSION,
        .receiver = receiver,
        .lane = lane,
        .reply_slots = RING_REPLY_SLOTS,
        .size = size_bytes,
    };
    int fd, r;

    if (size_bytes == 0 || size_bytes % RING_PAGE_BYTES != 0)
        return err_set(err, EINVAL, "a ring of %llu bytes is no whole number of pages",
                       (unsigned long long)size_bytes);
    if (getrandom(&header.identity, sizeof(header.identity), 0) != sizeof(header.identity))
        return err_errno(err, errno, "cannot draw the ring's identity");
    fd = memfd_create("sluice-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(err, errno, "cannot make the ring's memory");
    if (ftruncate(fd, (off_t)(RING_DATA_OFFSET + size_bytes)) < 0 ||
        pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        fcntl(fd, F_ADD_SEALS, RING_SEALS) < 0) {
        r = err_errno(err, errno, "cannot prepare the ring's memory");
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static int check_header(int fd, struct ring_header *ret_header, struct err *err)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    ssize_t n = pread(fd, ret_header, sizeof(*ret_header), 0);

    if (fstat(fd, &st) < 0 || n < 0)
        return err_errno(err, errno, "cannot read the ring's header");
    if (n < (ssize_t)sizeof(*ret_header))
        return err_set(err, EPROTO, "the ring's memory is too small");
    if (ret_header->magic != RING_MAGIC || ret_header->version != RING_VERSION)
        return err_set(err, EPROTO, "no ring of version %u", RING_VERSION);
    if (seals < 0 || (seals & RING_SEALS) != RING_SEALS)
        return err_set(err, EPROTO, "the ring's memory is not sealed");
    if (ret_header->reply_slots != RING_REPLY_SLOTS || ret_header->size == 0 ||
        ret_header->size % RING_PAGE_BYTES != 0 ||
        (uint64_t)st.st_size != RING_DATA_OFFSET + ret_header->size)
        return err_set(err, EPROTO, "the ring's sizes do not agree");
    return 0;
}

int ring_open(int fd, struct ring **ret_ring, struct err *err)
{
    struct ring_header header;
    struct ring *ring;
    uint8_t *control = MAP_FAILED;
    int r = check_header(fd, &header, err);

    if (r < 0)
        return r;
    ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return err_errno(err, ENOMEM, "cannot open a ring");
    ring->size = header.size;
    ring->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (ring->fd >= 0)
        control = mmap(NULL, RING_DATA_OFFSET, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) {
        r = err_errno(err, errno, "cannot map a ring");
        ring_close(&ring);
        return r;
    }
    ring->header = (struct ring_header *)control;
    ring->reply = (struct ring_reply_header *)(control + RING_REPLY_OFFSET);
    ring->slots = (struct ring_reply *)(control + RING_SLOTS_OFFSET);
    r = double_map(fd, RING_DATA_OFFSET, ring->size, &ring->data, err);
    if (r < 0) {
        ring_close(&ring);
        return r;
    }
    *ret_ring = ring;
    return 0;
}

void ring_close(struct ring **ring)
{
    struct ring *r = *ring;

    if (r == NULL)
        return;
    if (r->header != NULL)
        munmap(r->header, RING_DATA_OFFSET);
    if (r->data != NULL)
        munmap(r->data, 2 * r->size);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
    *ring = NULL;
}

uint64_t ring_size(const struct ring *ring)
{
    return ring->size;
}

uint64_t ring_identity(const struct ring *ring)
{
    return ring->header->identity;
}

/* ---- producer ---- */

uint64_t ring_producer_attach(struct ring *ring, uint64_t incarnation)
{
    ring->committed = load_acquire(&ring->header->producer.position);
    ring->attached = ring->committed;
    ring->touched = ring->committed;
    /* The predecessor may have taken slots without saying so; they are skipped by position. */
    ring->replies_taken = load_acquire(&ring->reply->taken);
    __atomic_store_n(&ring->header->producer.sleeping, 0, __ATOMIC_RELAXED);
    store_release(&ring->header->producer.incarnation, incarnation);
    return ring->committed;
}

/* The consumer's position as the producer may use it: never ahead, never further back than size. */
static uint64_t released(const struct ring *ring)
{
    uint64_t position = load_acquire(&ring->header->consumer.position);

    if (position > ring->committed || ring->committed - position > ring->size)
        return ring->committed - ring->size; /* broken: as if full */
    return position;
}

uint64_t ring_used(const struct ring *ring)
{
    uint64_t producer = ring->committed;

    return producer - released(ring);
}

/*
 * Goes back to the beginning of the data with an entry that holds nothing, when that is free: a
 * ring that is far from full then lives in its first quarter, which stays in the caches and is all
 * that ever takes memory. An entry of `size` bytes must have room behind it.
 */
static void hop(struct ring *ring, uint64_t size)
{
    uint64_t used = ring_used(ring);
    uint64_t at = ring->committed % ring->size;
    uint64_t left = ring->size - at;
    struct ring_entry pad = {.length = (uint32_t)left, .kind = RING_PAD};

    if (at < ring->size / RING_HOP_SHARE || used > ring->size / (2 * RING_HOP_SHARE) ||
        left < sizeof(pad) || left > UINT32_MAX || used + left + size > ring->size)
        return;
    memcpy(ring->data + at, &pad, sizeof(pad));
    ring->committed += left;
    store_release(&ring->header->producer.hop_bytes, left);
    store_release(&ring->header->producer.hop_end, ring->committed);
}

uint8_t *ring_reserve(struct ring *ring, uint64_t size)
{
    if (size == 0 || size > ring->size / 2 || size % RING_ALIGN != 0)
        return NULL;
    if (ring->size - ring_used(ring) < size)
        return NULL;
    hop(ring, size);
    return ring->data + ring->committed % ring->size;
}

uint64_t ring_reserved_end(const struct ring *ring, uint64_t size)
{
    return ring->committed + size;
}

uint64_t ring_commit(struct ring *ring, uint64_t size)
{
    ring->committed += size;
    if (ring->committed > ring->touched)
        ring->touched = ring->committed;
    return ring->committed;
}

bool ring_publish(struct ring *ring)
{
    store_release(&ring->header->producer.position, ring->committed);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&ring->header->consumer.sleeping, __ATOMIC_RELAXED) != 0;
}

/* Whether slots are published that were not taken. A count that cannot be is none. */
static bool replies_are_there(const struct ring *ring)
{
    uint64_t published = load_acquire(&ring->reply->published);

    return published > ring->replies_taken && published - ring->replies_taken <= RING_REPLY_SLOTS;
}

bool ring_reply_next(struct ring *ring, struct ring_reply *ret_reply)
{
    while (replies_are_there(ring)) {
        struct ring_reply reply = ring->slots[ring->replies_taken % RING_REPLY_SLOTS];
        ring->replies_taken++;
        store_release(&ring->reply->taken, ring->replies_taken);
        if (reply.position <= ring->attached)
            continue;
        *ret_reply = reply;
        return true;
    }
    return false;
}

bool ring_producer_sleep(struct ring *ring, uint64_t need)
{
    __atomic_store_n(&ring->header->producer.sleeping, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (replies_are_there(ring) || (need > 0 && ring->size - ring_used(ring) >= need)) {
        ring_producer_woke(ring);
        return false;
    }
    return true;
}

void ring_producer_woke(struct ring *ring)
{
    __atomic_store_n(&ring->header->producer.sleeping, 0, __ATOMIC_RELAXED);
}

void ring_give_back(struct ring *ring)
{
    if (ring->touched == 0 || ring_used(ring) != 0)
        return;
    /* Not an error where it fails: the pages just stay. */
    if (fallocate(ring->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, RING_DATA_OFFSET,
                  (off_t)ring->size) == 0)
        ring->touched = 0;
}

/* ---- consumer ---- */

int ring_consumer_attach(struct ring *ring, uint64_t position, uint64_t replies, struct err *err)
{
    uint64_t producer = load_acquire(&ring->header->producer.position);
    uint64_t published = load_acquire(&ring->reply->published);
    uint64_t consumer = load_acquire(&ring->header->consumer.position);

    if (position > producer || producer - position > ring->size || position < consumer ||
        replies < published || replies - published > RING_REPLY_SLOTS)
        return err_set(err, EPROTO,
                       "the lane page (position %llu, replies %llu) does not fit the ring "
                       "(%llu to %llu, replies %llu)",
                       (unsigned long long)position, (unsigned long long)replies,
                       (unsigned long long)consumer, (unsigned long long)producer,
                       (unsigned long long)published);
    ring->cursor = position;
    ring->consumed = position;
    /* Verdicts of what the lane page calls durable were written before its publication. */
    store_release(&ring->reply->published, replies);
    store_release(&ring->header->consumer.position, position);
    __atomic_store_n(&ring->header->consumer.sleeping, 0, __ATOMIC_RELAXED);
    return 0;
}

static bool lengths_fit(const struct ring_entry *e)
{
    uint64_t need = sizeof(*e) + (uint64_t)e->peer_bytes + e->tag_bytes + e->id_bytes +
                    e->option_bytes + e->payload_bytes;

    return need <= e->length && e->length - need < RING_ALIGN;
}

/* Passes an entry that holds nothing. False: it is broken. */
static bool pass_pad(struct ring *ring, const struct ring_entry *pad)
{
    if ((ring->cursor + pad->length) % ring->size != 0)
        return false;
    ring->cursor += pad->length;
    return true;
}

int ring_consumer_next(struct ring *ring, struct ring_taken *ret_taken, struct err *err)
{
    uint64_t producer = load_acquire(&ring->header->producer.position);
    struct ring_taken taken;
    const uint8_t *p;

    for (;;) {
        uint64_t there = producer - ring->cursor;
        bool is_pad;

        if (there == 0)
            return 0;
        if (there > ring->size || there < sizeof(taken.entry))
            return err_set(err, EPROTO, "the ring's producer position is broken");
        p = ring->data + ring->cursor % ring->size;
        memcpy(&taken.entry, p, sizeof(taken.entry));
        is_pad = taken.entry.kind == RING_PAD;
        if (taken.entry.length > there || taken.entry.length % RING_ALIGN != 0 ||
            taken.entry.length < sizeof(taken.entry) ||
            !(is_pad ? pass_pad(ring, &taken.entry) : lengths_fit(&taken.entry)))
            return err_set(err, EPROTO, "the ring's entry at %llu is broken",
                           (unsigned long long)ring->cursor);
        if (!is_pad)
            break;
    }
    p += sizeof(taken.entry);
    taken.peer = slice_of(p, taken.entry.peer_bytes);
    p += taken.peer.n;
    taken.tag = slice_of(p, taken.entry.tag_bytes);
    p += taken.tag.n;
    taken.id = slice_of(p, taken.entry.id_bytes);
    p += taken.id.n;
    taken.options = slice_of(p, taken.entry.option_bytes);
    p += taken.options.n;
    taken.payload = slice_of(p, taken.entry.payload_bytes);
    ring->cursor += taken.entry.length;
    taken.end = ring->cursor;
    *ret_taken = taken;
    return 1;
}

bool ring_pending(const struct ring *ring)
{
    return load_acquire(&ring->header->producer.position) != ring->cursor;
}

uint64_t ring_consumer_cursor(const struct ring *ring)
{
    return ring->cursor;
}

void ring_consumer_rewind(struct ring *ring, uint64_t position)
{
    ring->cursor = position;
}

bool ring_reply_room(const struct ring *ring, uint64_t reply)
{
    uint64_t taken = load_acquire(&ring->reply->taken);

    return reply >= taken && reply - taken < RING_REPLY_SLOTS;
}

void ring_reply_put(struct ring *ring, uint64_t reply, const struct ring_reply *verdict)
{
    ring->slots[reply % RING_REPLY_SLOTS] = *verdict;
}

bool ring_consumer_publish(struct ring *ring, uint64_t position, uint64_t replies)
{
    store_release(&ring->reply->published, replies);
    store_release(&ring->header->consumer.position, position);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&ring->header->producer.sleeping, __ATOMIC_RELAXED) != 0;
}

bool ring_consumer_sleep(struct ring *ring)
{
    __atomic_store_n(&ring->header->consumer.sleeping, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (load_acquire(&ring->header->producer.position) != ring->cursor) {
        ring_consumer_woke(ring);
        return false;
    }
    return true;
}

void ring_consumer_woke(struct ring *ring)
{
    __atomic_store_n(&ring->header->consumer.sleeping, 0, __ATOMIC_RELAXED);
}
