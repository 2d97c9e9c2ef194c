#include "receiver/json_scan.h"

#include <errno.h>
#include <string.h>

#define KINDS_KEPT 64u
#define REPLACEMENT 0xfffdu

enum state { AT_VALUE, IN_STRING, IN_ESCAPE, IN_CONTAINER, IN_LITERAL, IN_NUMBER };

/* What a byte may be between strings. */
enum class { NOTHING, FILLING, QUOTE, OPENING, CLOSING };

static const uint8_t class_of[256] = {
    [' '] = FILLING,         ['\t'] = FILLING,        ['\n'] = FILLING, ['\r'] = FILLING,
    [','] = FILLING,         [':'] = FILLING,         ['+'] = FILLING,  ['-'] = FILLING,
    ['.'] = FILLING,         ['0' ... '9'] = FILLING, ['"'] = QUOTE,    ['['] = OPENING,
    ['a' ... 'z'] = FILLING, ['A' ... 'Z'] = FILLING, ['{'] = OPENING,  [']'] = CLOSING,
    ['}'] = CLOSING,
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

size_t json_scan_space(const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n && is_space(p[i]))
        i++;
    return i;
}

/* ---- where a value ends ---- */

static void open_bracket(struct json_scan *scan, uint8_t bracket)
{
    if (scan->depth < KINDS_KEPT) {
        uint64_t bit = 1ull << scan->depth;

        scan->arrays = bracket == '[' ? scan->arrays | bit : scan->arrays & ~bit;
    }
    scan->depth++;
}

/* False: it closes another kind than was opened. */
static bool close_bracket(struct json_scan *scan, uint8_t bracket)
{
    scan->depth--;
    return scan->depth >= KINDS_KEPT || (scan->arrays >> scan->depth & 1) == (bracket == ']');
}

static int at_value(struct json_scan *scan, uint8_t byte)
{
    if (byte == '"') {
        scan->kind = JSON_SCAN_STRING;
        scan->state = IN_STRING;
    } else if (byte == '[' || byte == '{') {
        scan->kind = byte == '[' ? JSON_SCAN_ARRAY : JSON_SCAN_OBJECT;
        scan->state = IN_CONTAINER;
        open_bracket(scan, byte);
    } else if (byte == '-' || is_digit(byte)) {
        scan->kind = JSON_SCAN_NUMBER;
        scan->state = IN_NUMBER;
    } else if (byte == 'n' || byte == 't' || byte == 'f') {
        scan->kind = byte == 'n' ? JSON_SCAN_NULL : byte == 't' ? JSON_SCAN_TRUE : JSON_SCAN_FALSE;
        scan->state = IN_LITERAL;
        scan->matched = 1;
    } else {
        return -EPROTO;
    }
    scan->at++;
    return 0;
}

static int in_string(const uint8_t *p, size_t n, struct json_scan *scan)
{
    size_t at = scan->at;

    while (at < n && p[at] != '"' && p[at] != '\\')
        at++;
    scan->at = at;
    if (at == n)
        return 0;
    scan->at++;
    if (p[at] == '\\')
        scan->state = IN_ESCAPE;
    else if (scan->depth > 0)
        scan->state = IN_CONTAINER;
    else
        return 1;
    return 0;
}

static int in_container(const uint8_t *p, size_t n, struct json_scan *scan)
{
    for (; scan->at < n; scan->at++) {
        uint8_t byte = p[scan->at];

        switch ((enum class)class_of[byte]) {
        case FILLING:
            break;
        case QUOTE:
            scan->at++;
            scan->state = IN_STRING;
            return 0;
        case OPENING:
            open_bracket(scan, byte);
            break;
        case CLOSING:
            if (!close_bracket(scan, byte))
                return -EPROTO;
            if (scan->depth == 0) {
                scan->at++;
                return 1;
            }
            break;
        case NOTHING:
            return -EPROTO;
        }
    }
    return 0;
}

static int in_literal(struct json_scan *scan, uint8_t byte)
{
    static const char *const words[] = {
        [JSON_SCAN_NULL] = "null", [JSON_SCAN_FALSE] = "false", [JSON_SCAN_TRUE] = "true"};
    const char *word = words[scan->kind];

    if (byte != (uint8_t)word[scan->matched])
        return -EPROTO;
    scan->at++;
    scan->matched++;
    return word[scan->matched] == '\0';
}

static int in_number(const uint8_t *p, size_t n, struct json_scan *scan)
{
    while (scan->at < n && p[scan->at] != '\0' &&
           (is_digit(p[scan->at]) || strchr("+-.eE", p[scan->at])))
        scan->at++;
    return scan->at < n;
}

int json_scan(const uint8_t *p, size_t n, struct json_scan *scan)
{
    int r = 0;

    while (r == 0 && scan->at < n) {
        switch ((enum state)scan->state) {
        case AT_VALUE:
            r = at_value(scan, p[scan->at]);
            break;
        case IN_STRING:
            r = in_string(p, n, scan);
            break;
        case IN_ESCAPE:
            scan->at++;
            scan->state = IN_STRING;
            break;
        case IN_CONTAINER:
            r = in_container(p, n, scan);
            break;
        case IN_LITERAL:
            r = in_literal(scan, p[scan->at]);
            break;
        case IN_NUMBER:
            r = in_number(p, n, scan);
            break;
        }
    }
    return r;
}

static void skip(struct slice *rest, size_t n)
{
    *rest = slice_of(rest->p + n, rest->n - n);
}

bool json_scan_take(struct slice *rest, enum json_scan_kind *ret_kind, struct slice *ret_value)
{
    size_t space = json_scan_space(rest->p, rest->n);
    struct json_scan scan = {.at = space};

    if (json_scan(rest->p, rest->n, &scan) != 1)
        return false;
    *ret_kind = (enum json_scan_kind)scan.kind;
    *ret_value = slice_of(rest->p + space, scan.at - space);
    skip(rest, scan.at);
    return true;
}

bool json_scan_eat(struct slice *rest, uint8_t byte)
{
    size_t space = json_scan_space(rest->p, rest->n);

    if (space == rest->n || rest->p[space] != byte)
        return false;
    skip(rest, space + 1);
    return true;
}

/* ---- strings ---- */

/* The four digits at p. -1: they are none. */
static int32_t hex4(struct slice s)
{
    int32_t value = 0;

    if (s.n < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        uint8_t byte = s.p[i];
        uint8_t lower = byte | 0x20;

        if (is_digit(byte))
            value = value * 16 + (byte - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* The character of `\u` at s and how many bytes its escape has, a pair's both. -EPROTO. */
static int take_unicode(struct slice s, uint32_t *ret_character, size_t *ret_n)
{
    int32_t high = hex4(slice_of(s.p + 2, s.n - 2)), low;

    if (high < 0)
        return -EPROTO;
    *ret_character = (uint32_t)high;
    *ret_n = 6;
    if (high < 0xd800 || high > 0xdfff)
        return 0;
    *ret_character = REPLACEMENT;
    if (high > 0xdbff || s.n < 12 || s.p[6] != '\\' || s.p[7] != 'u')
        return 0;
    low = hex4(slice_of(s.p + 8, s.n - 8));
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_character = 0x10000u + ((uint32_t)high - 0xd800u) * 0x400u + ((uint32_t)low - 0xdc00u);
    *ret_n = 12;
    return 0;
}

static size_t put_utf8(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* The escape at the front of s as UTF-8; how many bytes it has. -EPROTO. */
static int take_escape(struct slice s, uint8_t out[4], size_t *ret_out, size_t *ret_n)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t character;
    const char *letter;

    if (s.n < 2 || s.p[1] == '\0')
        return -EPROTO;
    if (s.p[1] == 'u') {
        int r = take_unicode(s, &character, ret_n);

        *ret_out = r < 0 ? 0 : put_utf8(character, out);
        return r;
    }
    letter = strchr(letters, s.p[1]);
    if (!letter)
        return -EPROTO;
    out[0] = (uint8_t)meant[letter - letters];
    *ret_out = 1;
    *ret_n = 2;
    return 0;
}

int json_scan_string(struct slice value, uint8_t *room, size_t size, struct slice *ret_content)
{
    struct slice rest = slice_of(value.p + 1, value.n - 2); /* without its quotes */
    size_t n = 0;

    if (rest.n == 0 || !memchr(rest.p, '\\', rest.n)) {
        if (rest.n > size)
            return -ENOBUFS;
        *ret_content = rest;
        return 0;
    }
    while (rest.n > 0) {
        uint8_t bytes[4] = {rest.p[0]};
        size_t have = 1, used = 1;

        if (rest.p[0] == '\\' && take_escape(rest, bytes, &have, &used) < 0)
            return -EPROTO;
        if (n + have > size)
            return -ENOBUFS;
        memcpy(room + n, bytes, have);
        n += have;
        skip(&rest, used);
    }
    *ret_content = slice_of(room, n);
    return 0;
}

bool json_scan_uint(struct slice value, uint64_t *ret)
{
    uint64_t number = 0;

    for (size_t i = 0; i < value.n; i++) {
        if (!is_digit(value.p[i]) || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(value.p[i] - '0'), &number))
            return false;
    }
    *ret = number;
    return value.n > 0;
}
