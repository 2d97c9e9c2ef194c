#include "receiver/forward_frame.h"

#include <errno.h>

/* How a step ends: go on with the next phase, or return this result. */
#define GO_ON (-1)

void forward_frame_init(struct forward_frame *frame, size_t max_bytes)
{
    *frame = (struct forward_frame){.limit = max_bytes};
    forward_frame_reset(frame);
}

void forward_frame_reset(struct forward_frame *frame)
{
    *frame = (struct forward_frame){.limit = frame->limit};
}

size_t forward_frame_need(const struct forward_frame *frame)
{
    return frame->skip.need;
}

bool forward_frame_at_boundary(const struct forward_frame *frame)
{
    return frame->phase == FORWARD_FRAME_AT_START && frame->skip.at == 0;
}

static struct slice span_of(const uint8_t *p, struct forward_span span)
{
    return slice_of(p + span.at, span.n);
}

static int broken(struct forward_message *ret, const char *reason)
{
    ret->reason = reason;
    return FORWARD_FRAME_BROKEN;
}

/* Turns an error of wire_skip into a result. */
static int failed(const struct forward_frame *frame, int error, struct forward_message *ret)
{
    if (error == 0)
        return FORWARD_FRAME_MORE;
    if (error == -EPROTO)
        return broken(ret, "malformed msgpack (the reserved byte 0xc1)");
    ret->declared_bytes = frame->skip.need;
    ret->reason = "the message is above forward.max_chunk";
    return FORWARD_FRAME_OVERSIZE;
}

/* The head at skip.at. GO_ON, or a result; asks for the bytes that it lacks. */
static int head_at(struct forward_frame *frame, struct slice in, struct wire_head *ret_head,
                   struct forward_message *ret)
{
    int got = wire_head_read(in.p + frame->skip.at, in.n - frame->skip.at, ret_head);

    frame->skip.need = in.n + 1;
    return got == 1 ? GO_ON : failed(frame, got, ret);
}

/* Skips what skip.values says, then enters `next`. */
static int skip_to(struct forward_frame *frame, struct slice in, enum forward_frame_phase next,
                   struct forward_message *ret)
{
    int got = wire_skip(in.p, in.n, frame->limit, &frame->skip);

    if (got <= 0)
        return failed(frame, got, ret);
    frame->phase = next;
    return GO_ON;
}

/* Leaves the rest of the message unread, but skips over it. */
static void skip_rest(struct forward_frame *frame)
{
    frame->skip.values = frame->elements;
    frame->elements = 0;
    frame->phase = FORWARD_FRAME_IN_REST;
}

static int at_start(struct forward_frame *frame, struct slice in, struct forward_message *ret)
{
    struct wire_head head = {0};
    int result = head_at(frame, in, &head, ret);

    if (result != GO_ON)
        return result;
    if (head.kind != WIRE_ARRAY) {
        frame->keepalive = head.kind == WIRE_NIL;
        frame->ignored = "a value that is no message";
        frame->elements = 1;
        skip_rest(frame);
        return GO_ON;
    }
    frame->skip.at = head.head_bytes;
    frame->elements = head.children;
    if (head.children > frame->limit) {
        frame->skip.need = head.head_bytes + head.children;
        return failed(frame, -EMSGSIZE, ret);
    }
    if (head.children < 2) {
        frame->ignored = "a message of less than two elements";
        skip_rest(frame);
        return GO_ON;
    }
    frame->phase = FORWARD_FRAME_AT_TAG;
    return GO_ON;
}

static int at_tag(struct forward_frame *frame, struct slice in, struct forward_message *ret)
{
    struct wire_head head = {0};
    int result;

    /* A refused tag is skipped all the same: the option says whether an ack is waited for. */
    if (!frame->refused) {
        result = head_at(frame, in, &head, ret);
        if (result != GO_ON)
            return result;
        if (head.kind != WIRE_STR && head.kind != WIRE_BIN)
            frame->refused = "the tag is no string";
        else if (head.body_bytes > FORWARD_FRAME_TAG_BYTES)
            frame->refused = "the tag is longer than 4096 bytes";
        else
            frame->tag = (struct forward_span){(uint32_t)(frame->skip.at + head.head_bytes),
                                               (uint32_t)head.body_bytes};
        frame->skip.values = 1;
    }
    result = skip_to(frame, in, FORWARD_FRAME_AT_SECOND, ret);
    if (result == GO_ON)
        frame->elements--;
    return result;
}

static int at_second(struct forward_frame *frame, struct slice in, struct forward_message *ret)
{
    struct wire_head head = {0};
    int result = head_at(frame, in, &head, ret);
    size_t behind_head;

    if (result != GO_ON)
        return result;
    behind_head = frame->skip.at + head.head_bytes;
    if (head.kind == WIRE_ARRAY) {
        frame->carrier = RING_FORWARD;
        frame->skip.at = behind_head;
        frame->skip.values = head.children;
        frame->declared = head.children > UINT32_MAX ? UINT32_MAX : (uint32_t)head.children;
        frame->payload.at = (uint32_t)behind_head;
        frame->elements--;
    } else if (head.kind == WIRE_STR || head.kind == WIRE_BIN) {
        frame->carrier = RING_PACKED;
        frame->skip.values = 1;
        frame->payload.at = (uint32_t)behind_head;
        frame->elements--;
    } else if (frame->elements < 2) {
        frame->refused = "a message without a record";
        skip_rest(frame);
        return GO_ON;
    } else {
        frame->carrier = RING_MESSAGE;
        frame->skip.values = 2;
        frame->declared = 1;
        frame->payload.at = (uint32_t)frame->skip.at;
        frame->elements -= 2;
    }
    frame->phase = FORWARD_FRAME_IN_PAYLOAD;
    return GO_ON;
}

static int in_payload(struct forward_frame *frame, struct slice in, struct forward_message *ret)
{
    int result = skip_to(frame, in, FORWARD_FRAME_AT_OPTION, ret);

    if (result != GO_ON)
        return result;
    frame->payload.n = (uint32_t)(frame->skip.at - frame->payload.at);
    if (frame->elements == 0)
        frame->phase = FORWARD_FRAME_COMPLETE;
    return GO_ON;
}

static int at_option(struct forward_frame *frame, struct slice in, struct forward_message *ret)
{
    struct wire_head head = {0};
    int result;

    if (frame->options.at == 0) {
        result = head_at(frame, in, &head, ret);
        if (result != GO_ON)
            return result;
        if (head.kind != WIRE_MAP && head.kind != WIRE_NIL)
            return broken(ret, "the option is no map");
        frame->options.at = (uint32_t)frame->skip.at;
        frame->skip.values = 1;
    }
    result = skip_to(frame, in, FORWARD_FRAME_IN_REST, ret);
    if (result != GO_ON)
        return result;
    frame->options.n = (uint32_t)(frame->skip.at - frame->options.at);
    frame->elements--;
    skip_rest(frame);
    return GO_ON;
}

static bool is_key(const struct wire_head *head, struct slice key, const char *name)
{
    return (head->kind == WIRE_STR || head->kind == WIRE_BIN) &&
           slice_is(wire_content(head, key), name);
}

/* One option. Doubled keys: the last one counts, as in Fluentd. */
static int take_option(const struct wire_head *key_head, struct slice key,
                       const struct wire_head *head, struct slice value,
                       struct forward_message *ret)
{
    uint64_t number;

    if (is_key(key_head, key, "chunk")) {
        ret->wants_ack = head->kind != WIRE_NIL && value.p[0] != 0xc2; /* false: none */
        ret->id = ret->wants_ack ? value : slice_of(NULL, 0);
    } else if (is_key(key_head, key, "size")) {
        if (ret->carrier == RING_PACKED && wire_uint(value, &number))
            ret->declared = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    } else if (is_key(key_head, key, "fluent_signal")) {
        if (wire_uint(value, &number) && number <= UINT32_MAX)
            ret->signal = (uint32_t)number;
    } else if (is_key(key_head, key, "compressed") && ret->carrier == RING_PACKED) {
        struct slice word = wire_content(head, value);

        if (head->kind == WIRE_NIL || (head->kind == WIRE_STR && slice_is(word, "text")))
            ret->compression = RING_PLAIN;
        else if (head->kind == WIRE_STR && slice_is(word, "gzip"))
            ret->compression = RING_GZIP;
        else if (head->kind == WIRE_STR && slice_is(word, "zstd"))
            ret->compression = RING_ZSTD;
        else
            return broken(ret, "the option `compressed` is none of text, gzip and zstd");
    }
    return GO_ON;
}

static int read_options(struct slice options, struct forward_message *ret)
{
    struct wire_head map;
    struct slice rest;

    if (wire_head_read(options.p, options.n, &map) <= 0 || map.kind == WIRE_NIL)
        return GO_ON;
    ret->options = options;
    rest = slice_of(options.p + map.head_bytes, options.n - map.head_bytes);
    for (uint64_t i = 0; i < map.children; i += 2) {
        struct wire_head key_head, head;
        struct slice key, value;
        int result;

        if (wire_take(&rest, &key_head, &key) < 0 || wire_take(&rest, &head, &value) < 0)
            return broken(ret, "malformed option map");
        result = take_option(&key_head, key, &head, value, ret);
        if (result != GO_ON)
            return result;
    }
    return GO_ON;
}

/* No entry begins with these bytes, so they beat the option (Fluent Bit's server does the same). */
static enum ring_compression sniff(struct slice payload, enum ring_compression said)
{
    if (payload.n >= 2 && payload.p[0] == 0x1f && payload.p[1] == 0x8b)
        return RING_GZIP;
    if (payload.n >= 4 && memcmp(payload.p, "\x28\xb5\x2f\xfd", 4) == 0)
        return RING_ZSTD;
    return said;
}

static int complete(const struct forward_frame *frame, const uint8_t *p,
                    struct forward_message *ret)
{
    int result;

    ret->bytes = frame->skip.at;
    if (frame->ignored) {
        ret->reason = frame->keepalive ? NULL : frame->ignored;
        return FORWARD_FRAME_IGNORED;
    }
    ret->carrier = frame->carrier;
    ret->declared = frame->declared;
    ret->tag = span_of(p, frame->tag);
    ret->payload = span_of(p, frame->payload);
    if (frame->options.at != 0) {
        result = read_options(span_of(p, frame->options), ret);
        if (result != GO_ON)
            return result;
    }
    if (frame->carrier == RING_PACKED)
        ret->compression = sniff(ret->payload, ret->compression);
    ret->reason = frame->refused;
    if (ret->id.n > FORWARD_FRAME_ID_BYTES)
        ret->reason = "the chunk id is longer than 1024 bytes";
    return ret->reason ? FORWARD_FRAME_REFUSED : FORWARD_FRAME_CHUNK;
}

enum forward_frame_result forward_frame_next(struct forward_frame *frame, const uint8_t *p,
                                             size_t n, struct forward_message *ret)
{
    struct slice in = slice_of(p, n);
    int result = GO_ON;

    *ret = (struct forward_message){.carrier = RING_MESSAGE};
    while (result == GO_ON) {
        switch (frame->phase) {
        case FORWARD_FRAME_AT_START:
            result = at_start(frame, in, ret);
            break;
        case FORWARD_FRAME_AT_TAG:
            result = at_tag(frame, in, ret);
            break;
        case FORWARD_FRAME_AT_SECOND:
            result = at_second(frame, in, ret);
            break;
        case FORWARD_FRAME_IN_PAYLOAD:
            result = in_payload(frame, in, ret);
            break;
        case FORWARD_FRAME_AT_OPTION:
            result = at_option(frame, in, ret);
            break;
        case FORWARD_FRAME_IN_REST:
            result = skip_to(frame, in, FORWARD_FRAME_COMPLETE, ret);
            break;
        case FORWARD_FRAME_COMPLETE:
            result = complete(frame, p, ret);
            break;
        }
    }
    return (enum forward_frame_result)result;
}

enum forward_guess forward_frame_guess(const uint8_t *p, size_t n)
{
    static const char *const methods[] = {"GET ", "POST", "PUT ", "HEAD", "OPTI", "DELE", "PRI "};

    if (p[0] == '{' || p[0] == '[')
        return FORWARD_GUESS_JSON;
    if (n >= 3 && p[0] == 0x16 && p[1] == 0x03 && p[2] <= 0x04)
        return FORWARD_GUESS_TLS;
    for (size_t i = 0; n >= 4 && i < sizeof(methods) / sizeof(methods[0]); i++)
        if (memcmp(p, methods[i], 4) == 0)
            return FORWARD_GUESS_HTTP;
    return FORWARD_GUESS_MSGPACK;
}
