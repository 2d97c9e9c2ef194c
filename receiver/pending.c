#include "receiver/pending.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64u
#define INLINE_BYTES 40u

struct wait {
    uint64_t position;
    struct pending_owner owner;
    uint8_t *long_id; /* owned; NULL: the id is in id[] */
    uint32_t id_bytes;
    uint8_t id[INLINE_BYTES];
    uint32_t pad;
};

static_assert(sizeof(struct wait) == 80, "the header says so");

/* A ring of waits; `slots` is a power of two; positions count up and are taken modulo it. */
struct pending {
    struct wait *waits;
    size_t slots;
    size_t max;
    size_t head, tail;
    uint64_t last;  /* the highest position pushed */
    uint8_t *spent; /* a long id that was handed out last */
};

static struct wait *wait_at(const struct pending *pending, size_t i)
{
    return &pending->waits[i & (pending->slots - 1)];
}

struct pending *pending_new(size_t max)
{
    struct pending *pending = calloc(1, sizeof(*pending));

    if (pending)
        pending->max = max;
    return pending;
}

void pending_free(struct pending **pending)
{
    struct pending *p = *pending;

    if (!p)
        return;
    for (; p->head != p->tail; p->head++)
        free(wait_at(p, p->head)->long_id);
    free(p->spent);
    free(p->waits);
    free(p);
    *pending = NULL;
}

size_t pending_count(const struct pending *pending)
{
    return pending->tail - pending->head;
}

size_t pending_bytes(const struct pending *pending)
{
    return pending->slots * sizeof(struct wait);
}

bool pending_has_room(const struct pending *pending)
{
    return pending_count(pending) < pending->max;
}

static int grow(struct pending *pending)
{
    size_t slots = pending->slots == 0 ? FIRST_SLOTS : 2 * pending->slots;
    size_t count = pending_count(pending);
    struct wait *waits = calloc(slots, sizeof(*waits));

    if (!waits)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        waits[i] = *wait_at(pending, pending->head + i);
    free(pending->waits);
    pending->waits = waits;
    pending->slots = slots;
    pending->head = 0;
    pending->tail = count;
    return 0;
}

int pending_push(struct pending *pending, uint64_t position, struct pending_owner owner,
                 struct slice id)
{
    struct wait wait = {.position = position, .owner = owner, .id_bytes = (uint32_t)id.n};

    if (!pending_has_room(pending))
        return -ENOBUFS;
    if (position <= pending->last)
        return -EINVAL;
    if (pending_count(pending) == pending->slots && grow(pending) < 0)
        return -ENOMEM;
    if (id.n > INLINE_BYTES) {
        wait.long_id = malloc(id.n);
        if (!wait.long_id)
            return -ENOMEM;
        memcpy(wait.long_id, id.p, id.n);
    } else if (id.n > 0) {
        memcpy(wait.id, id.p, id.n);
    }
    *wait_at(pending, pending->tail) = wait;
    pending->tail++;
    pending->last = position;
    return 0;
}

bool pending_match(struct pending *pending, uint64_t position, struct pending_owner *ret_owner,
                   struct slice *ret_id, uint64_t *ret_lost)
{
    free(pending->spent);
    pending->spent = NULL;
    for (; pending->head != pending->tail; pending->head++) {
        struct wait *wait = wait_at(pending, pending->head);

        if (wait->position > position)
            return false;
        if (wait->position == position) {
            *ret_owner = wait->owner;
            *ret_id = slice_of(wait->long_id ? wait->long_id : wait->id, wait->id_bytes);
            pending->spent = wait->long_id;
            pending->head++;
            return true;
        }
        free(wait->long_id);
        ++*ret_lost;
    }
    return false;
}

void pending_trim(struct pending *pending)
{
    if (pending_count(pending) > 0)
        return;
    free(pending->waits);
    pending->waits = NULL;
    pending->slots = 0;
    pending->head = 0;
    pending->tail = 0;
}
