/*
 * json: any text for the JSON reader, in both its forms and both its degrees of strictness. What it
 * takes is MessagePack of whole values, and JSON to a parser that is not ours; what it refuses leaves
 * nothing, and the error lies within the text. The output is three times the text at most.
 */
#include "processor/json_mp.h"
#include "processor/mp.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#define MAX_OUTPUT ((size_t)1 << 20)

/* What stands in the buffer before. */
static const uint8_t before[] = {0xc0};

struct outcome {
    struct buf b;
    struct mp_writer w;
    struct slice rest;
    int status;
};

static void check_error(struct slice text, const struct outcome *o, const struct json_error *error)
{
    uint32_t lines = 1;
    size_t line = 0;

    fuzz_check(o->status == -EBADMSG || o->status == -E2BIG, "an error of the contract");
    fuzz_check(!o->w.failed && o->w.pairs == 0 && o->b.n == sizeof(before), "nothing is left");
    fuzz_check(o->rest.p == text.p && o->rest.n == text.n, "the text is not moved");
    fuzz_check(error->reason != NULL && error->offset <= text.n, "an error within the text");
    for (size_t i = 0; i < error->offset; i++) {
        if (text.p[i] == '\n') {
            lines++;
            line = i + 1;
        }
    }
    fuzz_check(error->line == lines && error->column == error->offset - line + 1,
               "line and column of the offset");
}

static void check_taken(struct slice text, const struct outcome *o, uint64_t values)
{
    struct mp in = mp_of(buf_slice(&o->b));

    fuzz_check(o->b.n <= sizeof(before) + 3 * text.n + 64, "three times the text at most");
    fuzz_check(o->b.p[0] == before[0], "what stood before");
    fuzz_check(mp_skip(&in, 1 + values) == 0 && mp_left(&in) == 0, "whole values and no more");
}

/* The caller frees o->b. */
static void read_text(struct slice text, unsigned flags, bool object, struct outcome *o)
{
    struct json_error error = {0};

    buf_init(&o->b, MAX_OUTPUT);
    fuzz_check(buf_append(&o->b, before, sizeof(before)) == 0, "memory");
    o->w = mp_writer_of(&o->b);
    o->rest = text;
    if (object)
        o->status = json_mp_object(text, flags, &o->w, &error);
    else
        o->status = json_mp_value(&o->rest, flags, &o->w, &error);
    if (o->status != 0)
        check_error(text, o, &error);
    else
        check_taken(text, o, object ? (uint64_t)o->w.pairs * 2 : 1);
}

static bool is_white(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\r' && text.p[i] != '\n')
            return false;
    return true;
}

static bool is_map(const struct buf *b)
{
    struct mp in = mp_of(buf_slice(b));
    struct mp_value v;

    return mp_skip(&in, 1) == 0 && mp_next(&in, &v) == 0 && v.type == MP_MAP;
}

/* By json-c, which is laxer in everything: it takes all that we take. */
static void check_peer(struct slice text)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
    json_object *root;

    fuzz_check(tokener != NULL, "memory for a JSON parser");
    root = json_tokener_parse_ex(tokener, (const char *)text.p, (int)text.n);
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        root = json_tokener_parse_ex(tokener, "", 1);
    fuzz_check(json_tokener_get_error(tokener) == json_tokener_success, "JSON that a parser takes");
    json_object_put(root);
    json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct slice text = slice_of(p, n);
    struct outcome value, object, lax;
    bool whole;

    read_text(text, 0, false, &value);
    read_text(text, 0, true, &object);
    read_text(text, JSON_LAX, false, &lax);
    whole = value.status == 0 && is_white(value.rest);
    if (value.status == 0) {
        check_peer(slice_of(p, n - value.rest.n));
        fuzz_check(lax.status == 0 && slice_equal(buf_slice(&lax.b), buf_slice(&value.b)),
                   "lax as strict, where strict will do");
    }
    if (object.status == 0) {
        size_t pairs = object.b.n - sizeof(before);

        fuzz_check(whole && value.b.n > pairs, "an object is a value");
        fuzz_check(pairs == 0 || memcmp(object.b.p + sizeof(before), value.b.p + value.b.n - pairs,
                                        pairs) == 0,
                   "the same pairs in both forms");
    } else {
        fuzz_check(!whole || !is_map(&value.b), "a whole object is taken");
    }
    buf_fini(&value.b);
    buf_fini(&object.b);
    buf_fini(&lax.b);
    return 0;
}
