/*
 * JSON against another reader: documents made by chance, and what is left of them after small
 * changes, go through json_mp and json-c, which must agree on what is JSON and what it says; and
 * decimals through json_mp and the C library. The seeds are fixed: a failure comes again.
 */
#include "processor/json_mp.h"
#include "processor/mp.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

#define DOCUMENTS 4000
#define CHANGES 12 /* to each document, one at a time */
#define DECIMALS 300000
#define MADE_DEPTH 6
#define PEER_DEPTH 64

/* xorshift64* */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545f4914f6cdd1dull;
}

static unsigned below(uint64_t *seed, unsigned n)
{
    return (unsigned)((next_random(seed) >> 33) % n);
}

static void put_text(struct buf *b, const char *text)
{
    put_bytes(b, text, strlen(text));
}

/* ---- documents ---- */

static void make_white(struct buf *b, uint64_t *seed)
{
    static const char *const white[] = {"", "", "", "", "", " ", "  ", "\n", "\r\n\t"};

    put_text(b, white[below(seed, sizeof(white) / sizeof(*white))]);
}

static void make_string(struct buf *b, uint64_t *seed)
{
    static const char *const pieces[] = {"a",
                                         "bc",
                                         "level",
                                         "0123456789abcdef",
                                         " ",
                                         "\\n",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "\\t",
                                         "\xc3\xa9",
                                         "\\u00e9",
                                         "\\u0041",
                                         "\\u20AC",
                                         "\\b\\f",
                                         "{[,:]}",
                                         "\\r",
                                         "\\ud83d\\ude00",
                                         "\xf0\x9f\x98\x80"};
    unsigned n = below(seed, 4) == 0 ? below(seed, 60) : below(seed, 6);

    put_text(b, "\"");
    while (n-- > 0)
        put_text(b, pieces[below(seed, sizeof(pieces) / sizeof(*pieces))]);
    put_text(b, "\"");
}

static void make_number(struct buf *b, uint64_t *seed)
{
    char text[64];
    uint64_t v = next_random(seed) >> below(seed, 64);

    switch (below(seed, 5)) {
    case 0:
        snprintf(text, sizeof(text), "%" PRIu64, v);
        break;
    case 1:
        snprintf(text, sizeof(text), "%" PRId64, -(int64_t)(v >> 1) - 1);
        break;
    case 2:
        snprintf(text, sizeof(text), "%" PRIu64 ".%u", v >> 20, below(seed, 100000));
        break;
    case 3:
        snprintf(text, sizeof(text), "%u.%ue%d", below(seed, 10), below(seed, 1000),
                 (int)below(seed, 200) - 100);
        break;
    default:
        snprintf(text, sizeof(text), "%u", below(seed, 300));
        break;
    }
    put_text(b, text);
}

static void make_scalar(struct buf *b, uint64_t *seed)
{
    static const char *const words[] = {"null", "true", "false"};

    switch (below(seed, 3)) {
    case 0:
        put_text(b, words[below(seed, 3)]);
        break;
    case 1:
        make_number(b, seed);
        break;
    default:
        make_string(b, seed);
        break;
    }
}

/* Keys are numbered, so that they differ: json-c keeps one of equal ones only. */
static void make_key(struct buf *b, uint64_t *seed, unsigned number)
{
    char text[16];

    make_string(b, seed);
    b->n--; /* its last quote */
    snprintf(text, sizeof(text), "%u\"", number);
    put_text(b, text);
    make_white(b, seed);
    put_text(b, ":");
}

/* One frame for each container that is open. */
static void make_document(struct buf *b, uint64_t *seed)
{
    struct {
        bool map;
        unsigned left, made;
    } open[MADE_DEPTH];
    unsigned depth = 0;

    b->n = 0;
    do {
        make_white(b, seed);
        if (depth > 0 && open[depth - 1].left == 0) {
            put_text(b, open[--depth].map ? "}" : "]");
            continue;
        }
        if (depth > 0) {
            if (open[depth - 1].made > 0)
                put_text(b, ",");
            make_white(b, seed);
            if (open[depth - 1].map)
                make_key(b, seed, open[depth - 1].made);
            open[depth - 1].made++;
            open[depth - 1].left--;
            make_white(b, seed);
        }
        if (depth < MADE_DEPTH && (depth == 0 || below(seed, 3) == 0)) {
            open[depth].map = below(seed, 3) > 0;
            open[depth].left = below(seed, 7);
            open[depth].made = 0;
            put_text(b, open[depth++].map ? "{" : "[");
        } else {
            make_scalar(b, seed);
        }
    } while (depth > 0);
    make_white(b, seed);
}

/* A byte less, more or other, a piece moved, or the end cut off. */
static void change(struct buf *b, uint64_t *seed)
{
    static const char bytes[] = "{}[],:\"\"\\\\/'0019.-+eEutrfnals \n\t\xff\x01";
    size_t at = below(seed, (unsigned)b->n);
    char byte = bytes[below(seed, sizeof(bytes) - 1)];

    switch (below(seed, 6)) {
    case 0:
        memmove(b->p + at, b->p + at + 1, b->n - at - 1);
        b->n--;
        break;
    case 1:
    case 2:
        put_bytes(b, &byte, 1);
        memmove(b->p + at + 1, b->p + at, b->n - at - 1);
        b->p[at] = (uint8_t)byte;
        break;
    case 3:
        b->p[at] = b->p[below(seed, (unsigned)b->n)];
        break;
    case 4:
        b->p[at] = (uint8_t)byte;
        break;
    default:
        b->n = at;
        break;
    }
}

/* ---- two readers ---- */

static bool is_white(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* json-c's opinion of a whole text; false: no JSON. */
static bool peer_reads(struct slice text, json_object **ret)
{
    json_tokener *tokener = json_tokener_new_ex(PEER_DEPTH);
    enum json_tokener_error error;
    json_object *root;
    size_t end;

    assert_non_null(tokener);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    root = json_tokener_parse_ex(tokener, (const char *)text.p, (int)text.n);
    error = json_tokener_get_error(tokener);
    end = json_tokener_get_parse_end(tokener);
    if (error == json_tokener_continue) { /* a number or nothing: the end is not known yet */
        root = json_tokener_parse_ex(tokener, "", 1);
        error = json_tokener_get_error(tokener);
        end = text.n;
    }
    json_tokener_free(tokener);
    while (error == json_tokener_success && end < text.n && is_white(text.p[end]))
        end++;
    if (error != json_tokener_success || end < text.n) {
        json_object_put(root);
        return false;
    }
    *ret = root;
    return true;
}

static bool we_read(struct slice text, struct buf *b)
{
    struct mp_writer w = mp_writer_of(b);
    struct json_error error;
    uint8_t *copy = malloc(text.n + (text.n == 0));
    struct slice in = slice_of(copy, text.n);
    int r;

    assert_non_null(copy);
    memcpy(copy, text.p, text.n);
    b->n = 0;
    r = json_mp_value(&in, JSON_LAX, &w, &error);
    assert_true(b->n <= 3 * text.n + 64);
    for (size_t i = 0; r == 0 && i < in.n; i++)
        if (!is_white(in.p[i]))
            r = -EBADMSG;
    free(copy);
    return r == 0;
}

static bool same_number(const struct mp_value *v, json_object *o)
{
    if (json_object_is_type(o, json_type_double))
        return v->type == MP_FLOAT ? v->d == json_object_get_double(o) : v->type == MP_STR;
    if (v->type == MP_UINT)
        return v->u == json_object_get_uint64(o);
    if (v->type == MP_INT)
        return v->i == json_object_get_int64(o);
    /* -0, and what is beyond 64 bits: json-c takes the nearest integer that it has. */
    return v->type == MP_STR || (v->type == MP_FLOAT && v->d == 0 && json_object_get_int64(o) == 0);
}

/* json-c takes some good pairs of surrogates for lone ones (\\ud836\\ude00), and writes U+FFFD. */
static bool same_text(struct slice ours, struct slice theirs)
{
    return slice_equal(ours, theirs) || memmem(theirs.p, theirs.n, "\xef\xbf\xbd", 3) != NULL;
}

static bool same_scalar(const struct mp_value *v, json_object *o)
{
    switch (json_object_get_type(o)) {
    case json_type_null:
        return v->type == MP_NIL;
    case json_type_boolean:
        return v->type == MP_BOOL && (v->u != 0) == json_object_get_boolean(o);
    case json_type_string:
        return v->type == MP_STR &&
               same_text(v->bytes, slice_of(json_object_get_string(o),
                                            (size_t)json_object_get_string_len(o)));
    default:
        return same_number(v, o);
    }
}

struct place {
    json_object *o;
    struct json_object_iterator it, end;
    size_t index, count;
};

/* What comes next in the innermost container; closes those that are at their end. */
static bool next_child(struct place *places, unsigned *depth, struct mp *in, json_object **ret)
{
    while (*depth > 0) {
        struct place *place = &places[*depth - 1];
        struct mp_value key;

        if (place->index == place->count) {
            --*depth;
            continue;
        }
        if (json_object_is_type(place->o, json_type_array)) {
            *ret = json_object_array_get_idx(place->o, place->index++);
            return true;
        }
        place->index++;
        assert_int_equal(mp_next(in, &key), 0);
        assert_int_equal(key.type, MP_STR);
        if (!same_text(key.bytes, slice_string(json_object_iter_peek_name(&place->it))))
            fail_msg("keys differ: %.*s, json-c %s", (int)key.bytes.n, (const char *)key.bytes.p,
                     json_object_iter_peek_name(&place->it));
        *ret = json_object_iter_peek_value(&place->it);
        json_object_iter_next(&place->it);
        return true;
    }
    return false;
}

/* False where a key stands twice in an object, in which the two differ by design. */
static bool assert_same(struct slice bytes, json_object *o)
{
    struct place places[PEER_DEPTH];
    struct mp in = mp_of(bytes);
    unsigned depth = 0;

    do {
        struct mp_value v;

        assert_int_equal(mp_next(&in, &v), 0);
        if (v.type != MP_MAP && v.type != MP_ARRAY) {
            if (!same_scalar(&v, o))
                fail_msg("values differ: %s", json_object_get_string(o));
            continue;
        }
        assert_int_equal(json_object_get_type(o),
                         v.type == MP_MAP ? json_type_object : json_type_array);
        assert_true(depth < PEER_DEPTH);
        places[depth] = (struct place){.o = o, .count = v.count};
        if (v.type == MP_MAP) {
            places[depth].it = json_object_iter_begin(o);
            if (v.count != (size_t)json_object_object_length(o))
                return false;
        } else {
            assert_int_equal(json_object_array_length(o), v.count);
        }
        depth++;
    } while (next_child(places, &depth, &in, &o));
    assert_int_equal(mp_left(&in), 0);
    return true;
}

/* Even when it is strict, json-c takes -.5, 1. and 01.5, which the RFC does not. */
static bool peer_is_lax(struct slice text)
{
    static const char *const reasons[] = {"a number begins with 0", "a digit is expected",
                                          "a digit is expected behind the point"};
    struct buf b = new_buf();
    struct mp_writer w = mp_writer_of(&b);
    struct json_error error;

    assert_int_equal(json_mp_value(&text, JSON_LAX, &w, &error), -EBADMSG);
    buf_fini(&b);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
        if (strcmp(error.reason, reasons[i]) == 0)
            return true;
    return false;
}

struct tally {
    unsigned same, neither, doubled, lax;
};

static void compare(struct slice text, struct buf *b, struct tally *tally)
{
    json_object *root = NULL;
    bool ours = we_read(text, b), theirs = peer_reads(text, &root);

    if (ours && !theirs)
        fail_msg("only we take it: %.*s", (int)text.n, (const char *)text.p);
    if (theirs && !ours && !peer_is_lax(text))
        fail_msg("only json-c takes it: %.*s", (int)text.n, (const char *)text.p);
    if (theirs && !ours)
        tally->lax++;
    else if (!ours)
        tally->neither++;
    else if (assert_same(buf_slice(b), root))
        tally->same++;
    else
        tally->doubled++;
    json_object_put(root);
}

static void documents_and_what_is_left_of_them(void **state)
{
    struct buf text = new_buf(), changed = new_buf(), b = new_buf();
    struct tally whole = {0}, tally = {0};
    uint64_t seed = 20240115;

    (void)state;
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        make_document(&text, &seed);
        compare(buf_slice(&text), &b, &whole);
        for (unsigned k = 0; k < CHANGES; k++) {
            changed.n = 0;
            put_bytes(&changed, text.p, text.n);
            change(&changed, &seed);
            if (changed.n > 0)
                compare(buf_slice(&changed), &b, &tally);
        }
    }
    assert_int_equal(whole.same, DOCUMENTS);
    /* Both kinds came in numbers, and few were left out. */
    assert_true(tally.same > DOCUMENTS && tally.neither > DOCUMENTS);
    assert_true(tally.lax + tally.doubled < DOCUMENTS / 10);
    buf_fini(&text);
    buf_fini(&changed);
    buf_fini(&b);
}

/* ---- decimals ---- */

static void make_digits(struct buf *b, uint64_t *seed, unsigned n)
{
    while (n-- > 0) {
        char c = (char)('0' + below(seed, 10));

        put_bytes(b, &c, 1);
    }
}

/* Many kinds: those of the quick ways, those at their borders, and half-way between two doubles. */
static void make_decimal(struct buf *b, uint64_t *seed)
{
    char text[64] = "";
    uint64_t bits = next_random(seed);
    double d;

    b->n = 0;
    if (below(seed, 4) == 0)
        put_text(b, "-");
    switch (below(seed, 6)) {
    case 0: /* any double, to any precision */
        memcpy(&d, &bits, sizeof(d));
        snprintf(text, sizeof(text), "%.*e", (int)below(seed, 20), isfinite(d) ? fabs(d) : 0.5);
        break;
    case 1: /* a time */
        snprintf(text, sizeof(text), "17%08u.", below(seed, 100000000));
        put_text(b, text);
        make_digits(b, seed, 1 + below(seed, 9));
        return;
    case 2: /* between 2^53 and 2^64, where every other one is half-way */
        snprintf(text, sizeof(text), "%" PRIu64 ".0", (bits >> below(seed, 12)) | 1);
        break;
    case 3: /* the same, by powers of ten smaller */
        snprintf(text, sizeof(text), "0.%019" PRIu64, bits >> below(seed, 40));
        break;
    case 4:
        snprintf(text, sizeof(text), "%ue%d", below(seed, 1000000), (int)below(seed, 60) - 30);
        break;
    default:
        snprintf(text, sizeof(text), "%u.", below(seed, 10000));
        put_text(b, text);
        make_digits(b, seed, 1 + below(seed, 24));
        snprintf(text, sizeof(text), "e%d", (int)below(seed, 50) - 25);
        break;
    }
    put_text(b, text);
}

static void decimals_are_those_of_the_c_library(void **state)
{
    struct buf text = new_buf(), b = new_buf();
    uint64_t seed = 20240116;

    (void)state;
    for (unsigned i = 0; i < DECIMALS; i++) {
        struct mp_writer w = mp_writer_of(&b);
        struct slice number;
        struct mp_value v;
        struct mp in;
        double want;

        make_decimal(&text, &seed);
        number = buf_slice(&text);
        b.n = 0;
        assert_int_equal(json_mp_value(&number, 0, &w, NULL), 0);
        assert_int_equal(number.n, 0);
        put_bytes(&text, "", 1);
        want = strtod((const char *)text.p, NULL);
        in = mp_of(buf_slice(&b));
        assert_int_equal(mp_next(&in, &v), 0);
        /* The largest, rounded up to few digits, are no doubles any more. */
        assert_int_equal(v.type, isinf(want) ? MP_STR : MP_FLOAT);
        if (v.type == MP_FLOAT && memcmp(&v.d, &want, sizeof(want)) != 0)
            fail_msg("%s: %.17g", (const char *)text.p, v.d);
    }
    buf_fini(&text);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_and_what_is_left_of_them),
        cmocka_unit_test(decimals_are_those_of_the_c_library),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
