#include "receiver/answers.h"

#include "receiver/outbox.h"

/* More unsent answers than this, and the client is not read until it reads. */
#define OUTBOX_HIGH_BYTES (64u << 10)
#define OUTBOX_LOW_BYTES (16u << 10)

#define ACK_BYTES (sizeof("{'ack':}") + FORWARD_FRAME_ID_BYTES)

static void note_sent(struct connection *c, const struct outbox_mark *mark)
{
    if (!mark->is_ack)
        return;
    c->acked[mark->lane] = mark->serial;
    c->ack_news = true;
    connection_count(c, METRIC_ACKS_SENT, 1);
}

bool answers_send(struct connection *c, struct slice bytes, const struct outbox_mark *mark)
{
    int r = outbox_send(&c->outbox, c->fd, bytes, mark);

    if (r < 0) {
        connection_count(c, METRIC_ACKS_UNSENT, mark->is_ack ? 1 : 0);
        connection_break(c, -r);
        return false;
    }
    if (r == 1) {
        note_sent(c, mark);
        return true;
    }
    c->unsent_acks += mark->is_ack ? 1 : 0;
    /* As outbox_send books it: what waits and its cost. */
    c->intake->outbox_bytes += outbox_bytes(&c->outbox) - c->outbox_booked;
    c->outbox_booked = outbox_bytes(&c->outbox);
    if (c->outbox_booked > OUTBOX_HIGH_BYTES)
        connection_set_pauses(c, c->pauses | CONNECTION_WAITS_FOR_READER);
    connection_watch(c);
    return true;
}

static void after_answer(struct connection *c)
{
    if (c->state == CONNECTION_ANSWERING && c->owed == 0 && outbox_is_empty(&c->outbox))
        connection_close(c);
    else
        connection_end_if_drained(c);
}

void answers_flush(struct connection *c)
{
    struct outbox_mark mark;
    int r;

    while ((r = outbox_flush(&c->outbox, c->fd, &mark)) == 1) {
        c->unsent_acks -= mark.is_ack ? 1 : 0;
        note_sent(c, &mark);
    }
    if (r < 0) {
        connection_break(c, -r);
        return;
    }
    c->intake->outbox_bytes -= c->outbox_booked - outbox_bytes(&c->outbox);
    c->outbox_booked = outbox_bytes(&c->outbox);
    if (c->outbox_booked < OUTBOX_LOW_BYTES)
        connection_set_pauses(c, c->pauses & ~(uint32_t)CONNECTION_WAITS_FOR_READER);
    after_answer(c);
    connection_watch(c);
}

/* {"ack": id} in the client's language; the id as it came. */
static struct slice make_ack(const struct connection *c, struct slice id, uint8_t ack[ACK_BYTES])
{
    static const struct slice msgpack = SLICE_LITERAL("\x81\xa3"
                                                      "ack");
    static const struct slice json = SLICE_LITERAL("{\"ack\":");
    struct slice head = c->json ? json : msgpack;

    memcpy(ack, head.p, head.n);
    memcpy(ack + head.n, id.p, id.n);
    if (c->json)
        ack[head.n + id.n] = '}';
    return slice_of(ack, head.n + id.n + (c->json ? 1 : 0));
}

void connection_answer(struct connection *c, const struct producer_verdict *verdict)
{
    uint8_t ack[ACK_BYTES];
    struct outbox_mark mark = {
        .is_ack = true, .lane = (uint8_t)verdict->lane, .serial = verdict->owner.serial};

    c->owed--;
    if (verdict->verdict != RING_DURABLE && verdict->verdict != RING_QUARANTINED) {
        connection_count(c, METRIC_ACKS_UNSENT, 1);
        connection_fail(c, METRIC_PROTOCOL_ERRORS, "a chunk was refused");
        return;
    }
    if (answers_send(c, make_ack(c, verdict->id, ack), &mark))
        after_answer(c);
}
