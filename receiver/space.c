#include "receiver/space.h"

#include <errno.h>

/* A client that has sent no PING yet gets no more than this of our memory. */
#define GREETED_READ_BYTES (16u << 10)
/* The least that a read is made for while memory is short. */
#define LEAST_READ_BYTES 4096u
/* From this size of message on a connection reads into a buffer of its own at once. */
#define LARGE_BYTES (128u << 10)
/* A read that completes a message takes so much more, for the option behind the payload. */
#define TAIL_BYTES 4096u
/* Up to so much is moved to the front of the buffer at once; more waits until room is short. */
#define MOVE_BYTES (16u << 10)

static bool is_finisher(const struct connection *c)
{
    return c->intake->finisher == c;
}

static bool begin_finish(struct connection *c)
{
    struct intake *intake = c->intake;

    if (is_finisher(c))
        return true;
    if (intake->finisher)
        return false;
    intake->finisher = c;
    budget_begin_finish(&intake->budget, c->buffer.bytes);
    return true;
}

void space_end_finish(struct connection *c)
{
    struct intake *intake = c->intake;

    if (!is_finisher(c))
        return;
    intake->finisher = NULL;
    budget_end_finish(&intake->budget);
    intake->memory_came = true;
}

/*
 * The finisher has finished a message. What it holds of the next one passes to the shared part; it
 * stays the finisher where that has no room, or the budget would be passed bit by bit.
 */
static void end_finish_if_it_fits(struct connection *c)
{
    if (is_finisher(c) && budget_may_end_finish(&c->intake->budget))
        space_end_finish(c);
}

static bool has(const struct connection *c, size_t bytes)
{
    return budget_has(&c->intake->budget, &c->peer->share, bytes);
}

static void book(struct connection *c, size_t bytes)
{
    budget_take(&c->intake->budget, &c->peer->share, bytes, is_finisher(c));
}

static int take(struct connection *c, size_t bytes)
{
    if (pool_take(c->intake->pool, bytes, &c->buffer) < 0)
        return -ENOMEM;
    book(c, c->buffer.bytes);
    c->head = 0;
    c->tail = 0;
    return 0;
}

void space_release(struct connection *c)
{
    size_t bytes = c->buffer.bytes;

    if (!c->buffer.p)
        return;
    pool_give(c->intake->pool, &c->buffer);
    budget_give(&c->intake->budget, &c->peer->share, bytes, is_finisher(c));
    c->intake->memory_came = true;
    c->head = 0;
    c->tail = 0;
}

void space_unused(struct connection *c)
{
    if (c->head == c->tail)
        space_release(c);
}

static void move_to_front(struct connection *c)
{
    if (c->head == 0)
        return;
    memmove(c->buffer.p, c->buffer.p + c->head, c->tail - c->head);
    c->tail -= c->head;
    c->head = 0;
}

/* To the class of `bytes`, where the budget has it. */
static bool grow_to(struct connection *c, size_t bytes)
{
    struct intake *intake = c->intake;
    size_t before = c->buffer.bytes;
    size_t class = pool_class(intake->pool, bytes);

    if (class <= before || (!is_finisher(c) && !has(c, class - before)))
        return false;
    if (pool_grow(intake->pool, &c->buffer, c->tail, bytes) < 0)
        return false;
    book(c, c->buffer.bytes - before);
    return true;
}

/* By the size of the last message, or else to the next class. */
static bool grow(struct connection *c)
{
    return grow_to(c, c->size_hint + TAIL_BYTES) || grow_to(c, c->buffer.bytes + 1);
}

/* How much to read at most: not far beyond a large message, so that little has to be moved. */
static size_t read_bytes(const struct connection *c, size_t room)
{
    size_t have = c->tail - c->head;
    size_t need = c->json ? 0 : forward_frame_need(&c->frame.msgpack);
    size_t n = room < CONNECTION_READ_BYTES ? room : CONNECTION_READ_BYTES;

    if (need > have + MOVE_BYTES && need - have + TAIL_BYTES < n)
        n = need - have + TAIL_BYTES;
    return n;
}

static bool find_own(struct connection *c, struct space *ret)
{
    if (c->buffer.bytes - c->tail < c->buffer.bytes / 4)
        move_to_front(c);
    if (c->buffer.bytes - c->tail < c->buffer.bytes / 4)
        grow(c);
    if (c->buffer.bytes == c->tail && !(begin_finish(c) && grow(c)))
        return false;
    ret->p = c->buffer.p + c->tail;
    ret->n = read_bytes(c, c->buffer.bytes - c->tail);
    ret->own = true;
    return true;
}

/* The scratch buffer, for as much as could be kept afterwards. */
static bool find_scratch(struct connection *c, struct space *ret)
{
    size_t most = c->state == CONNECTION_GREETED ? GREETED_READ_BYTES : CONNECTION_READ_BYTES;
    size_t n = most;

    while (n >= LEAST_READ_BYTES && !has(c, n))
        n /= 2;
    if (n < LEAST_READ_BYTES) {
        if (!begin_finish(c))
            return false;
        n = most;
    }
    *ret = (struct space){.p = c->intake->scratch, .n = n};
    return true;
}

bool space_find(struct connection *c, struct space *ret)
{
    struct intake *intake = c->intake;

    if (c->state == CONNECTION_LINGERING) {
        *ret = (struct space){.p = intake->scratch, .n = CONNECTION_READ_BYTES};
        return true;
    }
    /* Where there is none the scratch buffer does as well. */
    if (!c->buffer.p && c->size_hint >= LARGE_BYTES &&
        has(c, pool_class(intake->pool, c->size_hint + TAIL_BYTES)))
        (void)take(c, c->size_hint + TAIL_BYTES);
    return c->buffer.p ? find_own(c, ret) : find_scratch(c, ret);
}

int space_keep(struct connection *c, struct slice bytes, bool progress)
{
    if (take(c, bytes.n) < 0)
        return -ENOMEM;
    memcpy(c->buffer.p, bytes.p, bytes.n);
    c->tail = bytes.n;
    if (progress)
        end_finish_if_it_fits(c);
    return 0;
}

/* Moves what is left into a smaller buffer, where one does. */
static void shrink(struct connection *c)
{
    struct pool_buffer large = c->buffer;
    size_t head = c->head, left = c->tail - c->head;

    if (pool_class(c->intake->pool, left) > large.bytes / 4)
        return;
    c->buffer = (struct pool_buffer){0};
    if (take(c, left) < 0) {
        c->buffer = large;
        return;
    }
    memcpy(c->buffer.p, large.p + head, left);
    c->tail = left;
    budget_give(&c->intake->budget, &c->peer->share, large.bytes, is_finisher(c));
    pool_give(c->intake->pool, &large);
}

void space_consumed(struct connection *c, size_t done)
{
    c->head += done;
    if (c->head == c->tail) {
        space_release(c);
    } else if (is_finisher(c) && done > 0) {
        shrink(c);
    } else if (done > 0 && c->tail - c->head <= MOVE_BYTES) {
        move_to_front(c);
    }
    if (done > 0)
        end_finish_if_it_fits(c);
}
