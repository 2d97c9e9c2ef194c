#include "tests/bench/sink_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/bytes.h"

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

#define KEY(field, wire) ((field) << 3 | (wire))

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
    const char *bad; /* what is wrong, once something is */
};

/* What is known of the record being walked. */
struct record {
    struct sink_seen seen;
    struct slice trace_id;
    struct slice trace_text;
    uint64_t time_ns;
    bool has_sent;
    bool has_body;
};

static uint64_t fail(struct cursor *in, const char *what)
{
    if (in->bad == NULL)
        in->bad = what;
    in->p = in->end;
    return 0;
}

/* Out of line: nearly all varints have one byte. */
static __attribute__((noinline)) uint64_t long_varint(struct cursor *in)
{
    uint64_t v = 0;
    unsigned shift;

    for (shift = 0; shift < 64 && in->p < in->end; shift += 7) {
        uint8_t byte = *in->p++;

        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    return fail(in, "a varint does not end");
}

static inline uint64_t varint(struct cursor *in)
{
    if (in->p < in->end && *in->p < 0x80)
        return *in->p++;
    return long_varint(in);
}

static uint64_t fixed64(struct cursor *in)
{
    if (in->end - in->p < 8)
        return fail(in, "a fixed64 is cut off");
    in->p += 8;
    return bytes_get_le64(in->p - 8);
}

static void fixed32(struct cursor *in)
{
    if (in->end - in->p < 4)
        fail(in, "a fixed32 is cut off");
    else
        in->p += 4;
}

static struct slice bytes(struct cursor *in)
{
    uint64_t n = varint(in);
    const uint8_t *p = in->p;

    if (n > (uint64_t)(in->end - p)) {
        fail(in, "a length goes beyond its message");
        return (struct slice){0};
    }
    in->p += n;
    return slice_of(p, (size_t)n);
}

static struct cursor enter(struct cursor *in)
{
    struct slice part = bytes(in);

    return (struct cursor){part.p, part.p + part.n, in->bad};
}

static void leave(struct cursor *in, const struct cursor *inner)
{
    if (inner->bad != NULL)
        fail(in, inner->bad);
}

/* A field that the caller does not know by number and type. The numbers up to `known` are taken. */
static void skip(struct cursor *in, uint64_t key, uint64_t known, struct sink_walk *walk)
{
    if (key >> 3 == 0 || key >> 3 <= known) {
        fail(in, "a known field has the wrong wire type");
        return;
    }
    walk->unknown_fields++;
    switch (key & 7) {
    case WIRE_VARINT:
        varint(in);
        break;
    case WIRE_FIXED64:
        fixed64(in);
        break;
    case WIRE_BYTES:
        bytes(in);
        break;
    case WIRE_FIXED32:
        fixed32(in);
        break;
    default:
        fail(in, "an unknown wire type");
    }
}

/* An AnyValue. Gives its integer or its string where it is one. */
static void any_value(struct cursor *in, struct sink_walk *walk, uint64_t *ret_int,
                      bool *ret_is_int, struct slice *ret_string)
{
    while (in->p < in->end) {
        uint64_t key = varint(in);

        switch (key) {
        case KEY(1, WIRE_BYTES):
            *ret_string = bytes(in);
            break;
        case KEY(3, WIRE_VARINT):
            *ret_int = varint(in);
            *ret_is_int = true;
            break;
        case KEY(2, WIRE_VARINT):
            varint(in);
            break;
        case KEY(4, WIRE_FIXED64):
            fixed64(in);
            break;
        case KEY(5, WIRE_BYTES):
        case KEY(6, WIRE_BYTES):
        case KEY(7, WIRE_BYTES):
            bytes(in);
            break;
        default:
            skip(in, key, 7, walk);
        }
    }
}

static void attribute(struct cursor *in, struct sink_walk *walk, struct record *record)
{
    struct slice name = {0};
    struct slice string = {0};
    struct cursor value;
    uint64_t number = 0;
    bool is_int = false;

    while (in->p < in->end) {
        uint64_t key = varint(in);

        if (key == KEY(1, WIRE_BYTES)) {
            name = bytes(in);
        } else if (key == KEY(2, WIRE_BYTES)) {
            value = enter(in);
            any_value(&value, walk, &number, &is_int, &string);
            leave(in, &value);
        } else {
            skip(in, key, 2, walk);
        }
    }
    if (name.n == 0)
        fail(in, "an attribute has no key");
    walk->attributes++;
    if (is_int && slice_equal(name, SLICE_LITERAL("seq"))) {
        record->seen.seq = number;
        record->seen.has_seq = true;
    } else if (is_int && slice_equal(name, SLICE_LITERAL("sent_ns"))) {
        record->seen.sent_ns = number;
        record->has_sent = true;
    } else if (slice_equal(name, SLICE_LITERAL("trace_id"))) {
        record->trace_text = string;
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The trace id must say what the attribute says, where that is 32 hex digits. */
static bool trace_id_differs(const struct record *record)
{
    unsigned i;

    if (record->trace_text.n != 32)
        return false;
    if (record->trace_id.n != 16)
        return true;
    for (i = 0; i < 16; i++) {
        int high = hex_value(record->trace_text.p[2 * i]);
        int low = hex_value(record->trace_text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        if (record->trace_id.p[i] != (high << 4 | low))
            return true;
    }
    return false;
}

static int keep(struct sink_walk *walk, const struct record *record)
{
    if (walk->records == walk->room) {
        size_t room = walk->room > 0 ? 2 * walk->room : 4096;
        struct sink_seen *seen = realloc(walk->seen, room * sizeof(*seen));

        if (seen == NULL)
            return -ENOMEM;
        walk->seen = seen;
        walk->room = room;
    }
    walk->seen[walk->records++] = record->seen;
    return 0;
}

static void record_field(struct cursor *in, uint64_t key, struct sink_walk *walk,
                         struct record *record)
{
    struct cursor part;

    switch (key) {
    case KEY(1, WIRE_FIXED64):
        record->time_ns = fixed64(in);
        break;
    case KEY(2, WIRE_VARINT):
        walk->bad_severity += varint(in) > 24;
        break;
    case KEY(5, WIRE_BYTES):
        record->has_body = bytes(in).n > 0;
        break;
    case KEY(6, WIRE_BYTES):
        part = enter(in);
        attribute(&part, walk, record);
        leave(in, &part);
        break;
    case KEY(7, WIRE_VARINT):
        varint(in);
        break;
    case KEY(8, WIRE_FIXED32):
        fixed32(in);
        break;
    case KEY(9, WIRE_BYTES):
        record->trace_id = bytes(in);
        break;
    case KEY(11, WIRE_FIXED64):
        fixed64(in);
        break;
    case KEY(3, WIRE_BYTES):
    case KEY(10, WIRE_BYTES):
    case KEY(12, WIRE_BYTES):
        bytes(in);
        break;
    default:
        skip(in, key, 12, walk);
    }
}

static void log_record(struct cursor *in, struct sink_walk *walk)
{
    struct record record = {0};

    while (in->p < in->end)
        record_field(in, varint(in), walk, &record);
    if (!record.has_sent)
        record.seen.sent_ns = record.time_ns;
    walk->no_body += !record.has_body;
    walk->no_time += record.time_ns == 0;
    walk->bad_trace_id += record.trace_id.n != 0 && record.trace_id.n != 16;
    walk->trace_id_differs += trace_id_differs(&record);
    if (in->bad == NULL && keep(walk, &record) < 0)
        fail(in, "out of memory");
}

static void scope_logs(struct cursor *in, struct sink_walk *walk)
{
    struct cursor part;

    while (in->p < in->end) {
        uint64_t key = varint(in);

        if (key == KEY(2, WIRE_BYTES)) {
            part = enter(in);
            log_record(&part, walk);
            leave(in, &part);
        } else if (key == KEY(1, WIRE_BYTES) || key == KEY(3, WIRE_BYTES)) {
            bytes(in);
        } else {
            skip(in, key, 3, walk);
        }
    }
}

static void resource_logs(struct cursor *in, struct sink_walk *walk)
{
    struct cursor part;

    while (in->p < in->end) {
        uint64_t key = varint(in);

        if (key == KEY(2, WIRE_BYTES)) {
            part = enter(in);
            scope_logs(&part, walk);
            leave(in, &part);
        } else if (key == KEY(1, WIRE_BYTES) || key == KEY(3, WIRE_BYTES)) {
            bytes(in);
        } else {
            skip(in, key, 3, walk);
        }
    }
}

int sink_walk_request(struct sink_walk *walk, struct slice body, struct err *err)
{
    struct cursor in = {body.p, body.p + body.n, NULL};
    struct cursor part;

    *walk = (struct sink_walk){.seen = walk->seen, .room = walk->room};
    while (in.p < in.end) {
        uint64_t key = varint(&in);

        if (key == KEY(1, WIRE_BYTES)) {
            part = enter(&in);
            resource_logs(&part, walk);
            leave(&in, &part);
        } else {
            skip(&in, key, 1, walk);
        }
    }
    if (in.bad != NULL)
        return err_set(err, EBADMSG, "protobuf: %s", in.bad);
    return 0;
}
