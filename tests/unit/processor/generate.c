#include "tests/unit/processor/generate.h"

#include "processor/record_internal.h"
#include "tests/unit/processor/support.h"

#include <stdarg.h>
#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* splitmix64 */
static uint64_t next(struct generate *g)
{
    uint64_t v = g->state += 0x9e3779b97f4a7c15ull;

    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
    v = (v ^ v >> 27) * 0x94d049bb133111ebull;
    return v ^ v >> 31;
}

uint32_t generate_below(struct generate *g, uint32_t n)
{
    return (uint32_t)(next(g) >> 33) % n;
}

static bool one_in(struct generate *g, uint32_t n)
{
    return generate_below(g, n) == 0;
}

/* ---- text without more in it ---- */

static void put_format(struct buf *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put_format(struct buf *out, const char *format, ...)
{
    char text[512];
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    put_bytes(out, text, (size_t)n);
}

/* A word that is nowhere else. */
static void put_token(struct generate *g, struct buf *out)
{
    put_format(out, "tk%ux%x", g->serial++, (unsigned)(next(g) >> 44));
}

static const char *pick(struct generate *g, const char *const *list, size_t n)
{
    return list[generate_below(g, (uint32_t)n)];
}

static const char *known_name(struct generate *g)
{
    size_t n = 0;

    while (record_names[n].name != NULL)
        n++;
    return record_names[generate_below(g, (uint32_t)n)].name;
}

static const struct name_row *row_of(const char *name)
{
    for (const struct name_row *row = record_names; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static void put_time_text(struct generate *g, struct buf *out)
{
    static const char *const zones[] = {"Z", "+00:00", "+01:30", "", " UTC", "z"};
    unsigned day = 1 + generate_below(g, 28), hour = generate_below(g, 24);

    put_format(out, "2024-%02u-%02uT%02u:%02u:%02u", 1 + generate_below(g, 12), day, hour,
               generate_below(g, 60), generate_below(g, 60));
    if (!one_in(g, 3))
        put_format(out, ".%0*u", 1 + (int)generate_below(g, 9), generate_below(g, 10));
    put_format(out, "%s", pick(g, zones, COUNT(zones)));
}

static const char *level_word(struct generate *g)
{
    static const char *const words[] = {"info",    "WARN",  "Error",      "debug",  "FATAL",
                                        "warning", "trace", "notice",     "err",    "CRITICAL",
                                        "DEBUG-4", "I",     "unheard-of", " info ", "Information"};

    return pick(g, words, COUNT(words));
}

static void put_hex_digits(struct generate *g, unsigned n, struct buf *out)
{
    for (unsigned i = 0; i < n; i++)
        put_format(out, "%x", generate_below(g, 16));
}

static void put_trace_text(struct generate *g, struct buf *out)
{
    static const unsigned lengths[] = {32, 16, 32, 16, 12, 31, 33};

    if (one_in(g, 5)) {
        put_bytes(out, "00-", 3);
        put_hex_digits(g, 32, out);
        put_bytes(out, "-", 1);
        put_hex_digits(g, 16, out);
        put_bytes(out, "-01", 3);
    } else if (one_in(g, 8)) {
        put_bytes(out, "00000000000000000000000000000000", 32);
    } else {
        put_hex_digits(g, lengths[generate_below(g, COUNT(lengths))], out);
    }
}

/* What a name of this kind mostly has for a value. */
static void put_fitting_text(struct generate *g, const struct name_row *row, struct buf *out)
{
    if (row->kind == KEY_TIME)
        put_time_text(g, out);
    else if (row->kind == KEY_SEVERITY)
        put_format(out, "%s", level_word(g));
    else if (row->kind == KEY_TRACE)
        put_trace_text(g, out);
    else if (row->kind == KEY_RENAME && row->value == RENAME_IOSTREAM)
        put_format(out, one_in(g, 2) ? "stdout" : "stderr");
    else if (row->kind == KEY_RENAME && row->value == RENAME_CALLER)
        put_format(out, "src/f%u.go:%u", g->serial++, generate_below(g, 5000));
    else if ((row->kind == KEY_FACT || row->kind == KEY_MACHINE) && one_in(g, 4))
        put_format(out, "machine-000%u-tail-0000", generate_below(g, 3));
    else if (row->kind == KEY_FACT && one_in(g, 3))
        put_format(out, "/reg.io/n%u:v%u", g->serial, g->serial + 1);
    else
        put_token(g, out);
}

/* ---- JSON ---- */

static void put_escaped(struct buf *out, struct slice text)
{
    put_bytes(out, "\"", 1);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            put_format(out, "\\%c", text.p[i]);
        else if (text.p[i] < 0x20)
            put_format(out, "\\u%04x", text.p[i]);
        else
            put_bytes(out, text.p + i, 1);
    }
    put_bytes(out, "\"", 1);
}

static void put_json_text(struct generate *g, unsigned depth, struct buf *out)
{
    struct buf text = new_buf();

    generate_text(g, depth, &text);
    put_escaped(out, buf_slice(&text));
    buf_fini(&text);
}

static void put_json_object(struct generate *g, unsigned depth, struct buf *out);

static void put_json_value(struct generate *g, unsigned depth, struct buf *out)
{
    switch (generate_below(g, depth > 0 ? 9 : 7)) {
    case 0:
        put_format(out, one_in(g, 2) ? "true" : "false");
        break;
    case 1:
        put_format(out, "null");
        break;
    case 2:
        put_format(out, "%lld", (long long)next(g));
        break;
    case 3:
        put_format(out, "%.17g", (double)(int64_t)next(g) / 1e7);
        break;
    case 4:
        put_format(out, "%u", generate_below(g, 70));
        break;
    case 7:
        put_json_object(g, depth - 1, out);
        break;
    case 8:
        put_bytes(out, "[", 1);
        put_json_value(g, depth - 1, out);
        put_bytes(out, " , ", 3);
        put_json_value(g, depth - 1, out);
        put_bytes(out, "]", 1);
        break;
    default:
        put_bytes(out, "\"", 1);
        put_token(g, out);
        put_bytes(out, "\"", 1);
    }
}

static void put_json_pair(struct generate *g, unsigned depth, struct buf *out)
{
    const struct name_row *row = row_of(known_name(g));
    struct buf text = new_buf();

    if (one_in(g, 2)) {
        put_format(out, "\"k_%u\":", generate_below(g, 40));
        put_json_value(g, depth, out);
    } else if (row->kind == KEY_BODY && depth > 0) {
        put_format(out, "\"%s\": ", row->name);
        put_json_text(g, depth - 1, out);
    } else if (one_in(g, 3)) {
        put_format(out, "\"%s\": ", row->name);
        put_json_value(g, depth, out);
    } else {
        put_fitting_text(g, row, &text);
        put_format(out, "\"%s\":", row->name);
        put_escaped(out, buf_slice(&text));
    }
    buf_fini(&text);
}

static void put_json_object(struct generate *g, unsigned depth, struct buf *out)
{
    uint32_t pairs = generate_below(g, 6);

    put_bytes(out, "{", 1);
    for (uint32_t i = 0; i < pairs; i++) {
        if (i > 0)
            put_bytes(out, ",", 1);
        put_json_pair(g, depth, out);
    }
    put_bytes(out, "}", 1);
}

void generate_json_record(struct generate *g, uint32_t number, struct buf *out)
{
    uint32_t pairs = generate_below(g, 20);

    put_format(out, "{\"" GENERATE_NUMBER "\": %u", number);
    for (uint32_t i = 0; i < pairs; i++) {
        put_bytes(out, ",\n", 2);
        put_json_pair(g, 3, out);
    }
    put_bytes(out, "}", 1);
}

/* ---- texts ---- */

static void put_prose(struct generate *g, struct buf *out)
{
    static const char *const fields[] = {"job_id", "trace_id", "span_id", "worker_id",
                                         "machine_id"};

    if (one_in(g, 3))
        put_format(out, one_in(g, 2) ? "%s: " : "[%s] ", level_word(g));
    put_token(g, out);
    put_format(out, " did a thing");
    while (one_in(g, 2)) {
        put_format(out, " %s=", pick(g, fields, COUNT(fields)));
        put_token(g, out);
    }
    if (one_in(g, 4))
        put_format(out, "\xc3\xa9\n");
}

static void put_logfmt(struct generate *g, struct buf *out)
{
    uint32_t pairs = 2 + generate_below(g, 6);

    for (uint32_t i = 0; i < pairs; i++) {
        const struct name_row *row = row_of(known_name(g));
        struct buf text = new_buf();

        if (one_in(g, 2))
            row = row_of("msg");
        if (one_in(g, 3))
            put_format(out, "k_%u=", generate_below(g, 40));
        else
            put_format(out, "%s=", row->name);
        put_fitting_text(g, row, &text);
        if (one_in(g, 2))
            put_escaped(out, buf_slice(&text));
        else
            put_bytes(out, text.p, text.n);
        put_bytes(out, " ", i + 1 < pairs);
        buf_fini(&text);
    }
}

static void put_syslog(struct generate *g, unsigned depth, struct buf *out)
{
    put_format(out, "<%u>", generate_below(g, 195));
    if (one_in(g, 2)) {
        put_format(out, "1 ");
        put_time_text(g, out);
        put_format(out, " host%u app%u %u ID47 ", g->serial, g->serial + 1,
                   generate_below(g, 9999));
        g->serial += 2;
        put_format(out, one_in(g, 2) ? "-" : "[exampleSDID@32473 iut=\"33\" src=\"a\\\"bcde\"]");
        put_format(out, " ");
    } else {
        put_format(out, "Jan %2u 10:30:45 ", 1 + generate_below(g, 28));
        if (one_in(g, 2))
            put_format(out, "host%u ", g->serial++);
        put_format(out, "app%u[%u]: ", g->serial++, generate_below(g, 99999));
    }
    generate_text(g, depth, out);
}

static void put_bracket(struct generate *g, unsigned depth, struct buf *out)
{
    static const char *const forms[] = {"] %s comp%u: ", "] [%s] [comp%u] ", "][%s][comp%u] ",
                                        " %s comp%u] "};
    static const char *const bare[] = {" %s comp%u: ", " | %s | comp%u - ", " [%s] comp%u: "};
    bool brackets = one_in(g, 2);

    put_bytes(out, "[", brackets);
    put_time_text(g, out);
    if (brackets)
        put_format(out, pick(g, forms, COUNT(forms)), level_word(g), g->serial++);
    else
        put_format(out, pick(g, bare, COUNT(bare)), level_word(g), g->serial++);
    generate_text(g, depth, out);
}

/* Docker's, or any object around a text. */
static void put_wrapper(struct generate *g, unsigned depth, struct buf *out)
{
    put_format(out, "{\"log\":");
    put_json_text(g, depth, out);
    put_format(out, ",\"stream\":\"stdout\",\"time\":\"");
    put_time_text(g, out);
    put_format(out, "\"}");
}

static void mutate(struct generate *g, struct buf *out, size_t from)
{
    size_t at;

    if (out->n == from)
        return;
    at = from + generate_below(g, (uint32_t)(out->n - from));
    switch (generate_below(g, 3)) {
    case 0:
        out->p[at] = (uint8_t)next(g);
        break;
    case 1:
        memmove(out->p + at, out->p + at + 1, out->n - at - 1);
        out->n--;
        break;
    default:
        out->n = at;
    }
}

void generate_text(struct generate *g, unsigned depth, struct buf *out)
{
    size_t from = out->n;

    switch (generate_below(g, depth > 0 ? 9 : 3)) {
    case 0:
        put_logfmt(g, out);
        break;
    case 3:
        put_json_object(g, depth - 1, out);
        break;
    case 4:
        put_wrapper(g, depth - 1, out);
        break;
    case 5:
        put_time_text(g, out);
        put_format(out, " %s %c ", one_in(g, 2) ? "stdout" : "stderr", one_in(g, 4) ? 'P' : 'F');
        generate_text(g, depth - 1, out);
        break;
    case 6:
        put_syslog(g, depth - 1, out);
        break;
    case 7:
        put_format(out, "%c%04u 10:30:45.%06u %7u file%u.go:%u] ", "IWEF"[generate_below(g, 4)],
                   101 + generate_below(g, 9), generate_below(g, 1000000), generate_below(g, 99999),
                   g->serial, generate_below(g, 500));
        generate_text(g, depth - 1, out);
        break;
    case 8:
        put_bracket(g, depth - 1, out);
        break;
    default:
        put_prose(g, out);
    }
    if (one_in(g, 10))
        mutate(g, out, from);
}

/* ---- MessagePack ---- */

/* Big-endian, of any width. */
static void put_wide(struct buf *out, uint8_t head, unsigned bytes, uint64_t v)
{
    uint8_t p[9] = {head};

    for (unsigned i = 0; i < bytes; i++)
        p[1 + i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
    put_bytes(out, p, 1 + bytes);
}

static void put_number(struct generate *g, struct buf *out)
{
    static const uint64_t odd[] = {
        0x7ff8000000000001, 0x7ff0000000000000, 0xfff0000000000000, 0x8000000000000000, 1,
        0x7fefffffffffffff};
    unsigned log = generate_below(g, 4);

    switch (generate_below(g, 8)) {
    case 0:
        put_wide(out, (uint8_t)generate_below(g, 128), 0, 0);
        break;
    case 1:
        put_wide(out, (uint8_t)(0xe0 | generate_below(g, 32)), 0, 0);
        break;
    case 2:
        put_wide(out, (uint8_t)(0xcc + log), 1u << log, next(g));
        break;
    case 3:
        put_wide(out, (uint8_t)(0xd0 + log), 1u << log, next(g));
        break;
    case 4:
        put_wide(out, 0xca, 4, next(g));
        break;
    case 5:
        put_wide(out, 0xcb, 8, odd[generate_below(g, COUNT(odd))]);
        break;
    case 6:
        put_wide(out, 0xcf, 8, 1700000000000000000u + generate_below(g, 1u << 31));
        break;
    default:
        put_wide(out, 0xcb, 8, next(g));
    }
}

/* The text under a header of any width. */
static void put_text_value(struct generate *g, struct buf *out, struct slice text)
{
    unsigned log = generate_below(g, 3);

    if (text.n >= 256)
        log = text.n >= 65536 ? 2 : 1;
    if (text.n < 32 && one_in(g, 2))
        put_wide(out, (uint8_t)(0xa0 | text.n), 0, 0);
    else
        put_wide(out, (uint8_t)(0xd9 + log), 1u << log, text.n);
    put_bytes(out, text.p, text.n);
}

static void put_random_text(struct generate *g, struct buf *out)
{
    struct buf text = new_buf();

    put_token(g, &text);
    while (one_in(g, 3))
        put_format(&text, "%c", 1 + (int)generate_below(g, 255));
    if (one_in(g, 20))
        text.n = 0;
    while (one_in(g, 12))
        put_token(g, &text);
    if (!g->is_small && one_in(g, 60))
        for (uint32_t n = generate_below(g, 9000); n > 0; n--)
            put_token(g, &text);
    put_text_value(g, out, buf_slice(&text));
    buf_fini(&text);
}

static void put_bytes_or_ext(struct generate *g, struct buf *out)
{
    uint8_t content[32];
    unsigned log = generate_below(g, 5);
    size_t n = generate_below(g, sizeof(content));

    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)next(g);
    switch (generate_below(g, 3)) {
    case 0:
        log %= 3;
        put_wide(out, (uint8_t)(0xc4 + log), 1u << log, n);
        break;
    case 1:
        n = 1u << log;
        put_wide(out, (uint8_t)(0xd4 + log), 1, generate_below(g, 4) == 0 ? 0xff : next(g));
        break;
    default:
        log %= 3;
        put_wide(out, (uint8_t)(0xc7 + log), 1u << log, n);
        put_wide(out, (uint8_t)next(g), 0, 0);
    }
    put_bytes(out, content, n);
}

static void put_container_head(struct generate *g, struct buf *out, bool map, uint32_t n)
{
    unsigned log = 1 + generate_below(g, 2);

    if (n < 16 && one_in(g, 2))
        put_wide(out, (uint8_t)((map ? 0x80 : 0x90) | n), 0, 0);
    else
        put_wide(out, (uint8_t)((map ? 0xde : 0xdc) + log - 1), 1u << log, n);
}

/* Arrays in arrays, around OTLP_VALUE_MAX_DEPTH. */
static void put_deep(struct generate *g, struct buf *out)
{
    for (unsigned depth = 20 + generate_below(g, 20); depth > 0; depth--)
        put_wide(out, 0x91, 0, 0);
    put_number(g, out);
}

void generate_value(struct generate *g, unsigned depth, struct buf *out)
{
    uint32_t n = generate_below(g, depth > 0 ? 24 : 20);

    if (n < 10) {
        put_random_text(g, out);
    } else if (n < 15) {
        put_number(g, out);
    } else if (n < 16) {
        put_nil(out);
    } else if (n < 17) {
        put_bool(out, one_in(g, 2));
    } else if (n < 20) {
        put_bytes_or_ext(g, out);
    } else if (n < 22) {
        generate_map(g, generate_below(g, one_in(g, 20) ? 100 : 5), out);
    } else if (one_in(g, 20)) {
        put_deep(g, out);
    } else {
        n = generate_below(g, 5);
        put_container_head(g, out, false, n);
        for (uint32_t i = 0; i < n; i++)
            generate_value(g, depth - 1, out);
    }
}

/* Of the length that makes a resource's head an unusual one. */
static void put_long(struct generate *g, struct buf *out)
{
    struct buf text = new_buf();

    for (uint32_t n = 500 + generate_below(g, 1000); n > 0; n--)
        put_token(g, &text);
    put_text_value(g, out, buf_slice(&text));
    buf_fini(&text);
}

/* That are taken for each other by who looks at their ends alone, or before they are UTF-8. */
static void put_labels(struct generate *g, struct buf *out)
{
    if (one_in(g, 4)) {
        put_map(out, 2);
        put_pair(out, "a\xff", "one");
        put_pair(out, "a\xfe", "two");
        return;
    }
    put_map(out, 1);
    put_str(out, "label-of-it");
    if (one_in(g, 8))
        put_long(g, out);
    else
        put_str(out, one_in(g, 2) ? "begin-000-a-end-0000" : "begin-000-b-end-0000");
}

/* A nesting map's children: those that mean something, and others. */
static void put_children(struct generate *g, const char *name, struct buf *out)
{
    uint32_t n = generate_below(g, one_in(g, 20) ? 90 : 8);
    size_t length = strlen(name);

    put_container_head(g, out, true, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct name_row *row = row_of(known_name(g));

        for (unsigned tries = 0;
             tries < 300 && !(strncmp(row->name, name, length) == 0 && row->name[length] == '.');
             tries++)
            row = row_of(known_name(g));
        put_str(out,
                strlen(row->name) > length && one_in(g, 4) == 0 ? row->name + length + 1 : "k_1");
        if (row->kind == KEY_LABELS && one_in(g, 3)) {
            put_labels(g, out);
        } else if (row->kind == KEY_LABELS && !one_in(g, 4)) {
            generate_map(g, generate_below(g, 4), out);
        } else if (one_in(g, 3)) {
            generate_value(g, 1, out);
        } else {
            struct buf text = new_buf();

            put_fitting_text(g, row, &text);
            put_text_value(g, out, buf_slice(&text));
            buf_fini(&text);
        }
    }
}

static void put_known_pair(struct generate *g, struct buf *out)
{
    const struct name_row *row = row_of(known_name(g));
    struct buf text = new_buf();

    put_text_value(g, out, slice_string(row->name));
    if (row->kind == KEY_BODY && !one_in(g, 6))
        generate_text(g, generate_below(g, 5), &text);
    else if (!one_in(g, 3))
        put_fitting_text(g, row, &text);
    if (text.n > 0)
        put_text_value(g, out, buf_slice(&text));
    else if ((row->kind == KEY_NEST || row->kind == KEY_FACT || row->kind == KEY_BODY) &&
             one_in(g, 2))
        put_children(g, row->name, out);
    else if (row->kind == KEY_TIME && one_in(g, 4))
        put_hex(out, "82 a7 7365636f6e6473 ce 65000001 a5 6e616e6f73 05");
    else
        generate_value(g, 2, out);
    buf_fini(&text);
}

static void put_odd_key(struct generate *g, struct buf *out)
{
    static const char *const names[] = {"",
                                        "a\xff",
                                        "a\xfe",
                                        "a\xef\xbf\xbd",
                                        "sluice.more",
                                        "fluent.time",
                                        "fluent.metadata",
                                        "log.iostream",
                                        "process.pid",
                                        "a#2",
                                        "a",
                                        "service.name",
                                        "host.name",
                                        "a long key that is no UTF-8 \xc3\x28 at all"};

    if (one_in(g, 2))
        generate_value(g, 1, out);
    else
        put_text_value(g, out, slice_string(pick(g, names, one_in(g, 2) ? 4 : COUNT(names))));
}

static void put_pair_of_any_kind(struct generate *g, unsigned depth, struct buf *out)
{
    char name[16];

    if (depth > 0 && one_in(g, 2)) {
        put_known_pair(g, out);
        return;
    }
    if (one_in(g, 5)) {
        put_odd_key(g, out);
    } else {
        snprintf(name, sizeof(name), "k_%u", generate_below(g, one_in(g, 2) ? 20 : 2000));
        put_text_value(g, out, slice_string(name));
    }
    generate_value(g, depth > 0 ? 2 : 0, out);
}

void generate_map(struct generate *g, uint32_t pairs, struct buf *out)
{
    put_container_head(g, out, true, pairs);
    for (uint32_t i = 0; i < pairs; i++)
        put_pair_of_any_kind(g, 0, out);
}

static void put_body(struct generate *g, const char *name, struct buf *out)
{
    struct buf text = new_buf();

    put_str(out, name);
    generate_text(g, generate_below(g, 5), &text);
    put_text_value(g, out, buf_slice(&text));
    buf_fini(&text);
}

/* With a resource of its own, and not much else. */
static void put_labelled(struct generate *g, uint32_t number, struct buf *out)
{
    put_map(out, 2);
    put_str(out, GENERATE_NUMBER);
    put_uint(out, number);
    put_str(out, "kubernetes");
    put_map(out, 1);
    put_str(out, "labels");
    put_labels(g, out);
}

void generate_record(struct generate *g, uint32_t number, struct buf *out)
{
    static const char *const bodies[] = {"message", "log", "msg"};
    uint32_t pairs = generate_below(g, 24);
    bool has_body = !one_in(g, 3);

    if (one_in(g, 30))
        pairs = generate_below(g, 300);
    if (one_in(g, 400))
        pairs = generate_below(g, 5000);
    if (one_in(g, 12)) {
        put_labelled(g, number, out);
        return;
    }
    put_container_head(g, out, true, pairs + 1 + has_body);
    put_str(out, GENERATE_NUMBER);
    put_uint(out, number);
    for (uint32_t i = 0; i < pairs; i++)
        put_pair_of_any_kind(g, 1, out);
    if (has_body)
        put_body(g, pick(g, bodies, COUNT(bodies)), out);
}
