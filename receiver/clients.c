#include "receiver/clients.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "receiver/connection.h"
#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"

#define LISTENERS_MAX 16u
#define EVENTS_PER_TURN 256
#define ACCEPTS_PER_TURN 64u
/* Verdicts per settle; an ack is a system call. */
#define VERDICTS_PER_TURN 1024u
/* Waiters for memory that are looked at in one go. */
#define WAKES_PER_TURN 64u

/* How long after a lack of descriptors the next accept is tried. */
#define ACCEPT_DELAY_NS (100 * NS_PER_MS)
/* How long a peer may take to end after we have shut our side. */
#define HALF_CLOSED_NS (1 * NS_PER_S)
#define LINGER_NS (2 * NS_PER_S)
/* How long acks are waited for and kept for a peer that has ended its side. */
#define ANSWERING_NS (300 * NS_PER_S)
/* Rings and memory that were not used for so long are given back. */
#define IDLE_NS (1 * NS_PER_S)
/* The part of the shared memory that hoarders give back at once. */
#define HOARD_SHARE 4
/* Room beside one message in the largest buffer. */
#define BUFFER_SLACK_BYTES (64u << 10)

#define LISTENER_DATA TABLE_HANDLE_LIMIT

struct clients {
    struct intake intake;
    size_t max_connections;
    uint64_t hoard_ns;
    uint64_t limit_ns[CONNECTION_STATES]; /* how long a connection may be in a state; 0: for ever */
    struct listener listeners[LISTENERS_MAX];
    unsigned listener_count;
    uint64_t accept_again_ns; /* 0: accepting is not put off */
    uint64_t used_ns;         /* bytes came last */
    uint64_t acks_lost;       /* as the producer had it last */
    bool trimmed;
    bool scratch_used;
};

static int prepare(struct clients *clients, const struct clients_setup *setup)
{
    struct intake *intake = &clients->intake;
    size_t largest = setup->max_chunk + BUFFER_SLACK_BYTES;

    intake->table = table_new();
    intake->peers = peers_new();
    intake->pool = pool_new(largest, setup->memory / 8);
    intake->scratch = mmap(NULL, CONNECTION_READ_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (intake->scratch == MAP_FAILED)
        intake->scratch = NULL;
    if (!intake->table || !intake->peers || !intake->pool || !intake->scratch)
        return -ENOMEM;
    intake->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (intake->epoll < 0)
        return -errno;
    budget_init(&intake->budget, setup->memory, largest + BUFFER_SLACK_BYTES);
    return 0;
}

int clients_new(const struct clients_setup *setup, struct clients **ret_clients, struct err *err)
{
    struct clients *clients = calloc(1, sizeof(*clients));
    struct intake *intake;
    int r;

    if (!clients)
        return err_errno(err, ENOMEM, "cannot prepare for clients");
    clients->max_connections = setup->max_connections;
    clients->hoard_ns = setup->hoard_ns;
    clients->limit_ns[CONNECTION_GREETED] = setup->handshake_ns;
    clients->limit_ns[CONNECTION_READY] = setup->idle_ns;
    clients->limit_ns[CONNECTION_ANSWERING] = ANSWERING_NS;
    clients->limit_ns[CONNECTION_HALF_CLOSED] = HALF_CLOSED_NS;
    clients->limit_ns[CONNECTION_LINGERING] = LINGER_NS;
    intake = &clients->intake;
    intake->producer = setup->producer;
    intake->status = setup->status;
    intake->server_host = setup->server_host;
    intake->access = setup->access;
    intake->max_chunk = setup->max_chunk;
    intake->idle_ns = setup->idle_ns;
    intake->epoll = -1;
    for (unsigned i = 0; i < CONNECTION_STATES; i++)
        list_init(&intake->states[i]);
    for (unsigned i = 0; i < PRODUCER_LANES; i++)
        list_init(&intake->ring_waiters[i]);
    list_init(&intake->memory_waiters);
    r = prepare(clients, setup);
    if (r < 0) {
        clients_free(&clients);
        return err_errno(err, -r, "cannot prepare for clients");
    }
    clients_begin(clients);
    *ret_clients = clients;
    return 0;
}

void clients_set_access(struct clients *clients, const struct access *access)
{
    clients->intake.access = access;
}

static void bury_dead(struct clients *clients)
{
    struct list *dead = &clients->intake.states[CONNECTION_CLOSED];

    while (!list_is_empty(dead))
        connection_bury(connection_of_state(list_first(dead)));
}

void clients_close_all(struct clients *clients)
{
    for (unsigned state = 0; state < CONNECTION_CLOSED; state++) {
        struct list *list = &clients->intake.states[state];

        while (!list_is_empty(list))
            connection_close(connection_of_state(list_first(list)));
    }
    producer_publish(clients->intake.producer);
    bury_dead(clients);
}

void clients_free(struct clients **clients)
{
    struct clients *c = *clients;

    if (!c)
        return;
    clients_close_all(c);
    pool_free(&c->intake.pool);
    peers_free(&c->intake.peers);
    table_free(&c->intake.table);
    if (c->intake.scratch)
        munmap(c->intake.scratch, CONNECTION_READ_BYTES);
    fd_close(&c->intake.epoll);
    free(c);
    *clients = NULL;
}

int clients_fd(const struct clients *clients)
{
    return clients->intake.epoll;
}

/* ---- accepting ---- */

static bool may_accept(const struct clients *clients)
{
    return !clients->intake.draining && clients->accept_again_ns == 0 &&
           table_count(clients->intake.table) < clients->max_connections;
}

static void watch_listeners(struct clients *clients)
{
    bool on = may_accept(clients);

    for (unsigned i = 0; i < clients->listener_count; i++) {
        int r =
            listener_watch(&clients->listeners[i], clients->intake.epoll, LISTENER_DATA | i, on);

        if (r < 0)
            log_error("cannot watch a listening socket: %s", strerror(-r));
    }
}

int clients_listen(struct clients *clients, int fd, struct err *err)
{
    if (clients->listener_count == LISTENERS_MAX)
        return err_set(err, E2BIG, "more than %u listening sockets", LISTENERS_MAX);
    listener_init(&clients->listeners[clients->listener_count++], fd);
    watch_listeners(clients);
    return 0;
}

static void on_accept_failure(struct clients *clients, int error)
{
    static struct log_limit limit;
    uint64_t now_ns = clients->intake.now_ns;

    if (error == EAGAIN)
        return;
    clients->accept_again_ns = now_ns + ACCEPT_DELAY_NS;
    if (log_limit_pass(&limit, now_ns, 10 * NS_PER_S))
        log_error("cannot accept clients: %s; they wait%s", strerror(error),
                  error == EMFILE ? " (raise LimitNOFILE)" : "");
}

static void on_listener(struct clients *clients, const struct listener *listener)
{
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && may_accept(clients); i++) {
        struct sockaddr_storage address = {0};
        int fd = listener_accept(listener, &address);
        int r;

        if (fd < 0) {
            on_accept_failure(clients, -fd);
            break;
        }
        r = connection_open(&clients->intake, fd, &address);
        if (r == -ENOMEM)
            on_accept_failure(clients, ENOMEM);
    }
    watch_listeners(clients);
}

/* ---- a turn ---- */

void clients_begin(struct clients *clients)
{
    clients->intake.now_ns = clock_monotonic_ns();
    clients->intake.real_ns = clock_realtime_ns();
}

int clients_dispatch(struct clients *clients)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(clients->intake.epoll, events, EVENTS_PER_TURN, 0);

    for (int i = 0; i < n; i++) {
        uint64_t data = events[i].data.u64;
        struct connection *c;

        if (data >= LISTENER_DATA) {
            on_listener(clients, &clients->listeners[data & ~LISTENER_DATA]);
            continue;
        }
        c = table_find(clients->intake.table, data);
        if (c)
            connection_event(c, events[i].events);
    }
    if (n > 0) {
        clients->used_ns = clients->intake.now_ns;
        clients->trimmed = false;
    }
    return n;
}

static void take_verdicts(struct clients *clients)
{
    struct intake *intake = &clients->intake;
    struct producer_verdict verdict;
    uint64_t lost;

    for (unsigned i = 0; i < VERDICTS_PER_TURN; i++) {
        struct connection *c;

        if (!producer_next(intake->producer, &verdict))
            break;
        c = table_find(intake->table, verdict.owner.handle);
        if (c)
            connection_answer(c, &verdict);
        else
            status_add(intake->status, METRIC_ACKS_UNSENT, 1);
    }
    lost = producer_lost(intake->producer);
    if (lost != clients->acks_lost) {
        log_error("verdicts of a processor are missing: %llu; their clients are not answered",
                  (unsigned long long)(lost - clients->acks_lost));
        status_add(intake->status, METRIC_ACKS_UNSENT, lost - clients->acks_lost);
        clients->acks_lost = lost;
    }
}

static void serve_ring_waiters(struct clients *clients)
{
    struct intake *intake = &clients->intake;

    for (unsigned lane = 0; lane < producer_lanes(intake->producer); lane++) {
        struct list *waiters = &intake->ring_waiters[lane];

        /* Also where who waited is gone: or room that nobody wants would keep us awake. */
        producer_retry(intake->producer, lane);
        while (!list_is_empty(waiters) &&
               connection_retry(connection_of_wait(list_first(waiters)), lane))
            ;
    }
}

/* Each asks again itself; who still gets none is at the end of the queue then. */
static void serve_memory_waiters(struct clients *clients)
{
    struct intake *intake = &clients->intake;

    if (!intake->memory_came)
        return;
    intake->memory_came = false;
    for (unsigned i = 0; i < WAKES_PER_TURN && !list_is_empty(&intake->memory_waiters); i++)
        connection_wake_for_memory(connection_of_wait(list_first(&intake->memory_waiters)));
}

static void show(const struct clients *clients)
{
    const struct intake *intake = &clients->intake;
    size_t memory = intake->budget.used + intake->outbox_bytes + producer_bytes(intake->producer);

    status_set(intake->status, METRIC_CONNECTIONS_OPEN, table_count(intake->table));
    status_set(intake->status, METRIC_CONNECTIONS_PAUSED, intake->paused);
    status_set(intake->status, METRIC_RECEIVER_MEMORY_BYTES, memory);
}

void clients_settle(struct clients *clients)
{
    struct intake *intake = &clients->intake;
    bool closed;

    status_alive(intake->status);
    producer_publish(intake->producer);
    take_verdicts(clients);
    serve_ring_waiters(clients);
    serve_memory_waiters(clients);
    producer_publish(intake->producer);
    closed = !list_is_empty(&intake->states[CONNECTION_CLOSED]);
    bury_dead(clients);
    if (closed)
        watch_listeners(clients);
    show(clients);
}

/* ---- time ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The list is in the order of time, so only its front is looked at. */
static uint64_t tick_state(struct clients *clients, enum connection_state state)
{
    struct list *list = &clients->intake.states[state];
    uint64_t limit_ns = clients->limit_ns[state];
    uint64_t now_ns = clients->intake.now_ns;

    /* As many as there can be: who stays in the state goes to the end. */
    for (size_t i = table_count(clients->intake.table); limit_ns > 0 && i > 0; i--) {
        struct list_link *first = list_first(list);
        struct connection *c;

        if (!first)
            return 0;
        c = connection_of_state(first);
        if (connection_since_ns(c) + limit_ns > now_ns)
            return connection_since_ns(c) + limit_ns;
        connection_time_out(c);
    }
    return 0;
}

/* Bytes that it holds of a message that has not gone on for hoard_ns. */
static size_t hoarded(const struct clients *clients, const struct connection *c)
{
    uint64_t silent_since_ns;
    size_t bytes = connection_hoard(c, &silent_since_ns);

    return silent_since_ns + clients->hoard_ns <= clients->intake.now_ns ? bytes : 0;
}

static size_t most_hoarded(struct clients *clients)
{
    size_t most = 0;

    for (unsigned state = 0; state < CONNECTION_CLOSED; state++) {
        struct list *list = &clients->intake.states[state];

        for (struct list_link *link = list_first(list); link; link = list_next(list, link)) {
            size_t bytes = hoarded(clients, connection_of_state(link));

            if (bytes > most)
                most = bytes;
        }
    }
    return most;
}

/*
 * While others wait for memory, the largest silent half-received messages make room: not one at a
 * time, because what one gives back goes to the next of as many such clients that wait.
 */
static uint64_t tick_hoarders(struct clients *clients)
{
    struct intake *intake = &clients->intake;
    size_t most, freed = 0;

    if (list_is_empty(&intake->memory_waiters))
        return 0;
    most = most_hoarded(clients);
    for (unsigned state = 0; state < CONNECTION_CLOSED && most > 0; state++) {
        struct list_link *link = list_first(&intake->states[state]);

        while (link && freed < intake->budget.shared / HOARD_SHARE) {
            struct connection *c = connection_of_state(link);
            size_t bytes = hoarded(clients, c);

            link = list_next(&intake->states[state], link);
            if (bytes < most / 2 + 1)
                continue;
            connection_evict(c);
            freed += bytes;
        }
    }
    return intake->now_ns + (clients->hoard_ns < NS_PER_S ? clients->hoard_ns : NS_PER_S);
}

/* Memory that a burst left behind. */
static uint64_t tick_idle(struct clients *clients)
{
    struct intake *intake = &clients->intake;
    uint64_t next_ns = producer_idle(intake->producer, intake->now_ns, IDLE_NS);

    if (clients->trimmed)
        return next_ns;
    if (clients->used_ns + IDLE_NS > intake->now_ns)
        return sooner(next_ns, clients->used_ns + IDLE_NS);
    pool_trim(intake->pool);
    madvise(intake->scratch, CONNECTION_READ_BYTES, MADV_DONTNEED);
    malloc_trim(0);
    clients->trimmed = true;
    return next_ns;
}

uint64_t clients_tick(struct clients *clients)
{
    struct intake *intake = &clients->intake;
    uint64_t next_ns = 0;

    for (unsigned state = 0; state < CONNECTION_CLOSED; state++)
        next_ns = sooner(next_ns, tick_state(clients, (enum connection_state)state));
    next_ns = sooner(next_ns, tick_hoarders(clients));
    next_ns = sooner(next_ns, tick_idle(clients));
    if (clients->accept_again_ns != 0 && clients->accept_again_ns <= intake->now_ns) {
        clients->accept_again_ns = 0;
        watch_listeners(clients);
    }
    return sooner(next_ns, clients->accept_again_ns);
}

/* ---- drain ---- */

void clients_drain(struct clients *clients)
{
    struct intake *intake = &clients->intake;

    intake->draining = true;
    watch_listeners(clients);
    for (unsigned state = 0; state < CONNECTION_CLOSED; state++) {
        struct list_link *link = list_first(&intake->states[state]);

        while (link) {
            struct list_link *next = list_next(&intake->states[state], link);

            connection_drain(connection_of_state(link));
            link = next;
        }
    }
}

bool clients_are_gone(const struct clients *clients)
{
    return table_count(clients->intake.table) == 0 &&
           producer_ends_waiting(clients->intake.producer) == 0;
}
