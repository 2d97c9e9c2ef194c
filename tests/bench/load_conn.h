/*
 * load_conn: one connection of the load generator: it connects, does the handshake, writes chunks,
 * takes acks, and, where asked, connects again and sends what was not acknowledged once more, the
 * same bytes under the same ids, as Fluentd does.
 *
 * A chunk lives in a slot from the moment it is built until its ack comes (without acks: until the
 * kernel took it). There are as many slots as chunks may be in flight.
 *
 *     FREE ──produce──▶ QUEUED ──written──▶ WAITING ──ack──▶ FREE
 *                          ▲─────connection broken──┘
 */
#ifndef TESTS_BENCH_LOAD_CONN_H
#define TESTS_BENCH_LOAD_CONN_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/bench/hist.h"
#include "tests/bench/load_record.h"

struct load_options {
    const char *host;
    const char *port;
    const char *tag;
    const char *shared_key; /* NULL: no handshake */
    const char *report;
    enum load_mode mode;
    unsigned connections;
    unsigned chunk;
    unsigned window; /* 0: no acks */
    uint64_t rate;   /* records per second over all connections; 0: as fast as possible */
    uint64_t records;
    uint64_t seconds;
    uint64_t first_serial;
    uint64_t seed;
    struct load_kind kind;
    unsigned ack_timeout_s;
    unsigned give_up_s;
    bool retry;
};

struct load_stats {
    uint64_t chunks_sent; /* each once */
    uint64_t chunks_acked;
    uint64_t records_sent;
    uint64_t records_acked;
    uint64_t chunks_resent;
    uint64_t reconnects;
    uint64_t broken;
    uint64_t unknown_acks;
    uint64_t bytes; /* resends included */
    uint64_t last_progress_ns;
    struct hist ack;     /* from the chunk's making */
    struct hist ack_due; /* from the time it was due, under --rate */
};

/* What the connections share. */
struct load_run {
    struct load_options options;
    struct load_stats stats;
    struct load_pool *pool;
    struct addrinfo *address;
    int epoll_fd;
    uint32_t run_id;
    uint64_t next_serial;
    uint64_t next_chunk;
    bool producing;
};

struct load_conn;

/* Makes the slots and starts to connect. Returns 0 or -errno. */
int load_conn_new(struct load_run *run, struct load_conn **ret_conn);
void load_conn_free(struct load_conn **conn);

/* Whether a chunk may be produced now. */
bool load_conn_has_room(const struct load_conn *conn);

/* Builds the next chunk and writes as much as the socket takes. For --rate; else it is automatic. */
void load_conn_produce(struct load_conn *conn, uint64_t due_ns);

/* Something happened on its descriptor (epoll's data.ptr is the connection). */
void load_conn_event(struct load_conn *conn, uint32_t events);

/* Now and then: time-outs and reconnecting. */
void load_conn_tick(struct load_conn *conn, uint64_t now_ns);

/* True once nothing is in flight and nothing will be. */
bool load_conn_is_done(const struct load_conn *conn);

/* Writes [first, count], … of the chunks that are not acknowledged; `first` is the first comma. */
void load_conn_write_unacked(const struct load_conn *conn, FILE *out, bool *is_first);

#endif
