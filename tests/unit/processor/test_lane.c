/* lane: what is published when, what a successor does, and what a lane waits for. */
#include "processor/lane.h"

#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/base/log.h"
#include "shared/journal/reader.h"
#include "tests/sim/sim.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RINGS 2u
#define RING_BYTES (256u << 10)

struct rig {
    struct sim_random random;
    struct sim_machine machine;
    struct disk *disk, *quarantine;
    int page_fd, page_readonly_fd, ring_fds[RINGS];
    struct lane_page *page;
    struct ring *producers[RINGS], *rings[RINGS];
    struct status_slot status;
    struct lane *lane;
    struct lane_recovered recovered;
    uint64_t now_ns, interval_ns;
    uint64_t serials[64]; /* by connection */
    int done_bell;
};

static void pass(struct rig *rig, uint64_t ns)
{
    rig->now_ns += ns;
    sim_clock_set(rig->now_ns);
}

static void start(struct rig *rig)
{
    struct lane_config config = {
        .disk = rig->disk,
        .quarantine = rig->quarantine,
        .ring_count = RINGS,
        .receiver_bells = {-1, -1},
        .done_bell = rig->done_bell,
        .shipper_bell = -1,
        .status = &rig->status,
        .convert = {.service_name = "test", .max_decompressed = 1u << 20},
        .codec = FRAME_NONE,
        .segment_bytes = 64u << 10,
        .linger_ns = 2 * NS_PER_MS,
        .interval_ns = rig->interval_ns,
        .window_keys = 64,
        .window_ns = 600 * NS_PER_S,
    };
    struct err err = {0};

    assert_int_equal(lane_page_open(rig->page_fd, true, &rig->page, NULL), 0);
    config.page = rig->page;
    for (unsigned i = 0; i < RINGS; i++) {
        assert_int_equal(ring_open(rig->ring_fds[i], &rig->rings[i], NULL), 0);
        config.rings[i] = rig->rings[i];
    }
    assert_int_equal(lane_new(&config, &rig->lane, &rig->recovered, &err), 0);
    assert_int_equal(lane_start(rig->lane, &err), 0);
}

static void stop(struct rig *rig)
{
    lane_free(&rig->lane);
    for (unsigned i = 0; i < RINGS; i++)
        ring_close(&rig->rings[i]);
    lane_page_close(&rig->page);
}

static void make_memory(struct rig *rig)
{
    assert_int_equal(lane_page_create(0, &rig->page_fd, &rig->page_readonly_fd, NULL), 0);
    for (unsigned i = 0; i < RINGS; i++) {
        assert_int_equal(ring_create(i, 0, RING_BYTES, &rig->ring_fds[i], NULL), 0);
        assert_int_equal(ring_open(rig->ring_fds[i], &rig->producers[i], NULL), 0);
        ring_producer_attach(rig->producers[i], 1);
    }
}

static void drop_memory(struct rig *rig)
{
    fd_close(&rig->page_fd);
    fd_close(&rig->page_readonly_fd);
    for (unsigned i = 0; i < RINGS; i++) {
        ring_close(&rig->producers[i]);
        fd_close(&rig->ring_fds[i]);
    }
}

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    log_set_level(LOG_PANIC);
    sim_random_seed(&rig->random, 1);
    rig->machine.random = &rig->random;
    rig->machine.fail_with = EIO;
    rig->disk = sim_disk_new(&rig->machine);
    rig->quarantine = sim_disk_new(&rig->machine);
    rig->done_bell = fd_bell_new();
    pass(rig, NS_PER_S);
    make_memory(rig);
    start(rig);
}

static void rig_fini(struct rig *rig)
{
    stop(rig);
    drop_memory(rig);
    disk_free(&rig->disk);
    disk_free(&rig->quarantine);
    fd_close(&rig->done_bell);
}

/* ---- the receiver's side ---- */

static void put_entry(struct rig *rig, unsigned ring, struct ring_entry e, const void *payload)
{
    uint8_t *p;

    e.incarnation = 1;
    e.length = (uint32_t)((sizeof(e) + e.payload_bytes + 7) / 8 * 8);
    p = ring_reserve(rig->producers[ring], e.length);
    assert_non_null(p);
    memcpy(p, &e, sizeof(e));
    if (e.payload_bytes > 0)
        memcpy(p + sizeof(e), payload, e.payload_bytes);
    ring_commit(rig->producers[ring], e.length);
    ring_publish(rig->producers[ring]);
}

/* A chunk of one record that says `what`; its key is made of it. */
static void put_chunk(struct rig *rig, unsigned ring, uint64_t connection, char what)
{
    uint8_t payload[] = {0x92, 0xce, 0x65, 0x53, 0xf1, 0x00, 0x81, 0xa7,         'm',
                         'e',  's',  's',  'a',  'g',  'e',  0xa1, (uint8_t)what};
    struct ring_entry e = {.kind = RING_CHUNK,
                           .carrier = RING_PACKED,
                           .flags = RING_WANTS_ACK,
                           .connection = connection,
                           .serial = ++rig->serials[connection],
                           .key = {(uint8_t)what, 1},
                           .payload_bytes = sizeof(payload)};

    if (what == '!')
        payload[0] = 0xc1; /* never used in msgpack */
    put_entry(rig, ring, e, payload);
}

static void put_end(struct rig *rig, unsigned ring, uint64_t connection)
{
    put_entry(rig, ring, (struct ring_entry){.kind = RING_END, .connection = connection}, NULL);
}

/* Verdicts that have come to a ring; all must be `verdict`. */
static unsigned verdicts(struct rig *rig, unsigned ring, uint32_t verdict)
{
    struct ring_reply reply;
    unsigned count = 0;

    while (ring_reply_next(rig->producers[ring], &reply)) {
        assert_int_equal(reply.verdict, verdict);
        count++;
    }
    return count;
}

/* ---- the loop ---- */

static struct committer *committer(struct rig *rig)
{
    return sim_committer_of(rig->page);
}

/* Turns until the lane waits for something. */
static enum lane_want turn(struct rig *rig, uint64_t *ret_wait_ns)
{
    enum lane_want want;

    do {
        want = lane_turn(rig->lane, rig->now_ns, ret_wait_ns);
    } while (want == LANE_AGAIN);
    return want;
}

/* Turns, commits and waits until nothing is left to do. */
static void settle(struct rig *rig)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t wait_ns = 0;
        enum lane_want want = turn(rig, &wait_ns);

        if (sim_committer_busy(committer(rig)))
            sim_committer_step(committer(rig), false);
        else if (want == LANE_TIMER)
            pass(rig, wait_ns);
        else
            return;
    }
    fail_msg("the lane does not come to rest");
}

/* The journal's records, as the text that put_chunk gave them. */
static void check_journal(struct rig *rig, const char *expected)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    char found[64] = "";
    size_t n = 0;

    assert_int_equal(reader_open(rig->disk, rig->page, &reader, NULL), 0);
    while (reader_next(reader, &frame, NULL) == 1) {
        /* The body: AnyValue { string_value: one byte } */
        for (size_t i = 0; i + 5 <= frame.payload.n; i++) {
            if (memcmp(frame.payload.p + i, "\x2a\x03\x0a\x01", 4) == 0 && n < sizeof(found) - 1)
                found[n++] = (char)frame.payload.p[i + 4];
        }
    }
    reader_close(&reader);
    found[n] = '\0';
    assert_string_equal(found, expected);
}

/* ---- tests ---- */

static void test_order_of_a_commit(void **state)
{
    struct lane_state page;
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    assert_int_equal(turn(&rig, &wait_ns), LANE_SLEEP); /* alone: at once */
    assert_true(sim_committer_busy(committer(&rig)));
    assert_int_equal(rig.machine.syncs, 0);

    sim_committer_step(committer(&rig), false); /* store */
    assert_true(rig.machine.syncs > 0);
    assert_true(lane_page_read(rig.page, &page));
    assert_int_equal(page.next_sequence, 1);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 0);

    sim_committer_step(committer(&rig), false); /* page */
    assert_true(lane_page_read(rig.page, &page));
    assert_int_equal(page.next_sequence, 2);
    assert_true(page.consumer[0] > 0);
    assert_int_equal(page.replies[0], 1);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 0);
    assert_true(ring_used(rig.producers[0]) > 0);

    sim_committer_step(committer(&rig), false); /* rings */
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 1);
    assert_int_equal(ring_used(rig.producers[0]), 0);
    check_journal(&rig, "a");
    rig_fini(&rig);
}

/* The processor dies after each step of a commit: once in the journal, and one verdict. */
static void test_death_after_each_step(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps <= 4; steps++) {
        uint64_t wait_ns = 0;
        unsigned came;
        struct rig rig;

        rig_init(&rig);
        put_chunk(&rig, 0, 1, 'a');
        put_chunk(&rig, 1, 2, 'b');
        turn(&rig, &wait_ns);
        pass(&rig, wait_ns);
        turn(&rig, &wait_ns);
        put_chunk(&rig, 0, 1, 'c');
        turn(&rig, &wait_ns);
        for (unsigned i = 0; i < steps; i++)
            sim_committer_step(committer(&rig), false);
        came = verdicts(&rig, 0, RING_DURABLE) + verdicts(&rig, 1, RING_DURABLE);
        stop(&rig);
        start(&rig);
        assert_true(rig.recovered.warm);
        settle(&rig);
        came += verdicts(&rig, 0, RING_DURABLE) + verdicts(&rig, 1, RING_DURABLE);
        assert_int_equal(came, 3);
        check_journal(&rig, "abc");
        rig_fini(&rig);
    }
}

/* What comes soon after a commit waits for company; what is full does not. */
static void test_linger(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    turn(&rig, &wait_ns);
    for (unsigned i = 0; i < 4; i++)
        sim_committer_step(committer(&rig), false);
    put_chunk(&rig, 0, 1, 'b');
    assert_int_equal(turn(&rig, &wait_ns), LANE_TIMER);
    assert_int_equal(wait_ns, 2 * NS_PER_MS);
    pass(&rig, NS_PER_MS);
    put_chunk(&rig, 0, 1, 'c');
    assert_int_equal(turn(&rig, &wait_ns), LANE_TIMER);
    assert_int_equal(wait_ns, NS_PER_MS);
    pass(&rig, NS_PER_MS);
    assert_int_equal(turn(&rig, &wait_ns), LANE_SLEEP);
    assert_true(sim_committer_busy(committer(&rig)));
    settle(&rig);
    check_journal(&rig, "abc");
    rig_fini(&rig);
}

/* While one batch is under way the next collects, and is handed over as a whole. */
static void test_group_commit(void **state)
{
    uint64_t wait_ns = 0;
    uint64_t syncs;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    turn(&rig, &wait_ns);
    pass(&rig, wait_ns);
    turn(&rig, &wait_ns);
    assert_true(sim_committer_busy(committer(&rig)));
    for (char c = 'b'; c < 'k'; c++) {
        put_chunk(&rig, c % 2, 1u + c % 2, c);
        pass(&rig, 5 * NS_PER_MS);
        turn(&rig, &wait_ns);
    }
    assert_int_equal(rig.machine.syncs, 0);
    for (unsigned i = 0; i < 4; i++)
        sim_committer_step(committer(&rig), false);
    syncs = rig.machine.syncs;
    settle(&rig);
    assert_int_equal(rig.machine.syncs, syncs + 1);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE) + verdicts(&rig, 1, RING_DURABLE), 10);
    rig_fini(&rig);
}

static void test_interval(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig.interval_ns = 200 * NS_PER_MS;
    stop(&rig);
    start(&rig);
    put_chunk(&rig, 0, 1, 'a');
    settle(&rig);
    put_chunk(&rig, 0, 1, 'b');
    assert_int_equal(turn(&rig, &wait_ns), LANE_TIMER);
    assert_true(wait_ns > 100 * NS_PER_MS && wait_ns <= 200 * NS_PER_MS);
    settle(&rig);
    check_journal(&rig, "ab");
    rig_fini(&rig);
}

/* Nothing is promised while the disk fails; it is tried again by itself. */
static void test_failing_disk(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig.machine.fail_per_mille = 1000;
    put_chunk(&rig, 0, 1, 'a');
    turn(&rig, &wait_ns);
    pass(&rig, wait_ns);
    for (unsigned i = 0; i < 5; i++) {
        turn(&rig, &wait_ns);
        assert_true(sim_committer_busy(committer(&rig)));
        sim_committer_step(committer(&rig), false);
        assert_false(sim_committer_busy(committer(&rig)));
        assert_int_equal(turn(&rig, &wait_ns), LANE_TIMER);
        assert_int_equal(status_get(&rig.status, METRIC_JOURNAL_FULL), 1);
        assert_string_not_equal(rig.status.note, "");
        assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 0);
        assert_true(ring_used(rig.producers[0]) > 0);
        put_chunk(&rig, 0, 1, (char)('b' + i));
        pass(&rig, wait_ns);
    }
    rig.machine.fail_per_mille = 0;
    settle(&rig);
    assert_int_equal(status_get(&rig.status, METRIC_JOURNAL_FULL), 0);
    assert_string_equal(rig.status.note, "");
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 6);
    check_journal(&rig, "abcdef");
    rig_fini(&rig);
}

/* A chunk sent again is answered, after what it waits for is durable, and not stored again. */
static void test_resend(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    turn(&rig, &wait_ns);
    pass(&rig, wait_ns);
    turn(&rig, &wait_ns);
    put_end(&rig, 0, 1);
    put_chunk(&rig, 0, 2, 'a'); /* the first one is under way */
    pass(&rig, 5 * NS_PER_MS);
    turn(&rig, &wait_ns);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 0);
    settle(&rig);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 2);
    assert_int_equal(status_get(&rig.status, METRIC_CHUNKS_RESENT), 1);
    check_journal(&rig, "a");
    rig_fini(&rig);
}

/*
 * What was learned from entries whose positions have moved is in the journal: a successor knows the
 * end of a connection, and that a chunk was sent again.
 */
static void test_successor_knows(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    settle(&rig);
    put_end(&rig, 0, 1);
    settle(&rig);
    assert_int_equal(ring_used(rig.producers[0]), 0);
    stop(&rig);
    start(&rig);
    put_chunk(&rig, 0, 2, 'a'); /* again */
    put_end(&rig, 0, 2);
    settle(&rig);
    stop(&rig);
    start(&rig);
    put_chunk(&rig, 0, 3, 'a'); /* and again */
    settle(&rig);
    stop(&rig);
    start(&rig);
    put_chunk(&rig, 0, 3, 'a'); /* an equal one: new */
    settle(&rig);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 4);
    check_journal(&rig, "aa");
    rig_fini(&rig);
}

/* Ends alone are not worth a sync at once, and their positions do not move before they are stored. */
static void test_ends_wait(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    settle(&rig);
    put_end(&rig, 0, 1);
    assert_int_equal(turn(&rig, &wait_ns), LANE_TIMER);
    assert_true(wait_ns > 100 * NS_PER_MS && wait_ns <= NS_PER_S);
    assert_true(ring_used(rig.producers[0]) > 0);
    put_chunk(&rig, 0, 2, 'b'); /* company: now they go together */
    turn(&rig, &wait_ns);
    assert_true(wait_ns <= 2 * NS_PER_MS || sim_committer_busy(committer(&rig)));
    settle(&rig);
    assert_int_equal(ring_used(rig.producers[0]), 0);
    rig_fini(&rig);
}

/* A chunk that cannot be decoded: its bytes are safe before its sender hears of it. */
static void test_quarantine(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, '!');
    turn(&rig, &wait_ns);
    pass(&rig, wait_ns);
    turn(&rig, &wait_ns);
    while (verdicts(&rig, 0, RING_QUARANTINED) == 0)
        sim_committer_step(committer(&rig), false);
    stop(&rig);
    sim_disk_power_cut(rig.disk);
    sim_disk_power_cut(rig.quarantine);
    assert_int_equal(sim_disk_files(rig.quarantine), 1);
    start(&rig);
    put_chunk(&rig, 0, 1, 'a');
    settle(&rig);
    check_journal(&rig, "a");
    rig_fini(&rig);
}

/* Two of one instant, the second after a restart: neither overwrites the other. */
static void test_quarantine_names(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    for (unsigned i = 0; i < 3; i++) {
        put_chunk(&rig, i % 2, 1, '!'); /* all with the receive time 0 */
        settle(&rig);
        stop(&rig);
        start(&rig);
    }
    assert_int_equal(sim_disk_files(rig.quarantine), 3);
    rig_fini(&rig);
}

/* A chunk whose bytes end inside its last entry: that entry is counted, and can be looked at. */
static void test_cut_chunk(void **state)
{
    /* the entry of put_chunk, and a part of another */
    static const char payload[] = "\x92\xce\x65\x53\xf1\0\x81\xa7message\xa1"
                                  "a"
                                  "\x92\xce\x65\x53\xf1\0\x81\xa7"
                                  "mess";
    struct ring_entry e = {.kind = RING_CHUNK,
                           .carrier = RING_PACKED,
                           .flags = RING_WANTS_ACK,
                           .connection = 1,
                           .serial = 1,
                           .key = {1},
                           .payload_bytes = sizeof(payload) - 1};
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_entry(&rig, 0, e, payload);
    settle(&rig);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 1);
    check_journal(&rig, "a");
    assert_int_equal(status_get(&rig.status, METRIC_CHUNKS_COMMITTED), 1);
    assert_int_equal(status_get(&rig.status, METRIC_CHUNKS_QUARANTINED), 0);
    assert_int_equal(status_get(&rig.status, METRIC_RECORDS_INVALID), 1);
    assert_int_equal(sim_disk_files(rig.quarantine), 1);
    rig_fini(&rig);
}

static void test_broken_ring(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_entry(&rig, 0, (struct ring_entry){.kind = RING_CHUNK, .tag_bytes = 5000}, NULL);
    put_chunk(&rig, 1, 1, 'a');
    settle(&rig);
    assert_string_not_equal(rig.status.note, "");
    put_chunk(&rig, 1, 1, 'b');
    settle(&rig);
    assert_int_equal(verdicts(&rig, 1, RING_DURABLE), 2);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 0);
    check_journal(&rig, "ab");
    rig_fini(&rig);
}

/* Puts `count` entries like this and stores them as far as that goes; no verdict is taken. */
static void store_many(struct rig *rig, struct ring_entry e, unsigned count)
{
    uint64_t wait_ns = 0;
    unsigned put = 0;

    for (unsigned round = 0; round < 40 && put < count; round++) {
        for (; put < count && RING_BYTES - ring_used(rig->producers[0]) > 2 * sizeof(e); put++) {
            e.serial++;
            put_entry(rig, 0, e, NULL);
        }
        for (unsigned i = 0; i < 100; i++) {
            turn(rig, &wait_ns);
            pass(rig, 3 * NS_PER_MS);
            if (sim_committer_busy(committer(rig)))
                sim_committer_step(committer(rig), false);
        }
    }
    assert_int_equal(put, count);
}

/* A receiver that takes no verdicts stops its ring, and goes on when it does. */
static void test_no_room_for_replies(void **state)
{
    struct ring_entry e = {
        .kind = RING_CHUNK, .carrier = RING_PACKED, .flags = RING_WANTS_ACK, .connection = 1};
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    store_many(&rig, e, RING_REPLY_SLOTS + 100);
    assert_true(ring_used(rig.producers[0]) > 0);
    assert_int_equal(turn(&rig, &wait_ns), LANE_TIMER); /* nobody would ring */
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), RING_REPLY_SLOTS);
    settle(&rig);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 100);
    rig_fini(&rig);
}

/* The receiver has gone: what it took without ids is stored all the same, however many. */
static void test_without_acks_no_replies_are_needed(void **state)
{
    struct ring_entry e = {.kind = RING_CHUNK, .carrier = RING_PACKED, .connection = 1};
    struct rig rig;

    (void)state;
    rig_init(&rig);
    store_many(&rig, e, RING_REPLY_SLOTS + 100);
    settle(&rig);
    assert_int_equal(ring_used(rig.producers[0]), 0);
    assert_int_equal(verdicts(&rig, 0, RING_DURABLE), 0);
    rig_fini(&rig);
}

/* More connections than the resend window can keep until a batch is durable: nothing stalls. */
static void test_more_connections_than_the_window_holds(void **state)
{
    uint64_t wait_ns = 0;
    unsigned came = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    for (unsigned round = 0; round < 8; round++) {
        for (uint64_t i = 0; i < 300; i++) {
            uint64_t connection = 1000 + round * 300 + i;
            struct ring_entry e = {.kind = RING_CHUNK,
                                   .carrier = RING_PACKED,
                                   .flags = RING_WANTS_ACK,
                                   .connection = connection,
                                   .serial = 1};

            memcpy(e.key, &connection, sizeof(connection));
            put_entry(&rig, 0, e, NULL);
            put_end(&rig, 0, connection);
            if (i % 16 == 0)
                turn(&rig, &wait_ns);
        }
        settle(&rig);
        came += verdicts(&rig, 0, RING_DURABLE);
    }
    assert_int_equal(came, 8 * 300);
    assert_int_equal(ring_used(rig.producers[0]), 0);
    rig_fini(&rig);
}

static void test_drain(void **state)
{
    uint64_t wait_ns = 0;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    put_chunk(&rig, 0, 1, 'a');
    turn(&rig, &wait_ns);
    put_chunk(&rig, 0, 1, 'b');
    lane_drain(rig.lane, false); /* what was taken, no more */
    assert_false(lane_is_drained(rig.lane));
    settle(&rig);
    assert_true(lane_is_drained(rig.lane));
    check_journal(&rig, "a");
    stop(&rig);
    start(&rig);
    put_end(&rig, 0, 1);
    lane_drain(rig.lane, true); /* all that is there */
    settle(&rig);
    assert_true(lane_is_drained(rig.lane));
    check_journal(&rig, "ab");
    assert_int_equal(ring_used(rig.producers[0]), 0);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_a_commit),
        cmocka_unit_test(test_death_after_each_step),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_group_commit),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_failing_disk),
        cmocka_unit_test(test_resend),
        cmocka_unit_test(test_successor_knows),
        cmocka_unit_test(test_ends_wait),
        cmocka_unit_test(test_quarantine),
        cmocka_unit_test(test_quarantine_names),
        cmocka_unit_test(test_cut_chunk),
        cmocka_unit_test(test_broken_ring),
        cmocka_unit_test(test_no_room_for_replies),
        cmocka_unit_test(test_without_acks_no_replies_are_needed),
        cmocka_unit_test(test_more_connections_than_the_window_holds),
        cmocka_unit_test(test_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
