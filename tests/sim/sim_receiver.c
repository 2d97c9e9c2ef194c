/*
 * The receivers: receiver/producer.c with all its rings, and connections that behave like
 * receiver/connection.c's: bytes after an ack confirm it, an end goes into each ring used.
 */
#include "tests/sim/sim.h"

#include "shared/base/fd.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_MESSAGES 6u

void sim_receiver_start(struct sim *sim, unsigned index)
{
    struct sim_receiver *receiver = &sim->receivers[index];
    struct producer_setup setup = {.incarnation = ++sim->incarnation, .lanes = sim->lanes};
    struct err err = {0};

    for (unsigned lane = 0; lane < sim->lanes; lane++) {
        setup.rings[lane] = sim->ring_fds[index][lane];
        setup.doors[lane] = sim->processors[lane].bell;
    }
    if (producer_new(&setup, &receiver->producer, &err) < 0) {
        sim_fail(sim, "receiver %u does not start: %s", index, err.text);
        return;
    }
    receiver->alive = true;
    receiver->again = true;
    receiver->next_number = 0;
    sim_trace(sim, "receiver %u starts, incarnation %llu", index,
              (unsigned long long)setup.incarnation);
}

void sim_receiver_kill(struct sim *sim, unsigned index)
{
    struct sim_receiver *receiver = &sim->receivers[index];

    if (!receiver->alive)
        return;
    sim_trace(sim, "receiver %u dies", index);
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *c = &sim->connections[i];

        if (!c->used || c->receiver != index || c->receiver_gone)
            continue;
        c->receiver_gone = true;
        /* Acks under way arrive or not. */
        c->to_client_count = (unsigned)sim_random_below(&sim->random, c->to_client_count + 1);
        sim_oracle_ended(sim, c, SIM_END_RECEIVER_DIED);
        sim_connection_release(sim, i);
    }
    producer_free(&receiver->producer);
    receiver->alive = false;
    receiver->restart_ns = sim->now_ns + sim_random_below(&sim->random, 50 * NS_PER_MS);
}

static void ends(struct sim *sim, struct sim_connection *c, bool clean)
{
    struct sim_receiver *receiver = &sim->receivers[c->receiver];

    for (unsigned lane = 0; lane < sim->plan.lanes; lane++) {
        struct producer_end end = {
            .connection = c->number,
            .confirmed = clean ? c->acked[lane] : c->confirmed[lane],
            .received_ns = clock_realtime_ns(),
            .clean = clean,
        };

        if (!(c->lanes_used & 1u << lane) || sim->broken == SIM_DEAF_WINDOW)
            continue;
        if (producer_end(receiver->producer, lane, &end) < 0)
            abort();
    }
    sim_oracle_ended(sim, c, clean ? SIM_END_CLEAN : SIM_END_BROKEN);
    sim_trace(sim, "receiver %u: connection %llu has ended%s", c->receiver,
              (unsigned long long)c->id, clean ? " clean" : "");
    c->receiver_gone = true;
    c->waits = false;
    sim_connection_release(sim, (uint32_t)(c - sim->connections));
}

/* Puts the connection's first message into its ring. False: there is no room. */
static bool put_first(struct sim *sim, struct sim_connection *c)
{
    struct sim_send *send = &sim->sends[c->to_receiver[0]];
    struct sim_instance *instance = &sim->instances[send->instance];
    const struct sim_group *group = &sim->groups[instance->group];
    struct forward_message message = {
        .carrier = group->carrier,
        .wants_ack = instance->wants_ack,
        .tag = slice_string(group->tag),
        .id = instance->wants_ack ? slice_of(group->id, group->id_bytes) : slice_of(NULL, 0),
        .payload = buf_slice(&group->payload),
        .declared = group->records,
    };
    struct producer_chunk chunk = {
        .message = &message,
        .peer = SLICE_LITERAL("client"),
        .received_ns = clock_realtime_ns(),
        .connection = c->number,
        .serial = c->serial + 1,
        .handle = c->id,
        .confirmed = c->confirmed,
    };
    unsigned lane;
    int r = producer_put(sim->receivers[c->receiver].producer, &chunk, &lane);

    if (r == -EAGAIN) {
        c->waits = true;
        c->wait_lane = lane;
        return false;
    }
    if (r < 0) {
        sim_fail(sim, "a chunk of %zu bytes cannot be put into a ring: error %d", group->payload.n,
                 -r);
        return false;
    }
    c->waits = false;
    send->serial = ++c->serial;
    send->lane = lane;
    send->receiver = c->receiver;
    if (instance->wants_ack) {
        c->owed++;
        c->lanes_used |= 1u << lane;
    }
    sim_trace(sim, "receiver %u: chunk %u from connection %llu into lane %u", c->receiver,
              instance->group, (unsigned long long)c->id, lane);
    sim_oracle_put(sim, c->to_receiver[0]);
    c->to_receiver_count--;
    memmove(c->to_receiver, c->to_receiver + 1, c->to_receiver_count * sizeof(c->to_receiver[0]));
    return true;
}

static void note_bytes(struct sim_connection *c)
{
    if (c->ack_news)
        memcpy(c->confirmed, c->acked, sizeof(c->confirmed));
    c->ack_news = false;
}

static void serve(struct sim *sim, struct sim_connection *c)
{
    for (unsigned i = 0; i < TURN_MESSAGES && c->to_receiver_count > 0 && !c->waits; i++) {
        note_bytes(c);
        if (!put_first(sim, c))
            return;
    }
    if (c->to_receiver_count > 0 || !c->client_gone || c->receiver_gone)
        return;
    if (c->client_reset)
        ends(sim, c, false);
    else if (c->owed == 0)
        ends(sim, c, true);
}

static void take_verdicts(struct sim *sim, struct sim_receiver *receiver)
{
    struct producer_verdict verdict;

    while (producer_next(receiver->producer, &verdict)) {
        struct sim_connection *c = NULL;
        uint32_t found = SIM_NONE;

        for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
            if (sim->connections[i].used && sim->connections[i].id == verdict.owner.handle)
                c = &sim->connections[i];
        }
        if (c == NULL || c->receiver_gone)
            continue;
        for (uint32_t i = sim->send_count; i > 0 && found == SIM_NONE; i--) {
            if (sim->sends[i - 1].put && sim->sends[i - 1].connection_id == c->id &&
                sim->sends[i - 1].serial == verdict.owner.serial)
                found = i - 1;
        }
        if (found == SIM_NONE ||
            (verdict.verdict != RING_DURABLE && verdict.verdict != RING_QUARANTINED)) {
            sim_fail(sim, "a verdict %u that fits no chunk", verdict.verdict);
            return;
        }
        c->owed--;
        c->acked[verdict.lane] = verdict.owner.serial;
        c->ack_news = true;
        if (!c->client_gone && c->to_client_count < SIM_PIPE)
            c->to_client[c->to_client_count++] = found;
    }
    if (producer_lost(receiver->producer) > 0)
        sim_fail(sim, "%llu verdicts were skipped",
                 (unsigned long long)producer_lost(receiver->producer));
}

static bool wants_turn(const struct sim_connection *c, unsigned receiver)
{
    if (!c->used || c->receiver != receiver || c->receiver_gone || c->waits)
        return false;
    if (c->to_receiver_count > 0)
        return true;
    return c->client_gone && (c->client_reset || c->owed == 0);
}

bool sim_receiver_ready(const struct sim *sim, unsigned index)
{
    const struct sim_receiver *receiver = &sim->receivers[index];

    if (!receiver->alive)
        return false;
    if (receiver->again || sim_bell(receiver->bell))
        return true;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        if (wants_turn(&sim->connections[i], index))
            return true;
    }
    return false;
}

static void serve_waiters(struct sim *sim, unsigned index)
{
    for (unsigned lane = 0; lane < sim->plan.lanes; lane++) {
        bool retried = false;

        for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
            struct sim_connection *c = &sim->connections[i];

            if (!c->used || c->receiver != index || !c->waits || c->wait_lane != lane)
                continue;
            if (!retried)
                producer_retry(sim->receivers[index].producer, lane);
            retried = true;
            c->waits = false;
            serve(sim, c);
            if (c->waits)
                break; /* the others wait behind it */
        }
    }
}

/* What was put is visible from now on, whatever dies. */
static void publish(struct sim *sim, unsigned index)
{
    producer_publish(sim->receivers[index].producer);
    for (uint32_t i = 0; i < sim->send_count; i++) {
        struct sim_send *send = &sim->sends[i];

        if (send->put && !send->died && send->receiver == index) {
            send->published = true;
            sim->instances[send->instance].published = true;
        }
    }
}

void sim_receiver_turn(struct sim *sim, unsigned index)
{
    struct sim_receiver *receiver = &sim->receivers[index];
    uint32_t first = (uint32_t)sim_random_below(&sim->random, SIM_CONNECTIONS);

    fd_bell_clear(receiver->bell);
    producer_woke(receiver->producer);
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *c = &sim->connections[(first + i) % SIM_CONNECTIONS];

        if (c->used && c->receiver == index && !c->receiver_gone && !c->waits &&
            (sim->calm || sim_random_chance(&sim->random, 70)))
            serve(sim, c);
    }
    if (sim_event(sim, sim->plan.kill_receiver * 5)) {
        sim->counts.receiver_kills++;
        sim_receiver_kill(sim, index);
        for (uint32_t i = 0; i < sim->send_count; i++)
            sim->sends[i].died |=
                sim->sends[i].put && !sim->sends[i].published && sim->sends[i].receiver == index;
        return;
    }
    publish(sim, index);
    take_verdicts(sim, receiver);
    serve_waiters(sim, index);
    publish(sim, index);
    if (sim_random_chance(&sim->random, 5))
        producer_idle(receiver->producer, sim->now_ns, NS_PER_MS);
    receiver->again = !producer_sleep(receiver->producer);
}
