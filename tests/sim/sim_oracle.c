/*
 * The oracle: keeps the books of what was sent and what came to the server, and says at the end
 * what is wrong. Its rules:
 *
 *   - what comes to the server was sent, and is whole; a frame that comes twice is the same;
 *   - an acknowledged chunk is there;
 *   - a chunk without ack that was in a ring is there, unless the machine lost its rings;
 *   - a frame comes twice only where the shipper could not know that it had arrived;
 *   - a chunk is stored twice only where nobody could know that it is a resend.
 */
#include "tests/sim/sim.h"

#include "shared/base/hash.h"
#include "shared/journal/recovery.h"

#include <stdio.h>
#include <stdlib.h>

#define SIM_TEXT_BYTES 512u
#define SIM_MARK "sim-"
#define SIM_MARK_BYTES 21u /* "sim-", 16 hex digits, "-" */
#define SIM_MAX_PLAIN (64u << 20)

/* ---- content ---- */

/* A record's text follows from its serial. Returns its length. */
static size_t record_text(uint64_t serial, char text[SIM_TEXT_BYTES])
{
    uint64_t h = (serial + 1) * 0x9e3779b97f4a7c15ull;
    size_t n = SIM_MARK_BYTES + (h >> 32) % 300;

    snprintf(text, SIM_TEXT_BYTES, SIM_MARK "%016llx-", (unsigned long long)serial);
    for (size_t i = SIM_MARK_BYTES; i < n; i++) {
        h = h * 6364136223846793005ull + 1442695040888963407ull;
        text[i] = (char)('a' + (h >> 40) % 26);
    }
    return n;
}

static void put(struct buf *buf, const void *p, size_t n)
{
    if (buf_append(buf, p, n) < 0)
        abort();
}

/* [time, {"message": text}]; without the array around it for a message. */
static void put_entry(struct buf *buf, uint64_t serial, bool bare)
{
    static const uint8_t head[] = {0x92};
    static const uint8_t entry[] = {0xce, 0x65, 0x53, 0xf1, 0x00, 0x81, 0xa7,
                                    'm',  'e',  's',  's',  'a',  'g',  'e'};
    char text[SIM_TEXT_BYTES];
    size_t n = record_text(serial, text);
    uint8_t length[3] = {0xda, (uint8_t)(n >> 8), (uint8_t)n};

    if (!bare)
        put(buf, head, sizeof(head));
    put(buf, entry, sizeof(entry));
    put(buf, length, sizeof(length));
    put(buf, text, n);
}

static uint32_t records_of(struct sim *sim)
{
    if (sim_random_chance(&sim->random, 3))
        return 60 + (uint32_t)sim_random_below(&sim->random, 60);
    return 1 + (uint32_t)sim_random_below(&sim->random, 8);
}

uint32_t sim_group_new(struct sim *sim, struct sim_client *client)
{
    static const uint8_t garbage[] = {0x92, 0xce, 0x65};
    struct sim_group *group;

    sim->groups = sim_grow(sim->groups, sim->group_count, sizeof(*sim->groups));
    group = &sim->groups[sim->group_count];
    *group = (struct sim_group){0};
    buf_init(&group->payload, SIM_MAX_PLAIN);
    group->carrier = (uint8_t)(RING_MESSAGE + sim_random_below(&sim->random, 3));
    group->records = group->carrier == RING_MESSAGE ? 1 : records_of(sim);
    group->bad = group->carrier == RING_PACKED && sim_random_chance(&sim->random, 2);
    group->first_serial = sim->next_serial;
    for (uint32_t i = 0; i < group->records; i++) {
        sim->copies = sim_grow(sim->copies, (uint32_t)sim->next_serial, sizeof(*sim->copies));
        sim->copies[sim->next_serial] = 0;
        put_entry(&group->payload, sim->next_serial++, group->carrier == RING_MESSAGE);
    }
    if (group->bad) {
        group->payload.n = 0;
        put(&group->payload, garbage, sizeof(garbage));
        put(&group->payload, &group->first_serial, sizeof(group->first_serial));
    }
    snprintf(group->tag, sizeof(group->tag), "tag.%u", (unsigned)(client - sim->clients));
    /* The id as msgpack: str of 16 hex digits. */
    group->id[0] = 0xb0;
    snprintf((char *)group->id + 1, sizeof(group->id) - 1, "%016x", sim->group_count);
    group->id_bytes = 17;
    sim->counts.chunks++;
    return sim->group_count++;
}

/* ---- delivery ---- */

static struct sim_frame *find_frame(struct sim *sim, unsigned lane, struct cursor_position end)
{
    for (uint32_t i = sim->frame_count; i > 0; i--) {
        struct sim_frame *frame = &sim->frames[i - 1];

        if (frame->lane == lane && cursor_compare(frame->end, end) == 0)
            return frame;
    }
    return NULL;
}

/* Takes one record's text out of the plain bytes; returns where to go on, or NULL. */
static const uint8_t *take_record(struct sim *sim, const uint8_t *p, const uint8_t *end)
{
    char expected[SIM_TEXT_BYTES], digits[17] = {0};
    uint64_t serial;
    char *stop;
    size_t n;

    if ((size_t)(end - p) < SIM_MARK_BYTES)
        return NULL;
    memcpy(digits, p + 4, 16);
    serial = strtoull(digits, &stop, 16);
    if (*stop != '\0' || serial >= sim->next_serial) {
        sim_fail(sim, "a record came that nobody sent: %.21s", (const char *)p);
        return NULL;
    }
    n = record_text(serial, expected);
    if ((size_t)(end - p) < n || memcmp(p, expected, n) != 0) {
        sim_fail(sim, "record %llu came damaged", (unsigned long long)serial);
        return NULL;
    }
    sim->copies[serial]++;
    sim->counts.records++;
    return p + n;
}

static void take_records(struct sim *sim, struct slice plain, uint32_t records)
{
    const uint8_t *p = plain.p, *end = plain.p + plain.n;
    uint32_t found = 0;

    while ((p = memmem(p, (size_t)(end - p), SIM_MARK, 4)) != NULL) {
        p = take_record(sim, p, end);
        if (p == NULL)
            return;
        found++;
    }
    if (found != records)
        sim_fail(sim, "a frame of %u records holds %u", records, found);
}

static void first_receipt(struct sim *sim, const struct parcel *parcel,
                          const struct parcel_frame *frame, struct slice payload)
{
    struct err err = {0};
    struct buf plain;

    buf_init(&plain, SIM_MAX_PLAIN);
    if (frame_codec_decompress(sim->codec, &frame->info, payload, &plain, &err) < 0)
        sim_fail(sim, "a frame of lane %u cannot be decompressed: %s", parcel->lane, err.text);
    else
        take_records(sim, buf_slice(&plain), frame->info.records);
    buf_fini(&plain);
}

void sim_oracle_delivered(struct sim *sim, const struct parcel *parcel, uint32_t index)
{
    const struct parcel_frame *frame = &parcel->frames[index];
    struct slice payload = slice_of(parcel->bytes.p + frame->offset, frame->bytes);
    uint64_t hash = hash_slices(&payload, 1).low;
    struct sim_frame *known = find_frame(sim, parcel->lane, frame->end);

    sim_trace(sim, "server: lane %u frame up to %llu/%u, %u records%s", parcel->lane,
              (unsigned long long)frame->end.sequence, frame->end.frame, frame->info.records,
              known == NULL ? "" : ", again");
    if (known != NULL) {
        known->receipts++;
        sim->counts.duplicates++;
        if (known->hash != hash)
            sim_fail(sim, "lane %u has two different frames up to %llu/%u", parcel->lane,
                     (unsigned long long)frame->end.sequence, frame->end.frame);
        if (known->receipts > 1 + known->permits)
            sim_fail(sim, "lane %u frame up to %llu/%u came %u times, %u allowed", parcel->lane,
                     (unsigned long long)frame->end.sequence, frame->end.frame, known->receipts,
                     1 + known->permits);
        return;
    }
    sim->frames = sim_grow(sim->frames, sim->frame_count, sizeof(*sim->frames));
    sim->frames[sim->frame_count++] = (struct sim_frame){.lane = parcel->lane,
                                                         .end = frame->end,
                                                         .hash = hash,
                                                         .records = frame->info.records,
                                                         .receipts = 1};
    sim->counts.frames++;
    first_receipt(sim, parcel, frame, payload);
}

void sim_oracle_permit(struct sim *sim, const struct parcel *parcel, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        struct sim_frame *frame = find_frame(sim, parcel->lane, parcel->frames[i].end);

        if (frame != NULL)
            frame->permits++;
    }
}

void sim_oracle_permit_from(struct sim *sim, unsigned lane, struct cursor_position from)
{
    for (uint32_t i = 0; i < sim->frame_count; i++) {
        if (sim->frames[i].lane == lane && cursor_compare(sim->frames[i].end, from) > 0)
            sim->frames[i].permits++;
    }
}

/* ---- sending ---- */

void sim_oracle_put(struct sim *sim, uint32_t index)
{
    struct sim_send *send = &sim->sends[index];
    struct sim_instance *instance = &sim->instances[send->instance];
    struct sim_group *group = &sim->groups[instance->group];

    send->put = true;
    if (instance->last != SIM_NONE) {
        const struct sim_send *before = &sim->sends[instance->last];
        bool known = before->ended && !before->confirmed && before->receiver == send->receiver &&
                     before->lane == send->lane && before->connection_id != send->connection_id;

        sim->counts.resends++;
        if (!known || sim->plan.window_keys < 1024) {
            group->permits++;
            sim->counts.permitted++;
        }
        sim_trace(sim, "  that is a resend%s", known ? "" : ", and nobody can know");
    }
    instance->last = index;
}

/* Equal chunks of which one was acknowledged on a connection whose end proves nothing. */
static void blur(struct sim *sim, const struct sim_send *send)
{
    const struct sim_instance *instance = &sim->instances[send->instance];

    if (instance->acked)
        sim->groups[instance->group].ambiguous = true;
}

void sim_oracle_ended(struct sim *sim, const struct sim_connection *connection, enum sim_end how)
{
    const uint64_t *confirmed = how == SIM_END_CLEAN ? connection->acked : connection->confirmed;

    for (uint32_t i = 0; i < sim->send_count; i++) {
        struct sim_send *send = &sim->sends[i];

        if (send->connection_id != connection->id || !send->put)
            continue;
        send->ended = true;
        send->confirmed = confirmed[send->lane] >= send->serial;
        /* A receiver that dies may not have said what was confirmed. */
        if (!send->confirmed || how == SIM_END_RECEIVER_DIED)
            blur(sim, send);
    }
}

void sim_oracle_cold(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->send_count; i++)
        blur(sim, &sim->sends[i]);
    for (uint32_t i = 0; i < sim->instance_count; i++)
        sim->instances[i].forgiven |= !sim->instances[i].wants_ack;
}

/* ---- the end ---- */

struct wanted {
    uint32_t least, most;
};

static struct wanted wanted_of(const struct sim *sim, uint32_t index)
{
    const struct sim_group *group = &sim->groups[index];
    struct wanted wanted = {0, group->permits};

    for (uint32_t i = 0; i < sim->instance_count; i++) {
        const struct sim_instance *instance = &sim->instances[i];

        if (instance->group != index)
            continue;
        wanted.most++;
        wanted.least +=
            instance->wants_ack ? instance->acked : instance->published && !instance->forgiven;
    }
    if (group->ambiguous && wanted.least > 1)
        wanted.least = 1;
    if (group->bad)
        wanted = (struct wanted){0, 0};
    return wanted;
}

static void check_group(struct sim *sim, uint32_t index)
{
    const struct sim_group *group = &sim->groups[index];
    struct wanted wanted = wanted_of(sim, index);

    for (uint32_t i = 0; i < group->records; i++) {
        uint32_t copies = sim->copies[group->first_serial + i];

        if (copies < wanted.least)
            sim_fail(sim, "LOST: chunk %u record %u is there %u times, acknowledged %u", index, i,
                     copies, wanted.least);
        if (copies > wanted.most)
            sim_fail(sim, "DUPLICATE: chunk %u record %u is stored %u times, %u allowed", index, i,
                     copies, wanted.most);
    }
}

/* ---- quarantine ---- */

struct search {
    struct sim *sim;
    const struct buf *payload;
    bool found;
};

static int look_into(void *context, const char *name)
{
    struct search *search = context;
    struct disk *disk = search->sim->quarantine;
    int64_t size = sim_disk_file_size(disk, name);
    uint8_t tail[64];
    size_t n = search->payload->n;
    int file = disk->ops->open(disk, name, DISK_READ);

    if (file >= 0 && n <= sizeof(tail) && size >= (int64_t)n &&
        disk->ops->pread(disk, file, tail, n, (uint64_t)size - n) == (ssize_t)n)
        search->found |= memcmp(tail, search->payload->p, n) == 0;
    disk->ops->close(disk, file);
    return 0;
}

/* A chunk that cannot be decoded was acknowledged: then its bytes are in quarantine. */
static void check_quarantine(struct sim *sim, uint32_t index)
{
    struct search search = {.sim = sim, .payload = &sim->groups[index].payload};
    bool acked = false;

    for (uint32_t i = 0; i < sim->instance_count; i++)
        acked |= sim->instances[i].group == index && sim->instances[i].acked;
    if (!acked)
        return;
    sim->counts.quarantined++;
    sim->quarantine->ops->list(sim->quarantine, look_into, &search);
    if (!search.found)
        sim_fail(sim, "LOST: chunk %u is not in quarantine", index);
}

/* The lane page counts the records that are in the lane: all of them have come to the server. */
static void check_ledger(struct sim *sim, unsigned lane)
{
    struct lane_page *page;
    struct lane_state state;
    uint64_t records = 0;

    if (lane_page_open(sim->page_readonly_fds[lane], false, &page, NULL) < 0)
        abort();
    for (uint32_t i = 0; i < sim->frame_count; i++)
        records += sim->frames[i].lane == lane ? sim->frames[i].records : 0;
    if (!lane_page_read(page, &state))
        sim_fail(sim, "lane %u was never published", lane);
    else if (state.records != records)
        sim_fail(sim, "LEDGER: lane %u counts %llu records, %llu have come", lane,
                 (unsigned long long)state.records, (unsigned long long)records);
    lane_page_close(&page);
}

/*
 * What the journal itself says in its last commit record. Nobody uses the lane any more: a recovery
 * looks at it.
 */
static void check_totals(struct sim *sim, unsigned lane)
{
    const struct recovery recovery = {
        .disk = sim->lane_disks[lane],
        .quarantine = sim->quarantine,
        .lane = lane,
        .segment_bytes = sim->plan.segment_bytes,
    };
    struct recovery_result result;
    uint64_t records = 0, chunks = 0;
    struct err err = {0};

    for (uint32_t i = 0; i < sim->frame_count; i++)
        records += sim->frames[i].lane == lane ? sim->frames[i].records : 0;
    for (uint32_t i = 0; i < sim->send_count; i++)
        chunks += sim->sends[i].published && sim->sends[i].lane == lane;
    if (recovery_cold(&recovery, &result, &err) < 0) {
        sim_fail(sim, "lane %u cannot be recovered: %s", lane, err.text);
        return;
    }
    if (result.totals.records_committed != records)
        sim_fail(sim, "LEDGER: the journal of lane %u counts %llu records, %llu have come", lane,
                 (unsigned long long)result.totals.records_committed, (unsigned long long)records);
    if (sim->counts.cold_starts + sim->counts.power_cuts == 0 &&
        result.totals.chunks_taken != chunks)
        sim_fail(sim, "LEDGER: the journal of lane %u counts %llu chunks, %llu were in the ring",
                 lane, (unsigned long long)result.totals.chunks_taken, (unsigned long long)chunks);
}

void sim_oracle_autopsy(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.lanes && !sim_failed(sim); i++)
        check_totals(sim, i);
}

void sim_oracle_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->group_count && !sim_failed(sim); i++) {
        check_group(sim, i);
        if (sim->groups[i].bad)
            check_quarantine(sim, i);
    }
    for (unsigned i = 0; i < sim->plan.lanes; i++)
        check_ledger(sim, i);
    for (uint32_t i = 0; i < sim->instance_count && !sim_failed(sim); i++) {
        const struct sim_instance *instance = &sim->instances[i];

        if (instance->wants_ack && !instance->acked)
            sim_fail(sim, "chunk %u was never acknowledged", instance->group);
    }
}
