#include "shared/options/option_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/options/loading.h"

static void assert_text(struct loading *l, const char *text, const char *wanted)
{
    struct option_source source;
    struct option_report report = {0};

    loading_write(l, "main.conf", text);
    assert_int_equal(option_source_read(&source, l->path, &report), 0);
    assert_int_equal(report.count, 0);
    assert_string_equal((const char *)source.text.p, wanted);
    option_source_fini(&source);
    option_report_fini(&report);
}

static void test_whole_numbers_become_long(void **state)
{
    assert_text(*state, "a = 1; b: -5, c=0x1F\nd = +7\n", "a = 1L; b: -5L, c=0x1FL\nd = +7L\n");
}

static void test_other_text_stays(void **state)
{
    static const char text[] = "a = 1.5; b = 2L; c = 1e3; d = true; e = FALSE;\n"
                               "f = \"g = 1 /* # // \\\" h = 2\"; i = [1]; // j = 1\n"
                               "# k = 1\n/* l = 1\n m = 1 */ n = 4LL; o1 = { };";

    assert_text(*state, text, text);
}

static void test_comments_behind_values(void **state)
{
    assert_text(*state, "a = 1//x\nb = 2/*y*/;c = /*z*/ 3#w\n/*/ d = 1 */",
                "a = 1L//x\nb = 2L/*y*/;c = /*z*/ 3L#w\n/*/ d = 1 */");
}

static void assert_place(const struct option_source *source, unsigned line, const char *name,
                         unsigned wanted)
{
    struct option_place place = option_source_place(source, line);

    assert_string_equal(strrchr(place.place, '/') + 1, name);
    assert_int_equal(place.line, wanted);
}

static void test_lines_keep_their_place(void **state)
{
    struct loading *l = *state;
    struct option_source source;
    struct option_report report = {0};
    const char *text;
    unsigned line = 1;

    loading_write(l, "main.conf", "a = 1;\n  @include \"sub/more.conf\" b = 2;\nc = 3;\n");
    loading_write(l, "sub/more.conf", "\nd = 4;\n@include \"even.conf\"");
    loading_write(l, "sub/even.conf", "e = \"x\ny\"; f = 5;\ng = 6;");
    assert_int_equal(option_source_read(&source, l->path, &report), 0);
    text = (const char *)source.text.p;
    for (; *text != '\0'; text++) {
        line += *text == '\n';
        if (strncmp(text, "a =", 3) == 0)
            assert_place(&source, line, "main.conf", 1);
        else if (strncmp(text, "b =", 3) == 0)
            assert_place(&source, line, "main.conf", 2);
        else if (strncmp(text, "c =", 3) == 0)
            assert_place(&source, line, "main.conf", 3);
        else if (strncmp(text, "d =", 3) == 0)
            assert_place(&source, line, "more.conf", 2);
        else if (strncmp(text, "e =", 3) == 0)
            assert_place(&source, line, "even.conf", 1);
        else if (strncmp(text, "f =", 3) == 0)
            assert_place(&source, line, "even.conf", 2);
        else if (strncmp(text, "g =", 3) == 0)
            assert_place(&source, line, "even.conf", 3);
    }
    assert_int_equal(source.file_count, 3);
    option_source_fini(&source);
    assert_int_equal(report.count, 0);
}

static void test_missing_is_told_apart(void **state)
{
    struct loading *l = *state;
    struct option_source source;
    struct option_report report = {0};

    assert_int_equal(option_source_read(&source, l->path, &report), -ENOENT);
    assert_int_equal(report.count, 0);
    option_source_fini(&source);
}

static void assert_mistake(struct loading *l, const char *text, const char *line)
{
    loading_write(l, "main.conf", text);
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, line);
}

static void test_mistakes(void **state)
{
    struct loading *l = *state;
    static const char quotes[] = "error: a value that is neither a plain number nor true or false "
                                 "needs double quotes, as in \"16M\" or \"/var/lib\"";
    char line[256];

    snprintf(line, sizeof(line), "main.conf:2: %s", quotes);
    assert_mistake(l, "\nforward: { max_chunk = 16M; };", line);
    assert_mistake(l, "\ndata_dir = /var/lib;", line);
    assert_mistake(l, "\notlp: { endpoint = https://x/y; };", line);
    assert_mistake(l, "\nforward: { bind = *; };", line);
    assert_mistake(l, "\nforward: { bind = 127.0.0.1; };", line);
    assert_mistake(l, "\ndata_dir = \"/x",
                   "main.conf:2: error: the string that begins here is not closed");
    assert_mistake(l, "\n/* x", "main.conf:2: error: the comment that begins here is not closed");
    assert_mistake(l, "@include none",
                   "main.conf:1: error: @include needs a file name in double quotes");
    assert_mistake(l, "@include \"none.conf\"",
                   "main.conf:1: error: cannot include none.conf: No such file or directory");
    assert_mistake(l, "@include \"/\"", "main.conf:1: error: cannot include /: Is a directory");
    assert_mistake(l, "@include \"/dev/zero\"",
                   "main.conf:1: error: cannot include /dev/zero: it is no regular file");
    assert_mistake(l, "\n\n@include \"main.conf\"",
                   "main.conf:3: error: cannot include main.conf: includes are nested too deep "
                   "(does a file include itself?)");
}

static void test_binary_and_large_files(void **state)
{
    struct loading *l = *state;
    char command[256];

    snprintf(command, sizeof(command), "head -c 10 /dev/zero >%s", l->path);
    assert_int_equal(system(command), 0);
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf: error: is no text file: it holds a zero byte");
    snprintf(command, sizeof(command), "head -c 2000000 /dev/zero | tr '\\0' '#' >%s", l->path);
    assert_int_equal(system(command), 0);
    assert_int_equal(loading_run(l), -EINVAL);
    loading_assert_line(l, "main.conf: error: cannot be read: it is larger than 1 MiB");
}

static void test_many_includes(void **state)
{
    struct loading *l = *state;
    char text[20 * 100 + 1] = "";

    for (int i = 0; i < 100; i++)
        memcpy(text + 20 * i, "@include \"e.conf\"  \n", 21);
    loading_write(l, "e.conf", "");
    loading_write(l, "main.conf", text);
    assert_int_equal(loading_run(l), -EINVAL);
    assert_non_null(strstr(l->report, "cannot include e.conf: too many files are included"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loading_setup, loading_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole_numbers_become_long), TEST(test_other_text_stays),
        TEST(test_comments_behind_values),    TEST(test_lines_keep_their_place),
        TEST(test_missing_is_told_apart),     TEST(test_mistakes),
        TEST(test_binary_and_large_files),    TEST(test_many_includes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
