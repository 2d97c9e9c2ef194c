#include "shared/otlp/transcode.h"

#include "shared/otlp/json_put.h"
#include "shared/otlp/pb.h"

/*
 * Each message is read twice: once to find its single fields (the last counts) and to check it,
 * once more for its repeated ones, which may stand anywhere between them on the wire.
 * The levels of the schema are functions that call each other; only AnyValue can nest without
 * bound, and it has a stack of its own (put_value).
 */

struct transcoder {
    struct json_put put;
    const uint8_t *base;
    unsigned flags;
    struct err *err;
};

/* One row per single field that a message may have. */
struct field_row {
    uint32_t number;
    enum pb_wire wire;
};

/* The value of a single field, where the message had it. */
struct single {
    bool present;
    uint64_t value;
    struct slice bytes;
};

/* No message of the schema has a field number beyond it. */
#define MAX_FIELD 13

struct message {
    struct single field[MAX_FIELD];
};

static int bad(struct transcoder *t, const uint8_t *at, const char *what)
{
    return err_set(t->err, EBADMSG, "OTLP: %s at offset %zu", what, (size_t)(at - t->base));
}

/*
 * Reads a whole message: fields that `rows` name must have their wire type; the field `repeated`
 * (0: none) must be length-delimited. Everything else is skipped.
 */
static int scan(struct transcoder *t, struct slice bytes, const struct field_row *rows,
                uint32_t repeated, struct message *ret)
{
    struct pb_reader r = pb_reader_of(bytes);
    struct pb_field f;
    int more;

    memset(ret, 0, sizeof(*ret));
    for (;;) {
        const uint8_t *at = r.p;
        const struct field_row *row;

        more = pb_next(&r, &f);
        if (more < 0)
            return bad(t, at, "damaged field");
        if (more == 0)
            return 0;
        if (f.number == repeated && repeated != 0) {
            if (f.wire != PB_BYTES)
                return bad(t, at, "wrong wire type");
            continue;
        }
        for (row = rows; row->number != 0 && row->number != f.number; row++)
            ;
        if (row->number == 0)
            continue;
        if (row->wire != f.wire)
            return bad(t, at, "wrong wire type");
        ret->field[f.number] = (struct single){true, f.value, f.bytes};
    }
}

/* The next occurrence of a repeated field in a message that scan has checked. */
static bool next_repeated(struct pb_reader *r, uint32_t number, struct slice *ret)
{
    struct pb_field f;

    while (pb_next(r, &f) > 0) {
        if (f.number == number && f.wire == PB_BYTES) {
            *ret = f.bytes;
            return true;
        }
    }
    return false;
}

/* ---- AnyValue ---- */

static const struct field_row value_rows[] = {{1, PB_BYTES},   {2, PB_VARINT}, {3, PB_VARINT},
                                              {4, PB_FIXED64}, {5, PB_BYTES},  {6, PB_BYTES},
                                              {7, PB_BYTES},   {0, 0}};

/* One array or key-value list that is being written. */
struct level {
    struct pb_reader r;
    bool list; /* of key-values, not of values */
    bool first;
};

struct value_stack {
    struct level level[TRANSCODE_MAX_DEPTH];
    unsigned depth;
};

/* AnyValue is a oneof: the member that comes last counts. */
static int read_value(struct transcoder *t, struct slice bytes, struct pb_field *ret)
{
    struct pb_reader r = pb_reader_of(bytes);
    struct pb_field f;
    int more;

    ret->number = 0;
    for (;;) {
        const uint8_t *at = r.p;

        more = pb_next(&r, &f);
        if (more < 0)
            return bad(t, at, "damaged value");
        if (more == 0)
            return 0;
        if (f.number > 7)
            continue;
        if (f.wire != value_rows[f.number - 1].wire)
            return bad(t, at, "wrong wire type in a value");
        *ret = f;
    }
}

static void put_scalar(struct json_put *put, const struct pb_field *f)
{
    double d;

    switch (f->number) {
    case 1:
        json_put_literal(put, "{\"stringValue\":");
        json_put_string(put, f->bytes);
        break;
    case 2:
        json_put_literal(put, "{\"boolValue\":");
        json_put_raw(put, f->value ? "true" : "false", f->value ? 4 : 5);
        break;
    case 3:
        json_put_literal(put, "{\"intValue\":\"");
        json_put_i64(put, (int64_t)f->value);
        json_put_literal(put, "\"");
        break;
    case 4:
        memcpy(&d, &f->value, sizeof(d));
        json_put_literal(put, "{\"doubleValue\":");
        json_put_double(put, d);
        break;
    case 7:
        json_put_literal(put, "{\"bytesValue\":");
        json_put_base64(put, f->bytes);
        break;
    default:
        json_put_literal(put, "{");
        break;
    }
    json_put_literal(put, "}");
}

/*
 * Writes a value that is complete in itself, or opens an array or list and pushes it.
 * Returns 1 if it was opened, 0 or -errno.
 */
static int open_value(struct transcoder *t, struct value_stack *stack, struct slice bytes)
{
    struct pb_field f;
    struct message ignored;
    int r = read_value(t, bytes, &f);

    if (r < 0)
        return r;
    if (f.number != 5 && f.number != 6) {
        put_scalar(&t->put, &f);
        return 0;
    }
    if (stack->depth == TRANSCODE_MAX_DEPTH)
        return bad(t, bytes.p, "values nested too deeply");
    r = scan(t, f.bytes, value_rows + 7, 1, &ignored);
    if (r < 0)
        return r;
    if (f.number == 5)
        json_put_literal(&t->put, "{\"arrayValue\":{\"values\":[");
    else
        json_put_literal(&t->put, "{\"kvlistValue\":{\"values\":[");
    stack->level[stack->depth++] = (struct level){pb_reader_of(f.bytes), f.number == 6, true};
    return 1;
}

/* A KeyValue's fields; as scan, without the general machinery: there are ten to a record. */
static int read_key_value(struct transcoder *t, struct slice bytes, struct slice *ret_key,
                          struct single *ret_value)
{
    struct pb_reader r = pb_reader_of(bytes);
    struct pb_field f;

    *ret_key = (struct slice){NULL, 0};
    ret_value->present = false;
    for (;;) {
        const uint8_t *at = r.p;
        int more = pb_next(&r, &f);

        if (more < 0)
            return bad(t, at, "damaged field");
        if (more == 0)
            return 0;
        if (f.number > 2)
            continue;
        if (f.wire != PB_BYTES)
            return bad(t, at, "wrong wire type");
        if (f.number == 1) {
            *ret_key = f.bytes;
        } else {
            ret_value->present = true;
            ret_value->bytes = f.bytes;
        }
    }
}

/* Writes the key of a KeyValue, opened; its value, if any, is for the caller. */
static int open_key_value(struct transcoder *t, struct slice bytes, struct single *ret_value)
{
    struct slice key;
    int r = read_key_value(t, bytes, &key, ret_value);

    if (r < 0)
        return r;
    json_put_literal(&t->put, "{\"key\":");
    json_put_string(&t->put, key);
    if (ret_value->present)
        json_put_literal(&t->put, ",\"value\":");
    return 0;
}

/* Writes one AnyValue, whatever is in it. */
static int put_value(struct transcoder *t, struct slice value)
{
    struct value_stack stack; /* two KiB, of which most values need the depth only */
    int r;

    stack.depth = 0;
    r = open_value(t, &stack, value);
    while (r >= 0 && stack.depth > 0) {
        struct level *top = &stack.level[stack.depth - 1];
        struct single v;

        if (!next_repeated(&top->r, 1, &value)) {
            json_put_literal(&t->put, "]}}");
            stack.depth--;
            /* What was closed may be the value of a KeyValue in the list below. */
            if (stack.depth > 0 && stack.level[stack.depth - 1].list)
                json_put_literal(&t->put, "}");
            continue;
        }
        if (!top->first)
            json_put_literal(&t->put, ",");
        top->first = false;
        if (!top->list) {
            r = open_value(t, &stack, value);
            continue;
        }
        r = open_key_value(t, value, &v);
        if (r == 0 && v.present)
            r = open_value(t, &stack, v.bytes);
        if (r == 0)
            json_put_literal(&t->put, "}");
    }
    return r < 0 ? r : 0;
}

/* ---- the messages of the schema ---- */

/* Writes "," but before the first member, then the name. */
static void put_name(struct transcoder *t, bool *first, const char *name)
{
    if (!*first)
        json_put_literal(&t->put, ",");
    *first = false;
    json_put_literal(&t->put, "\"");
    json_put_raw(&t->put, name, strlen(name));
    json_put_literal(&t->put, "\":");
}

static void put_text_member(struct transcoder *t, bool *first, const char *name, struct single s)
{
    if (s.bytes.n == 0)
        return;
    put_name(t, first, name);
    json_put_string(&t->put, s.bytes);
}

/* Of 32 bits: what is above them is dropped, as protobuf's readers do. */
static void put_number_member(struct transcoder *t, bool *first, const char *name, struct single s)
{
    uint32_t value = (uint32_t)s.value;

    if (value == 0)
        return;
    put_name(t, first, name);
    json_put_u64(&t->put, value);
}

/* An enum is an int32: numbers that nobody has named yet pass, negative ones too. */
static void put_enum_member(struct transcoder *t, bool *first, const char *name, struct single s)
{
    int32_t value = (int32_t)s.value;

    if (value == 0)
        return;
    put_name(t, first, name);
    json_put_i64(&t->put, value);
}

static void put_time_member(struct transcoder *t, bool *first, const char *name, struct single s)
{
    if (s.value == 0)
        return;
    put_name(t, first, name);
    json_put_literal(&t->put, "\"");
    json_put_u64(&t->put, s.value);
    json_put_literal(&t->put, "\"");
}

static void put_id_member(struct transcoder *t, bool *first, const char *name, struct single s)
{
    if (s.bytes.n == 0)
        return;
    put_name(t, first, name);
    json_put_hex(&t->put, s.bytes);
}

/* A repeated message field: its member, its number, and what writes one of them. */
struct repeated {
    const char *name;
    uint32_t number;
    int (*put_one)(struct transcoder *t, struct slice bytes);
};

static int put_elements(struct transcoder *t, struct slice message, const struct repeated *field)
{
    struct pb_reader reader = pb_reader_of(message);
    struct slice bytes;
    bool first = true;
    int r = 0;

    while (r == 0 && next_repeated(&reader, field->number, &bytes)) {
        if (!first)
            json_put_literal(&t->put, ",");
        first = false;
        r = field->put_one(t, bytes);
    }
    return r;
}

static int put_array_member(struct transcoder *t, bool *first, struct slice message,
                            const struct repeated *field)
{
    int r;

    put_name(t, first, field->name);
    json_put_literal(&t->put, "[");
    r = put_elements(t, message, field);
    json_put_literal(&t->put, "]");
    return r;
}

static int put_attribute(struct transcoder *t, struct slice bytes)
{
    struct single value;
    int r = open_key_value(t, bytes, &value);

    if (r == 0 && value.present)
        r = put_value(t, value.bytes);
    json_put_literal(&t->put, "}");
    return r;
}

/* Attributes are field 1, 3 or 6, and left out where there are none. */
static int put_attributes(struct transcoder *t, bool *first, struct slice message, uint32_t number)
{
    const struct repeated field = {"attributes", number, put_attribute};
    struct pb_reader r = pb_reader_of(message);
    struct slice ignored;

    if (!next_repeated(&r, number, &ignored))
        return 0;
    return put_array_member(t, first, message, &field);
}

static int put_resource(struct transcoder *t, struct slice bytes)
{
    static const struct field_row rows[] = {{2, PB_VARINT}, {0, 0}};
    struct message m;
    bool first = true;
    int r = scan(t, bytes, rows, 1, &m);

    json_put_literal(&t->put, "{");
    if (r == 0)
        r = put_attributes(t, &first, bytes, 1);
    put_number_member(t, &first, "droppedAttributesCount", m.field[2]);
    json_put_literal(&t->put, "}");
    return r;
}

static int put_scope(struct transcoder *t, struct slice bytes)
{
    static const struct field_row rows[] = {{1, PB_BYTES}, {2, PB_BYTES}, {4, PB_VARINT}, {0, 0}};
    struct message m;
    bool first = true;
    int r = scan(t, bytes, rows, 3, &m);

    json_put_literal(&t->put, "{");
    put_text_member(t, &first, "name", m.field[1]);
    put_text_member(t, &first, "version", m.field[2]);
    if (r == 0)
        r = put_attributes(t, &first, bytes, 3);
    put_number_member(t, &first, "droppedAttributesCount", m.field[4]);
    json_put_literal(&t->put, "}");
    return r;
}

/* The text of the attribute trace_id, if the record has it as a string. */
static struct slice trace_id_text(struct transcoder *t, struct slice record)
{
    struct pb_reader r = pb_reader_of(record);
    struct slice attribute;

    while (next_repeated(&r, 6, &attribute)) {
        struct slice key;
        struct single any;
        struct pb_field value;

        if (read_key_value(t, attribute, &key, &any) == 0 && slice_is(key, "trace_id") &&
            any.present && read_value(t, any.bytes, &value) == 0 && value.number == 1)
            return value.bytes;
    }
    return (struct slice){NULL, 0};
}

static void put_trace_id(struct transcoder *t, bool *first, struct slice record, struct single id)
{
    struct slice text = {NULL, 0};

    if (t->flags & TRANSCODE_VERBATIM_TRACE_ID)
        text = trace_id_text(t, record);
    if (text.n > 0)
        put_text_member(t, first, "traceId", (struct single){true, 0, text});
    else
        put_id_member(t, first, "traceId", id);
}

static int put_log_record(struct transcoder *t, struct slice bytes)
{
    static const struct field_row rows[] = {{1, PB_FIXED64}, {2, PB_VARINT}, {3, PB_BYTES},
                                            {5, PB_BYTES},   {7, PB_VARINT}, {8, PB_FIXED32},
                                            {9, PB_BYTES},   {10, PB_BYTES}, {11, PB_FIXED64},
                                            {12, PB_BYTES},  {0, 0}};
    struct message m;
    bool first = true;
    int r = scan(t, bytes, rows, 6, &m);

    if (r < 0)
        return r;
    json_put_literal(&t->put, "{");
    put_time_member(t, &first, "timeUnixNano", m.field[1]);
    put_time_member(t, &first, "observedTimeUnixNano", m.field[11]);
    put_enum_member(t, &first, "severityNumber", m.field[2]);
    put_text_member(t, &first, "severityText", m.field[3]);
    if (m.field[5].present) {
        put_name(t, &first, "body");
        r = put_value(t, m.field[5].bytes);
    }
    if (r == 0)
        r = put_attributes(t, &first, bytes, 6);
    put_number_member(t, &first, "droppedAttributesCount", m.field[7]);
    put_number_member(t, &first, "flags", m.field[8]);
    put_trace_id(t, &first, bytes, m.field[9]);
    put_id_member(t, &first, "spanId", m.field[10]);
    put_text_member(t, &first, "eventName", m.field[12]);
    json_put_literal(&t->put, "}");
    return r;
}

/* ResourceLogs and ScopeLogs have one shape: a head (field 1), what it holds (2), a schema (3). */
struct holder {
    const char *head;
    int (*put_head)(struct transcoder *t, struct slice bytes);
    struct repeated held;
};

static int put_holder(struct transcoder *t, struct slice bytes, const struct holder *holder)
{
    static const struct field_row rows[] = {{1, PB_BYTES}, {3, PB_BYTES}, {0, 0}};
    struct message m;
    bool first = true;
    int r = scan(t, bytes, rows, 2, &m);

    json_put_literal(&t->put, "{");
    if (r == 0 && m.field[1].present) {
        put_name(t, &first, holder->head);
        r = holder->put_head(t, m.field[1].bytes);
    }
    if (r == 0)
        r = put_array_member(t, &first, bytes, &holder->held);
    put_text_member(t, &first, "schemaUrl", m.field[3]);
    json_put_literal(&t->put, "}");
    return r;
}

static int put_scope_logs(struct transcoder *t, struct slice bytes)
{
    static const struct holder holder = {"scope", put_scope, {"logRecords", 2, put_log_record}};

    return put_holder(t, bytes, &holder);
}

static int put_resource_logs(struct transcoder *t, struct slice bytes)
{
    static const struct holder holder = {
        "resource", put_resource, {"scopeLogs", 2, put_scope_logs}};

    return put_holder(t, bytes, &holder);
}

int transcode_json_elements(struct slice request, unsigned flags, struct buf *out, struct err *err)
{
    static const struct repeated resource_logs = {NULL, 1, put_resource_logs};
    struct transcoder t = {{out, 0}, request.p, flags, err};
    size_t before = out->n;
    struct message m;
    int r = scan(&t, request, value_rows + 7, 1, &m);

    if (r == 0)
        r = put_elements(&t, request, &resource_logs);
    if (r == 0 && t.put.error != 0)
        r = err_set(err, ENOMEM, "no memory for the JSON of %zu bytes of OTLP", request.n);
    if (r < 0)
        out->n = before;
    return r;
}

int transcode_json(struct slice request, unsigned flags, struct buf *out, struct err *err)
{
    struct json_put put = {out, 0};
    size_t before = out->n;
    int r;

    json_put_literal(&put, TRANSCODE_JSON_HEAD);
    r = transcode_json_elements(request, flags, out, err);
    json_put_literal(&put, TRANSCODE_JSON_TAIL);
    if (r == 0 && put.error != 0)
        r = err_set(err, ENOMEM, "no memory for the JSON of %zu bytes of OTLP", request.n);
    if (r < 0)
        out->n = before;
    return r;
}
