/*
 * The tables of times, levels and trace ids, row by row, through the real converter: golden/NAME.tsv
 * against what becomes of each line's record (golden/README.md says how to read them). And the
 * other way round: a row of the code's tables without a line is a failure too.
 */
#include "processor/severity.h"
#include "processor/timestamp.h"
#include "processor/trace_context.h"
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLDER "tests/unit/processor/golden"
#define EVENT_NS "1700000000500000000"
#define MAX_LINES 1024
#define MAX_TEXT 512

static const struct name_row time_rows[] = {TIMESTAMP_NAMES(1), {NULL, 0, 0}};
static const struct name_row severity_rows[] = {SEVERITY_NAMES(1), {NULL, 0, 0}};
static const struct name_row trace_rows[] = {TRACE_CONTEXT_NAMES(1), {NULL, 0, 0}};

/* A line that gave what it says. */
struct line {
    json_object *record;
    char expected[MAX_TEXT];
};

struct golden {
    const char *name;
    struct line line[MAX_LINES];
    size_t count;
    unsigned failures;
};

/* ---- records ---- */

static bool put_json(struct buf *b, json_object *o);

/* {"$bin":"00ff"}, {"$ext":[-1,"00ff"]}, {"$f32":1.5}: what JSON has no word for. */
static bool put_special(struct buf *b, json_object *o)
{
    struct buf bytes = new_buf();
    json_object *v;
    bool known = true;

    if (json_object_object_get_ex(o, "$bin", &v)) {
        put_hex_text(&bytes, json_object_get_string(v));
        put_bin(b, bytes.p, bytes.n);
    } else if (json_object_object_get_ex(o, "$ext", &v)) {
        uint8_t head[3] = {0xc7};

        put_hex_text(&bytes, text_at(v, "1"));
        head[1] = (uint8_t)bytes.n;
        head[2] = (uint8_t)strtol(text_at(v, "0"), NULL, 10);
        put_bytes(b, head, sizeof(head));
        put_bytes(b, bytes.p, bytes.n);
    } else if (json_object_object_get_ex(o, "$f32", &v)) {
        float f = (float)json_object_get_double(v);
        uint8_t p[5] = {0xca};
        uint32_t bits;

        memcpy(&bits, &f, sizeof(bits));
        bytes_put_be32(p + 1, bits);
        put_bytes(b, p, sizeof(p));
    } else {
        known = false;
    }
    buf_fini(&bytes);
    return known;
}

static bool put_object(struct buf *b, json_object *o)
{
    if (json_object_object_length(o) == 1 && put_special(b, o))
        return true;
    put_map(b, (uint32_t)json_object_object_length(o));
    json_object_object_foreach(o, key, v)
    {
        put_str(b, key);
        if (!put_json(b, v))
            return false;
    }
    return true;
}

static bool put_json(struct buf *b, json_object *o)
{
    switch (json_object_get_type(o)) {
    case json_type_null:
        put_nil(b);
        return true;
    case json_type_boolean:
        put_bool(b, json_object_get_boolean(o));
        return true;
    case json_type_double:
        put_double(b, json_object_get_double(o));
        return true;
    case json_type_int:
        if (json_object_get_int64(o) < 0)
            put_int(b, json_object_get_int64(o));
        else
            put_uint(b, json_object_get_uint64(o));
        return true;
    case json_type_string:
        put_str_n(b, json_object_get_string(o), (size_t)json_object_get_string_len(o));
        return true;
    case json_type_object:
        return put_object(b, o);
    default:
        return false;
    }
}

/* ---- what became of one ---- */

static void say(char *to, const char *name, const char *value)
{
    size_t n = strlen(to);

    snprintf(to + n, MAX_TEXT - n, "%s%s=%s", n > 0 ? " " : "", name, value);
}

/* The members that are there, in the order in which golden files name them. */
static void describe(json_object *log, char ret[MAX_TEXT])
{
    static const struct {
        const char *member;
        const char *name;
    } rows[] = {{"timeUnixNano", "time"}, {"severityNumber", "number"}, {"severityText", "text"},
                {"traceId", "trace"},     {"spanId", "span"},           {"flags", "flags"}};
    char stays[MAX_TEXT] = "";

    ret[0] = '\0';
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *value = text_at(log, rows[i].member);

        if (at(log, rows[i].member) != NULL && (i > 0 || strcmp(value, EVENT_NS) != 0))
            say(ret, rows[i].name, value);
    }
    for (size_t i = 0; i < attribute_count(log); i++) {
        size_t n = strlen(stays);

        snprintf(stays + n, sizeof(stays) - n, "%s%s", i > 0 ? "," : "",
                 text_at(json_object_array_get_idx(at(log, "attributes"), i), "key"));
    }
    if (stays[0] != '\0')
        say(ret, "stays", stays);
}

static void check_line(struct golden *golden, unsigned number, char *record_text, const char *mode,
                       const char *expected)
{
    json_object *record = json_tokener_parse(record_text), *root;
    struct line *line = &golden->line[golden->count];
    struct buf bytes = new_buf();
    char got[MAX_TEXT];
    struct rig rig;

    if (!json_object_is_type(record, json_type_object) || !put_object(&bytes, record))
        fail_msg("%s.tsv:%u: no record: %s", golden->name, number, record_text);
    rig_init(&rig, FRAME_NONE,
             strcmp(mode, "strict") == 0 ? CONVERT_TRACE_STRICT : CONVERT_TRACE_PAD);
    describe(one_record(&rig, &bytes, &root), got);
    if (strcmp(got, expected) != 0) {
        print_error("%s.tsv:%u: %s\n  expected: %s\n  got:      %s\n", golden->name, number,
                    record_text, expected, got);
        golden->failures++;
    }
    assert_true(golden->count < MAX_LINES);
    line->record = record;
    snprintf(line->expected, sizeof(line->expected), "%s", expected);
    golden->count++;
    json_object_put(root);
    buf_fini(&bytes);
    rig_fini(&rig);
}

/* Lines: record, tab, mode, tab, expected. Empty ones and those that begin with # do not count. */
static void check_file(struct golden *golden, const char *name)
{
    const char *srcdir = getenv("srcdir");
    char path[MAX_TEXT], text[4096];
    FILE *file;

    memset(golden, 0, sizeof(*golden));
    golden->name = name;
    snprintf(path, sizeof(path), "%s/%s/%s.tsv", srcdir == NULL ? "." : srcdir, FOLDER, name);
    file = fopen(path, "re");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    for (unsigned number = 1; fgets(text, sizeof(text), file) != NULL; number++) {
        char *mode, *expected;

        text[strcspn(text, "\n")] = '\0';
        if (text[0] == '#' || text[0] == '\0')
            continue;
        mode = strchr(text, '\t');
        expected = mode == NULL ? NULL : strchr(mode + 1, '\t');
        if (expected == NULL)
            fail_msg("%s.tsv:%u: not three columns", name, number);
        *mode++ = *expected++ = '\0';
        check_line(golden, number, text, mode, expected);
    }
    fclose(file);
}

static void end(struct golden *golden)
{
    for (size_t i = 0; i < golden->count; i++)
        json_object_put(golden->line[i].record);
    if (golden->failures > 0)
        fail_msg("%u failures in %s.tsv", golden->failures, golden->name);
}

/* ---- is every row there? ---- */

/* The only key of the record that stands in the table, or NULL. */
static const struct name_row *only_row(json_object *record, const struct name_row *rows,
                                       json_object **ret_value)
{
    const struct name_row *found = NULL;

    for (const struct name_row *row = rows; row->name != NULL; row++) {
        if (!json_object_object_get_ex(record, row->name, ret_value))
            continue;
        if (found != NULL)
            return NULL;
        found = row;
    }
    if (found != NULL)
        json_object_object_get_ex(record, found->name, ret_value);
    return found;
}

static bool has(const struct line *line, const char *field)
{
    const char *p = strstr(line->expected, field);

    return p != NULL && (p == line->expected || p[-1] == ' ');
}

/* Each name is the only one of its table in a line that expects something of it. */
static void check_names(struct golden *golden, const struct name_row *rows,
                        bool (*works)(const struct line *line))
{
    for (const struct name_row *row = rows; row->name != NULL; row++) {
        bool hit = false;
        json_object *v;

        for (size_t i = 0; !hit && i < golden->count; i++)
            hit = works(&golden->line[i]) && only_row(golden->line[i].record, rows, &v) == row;
        if (!hit) {
            print_error("%s.tsv: no line for the key %s\n", golden->name, row->name);
            golden->failures++;
        }
    }
}

static bool is_time(const struct line *line)
{
    return has(line, "time=");
}

static bool is_level(const struct line *line)
{
    return has(line, "number=");
}

static bool is_trace(const struct line *line)
{
    return has(line, "trace=") || has(line, "span=") || has(line, "flags=");
}

static bool is_word(json_object *v, const char *small)
{
    const char *text = json_object_get_string(v);

    if (!json_object_is_type(v, json_type_string) || strlen(text) != strlen(small))
        return false;
    for (; *text != '\0' && tolower((unsigned char)*text) == *small; text++)
        small++;
    return *text == '\0';
}

static void check_words(struct golden *golden, const struct name_table *table)
{
    for (size_t i = 0; i < sizeof(table->slot) / sizeof(*table->slot); i++) {
        const struct name_slot *slot = &table->slot[i];
        char number[32];
        bool hit = false;

        if (slot->name == NULL)
            continue;
        snprintf(number, sizeof(number), "number=%u text=", slot->value);
        for (size_t k = 0; !hit && k < golden->count; k++) {
            json_object *v;

            hit = only_row(golden->line[k].record, severity_rows, &v) != NULL &&
                  is_word(v, slot->name) && has(&golden->line[k], number);
        }
        if (!hit) {
            print_error("%s.tsv: no line for the word %s\n", golden->name, slot->name);
            golden->failures++;
        }
    }
}

static bool has_number(const struct golden *golden, enum severity_scale scale, int n)
{
    for (size_t k = 0; k < golden->count; k++) {
        const struct name_row *row;
        json_object *v;

        row = only_row(golden->line[k].record, severity_rows, &v);
        if (row != NULL && severity_scale_of(row->value) == scale && is_level(&golden->line[k]) &&
            json_object_is_type(v, json_type_int) && json_object_get_int(v) == n)
            return true;
    }
    return false;
}

/* Every number that is a level under some key has a line; of syslog's PRI those of one facility. */
static void check_numbers(struct golden *golden, struct severity_words *words)
{
    for (int scale = SEVERITY_ANY; scale <= SEVERITY_TEXT; scale++) {
        for (int n = 0; n <= 50000; n++) {
            struct mp_value v = {.type = MP_UINT, .u = (uint64_t)n};
            struct severity severity;

            if ((scale == SEVERITY_PRI && n / 8 != 16) ||
                !severity_of(&v, (enum severity_scale)scale, words, &severity) ||
                has_number(golden, (enum severity_scale)scale, n))
                continue;
            print_error("%s.tsv: no line for the number %d, scale %d\n", golden->name, n, scale);
            golden->failures++;
        }
    }
}

static struct golden golden;

static void times(void **state)
{
    (void)state;
    check_file(&golden, "time");
    check_names(&golden, time_rows, is_time);
    end(&golden);
}

static void levels(void **state)
{
    static struct severity_words words;

    (void)state;
    assert_int_equal(severity_words_init(&words), 0);
    check_file(&golden, "severity");
    check_names(&golden, severity_rows, is_level);
    check_words(&golden, &words.table);
    check_numbers(&golden, &words);
    end(&golden);
}

static void trace_contexts(void **state)
{
    (void)state;
    check_file(&golden, "trace");
    check_names(&golden, trace_rows, is_trace);
    end(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(levels),
        cmocka_unit_test(trace_contexts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
