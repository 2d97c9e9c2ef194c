/*
 * JSON by the letter of RFC 8259: what is taken and what it becomes, what is refused and where, and
 * the borders of depth, room and length. test_json_mp_random.c asks another reader's opinion.
 */
#include "processor/json_mp.h"
#include "processor/mp.h"
#include "tests/unit/processor/mp_say.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* What became of a text; it was read from memory of exactly its size. */
struct outcome {
    int status;
    size_t left;
    struct json_error error;
    struct mp_writer w;
    struct buf b;
};

static struct outcome read_bytes(const void *text, size_t n, unsigned flags, bool object)
{
    struct outcome o = {.b = new_buf()};
    uint8_t *copy = malloc(n + (n == 0));
    struct slice in = slice_of(copy, n);

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, text, n);
    o.w = mp_writer_of(&o.b);
    if (object)
        o.status = json_mp_object(in, flags, &o.w, &o.error);
    else
        o.status = json_mp_value(&in, flags, &o.w, &o.error);
    o.left = in.n;
    if (o.status < 0) {
        assert_int_equal(o.left, n);
        assert_int_equal(o.b.n, 0);
        assert_int_equal(o.w.pairs, 0);
        assert_non_null(o.error.reason);
        assert_true(o.error.offset <= n);
    }
    assert_true(o.b.n <= 3 * n + 64);
    o.w.buf = NULL;
    free(copy);
    return o;
}

static struct outcome read_value(const char *text)
{
    return read_bytes(text, strlen(text), 0, false);
}

static const struct {
    const char *text;
    const char *says;
} values[] = {
    /* the words, and white space */
    {"null", "nil"},
    {"true", "true"},
    {"false", "false"},
    {" \t\r\n null", "nil"},
    /* integers */
    {"0", "0"},
    {"1", "1"},
    {"-1", "-1"},
    {"127", "127"},
    {"128", "128"},
    {"65536", "65536"},
    {"-32", "-32"},
    {"-33", "-33"},
    {"1234567890123456789", "1234567890123456789"},
    {"9223372036854775807", "9223372036854775807"},
    {"9223372036854775808", "9223372036854775808"},
    {"9999999999999999999", "9999999999999999999"},
    {"10000000000000000000", "10000000000000000000"},
    {"18446744073709551615", "18446744073709551615"},
    {"18446744073709551616", "\"18446744073709551616\""},
    {"28446744073709551615", "\"28446744073709551615\""},
    {"100000000000000000000", "\"100000000000000000000\""},
    {"-9223372036854775808", "-9223372036854775808"},
    {"-9223372036854775809", "\"-9223372036854775809\""},
    {"-18446744073709551616", "\"-18446744073709551616\""},
    {"-10000000000000000000", "\"-10000000000000000000\""},
    /* floats */
    {"-0", "d-0"},
    {"-0.0", "d-0"},
    {"0.0", "d0"},
    {"1.0", "d1"},
    {"1.5", "d1.5"},
    {"-2.25", "d-2.25"},
    {"0.1", "d0.10000000000000001"},
    {"1e2", "d100"},
    {"1E2", "d100"},
    {"1e+2", "d100"},
    {"1e-2", "d0.01"},
    {"1e02", "d100"},
    {"0e0", "d0"},
    {"0e999999999999", "d0"},
    {"0.000e-999999999999", "d0"},
    {"12.5e-1", "d1.25"},
    {"1700000000.123456789", "d1700000000.1234567"},
    {"-1700000000.1234567", "d-1700000000.1234567"},
    {"9007199254740993.0", "d9007199254740992"},
    {"9007199254740993.00001", "d9007199254740994"},
    {"1.7976931348623157e308", "d1.7976931348623157e+308"},
    {"4.9406564584124654e-324", "d4.9406564584124654e-324"},
    {"2.2250738585072011e-308", "d2.2250738585072009e-308"},
    {"123456789012345678901234567890.5", "d1.2345678901234568e+29"},
    {"0.30000000000000001665334536937", "d0.29999999999999999"},
    {"0.30000000000000001665334536938", "d0.30000000000000004"},
    /* no double says them */
    {"1e309", "\"1e309\""},
    {"-1e309", "\"-1e309\""},
    {"1e999999999999999999999", "\"1e999999999999999999999\""},
    {"1e-400", "\"1e-400\""},
    {"1.8e308", "\"1.8e308\""},
    /* strings */
    {"\"\"", "\"\""},
    {"\"a\"", "\"a\""},
    {"\"a b\"", "\"a b\""},
    {"\"fifteen bytes..\"", "\"fifteen bytes..\""},
    {"\"sixteen bytes...\"", "\"sixteen bytes...\""},
    {"\"seventeen bytes..\"", "\"seventeen bytes..\""},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\x22\\x5c/\\x08\\x0c\\x0a\\x0d\\x09\""},
    {"\"\\u0041\\u00e9\\u20ac\"", "\"A\\xc3\\xa9\\xe2\\x82\\xac\""},
    {"\"\\u0000\"", "\"\\x00\""},
    {"\"\\u001f\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
     "\"\\x1f\\x7f\\xc2\\x80\\xdf\\xbf\\xe0\\xa0\\x80\\xef\\xbf\\xbf\""},
    {"\"\\uABCD\\uabcd\\uAbCd\"", "\"\\xea\\xaf\\x8d\\xea\\xaf\\x8d\\xea\\xaf\\x8d\""},
    {"\"\\ud83d\\ude00\"", "\"\\xf0\\x9f\\x98\\x80\""},
    {"\"\\uD800\\uDC00\"", "\"\\xf0\\x90\\x80\\x80\""},
    {"\"\\udbff\\udfff\"", "\"\\xf4\\x8f\\xbf\\xbf\""},
    {"\"\\ud800\"", "\"\\xef\\xbf\\xbd\""},
    {"\"\\udc00\"", "\"\\xef\\xbf\\xbd\""},
    {"\"\\ud800x\"", "\"\\xef\\xbf\\xbdx\""},
    {"\"\\ud800\\n\"", "\"\\xef\\xbf\\xbd\\x0a\""},
    {"\"\\ud800\\u0041\"", "\"\\xef\\xbf\\xbdA\""},
    {"\"\\ud800\\ud83d\\ude00\"", "\"\\xef\\xbf\\xbd\\xf0\\x9f\\x98\\x80\""},
    {"\"\\ude00\\ud83d\"", "\"\\xef\\xbf\\xbd\\xef\\xbf\\xbd\""},
    {"\"\xc3\xa9 \x7f\"", "\"\\xc3\\xa9 \\x7f\""},
    {"\"\xff\xc0\x80 \xed\xa0\x80\"", "\"\\xff\\xc0\\x80 \\xed\\xa0\\x80\""},
    {"\"//no comment /* at all */\"", "\"//no comment /* at all */\""},
    /* containers */
    {"[]", "[0"},
    {"{}", "{0"},
    {"[ ]", "[0"},
    {"{\n}", "{0"},
    {"[null]", "[1 nil"},
    {"[1,2,3]", "[3 1 2 3"},
    {" [ 1 , 2 , 3 ] ", "[3 1 2 3"},
    {"[[],[[]],{}]", "[3 [0 [1 [0 {0"},
    {"[1.5,\"a\",true,{\"b\":[]}]", "[4 d1.5 \"a\" true {1 \"b\" [0"},
    {"{\"a\":1}", "{1 \"a\" 1"},
    {"{\"a\":{\"b\":{\"c\":[]}},\"d\":2}", "{2 \"a\" {1 \"b\" {1 \"c\" [0 \"d\" 2"},
    {"{\"\":0}", "{1 \"\" 0"},
    {"{\"a\":1,\"a\":2}", "{2 \"a\" 1 \"a\" 2"},
    {"{\"\\u0061\":1,\"a\\\"b\":2}", "{2 \"a\" 1 \"a\\x22b\" 2"},
    {"\t{\r\n\"a\" \n:\t1 ,\r\"b\" : [ ] }", "{2 \"a\" 1 \"b\" [0"},
    {"{\"a key that is longer than thirty-one bytes\":\"and a value that is, too, by some\"}",
     "{1 \"a key that is longer than thirty-one bytes\" \"and a value that is, too, by some\""},
};

static void what_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        struct outcome o = read_value(values[i].text);

        if (o.status != 0)
            fail_msg("%s: %s", values[i].text, o.error.reason);
        assert_says(buf_slice(&o.b), values[i].says);
        buf_fini(&o.b);
    }
}

static const struct {
    const char *text;
    uint32_t line, column;
    const char *reason;
} errors[] = {
    {"", 1, 1, "there is no text"},
    {" ", 1, 2, "the text ends where a value is expected"},
    {"\n\n ", 3, 2, "the text ends where a value is expected"},
    /* words */
    {"nul", 1, 1, "a value is expected"},
    {"nulll", 1, 5, "the value goes on with something else"},
    {"True", 1, 1, "a value is expected"},
    {"NULL", 1, 1, "a value is expected"},
    {"NaN", 1, 1, "a value is expected"},
    {"Infinity", 1, 1, "a value is expected"},
    {"undefined", 1, 1, "a value is expected"},
    {"word", 1, 1, "a value is expected"},
    {"true1", 1, 5, "the value goes on with something else"},
    {"/", 1, 1, "a value is expected"},
    {"// comment\n1", 1, 1, "a value is expected"},
    {"/* comment */ 1", 1, 1, "a value is expected"},
    {"# comment", 1, 1, "a value is expected"},
    {"\xef\xbb\xbf{}", 1, 1, "a value is expected"},
    {"\xff", 1, 1, "a value is expected"},
    {"\v1", 1, 1, "a value is expected"},
    {"\f1", 1, 1, "a value is expected"},
    {"\xc2\xa0"
     "1",
     1, 1, "a value is expected"},
    {",", 1, 1, "a value is expected"},
    {"]", 1, 1, "a value is expected"},
    {"}", 1, 1, "a value is expected"},
    {":", 1, 1, "a value is expected"},
    {"'a'", 1, 1, "a value is expected"},
    /* numbers */
    {"-", 1, 2, "a digit is expected"},
    {"--1", 1, 2, "a digit is expected"},
    {"-a", 1, 2, "a digit is expected"},
    {"- 1", 1, 2, "a digit is expected"},
    {"-Infinity", 1, 2, "a digit is expected"},
    {"+1", 1, 1, "a value is expected"},
    {".5", 1, 1, "a value is expected"},
    {"-.5", 1, 2, "a digit is expected"},
    {"01", 1, 1, "a number begins with 0"},
    {"00", 1, 1, "a number begins with 0"},
    {"-01", 1, 2, "a number begins with 0"},
    {"-00.5", 1, 2, "a number begins with 0"},
    {"0123456789012345678901234", 1, 1, "a number begins with 0"},
    {"1.", 1, 3, "a digit is expected behind the point"},
    {"1.e1", 1, 3, "a digit is expected behind the point"},
    {"1.-5", 1, 3, "a digit is expected behind the point"},
    {"0.5.5", 1, 4, "the value goes on with something else"},
    {"1e", 1, 3, "a digit is expected in the exponent"},
    {"1E+", 1, 3, "a digit is expected in the exponent"},
    {"1e-", 1, 3, "a digit is expected in the exponent"},
    {"1e+-1", 1, 3, "a digit is expected in the exponent"},
    {"1.5ee1", 1, 5, "a digit is expected in the exponent"},
    {"1e1.5", 1, 4, "the value goes on with something else"},
    {"1-2", 1, 2, "the value goes on with something else"},
    {"0x10", 1, 2, "the value goes on with something else"},
    {"1a", 1, 2, "the value goes on with something else"},
    {"1_000", 1, 2, "the value goes on with something else"},
    /* strings */
    {"\"", 1, 2, "the text ends inside a string"},
    {"\"abc", 1, 5, "the text ends inside a string"},
    {"\"abc'", 1, 6, "the text ends inside a string"},
    {"\"a string longer than sixteen bytes", 1, 36, "the text ends inside a string"},
    {"\"\\", 1, 3, "the text ends inside a string"},
    {"\"\\\"", 1, 4, "the text ends inside a string"},
    {"\"\\a\"", 1, 2, "an escape that there is not"},
    {"\"\\x41\"", 1, 2, "an escape that there is not"},
    {"\"\\'\"", 1, 2, "an escape that there is not"},
    {"\"\\U0041\"", 1, 2, "an escape that there is not"},
    {"\"\\\n\"", 1, 2, "an escape that there is not"},
    {"\"abc\\u\"", 1, 5, "\\u is not followed by four hexadecimal digits"},
    {"\"\\u123\"", 1, 2, "\\u is not followed by four hexadecimal digits"},
    {"\"\\u12g4\"", 1, 2, "\\u is not followed by four hexadecimal digits"},
    {"\"\\u 123\"", 1, 2, "\\u is not followed by four hexadecimal digits"},
    {"\"\\u-123\"", 1, 2, "\\u is not followed by four hexadecimal digits"},
    {"\"\\u123", 1, 2, "\\u is not followed by four hexadecimal digits"},
    {"\"\\ud800\\u\"", 1, 8, "\\u is not followed by four hexadecimal digits"},
    {"\"\\ud800\\x\"", 1, 8, "an escape that there is not"},
    {"\"\\ud800\\", 1, 9, "the text ends inside a string"},
    {"\"a\tb\"", 1, 3, "a control character in a string"},
    {"\"a\nb\"", 1, 3, "a control character in a string"},
    {"\"\x1f\"", 1, 2, "a control character in a string"},
    {"[\n \"fifteen bytes, and then one: \x01\"]", 2, 32, "a control character in a string"},
    /* arrays */
    {"[", 1, 2, "the text ends inside a value"},
    {"[1", 1, 3, "the text ends inside a value"},
    {"[1,", 1, 4, "the text ends where a value is expected"},
    {"[,1]", 1, 2, "a value is expected"},
    {"[,]", 1, 2, "a value is expected"},
    {"[1,]", 1, 4, "a value is expected"},
    {"[1,,2]", 1, 4, "a value is expected"},
    {"[1 2]", 1, 4, "',' or ']' is expected"},
    {"[1;2]", 1, 3, "',' or ']' is expected"},
    {"[\"a\":1]", 1, 5, "',' or ']' is expected"},
    {"[1}", 1, 3, "',' or ']' is expected"},
    {"[}", 1, 2, "a value is expected"},
    {"[1.5.5]", 1, 5, "',' or ']' is expected"},
    {"[truefalse]", 1, 6, "',' or ']' is expected"},
    {"[[1]", 1, 5, "the text ends inside a value"},
    {"[1 /* one */]", 1, 4, "',' or ']' is expected"},
    /* objects */
    {"{", 1, 2, "the text ends inside a value"},
    {"{]", 1, 2, "a key in quotes is expected"},
    {"{,}", 1, 2, "a key in quotes is expected"},
    {"{a:1}", 1, 2, "a key in quotes is expected"},
    {"{'a':1}", 1, 2, "a key in quotes is expected"},
    {"{1:1}", 1, 2, "a key in quotes is expected"},
    {"{null:1}", 1, 2, "a key in quotes is expected"},
    {"{\"a\"}", 1, 5, "':' is expected"},
    {"{\"a\"", 1, 5, "':' is expected"},
    {"{\"a\" 1}", 1, 6, "':' is expected"},
    {"{\"a\"=1}", 1, 5, "':' is expected"},
    {"{\"a\",1}", 1, 5, "':' is expected"},
    {"{\"a\":", 1, 6, "the text ends where a value is expected"},
    {"{\"a\":}", 1, 6, "a value is expected"},
    {"{\"a\"::1}", 1, 6, "a value is expected"},
    {"{\"a\":1", 1, 7, "the text ends inside a value"},
    {"{\"a\":1,", 1, 8, "a key in quotes is expected"},
    {"{\"a\":1,}", 1, 8, "a key in quotes is expected"},
    {"{\"a\":1,,\"b\":2}", 1, 8, "a key in quotes is expected"},
    {"{\"a\":1]", 1, 7, "',' or '}' is expected"},
    {"{\"a\":1 \"b\":2}", 1, 8, "',' or '}' is expected"},
    {"{\"a\":\"b\":\"c\"}", 1, 9, "',' or '}' is expected"},
    {"{\n  \"a\": 1,\r\n  \"b\": x\n}", 3, 8, "a value is expected"},
    {"{\"a\":[1,2}", 1, 10, "',' or ']' is expected"},
};

static void what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct outcome o = read_value(errors[i].text);

        if (o.status == 0)
            fail_msg("taken: %s", errors[i].text);
        assert_int_equal(o.status, -EBADMSG);
        if (strcmp(o.error.reason, errors[i].reason) != 0 || o.error.line != errors[i].line ||
            o.error.column != errors[i].column)
            fail_msg("%s: %s at %u:%u", errors[i].text, o.error.reason, o.error.line,
                     o.error.column);
        buf_fini(&o.b);
        /* The same without a place to say why. */
        o.b = new_buf();
        o.w = mp_writer_of(&o.b);
        assert_int_equal(
            json_mp_value(&(struct slice){(const uint8_t *)errors[i].text, strlen(errors[i].text)},
                          0, &o.w, NULL),
            -EBADMSG);
        buf_fini(&o.b);
    }
}

/* A NUL byte is a control character like others, and no white space. */
static void nul_bytes(void **state)
{
    struct outcome o;

    (void)state;
    o = read_bytes("\0", 1, 0, false);
    assert_int_equal(o.status, -EBADMSG);
    buf_fini(&o.b);
    o = read_bytes("[\0]", 3, 0, false);
    assert_int_equal(o.status, -EBADMSG);
    buf_fini(&o.b);
    o = read_bytes("\"a\0b\"", 5, 0, false);
    assert_int_equal(o.status, -EBADMSG);
    assert_int_equal(o.error.offset, 2);
    buf_fini(&o.b);
    o = read_bytes("\"a\0b\"", 5, JSON_LAX, false);
    assert_int_equal(o.status, 0);
    assert_says(buf_slice(&o.b), "\"a\\x00b\"");
    buf_fini(&o.b);
}

/* What follows a value is left for the caller, but for what a number or word could be part of. */
static void values_one_after_the_other(void **state)
{
    const char *text = " 1 ,{\"a\":2}\n\"b\" [3]4.5\ntrue";
    static const char *const says[] = {"1", "{1 \"a\" 2", "\"b\"", "[1 3", "d4.5", "true"};
    static const size_t left[] = {25, 16, 12, 8, 5, 0};
    struct slice in = slice_string(text);

    (void)state;
    for (size_t i = 0; i < COUNT(says); i++) {
        struct buf b = new_buf();
        struct mp_writer w = mp_writer_of(&b);

        assert_int_equal(json_mp_value(&in, 0, &w, NULL), 0);
        assert_says(buf_slice(&b), says[i]);
        assert_int_equal(in.n, left[i]);
        assert_int_equal(w.pairs, 0);
        if (i == 0)
            in = slice_of(in.p + 2, in.n - 2);
        buf_fini(&b);
    }
}

static const struct {
    const char *text;
    const char *says; /* NULL: refused */
    uint32_t pairs;
} objects[] = {
    {"{}", "", 0},
    {" { } ", "", 0},
    {"{\"a\":1}", "\"a\" 1", 1},
    {"\r\n{\"a\":1,\"b\":{\"c\":[1,2]},\"a\":\"d\"}\n", "\"a\" 1 \"b\" {1 \"c\" [2 1 2 \"a\" \"d\"",
     3},
    {"", NULL, 0},
    {" ", NULL, 0},
    {"1", NULL, 0},
    {"[]", NULL, 0},
    {"\"{}\"", NULL, 0},
    {"{", NULL, 0},
    {"{}{}", NULL, 0},
    {"{},", NULL, 0},
    {"{} x", NULL, 0},
    {"{\"a\":1}]", NULL, 0},
    {"{\"a\":1]", NULL, 0},
    {"{\"a\":1,}", NULL, 0},
    {"{:1}", NULL, 0},
    {"{ 1 }", NULL, 0},
    {"{\"a\":\"\t\"}", NULL, 0},
};

static void whole_objects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(objects); i++) {
        struct outcome o = read_bytes(objects[i].text, strlen(objects[i].text), 0, true);

        if ((o.status == 0) != (objects[i].says != NULL))
            fail_msg("%s: %d", objects[i].text, o.status);
        assert_int_equal(o.w.pairs, objects[i].pairs);
        if (o.status == 0)
            assert_says(buf_slice(&o.b), objects[i].says);
        else
            assert_int_equal(o.status, -EBADMSG);
        buf_fini(&o.b);
    }
}

/* The bytes before what is written stay, and pairs go on counting. */
static void it_appends(void **state)
{
    struct buf b = new_buf();
    struct mp_writer w = mp_writer_of(&b);
    struct slice in = SLICE_LITERAL("[1]");

    (void)state;
    mp_put_pair(&w, "k", SLICE_LITERAL("v"));
    assert_int_equal(json_mp_object(SLICE_LITERAL("{\"a\":[1,[2]]}"), 0, &w, NULL), 0);
    assert_int_equal(json_mp_object(SLICE_LITERAL("{\"b\":[1,[2],}"), 0, &w, NULL), -EBADMSG);
    assert_int_equal(w.pairs, 2);
    assert_int_equal(json_mp_value(&in, 0, &w, NULL), 0);
    assert_int_equal(w.pairs, 2);
    assert_false(w.failed);
    assert_says(buf_slice(&b), "\"k\" \"v\" \"a\" [2 1 [1 2 [1 1");
    buf_fini(&b);
}

static void control_characters(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x20; c++) {
        for (size_t at = 1; at < 40; at++) {
            char text[64];
            struct outcome o;

            memset(text, 'x', sizeof(text));
            text[0] = text[sizeof(text) - 1] = '"';
            text[at] = (char)c;
            o = read_bytes(text, sizeof(text), 0, false);
            assert_int_equal(o.status, -EBADMSG);
            assert_int_equal(o.error.offset, at);
            buf_fini(&o.b);
            o = read_bytes(text, sizeof(text), JSON_LAX, false);
            assert_int_equal(o.status, 0);
            assert_int_equal(o.b.n, 2 + sizeof(text) - 2);
            assert_memory_equal(o.b.p + 2, text + 1, sizeof(text) - 2);
            buf_fini(&o.b);
        }
    }
}

/* Strings of every length, with what ends a plain run at every place, near and far from the end. */
static void strings_of_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n += n < 70 ? 1 : 7) {
        for (size_t escape = 0; escape <= n; escape++) {
            for (size_t behind = 0; behind < 40; behind += 13) {
                struct buf text = new_buf(), want = new_buf();
                struct outcome o;

                put_bytes(&text, "\"", 1);
                for (size_t i = 0; i < n; i++) {
                    put_bytes(&text, i == escape ? "\\\"" : "e", i == escape ? 2 : 1);
                    put_bytes(&want, i == escape ? "\"" : "e", 1);
                }
                put_bytes(&text, "\"", 1);
                for (size_t i = 0; i < behind; i++)
                    put_bytes(&text, " ", 1);
                o = read_bytes(text.p, text.n, 0, false);
                assert_int_equal(o.status, 0);
                assert_int_equal(o.left, behind);
                assert_true(o.b.n >= n + 1 && o.b.n <= n + 3);
                if (n > 0)
                    assert_memory_equal(o.b.p + o.b.n - n, want.p, n);
                buf_fini(&o.b);
                buf_fini(&text);
                buf_fini(&want);
            }
        }
    }
}

static void append_n(struct buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        put_bytes(b, text, strlen(text));
}

/* Heads of every width: what a long text says comes back whole. */
static void long_strings_and_containers(void **state)
{
    static const size_t counts[] = {255, 256, 65535, 65536, 200000};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        size_t n = counts[i];
        struct buf text = new_buf();
        struct outcome o;
        struct mp_value v;
        struct mp in;

        put_bytes(&text, "[\"", 2);
        append_n(&text, "x", n - 1);
        put_bytes(&text, "\\n\",[", 5);
        append_n(&text, "7,", n - 1);
        put_bytes(&text, "7],{", 4);
        append_n(&text, "\"k\":7,", n - 1);
        put_bytes(&text, "\"k\":7}]", 7);
        o = read_bytes(text.p, text.n, 0, false);
        assert_int_equal(o.status, 0);
        in = mp_of(buf_slice(&o.b));
        assert_int_equal(mp_next(&in, &v), 0);
        assert_int_equal(v.count, 3);
        assert_int_equal(mp_next(&in, &v), 0);
        assert_int_equal(v.type, MP_STR);
        assert_int_equal(v.bytes.n, n);
        assert_int_equal(v.bytes.p[0], 'x');
        assert_int_equal(v.bytes.p[n - 1], '\n');
        assert_int_equal(mp_next(&in, &v), 0);
        assert_int_equal(v.type, MP_ARRAY);
        assert_int_equal(v.count, n);
        assert_int_equal(mp_skip_content(&in, &v), 0);
        assert_int_equal(mp_next(&in, &v), 0);
        assert_int_equal(v.type, MP_MAP);
        assert_int_equal(v.count, n);
        assert_int_equal(mp_skip_content(&in, &v), 0);
        assert_int_equal(mp_left(&in), 0);
        buf_fini(&o.b);
        buf_fini(&text);
    }
}

/* At the most characters a decimal is a float; one more, and it is text. */
static void long_decimals(void **state)
{
    (void)state;
    for (size_t n = JSON_MAX_DECIMAL; n <= JSON_MAX_DECIMAL + 1; n++) {
        struct buf text = new_buf();
        struct outcome o;

        put_bytes(&text, "0.5", 3);
        append_n(&text, "0", n - 3);
        o = read_bytes(text.p, text.n, 0, false);
        assert_int_equal(o.status, 0);
        if (n == JSON_MAX_DECIMAL)
            assert_says(buf_slice(&o.b), "d0.5");
        else
            assert_int_equal(o.b.n, 3 + n);
        buf_fini(&o.b);
        buf_fini(&text);
    }
}

/* Zeros and an exponent that take each other back, both beyond every bound. */
static void far_exponents(void **state)
{
    struct buf text = new_buf();
    struct outcome o;

    (void)state;
    put_bytes(&text, "0.", 2);
    append_n(&text, "0", 1000000);
    put_bytes(&text, "1e1000001", 9);
    o = read_bytes(text.p, text.n, 0, false);
    assert_int_equal(o.status, 0);
    assert_int_equal(o.b.n, 5 + text.n);
    buf_fini(&o.b);
    buf_fini(&text);
}

static void depth(void **state)
{
    static const char *const opens[] = {"[", "{\"a\":", "[1,", "{\"b\":1,\"a\":"};
    static const char *const closes[] = {"]", "}", ",2]", ",\"c\":[]}"};

    (void)state;
    for (size_t i = 0; i < COUNT(opens); i++) {
        for (size_t n = JSON_MAX_DEPTH - 2; n < JSON_MAX_DEPTH + 2; n++) {
            bool object = opens[i][0] == '{';
            /* "[]" in the last one is a level as well. */
            bool fits = n + (i == 3) <= JSON_MAX_DEPTH;
            struct buf text = new_buf();
            struct outcome o;

            append_n(&text, opens[i], n);
            put_bytes(&text, "3", 1);
            append_n(&text, closes[i], n);
            o = read_bytes(text.p, text.n, 0, object && n % 2 == 0);
            assert_int_equal(o.status, fits ? 0 : -E2BIG);
            if (!fits)
                assert_string_equal(o.error.reason, "too many values within values");
            buf_fini(&o.b);
            buf_fini(&text);
        }
    }
}

static void a_hundred_thousand_brackets(void **state)
{
    static const char *const opens[] = {"[", "{\"a\":", "[{\"\":"};

    (void)state;
    for (size_t i = 0; i < COUNT(opens); i++) {
        struct buf text = new_buf();
        struct outcome o;

        append_n(&text, opens[i], 100000);
        o = read_bytes(text.p, text.n, 0, false);
        assert_int_equal(o.status, -E2BIG);
        assert_true(o.error.offset < JSON_MAX_DEPTH * 6);
        buf_fini(&o.b);
        buf_fini(&text);
    }
}

/* Wherever a text is cut, it is refused, and the error is where the text ends or before. */
static void every_cut(void **state)
{
    const char *text = "{\"a\":[1,-2.5e3,\"x\\n\\u00e9\\ud83d\\ude00 and so on for a while\",true],"
                       "\"b\":{\"c\":{},\"d\":null},\"eeeeeeeeeeeeeeeeeeeeeeeeee\" : [ ] }";
    size_t n = strlen(text);

    (void)state;
    for (size_t cut = 0; cut <= n; cut++) {
        for (unsigned object = 0; object <= 1; object++) {
            struct outcome o = read_bytes(text, cut, 0, object != 0);

            assert_int_equal(o.status, cut == n ? 0 : -EBADMSG);
            buf_fini(&o.b);
        }
    }
}

/* Under every limit of the buffer: all of it, or nothing and w->failed. */
static void without_room(void **state)
{
    const char *text = "{\"a\":[1,-2.5e3,\"a string that is long enough to be copied in steps\"],"
                       "\"b\":{\"c\":123456789012345678901234567890},\"d\":[[],{}]}";
    bool fits = false;

    (void)state;
    for (size_t max = 0; max < 300; max++) {
        struct slice in = slice_string(text);
        struct json_error error = {0};
        struct mp_writer w;
        struct buf b;
        int r;

        buf_init(&b, max);
        w = mp_writer_of(&b);
        r = json_mp_value(&in, 0, &w, &error);
        assert_true(r == 0 || !fits);
        fits = r == 0;
        assert_int_equal(w.failed, !fits);
        if (!fits) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(b.n, 0);
            assert_int_equal(in.n, strlen(text));
            assert_string_equal(error.reason, "there is no room for it");
            /* What failed once stays so. */
            assert_int_equal(json_mp_object(SLICE_LITERAL("{}"), 0, &w, &error), -ENOMEM);
        }
        buf_fini(&b);
    }
    assert_true(fits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(nul_bytes),
        cmocka_unit_test(values_one_after_the_other),
        cmocka_unit_test(whole_objects),
        cmocka_unit_test(it_appends),
        cmocka_unit_test(control_characters),
        cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(long_strings_and_containers),
        cmocka_unit_test(long_decimals),
        cmocka_unit_test(far_exponents),
        cmocka_unit_test(depth),
        cmocka_unit_test(a_hundred_thousand_brackets),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(without_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
