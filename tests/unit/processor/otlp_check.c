#include "tests/unit/processor/otlp_check.h"

#include <stdlib.h>

/* Values within values: 28 levels, a map of ours around them, an ext value within. */
#define MAX_DEPTH 32
#define PROFILE_LIMIT 16

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;
    struct slice bytes;
};

/* ---- protobuf ---- */

static bool take_varint(struct slice *in, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; shift < 70 && in->n > 0; shift += 7) {
        uint8_t byte = *in->p;

        *in = slice_of(in->p + 1, in->n - 1);
        *ret |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool take_fixed(struct slice *in, unsigned n, uint64_t *ret)
{
    *ret = 0;
    if (in->n < n)
        return false;
    for (unsigned i = 0; i < n; i++)
        *ret |= (uint64_t)in->p[i] << 8 * i;
    *in = slice_of(in->p + n, in->n - n);
    return true;
}

/* 1, 0 at the end, -1 where it is no field. */
static int next_field(struct slice *in, struct field *ret)
{
    uint64_t key, n;

    if (in->n == 0)
        return 0;
    if (!take_varint(in, &key))
        return -1;
    ret->number = key >> 3;
    ret->wire = key & 7;
    if (ret->wire == VARINT)
        return take_varint(in, &ret->value) ? 1 : -1;
    if (ret->wire == FIXED64 || ret->wire == FIXED32)
        return take_fixed(in, ret->wire == FIXED64 ? 8 : 4, &ret->value) ? 1 : -1;
    if (ret->wire != BYTES || !take_varint(in, &n) || n > in->n)
        return -1;
    ret->bytes = slice_of(in->p, n);
    *in = slice_of(in->p + n, in->n - n);
    return 1;
}

bool otlp_check_utf8(struct slice text)
{
    const uint8_t *p = text.p, *end = p + text.n;

    while (p < end) {
        unsigned more = *p < 0x80 ? 0 : *p < 0xc2 ? 4 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t c = more == 0 ? *p : more == 1 ? *p & 0x1f : more == 2 ? *p & 15 : *p & 7;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

        if (more == 4 || *p > 0xf4 || (size_t)(end - p) <= more)
            return false;
        for (unsigned i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
        p += more + 1;
    }
    return true;
}

/* ---- values ---- */

static void say(const struct otlp_check *check, enum otlp_leaf leaf, struct slice bytes)
{
    if (check->each_leaf != NULL)
        check->each_leaf(check->context, leaf, bytes);
}

static void say_number(const struct otlp_check *check, enum otlp_leaf leaf, uint64_t v)
{
    say(check, leaf, slice_of(&v, sizeof(v)));
}

static const char *check_text(const struct otlp_check *check, const struct field *f)
{
    if (f->wire != BYTES)
        return "a text is no text";
    if (!otlp_check_utf8(f->bytes))
        return "a text is no UTF-8";
    say(check, OTLP_LEAF_TEXT, f->bytes);
    return NULL;
}

static int by_bytes(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

static const char *check_unique(struct otlp_check *check, struct slice *keys, size_t n)
{
    qsort(keys, n, sizeof(*keys), by_bytes);
    for (size_t i = 1; i < n; i++) {
        if (slice_equal(keys[i - 1], keys[i])) {
            check->culprit = keys[i];
            return "a key stands twice";
        }
    }
    return NULL;
}

static const char *check_list(struct otlp_check *check, struct slice list, bool map,
                              unsigned depth);

static const char *check_value(struct otlp_check *check, struct slice value, unsigned depth)
{
    struct field f;
    int r = next_field(&value, &f);

    if (r == 0) {
        say(check, OTLP_LEAF_NIL, value);
        return NULL;
    }
    if (r < 0 || value.n > 0)
        return "a value is no value";
    if (f.number == 1)
        return check_text(check, &f);
    if (f.number == 2 && f.wire == VARINT && f.value <= 1)
        say_number(check, OTLP_LEAF_BOOL, f.value);
    else if (f.number == 3 && f.wire == VARINT)
        say_number(check, OTLP_LEAF_INT, f.value);
    else if (f.number == 4 && f.wire == FIXED64)
        say_number(check, OTLP_LEAF_DOUBLE, f.value);
    else if (f.number == 7 && f.wire == BYTES)
        say(check, OTLP_LEAF_BYTES, f.bytes);
    else if ((f.number == 5 || f.number == 6) && f.wire == BYTES)
        return depth == MAX_DEPTH ? "values are nested too deeply"
                                  : check_list(check, f.bytes, f.number == 6, depth + 1);
    else
        return "a value is of no kind";
    return NULL;
}

/* A KeyValue. */
static const char *check_pair(struct otlp_check *check, struct slice pair, struct slice *ret_key,
                              unsigned depth)
{
    struct field key, value;

    if (next_field(&pair, &key) != 1 || key.number != 1 || key.wire != BYTES)
        return "a pair does not begin with its key";
    if (key.bytes.n == 0 || !otlp_check_utf8(key.bytes))
        return "a key is empty, or no UTF-8";
    if (next_field(&pair, &value) != 1 || value.number != 2 || value.wire != BYTES || pair.n > 0)
        return "a pair has no value";
    *ret_key = key.bytes;
    say(check, OTLP_LEAF_KEY, key.bytes);
    return check_value(check, value.bytes, depth);
}

/* The fields `number` of a message, each a pair; their keys are unique. */
static const char *check_pairs(struct otlp_check *check, struct slice message, uint64_t number,
                               unsigned depth, size_t *ret_count)
{
    struct slice in = message, *keys;
    const char *wrong = NULL;
    struct field f;
    size_t n = 0;

    while (next_field(&in, &f) == 1)
        n += f.number == number;
    *ret_count = n;
    if (n == 0)
        return NULL;
    keys = calloc(n, sizeof(*keys));
    if (keys == NULL)
        return "out of memory";
    n = 0;
    for (in = message; wrong == NULL && next_field(&in, &f) == 1;)
        if (f.number == number)
            wrong = f.wire == BYTES ? check_pair(check, f.bytes, &keys[n++], depth)
                                    : "a pair is no message";
    if (wrong == NULL)
        wrong = check_unique(check, keys, n);
    free(keys);
    return wrong;
}

/* The content of an ArrayValue or KeyValueList. Depth bounds the recursion. */
static const char *check_list(struct otlp_check *check, struct slice list, bool map, unsigned depth)
{
    struct slice in = list;
    const char *wrong = NULL;
    struct field f;
    size_t n;
    int r;

    while (wrong == NULL && (r = next_field(&in, &f)) != 0) {
        if (r < 0 || f.number != 1 || f.wire != BYTES)
            return "a list has something else than values";
        if (!map)
            wrong = check_value(check, f.bytes, depth);
    }
    return wrong != NULL || !map ? wrong : check_pairs(check, list, 1, depth, &n);
}

/* ---- messages ---- */

const char *otlp_check_resource(struct otlp_check *check, struct slice resource)
{
    struct slice in = resource;
    struct field f;
    size_t n;
    int r;

    while ((r = next_field(&in, &f)) != 0)
        if (r < 0 || !((f.number == 1 && f.wire == BYTES) || (f.number == 2 && f.wire == VARINT)))
            return "a resource has an unknown field";
    return check_pairs(check, resource, 1, 0, &n);
}

const char *otlp_check_scope(struct otlp_check *check, struct slice scope)
{
    struct slice in = scope;
    const char *wrong = NULL;
    struct field f;
    size_t n;
    int r;

    while (wrong == NULL && (r = next_field(&in, &f)) != 0) {
        if (r > 0 && f.number <= 2)
            wrong = check_text(check, &f);
        else if (r < 0 ||
                 !((f.number == 3 && f.wire == BYTES) || (f.number == 4 && f.wire == VARINT)))
            return "a scope has an unknown field";
    }
    return wrong != NULL ? wrong : check_pairs(check, scope, 3, 0, &n);
}

static const char *check_id(const struct otlp_check *check, const struct field *f, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char hex[32];
    bool zero = true;

    if (f->wire != BYTES || f->bytes.n != n)
        return "an id has the wrong length";
    for (size_t i = 0; i < n; i++) {
        zero = zero && f->bytes.p[i] == 0;
        hex[2 * i] = digits[f->bytes.p[i] >> 4];
        hex[2 * i + 1] = digits[f->bytes.p[i] & 15];
    }
    say(check, OTLP_LEAF_BYTES, f->bytes);
    say(check, OTLP_LEAF_TEXT, slice_of(hex, 2 * n));
    return zero ? "an id is zero" : NULL;
}

static const char *check_field(struct otlp_check *check, const struct field *f)
{
    switch (f->number) {
    case 1:
    case 11:
        say_number(check, OTLP_LEAF_INT, f->value);
        return f->wire != FIXED64 || f->value == 0 ? "a time is not set" : NULL;
    case 2:
        say_number(check, OTLP_LEAF_INT, f->value);
        return f->wire != VARINT || f->value > 24 ? "a severity is out of range" : NULL;
    case 3:
    case 12:
        return check_text(check, f);
    case 5:
        return f->wire == BYTES ? check_value(check, f->bytes, 0) : "a body is no message";
    case 6:
        return f->wire == BYTES ? NULL : "an attribute is no message";
    case 7:
        say_number(check, OTLP_LEAF_INT, f->value);
        return f->wire == VARINT && f->value <= UINT32_MAX ? NULL : "a count is out of range";
    case 8:
        say_number(check, OTLP_LEAF_INT, f->value);
        return f->wire == FIXED32 ? NULL : "flags are no flags";
    case 9:
        return check_id(check, f, 16);
    case 10:
        return check_id(check, f, 8);
    default:
        return "a record has an unknown field";
    }
}

const char *otlp_check_record(struct otlp_check *check, struct slice record)
{
    struct slice in = record;
    unsigned seen = 0;
    const char *wrong = NULL;
    struct field f;
    size_t n;
    int r;

    while ((r = next_field(&in, &f)) != 0) {
        if (r < 0)
            return "a record is no message";
        wrong = check_field(check, &f);
        if (wrong != NULL)
            return wrong;
        if (f.number != 6 && (seen >> f.number & 1) != 0)
            return "a field stands twice in a record";
        seen |= 1u << f.number;
    }
    if ((seen & 1u << 1) == 0 || (seen & 1u << 11) == 0)
        return "a record without a time";
    wrong = check_pairs(check, record, 6, 0, &n);
    if (wrong == NULL && check->is_limited && n > PROFILE_LIMIT)
        wrong = "more attributes than the profile allows";
    return wrong;
}

/* ---- the request ---- */

static const char *check_scope_logs(struct otlp_check *check, struct slice logs,
                                    struct otlp_place *place)
{
    struct slice in = logs;
    const char *wrong = NULL;
    struct field f;

    while (wrong == NULL && next_field(&in, &f) == 1) {
        if (f.number != 2)
            continue;
        if (f.wire != BYTES)
            return "a record is no message";
        place->record = f.bytes;
        wrong = otlp_check_record(check, f.bytes);
        check->records++;
        if (wrong == NULL && check->each_record != NULL)
            check->each_record(check->context, place);
    }
    return wrong;
}

/* The head of ResourceLogs or ScopeLogs: field 1 at most once, 2 the lists, 3 the schema's URL. */
static const char *check_head(struct otlp_check *check, struct slice logs, struct slice *ret_head)
{
    struct slice in = logs;
    const char *wrong = NULL;
    bool has_head = false;
    struct field f;
    int r;

    *ret_head = slice_of(NULL, 0);
    while (wrong == NULL && (r = next_field(&in, &f)) != 0) {
        if (r < 0 || f.wire != BYTES || f.number < 1 || f.number > 3)
            return "a list of logs has an unknown field";
        if (f.number == 3)
            wrong = check_text(check, &f);
        if (f.number != 1)
            continue;
        if (has_head)
            return "a list of logs has two heads";
        has_head = true;
        *ret_head = f.bytes;
    }
    return wrong;
}

static const char *check_resource_logs(struct otlp_check *check, struct slice logs)
{
    struct otlp_place place;
    struct slice in = logs;
    const char *wrong = check_head(check, logs, &place.resource);
    struct field f;

    if (wrong == NULL)
        wrong = otlp_check_resource(check, place.resource);
    while (wrong == NULL && next_field(&in, &f) == 1) {
        if (f.number != 2)
            continue;
        wrong = check_head(check, f.bytes, &place.scope);
        if (wrong == NULL)
            wrong = otlp_check_scope(check, place.scope);
        if (wrong == NULL)
            wrong = check_scope_logs(check, f.bytes, &place);
    }
    return wrong;
}

const char *otlp_check_request(struct otlp_check *check, struct slice request)
{
    const char *wrong = NULL;
    struct field f;
    int r;

    check->records = 0;
    while (wrong == NULL && (r = next_field(&request, &f)) != 0) {
        if (r < 0 || f.number != 1 || f.wire != BYTES)
            return "a request has something else than logs";
        wrong = check_resource_logs(check, f.bytes);
    }
    return wrong;
}
