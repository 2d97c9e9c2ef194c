/*
 * fields: any MessagePack value as a time, a level, an id in every form, and as an attribute's
 * value. What is taken lies within OTLP's bounds, and is the same when asked again (there are
 * memos); an id is never zero; keys of a map in an attribute are unique.
 */
#include "processor/otlp_value.h"
#include "processor/severity.h"
#include "processor/timestamp.h"
#include "processor/trace_context.h"
#include "tests/fuzz/fuzz.h"

#define MAX_OUTPUT ((size_t)1 << 24)
#define F_VALUE PB_KEY(2, PB_BYTES)
/* Keys of one map that are compared each with each, and values that wait to be looked into. */
#define MAX_KEYS 256
#define MAX_WAITING 20000

static void check_time(struct mp in, const struct mp_value *v)
{
    static struct timestamp_memo memo;
    struct timestamp_memo none = {.day_s = 0};
    struct timestamp a = {0, false}, b = {0, false};
    bool is = timestamp_of(v, &memo, &a);

    fuzz_check(timestamp_of(v, &none, &b) == is, "a time with and without the memo");
    fuzz_check(!is || (a.ns == b.ns && a.exact == b.exact), "the same time with the memo");
    if (v->type == MP_MAP && timestamp_of_map(in, v->count, &b)) {
        is = true;
        a = b;
    }
    fuzz_check(!is || (a.ns > 0 && a.ns <= INT64_MAX), "a time that OTLP can hold");
}

static void check_level(const struct mp_value *v)
{
    static struct severity_words words;
    static bool ready;

    if (!ready)
        fuzz_check(severity_words_init(&words) == 0, "a table of words");
    ready = true;
    for (int scale = SEVERITY_ANY; scale <= SEVERITY_TEXT; scale++) {
        struct severity a, b;
        struct severity_candidate one = {v, (uint8_t)SEVERITY_VALUE(0, scale), true};
        bool is = severity_of(v, (enum severity_scale)scale, &words, &a);

        fuzz_check(severity_choose(&one, 1, &words, &b) == is, "a level asked again");
        if (!is)
            continue;
        fuzz_check(a.number >= 1 && a.number <= 24 && a.number == b.number, "one of 24 levels");
        fuzz_check(a.text_n > 0 && a.text_n <= sizeof(a.text) && a.text_n == b.text_n &&
                       memcmp(a.text, b.text, a.text_n) == 0,
                   "the same word");
        fuzz_check(utf8_is_valid(slice_of(a.text, a.text_n)), "a word of UTF-8");
    }
}

static void check_ids(const struct mp_value *v)
{
    static const uint8_t zero[16];

    for (int form = TRACE_ID; form <= TRACE_AMZN; form++) {
        for (int pad = 0; pad < 2; pad++) {
            struct trace_context c = {.has_trace = false};

            trace_context_take(&c, (enum trace_form)form, v, pad == 1);
            fuzz_check(!c.has_trace || memcmp(c.trace, zero, 16) != 0, "no zero trace id");
            fuzz_check(!c.has_span || memcmp(c.span, zero, 8) != 0, "no zero span id");
        }
    }
}

/* ---- attributes ---- */

struct waiting {
    struct slice any[MAX_WAITING]; /* AnyValues */
    size_t count;
};

static void wait(struct waiting *waiting, struct slice any)
{
    if (waiting->count < MAX_WAITING)
        waiting->any[waiting->count++] = any;
}

/* A KeyValue: gives its key; its value waits. */
static struct slice take_pair(struct waiting *waiting, struct slice pair)
{
    struct pb_reader r = pb_reader_of(pair);
    struct slice key = {NULL, 0};
    struct pb_field f;
    int status;

    while ((status = pb_next(&r, &f)) > 0) {
        if (f.number == 1)
            key = f.bytes;
        else
            wait(waiting, f.bytes);
    }
    fuzz_check(status == 0, "a pair that can be read");
    fuzz_check(utf8_is_valid(key), "a key of UTF-8");
    return key;
}

static void take_list(struct waiting *waiting, struct slice list, bool map)
{
    struct pb_reader r = pb_reader_of(list);
    struct slice keys[MAX_KEYS];
    size_t count = 0;
    struct pb_field f;
    int status;

    while ((status = pb_next(&r, &f)) > 0) {
        struct slice key;

        if (!map) {
            wait(waiting, f.bytes);
            continue;
        }
        key = take_pair(waiting, f.bytes);
        for (size_t i = 0; i < count; i++)
            fuzz_check(!slice_equal(keys[i], key), "unique keys");
        if (count < MAX_KEYS)
            keys[count++] = key;
    }
    fuzz_check(status == 0, "a list that can be read");
}

static void check_value(struct mp in, const struct mp_value *v)
{
    static struct waiting waiting;
    struct buf b;
    struct otlp_out o;
    struct pb_reader r;
    struct pb_field f;

    buf_init(&b, MAX_OUTPUT);
    fuzz_check(buf_reserve(&b, 1) == 0, "memory");
    o = otlp_out_of(&b);
    waiting.count = 0;
    if (otlp_value_put(&o, F_VALUE, &in, v) == 0) {
        r = pb_reader_of(slice_of(b.p, otlp_out_offset(&o)));
        fuzz_check(pb_next(&r, &f) == 1 && r.p == r.end, "one field");
        wait(&waiting, f.bytes);
    }
    while (waiting.count > 0) {
        r = pb_reader_of(waiting.any[--waiting.count]);
        if (pb_next(&r, &f) <= 0)
            continue; /* nil */
        fuzz_check(r.p == r.end, "one kind of value");
        fuzz_check(f.number != 1 || utf8_is_valid(f.bytes), "text of UTF-8");
        if (f.number == 5 || f.number == 6)
            take_list(&waiting, f.bytes, f.number == 6);
    }
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct mp in = mp_of(slice_of(p, n));
    struct mp_value v;

    if (mp_next(&in, &v) < 0)
        return 0;
    check_time(in, &v);
    check_level(&v);
    check_ids(&v);
    check_value(in, &v);
    return 0;
}
