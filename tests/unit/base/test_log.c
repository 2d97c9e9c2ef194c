#include "shared/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Standard error is a pipe while a test runs. */
struct fixture {
    int saved;
    int pipe[2];
    char text[1 << 17];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->saved = dup(STDERR_FILENO);
    if (pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK) < 0 || dup2(f->pipe[1], STDERR_FILENO) < 0)
        return -1;
    fcntl(f->pipe[1], F_SETFL, 0); /* as a real one: writing to it blocks */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    dup2(f->saved, STDERR_FILENO);
    close(f->saved);
    close(f->pipe[0]);
    close(f->pipe[1]);
    free(f);
    return 0;
}

/* What was logged since the last call. */
static const char *logged(struct fixture *f)
{
    size_t n = 0;
    ssize_t r;

    while ((r = read(f->pipe[0], f->text + n, sizeof(f->text) - 1 - n)) > 0)
        n += (size_t)r;
    f->text[n] = '\0';
    return f->text;
}

static void assert_ends(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    assert_true(n >= m);
    assert_string_equal(text + n - m, end);
}

static void test_text_form(void **state)
{
    struct fixture *f = *state;
    unsigned year, month, day, hour, minute, second, ms;
    const char *line;
    char rest[64];

    log_open("receiver", 3, LOG_FORMAT_TEXT, LOG_INFO);
    log_warn("%d words", 5);
    line = logged(f);
    assert_int_equal(sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %63[^\n]", &year, &month, &day,
                            &hour, &minute, &second, &ms, rest),
                     8);
    assert_true(year >= 2024 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
    assert_ends(line, "Z WARN  receiver/3: 5 words\n");
}

/* The date is computed by hand: compare with the C library's, for this moment. */
static void test_time_is_now(void **state)
{
    struct fixture *f = *state;
    char before[32], after[32], line[32];
    time_t now = time(NULL);

    strftime(before, sizeof(before), "%Y-%m-%dT%H:%M:%S", gmtime(&now));
    log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_INFO);
    log_info("x");
    now = time(NULL);
    strftime(after, sizeof(after), "%Y-%m-%dT%H:%M:%S", gmtime(&now));
    snprintf(line, sizeof(line), "%.19s", logged(f));
    assert_true(strcmp(before, line) <= 0);
    assert_true(strcmp(line, after) <= 0);
}

static void test_json_form_and_escapes(void **state)
{
    struct fixture *f = *state;

    log_open("shipper", 0, LOG_FORMAT_JSON, LOG_DEBUG);
    log_error("a \"quote\", a \\, a\nbreak, \x01\x7f\xc2\x85, \xc3\xa9, \xff, \xed\xa0\x80, "
              "\xf0\x9f\x98\x80");
    assert_ends(
        logged(f),
        ",\"message\":\"a \\\"quote\\\", a \\\\, a\\nbreak, \\u0001\\u007f\\u0085, \xc3\xa9, "
        "\xef\xbf\xbd, \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd, \xf0\x9f\x98\x80\"}\n");
    assert_non_null(
        strstr(f->text, "\",\"level\":\"error\",\"process\":\"shipper\",\"index\":0,\"pid\":"));
    assert_memory_equal(f->text, "{\"time\":\"2", 10);
}

/* What a peer sent must not make a second line or move the cursor of a terminal. */
static void test_text_stays_one_line(void **state)
{
    struct fixture *f = *state;

    log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_INFO);
    log_info("peer \"x\n2026 FATAL forged\x1b[2J\xc2\x9b"
             "2J\xc2\xa0\"");
    assert_ends(logged(f), "receiver/0: peer \"x\\n2026 FATAL forged\\x1b[2J\\x9b2J\xc2\xa0\"\n");
    assert_ptr_equal(strchr(f->text, '\n'), f->text + strlen(f->text) - 1);
}

static void test_long_lines_are_cut_whole(void **state)
{
    struct fixture *f = *state;
    char word[5000];

    memset(word, '"', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    log_open("receiver", 0, LOG_FORMAT_JSON, LOG_INFO);
    log_info("%s", word);
    assert_true(strlen(logged(f)) <= PIPE_BUF);
    assert_ends(f->text, "\\\"...\"}\n");
    log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_INFO);
    log_info("%s", word);
    assert_ends(logged(f), "\"\"...\n");
}

static void test_levels(void **state)
{
    struct fixture *f = *state;
    enum log_level level;

    log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_WARN);
    log_info("unseen");
    assert_string_equal(logged(f), "");
    log_set_level(LOG_DEBUG);
    assert_int_equal(log_level(), LOG_DEBUG);
    log_debug("seen");
    assert_ends(logged(f), "DEBUG receiver/0: seen\n");
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(level, LOG_ERROR);
}

static void test_auto_finds_the_journal(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char stream[64];

    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("receiver", 0, LOG_FORMAT_AUTO, LOG_INFO);
    log_error("words");
    assert_string_equal(logged(f), "<3>receiver/0: words\n");
    /* Standard error was redirected since: another inode. */
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_open("receiver", 0, LOG_FORMAT_AUTO, LOG_INFO);
    log_error("words");
    assert_memory_equal(logged(f), "{\"time\"", 7);
    setenv("JOURNAL_STREAM", "nonsense", 1);
    log_open("receiver", 0, LOG_FORMAT_AUTO, LOG_INFO);
    log_error("words");
    assert_memory_equal(logged(f), "{\"time\"", 7);
    unsetenv("JOURNAL_STREAM");
}

/* Nobody reads: lines are dropped and counted instead of waiting, and the loss is told later. */
static void test_full_pipe_never_blocks(void **state)
{
    struct fixture *f = *state;
    uint64_t lost = log_lost();
    char report[64];

    log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_INFO);
    for (int i = 0; i < 5000; i++)
        log_info("a line that nobody reads, number %d", i);
    lost = log_lost() - lost;
    assert_true(lost > 0 && lost < 5000);
    assert_null(strstr(logged(f), "log lines lost"));
    log_info("after");
    snprintf(report, sizeof(report), "WARN  receiver/0: %llu log lines lost",
             (unsigned long long)lost);
    assert_non_null(strstr(logged(f), report));
    assert_ends(f->text, "receiver/0: after\n");
    log_info("again");
    assert_null(strstr(logged(f), "lost"));
}

static void test_nobody_at_the_other_end(void **state)
{
    struct fixture *f = *state;
    uint64_t lost = log_lost();

    close(f->pipe[0]);
    errno = ENOENT;
    log_info("into the void");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(log_lost() - lost, 1);
    f->pipe[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void test_panic_exits_101(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child;

    log_open("receiver", 0, LOG_FORMAT_TEXT, LOG_INFO);
    child = fork();
    if (child == 0)
        log_panic("the impossible: %d", 7);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 101);
    assert_non_null(strstr(logged(f), "PANIC receiver/0: "));
    assert_non_null(strstr(f->text, "test_log.c:"));
    assert_ends(f->text, ": the impossible: 7\n");
}

static void test_limit(void **state)
{
    struct log_limit limit = {0};

    (void)state;
    assert_int_equal(log_limit_pass(&limit, 5, 10), 1);
    assert_int_equal(log_limit_pass(&limit, 6, 10), 0);
    assert_int_equal(log_limit_pass(&limit, 14, 10), 0);
    assert_int_equal(limit.suppressed, 2);
    assert_int_equal(log_limit_pass(&limit, 15, 10), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_is_now, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_form_and_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_stays_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines_are_cut_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_auto_finds_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_pipe_never_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_at_the_other_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_panic_exits_101, setup, teardown),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
