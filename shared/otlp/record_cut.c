#include "shared/otlp/record_cut.h"

#include "shared/otlp/pb.h"

/* resource_logs, scope_logs and log_records: the fields that lead to a record. */
#define RESOURCE_LOGS 1u
#define SCOPE_LOGS 2u
#define LOG_RECORDS 2u

struct cut {
    uint64_t first, end;
    uint64_t at; /* records seen */
    uint8_t *p;  /* where the next byte goes; there is room for a copy of all that is left */
};

/* The next field, and its bytes with the key. 1, 0 at the end, -EBADMSG. */
static int next_field(struct pb_reader *reader, struct pb_field *ret_field, struct slice *ret_whole)
{
    const uint8_t *from = reader->p;
    int more = pb_next(reader, ret_field);

    if (more > 0)
        *ret_whole = slice_of(from, (size_t)(reader->p - from));
    return more;
}

static int cut_scope(struct cut *cut, struct slice message)
{
    struct pb_reader reader = pb_reader_of(message);
    unsigned width = pb_varint_bytes(message.n);
    uint8_t *const before = cut->p;
    uint8_t *content = pb_nest_begin(before, PB_KEY(SCOPE_LOGS, PB_BYTES), width);
    bool has_records = false;
    struct pb_field field;
    struct slice whole;
    int more;

    cut->p = content;
    while ((more = next_field(&reader, &field, &whole)) > 0) {
        if (field.number == LOG_RECORDS) {
            if (field.wire != PB_BYTES)
                return -EBADMSG;
            cut->at++;
            if (cut->at <= cut->first || cut->at > cut->end)
                continue;
            has_records = true;
        }
        cut->p = pb_put_raw(cut->p, whole.p, whole.n);
    }
    cut->p = has_records ? pb_nest_end(content, width, cut->p) : before;
    return more;
}

static int cut_resource(struct cut *cut, struct slice message)
{
    struct pb_reader reader = pb_reader_of(message);
    unsigned width = pb_varint_bytes(message.n);
    uint8_t *const before = cut->p;
    uint8_t *content = pb_nest_begin(before, PB_KEY(RESOURCE_LOGS, PB_BYTES), width);
    bool has_scopes = false;
    struct pb_field field;
    struct slice whole;
    int more;

    cut->p = content;
    while ((more = next_field(&reader, &field, &whole)) > 0) {
        uint8_t *const scope = cut->p;
        int r;

        if (field.number != SCOPE_LOGS) {
            cut->p = pb_put_raw(cut->p, whole.p, whole.n);
            continue;
        }
        r = field.wire == PB_BYTES ? cut_scope(cut, field.bytes) : -EBADMSG;
        if (r < 0)
            return r;
        has_scopes = has_scopes || cut->p > scope;
    }
    cut->p = has_scopes ? pb_nest_end(content, width, cut->p) : before;
    return more;
}

int record_cut(struct slice request, uint64_t first, uint64_t end, struct buf *out,
               uint64_t *ret_records, struct err *err)
{
    struct pb_reader reader = pb_reader_of(request);
    struct cut cut = {.first = first, .end = end};
    struct pb_field field;
    int more;

    if (buf_reserve(out, request.n + 1) < 0)
        return err_set(err, ENOMEM, "no memory to cut %zu bytes of OTLP", request.n);
    cut.p = out->p + out->n;
    while ((more = pb_next(&reader, &field)) > 0) {
        if (field.number != RESOURCE_LOGS)
            continue;
        if (field.wire != PB_BYTES || cut_resource(&cut, field.bytes) < 0) {
            more = -EBADMSG;
            break;
        }
    }
    if (more < 0)
        return err_set(err, EBADMSG, "OTLP: damaged field before offset %zu",
                       (size_t)(reader.p - request.p));
    out->n = (size_t)(cut.p - out->p);
    *ret_records = cut.at;
    return 0;
}
