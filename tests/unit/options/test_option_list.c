/* LIST values: the text that they are, JSON into it, what is refused and how it is said. */
#include "shared/options/option_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/options/option_list_json.h"

#define WORDS "host|network|key|users[]"

/* The list that the JSON gives, as a string; NULL with the reason in err. Freed by the caller. */
static char *listed(struct slice json, struct err *err)
{
    struct option_list list;
    char *text = NULL;

    assert_int_equal(option_list_init(&list, WORDS), 0);
    if (option_list_json(&list, json, err) == 0) {
        struct slice value = buf_slice(&list.text);

        assert_int_equal(option_list_check(WORDS, value, NULL), 0);
        text = strndup((const char *)value.p, value.n);
        assert_non_null(text);
    }
    option_list_fini(&list);
    return text;
}

static void assert_listed(const char *json, const char *wanted)
{
    struct err err = {0};
    char *text = listed(slice_string(json), &err);

    if (text == NULL)
        fail_msg("%s: %s", json, err.text);
    assert_string_equal(text, wanted);
    free(text);
}

static void assert_refused(const char *json, const char *reason)
{
    struct err err = {0};
    char *text = listed(slice_string(json), &err);

    if (text != NULL)
        fail_msg("%s is taken", json);
    assert_string_equal(err.text, reason);
}

static void json_becomes_lines(void **state)
{
    (void)state;
    assert_listed("[]", "");
    assert_listed(" \t\r\n[ ] \n", "");
    assert_listed("[{\"host\":\"10.1.2.3\"}]", "host=10.1.2.3\n\n");
    assert_listed("[ { \"users\" : [ \"a\" , \"b\" ] , \"key\" : \"k=k\" } , {\"host\":\"h\"} ]",
                  "users=a\nusers=b\nkey=k=k\n\nhost=h\n\n");
}

static void json_escapes(void **state)
{
    (void)state;
    assert_listed("[{\"key\":\"a\\\"b\\\\c\\/d\"}]", "key=a\"b\\c/d\n\n");
    assert_listed("[{\"key\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"}]",
                  "key=A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n\n");
    assert_listed("[{\"\\u006bey\":\"x\"}]", "key=x\n\n");
    assert_listed("[{\"key\":\"\xc3\xa9\"}]", "key=\xc3\xa9\n\n");
}

#define NO_JSON "is no list of objects in JSON: "

static void what_is_no_json_list_is_refused(void **state)
{
    (void)state;
    assert_refused("x", NO_JSON "[ is missing at byte 1");
    assert_refused("{}", NO_JSON "[ is missing at byte 1");
    assert_refused("[", NO_JSON "{ is missing at byte 2");
    assert_refused("[1]", NO_JSON "{ is missing at byte 2");
    assert_refused("[[]]", NO_JSON "{ is missing at byte 2");
    assert_refused("[{", NO_JSON "a name in double quotes is missing at byte 3");
    assert_refused("[{\"key\"}]", NO_JSON "a colon is missing at byte 8");
    assert_refused("[{\"key\":}]", NO_JSON "a text in double quotes is missing at byte 9");
    assert_refused("[{\"key\":1}]", NO_JSON "a text in double quotes is missing at byte 9");
    assert_refused("[{\"key\":null}]", NO_JSON "a text in double quotes is missing at byte 9");
    assert_refused("[{\"key\":{}}]", NO_JSON "a text in double quotes is missing at byte 9");
    assert_refused("[{\"users\":[[]]}]", NO_JSON "a text in double quotes is missing at byte 12");
    assert_refused("[{\"users\":[\"a\"}]", NO_JSON "a comma or ] is missing at byte 15");
    assert_refused("[{\"key\":\"k\",}]", NO_JSON "a name in double quotes is missing at byte 13");
    assert_refused("[{\"key\":\"k\"", NO_JSON "a comma or } is missing at byte 12");
    assert_refused("[{\"key\":\"k\"}", NO_JSON "a comma or ] is missing at byte 13");
    assert_refused("[{\"key\":\"k\"},]", NO_JSON "{ is missing at byte 14");
    assert_refused("[{\"key\":\"k\"}] x", NO_JSON "something follows at byte 15");
    assert_refused("[][]", NO_JSON "something follows at byte 3");
    assert_refused("[{\"key\":\"k", NO_JSON "the quote that ends a text is missing at byte 11");
    assert_refused("[{\"key\":\"k\n\"}]",
                   NO_JSON "the quote that ends a text is missing at byte 12");
    assert_refused("[{\"key\":\"\\x\"}]", NO_JSON "what \\ is for is missing at byte 11");
    assert_refused("[{\"key\":\"\\", NO_JSON "the end of a text is missing at byte 11");
    assert_refused("[{\"key\":\"\\u12\"}]", NO_JSON "a digit of \\u is missing at byte 12");
    assert_refused("[{\"key\":\"\\ud83d!\"}]", NO_JSON "a second surrogate is missing at byte 16");
    assert_refused("[{\"key\":\"\\ude00\"}]", NO_JSON "a second surrogate is missing at byte 16");
    assert_refused("[{\"key\":\"\\ud83d\\u0041\"}]",
                   NO_JSON "a second surrogate is missing at byte 22");
    assert_refused("", NO_JSON "[ is missing at byte 1");
}

/* Each says which element; none says what stood there. */
static void wrong_elements_are_refused(void **state)
{
    (void)state;
    assert_refused("[{\"key\":\"k\"},{\"hush\":\"h\"}]",
                   "element 2: has an unknown name; it may have host, network, key, users");
    assert_refused("[{\"Key\":\"k\"}]",
                   "element 1: has an unknown name; it may have host, network, key, users");
    assert_refused("[{\"users[]\":[\"k\"]}]",
                   "element 1: has an unknown name; it may have host, network, key, users");
    assert_refused("[{\"key\":\"hush\",\"key\":\"hush\"}]", "element 1: key is given twice");
    assert_refused("[{\"key\":[\"hush\"]}]", "element 1: key takes one text, not a list");
    assert_refused("[{\"users\":\"hush\"}]", "element 1: users takes a list of texts");
    assert_refused("[{\"users\":[]}]", "element 1: users is empty: leave it out");
    assert_refused("[{\"users\":[],\"key\":\"k\"}]", "element 1: users is empty: leave it out");
    assert_refused("[{\"users\":[\"a\",\"\"]}]", "element 1: users is empty: leave it out");
    assert_refused("[{\"key\":\"\"}]", "element 1: key is empty: leave it out");
    assert_refused("[{\"key\":\"k\"},{}]", "element 2: is empty");
    assert_refused("[{\"key\":\"hu\\nsh\"}]", "element 1: key holds a control character");
    assert_refused("[{\"key\":\"hu\\u0000sh\"}]", "element 1: key holds a control character");
    assert_refused("[{\"key\":\"hu\\u007fsh\"}]", "element 1: key holds a control character");
}

static void sizes_are_bounded(void **state)
{
    static char text[200000];
    struct err err = {0};
    size_t n;

    (void)state;
    n = (size_t)snprintf(text, sizeof(text), "[{\"key\":\"%04096d\"}]", 7);
    free(listed(slice_of(text, n), &err));
    assert_string_equal(err.text, "");
    n = (size_t)snprintf(text, sizeof(text), "[{\"key\":\"%04097d\"}]", 7);
    assert_null(listed(slice_of(text, n), &err));
    assert_non_null(strstr(err.text, "holds a text of more than 4096 bytes"));
    n = (size_t)snprintf(text, sizeof(text), "[{\"key\":\"k\"}");
    while (n < 100000)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",{\"key\":\"k\"}");
    text[n++] = ']';
    assert_null(listed(slice_of(text, n), &err));
    assert_string_equal(err.text, "the list takes more than 32768 bytes");
}

/* Cut anywhere, it is refused with a reason and read no further (the sanitizer sees that). */
static void cut_json_is_refused(void **state)
{
    static const char whole[] =
        "[{\"host\":\"\\u00e9\\\"\",\"users\":[\"a\",\"b\"]},{\"key\":\"k\"}]";

    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        struct err err = {0};
        char *part = malloc(n + (n == 0));

        assert_non_null(part);
        memcpy(part, whole, n);
        assert_null(listed(slice_of(part, n), &err));
        assert_string_not_equal(err.text, "");
        free(part);
    }
}

static void elements_are_read_in_order(void **state)
{
    static const struct {
        unsigned element;
        const char *name, *value;
    } wanted[] = {{1, "users", "a"}, {1, "users", "b"}, {1, "key", "k=k"}, {2, "host", "h"}};
    struct slice rest = SLICE_LITERAL("users=a\nusers=b\nkey=k=k\n\nhost=h\n\n");
    struct option_list_entry entry = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_true(option_list_next(&rest, &entry));
        assert_int_equal(entry.element, wanted[i].element);
        assert_true(slice_is(entry.name, wanted[i].name));
        assert_true(slice_is(entry.value, wanted[i].value));
    }
    assert_false(option_list_next(&rest, &entry));
    rest = slice_of(NULL, 0);
    entry = (struct option_list_entry){0};
    assert_false(option_list_next(&rest, &entry));
}

static void only_canonical_text_is_a_value(void **state)
{
    static const char *const bad[] = {"x",
                                      "\n",
                                      "\n\n",
                                      "host=h",
                                      "host=h\n",
                                      "host\n\n",
                                      "=h\n\n",
                                      "\nhost=h\n\n",
                                      "host=h\n\n\n",
                                      "host=h\n\n\nkey=k\n\n",
                                      "host=\n\n",
                                      "what=h\n\n",
                                      "host=h\nhost=i\n\n",
                                      "host=h\x01\n\n",
                                      "host=h\n\nx\n\n",
                                      "host=h\n\nkey=k\n",
                                      "users[]=h\n\n"};

    (void)state;
    assert_int_equal(option_list_check(WORDS, slice_of(NULL, 0), NULL), 0);
    assert_int_equal(option_list_check(WORDS, SLICE_LITERAL("host=h\n\nhost=h\n\n"), NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (option_list_check(WORDS, slice_string(bad[i]), NULL) != -EINVAL)
            fail_msg("row %zu is taken", i);
}

static void names_are_listed(void **state)
{
    char text[64];

    (void)state;
    assert_string_equal(option_list_names(WORDS, text, sizeof(text)), "host, network, key, users");
    assert_string_equal(option_list_names("one", text, sizeof(text)), "one");
    assert_string_equal(option_list_names(WORDS, text, 8), "host, n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_becomes_lines),
        cmocka_unit_test(json_escapes),
        cmocka_unit_test(what_is_no_json_list_is_refused),
        cmocka_unit_test(wrong_elements_are_refused),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(cut_json_is_refused),
        cmocka_unit_test(elements_are_read_in_order),
        cmocka_unit_test(only_canonical_text_is_a_value),
        cmocka_unit_test(names_are_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
