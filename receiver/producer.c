#include "receiver/producer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/fd.h"
#include "shared/base/hash.h"
#include "shared/ipc/ring.h"

/* More acks than a reply ring has slots cannot be answered anyway. */
#define PENDING_MAX RING_REPLY_SLOTS

/* Ends that wait for room, oldest first: ends[first .. count). */
struct end_list {
    struct producer_end *ends;
    size_t first, count, slots;
};

struct lane {
    struct ring *ring;
    int door;
    bool dirty;              /* written since the last publication */
    bool used;               /* written since its pages were given back */
    bool slept;              /* the processor was told to ring */
    bool blocked;            /* a chunk waits; none overtakes it until producer_retry */
    uint64_t want;           /* room that the first in the queue waits for; 0: nobody */
    uint64_t quiet_since_ns; /* 0: used since producer_idle looked last */
    struct pending *pending;
    struct end_list ends;
};

struct producer {
    uint64_t incarnation;
    unsigned lanes;
    unsigned turn; /* the lane whose verdicts are looked at next */
    uint64_t lost;
    struct lane lane[PRODUCER_LANES];
};

static int lane_open(struct lane *lane, int ring_fd, int door, uint64_t incarnation,
                     struct err *err)
{
    int r = ring_open(ring_fd, &lane->ring, err);

    if (r < 0)
        return r;
    lane->pending = pending_new(PENDING_MAX);
    if (!lane->pending)
        return err_errno(err, ENOMEM, "cannot keep pending acks");
    lane->door = door;
    ring_producer_attach(lane->ring, incarnation);
    /* The processor may have gone to sleep with a predecessor's entries unseen. */
    fd_bell_ring(door);
    return 0;
}

int producer_new(const struct producer_setup *setup, struct producer **ret_producer,
                 struct err *err)
{
    struct producer *producer = calloc(1, sizeof(*producer));

    if (!producer)
        return err_errno(err, ENOMEM, "cannot open the rings");
    producer->incarnation = setup->incarnation;
    producer->lanes = setup->lanes;
    for (unsigned i = 0; i < setup->lanes; i++) {
        int r = lane_open(&producer->lane[i], setup->rings[i], setup->doors[i], setup->incarnation,
                          err);

        if (r < 0) {
            err_prefix(err, "lane %u", i);
            producer_free(&producer);
            return r;
        }
    }
    *ret_producer = producer;
    return 0;
}

void producer_free(struct producer **producer)
{
    struct producer *p = *producer;

    if (!p)
        return;
    for (unsigned i = 0; i < PRODUCER_LANES; i++) {
        ring_close(&p->lane[i].ring);
        pending_free(&p->lane[i].pending);
        free(p->lane[i].ends.ends);
    }
    free(p);
    *producer = NULL;
}

unsigned producer_lanes(const struct producer *producer)
{
    return producer->lanes;
}

static uint64_t entry_bytes(const struct ring_entry *entry)
{
    uint64_t bytes = sizeof(*entry) + (uint64_t)entry->peer_bytes + entry->tag_bytes +
                     entry->id_bytes + entry->option_bytes + entry->payload_bytes;

    return (bytes + RING_ALIGN - 1) / RING_ALIGN * RING_ALIGN;
}

static uint8_t *put_bytes(uint8_t *p, struct slice bytes)
{
    if (bytes.n > 0)
        memcpy(p, bytes.p, bytes.n);
    return p + bytes.n;
}

/* Room for an entry; NULL: none, and the lane remembers that somebody waits for it. */
static uint8_t *lane_reserve(struct lane *lane, uint64_t bytes)
{
    uint8_t *p = ring_reserve(lane->ring, bytes);

    if (!p)
        lane->want = bytes;
    return p;
}

static void lane_commit(struct lane *lane, uint64_t bytes)
{
    lane->dirty = true;
    lane->used = true;
    lane->quiet_since_ns = 0;
    ring_commit(lane->ring, bytes);
}

/* ---- ends ---- */

static bool write_end(struct producer *producer, struct lane *lane, const struct producer_end *end)
{
    struct ring_entry entry = {
        .length = sizeof(entry),
        .kind = RING_END,
        .flags = end->clean ? RING_CLEAN : 0,
        .received_ns = end->received_ns,
        .incarnation = producer->incarnation,
        .connection = end->connection,
        .confirmed = end->confirmed,
    };
    uint8_t *p = lane_reserve(lane, sizeof(entry));

    if (!p)
        return false;
    memcpy(p, &entry, sizeof(entry));
    lane_commit(lane, sizeof(entry));
    return true;
}

/* True where none waits any more. */
static bool flush_ends(struct producer *producer, struct lane *lane)
{
    struct end_list *list = &lane->ends;

    while (list->first < list->count) {
        if (!write_end(producer, lane, &list->ends[list->first]))
            return false;
        list->first++;
    }
    if (list->count > 0 && !lane->blocked)
        lane->want = 0;
    list->first = 0;
    list->count = 0;
    return true;
}

static int queue_end(struct end_list *list, const struct producer_end *end)
{
    if (list->count == list->slots) {
        size_t slots = list->slots == 0 ? 64 : 2 * list->slots;
        struct producer_end *ends = reallocarray(list->ends, slots, sizeof(*ends));

        if (!ends)
            return -ENOMEM;
        list->ends = ends;
        list->slots = slots;
    }
    list->ends[list->count++] = *end;
    return 0;
}

int producer_end(struct producer *producer, unsigned lane_index, const struct producer_end *end)
{
    struct lane *lane = &producer->lane[lane_index];

    if (flush_ends(producer, lane) && write_end(producer, lane, end))
        return 0;
    return queue_end(&lane->ends, end);
}

size_t producer_ends_waiting(const struct producer *producer)
{
    size_t waiting = 0;

    for (unsigned i = 0; i < producer->lanes; i++)
        waiting += producer->lane[i].ends.count - producer->lane[i].ends.first;
    return waiting;
}

/* ---- chunks ---- */

static struct hash128 key_of(const struct producer_chunk *chunk)
{
    const struct forward_message *message = chunk->message;
    const struct slice parts[] = {chunk->peer, message->tag, message->id, message->payload};

    return hash_slices(parts, sizeof(parts) / sizeof(parts[0]));
}

/*
 * The one place that chooses. Here also belongs the way round a lane whose processor has been down
 * for a second (design.md, Rings): to the next lane, counted.
 */
static unsigned choose_lane(const struct producer *producer, const struct producer_chunk *chunk,
                            const struct hash128 *key)
{
    uint64_t number = chunk->message->wants_ack ? key->low : chunk->connection;

    return (unsigned)(number % producer->lanes);
}

static struct ring_entry entry_of(const struct producer *producer,
                                  const struct producer_chunk *chunk, const struct hash128 *key)
{
    const struct forward_message *message = chunk->message;
    struct ring_entry entry = {
        .kind = RING_CHUNK,
        .carrier = (uint8_t)message->carrier,
        .compression = (uint8_t)message->compression,
        .flags =
            (uint8_t)((message->wants_ack ? RING_WANTS_ACK : 0) | (message->json ? RING_JSON : 0)),
        .received_ns = chunk->received_ns,
        .incarnation = producer->incarnation,
        .connection = chunk->connection,
        .serial = chunk->serial,
        .signal = message->signal,
        .declared = message->declared,
        .peer_bytes = (uint16_t)chunk->peer.n,
        .id_bytes = (uint16_t)message->id.n,
        .tag_bytes = (uint32_t)message->tag.n,
        .option_bytes = (uint32_t)message->options.n,
        .payload_bytes = (uint32_t)message->payload.n,
    };

    if (message->wants_ack)
        memcpy(entry.key, key, sizeof(entry.key));
    entry.length = (uint32_t)entry_bytes(&entry);
    return entry;
}

static void write_chunk(uint8_t *p, const struct ring_entry *entry,
                        const struct producer_chunk *chunk)
{
    const struct forward_message *message = chunk->message;
    uint8_t *end = p + entry->length;

    memcpy(p, entry, sizeof(*entry));
    p = put_bytes(p + sizeof(*entry), chunk->peer);
    p = put_bytes(p, message->tag);
    p = put_bytes(p, message->id);
    p = put_bytes(p, message->options);
    p = put_bytes(p, message->payload);
    memset(p, 0, (size_t)(end - p));
}

int producer_put(struct producer *producer, const struct producer_chunk *chunk, unsigned *ret_lane)
{
    const struct forward_message *message = chunk->message;
    struct hash128 key = {0};
    struct ring_entry entry;
    struct lane *lane;
    uint8_t *p;

    if (message->wants_ack)
        key = key_of(chunk);
    *ret_lane = choose_lane(producer, chunk, &key);
    lane = &producer->lane[*ret_lane];
    entry = entry_of(producer, chunk, &key);
    entry.confirmed = chunk->confirmed[*ret_lane];
    if (entry.length > ring_size(lane->ring) / 2)
        return -EMSGSIZE;
    if (lane->blocked || !flush_ends(producer, lane))
        return -EAGAIN;
    p = lane_reserve(lane, entry.length);
    if (!p || (message->wants_ack && !pending_has_room(lane->pending))) {
        lane->blocked = true;
        return -EAGAIN;
    }
    if (message->wants_ack) {
        struct pending_owner owner = {.handle = chunk->handle, .serial = chunk->serial};
        uint64_t end = ring_reserved_end(lane->ring, entry.length);
        int r = pending_push(lane->pending, end, owner, message->id);

        if (r < 0)
            return r;
    }
    write_chunk(p, &entry, chunk);
    lane_commit(lane, entry.length);
    return 0;
}

void producer_retry(struct producer *producer, unsigned lane_index)
{
    producer->lane[lane_index].blocked = false;
    producer->lane[lane_index].want = 0;
}

void producer_publish(struct producer *producer)
{
    for (unsigned i = 0; i < producer->lanes; i++) {
        struct lane *lane = &producer->lane[i];

        flush_ends(producer, lane);
        if (!lane->dirty)
            continue;
        lane->dirty = false;
        if (ring_publish(lane->ring))
            fd_bell_ring(lane->door);
    }
}

/* ---- verdicts ---- */

static bool lane_next(struct producer *producer, struct lane *lane, struct producer_verdict *ret)
{
    struct ring_reply reply;

    while (ring_reply_next(lane->ring, &reply)) {
        if (!pending_match(lane->pending, reply.position, &ret->owner, &ret->id, &producer->lost))
            continue;
        ret->verdict = reply.verdict;
        return true;
    }
    return false;
}

bool producer_next(struct producer *producer, struct producer_verdict *ret)
{
    for (unsigned i = 0; i < producer->lanes; i++) {
        unsigned index = (producer->turn + i) % producer->lanes;

        if (lane_next(producer, &producer->lane[index], ret)) {
            ret->lane = index;
            producer->turn = index;
            return true;
        }
    }
    return false;
}

uint64_t producer_lost(const struct producer *producer)
{
    return producer->lost;
}

/* ---- waiting ---- */

bool producer_sleep(struct producer *producer)
{
    for (unsigned i = 0; i < producer->lanes; i++) {
        struct lane *lane = &producer->lane[i];

        /* Nobody waits for anything: the processor need not ring. */
        if (lane->want == 0 && pending_count(lane->pending) == 0)
            continue;
        lane->slept = true;
        if (!ring_producer_sleep(lane->ring, lane->want))
            return false;
    }
    return true;
}

void producer_woke(struct producer *producer)
{
    for (unsigned i = 0; i < producer->lanes; i++) {
        struct lane *lane = &producer->lane[i];

        if (lane->slept)
            ring_producer_woke(lane->ring);
        lane->slept = false;
    }
}

uint64_t producer_idle(struct producer *producer, uint64_t now_ns, uint64_t idle_ns)
{
    uint64_t next_ns = 0;

    for (unsigned i = 0; i < producer->lanes; i++) {
        struct lane *lane = &producer->lane[i];

        if (!lane->used)
            continue;
        if (lane->quiet_since_ns == 0 || ring_used(lane->ring) != 0)
            lane->quiet_since_ns = now_ns;
        if (now_ns - lane->quiet_since_ns < idle_ns) {
            next_ns = now_ns + idle_ns;
            continue;
        }
        ring_give_back(lane->ring);
        pending_trim(lane->pending);
        lane->used = false;
    }
    return next_ns;
}

size_t producer_bytes(const struct producer *producer)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < producer->lanes; i++)
        bytes += pending_bytes(producer->lane[i].pending) +
                 producer->lane[i].ends.slots * sizeof(struct producer_end);
    return bytes;
}

size_t producer_pending(const struct producer *producer)
{
    size_t count = 0;

    for (unsigned i = 0; i < producer->lanes; i++)
        count += pending_count(producer->lane[i].pending);
    return count;
}
