/*
 * The clients: some wait for each ack (Fluentd), some send on meanwhile (Node), some want none. What
 * is not acknowledged when its connection ends is sent again, with equal id and bytes.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

void sim_clients_init(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.clients; i++) {
        struct sim_client *client = &sim->clients[i];

        *client = (struct sim_client){.connection = SIM_NONE, .previous = SIM_NONE};
        client->kind = (unsigned)sim_random_below(&sim->random, 5) % 3;
        client->timeout_ns = client->kind == CLIENT_PIPELINED ? 500 * NS_PER_MS : 5 * NS_PER_S;
    }
}

static unsigned window_of(const struct sim_client *client)
{
    return client->kind == CLIENT_SEQUENTIAL ? 1 : SIM_PIPE / 2;
}

/* ---- connections ---- */

static void connect_to(struct sim *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    unsigned receiver = (unsigned)sim_random_below(&sim->random, sim->plan.receivers);

    if (!sim->receivers[receiver].alive)
        return;
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *c = &sim->connections[i];

        if (c->used)
            continue;
        *c = (struct sim_connection){
            .used = true,
            .id = ++sim->next_connection_id,
            .client = index,
            .receiver = receiver,
            .number = ++sim->receivers[receiver].next_number,
        };
        client->connection = i;
        client->since_ns = sim->now_ns;
        sim_trace(sim, "client %u: connection %llu to receiver %u", index,
                  (unsigned long long)c->id, receiver);
        return;
    }
}

/* What was under way is sent again, first. */
static void take_back(struct sim_client *client)
{
    unsigned n = client->outstanding_count;

    memmove(client->again + n, client->again, client->again_count * sizeof(client->again[0]));
    memcpy(client->again, client->outstanding, n * sizeof(client->again[0]));
    client->again_count += n;
    client->outstanding_count = 0;
    client->connection = SIM_NONE;
}

/* One ack arrives: the first outstanding chunk with this id. */
static void take_ack(struct sim *sim, struct sim_client *client, struct sim_connection *c)
{
    const struct sim_send *send = &sim->sends[c->to_client[0]];
    uint32_t group = sim->instances[send->instance].group;

    c->to_client_count--;
    memmove(c->to_client, c->to_client + 1, c->to_client_count * sizeof(c->to_client[0]));
    for (unsigned i = 0; i < client->outstanding_count; i++) {
        uint32_t instance = client->outstanding[i];

        if (sim->instances[instance].group != group)
            continue;
        sim->instances[instance].acked = true;
        if (send->ended) /* also a confirmation may be lost with the rings */
            sim->groups[group].ambiguous = true;
        client->outstanding_count--;
        memmove(client->outstanding + i, client->outstanding + i + 1,
                (client->outstanding_count - i) * sizeof(client->outstanding[0]));
        client->since_ns = sim->now_ns;
        sim->counts.acks++;
        sim_trace(sim, "client %u: chunk %u is acknowledged", c->client, group);
        return;
    }
    sim_fail(sim, "client %u got an ack for chunk %u, which it does not wait for", c->client,
             group);
}

void sim_connection_release(struct sim *sim, uint32_t index)
{
    struct sim_connection *c = &sim->connections[index];

    if (c->client_gone && c->receiver_gone)
        c->used = false;
}

static void client_leaves(struct sim *sim, uint32_t index, bool reset)
{
    struct sim_connection *c = &sim->connections[index];
    struct sim_client *client = &sim->clients[c->client];

    sim_trace(sim, "client %u: connection %llu ends%s", c->client, (unsigned long long)c->id,
              reset ? " by a reset" : "");
    c->client_gone = true;
    c->client_reset = reset;
    take_back(client);
    sim->counts.breaks += reset;
    sim_connection_release(sim, index);
}

void sim_connection_break(struct sim *sim, uint32_t index)
{
    struct sim_connection *c = &sim->connections[index];
    struct sim_client *client = &sim->clients[c->client];
    uint64_t arrive = sim_random_below(&sim->random, c->to_client_count + 1);

    if (c->client_gone)
        return;
    while (arrive-- > 0)
        take_ack(sim, client, c);
    c->to_receiver_count = (unsigned)sim_random_below(&sim->random, c->to_receiver_count + 1);
    client_leaves(sim, index, true);
}

/* ---- sending ---- */

/* Sometimes a client sends what it, or another one, has just sent; SIM_NONE: not now. */
static uint32_t equal_group(struct sim *sim, const struct sim_client *client)
{
    uint64_t dice = sim_random_below(&sim->random, 100);
    const struct sim_client *other =
        &sim->clients[sim_random_below(&sim->random, sim->plan.clients)];

    if (client->kind == CLIENT_WITHOUT_ACK || other->kind == CLIENT_WITHOUT_ACK)
        return SIM_NONE;
    return dice < 8 ? client->previous : dice < 15 ? other->previous : SIM_NONE;
}

static uint32_t instance_new(struct sim *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    uint32_t group = equal_group(sim, client);

    if (group == SIM_NONE)
        group = sim_group_new(sim, client);

    sim->instances = sim_grow(sim->instances, sim->instance_count, sizeof(*sim->instances));
    sim->instances[sim->instance_count] = (struct sim_instance){
        .group = group,
        .client = index,
        .wants_ack = client->kind != CLIENT_WITHOUT_ACK,
        .last = SIM_NONE,
    };
    sim->groups[group].instances++;
    client->previous = group;
    return sim->instance_count++;
}

static bool has_more(const struct sim *sim)
{
    return !sim->calm && sim->instance_count < sim->plan.chunks;
}

static void send_one(struct sim *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    struct sim_connection *c = &sim->connections[client->connection];
    uint32_t instance;

    if (client->again_count > 0) {
        instance = client->again[0];
        client->again_count--;
        memmove(client->again, client->again + 1, client->again_count * sizeof(client->again[0]));
    } else {
        instance = instance_new(sim, index);
    }
    sim->sends = sim_grow(sim->sends, sim->send_count, sizeof(*sim->sends));
    sim->sends[sim->send_count] = (struct sim_send){
        .instance = instance, .connection = client->connection, .connection_id = c->id};
    c->to_receiver[c->to_receiver_count++] = sim->send_count++;
    sim->counts.sends++;
    if (client->outstanding_count == 0)
        client->since_ns = sim->now_ns;
    if (sim->instances[instance].wants_ack)
        client->outstanding[client->outstanding_count++] = instance;
    sim_trace(sim, "client %u: sends chunk %u on connection %llu", index,
              sim->instances[instance].group, (unsigned long long)c->id);
}

static bool may_send(const struct sim *sim, const struct sim_client *client)
{
    const struct sim_connection *c = &sim->connections[client->connection];

    return (client->again_count > 0 || has_more(sim)) &&
           client->outstanding_count < window_of(client) && c->to_receiver_count < SIM_PIPE / 2;
}

static bool timed_out(const struct sim *sim, const struct sim_client *client)
{
    return client->outstanding_count > 0 && client->since_ns + client->timeout_ns <= sim->now_ns;
}

void sim_client_step(struct sim *sim, uint32_t index)
{
    struct sim_client *client = &sim->clients[index];
    struct sim_connection *c;

    if (client->connection == SIM_NONE) {
        if (client->again_count > 0 || has_more(sim))
            connect_to(sim, index);
        return;
    }
    c = &sim->connections[client->connection];
    if (c->receiver_gone) {
        while (c->to_client_count > 0)
            take_ack(sim, client, c);
        client_leaves(sim, client->connection, false);
        return;
    }
    if (c->to_client_count > 0)
        take_ack(sim, client, c);
    else if (timed_out(sim, client))
        client_leaves(sim, client->connection, sim_random_chance(&sim->random, 50));
    else if (may_send(sim, client))
        send_one(sim, index);
    else if (client->outstanding_count == 0 && client->again_count == 0 &&
             (!has_more(sim) || sim_random_chance(&sim->random, 2)))
        client_leaves(sim, client->connection, false);
}

static bool can_connect(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.receivers; i++) {
        if (sim->receivers[i].alive)
            return true;
    }
    return false;
}

bool sim_client_ready(const struct sim *sim, uint32_t index)
{
    const struct sim_client *client = &sim->clients[index];
    const struct sim_connection *c;

    if (client->connection == SIM_NONE)
        return can_connect(sim) && (client->again_count > 0 || has_more(sim));
    c = &sim->connections[client->connection];
    return c->receiver_gone || c->to_client_count > 0 || timed_out(sim, client) ||
           may_send(sim, client) ||
           (client->outstanding_count == 0 && client->again_count == 0 && !has_more(sim));
}

uint64_t sim_client_wake_ns(const struct sim *sim, uint32_t index)
{
    const struct sim_client *client = &sim->clients[index];

    return client->outstanding_count > 0 ? client->since_ns + client->timeout_ns : 0;
}

bool sim_clients_done(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.clients; i++) {
        if (sim->clients[i].connection != SIM_NONE || sim->clients[i].again_count > 0)
            return false;
    }
    for (uint32_t i = 0; i < SIM_CONNECTIONS; i++) {
        if (sim->connections[i].used)
            return false;
    }
    return true;
}
