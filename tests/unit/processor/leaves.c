#include "tests/unit/processor/leaves.h"

#include "processor/otlp_value.h"
#include "processor/record_internal.h"
#include "shared/otlp/pb.h"
#include "shared/otlp/utf8.h"
#include "tests/unit/processor/support.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Deeper values are MessagePack in bytes, otlp_value.h. */
#define MAX_DEPTH 24
#define RUN_BYTES 4

/* ---- the set ---- */

static uint64_t hash_of(enum otlp_leaf leaf, struct slice bytes)
{
    uint64_t h = 0xcbf29ce484222325ull ^ (uint64_t)leaf * 0x9e3779b97f4a7c15ull;

    for (size_t i = 0; i < bytes.n; i++)
        h = (h ^ bytes.p[i]) * 0x100000001b3ull;
    return h ^ h >> 29;
}

static void put_line(struct buf *blob, const char *text)
{
    put_bytes(blob, text, strlen(text));
    put_bytes(blob, "\n", 1);
}

static void add(void *context, enum otlp_leaf leaf, struct slice bytes)
{
    struct leaves *leaves = context;
    char text[64];
    double d;
    int64_t i;

    if (leaves->n == leaves->capacity) {
        leaves->capacity = leaves->capacity * 2 + 64;
        leaves->hash = realloc(leaves->hash, leaves->capacity * sizeof(*leaves->hash));
        if (leaves->hash == NULL)
            abort();
    }
    leaves->hash[leaves->n++] = hash_of(leaf, bytes) << 1 | (leaf == OTLP_LEAF_KEY);
    if (leaf == OTLP_LEAF_INT) {
        memcpy(&i, bytes.p, 8);
        snprintf(text, sizeof(text), "%" PRId64, i);
        put_line(&leaves->blob, text);
    } else if (leaf == OTLP_LEAF_DOUBLE) {
        memcpy(&d, bytes.p, 8);
        snprintf(text, sizeof(text), "%.17g", d);
        put_line(&leaves->blob, text);
    } else if (bytes.n > 0) {
        put_bytes(&leaves->blob, bytes.p, bytes.n);
        put_bytes(&leaves->blob, "\n", 1);
    }
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void leaves_init(struct leaves *leaves)
{
    memset(leaves, 0, sizeof(*leaves));
    leaves->blob = new_buf();
}

void leaves_fini(struct leaves *leaves)
{
    free(leaves->hash);
    buf_fini(&leaves->blob);
}

void leaves_take(struct leaves *leaves, const struct otlp_place *place)
{
    struct otlp_check check = {.each_leaf = add, .context = leaves};
    struct pb_reader r = pb_reader_of(place->record);
    struct pb_field f;

    leaves->n = 0;
    leaves->values = 0;
    leaves->blob.n = 0;
    leaves->severity_text = slice_of(NULL, 0);
    otlp_check_record(&check, place->record);
    otlp_check_resource(&check, place->resource);
    otlp_check_scope(&check, place->scope);
    qsort(leaves->hash, leaves->n, sizeof(*leaves->hash), by_number);
    for (size_t i = 0; i < leaves->n; i++)
        if ((leaves->hash[i] & 1) == 0 && (i == 0 || leaves->hash[i] != leaves->hash[i - 1]))
            leaves->values += leaves->hash[i];
    while (pb_next(&r, &f) > 0) {
        if (f.number == 1)
            leaves->time_ns = f.value;
        if (f.number == 3)
            leaves->severity_text = f.bytes;
    }
}

static bool has(const struct leaves *leaves, enum otlp_leaf leaf, struct slice bytes)
{
    uint64_t hash = hash_of(leaf, bytes) << 1 | (leaf == OTLP_LEAF_KEY);

    return leaves->n > 0 &&
           bsearch(&hash, leaves->hash, leaves->n, sizeof(hash), by_number) != NULL;
}

static bool has_number(const struct leaves *leaves, enum otlp_leaf leaf, uint64_t v)
{
    return has(leaves, leaf, slice_of(&v, sizeof(v)));
}

/* As it is written: made UTF-8. */
static bool has_text(const struct leaves *leaves, struct slice text)
{
    struct buf repaired;
    bool found;

    if (utf8_is_valid(text))
        return has(leaves, OTLP_LEAF_TEXT, text);
    repaired = new_buf();
    if (buf_reserve(&repaired, utf8_sanitized_bytes(text) + 1) < 0)
        abort();
    utf8_sanitize(repaired.p, text);
    found = has(leaves, OTLP_LEAF_TEXT, slice_of(repaired.p, utf8_sanitized_bytes(text)));
    buf_fini(&repaired);
    return found;
}

static bool miss(struct leaves *leaves, const char *what, struct slice bytes)
{
    snprintf(leaves->missing, sizeof(leaves->missing), "%s \"%.*s\"", what,
             (int)(bytes.n > 150 ? 150 : bytes.n), bytes.p);
    return false;
}

/* ---- texts by their words ---- */

static const struct name_row *row_of(struct slice name)
{
    for (const struct name_row *row = record_names; row->name != NULL; row++)
        if (slice_is(name, row->name))
            return row;
    return NULL;
}

static bool is_in(struct slice run, struct slice text)
{
    for (size_t i = 0; i + run.n <= text.n; i++)
        if (strncasecmp((const char *)text.p + i, (const char *)run.p, run.n) == 0)
            return true;
    return false;
}

/* Words that need not be there: JSON's, and parts of names that mean something. */
static bool is_known_word(struct slice run)
{
    for (const struct name_row *row = record_names; row->name != NULL; row++)
        if (is_in(run, slice_string(row->name)))
            return true;
    return slice_is(run, "true") || slice_is(run, "false") || slice_is(run, "null");
}

static bool has_run(const struct leaves *leaves, struct slice run)
{
    if (memmem(leaves->blob.p, leaves->blob.n, run.p, run.n) != NULL ||
        is_in(run, leaves->severity_text) || is_known_word(run))
        return true;
    /* klog's level before the date */
    return memchr("IWEF", run.p[0], 4) != NULL && isdigit(run.p[1]) &&
           memmem(leaves->blob.p, leaves->blob.n, run.p + 1, run.n - 1) != NULL;
}

static bool is_date(const uint8_t *p, size_t n)
{
    static const char shape[] = "0000-00-00";

    for (size_t i = 0; i < 10; i++)
        if (i >= n || (shape[i] == '-' ? p[i] != '-' : !isdigit(p[i])))
            return false;
    return true;
}

/* Times may have become the record's: they are left out. */
static bool has_words(struct leaves *leaves, struct slice text)
{
    const uint8_t *p = text.p, *end = p + text.n;

    while (p < end) {
        const uint8_t *from = p;

        if (is_date(p, (size_t)(end - p))) {
            while (p < end && memchr("0123456789:.,+-TtZz", *p, 19) != NULL)
                p++;
        } else if (*p == '\\') {
            while (p < end && *p == '\\')
                p++;
            p += p < end && *p == 'u' && end - p > 4 ? 5 : p < end;
        } else if (!isalnum(*p)) {
            p++;
        } else {
            while (p < end && isalnum(*p))
                p++;
            if (p - from >= RUN_BYTES && !has_run(leaves, slice_of(from, (size_t)(p - from))))
                return miss(leaves, "a text's word", slice_of(from, (size_t)(end - from)));
        }
    }
    return true;
}

/* ---- values in another form ---- */

static bool is_time(const struct leaves *leaves, const struct name_row *row,
                    const struct mp_value *v)
{
    struct timestamp_memo memo = {.day_s = 0};
    struct timestamp t;

    return row != NULL && row->kind == KEY_TIME && timestamp_of(v, &memo, &t) && t.exact &&
           t.ns == leaves->time_ns;
}

static struct slice trimmed(struct slice text)
{
    while (text.n > 0 && (*text.p == ' ' || *text.p == '\t'))
        text = slice_of(text.p + 1, text.n - 1);
    while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
        text.n--;
    return text;
}

/* The two sides of the last colon, the right one as a text or a number. */
static bool has_parted(const struct leaves *leaves, struct slice text)
{
    const uint8_t *colon = memrchr(text.p, ':', text.n);
    struct slice left, right;
    uint64_t number = 0;

    if (colon == NULL)
        return false;
    left = slice_of(text.p, (size_t)(colon - text.p));
    right = slice_of(colon + 1, text.n - left.n - 1);
    for (size_t i = 0; i < right.n; i++)
        number = number * 10 + (uint64_t)(right.p[i] - '0');
    return has_text(leaves, left) &&
           (has_text(leaves, right) || has_number(leaves, OTLP_LEAF_INT, number));
}

static bool is_said_otherwise(const struct leaves *leaves, const struct name_row *row,
                              struct slice text)
{
    const struct mp_value v = {.type = MP_STR, .bytes = text};
    struct slice word = trimmed(text);

    if (row == NULL)
        return false;
    if (row->kind == KEY_SEVERITY)
        return word.n == leaves->severity_text.n && is_in(word, leaves->severity_text);
    if (row->kind == KEY_FACT && text.n > 1 && *text.p == '/' &&
        has_text(leaves, slice_of(text.p + 1, text.n - 1)))
        return true;
    if (row->kind == KEY_FACT || (row->kind == KEY_RENAME && row->value == RENAME_CALLER))
        return has_parted(leaves, text);
    return is_time(leaves, row, &v);
}

/* ---- JSON ---- */

static bool have_text(struct leaves *leaves, const struct name_row *row, struct slice text);

static bool have_json(struct leaves *leaves, const struct name_row *row, json_object *o);

static bool have_json_number(struct leaves *leaves, const struct name_row *row, json_object *o)
{
    const char *spelled = json_object_get_string(o);
    struct mp_value v = {.type = MP_UINT};
    double d = json_object_get_double(o);
    uint64_t bits;

    if (json_object_is_type(o, json_type_double)) {
        memcpy(&bits, &d, 8);
        v = (struct mp_value){.type = MP_FLOAT, .d = d};
        return has_number(leaves, OTLP_LEAF_DOUBLE, bits) || is_time(leaves, row, &v) ||
               miss(leaves, "a JSON fraction", slice_string(spelled));
    }
    v.u = json_object_get_uint64(o);
    return has_number(leaves, OTLP_LEAF_INT, (uint64_t)json_object_get_int64(o)) ||
           has_text(leaves, slice_string(spelled)) || is_time(leaves, row, &v) ||
           miss(leaves, "a JSON number", slice_string(spelled));
}

static bool have_json_object(struct leaves *leaves, json_object *o)
{
    json_object_object_foreach(o, key, value)
    {
        if (!have_json(leaves, row_of(slice_string(key)), value))
            return false;
    }
    return true;
}

static bool have_json(struct leaves *leaves, const struct name_row *row, json_object *o)
{
    switch (json_object_get_type(o)) {
    case json_type_object:
        return have_json_object(leaves, o);
    case json_type_array:
        for (size_t i = 0; i < json_object_array_length(o); i++)
            if (!have_json(leaves, NULL, json_object_array_get_idx(o, i)))
                return false;
        return true;
    case json_type_string:
        return have_text(
            leaves, row,
            slice_of(json_object_get_string(o), (size_t)json_object_get_string_len(o)));
    case json_type_boolean:
        return has_number(leaves, OTLP_LEAF_BOOL, (uint64_t)json_object_get_boolean(o)) ||
               miss(leaves, "a JSON bool", slice_of(NULL, 0));
    case json_type_null:
        return has(leaves, OTLP_LEAF_NIL, slice_of(NULL, 0)) ||
               miss(leaves, "a JSON null", slice_of(NULL, 0));
    default:
        return have_json_number(leaves, row, o);
    }
}

static json_object *parse(struct slice text)
{
    json_tokener *tokener = json_tokener_new_ex(64);
    json_object *o = json_tokener_parse_ex(tokener, (const char *)text.p, (int)text.n);

    if (o == NULL && json_tokener_get_error(tokener) == json_tokener_continue)
        o = json_tokener_parse_ex(tokener, "\n", 1);
    json_tokener_free(tokener);
    return o;
}

bool leaves_have_json(struct leaves *leaves, struct slice json)
{
    json_object *o = parse(json);
    bool found = o != NULL && have_json(leaves, NULL, o);

    if (o == NULL)
        miss(leaves, "JSON that json-c does not take", json);
    json_object_put(o);
    return found;
}

/* ---- texts ---- */

static bool have_body(struct leaves *leaves, struct slice text)
{
    struct slice json = text;
    bool found;

    if (text.n > 0 && text.p[text.n - 1] == '\n')
        text.n--;
    if (text.n > 0 && text.p[text.n - 1] == '\r')
        text.n--;
    if (has_text(leaves, text))
        return true;
    while (json.n > 0 && isspace(*json.p))
        json = slice_of(json.p + 1, json.n - 1);
    if (json.n > 0 && *json.p == '{') {
        json_object *o = parse(json);

        found = o != NULL && have_json_object(leaves, o);
        json_object_put(o);
        if (o != NULL)
            return found;
    }
    return has_words(leaves, text);
}

static bool have_text(struct leaves *leaves, const struct name_row *row, struct slice text)
{
    if (has_text(leaves, text) || is_said_otherwise(leaves, row, text))
        return true;
    if (row != NULL && row->kind == KEY_BODY)
        return have_body(leaves, text);
    return miss(leaves, row == NULL ? "a text" : row->name, text);
}

/* ---- MessagePack ---- */

static bool have_number(struct leaves *leaves, const struct mp_value *v)
{
    char text[24];
    uint64_t bits;

    if (v->type == MP_BOOL)
        return has_number(leaves, OTLP_LEAF_BOOL, v->u);
    if (v->type == MP_UINT && v->u > INT64_MAX) {
        snprintf(text, sizeof(text), "%" PRIu64, v->u);
        return has_text(leaves, slice_string(text));
    }
    memcpy(&bits, &v->d, 8);
    return has_number(leaves, v->type == MP_FLOAT ? OTLP_LEAF_DOUBLE : OTLP_LEAF_INT,
                      v->type == MP_FLOAT ? bits : v->u);
}

static bool have_scalar(struct leaves *leaves, const struct name_row *row, const struct mp_value *v)
{
    switch (v->type) {
    case MP_NIL:
        return has(leaves, OTLP_LEAF_NIL, slice_of(NULL, 0)) ||
               miss(leaves, "nil", slice_of(NULL, 0));
    case MP_STR:
        return have_text(leaves, row, v->bytes);
    case MP_BIN:
        /* Text comes as bin from Fluentd; what is none, and ids, stays bytes. */
        return (otlp_value_is_text(v->bytes) && have_text(leaves, row, v->bytes)) ||
               has(leaves, OTLP_LEAF_BYTES, v->bytes) || miss(leaves, "bytes", v->bytes);
    case MP_EXT:
        return (has(leaves, OTLP_LEAF_BYTES, v->bytes) &&
                has_number(leaves, OTLP_LEAF_INT, (uint64_t)(int64_t)v->ext_type)) ||
               is_time(leaves, row, v) || miss(leaves, "an ext value", v->bytes);
    default:
        return have_number(leaves, v) || is_time(leaves, row, v) ||
               miss(leaves, row == NULL ? "a number" : row->name, slice_of(NULL, 0));
    }
}

/* The row of "name.key", or of the key where there is no name. */
static const struct name_row *row_of_pair(struct slice name, const struct mp_value *key)
{
    char path[64];
    int n;

    if (key->type != MP_STR || key->bytes.n + name.n + 1 >= sizeof(path))
        return NULL;
    if (name.n == 0)
        return row_of(key->bytes);
    n = snprintf(path, sizeof(path), "%.*s.%.*s", (int)name.n, name.p, (int)key->bytes.n,
                 key->bytes.p);
    return row_of(slice_of(path, (size_t)n));
}

/* *in is behind the header v. Depth bounds the recursion. */
static bool have(struct leaves *leaves, struct slice name, const struct name_row *row,
                 struct mp *in, const struct mp_value *v, unsigned depth)
{
    struct mp_value key = {.type = MP_NIL}, value;
    struct timestamp t;

    if (v->type < MP_ARRAY)
        return have_scalar(leaves, row, v);
    if (depth == MAX_DEPTH ||
        (v->type == MP_MAP && row != NULL && row->kind == KEY_TIME &&
         timestamp_of_map(*in, v->count, &t) && t.exact && t.ns == leaves->time_ns))
        return mp_skip_content(in, v) == 0;
    for (uint32_t i = 0; i < v->count; i++) {
        if (v->type == MP_MAP && (mp_next(in, &key) < 0 || mp_skip_content(in, &key) < 0))
            return miss(leaves, "MessagePack", slice_of(NULL, 0));
        if (mp_next(in, &value) < 0)
            return miss(leaves, "MessagePack", slice_of(NULL, 0));
        if (!have(leaves, depth == 0 && key.type == MP_STR ? key.bytes : SLICE_LITERAL("?"),
                  row_of_pair(name, &key), in, &value, depth + 1))
            return false;
    }
    return true;
}

bool leaves_have(struct leaves *leaves, struct slice value)
{
    struct mp in = mp_of(value);
    struct mp_value v;

    return mp_next(&in, &v) == 0 && have(leaves, slice_of(NULL, 0), NULL, &in, &v, 0);
}
