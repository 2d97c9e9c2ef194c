#include "shared/journal/resend_window.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define WINDOW_RECEIVERS 8u
#define WINDOW_NONE UINT32_MAX
#define WINDOW_LOOKS 128u

struct connection {
    uint64_t incarnation, number;
    uint64_t confirmed;
    uint32_t receiver;
    uint32_t refs;  /* keys that name it */
    uint32_t chain; /* next with the same hash; or next free */
    uint32_t next_dirty, next_sealed;
    bool ended;
    bool dirty;  /* changed since the last sealed batch: in the list `dirty` */
    bool sealed; /* changed in the batch that is being synced: in the list `in_batch` */
};

struct remembered {
    uint8_t key[16];
    uint64_t serial;
    uint64_t seen_ns;
    uint64_t replaces;  /* position + 1 of the key whose place this one took; 0: none */
    uint64_t successor; /* position + 1 of the resend that took its place; 0: none */
    uint32_t connection;
    uint32_t chain; /* slot of the next older key with the same hash */
    uint32_t newer; /* slot of the next newer one; WINDOW_NONE: it is the newest */
    uint8_t flags;  /* SEGMENT_KEY_RESENT */
};

/*
 * Keys lie in slots[position % capacity], positions counting up:
 *     head <= durable <= sealed <= tail
 * below `durable` they are durable, below `sealed` they are in the batch that is being synced.
 */
struct resend_window {
    uint32_t capacity;
    uint64_t time_ns;
    uint64_t head, durable, sealed, tail;
    struct remembered *slots;
    uint32_t *key_heads;
    uint32_t mask;

    struct connection *connections; /* capacity + 1 of them */
    uint32_t *connection_heads;
    uint32_t free_connection;
    uint32_t used_connections;
    uint32_t dirty;
    uint32_t in_batch;

    uint64_t latest[WINDOW_RECEIVERS]; /* incarnation */
};

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 16;

    while (p < n)
        p *= 2;
    return p;
}

int resend_window_new(uint32_t keys, uint64_t time_ns, struct resend_window **ret_window,
                      struct err *err)
{
    struct resend_window *window = calloc(1, sizeof(*window));
    uint32_t heads = power_of_two(keys);

    if (window == NULL)
        return err_errno(err, ENOMEM, "cannot make a resend window");
    window->capacity = keys;
    window->time_ns = time_ns;
    window->mask = heads - 1;
    window->slots = calloc(keys, sizeof(*window->slots));
    window->connections = calloc((size_t)keys + 1, sizeof(*window->connections));
    window->key_heads = malloc(heads * sizeof(*window->key_heads));
    window->connection_heads = malloc(heads * sizeof(*window->connection_heads));
    if (window->slots == NULL || window->connections == NULL || window->key_heads == NULL ||
        window->connection_heads == NULL) {
        resend_window_free(&window);
        return err_errno(err, ENOMEM, "cannot make a resend window of %u keys", keys);
    }
    memset(window->key_heads, 0xff, heads * sizeof(*window->key_heads));
    memset(window->connection_heads, 0xff, heads * sizeof(*window->connection_heads));
    window->free_connection = WINDOW_NONE;
    window->dirty = WINDOW_NONE;
    window->in_batch = WINDOW_NONE;
    *ret_window = window;
    return 0;
}

void resend_window_free(struct resend_window **window)
{
    if (*window == NULL)
        return;
    free((*window)->slots);
    free((*window)->connections);
    free((*window)->key_heads);
    free((*window)->connection_heads);
    free(*window);
    *window = NULL;
}

uint32_t resend_window_count(const struct resend_window *window)
{
    return (uint32_t)(window->tail - window->head);
}

/* ---- connections ---- */

static uint32_t *connection_head(struct resend_window *window, uint32_t receiver,
                                 uint64_t incarnation, uint64_t number)
{
    uint64_t h =
        (incarnation ^ (number * 0x9e3779b97f4a7c15ull) ^ receiver) * 0xd6e8feb86659fd93ull;

    return &window->connection_heads[(h >> 32) & window->mask];
}

static struct connection *connection_find(struct resend_window *window, uint32_t receiver,
                                          uint64_t incarnation, uint64_t number)
{
    uint32_t i = *connection_head(window, receiver, incarnation, number);

    while (i != WINDOW_NONE) {
        struct connection *c = &window->connections[i];

        if (c->number == number && c->incarnation == incarnation && c->receiver == receiver)
            return c;
        i = c->chain;
    }
    return NULL;
}

/* Finds or makes it. There is one more than there can be keys, and unused ones are freed. */
static struct connection *connection_get(struct resend_window *window, uint32_t receiver,
                                         uint64_t incarnation, uint64_t number)
{
    struct connection *c = connection_find(window, receiver, incarnation, number);
    uint32_t *head = connection_head(window, receiver, incarnation, number);
    uint32_t i;

    if (c != NULL)
        return c;
    if (window->free_connection != WINDOW_NONE) {
        i = window->free_connection;
        window->free_connection = window->connections[i].chain;
    } else if (window->used_connections <= window->capacity) {
        i = window->used_connections++;
    } else {
        return NULL;
    }
    c = &window->connections[i];
    *c = (struct connection){
        .incarnation = incarnation,
        .number = number,
        .receiver = receiver,
        .chain = *head,
        .next_dirty = WINDOW_NONE,
    };
    *head = i;
    return c;
}

static void connection_drop_unused(struct resend_window *window, struct connection *c)
{
    uint32_t i = (uint32_t)(c - window->connections);
    uint32_t *link = connection_head(window, c->receiver, c->incarnation, c->number);

    if (c->refs > 0 || c->dirty || c->sealed)
        return;
    while (*link != i)
        link = &window->connections[*link].chain;
    *link = c->chain;
    c->chain = window->free_connection;
    window->free_connection = i;
}

static void connection_changed(struct resend_window *window, struct connection *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = window->dirty;
    window->dirty = (uint32_t)(c - window->connections);
}

static bool has_ended(const struct resend_window *window, const struct connection *c)
{
    return c->ended ||
           (c->receiver < WINDOW_RECEIVERS && c->incarnation < window->latest[c->receiver]);
}

static void confirm(struct resend_window *window, struct connection *c, uint64_t serial)
{
    if (serial <= c->confirmed)
        return;
    c->confirmed = serial;
    connection_changed(window, c);
}

/* ---- keys ---- */

static struct remembered *slot_at(struct resend_window *window, uint64_t position)
{
    return &window->slots[position % window->capacity];
}

static uint32_t *key_head(struct resend_window *window, const uint8_t key[16])
{
    uint32_t h;

    memcpy(&h, key, sizeof(h));
    return &window->key_heads[h & window->mask];
}

/* Takes the key out of its chain and lets its connection go. */
static void key_unlink(struct resend_window *window, uint64_t position)
{
    struct remembered *k = slot_at(window, position);
    struct connection *c = &window->connections[k->connection];

    if (k->newer != WINDOW_NONE)
        window->slots[k->newer].chain = k->chain;
    else
        *key_head(window, k->key) = k->chain;
    if (k->chain != WINDOW_NONE)
        window->slots[k->chain].newer = k->newer;
    c->refs--;
    connection_drop_unused(window, c);
}

static void forget_oldest(struct resend_window *window)
{
    key_unlink(window, window->head);
    window->head++;
    if (window->durable < window->head)
        window->durable = window->head;
    if (window->sealed < window->head)
        window->sealed = window->head;
}

static void forget_newest(struct resend_window *window)
{
    struct remembered *k = slot_at(window, window->tail - 1);

    if (k->replaces > window->head)
        slot_at(window, k->replaces - 1)->successor = 0;
    key_unlink(window, window->tail - 1);
    window->tail--;
}

static void forget_expired(struct resend_window *window, uint64_t now_ns)
{
    while (window->head < window->tail) {
        struct remembered *k = slot_at(window, window->head);

        if (k->seen_ns + window->time_ns > now_ns)
            return;
        forget_oldest(window);
    }
}

/* Appends a key. -ENOMEM only where every connection slot waits for a sync. */
static int append(struct resend_window *window, const uint8_t key[16],
                  const struct resend_origin *origin, uint64_t now_ns)
{
    struct connection *c;
    struct remembered *k;
    uint32_t *head;

    if (window->tail - window->head == window->capacity)
        forget_oldest(window);
    c = connection_get(window, origin->receiver, origin->incarnation, origin->connection);
    if (c == NULL)
        return -ENOMEM;
    c->refs++;
    k = slot_at(window, window->tail);
    head = key_head(window, key);
    *k = (struct remembered){
        .serial = origin->serial,
        .seen_ns = now_ns,
        .connection = (uint32_t)(c - window->connections),
        .chain = *head,
        .newer = WINDOW_NONE,
    };
    memcpy(k->key, key, sizeof(k->key));
    if (*head != WINDOW_NONE)
        window->slots[*head].newer = (uint32_t)(window->tail % window->capacity);
    *head = (uint32_t)(window->tail % window->capacity);
    window->tail++;
    return 0;
}

/* A slot's position, from its index. */
static uint64_t position_of(const struct resend_window *window, uint32_t slot)
{
    uint64_t base = window->head - window->head % window->capacity + slot;

    return base >= window->head ? base : base + window->capacity;
}

int resend_window_hear(struct resend_window *window, const struct resend_origin *origin)
{
    struct connection *c;

    if (origin->receiver < WINDOW_RECEIVERS &&
        origin->incarnation > window->latest[origin->receiver])
        window->latest[origin->receiver] = origin->incarnation;
    if (origin->confirmed == 0)
        return 0;
    c = connection_find(window, origin->receiver, origin->incarnation, origin->connection);
    if (c != NULL)
        confirm(window, c, origin->confirmed);
    return 0;
}

int resend_window_ended(struct resend_window *window, const struct resend_origin *origin)
{
    struct connection *c =
        connection_find(window, origin->receiver, origin->incarnation, origin->connection);

    if (c == NULL)
        return 0; /* no key of it is remembered */
    confirm(window, c, origin->confirmed);
    if (!c->ended) {
        c->ended = true;
        connection_changed(window, c);
    }
    return 0;
}

/*
 * The oldest key that this chunk may be a resend of; *ret_same: it is that very chunk. Of many equal
 * keys only the newest WINDOW_LOOKS are looked at: a client that sends one chunk over and over must
 * not slow all others down, and in doubt a chunk is stored twice.
 */
static struct remembered *find_original(struct resend_window *window, const uint8_t key[16],
                                        const struct resend_origin *origin, bool *ret_same)
{
    struct remembered *found = NULL;
    unsigned looks = 0;

    *ret_same = false;
    for (uint32_t i = *key_head(window, key); i != WINDOW_NONE; i = window->slots[i].chain) {
        struct remembered *k = &window->slots[i];
        const struct connection *c = &window->connections[k->connection];

        if (memcmp(k->key, key, sizeof(k->key)) != 0)
            continue;
        if (looks++ == WINDOW_LOOKS)
            break;
        if (c->number == origin->connection && c->incarnation == origin->incarnation &&
            c->receiver == origin->receiver) {
            if (k->serial == origin->serial) {
                *ret_same = true;
                return k;
            }
        } else if (k->successor == 0 && has_ended(window, c) && c->confirmed < k->serial) {
            found = k;
        }
    }
    return found;
}

/* The newest key took the place of `old`. */
static void replace(struct resend_window *window, struct remembered *old)
{
    struct remembered *k = slot_at(window, window->tail - 1);
    uint64_t position = position_of(window, (uint32_t)(old - window->slots));

    old->successor = window->tail;
    k->replaces = position + 1;
    if (position < window->sealed || (old->flags & SEGMENT_KEY_RESENT))
        k->flags |= SEGMENT_KEY_RESENT;
}

int resend_window_check(struct resend_window *window, const uint8_t key[16],
                        const struct resend_origin *origin, uint64_t now_ns)
{
    struct remembered *old;
    bool same, full;
    int r;

    forget_expired(window, now_ns);
    old = find_original(window, key, origin, &same);
    if (same)
        return RESEND_AGAIN;
    full = window->tail - window->head == window->capacity;
    if (full && old == slot_at(window, window->head)) {
        /* Its slot is needed for its successor: forgotten and remembered anew. */
        r = append(window, key, origin, now_ns);
        if (r == 0)
            slot_at(window, window->tail - 1)->flags |= SEGMENT_KEY_RESENT;
        return r < 0 ? r : RESEND_AGAIN;
    }
    r = append(window, key, origin, now_ns);
    if (r < 0)
        return r;
    if (old == NULL)
        return RESEND_NEW;
    replace(window, old);
    return RESEND_AGAIN;
}

void resend_window_forget_last(struct resend_window *window)
{
    if (window->tail > window->sealed)
        forget_newest(window);
}

static struct segment_key key_record(struct resend_window *window, const struct remembered *k)
{
    const struct connection *c = &window->connections[k->connection];
    struct segment_key record = {
        .incarnation = c->incarnation,
        .connection = c->number,
        .serial = k->serial,
        .seen_ns = k->seen_ns,
        .receiver = c->receiver,
    };

    memcpy(record.key, k->key, sizeof(record.key));
    if (c->confirmed >= k->serial)
        record.flags |= SEGMENT_KEY_CONFIRMED;
    if (has_ended(window, c))
        record.flags |= SEGMENT_KEY_ENDED;
    return record;
}

static int seal_confirmations(struct resend_window *window,
                              int (*confirmation)(void *context,
                                                  const struct segment_confirmation *c),
                              void *context)
{
    while (window->dirty != WINDOW_NONE) {
        struct connection *c = &window->connections[window->dirty];
        struct segment_confirmation record = {
            .incarnation = c->incarnation,
            .connection = c->number,
            .serial = c->confirmed,
            .receiver = c->receiver,
            .ended = has_ended(window, c),
        };
        int r = confirmation(context, &record);

        if (r < 0)
            return r;
        c->sealed = true;
        c->next_sealed = window->in_batch;
        window->in_batch = window->dirty;
        window->dirty = c->next_dirty;
        c->dirty = false;
    }
    return 0;
}

int resend_window_seal(struct resend_window *window,
                       int (*key)(void *context, const struct segment_key *key),
                       int (*confirmation)(void *context, const struct segment_confirmation *c),
                       void *context)
{
    for (uint64_t at = window->sealed; at < window->tail; at++) {
        struct remembered *k = slot_at(window, at);
        struct segment_key record;
        int r;

        if (k->successor > 0)
            continue;
        record = key_record(window, k);
        record.flags |= k->flags;
        r = key(context, &record);
        if (r < 0)
            return r;
    }
    window->sealed = window->tail;
    return seal_confirmations(window, confirmation, context);
}

bool resend_window_dirty(const struct resend_window *window)
{
    return window->dirty != WINDOW_NONE || window->sealed != window->tail;
}

void resend_window_durable(struct resend_window *window)
{
    window->durable = window->sealed;
    while (window->in_batch != WINDOW_NONE) {
        struct connection *c = &window->connections[window->in_batch];

        window->in_batch = c->next_sealed;
        c->sealed = false;
        connection_drop_unused(window, c);
    }
}

int resend_window_save(struct resend_window *window, struct buf *ret_keys)
{
    for (uint64_t at = window->head; at < window->durable; at++) {
        struct remembered *k = slot_at(window, at);
        struct segment_key record;
        int r;

        /* A successor that is not durable says in its batch whose place it takes. */
        if (k->successor > 0 && k->successor <= window->durable)
            continue;
        record = key_record(window, k);
        r = buf_append(ret_keys, &record, sizeof(record));
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * The key whose place a resend took when it was judged. That its connection had ended by then may
 * have been known without being written (its receiver had died, or all had): the oldest that is not
 * confirmed is taken then.
 */
static struct remembered *find_replaced(struct resend_window *window, const uint8_t key[16],
                                        const struct resend_origin *origin)
{
    bool same;
    struct remembered *found = find_original(window, key, origin, &same);
    unsigned looks = 0;

    if (same || found != NULL)
        return same ? NULL : found;
    for (uint32_t i = *key_head(window, key); i != WINDOW_NONE; i = window->slots[i].chain) {
        struct remembered *k = &window->slots[i];
        const struct connection *c = &window->connections[k->connection];
        bool own = c->number == origin->connection && c->incarnation == origin->incarnation &&
                   c->receiver == origin->receiver;

        if (memcmp(k->key, key, sizeof(k->key)) != 0)
            continue;
        if (looks++ == WINDOW_LOOKS)
            break;
        if (!own && k->successor == 0 && c->confirmed < k->serial)
            found = k;
    }
    return found;
}

static int load_key(struct resend_window *window, const struct segment_key *record, bool cold)
{
    struct resend_origin origin = {
        .receiver = record->receiver,
        .incarnation = record->incarnation,
        .connection = record->connection,
        .serial = record->serial,
    };
    struct remembered *old = NULL;
    struct connection *c;
    int r;

    if (record->flags & SEGMENT_KEY_RESENT)
        old = find_replaced(window, record->key, &origin);
    if (old != NULL)
        old->successor = window->tail + 1;
    r = append(window, record->key, &origin, record->seen_ns);
    if (r < 0)
        return r;
    c = &window->connections[slot_at(window, window->tail - 1)->connection];
    if (record->flags & SEGMENT_KEY_CONFIRMED && record->serial > c->confirmed)
        c->confirmed = record->serial;
    c->ended = c->ended || cold || (record->flags & SEGMENT_KEY_ENDED);
    window->durable = window->sealed = window->tail;
    return 0;
}

int resend_window_load(struct resend_window *window, struct slice keys, bool cold)
{
    for (size_t at = 0; at + sizeof(struct segment_key) <= keys.n;
         at += sizeof(struct segment_key)) {
        struct segment_key record;
        int r;

        memcpy(&record, keys.p + at, sizeof(record));
        r = load_key(window, &record, cold);
        if (r < 0)
            return r;
    }
    return 0;
}

int resend_window_load_confirmations(struct resend_window *window, struct slice confirmations)
{
    struct segment_confirmation record;

    for (size_t at = 0; at + sizeof(record) <= confirmations.n; at += sizeof(record)) {
        struct connection *c;

        memcpy(&record, confirmations.p + at, sizeof(record));
        c = connection_find(window, record.receiver, record.incarnation, record.connection);
        if (c == NULL)
            continue;
        if (record.serial > c->confirmed)
            c->confirmed = record.serial;
        c->ended = c->ended || record.ended;
    }
    return 0;
}
