/*
 * The text detectors: golden/text_NAME.txt for the detector of that name, golden/text.txt for all of
 * them together. A row there is a line "> text" and a line with what comes of it:
 *
 *     no          nothing
 *     adds ...    the text stays, and these pairs say more; key=value, values as in JSON
 *     replaces ...
 *
 * In the text \n, \t, \r, \\ and \xHH are escapes. Then the promises that hold for every text
 * (text_check.h), over all texts of all rows, cut, mutated and joined.
 */
#include "processor/scan.h"
#include "processor/severity.h"
#include "tests/unit/processor/support.h"
#include "tests/unit/processor/text_check.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <stdlib.h>

#define GOLDEN "tests/unit/processor/golden"
#define MUTATIONS 400
#define BIG ((size_t)1 << 20)

/* ---- the golden files ---- */

struct row {
    char *text;
    size_t text_n;
    char *wanted;
    const struct text_check_detector *detector;
    unsigned line;
};

struct rows {
    struct row *row;
    size_t count;
};

static size_t unescape(char *text)
{
    char *to = text;

    for (char *p = text; *p != '\0'; p++) {
        char hex[3] = {0};

        if (*p != '\\') {
            *to++ = *p;
            continue;
        }
        p++;
        if (*p == 'x') {
            memcpy(hex, p + 1, 2);
            *to++ = (char)strtoul(hex, NULL, 16);
            p += 2;
        } else {
            *to++ = (char)(*p == 'n' ? '\n' : *p == 't' ? '\t' : *p == 'r' ? '\r' : *p);
        }
    }
    return (size_t)(to - text);
}

static void load_file(struct rows *rows, const struct text_check_detector *detector)
{
    const char *srcdir = getenv("srcdir");
    char path[512], line[4096];
    struct row row = {.detector = detector};
    unsigned number = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s/%s.txt", srcdir == NULL ? "." : srcdir, GOLDEN,
             detector->name);
    f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s cannot be read", path);
    while (fgets(line, sizeof(line), f) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '>' && line[1] == ' ') {
            assert_null(row.text);
            row.text = strdup(line + 2);
            row.text_n = unescape(row.text);
            row.line = number;
        } else if (line[0] != '#' && line[0] != '\0') {
            assert_non_null(row.text);
            row.wanted = strdup(line);
            rows->row = realloc(rows->row, (rows->count + 1) * sizeof(row));
            rows->row[rows->count++] = row;
            row.text = NULL;
        }
    }
    assert_null(row.text);
    fclose(f);
}

static int load(void **state)
{
    struct rows *rows = calloc(1, sizeof(*rows));

    for (size_t i = 0; i < TEXT_CHECK_DETECTORS; i++)
        load_file(rows, &text_check_detectors[i]);
    assert_true(rows->count > TEXT_CHECK_DETECTORS);
    *state = rows;
    return 0;
}

static int unload(void **state)
{
    struct rows *rows = *state;

    for (size_t i = 0; i < rows->count; i++) {
        free(rows->row[i].text);
        free(rows->row[i].wanted);
    }
    free(rows->row);
    free(rows);
    return 0;
}

/* ---- pairs as text ---- */

static void show(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

static void show_text(struct buf *b, struct slice text, bool quoted)
{
    char escape[8];

    show(b, quoted ? "\"" : "");
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];

        if (c == '\n')
            show(b, "\\n");
        else if (c == '"' || c == '\\')
            buf_append(b, (char[]){'\\', (char)c}, 2);
        else if (c < 0x20 || c >= 0x7f)
            buf_append(b, escape, (size_t)snprintf(escape, sizeof(escape), "\\x%02x", c));
        else
            buf_append(b, &c, 1);
    }
    show(b, quoted ? "\"" : "");
}

/* One value; maps of maps: two levels are all that there is. */
static void show_value(struct buf *b, struct mp *in, int depth)
{
    struct mp_value v;
    char number[32];

    assert_int_equal(mp_next(in, &v), 0);
    switch (v.type) {
    case MP_STR:
        show_text(b, v.bytes, true);
        break;
    case MP_BOOL:
        show(b, v.u != 0 ? "true" : "false");
        break;
    case MP_UINT:
        snprintf(number, sizeof(number), "%" PRIu64, v.u);
        show(b, number);
        break;
    case MP_MAP:
        assert_true(depth < 3);
        show(b, "{");
        for (uint32_t i = 0; i < v.count; i++) {
            show(b, i == 0 ? "" : ",");
            show_value(b, in, depth + 1);
            show(b, ":");
            show_value(b, in, depth + 1);
        }
        show(b, "}");
        break;
    default:
        fail_msg("a value of type %d", v.type);
    }
}

static void show_result(struct buf *b, enum text_verdict verdict, struct slice pairs)
{
    static const char *const verdicts[] = {"no", "adds", "replaces"};
    struct mp in = mp_of(pairs);

    show(b, verdicts[verdict]);
    while (mp_left(&in) > 0) {
        struct mp_value key;

        assert_int_equal(mp_next(&in, &key), 0);
        show(b, " ");
        show_text(b, key.bytes, false);
        show(b, "=");
        show_value(b, &in, 0);
    }
    buf_append(b, "", 1);
}

/* ---- tests ---- */

static void every_row(void **state)
{
    struct rows *rows = *state;
    unsigned wrong = 0;

    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->row[i];
        struct buf pairs = new_buf(), shown = new_buf();
        enum text_verdict verdict;
        const char *broken = text_check(row->detector->detect, slice_of(row->text, row->text_n),
                                        &pairs, NULL, &verdict);

        show_result(&shown, verdict, buf_slice(&pairs));
        if (broken != NULL || strcmp((char *)shown.p, row->wanted) != 0) {
            print_error("%s.txt:%u: broken: %s\n  want %s\n  have %s\n", row->detector->name,
                        row->line, broken == NULL ? "nothing" : broken, row->wanted, shown.p);
            wrong++;
        }
        buf_fini(&pairs);
        buf_fini(&shown);
    }
    assert_int_equal(wrong, 0);
}

/* Every detector, for a text that is or is not its own. */
static void check_all(struct slice text)
{
    for (size_t i = 0; i < TEXT_CHECK_DETECTORS; i++) {
        enum text_verdict verdict;
        const char *broken = text_check(text_check_detectors[i].detect, text, NULL, NULL, &verdict);

        if (broken != NULL)
            fail_msg("%s: %s: %.*s", text_check_detectors[i].name, broken, (int)text.n,
                     (const char *)text.p);
    }
}

static void every_text_for_every_detector_cut_everywhere(void **state)
{
    struct rows *rows = *state;

    for (size_t i = 0; i < rows->count; i++)
        for (size_t n = 0; n <= rows->row[i].text_n; n++)
            check_all(slice_of(rows->row[i].text, n));
}

static uint32_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32);
}

/* One change: a byte overwritten, put in, or taken out; a part moved; another text's end. */
static void mutate(struct buf *b, const struct row *other, uint64_t *seed)
{
    static const char bytes[] = " \t\n[]<>=\":;,.-|/\\{}+0129AIWEFZabct_\0\x7f\xc3\xff";
    size_t at = b->n == 0 ? 0 : next_random(seed) % b->n;
    uint8_t byte = (uint8_t)bytes[next_random(seed) % (sizeof(bytes) - 1)];
    size_t from;

    switch (next_random(seed) % 6) {
    case 0:
        byte = (uint8_t)next_random(seed);
        /* fall through */
    case 1:
        if (b->n > 0)
            b->p[at] = byte;
        break;
    case 2:
        buf_append(b, "x", 1);
        memmove(b->p + at + 1, b->p + at, b->n - at - 1);
        b->p[at] = byte;
        break;
    case 3:
        if (b->n > 0)
            memmove(b->p + at, b->p + at + 1, --b->n - at);
        break;
    case 4:
        from = other->text_n == 0 ? 0 : next_random(seed) % other->text_n;
        b->n = at;
        buf_append(b, other->text + from, other->text_n - from);
        break;
    default:
        if (b->n > at + 8)
            memmove(b->p + at, b->p + at + 4, 4);
    }
}

static void every_text_mutated(void **state)
{
    struct rows *rows = *state;
    uint64_t seed = 0x9e3779b97f4a7c15ull;

    for (size_t i = 0; i < rows->count; i++) {
        for (int k = 0; k < MUTATIONS; k++) {
            struct buf b = new_buf();

            buf_append(&b, rows->row[i].text, rows->row[i].text_n);
            for (unsigned m = 1 + next_random(&seed) % 4; m > 0; m--)
                mutate(&b, &rows->row[next_random(&seed) % rows->count], &seed);
            check_all(buf_slice(&b));
            buf_fini(&b);
        }
    }
}

static void a_writer_without_room(void **state)
{
    struct rows *rows = *state;

    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->row[i];
        bool failed = true;

        for (size_t room = 0; failed; room++) {
            const char *broken = text_check_failing(
                row->detector->detect, slice_of(row->text, row->text_n), room, &failed);

            if (broken != NULL)
                fail_msg("%s.txt:%u: room for %zu: %s", row->detector->name, row->line, room,
                         broken);
        }
    }
}

/* A text of `n` letters between two parts. */
static enum text_verdict verdict_of(text_detect *detect, const char *head, size_t n,
                                    const char *tail)
{
    struct buf b = new_buf();
    enum text_verdict verdict;
    const char *broken;

    buf_append(&b, head, strlen(head));
    for (size_t i = 0; i < n; i++)
        buf_append(&b, "a", 1);
    buf_append(&b, tail, strlen(tail));
    broken = text_check(detect, buf_slice(&b), NULL, NULL, &verdict);
    if (broken != NULL)
        fail_msg("%s%zu%s: %s", head, n, tail, broken);
    buf_fini(&b);
    return verdict;
}

/* Names that are longer are none: in brackets 128 bytes, in syslog 255, of a field's value 256. */
static void limits(void **state)
{
    static const struct {
        text_detect *detect;
        const char *head, *tail;
        size_t n;
    } limit[] = {
        {text_bracket, "2024-01-15 10:30:45 [", "] INFO x", 128},
        {text_syslog, "<13>1 - ", " a p m - x", 255},
        {text_plain, "job_id=", " x", 256},
        {text_plain, "job_id=", "", 256},
        {text_plain, "job_id=\"", "\"", 256},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limit) / sizeof(*limit); i++) {
        assert_int_not_equal(verdict_of(limit[i].detect, limit[i].head, limit[i].n, limit[i].tail),
                             TEXT_NO);
        assert_int_equal(verdict_of(limit[i].detect, limit[i].head, limit[i].n + 1, limit[i].tail),
                         TEXT_NO);
    }
}

/* One mebibyte that begins with `head` and goes on with `part`. */
static void check_big(const char *head, const char *part)
{
    struct buf b = new_buf();
    size_t n = strlen(part);

    buf_append(&b, head, strlen(head));
    while (b.n < BIG)
        buf_append(&b, part, n);
    for (size_t i = 0; i < TEXT_CHECK_DETECTORS; i++) {
        struct buf out = new_buf();
        struct mp_writer w = mp_writer_of(&out);

        text_check_detectors[i].detect(buf_slice(&b), &w);
        assert_false(w.failed);
        assert_int_equal(mp_skip(&(struct mp){out.p, out.p + out.n}, 2 * (uint64_t)w.pairs), 0);
        buf_fini(&out);
    }
    buf_fini(&b);
}

/* What is not linear here does not come to its end. */
static void long_texts(void **state)
{
    static const char *const heads[] = {
        "",
        "a=",
        "a=1 b=2 ",
        "a=\"",
        "<13>",
        "<13>1 - - - - - ",
        "[",
        "[INFO",
        "I0115 10:30:45.123456 1 ",
        "ERROR: ",
        "<13>1 - a b c d [id ",
        "2024-01-15T10:30:45Z ",
        "[2024-01-15 10:30:45] ",
        "2024-01-15 10:30:45 - ",
        "2024-01-15T10:30:45Z stdout F ",
        "2024-01-15 10:30:45 INFO ",
        "<13>Jan 15 10:30:45 ",
    };
    static const char *const parts[] = {
        "=",           "[",    "a",           "0",         " ",    "\"",   "\\",
        ":",           "_id=", "job_id= ",    "job_id=x ", "a=1 ", "a ",   "<",
        "[a b=\"c\"]", "[a]",  "b=\"\\\\\" ", "x: ",       "\n",   "\xff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        for (size_t k = 0; k < sizeof(parts) / sizeof(*parts); k++)
            check_big(heads[i], parts[k]);
}

/* The detectors' words are those of severity.h, and a prefix says the number of its word. */
static void levels_are_severities(void **state)
{
    struct severity_words *words = malloc(sizeof(*words));
    const char *word;

    (void)state;
    assert_int_equal(severity_words_init(words), 0);
    for (size_t i = 0; (word = scan_level_word(i)) != NULL; i++) {
        struct mp_value v = {.type = MP_STR, .bytes = slice_string(word)};
        struct severity severity;

        assert_true(severity_of(&v, SEVERITY_ANY, words, &severity));
        assert_true(scan_is_level(v.bytes, SCAN_LEVEL_MARKED));
        assert_false(scan_is_level(v.bytes, SCAN_LEVEL_BARE));
    }
    for (char digit = '0'; digit <= '7'; digit++) {
        char text[] = {'<', digit, '>', 'x'};
        struct buf out = new_buf();
        struct mp_writer w = mp_writer_of(&out);
        struct mp_value number = {.type = MP_UINT, .u = (uint64_t)(digit - '0')}, level;
        struct severity of_number, of_level;
        struct mp in;

        assert_int_equal(text_plain(slice_of(text, sizeof(text)), &w), TEXT_ADDS);
        in = mp_of(buf_slice(&out));
        assert_int_equal(mp_skip(&in, 1), 0);
        assert_int_equal(mp_next(&in, &level), 0);
        assert_true(severity_of(&level, SEVERITY_ANY, words, &of_level));
        assert_true(severity_of(&number, SEVERITY_ANY, words, &of_number));
        assert_int_equal(of_level.number, of_number.number);
        assert_int_equal(of_level.text_n, of_number.text_n);
        assert_memory_equal(of_level.text, of_number.text, of_level.text_n);
        buf_fini(&out);
    }
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(every_text_for_every_detector_cut_everywhere),
        cmocka_unit_test(every_text_mutated),
        cmocka_unit_test(a_writer_without_room),
        cmocka_unit_test(limits),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(levels_are_severities),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
