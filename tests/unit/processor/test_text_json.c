/* Which texts are an object, what is in them, and that a guess that fails leaves nothing. */
#include "processor/text.h"
#include "tests/unit/processor/mp_say.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

static const struct {
    const char *text;
    const char *pairs; /* what is said; NULL: TEXT_NO */
    uint32_t count;
} rows[] = {
    {"{\"level\":\"info\",\"msg\":\"done\"}", "\"level\" \"info\" \"msg\" \"done\"", 2},
    {" \t{\"a\": 1}\r\n", "\"a\" 1", 1},
    {"{\"log\":\"{\\\"a\\\":1}\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-15T10:30:45.1Z\"}\n",
     "\"log\" \"{\\x22a\\x22:1}\\x0a\" \"stream\" \"stdout\" \"time\" \"2024-01-15T10:30:45.1Z\"",
     3},
    {"{\"a\":{\"b\":[1,{}]},\"a\":null}", "\"a\" {1 \"b\" [2 1 {0 \"a\" nil", 2},
    {"{\"a\":\"tab\there\"}", "\"a\" \"tab\\x09here\"", 1},
    {"", NULL, 0},
    {" ", NULL, 0},
    {"{", NULL, 0},
    {"}", NULL, 0},
    {"{}", NULL, 0},
    {" { } ", NULL, 0},
    {"text", NULL, 0},
    {"\"text\"", NULL, 0},
    {"12", NULL, 0},
    {"null", NULL, 0},
    {"[{\"a\":1}]", NULL, 0},
    {"{text}", NULL, 0},
    {"{a: 1}", NULL, 0},
    {"{'a': 1}", NULL, 0},
    {"{\"a\":1,}", NULL, 0},
    {"{\"a\":1} {\"b\":2}", NULL, 0},
    {"{\"a\":1}\n{\"b\":2}", NULL, 0},
    {"{\"a\":1}, and more", NULL, 0},
    {"{\"a\":1", NULL, 0},
    {"{\"a\":\"}", NULL, 0},
    {"{\"a\":\"b\\\"}", NULL, 0},
    {"{\"a\":1}}", NULL, 0},
    {"{{\"a\":1}}", NULL, 0},
    {"{\"a\":nan}", NULL, 0},
    {"prefix {\"a\":1}", NULL, 0},
    {"\xef\xbb\xbf{\"a\":1}", NULL, 0},
};

static void verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf b = new_buf();
        struct mp_writer w = mp_writer_of(&b);
        enum text_verdict verdict;

        /* Something before it, which must stay. */
        mp_put_pair(&w, "k", SLICE_LITERAL("v"));
        verdict = text_json(slice_string(rows[i].text), &w);
        if ((verdict == TEXT_REPLACES) != (rows[i].pairs != NULL))
            fail_msg("%s", rows[i].text);
        assert_false(w.failed);
        assert_int_equal(w.pairs, 1 + rows[i].count);
        assert_says(slice_of(b.p, 4), "\"k\" \"v\"");
        if (rows[i].pairs != NULL) {
            assert_says(slice_of(b.p + 4, b.n - 4), rows[i].pairs);
        } else {
            assert_int_equal(verdict, TEXT_NO);
            assert_int_equal(b.n, 4);
        }
        buf_fini(&b);
    }
}

/* A cut of an object is never one, wherever it is cut; but for the white space behind it. */
static void no_cut_is_taken(void **state)
{
    const char *text = "{\"a\":[1,{\"b\":\"c}\"},2.5e1],\"d\":{\"e\":{}},\"f\":true}  ";
    size_t n = strlen(text);

    (void)state;
    for (size_t cut = 0; cut <= n; cut++) {
        struct buf b = new_buf();
        struct mp_writer w = mp_writer_of(&b);

        assert_int_equal(text_json(slice_of(text, cut), &w),
                         cut >= n - 2 ? TEXT_REPLACES : TEXT_NO);
        assert_int_equal(w.pairs, cut >= n - 2 ? 3 : 0);
        assert_true(cut >= n - 2 || b.n == 0);
        buf_fini(&b);
    }
}

static void without_room_nothing_is_left(void **state)
{
    const char *text = "{\"key\":\"a value of some length, longer than the room that there is\"}";
    struct mp_writer w;
    struct buf b;

    (void)state;
    buf_init(&b, 60);
    w = mp_writer_of(&b);
    mp_put_pair(&w, "k", SLICE_LITERAL("v"));
    assert_int_equal(text_json(slice_string(text), &w), TEXT_NO);
    assert_true(w.failed);
    assert_int_equal(b.n, 4);
    assert_int_equal(w.pairs, 1);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(no_cut_is_taken),
        cmocka_unit_test(without_room_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
