#include "supervisor/wiring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "shared/ipc/ring.h"

struct wired_ring {
    int fd;
    const struct ring_header *header; /* the first page, read-only, for status */
    uint64_t seen;                    /* the consumer's position at the last look */
    uint64_t waiting_since_ns;        /* it was there with something behind it; 0: it was not */
};

struct wired_lane {
    bool exists;
    int fd;
    int readonly_fd;
    int lock_fd;
    struct lane_page *page;
};

struct wiring {
    unsigned receivers, processors;
    struct listeners listeners;
    struct wired_ring rings[STAGE_INSTANCES_MAX][STAGE_INSTANCES_MAX]; /* [receiver][lane] */
    struct wired_lane lanes[DATA_DIR_LANES_MAX];
    int receiver_doors[STAGE_INSTANCES_MAX];
    int processor_doors[STAGE_INSTANCES_MAX];
    int shipper_door;
    int status_fd;
    struct status_page *status;
    int lock_fd; /* borrowed */
};

/* ---- who gets what ---- */

/*
 * The n-th descriptor of one kind for instance `index`, or -ENOENT at the end; WIRING_SKIP: there
 * is no such one, go on.
 */
#define WIRING_SKIP (-1000)

typedef int wiring_find(const struct wiring *wiring, unsigned index, unsigned n);

static int find_listener(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index; /* all receivers accept from the same sockets */
    return n < wiring->listeners.count ? wiring->listeners.all[n].fd : -ENOENT;
}

/* One answers for all. */
static int find_heartbeat(const struct wiring *wiring, unsigned index, unsigned n)
{
    if (index != 0 || n >= wiring->listeners.count)
        return -ENOENT;
    return wiring->listeners.all[n].heartbeat_fd >= 0 ? wiring->listeners.all[n].heartbeat_fd
                                                      : WIRING_SKIP;
}

static int find_ring_of_receiver(const struct wiring *wiring, unsigned index, unsigned n)
{
    return n < wiring->processors ? wiring->rings[index][n].fd : -ENOENT;
}

static int find_ring_of_processor(const struct wiring *wiring, unsigned index, unsigned n)
{
    return n < wiring->receivers ? wiring->rings[n][index].fd : -ENOENT;
}

static int find_processor_door(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index;
    return n < wiring->processors ? wiring->processor_doors[n] : -ENOENT;
}

static int find_receiver_door(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index;
    return n < wiring->receivers ? wiring->receiver_doors[n] : -ENOENT;
}

static int find_own_receiver_door(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)n;
    return wiring->receiver_doors[index];
}

static int find_own_processor_door(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)n;
    return wiring->processor_doors[index];
}

static int find_shipper_door(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index;
    (void)n;
    return wiring->shipper_door;
}

static int find_own_lane_page(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)n;
    return wiring->lanes[index].fd;
}

/* Lanes that no processor owns any more: processor 0 recovers them. */
static int find_leftover_lane_page(const struct wiring *wiring, unsigned index, unsigned n)
{
    if (index != 0 || n >= DATA_DIR_LANES_MAX)
        return -ENOENT;
    return n >= wiring->processors && wiring->lanes[n].exists ? wiring->lanes[n].fd : WIRING_SKIP;
}

static int find_readonly_lane_page(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index;
    if (n >= DATA_DIR_LANES_MAX)
        return -ENOENT;
    return wiring->lanes[n].exists ? wiring->lanes[n].readonly_fd : WIRING_SKIP;
}

static int find_own_lane_lock(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)n;
    return wiring->lanes[index].lock_fd;
}

static int find_status(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index;
    (void)n;
    return wiring->status_fd;
}

static int find_lock(const struct wiring *wiring, unsigned index, unsigned n)
{
    (void)index;
    (void)n;
    return wiring->lock_fd;
}

static const struct wiring_row {
    enum stage_id stage;
    const char *name;
    bool numbered; /* ".N" is appended, N from 0 on until `find` ends */
    wiring_find *find;
} rows[] = {
    {STAGE_RECEIVER, "listen.forward", true, find_listener},
    {STAGE_RECEIVER, "heartbeat.forward", true, find_heartbeat},
    {STAGE_RECEIVER, "ring", true, find_ring_of_receiver},
    {STAGE_RECEIVER, "door.processor", true, find_processor_door},
    {STAGE_RECEIVER, "door.receiver", false, find_own_receiver_door},
    {STAGE_RECEIVER, "status", false, find_status},

    {STAGE_PROCESSOR, "ring", true, find_ring_of_processor},
    {STAGE_PROCESSOR, "door.processor", false, find_own_processor_door},
    {STAGE_PROCESSOR, "door.receiver", true, find_receiver_door},
    {STAGE_PROCESSOR, "door.shipper", false, find_shipper_door},
    {STAGE_PROCESSOR, "lane_page", false, find_own_lane_page},
    {STAGE_PROCESSOR, "lane_page", true, find_leftover_lane_page},
    {STAGE_PROCESSOR, "status", false, find_status},
    {STAGE_PROCESSOR, "lock", false, find_lock},
    {STAGE_PROCESSOR, "lock.lane", false, find_own_lane_lock},

    {STAGE_SHIPPER, "lane_page", true, find_readonly_lane_page},
    {STAGE_SHIPPER, "door.shipper", false, find_shipper_door},
    {STAGE_SHIPPER, "status", false, find_status},
    {STAGE_SHIPPER, "lock", false, find_lock},
};

static int give_row(const struct wiring *wiring, const struct wiring_row *row, unsigned index,
                    struct channel *channel)
{
    for (unsigned n = 0; n == 0 || row->numbered; n++) {
        char name[MESSAGE_FD_NAME_BYTES];
        int fd = row->find(wiring, index, n);
        int r;

        if (fd == -ENOENT)
            break;
        if (fd == WIRING_SKIP)
            continue;
        if (row->numbered)
            snprintf(name, sizeof(name), "%s.%u", row->name, n);
        else
            snprintf(name, sizeof(name), "%s", row->name);
        r = channel_send_fd(channel, MESSAGE_FD, slice_string(name), fd);
        if (r < 0)
            return r;
    }
    return 0;
}

int wiring_give(const struct wiring *wiring, enum stage_id stage, unsigned index,
                struct channel *channel, struct err *err)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int r = rows[i].stage == stage ? give_row(wiring, &rows[i], index, channel) : 0;

        if (r < 0)
            return err_errno(err, -r, "descriptor %s", rows[i].name);
    }
    return 0;
}

/* ---- making it ---- */

static struct wiring *empty(void)
{
    struct wiring *wiring = calloc(1, sizeof(*wiring));

    if (wiring == NULL)
        return NULL;
    for (unsigned i = 0; i < STAGE_INSTANCES_MAX; i++) {
        wiring->receiver_doors[i] = wiring->processor_doors[i] = -1;
        for (unsigned j = 0; j < STAGE_INSTANCES_MAX; j++)
            wiring->rings[i][j].fd = -1;
    }
    for (unsigned n = 0; n < DATA_DIR_LANES_MAX; n++)
        wiring->lanes[n].fd = wiring->lanes[n].readonly_fd = wiring->lanes[n].lock_fd = -1;
    wiring->shipper_door = wiring->status_fd = -1;
    return wiring;
}

static int make_door(int *door, struct err *err)
{
    int fd = fd_bell_new();

    if (fd < 0)
        return err_errno(err, -fd, "eventfd");
    *door = fd;
    return 0;
}

static int make_doors(struct wiring *wiring, struct err *err)
{
    int r = make_door(&wiring->shipper_door, err);

    for (unsigned i = 0; i < wiring->receivers && r == 0; i++)
        r = make_door(&wiring->receiver_doors[i], err);
    for (unsigned i = 0; i < wiring->processors && r == 0; i++)
        r = make_door(&wiring->processor_doors[i], err);
    return r;
}

static int make_ring(struct wired_ring *ring, unsigned receiver, unsigned lane, uint64_t size_bytes,
                     struct err *err)
{
    void *header;
    int r = ring_create(receiver, lane, size_bytes, &ring->fd, err);

    if (r < 0)
        return r;
    header = mmap(NULL, RING_PAGE_BYTES, PROT_READ, MAP_SHARED, ring->fd, 0);
    if (header == MAP_FAILED)
        return err_errno(err, errno, "ring: mmap");
    ring->header = header;
    return 0;
}

static int make_rings(struct wiring *wiring, uint64_t size_bytes, struct err *err)
{
    for (unsigned i = 0; i < wiring->receivers; i++) {
        for (unsigned j = 0; j < wiring->processors; j++) {
            int r = make_ring(&wiring->rings[i][j], i, j, size_bytes, err);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int make_lane(struct wired_lane *lane, unsigned number, const struct options *options,
                     struct err *err)
{
    char name[32];
    int r;

    snprintf(name, sizeof(name), "lanes/%02u/lock", number);
    r = data_dir_open_lock(options, name, &lane->lock_fd, err);
    if (r < 0)
        return r;
    r = data_dir_try_lock(lane->lock_fd);
    if (r < 0)
        return err_errno(err, -r, "lane %02u is locked by another process", number);
    r = lane_page_create(number, &lane->fd, &lane->readonly_fd, err);
    if (r == 0)
        r = lane_page_open(lane->readonly_fd, false, &lane->page, err);
    lane->exists = r == 0;
    return r;
}

static int make_lanes(struct wiring *wiring, const struct options *options,
                      const struct spawn_identity *identity, struct err *err)
{
    bool exists[DATA_DIR_LANES_MAX] = {false};
    int r = 0;

    for (unsigned n = 0; n < wiring->processors && r == 0; n++)
        r = data_dir_make_lane(options, identity, n, err);
    if (r == 0)
        r = data_dir_find_lanes(options, exists, err);
    for (unsigned n = 0; n < DATA_DIR_LANES_MAX && r == 0; n++)
        if (exists[n])
            r = make_lane(&wiring->lanes[n], n, options, err);
    return r;
}

int wiring_new(const struct options *options, const struct spawn_identity *identity, int lock_fd,
               struct wiring **ret_wiring, struct err *err)
{
    struct wiring *wiring = empty();
    int r;

    if (wiring == NULL)
        return err_set(err, ENOMEM, "out of memory");
    wiring->receivers = stage_instances(STAGE_RECEIVER, options);
    wiring->processors = stage_instances(STAGE_PROCESSOR, options);
    wiring->lock_fd = lock_fd;
    r = listeners_open(&wiring->listeners, options, err);
    if (r == 0)
        r = status_page_create(&wiring->status_fd, err);
    if (r == 0)
        r = status_page_open(wiring->status_fd, &wiring->status, err);
    if (r == 0)
        r = make_doors(wiring, err);
    if (r == 0)
        r = make_rings(wiring, ring_size_for(options_size(options, OPT_FORWARD_MAX_CHUNK)), err);
    if (r == 0)
        r = make_lanes(wiring, options, identity, err);
    if (r < 0)
        wiring_free(&wiring);
    else
        *ret_wiring = wiring;
    return r;
}

static void free_lane(struct wired_lane *lane)
{
    lane_page_close(&lane->page);
    fd_close(&lane->fd);
    fd_close(&lane->readonly_fd);
    fd_close(&lane->lock_fd);
}

void wiring_free(struct wiring **wiring)
{
    struct wiring *w = *wiring;

    if (w == NULL)
        return;
    for (unsigned i = 0; i < STAGE_INSTANCES_MAX; i++) {
        fd_close(&w->receiver_doors[i]);
        fd_close(&w->processor_doors[i]);
        for (unsigned j = 0; j < STAGE_INSTANCES_MAX; j++) {
            if (w->rings[i][j].header != NULL)
                munmap((void *)(uintptr_t)w->rings[i][j].header, RING_PAGE_BYTES);
            fd_close(&w->rings[i][j].fd);
        }
    }
    for (unsigned n = 0; n < DATA_DIR_LANES_MAX; n++)
        free_lane(&w->lanes[n]);
    fd_close(&w->shipper_door);
    status_page_close(&w->status);
    fd_close(&w->status_fd);
    listeners_close(&w->listeners);
    free(w);
    *wiring = NULL;
}

/* ---- looking at it ---- */

const struct listeners *wiring_listeners(const struct wiring *wiring)
{
    return &wiring->listeners;
}

struct status_slot *wiring_slot(const struct wiring *wiring, unsigned slot)
{
    return status_page_slot(wiring->status, slot);
}

/* Bytes between the positions that hold nothing. */
static uint64_t ring_padding(const struct ring_header *header, uint64_t consumer)
{
    uint64_t end = __atomic_load_n(&header->producer.hop_end, __ATOMIC_ACQUIRE);
    uint64_t bytes = __atomic_load_n(&header->producer.hop_bytes, __ATOMIC_RELAXED);

    if (end <= consumer)
        return 0;
    return end - consumer < bytes ? end - consumer : bytes;
}

static void read_ring(const struct ring_header *header, uint64_t *ret_consumer, uint64_t *ret_used)
{
    uint64_t consumer, producer, padding;

    /* The consumer first: it never passes what the producer has by then. */
    consumer = __atomic_load_n(&header->consumer.position, __ATOMIC_ACQUIRE);
    padding = ring_padding(header, consumer);
    producer = __atomic_load_n(&header->producer.position, __ATOMIC_ACQUIRE);
    *ret_consumer = consumer;
    *ret_used = producer > consumer + padding ? producer - consumer - padding : 0;
}

void wiring_watch_rings(struct wiring *wiring, uint64_t now_ns)
{
    for (unsigned i = 0; i < wiring->receivers; i++) {
        for (unsigned j = 0; j < wiring->processors; j++) {
            struct wired_ring *ring = &wiring->rings[i][j];
            uint64_t consumer, used;

            read_ring(ring->header, &consumer, &used);
            if (used == 0)
                ring->waiting_since_ns = 0;
            else if (ring->waiting_since_ns == 0 || consumer != ring->seen)
                ring->waiting_since_ns = now_ns;
            ring->seen = consumer;
        }
    }
}

bool wiring_next_ring(const struct wiring *wiring, unsigned *cursor, struct wiring_ring *ret_ring)
{
    unsigned receiver = *cursor / wiring->processors;
    unsigned lane = *cursor % wiring->processors;
    const struct wired_ring *ring;
    uint64_t consumer, used;

    if (receiver >= wiring->receivers)
        return false;
    ring = &wiring->rings[receiver][lane];
    read_ring(ring->header, &consumer, &used);
    *ret_ring = (struct wiring_ring){
        .receiver = receiver,
        .lane = lane,
        .used_bytes = used,
        .size_bytes = __atomic_load_n(&ring->header->size, __ATOMIC_RELAXED),
        /* It may have moved since the last look. */
        .waiting_since_ns = used > 0 && consumer == ring->seen ? ring->waiting_since_ns : 0,
    };
    ++*cursor;
    return true;
}

bool wiring_next_lane(const struct wiring *wiring, unsigned *cursor, unsigned *ret_lane,
                      bool *ret_published, struct lane_state *ret_state)
{
    while (*cursor < DATA_DIR_LANES_MAX) {
        unsigned n = (*cursor)++;

        if (!wiring->lanes[n].exists)
            continue;
        *ret_lane = n;
        *ret_published = lane_page_read(wiring->lanes[n].page, ret_state);
        return true;
    }
    return false;
}
