#include "receiver/json_frame.h"

#include <errno.h>

/* How a step ends: go on with the next phase, or return this result. */
#define GO_ON (-1)

#define OPTION_NAME_BYTES 32u
#define OPTION_WORD_BYTES 16u

void json_frame_init(struct json_frame *frame, size_t max_bytes)
{
    *frame = (struct json_frame){.limit = max_bytes};
}

void json_frame_reset(struct json_frame *frame)
{
    json_frame_init(frame, frame->limit);
}

static int broken(struct forward_message *ret, size_t at, const char *reason)
{
    ret->bytes = at;
    ret->reason = reason;
    return FORWARD_FRAME_BROKEN;
}

static int malformed(const struct json_frame *frame, struct forward_message *ret)
{
    return broken(ret, frame->scan.at, "malformed JSON on a JSON connection");
}

/* Scans the present value; behind it goes on with `next`. */
static int scan_to(struct json_frame *frame, struct slice in, enum json_frame_phase next,
                   struct forward_message *ret)
{
    int r = json_scan(in.p, in.n, &frame->scan);

    if (r < 0)
        return malformed(frame, ret);
    if (r == 0)
        return FORWARD_FRAME_MORE;
    frame->phase = next;
    return GO_ON;
}

static void begin_value(struct json_frame *frame)
{
    frame->scan = (struct json_scan){.at = frame->scan.at};
}

/* Skips white space. False: nothing stands behind it yet. */
static bool find_byte(struct json_frame *frame, struct slice in)
{
    frame->scan.at += json_scan_space(in.p + frame->scan.at, in.n - frame->scan.at);
    return frame->scan.at < in.n;
}

static int at_start(struct json_frame *frame, struct slice in)
{
    if (!find_byte(frame, in))
        return FORWARD_FRAME_MORE;
    if (in.p[frame->scan.at] == '[') {
        frame->scan.at++;
        frame->phase = JSON_FRAME_BEFORE_ELEMENT;
    } else {
        begin_value(frame);
        frame->phase = JSON_FRAME_IN_OTHER;
    }
    return GO_ON;
}

static int before_element(struct json_frame *frame, struct slice in)
{
    if (!find_byte(frame, in))
        return FORWARD_FRAME_MORE;
    if (frame->elements == 0 && in.p[frame->scan.at] == ']') {
        frame->scan.at++;
        frame->kind[0] = JSON_SCAN_ARRAY;
        frame->phase = JSON_FRAME_COMPLETE;
        return GO_ON;
    }
    if (frame->elements < JSON_FRAME_ELEMENTS)
        frame->element[frame->elements].at = (uint32_t)frame->scan.at;
    begin_value(frame);
    frame->phase = JSON_FRAME_IN_ELEMENT;
    return GO_ON;
}

static int in_element(struct json_frame *frame, struct slice in, struct forward_message *ret)
{
    int result = scan_to(frame, in, JSON_FRAME_BEHIND_ELEMENT, ret);

    if (result != GO_ON)
        return result;
    if (frame->elements < JSON_FRAME_ELEMENTS) {
        struct forward_span *span = &frame->element[frame->elements];

        span->n = (uint32_t)(frame->scan.at - span->at);
        frame->kind[frame->elements] = frame->scan.kind;
    }
    frame->elements++;
    return GO_ON;
}

static int behind_element(struct json_frame *frame, struct slice in, struct forward_message *ret)
{
    uint8_t byte;

    if (!find_byte(frame, in))
        return FORWARD_FRAME_MORE;
    byte = in.p[frame->scan.at];
    if (byte != ',' && byte != ']')
        return malformed(frame, ret);
    frame->scan.at++;
    frame->phase = byte == ',' ? JSON_FRAME_BEFORE_ELEMENT : JSON_FRAME_COMPLETE;
    return GO_ON;
}

static int in_other(struct json_frame *frame, struct slice in, struct forward_message *ret)
{
    int result = scan_to(frame, in, JSON_FRAME_COMPLETE, ret);

    frame->kind[0] = frame->scan.kind;
    return result;
}

/* ---- a complete one ---- */

static uint32_t clamp(uint64_t number)
{
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

/* As in forward_frame.c; false: none of the words. */
static bool read_compression(enum json_scan_kind kind, struct slice value,
                             struct forward_message *ret)
{
    uint8_t room[OPTION_WORD_BYTES];
    struct slice word;

    if (kind == JSON_SCAN_NULL) {
        ret->compression = RING_PLAIN;
        return true;
    }
    if (kind != JSON_SCAN_STRING || json_scan_string(value, room, sizeof(room), &word) < 0)
        return false;
    if (slice_is(word, "text"))
        ret->compression = RING_PLAIN;
    else if (slice_is(word, "gzip"))
        ret->compression = RING_GZIP;
    else if (slice_is(word, "zstd"))
        ret->compression = RING_ZSTD;
    else
        return false;
    return true;
}

/* One option. Doubled keys: the last one counts. False: `compressed` is an unknown word. */
static bool take_option(struct slice name, enum json_scan_kind kind, struct slice value,
                        struct forward_message *ret)
{
    uint64_t number;

    if (slice_is(name, "chunk")) {
        ret->wants_ack = kind != JSON_SCAN_NULL && kind != JSON_SCAN_FALSE;
        ret->id = ret->wants_ack ? value : slice_of(NULL, 0);
    } else if (slice_is(name, "size")) {
        if (ret->carrier != RING_MESSAGE && kind == JSON_SCAN_NUMBER &&
            json_scan_uint(value, &number))
            ret->declared = clamp(number);
    } else if (slice_is(name, "fluent_signal")) {
        if (kind == JSON_SCAN_NUMBER && json_scan_uint(value, &number) && number <= UINT32_MAX)
            ret->signal = (uint32_t)number;
    } else if (slice_is(name, "compressed") && ret->carrier == RING_PACKED) {
        return read_compression(kind, value, ret);
    }
    return true;
}

/* NULL, or what is wrong with the map. */
static const char *read_options(struct slice map, struct forward_message *ret)
{
    struct slice rest = map;

    ret->options = map;
    json_scan_eat(&rest, '{');
    if (json_scan_eat(&rest, '}'))
        return NULL;
    do {
        uint8_t room[OPTION_NAME_BYTES];
        enum json_scan_kind key_kind, kind;
        struct slice key, value, name;

        if (!json_scan_take(&rest, &key_kind, &key) || key_kind != JSON_SCAN_STRING ||
            !json_scan_eat(&rest, ':') || !json_scan_take(&rest, &kind, &value))
            return "malformed option map";
        if (json_scan_string(key, room, sizeof(room), &name) == 0 &&
            !take_option(name, kind, value, ret))
            return "the option `compressed` is none of text, gzip and zstd";
    } while (json_scan_eat(&rest, ','));
    return json_scan_eat(&rest, '}') ? NULL : "malformed option map";
}

static struct slice element(const struct json_frame *frame, const uint8_t *p, unsigned i)
{
    return slice_of(p + frame->element[i].at, frame->element[i].n);
}

/* Sets the carrier, the payload, and whether there is a record at all. */
static void read_payload(const struct json_frame *frame, const uint8_t *p,
                         struct forward_message *ret)
{
    struct slice second = element(frame, p, 1);

    if (frame->kind[1] == JSON_SCAN_ARRAY || frame->kind[1] == JSON_SCAN_STRING) {
        ret->carrier = frame->kind[1] == JSON_SCAN_ARRAY ? RING_FORWARD : RING_PACKED;
        ret->payload = second;
        return;
    }
    ret->carrier = RING_MESSAGE;
    if (frame->elements < 3) {
        ret->reason = "a message without a record";
        return;
    }
    ret->declared = 1;
    ret->payload =
        slice_of(second.p, frame->element[2].at + frame->element[2].n - frame->element[1].at);
}

/* GO_ON or BROKEN. */
static int read_tag(const struct json_frame *frame, const uint8_t *p, uint8_t *room,
                    struct forward_message *ret)
{
    int r;

    if (frame->kind[0] != JSON_SCAN_STRING) {
        ret->reason = "the tag is no string";
        return GO_ON;
    }
    r = json_scan_string(element(frame, p, 0), room, FORWARD_FRAME_TAG_BYTES, &ret->tag);
    if (r == -EPROTO)
        return broken(ret, frame->element[0].at, "malformed JSON on a JSON connection");
    if (r == -ENOBUFS)
        ret->reason = "the tag is longer than 4096 bytes";
    return GO_ON;
}

static int complete_message(const struct json_frame *frame, const uint8_t *p, uint8_t *room,
                            struct forward_message *ret)
{
    unsigned option;
    const char *wrong;

    read_payload(frame, p, ret);
    if (read_tag(frame, p, room, ret) != GO_ON)
        return FORWARD_FRAME_BROKEN;
    option = ret->carrier == RING_MESSAGE ? 3 : 2;
    if (frame->elements > option && frame->kind[option] != JSON_SCAN_NULL) {
        if (frame->kind[option] != JSON_SCAN_OBJECT)
            return broken(ret, frame->element[option].at, "the option is no map");
        wrong = read_options(element(frame, p, option), ret);
        if (wrong)
            return broken(ret, frame->element[option].at, wrong);
    }
    if (ret->id.n > FORWARD_FRAME_ID_BYTES)
        ret->reason = "the chunk id is longer than 1024 bytes";
    return ret->reason ? FORWARD_FRAME_REFUSED : FORWARD_FRAME_CHUNK;
}

static int complete(const struct json_frame *frame, const uint8_t *p, uint8_t *room,
                    struct forward_message *ret)
{
    ret->bytes = frame->scan.at;
    if (frame->elements >= 2)
        return complete_message(frame, p, room, ret);
    if (frame->elements == 1 || frame->kind[0] == JSON_SCAN_ARRAY)
        ret->reason = "a message of less than two elements";
    else if (frame->kind[0] != JSON_SCAN_NULL)
        ret->reason = "a value that is no message";
    return FORWARD_FRAME_IGNORED;
}

enum forward_frame_result json_frame_next(struct json_frame *frame, const uint8_t *p, size_t n,
                                          uint8_t *room, struct forward_message *ret)
{
    struct slice in = slice_of(p, n < frame->limit ? n : frame->limit);
    int result = GO_ON;

    *ret = (struct forward_message){.carrier = RING_MESSAGE, .json = true};
    while (result == GO_ON) {
        switch (frame->phase) {
        case JSON_FRAME_AT_START:
            result = at_start(frame, in);
            break;
        case JSON_FRAME_BEFORE_ELEMENT:
            result = before_element(frame, in);
            break;
        case JSON_FRAME_IN_ELEMENT:
            result = in_element(frame, in, ret);
            break;
        case JSON_FRAME_BEHIND_ELEMENT:
            result = behind_element(frame, in, ret);
            break;
        case JSON_FRAME_IN_OTHER:
            result = in_other(frame, in, ret);
            break;
        case JSON_FRAME_COMPLETE:
            result = complete(frame, p, room, ret);
            break;
        }
    }
    if (result == FORWARD_FRAME_MORE && in.n == frame->limit) {
        ret->reason = "the message is above forward.max_chunk";
        ret->declared_bytes = (uint64_t)frame->limit + 1;
        result = FORWARD_FRAME_OVERSIZE;
    }
    return (enum forward_frame_result)result;
}
