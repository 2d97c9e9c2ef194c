#include "shared/options/option_list_json.h"

#include <errno.h>

#include "shared/base/secret.h"

#define STRING_MAX_BYTES 4096u

struct reader {
    const uint8_t *start, *p, *end;
    struct option_list *list;
    struct err *err;
    size_t n;                         /* of the string that was read last */
    uint8_t string[STRING_MAX_BYTES]; /* without its escapes */
};

static int expected(const struct reader *r, const char *what)
{
    return err_set(r->err, EINVAL, "is no list of objects in JSON: %s is missing at byte %zu", what,
                   (size_t)(r->p - r->start) + 1);
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* Takes this character, with blanks in front of it. */
static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != (uint8_t)c)
        return false;
    r->p++;
    return true;
}

/* ---- strings ---- */

static int put(struct reader *r, uint8_t byte)
{
    if (r->n == sizeof(r->string))
        return err_set(r->err, EINVAL, "holds a text of more than %u bytes (at byte %zu)",
                       STRING_MAX_BYTES, (size_t)(r->p - r->start) + 1);
    r->string[r->n++] = byte;
    return 0;
}

static int put_rune(struct reader *r, uint32_t rune)
{
    int e;

    if (rune < 0x80)
        return put(r, (uint8_t)rune);
    if (rune < 0x800)
        e = put(r, (uint8_t)(0xc0 | rune >> 6));
    else if (rune < 0x10000)
        e = put(r, (uint8_t)(0xe0 | rune >> 12));
    else
        e = put(r, (uint8_t)(0xf0 | rune >> 18));
    if (e == 0 && rune >= 0x10000)
        e = put(r, (uint8_t)(0x80 | (rune >> 12 & 0x3f)));
    if (e == 0 && rune >= 0x800)
        e = put(r, (uint8_t)(0x80 | (rune >> 6 & 0x3f)));
    return e < 0 ? e : put(r, (uint8_t)(0x80 | (rune & 0x3f)));
}

/* The four digits behind \u. */
static bool take_hex(struct reader *r, uint32_t *ret)
{
    uint32_t value = 0;

    if (r->end - r->p < 4)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t c = r->p[i];

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    r->p += 4;
    *ret = value;
    return true;
}

/* Behind \u: a character, perhaps as a pair of surrogates. */
static int read_rune(struct reader *r)
{
    uint32_t rune, low;

    if (!take_hex(r, &rune))
        return expected(r, "a digit of \\u");
    if (rune < 0xd800 || rune > 0xdfff)
        return put_rune(r, rune);
    if (rune > 0xdbff || r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
        return expected(r, "a second surrogate");
    r->p += 2;
    if (!take_hex(r, &low) || low < 0xdc00 || low > 0xdfff)
        return expected(r, "a second surrogate");
    return put_rune(r, 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00));
}

static int read_escape(struct reader *r)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (r->p == r->end)
        return expected(r, "the end of a text");
    if (*r->p == 'u') {
        r->p++;
        return read_rune(r);
    }
    at = *r->p != '\0' ? strchr(letters, *r->p) : NULL;
    if (!at)
        return expected(r, "what \\ is for");
    r->p++;
    return put(r, (uint8_t)meanings[at - letters]);
}

/* Behind the quote that begins it. */
static int read_string(struct reader *r)
{
    int e = 0;

    r->n = 0;
    while (e == 0 && r->p < r->end && *r->p != '"' && *r->p >= 0x20) {
        if (*r->p++ == '\\')
            e = read_escape(r);
        else
            e = put(r, r->p[-1]);
    }
    if (e == 0 && (r->p == r->end || *r->p++ != '"'))
        return expected(r, "the quote that ends a text");
    return e;
}

/* ---- lists and objects ---- */

static int read_text(struct reader *r)
{
    int e = take(r, '"') ? read_string(r) : expected(r, "a text in double quotes");

    return e < 0 ? e : option_list_text(r->list, slice_of(r->string, r->n), r->err);
}

static int read_texts(struct reader *r)
{
    int e = 0;

    if (take(r, ']'))
        return 0; /* the list says that it is empty */
    do
        e = read_text(r);
    while (e == 0 && take(r, ','));
    if (e == 0 && !take(r, ']'))
        return expected(r, "a comma or ]");
    return e;
}

static int read_member(struct reader *r)
{
    bool is_list;
    int e;

    if (!take(r, '"'))
        return expected(r, "a name in double quotes");
    e = read_string(r);
    if (e < 0)
        return e;
    if (!take(r, ':'))
        return expected(r, "a colon");
    is_list = take(r, '[');
    e = option_list_name(r->list, slice_of(r->string, r->n), is_list, r->err);
    if (e < 0)
        return e;
    return is_list ? read_texts(r) : read_text(r);
}

static int read_element(struct reader *r)
{
    int e = 0;

    if (!take(r, '{'))
        return expected(r, "{");
    option_list_begin(r->list);
    if (!take(r, '}')) {
        do
            e = read_member(r);
        while (e == 0 && take(r, ','));
        if (e == 0 && !take(r, '}'))
            return expected(r, "a comma or }");
    }
    return e < 0 ? e : option_list_end(r->list, r->err);
}

static int read_all(struct reader *r)
{
    int e = 0;

    if (!take(r, '['))
        return expected(r, "[");
    if (!take(r, ']')) {
        do
            e = read_element(r);
        while (e == 0 && take(r, ','));
        if (e == 0 && !take(r, ']'))
            return expected(r, "a comma or ]");
    }
    skip_blanks(r);
    if (e == 0 && r->p < r->end)
        return err_set(r->err, EINVAL,
                       "is no list of objects in JSON: something follows at byte %zu",
                       (size_t)(r->p - r->start) + 1);
    return e;
}

int option_list_json(struct option_list *list, struct slice json, struct err *err)
{
    struct reader reader = {
        .start = json.p, .p = json.p, .end = json.p + json.n, .list = list, .err = err};
    int r = read_all(&reader);

    secret_wipe(reader.string, sizeof(reader.string));
    return r;
}
