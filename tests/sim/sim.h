/*
 * sim: the whole pipeline in one process, under one seed: clients, receivers, processors, the
 * journal on simulated disks, a shipper and a server; with deaths, power cuts, broken connections
 * and failing disks in an order that the seed decides. The oracle then says what must be true.
 *
 *     clients ── connections ──▶ receivers ══ rings ══▶ lanes ──▶ disks ──▶ shipper ──▶ server
 *     (sim_clients.c)            (sim_receiver.c)       (sim_processor.c)   (sim_shipper.c)
 *                                                                                 │
 *     (sim_oracle.c) what was sent, acknowledged, stored, delivered ◀─────────────┘
 *
 * Real: producer, pending, ring, lane page, lane, commit job, converter, writer, recovery, reader,
 * resend window, cursor, source, retention, retry. Modelled: sockets, the event loops, the sync
 * thread (sim_committer.c), the supervisor, the HTTP client.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "processor/lane.h"
#include "receiver/producer.h"
#include "shared/base/clock.h"
#include "shared/ipc/lane_page.h"
#include "shared/ipc/ring.h"
#include "shared/ipc/status_page.h"
#include "shared/otlp/frame_codec.h"
#include "shipper/parcel.h"
#include "shipper/retention.h"
#include "shipper/retry.h"
#include "shipper/source.h"
#include "tests/sim/sim_disk.h"

#define SIM_LANES 2u
#define SIM_RECEIVERS 2u
#define SIM_CLIENTS 6u
#define SIM_CONNECTIONS 64u
#define SIM_PIPE 16u /* messages under way in a connection, each way */
#define SIM_REQUESTS 4u
#define SIM_NONE UINT32_MAX

/* What may happen in this run: chances in 100,000 per step, but for the first ones. */
struct sim_plan {
    unsigned lanes, receivers, clients;
    unsigned chunks; /* new ones that the clients send in all */
    unsigned steps;
    uint64_t segment_bytes, ring_bytes, interval_ns;
    uint64_t down_ns; /* the longest that a dead processor stays away */
    uint32_t window_keys;
    enum frame_codec_id codec;
    bool change_lanes; /* at cold starts */
    unsigned kill_processor, kill_receiver, kill_shipper, cold_start, power_cut;
    unsigned break_connection, disk_faults, disk_full, bad_server;
};

/* Deliberate faults of ours, to see that the oracle sees them. */
enum sim_broken {
    SIM_SOUND,
    SIM_EARLY_VERDICTS, /* verdicts before the sync */
    SIM_LYING_DISK,     /* syncs that make nothing durable */
    SIM_EARLY_CURSOR,   /* the cursor moves when a request is sent */
    SIM_DEAF_WINDOW,    /* ends of connections never reach the rings */
    SIM_BROKEN_KINDS,
};

/* ---- what is sent ---- */

/* Chunks with equal bytes: usually one, sometimes sent again on purpose. */
struct sim_group {
    struct buf payload;
    char tag[16];
    uint8_t id[24];
    uint8_t id_bytes;
    uint8_t carrier;
    uint64_t first_serial;
    uint32_t records;
    uint32_t instances;
    uint32_t permits; /* copies more than instances that events allow */
    bool ambiguous;   /* an equal chunk may have been taken for a resend */
    bool bad;         /* cannot be decoded: goes to quarantine */
};

/* A chunk as its client sees it. */
struct sim_instance {
    uint32_t group, client;
    bool wants_ack, acked;
    bool published; /* in a ring, visible */
    bool forgiven;  /* without ack, and its ring has gone */
    uint32_t last;  /* the send that came into a ring last; SIM_NONE: none */
};

/* One try to send it. */
struct sim_send {
    uint32_t instance, connection;
    uint64_t connection_id; /* of the connection then: slots are used again */
    uint64_t serial;
    unsigned lane, receiver;
    bool put, confirmed, ended;
    bool published, died; /* visible; or its receiver died before */
};

struct sim_connection {
    bool used;
    uint64_t id; /* unique in the run */
    uint32_t client;
    unsigned receiver;
    uint64_t number, serial;                             /* as the receiver counts */
    uint32_t to_receiver[SIM_PIPE], to_client[SIM_PIPE]; /* sends */
    unsigned to_receiver_count, to_client_count;
    bool client_gone, client_reset; /* closed by the client; by a reset */
    bool receiver_gone;
    /* the receiver's side */
    uint64_t acked[SIM_LANES], confirmed[SIM_LANES];
    bool ack_news, waits;
    unsigned wait_lane;
    unsigned lanes_used; /* mask */
    uint32_t owed;
};

struct sim_client {
    enum { CLIENT_SEQUENTIAL, CLIENT_PIPELINED, CLIENT_WITHOUT_ACK } kind;
    uint32_t connection;            /* SIM_NONE: none */
    uint32_t outstanding[SIM_PIPE]; /* instances sent on the connection and not acknowledged */
    unsigned outstanding_count;
    uint32_t again[SIM_PIPE]; /* instances to be sent again, first */
    unsigned again_count;
    uint32_t previous; /* the group sent last, for equal chunks; SIM_NONE */
    uint64_t since_ns; /* of the last progress */
    uint64_t timeout_ns;
};

/* ---- processes ---- */

struct sim_receiver {
    bool alive, again;
    uint64_t restart_ns;
    int bell;
    struct producer *producer;
    uint64_t next_number;
};

struct sim_processor {
    bool alive, again;
    uint64_t restart_ns, wake_ns; /* 0: no timer */
    int bell, done_bell;
    struct sim_process process;
    struct disk *disk, *quarantine, *cursors;
    struct ring *rings[SIM_RECEIVERS];
    struct lane_page *page;
    struct lane *lane;
    struct status_slot status;
};

struct sim_request {
    enum { REQUEST_FREE, REQUEST_SENT, REQUEST_WAITS } state;
    struct parcel parcel;
    uint32_t first; /* frames before it are done */
    uint32_t end;   /* of the run that is sent now */
    bool delivered; /* the run is with the server */
    uint64_t sent_ns, done_ns;
    enum { ANSWER_OK, ANSWER_503, ANSWER_LOST, ANSWER_UNREACHABLE } answer;
};

struct sim_shipper {
    bool alive, again;
    uint64_t restart_ns, sync_ns;
    int bell;
    struct sim_process process;
    struct disk *lanes[SIM_LANES], *cursors;
    struct lane_page *pages[SIM_LANES];
    struct source_lane shared[SIM_LANES];
    struct source *source;
    struct retention *retention;
    struct retry retry;
    struct sim_request requests[SIM_REQUESTS];
    bool unwritten; /* a cursor could not be written: its death forgets more */
    struct cursor_position durable[SIM_LANES]; /* as the last sync left it; survives the shipper */
};

/* ---- the oracle's books ---- */

struct sim_frame {
    unsigned lane;
    struct cursor_position end; /* names it */
    uint64_t hash;              /* of its content */
    uint32_t records, receipts, permits;
};

struct sim_counts {
    uint64_t steps, chunks, sends, resends, acks, breaks, receiver_kills, processor_kills;
    uint64_t shipper_kills, cold_starts, power_cuts, disk_faults, disk_fulls, requests, frames;
    uint64_t records, duplicates, permitted, commits, recoveries, crashes_in_disk, segments_removed;
    uint64_t quarantined, leftovers;
};

struct sim {
    struct sim_random random;
    struct sim_plan plan;
    enum sim_broken broken;
    bool verbose;
    bool calm; /* no more faults, no more new chunks */
    uint64_t seed;
    uint64_t now_ns;
    unsigned lanes; /* that have a processor; the others of plan.lanes are leftovers */
    struct sim_machine machine;
    struct disk *lane_disks[SIM_LANES], *quarantine, *cursors; /* the folders; nobody's view */
    int ring_fds[SIM_RECEIVERS][SIM_LANES];
    int page_fds[SIM_LANES], page_readonly_fds[SIM_LANES];
    uint64_t incarnation;
    struct sim_receiver receivers[SIM_RECEIVERS];
    struct sim_processor processors[SIM_LANES];
    struct sim_shipper shipper;
    struct sim_client clients[SIM_CLIENTS];
    struct sim_connection connections[SIM_CONNECTIONS];
    uint64_t next_connection_id;

    struct sim_group *groups;
    struct sim_instance *instances;
    struct sim_send *sends;
    struct sim_frame *frames;
    uint32_t group_count, instance_count, send_count, frame_count;
    uint64_t next_serial;
    uint32_t *copies; /* per record serial: distinct frames that hold it and were delivered */
    struct frame_codec *codec;
    struct sim_counts counts;
    char failure[512]; /* the first thing that was wrong; "" nothing */
};

/* sim_trace.c: the run's protocol, where it is wanted; and its verdict. */
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_failed(const struct sim *sim);
/* True in so many of 100,000 cases, and never when it is calm. */
bool sim_event(struct sim *sim, unsigned chance);
bool sim_bell(int fd); /* it rings */
void *sim_grow(void *array, uint32_t count, size_t size);

/* sim_clock.c */
void sim_clock_set(uint64_t now_ns);

/* sim_clients.c */
void sim_clients_init(struct sim *sim);
void sim_client_step(struct sim *sim, uint32_t client);
bool sim_client_ready(const struct sim *sim, uint32_t client);
uint64_t sim_client_wake_ns(const struct sim *sim, uint32_t client);
bool sim_clients_done(const struct sim *sim);
/* The connection breaks (reset): what is under way is lost, but for a random beginning. */
void sim_connection_break(struct sim *sim, uint32_t connection);
void sim_connection_release(struct sim *sim, uint32_t connection);

/* sim_receiver.c */
void sim_receiver_start(struct sim *sim, unsigned receiver);
void sim_receiver_kill(struct sim *sim, unsigned receiver);
bool sim_receiver_ready(const struct sim *sim, unsigned receiver);
void sim_receiver_turn(struct sim *sim, unsigned receiver);

/* sim_processor.c */
void sim_processor_start(struct sim *sim, unsigned lane);
void sim_processor_kill(struct sim *sim, unsigned lane);
bool sim_processor_ready(const struct sim *sim, unsigned lane);
void sim_processor_turn(struct sim *sim, unsigned lane);
bool sim_processor_has_job(const struct sim *sim, unsigned lane);
void sim_processor_commit_step(struct sim *sim, unsigned lane);

/* sim_committer.c: processor/committer.h in steps. */
struct committer;
struct committer *sim_committer_of(const struct lane_page *page);
bool sim_committer_busy(const struct committer *committer);
void sim_committer_step(struct committer *committer, bool early);

/* sim_shipper.c */
void sim_shipper_start(struct sim *sim);
void sim_shipper_kill(struct sim *sim);
bool sim_shipper_ready(const struct sim *sim);
uint64_t sim_shipper_wake_ns(const struct sim *sim);
void sim_shipper_step(struct sim *sim);
bool sim_shipper_done(struct sim *sim);

/* sim_oracle.c */
uint32_t sim_group_new(struct sim *sim, struct sim_client *client);
/* The server has frame `index` of the parcel. */
void sim_oracle_delivered(struct sim *sim, const struct parcel *parcel, uint32_t index);
/* These frames of the parcel may come once more. */
void sim_oracle_permit(struct sim *sim, const struct parcel *parcel, uint32_t first, uint32_t end);
/* All delivered frames of the lane from `from` on may come once more. */
void sim_oracle_permit_from(struct sim *sim, unsigned lane, struct cursor_position from);
/* A send of the instance comes into a ring. */
void sim_oracle_put(struct sim *sim, uint32_t send);
/* A connection ends: what of it cannot be known any more. */
enum sim_end { SIM_END_CLEAN, SIM_END_BROKEN, SIM_END_RECEIVER_DIED };
void sim_oracle_ended(struct sim *sim, const struct sim_connection *connection, enum sim_end how);
/* Rings and acks under way are gone. */
void sim_oracle_cold(struct sim *sim);
void sim_oracle_check(struct sim *sim);
/* After all processes have gone. */
void sim_oracle_autopsy(struct sim *sim);

#endif
