/*
 * convert: a connection's bytes are cut into chunks as the receiver does it; each chunk is
 * converted, framed and compressed as the processor does it, decompressed and written as JSON as
 * the shipper does it. What convert_chunk accepts must get through all of that.
 */
#include "processor/convert.h"
#include "receiver/forward_frame.h"
#include "shared/otlp/frame_codec.h"
#include "shared/otlp/transcode.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MAX_MESSAGE ((size_t)1 << 20)
#define MAX_OUTPUT ((size_t)256 << 20)

struct rig {
    struct converter *converter;
    struct frame_builder *builder;
    struct frame_codec *codec;
    struct buf room, plain;
    uint64_t records;
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
    (void)context; /* frames of chunks before: each chunk has a builder of its own here */
}

static void open_rig(struct rig *rig, unsigned variant)
{
    const struct converter_config config = {
        .service_name = "service",
        .environment = "production",
        .self_name = "sluice",
        .self_version = "0",
        .self_host = "host",
        .parse_text = true,
        .is_limited = variant / FRAME_CODECS / 3 % 2 == 1,
        .trace_id = (enum convert_trace_id)(variant / FRAME_CODECS % 3),
        .max_decompressed = (size_t)1 << 20,
    };
    struct frame_sink sink = {reserve, commit, keep, rig};

    memset(rig, 0, sizeof(*rig));
    buf_init(&rig->room, MAX_OUTPUT);
    buf_init(&rig->plain, MAX_OUTPUT);
    fuzz_check(frame_codec_new(&rig->codec, NULL) == 0, "a codec");
    fuzz_check(frame_builder_new((enum frame_codec_id)(variant % FRAME_CODECS), &sink,
                                 &rig->builder, NULL) == 0,
               "a frame builder");
    fuzz_check(converter_new(&config, &rig->converter, NULL) == 0, "a converter");
}

static void close_rig(struct rig *rig)
{
    converter_free(&rig->converter);
    frame_builder_free(&rig->builder);
    frame_codec_free(&rig->codec);
    buf_fini(&rig->room);
    buf_fini(&rig->plain);
}

static void convert(const struct forward_message *message, unsigned variant)
{
    const struct chunk chunk = {
        .carrier = (enum chunk_carrier)(message->carrier - RING_MESSAGE),
        .compression = (enum chunk_compression)message->compression,
        .signal = (enum chunk_signal)message->signal,
        .tag = message->tag,
        .peer = SLICE_LITERAL("192.0.2.1"),
        .options = message->options,
        .payload = message->payload,
        .received_ns = 1700000000000000000ull,
        .entries_declared = message->declared,
    };
    struct convert_result result;
    struct err err = {0};
    struct buf json;
    struct rig rig;

    open_rig(&rig, variant);
    buf_init(&json, MAX_OUTPUT);
    if (convert_chunk(rig.converter, &chunk, rig.builder, &result, &err) == 0) {
        fuzz_check(frame_builder_flush(rig.builder) == 0, "the last frame");
        fuzz_check(rig.records == result.records, "as many records in frames as were counted");
        fuzz_check(transcode_json(buf_slice(&rig.plain), variant / FRAME_CODECS % 3 == 2, &json,
                                  &err) == 0,
                   "our own records are a request");
        fuzz_check_json(&json);
    } else {
        fuzz_check(err.text[0] != '\0', "a refused chunk has a reason");
    }
    buf_fini(&json);
    close_rig(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct forward_frame frame;
    struct forward_message message;
    enum forward_frame_result result;
    unsigned variant = (unsigned)n;

    forward_frame_init(&frame, MAX_MESSAGE);
    while (n > 0) {
        result = forward_frame_next(&frame, p, n, &message);
        if (result == FORWARD_FRAME_MORE || result == FORWARD_FRAME_BROKEN ||
            result == FORWARD_FRAME_OVERSIZE)
            break;
        if (result == FORWARD_FRAME_CHUNK)
            convert(&message, variant);
        forward_frame_reset(&frame);
        p += message.bytes;
        n -= message.bytes;
    }
    return 0;
}
