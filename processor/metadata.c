#include "processor/metadata.h"

enum otlp_key {
    OTLP_TIMESTAMP = 1,
    OTLP_OBSERVED,
    OTLP_NUMBER,
    OTLP_TEXT,
    OTLP_ATTRIBUTES,
    OTLP_DROPPED,
    OTLP_TRACE,
    OTLP_SPAN,
    OTLP_FLAGS,
    OTLP_EVENT
};

static const struct {
    const char *name;
    enum otlp_key key;
} otlp_keys[] = {
    {"timestamp", OTLP_TIMESTAMP},    {"observed_timestamp", OTLP_OBSERVED},
    {"severity_number", OTLP_NUMBER}, {"severity_text", OTLP_TEXT},
    {"attributes", OTLP_ATTRIBUTES},  {"dropped_attributes_count", OTLP_DROPPED},
    {"trace_id", OTLP_TRACE},         {"span_id", OTLP_SPAN},
    {"trace_flags", OTLP_FLAGS},      {"event_name", OTLP_EVENT},
};

static bool take_number(const struct mp_value *v, uint64_t max, uint64_t *ret)
{
    if (v->type != MP_UINT || v->u > max)
        return false;
    *ret = v->u;
    return true;
}

static bool take_text(const struct mp_value *v, enum mp_type type, struct slice *ret)
{
    if (v->type != type)
        return false;
    *ret = v->bytes;
    return true;
}

static bool take_attributes(struct metadata *m, const struct mp *in, const struct mp_value *v)
{
    if (v->type != MP_MAP || m->attributes_count > 0)
        return false;
    m->attributes = *in;
    m->attributes_count = v->count;
    return true;
}

/* False where the value is not of its key's kind: then it is kept raw. */
static bool take(struct metadata *m, enum otlp_key key, const struct mp *in,
                 const struct mp_value *v)
{
    struct slice id = {NULL, 0}, none = {NULL, 0};
    uint64_t n = 0;
    bool ok;

    switch (key) {
    case OTLP_TIMESTAMP:
        return take_number(v, INT64_MAX, &m->time_ns);
    case OTLP_OBSERVED:
        return take_number(v, INT64_MAX, &m->observed_ns);
    case OTLP_NUMBER:
        ok = take_number(v, 24, &n);
        m->severity_number = (uint8_t)n;
        return ok;
    case OTLP_DROPPED:
        ok = take_number(v, UINT32_MAX, &n);
        m->dropped_attributes = (uint32_t)n;
        return ok;
    case OTLP_TEXT:
        return take_text(v, MP_STR, &m->severity_text);
    case OTLP_EVENT:
        return take_text(v, MP_STR, &m->event_name);
    case OTLP_ATTRIBUTES:
        return take_attributes(m, in, v);
    case OTLP_TRACE:
        ok = take_text(v, MP_BIN, &id);
        trace_context_take_bytes(&m->trace, id, none);
        return ok && (id.n == 0 || m->trace.has_trace);
    case OTLP_SPAN:
        ok = take_text(v, MP_BIN, &id);
        trace_context_take_bytes(&m->trace, none, id);
        return ok && (id.n == 0 || m->trace.has_span);
    case OTLP_FLAGS:
        trace_context_take(&m->trace, TRACE_FLAGS, v, false);
        return v->type == MP_UINT && v->u <= UINT8_MAX;
    }
    return false;
}

static int read_otlp(struct mp *in, uint32_t pairs, struct metadata *m)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct mp_value key, v;
        bool known = false;
        int r = mp_next_pair(in, &key, &v);

        if (r < 0)
            return r;
        for (size_t k = 0; key.type == MP_STR && k < sizeof(otlp_keys) / sizeof(*otlp_keys); k++)
            if (slice_is(key.bytes, otlp_keys[k].name))
                known = take(m, otlp_keys[k].key, in, &v);
        m->is_complete = m->is_complete && known;
        r = mp_skip_content(in, &v);
        if (r < 0)
            return r;
    }
    return 0;
}

int metadata_read(struct mp *in, uint32_t pairs, struct metadata *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->is_complete = true;
    for (uint32_t i = 0; i < pairs; i++) {
        struct mp_value key, v;
        int r = mp_next_pair(in, &key, &v);

        if (r < 0)
            return r;
        if (key.type == MP_STR && slice_is(key.bytes, "otlp") && v.type == MP_MAP) {
            ret->is_complete = ret->is_complete && !ret->is_otlp;
            ret->is_otlp = true;
            r = read_otlp(in, v.count, ret);
        } else {
            ret->is_complete = false;
            ret->is_group = ret->is_group || (key.type == MP_STR && slice_is(key.bytes, "schema"));
            r = mp_skip_content(in, &v);
        }
        if (r < 0)
            return r;
    }
    return 0;
}
