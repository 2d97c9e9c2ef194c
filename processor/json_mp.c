#include "processor/json_mp.h"

#include "processor/json_decimal.h"
#include "processor/mp_encode.h"

#include <errno.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Room that a value has before it is written: any number, any head, a run of STEP bytes. */
#define STEP 16
#define ROOM (2 * STEP)

struct level {
    size_t content; /* where the container's values begin in the buffer */
    uint32_t count;
    uint8_t head; /* bytes of its head; 0: it has none */
    bool map;
};

struct reader {
    const uint8_t *end;
    uint8_t *room_end;
    struct buf *buf;
    bool lax;
    int status; /* why reading failed */
    const char *reason;
    const uint8_t *where;
    size_t depth;
    struct level levels[JSON_MAX_DEPTH]; /* only those below depth are set */
};

/*
 * Where reading and writing are. Goes from function to function by value, which is in two
 * registers: bytes written through a pointer in the reader would make every look at it a load.
 * After an error `in` is NULL.
 */
struct at {
    const uint8_t *in;
    uint8_t *out;
};

static const struct at failed = {NULL, NULL};

static __attribute__((noinline, cold)) struct at fail(struct reader *r, int status,
                                                      const uint8_t *where, const char *reason)
{
    r->status = status;
    r->where = where;
    r->reason = reason;
    return failed;
}

static __attribute__((noinline, cold)) struct at grow(struct reader *r, struct at at, size_t n)
{
    r->buf->n = (size_t)(at.out - r->buf->p);
    if (buf_reserve(r->buf, n) < 0)
        return fail(r, -ENOMEM, at.in, "there is no room for it");
    at.out = r->buf->p + r->buf->n;
    r->room_end = r->buf->p + r->buf->cap;
    return at;
}

static inline struct at need(struct reader *r, struct at at, size_t n)
{
    if (__builtin_expect((size_t)(r->room_end - at.out) < n, 0))
        return grow(r, at, n);
    return at;
}

static inline bool is_white(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static __attribute__((noinline)) const uint8_t *skip_all_white(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_white(*p))
        p++;
    return p;
}

/* Most often there is none, or one. */
static inline const uint8_t *skip_white(const uint8_t *p, const uint8_t *end)
{
    if (p < end && *p <= ' ') {
        p += is_white(*p);
        if (p < end && *p <= ' ')
            return skip_all_white(p, end);
    }
    return p;
}

/* ---- strings ---- */

/* Not part of a plain run; a control character may still be taken. */
static inline bool is_special(uint8_t c)
{
    return c == '"' || c == '\\' || c < 0x20;
}

/*
 * Copies STEP bytes, whatever they are. The lowest bit that is set in what it returns is the first
 * special byte's. No count, by which one could advance without a branch: the branch is foreseen, and
 * the next step would wait for the count (a quarter slower).
 */
#ifdef __SSE2__
static inline unsigned copy_step(uint8_t *to, const uint8_t *from)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i escape = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i special = _mm_or_si128(_mm_or_si128(quote, escape), control);

    _mm_storeu_si128((__m128i *)(void *)to, v);
    return (unsigned)_mm_movemask_epi8(special);
}
#else
/* The lowest high bit that is set is right; those above may be a borrow. */
static inline unsigned plain_bytes_of_8(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101ull;
    uint64_t quote = v ^ ones * '"', escape = v ^ ones * '\\';
    uint64_t special =
        ((quote - ones) & ~quote) | ((escape - ones) & ~escape) | ((v - ones * 0x20) & ~v);

    special &= ones * 0x80;
    return special == 0 ? 8 : (unsigned)__builtin_ctzll(special) / 8;
}

static inline unsigned copy_step(uint8_t *to, const uint8_t *from)
{
    unsigned n = plain_bytes_of_8(bytes_get_le64(from));

    memcpy(to, from, STEP);
    if (n == 8)
        n += plain_bytes_of_8(bytes_get_le64(from + 8));
    return n == STEP ? 0 : 1u << n;
}
#endif

/* Copies up to the next special byte or the text's end; leaves room for STEP bytes. */
static struct at copy_plain(struct reader *r, struct at at)
{
    for (;;) {
        unsigned special;

        at = need(r, at, ROOM);
        if (at.in == NULL || r->end - at.in < STEP)
            break;
        special = copy_step(at.out, at.in);
        if (special != 0) {
            at.in += __builtin_ctz(special);
            at.out += __builtin_ctz(special);
            return at;
        }
        at.in += STEP;
        at.out += STEP;
    }
    if (at.in == NULL)
        return failed;
    while (at.in < r->end && !is_special(*at.in))
        *at.out++ = *at.in++;
    return at;
}

/* Four hexadecimal digits at p; -1 where they are none. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
    int32_t v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], letter = c | 0x20;

        if (is_digit(c))
            v = v << 4 | (c - '0');
        else if (letter >= 'a' && letter <= 'f')
            v = v << 4 | (letter - 'a' + 10);
        else
            return -1;
    }
    return v;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
    } else if (c < 0x800) {
        *to++ = (uint8_t)(0xc0 | c >> 6);
        *to++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (uint8_t)(0xe0 | c >> 12);
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *to++ = (uint8_t)(0xf0 | c >> 18);
        *to++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return to;
}

/* \uXXXX, or two of them that are a surrogate pair. */
static struct at put_unicode(struct reader *r, struct at at)
{
    int32_t c = hex4(at.in + 2, r->end), low = -1;

    if (c < 0)
        return fail(r, -EBADMSG, at.in, "\\u is not followed by four hexadecimal digits");
    at.in += 6;
    if (c >= 0xd800 && c <= 0xdbff && r->end - at.in >= 2 && at.in[0] == '\\' && at.in[1] == 'u')
        low = hex4(at.in + 2, r->end);
    if (low >= 0xdc00 && low <= 0xdfff) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        at.in += 6;
    } else if (c >= 0xd800 && c <= 0xdfff) {
        c = 0xfffd;
    }
    at.out = put_utf8(at.out, (uint32_t)c);
    return at;
}

/* At a backslash. */
static inline struct at put_escape(struct reader *r, struct at at)
{
    static const uint8_t plain[UINT8_MAX + 1] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };

    if (r->end - at.in < 2)
        return fail(r, -EBADMSG, r->end, "the text ends inside a string");
    if (plain[at.in[1]] == 0)
        return at.in[1] == 'u' ? put_unicode(r, at)
                               : fail(r, -EBADMSG, at.in, "an escape that there is not");
    *at.out++ = plain[at.in[1]];
    at.in += 2;
    return at;
}

/* Behind the content, which begins two bytes behind `head`: writes the head, as wide as needed. */
static struct at end_string(struct reader *r, struct at at, size_t head)
{
    uint8_t *to;
    size_t n, more;

    at = need(r, at, ROOM);
    if (at.in == NULL)
        return failed;
    to = r->buf->p + head;
    n = (size_t)(at.out - to) - 2;
    more = n <= UINT8_MAX ? 0 : n <= UINT16_MAX ? 1 : 3;
    if (more == 0) {
        mp_encode_8(to, MP_ENCODE_STR8, (uint8_t)n);
        return at;
    }
    memmove(to + 2 + more, to + 2, n);
    mp_encode_str(to, (uint32_t)n);
    at.out += more;
    return at;
}

/* Behind the quote of a string that is not short and plain. */
static __attribute__((noinline)) struct at put_long_string(struct reader *r, struct at at)
{
    size_t head = (size_t)(at.out - r->buf->p);

    at.out += 2;
    for (;;) {
        at = copy_plain(r, at);
        if (at.in == NULL)
            return failed;
        if (at.in == r->end)
            return fail(r, -EBADMSG, at.in, "the text ends inside a string");
        if (*at.in == '"')
            break;
        if (*at.in == '\\')
            at = put_escape(r, at);
        else if (r->lax)
            *at.out++ = *at.in++;
        else
            return fail(r, -EBADMSG, at.in, "a control character in a string");
        if (at.in == NULL)
            return failed;
    }
    at.in++;
    return end_string(r, at, head);
}

/* At a quote; with ROOM. */
static inline struct at put_string(struct reader *r, struct at at)
{
    at.in++;
    if (__builtin_expect(r->end - at.in >= STEP, 1)) {
        unsigned special = copy_step(at.out + 1, at.in);
        unsigned n = special == 0 ? 0 : (unsigned)__builtin_ctz(special);

        if (special != 0 && at.in[n] == '"') {
            *at.out = (uint8_t)(MP_ENCODE_FIXSTR | n);
            at.in += n + 1;
            at.out += n + 1;
            return at;
        }
    }
    return put_long_string(r, at);
}

/* ---- numbers ---- */

/* A number as it stands in the text, as str: for what no number of MessagePack's can say. */
static struct at put_number_text(struct reader *r, struct at at, const uint8_t *end)
{
    size_t n = (size_t)(end - at.in);

    at = need(r, at, MP_ENCODE_MAX_BYTES + n);
    if (at.in == NULL)
        return failed;
    at.out = mp_encode_str(at.out, (uint32_t)n);
    memcpy(at.out, at.in, n);
    at.out += n;
    at.in = end;
    return at;
}

/* The exponent at p, behind the e; NULL where there is none. Far ones are as good as 10^6. */
static const uint8_t *read_exponent(const uint8_t *p, const uint8_t *end, int64_t *ret)
{
    int64_t v = 0;
    bool negative = false;

    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (p == end || !is_digit(*p))
        return NULL;
    for (; p < end && is_digit(*p); p++)
        if (v < 1000000)
            v = v * 10 + (*p - '0');
    *ret = negative ? -v : v;
    return p;
}

/* At the point or the e at p, behind `integers` digits that are in d. */
static __attribute__((noinline)) struct at put_fraction(struct reader *r, struct at at,
                                                        const uint8_t *p, struct json_decimal d,
                                                        size_t integers)
{
    size_t count = d.digits == 0 ? 0 : integers;
    int64_t exponent = 0;
    double v;

    if (*p == '.') {
        const uint8_t *first = ++p;

        for (; p < r->end && is_digit(*p); p++) {
            if (count < 19) {
                d.digits = d.digits * 10 + (uint64_t)(*p - '0');
                d.scale--;
                count += d.digits != 0;
            } else {
                d.exact &= *p == '0';
            }
        }
        if (p == first)
            return fail(r, -EBADMSG, p, "a digit is expected behind the point");
    }
    if (p < r->end && (*p | 0x20) == 'e') {
        const uint8_t *first = p + 1;

        p = read_exponent(first, r->end, &exponent);
        if (p == NULL)
            return fail(r, -EBADMSG, first, "a digit is expected in the exponent");
    }
    d.scale += exponent;
    if (!json_decimal_double(&d, slice_of(at.in, (size_t)(p - at.in)), &v))
        return put_number_text(r, at, p);
    at.out = mp_encode_float(at.out, v);
    at.in = p;
    return at;
}

/* Twenty digits and more: the last ones of 64 bits, or text. */
static __attribute__((noinline)) struct at put_long_integer(struct reader *r, struct at at,
                                                            const uint8_t *end)
{
    uint64_t v = 0;

    if (*at.in == '-')
        return put_number_text(r, at, end);
    for (const uint8_t *p = at.in; p < end; p++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return put_number_text(r, at, end);
    at.out = mp_encode_uint(at.out, v);
    at.in = end;
    return at;
}

/* At a digit or a minus; with ROOM. */
static struct at put_number(struct reader *r, struct at at)
{
    const uint8_t *p = at.in, *first;
    bool negative = *p == '-';
    uint64_t v = 0;
    size_t n;

    p += negative;
    first = p;
    for (; p < r->end && is_digit(*p); p++)
        v = v * 10 + (uint64_t)(*p - '0');
    n = (size_t)(p - first);
    if (n == 0)
        return fail(r, -EBADMSG, p, "a digit is expected");
    if (n > 1 && *first == '0')
        return fail(r, -EBADMSG, first, "a number begins with 0");
    if (p < r->end && (*p == '.' || (*p | 0x20) == 'e')) {
        struct json_decimal d = {.digits = v, .negative = negative, .exact = n <= 19};

        return put_fraction(r, at, p, d, n);
    }
    if (n > 19)
        return put_long_integer(r, at, p);
    if (!negative)
        at.out = mp_encode_uint(at.out, v);
    else if (v == 0)
        at.out = mp_encode_float(at.out, -0.0);
    else if (v <= (uint64_t)INT64_MAX + 1)
        at.out = mp_encode_int(at.out, (int64_t)-v);
    else
        return put_number_text(r, at, p);
    at.in = p;
    return at;
}

/* ---- values ---- */

static struct at put_word(struct reader *r, struct at at, struct slice word, uint8_t type)
{
    if ((size_t)(r->end - at.in) < word.n || memcmp(at.in, word.p, word.n) != 0)
        return fail(r, -EBADMSG, at.in, "a value is expected");
    *at.out++ = type;
    at.in += word.n;
    return at;
}

/* What is neither string nor container. */
static struct at put_scalar(struct reader *r, struct at at)
{
    switch (*at.in) {
    case 't':
        return put_word(r, at, SLICE_LITERAL("true"), MP_ENCODE_TRUE);
    case 'f':
        return put_word(r, at, SLICE_LITERAL("false"), MP_ENCODE_FALSE);
    case 'n':
        return put_word(r, at, SLICE_LITERAL("null"), MP_ENCODE_NIL);
    case '-':
    case '0' ... '9':
        return put_number(r, at);
    default:
        return fail(r, -EBADMSG, at.in, "a value is expected");
    }
}

/* A key, its colon and the white space around it; with ROOM. */
static inline struct at put_key(struct reader *r, struct at at)
{
    if (at.in == r->end || *at.in != '"')
        return fail(r, -EBADMSG, at.in, "a key in quotes is expected");
    at = put_string(r, at);
    if (at.in == NULL)
        return failed;
    at.in = skip_white(at.in, r->end);
    if (at.in == r->end || *at.in != ':')
        return fail(r, -EBADMSG, at.in, "':' is expected");
    at.in++;
    return need(r, at, ROOM);
}

/*
 * At a bracket; with ROOM. The head is as wide as the text that is left can need: a value with its
 * comma takes two bytes at least.
 */
static struct at open_container(struct reader *r, struct at at)
{
    struct level *level = &r->levels[r->depth];

    if (r->depth == JSON_MAX_DEPTH)
        return fail(r, -E2BIG, at.in, "too many values within values");
    r->depth++;
    level->map = *at.in == '{';
    level->count = 0;
    if (r->end - at.in <= UINT16_MAX) {
        at.out = mp_encode_16(at.out, level->map ? MP_ENCODE_MAP16 : MP_ENCODE_ARRAY16, 0);
        level->head = 3;
    } else {
        at.out = mp_encode_32(at.out, level->map ? MP_ENCODE_MAP32 : MP_ENCODE_ARRAY32, 0);
        level->head = 5;
    }
    level->content = (size_t)(at.out - r->buf->p);
    at.in++;
    return at;
}

/* At the closing bracket. An empty container's head needs one byte only. */
static struct at close_container(struct reader *r, struct at at)
{
    struct level *level = &r->levels[--r->depth];
    uint8_t *content = r->buf->p + level->content;

    at.in++;
    if (level->head == 0)
        return at;
    if (level->count == 0) {
        at.out = content - level->head;
        *at.out++ = level->map ? MP_ENCODE_FIXMAP : MP_ENCODE_FIXARRAY;
    } else if (level->head == 3) {
        bytes_put_be16(content - 2, (uint16_t)level->count);
    } else {
        bytes_put_be32(content - 4, level->count);
    }
    return at;
}

static inline bool is_closed_by(const struct level *level, uint8_t c)
{
    return c == (level->map ? '}' : ']');
}

/*
 * Behind a bracket that opened a container, or behind a value: goes on to the next value, over
 * commas, closing brackets and a key. At the text's own end depth is 0.
 */
static inline struct at next_value(struct reader *r, struct at at, bool opened)
{
    for (;;) {
        struct level *level;

        if (r->depth == 0)
            return at;
        level = &r->levels[r->depth - 1];
        at.in = skip_white(at.in, r->end);
        if (at.in == r->end)
            return fail(r, -EBADMSG, at.in, "the text ends inside a value");
        if (!opened)
            level->count++;
        if (is_closed_by(level, *at.in)) {
            at = close_container(r, at);
            opened = false;
            continue;
        }
        if (!opened) {
            if (*at.in != ',')
                return fail(r, -EBADMSG, at.in,
                            level->map ? "',' or '}' is expected" : "',' or ']' is expected");
            at.in = skip_white(at.in + 1, r->end);
        }
        at = need(r, at, ROOM);
        if (level->map && at.in != NULL)
            return put_key(r, at);
        return at;
    }
}

/* From a value, with ROOM, to the end of the outermost one. */
static struct at put_values(struct reader *r, struct at at)
{
    do {
        bool opened = false;

        at.in = skip_white(at.in, r->end);
        if (at.in == r->end)
            return fail(r, -EBADMSG, at.in, "the text ends where a value is expected");
        if (*at.in == '"') {
            at = put_string(r, at);
        } else if (*at.in == '{' || *at.in == '[') {
            at = open_container(r, at);
            opened = true;
        } else {
            at = put_scalar(r, at);
        }
        if (at.in == NULL)
            return failed;
        at = next_value(r, at, opened);
    } while (at.in != NULL && r->depth > 0);
    return at;
}

/* ---- */

static void reader_init(struct reader *r, struct slice text, unsigned flags, struct mp_writer *w)
{
    r->end = text.p + text.n;
    r->buf = w->buf;
    r->room_end = r->buf->p + r->buf->cap;
    r->lax = (flags & JSON_LAX) != 0;
    r->status = 0;
    r->reason = NULL;
    r->where = NULL;
    r->depth = 0;
}

static void tell(const struct reader *r, struct slice text, struct json_error *ret)
{
    const uint8_t *line = text.p;

    if (ret == NULL)
        return;
    *ret =
        (struct json_error){.reason = r->reason, .offset = (size_t)(r->where - text.p), .line = 1};
    for (const uint8_t *p = text.p; p < r->where; p++) {
        if (*p == '\n') {
            ret->line++;
            line = p + 1;
        }
    }
    ret->column = (uint32_t)(r->where - line) + 1;
}

/* Takes back what was written; returns the error. */
static int give_up(struct reader *r, struct slice text, size_t begin, struct mp_writer *w,
                   struct json_error *ret_error)
{
    w->buf->n = begin;
    if (r->status == -ENOMEM)
        w->failed = true;
    tell(r, text, ret_error);
    return r->status;
}

static bool is_refused(struct reader *r, struct slice text, const struct mp_writer *w)
{
    if (w->failed)
        fail(r, -ENOMEM, text.p, "there is no room for it");
    else if (text.n == 0)
        fail(r, -EBADMSG, text.p, "there is no text");
    else if (text.n > UINT32_MAX)
        fail(r, -E2BIG, text.p, "the text is too long");
    return r->status != 0;
}

static bool is_word(uint8_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '+' ||
           c == '-' || c == '_';
}

/* At the end of a whole value: a number or a word must end there, too. */
static struct at check_end(struct reader *r, struct at at)
{
    if (at.in != NULL && at.in < r->end && is_word(at.in[-1]) && is_word(*at.in))
        return fail(r, -EBADMSG, at.in, "the value goes on with something else");
    return at;
}

int json_mp_value(struct slice *in, unsigned flags, struct mp_writer *w,
                  struct json_error *ret_error)
{
    size_t begin = w->buf->n;
    struct reader r;
    struct at at;

    reader_init(&r, *in, flags, w);
    if (is_refused(&r, *in, w))
        return give_up(&r, *in, begin, w, ret_error);
    at = need(&r, (struct at){in->p, w->buf->p + begin}, ROOM);
    if (at.in != NULL)
        at = check_end(&r, put_values(&r, at));
    if (at.in == NULL)
        return give_up(&r, *in, begin, w, ret_error);
    w->buf->n = (size_t)(at.out - w->buf->p);
    *in = slice_of(at.in, (size_t)(r.end - at.in));
    return 0;
}

/* The pairs of the outermost object, which has no head. */
static struct at put_pairs(struct reader *r, struct at at)
{
    at.in = skip_white(at.in, r->end);
    if (at.in == r->end || *at.in != '{')
        return fail(r, -EBADMSG, at.in, "an object is expected");
    at.in = skip_white(at.in + 1, r->end);
    if (at.in < r->end && *at.in != '"' && *at.in != '}')
        return fail(r, -EBADMSG, at.in, "a key in quotes is expected");
    r->depth = 1;
    r->levels[0] = (struct level){.map = true};
    at = next_value(r, at, true);
    if (at.in != NULL && r->depth > 0)
        at = put_values(r, at);
    if (at.in == NULL)
        return failed;
    at.in = skip_white(at.in, r->end);
    if (at.in < r->end)
        return fail(r, -EBADMSG, at.in, "something stands behind the object");
    return at;
}

int json_mp_object(struct slice text, unsigned flags, struct mp_writer *w,
                   struct json_error *ret_error)
{
    size_t begin = w->buf->n;
    struct reader r;
    struct at at = {text.p, w->buf->p + begin};

    reader_init(&r, text, flags, w);
    if (is_refused(&r, text, w))
        return give_up(&r, text, begin, w, ret_error);
    at = put_pairs(&r, at);
    if (at.in == NULL)
        return give_up(&r, text, begin, w, ret_error);
    w->buf->n = (size_t)(at.out - w->buf->p);
    w->pairs += r.levels[0].count;
    return 0;
}
