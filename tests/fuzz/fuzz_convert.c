/*
 * convert: a connection's bytes, MessagePack or JSON, are cut into chunks as the receiver does it;
 * each chunk is converted, framed and compressed as the processor does it, decompressed and written
 * as JSON as the shipper does it. What convert_chunk accepts must get through all of that, and must
 * be a request as otlp_check.h has it. The input's length chooses the options.
 */
#include "processor/convert.h"
#include "receiver/forward_frame.h"
#include "receiver/json_frame.h"
#include "shared/otlp/frame_codec.h"
#include "shared/otlp/transcode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/processor/otlp_check.h"

#include <string.h>

#define MAX_MESSAGE ((size_t)1 << 20)
#define MAX_OUTPUT ((size_t)256 << 20)

struct rig {
    struct converter *converter;
    struct frame_builder *builder;
    struct frame_codec *codec;
    struct buf room, plain, json;
    uint64_t records;
    bool is_limited, is_verbatim;
};

static uint8_t *reserve(void *context, size_t max_bytes)
{
    struct rig *rig = context;

    rig->room.n = 0;
    return buf_reserve(&rig->room, max_bytes + 1) == 0 ? rig->room.p : NULL;
}

static int commit(void *context, const struct frame_info *info, size_t bytes)
{
    struct rig *rig = context;
    struct err err = {0};

    rig->records += info->records;
    fuzz_check(frame_codec_decompress(rig->codec, info, slice_of(rig->room.p, bytes), &rig->plain,
                                      &err) == 0,
               "our own frames decompress");
    return 0;
}

static void keep(void *context)
{
    (void)context; /* frames of chunks before: each chunk is flushed here */
}

/* One of n, taken from *variant. */
static unsigned choose(unsigned *variant, unsigned n)
{
    unsigned one = *variant % n;

    *variant /= n;
    return one;
}

static void open_rig(struct rig *rig, unsigned variant)
{
    const struct frame_sink sink = {reserve, commit, keep, rig};
    struct converter_config config = {.environment = "production",
                                      .self_name = "sluice",
                                      .self_version = "0",
                                      .self_host = "host",
                                      .max_decompressed = (size_t)1 << 20};
    enum frame_codec_id codec = (enum frame_codec_id)choose(&variant, FRAME_CODECS);

    memset(rig, 0, sizeof(*rig));
    config.is_limited = choose(&variant, 2) == 1;
    config.parse_text = choose(&variant, 4) != 3;
    config.trace_id = (enum convert_trace_id)choose(&variant, 3);
    config.service = (enum record_service)choose(&variant, 3);
    config.service_name = choose(&variant, 2) == 0 ? "service" : NULL;
    config.resource_attributes = choose(&variant, 2) == 0 ? NULL : "host.name=h,a=b%2c";
    rig->is_limited = config.is_limited;
    rig->is_verbatim = config.trace_id == CONVERT_TRACE_VERBATIM;
    buf_init(&rig->room, MAX_OUTPUT);
    buf_init(&rig->plain, MAX_OUTPUT);
    buf_init(&rig->json, MAX_OUTPUT);
    fuzz_check(frame_codec_new(&rig->codec, NULL) == 0, "a codec");
    fuzz_check(frame_builder_new(codec, &sink, &rig->builder, NULL) == 0, "a frame builder");
    fuzz_check(converter_new(&config, &rig->converter, NULL) == 0, "a converter");
}

static void close_rig(struct rig *rig)
{
    converter_free(&rig->converter);
    frame_builder_free(&rig->builder);
    frame_codec_free(&rig->codec);
    buf_fini(&rig->room);
    buf_fini(&rig->plain);
    buf_fini(&rig->json);
}

static void check_request(struct rig *rig, const struct convert_result *result)
{
    struct otlp_check check = {.is_limited = rig->is_limited};
    struct err err = {0};
    const char *wrong;

    fuzz_check(frame_builder_flush(rig->builder) == 0, "the last frame");
    fuzz_check(rig->records == result->records, "as many records in frames as were counted");
    wrong = otlp_check_request(&check, buf_slice(&rig->plain));
    fuzz_check(wrong == NULL, wrong == NULL ? "" : wrong);
    fuzz_check(check.records == result->records, "as many records as were counted");
    fuzz_check(transcode_json(buf_slice(&rig->plain),
                              rig->is_verbatim ? TRANSCODE_VERBATIM_TRACE_ID : 0, &rig->json,
                              &err) == 0,
               "our own records are a request");
    fuzz_check_json(&rig->json);
}

static void convert(struct rig *rig, const struct forward_message *message)
{
    const struct chunk chunk = {
        .carrier = (enum chunk_carrier)(message->carrier - RING_MESSAGE),
        .compression = (enum chunk_compression)message->compression,
        .signal = (enum chunk_signal)message->signal,
        .json = message->json,
        .tag = message->tag,
        .peer = SLICE_LITERAL("192.0.2.1"),
        .options = message->options,
        .payload = message->payload,
        .received_ns = 1700000000000000000ull,
        .entries_declared = message->declared,
    };
    struct convert_result result;
    struct err err = {0};

    rig->records = 0;
    rig->plain.n = rig->json.n = 0;
    if (convert_chunk(rig->converter, &chunk, rig->builder, &result, &err) == 0) {
        check_request(rig, &result);
    } else {
        fuzz_check(err.text[0] != '\0', "a refused chunk has a reason");
        fuzz_check(frame_builder_pending_bytes(rig->builder) == 0, "nothing is left of it");
    }
}

static bool is_end(enum forward_frame_result result)
{
    return result == FORWARD_FRAME_MORE || result == FORWARD_FRAME_BROKEN ||
           result == FORWARD_FRAME_OVERSIZE;
}

static void run_json(struct rig *rig, const uint8_t *p, size_t n)
{
    static uint8_t room[FORWARD_FRAME_TAG_BYTES];
    struct json_frame frame;

    json_frame_init(&frame, MAX_MESSAGE);
    for (;;) {
        struct forward_message message = {0};
        enum forward_frame_result result;
        size_t space = json_scan_space(p, n);

        p += space;
        n -= space;
        if (n == 0)
            return;
        result = json_frame_next(&frame, p, n, room, &message);
        if (is_end(result))
            return;
        if (result == FORWARD_FRAME_CHUNK)
            convert(rig, &message);
        json_frame_reset(&frame);
        p += message.bytes;
        n -= message.bytes;
    }
}

static void run_msgpack(struct rig *rig, const uint8_t *p, size_t n)
{
    struct forward_frame frame;

    forward_frame_init(&frame, MAX_MESSAGE);
    while (n > 0) {
        struct forward_message message = {0};
        enum forward_frame_result result = forward_frame_next(&frame, p, n, &message);

        if (is_end(result))
            return;
        if (result == FORWARD_FRAME_CHUNK)
            convert(rig, &message);
        forward_frame_reset(&frame);
        p += message.bytes;
        n -= message.bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct rig rig;

    if (n == 0)
        return 0;
    open_rig(&rig, (unsigned)n);
    if (forward_frame_guess(p, n) == FORWARD_GUESS_JSON)
        run_json(&rig, p, n);
    else
        run_msgpack(&rig, p, n);
    close_rig(&rig);
    return 0;
}
