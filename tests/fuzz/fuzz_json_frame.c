/*
 * json_frame: a JSON connection's bytes at once and cut at random give the same messages. In each
 * call the bytes stand in memory of exactly their length, so that a look behind them is seen.
 */
#include "receiver/json_frame.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MAX_MESSAGE 2048u
#define MAX_CUT 300u
#define MAX_RESULTS 4096u

struct outcome {
    enum forward_frame_result result;
    struct forward_message message; /* without what points into the bytes */
    uint64_t content;               /* a sum of what the slices held */
};

struct outcomes {
    struct outcome all[MAX_RESULTS];
    unsigned count;
};

static uint64_t sum(uint64_t h, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ s.p[i]) * 0x100000001b3ull;
    return (h ^ s.n) * 0x100000001b3ull;
}

/* Whether the connection goes on. */
static int note(struct outcomes *outcomes, enum forward_frame_result result,
                const struct forward_message *message)
{
    struct outcome *o = &outcomes->all[outcomes->count];

    fuzz_check(outcomes->count < MAX_RESULTS, "a message has at least one byte");
    outcomes->count++;
    memset(o, 0, sizeof(*o));
    o->result = result;
    o->message.bytes = message->bytes;
    fuzz_check(message->json, "it says that it is JSON");
    if (result == FORWARD_FRAME_BROKEN || result == FORWARD_FRAME_OVERSIZE) {
        fuzz_check(message->reason != NULL, "it says why");
        return 0;
    }
    if (result == FORWARD_FRAME_CHUNK) {
        fuzz_check(message->tag.n <= FORWARD_FRAME_TAG_BYTES, "the tag's limit holds");
        fuzz_check(message->id.n <= FORWARD_FRAME_ID_BYTES, "the id's limit holds");
        fuzz_check(message->wants_ack == (message->id.n > 0), "an ack has an id");
        fuzz_check(message->payload.n > 0, "JSON is never empty");
        o->message.carrier = message->carrier;
        o->message.compression = message->compression;
        o->message.signal = message->signal;
        o->message.declared = message->declared;
        o->message.wants_ack = message->wants_ack;
        o->content =
            sum(sum(sum(sum(1, message->tag), message->id), message->options), message->payload);
    }
    return 1;
}

/* state: chance for the cuts; 0: all bytes at once. */
static void run(const uint8_t *p, size_t n, uint64_t state, struct outcomes *outcomes)
{
    static uint8_t room[FORWARD_FRAME_TAG_BYTES];
    struct json_frame frame;
    size_t at = 0, seen = state == 0 ? n : 0;
    int goes_on = 1;

    outcomes->count = 0;
    json_frame_init(&frame, MAX_MESSAGE);
    while (goes_on) {
        struct forward_message message = {0};
        enum forward_frame_result result;
        uint8_t *copy = malloc(seen - at == 0 ? 1 : seen - at);

        fuzz_check(copy != NULL, "memory");
        memcpy(copy, p + at, seen - at);
        result = json_frame_next(&frame, copy, seen - at, room, &message);
        if (result == FORWARD_FRAME_MORE) {
            goes_on = seen < n;
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            seen += (state >> 33) % MAX_CUT + 1;
            seen = seen > n ? n : seen;
        } else {
            goes_on = note(outcomes, result, &message);
            fuzz_check(!goes_on || (message.bytes > 0 && message.bytes <= seen - at),
                       "a message lies within the bytes");
            at += goes_on ? message.bytes : 0;
            json_frame_reset(&frame);
        }
        free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct outcomes whole, cut;

    if (n == 0 || n > MAX_RESULTS)
        return 0;
    run(p, n, 0, &whole);
    run(p, n, sum(1, slice_of(p, n)) | 1, &cut);
    fuzz_check(whole.count == cut.count, "as many messages however the stream is cut");
    fuzz_check(memcmp(whole.all, cut.all, whole.count * sizeof(whole.all[0])) == 0,
               "the same messages however the stream is cut");
    return 0;
}
