#include "processor/trace_context.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define TRACE_HEX 32
#define SPAN_HEX 16
#define UUID_TEXT 36
#define MAX_HEADER 512

/* A digit's value and one; 0 for what is no digit. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* 0 to 15, or 0xff. */
static uint8_t hex_value(uint8_t c)
{
    return (uint8_t)(hex_digits[c] - 1);
}

/* Hex digits, at most 2 * n, to n bytes, filled with zeros on the left. False if zero or no hex. */
static bool hex_to(uint8_t *to, size_t n, struct slice hex)
{
    uint8_t any = 0, bad = 0;
    size_t pad = 2 * n - hex.n;

    memset(to, 0, n);
    for (size_t i = 0; i < hex.n; i++) {
        uint8_t v = hex_value(hex.p[i]);
        size_t at = pad + i;

        bad |= v;
        any |= v;
        to[at / 2] |= (uint8_t)(at % 2 ? v : v << 4);
    }
    return (bad & 0xf0) == 0 && any != 0;
}

#ifdef __SSE2__
/* 16 digits to 8 bytes at once. */
static bool hex16_to(uint8_t to[8], const uint8_t *hex)
{
    const __m128i c = _mm_loadu_si128((const __m128i *)(const void *)hex);
    const __m128i lower = _mm_or_si128(c, _mm_set1_epi8(0x20));
    const __m128i is_digit = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('0' - 1)),
                                           _mm_cmplt_epi8(c, _mm_set1_epi8('9' + 1)));
    const __m128i is_letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                            _mm_cmplt_epi8(lower, _mm_set1_epi8('f' + 1)));
    const __m128i v =
        _mm_or_si128(_mm_and_si128(is_digit, _mm_sub_epi8(c, _mm_set1_epi8('0'))),
                     _mm_and_si128(is_letter, _mm_sub_epi8(lower, _mm_set1_epi8('a' - 10))));
    /* The first digit of two is the lower byte and the upper half. */
    const __m128i pairs = _mm_or_si128(_mm_and_si128(_mm_slli_epi16(v, 4), _mm_set1_epi16(0x00f0)),
                                       _mm_srli_epi16(v, 8));

    _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(pairs, pairs));
    return _mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) == 0xffff;
}
#endif

/* A whole trace id of 32 digits. */
static bool hex32_to(uint8_t to[16], const uint8_t *hex)
{
#ifdef __SSE2__
    uint64_t halves[2];

    if (!hex16_to(to, hex) || !hex16_to(to + 8, hex + 16))
        return false;
    memcpy(halves, to, sizeof(halves));
    return (halves[0] | halves[1]) != 0;
#else
    return hex_to(to, 16, slice_of(hex, TRACE_HEX));
#endif
}

static bool undash(struct slice uuid, uint8_t ret_hex[TRACE_HEX])
{
    size_t n = 0;

    for (size_t i = 0; i < UUID_TEXT; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash != (uuid.p[i] == '-'))
            return false;
        if (!dash)
            ret_hex[n++] = uuid.p[i];
    }
    return true;
}

static void set_trace(struct trace_context *c, enum trace_form form, const uint8_t id[16])
{
    if (c->has_trace && c->trace_rank <= form)
        return;
    memcpy(c->trace, id, 16);
    c->has_trace = true;
    c->trace_rank = (uint8_t)form;
}

static void set_span(struct trace_context *c, enum trace_form form, const uint8_t id[8])
{
    if (c->has_span && c->span_rank <= form)
        return;
    memcpy(c->span, id, 8);
    c->has_span = true;
    c->span_rank = (uint8_t)form;
}

/* Of OTLP's flags the low eight bits are W3C's, the rest is the exporter's. */
static void set_flags(struct trace_context *c, enum trace_form form, uint64_t flags)
{
    if (c->has_flags && c->flags_rank <= form)
        return;
    c->flags = (uint8_t)flags;
    c->has_flags = true;
    c->flags_rank = (uint8_t)form;
}

static bool trace_of(struct slice text, bool pad, uint8_t ret_id[16])
{
    uint8_t hex[TRACE_HEX];

    if (text.n == UUID_TEXT && undash(text, hex))
        text = slice_of(hex, TRACE_HEX);
    if (text.n == TRACE_HEX)
        return hex32_to(ret_id, text.p);
    return text.n > 0 && text.n < TRACE_HEX && pad && hex_to(ret_id, 16, text);
}

static bool is_zero(struct slice s)
{
    uint8_t any = 0;

    for (size_t i = 0; i < s.n; i++)
        any |= s.p[i];
    return any == 0;
}

/* Bytes are an id of that many; but some clients send all text as bin, so digits are digits. */
static bool is_id_bytes(const struct mp_value *v, size_t n)
{
    uint8_t digits[16];

    return v->type == MP_BIN && v->bytes.n == n && !is_zero(v->bytes) &&
           !hex_to(digits, n, v->bytes);
}

static void take_trace(struct trace_context *c, const struct mp_value *v, bool pad)
{
    uint8_t id[16];

    if (is_id_bytes(v, sizeof(id)))
        set_trace(c, TRACE_ID, v->bytes.p);
    else if ((v->type == MP_STR || v->type == MP_BIN) && trace_of(v->bytes, pad, id))
        set_trace(c, TRACE_ID, id);
}

static void take_span(struct trace_context *c, const struct mp_value *v)
{
    uint8_t id[8];

    if (is_id_bytes(v, sizeof(id)))
        set_span(c, TRACE_SPAN, v->bytes.p);
    else if ((v->type == MP_STR || v->type == MP_BIN) && v->bytes.n == SPAN_HEX &&
             hex_to(id, sizeof(id), v->bytes))
        set_span(c, TRACE_SPAN, id);
}

/* ---- Datadog ---- */

static bool decimal(const struct mp_value *v, uint64_t *ret)
{
    uint64_t n = 0;

    if (v->type == MP_UINT) {
        *ret = v->u;
        return v->u != 0;
    }
    if (v->type != MP_STR || v->bytes.n == 0 || v->bytes.n > 20)
        return false;
    for (size_t i = 0; i < v->bytes.n; i++) {
        unsigned digit = v->bytes.p[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *ret = n;
    return n != 0;
}

/*
 * 32 digits are hex, for no 64-bit number has so many; so are 16 that are not all decimal. A number
 * has 64 bits: with "strict" that is no trace id.
 */
static void take_decimal(struct trace_context *c, enum trace_form form, const struct mp_value *v,
                         bool pad)
{
    uint8_t id[16] = {0};
    uint64_t n;

    if (decimal(v, &n)) {
        for (size_t i = 0; i < 8; i++)
            id[15 - i] = (uint8_t)(n >> (8 * i));
    } else if (v->type != MP_STR) {
        return;
    } else if (v->bytes.n == TRACE_HEX && form == TRACE_ID_DECIMAL) {
        if (hex32_to(id, v->bytes.p))
            set_trace(c, form, id);
        return;
    } else if (v->bytes.n != SPAN_HEX || !hex_to(id, sizeof(id), v->bytes)) {
        return;
    }
    if (form == TRACE_SPAN_DECIMAL)
        set_span(c, form, id + 8);
    else if (pad)
        set_trace(c, form, id);
}

/* ---- Google ---- */

static void take_path(struct trace_context *c, struct slice text)
{
    uint8_t id[16];

    if (text.n < TRACE_HEX || (text.n > TRACE_HEX && text.p[text.n - TRACE_HEX - 1] != '/'))
        return;
    if (hex32_to(id, text.p + text.n - TRACE_HEX))
        set_trace(c, TRACE_ID_PATH, id);
}

/* ---- flags ---- */

static bool is_word(struct slice s, const char *small)
{
    size_t i = 0;

    while (i < s.n && small[i] != '\0' && (s.p[i] | 0x20) == small[i])
        i++;
    return i == s.n && small[i] == '\0';
}

/* "01", "0", "1", "d" (B3: debug), "true", "False". */
static bool flags_of(struct slice s, uint8_t *ret)
{
    if (s.n == 2 && (hex_value(s.p[0]) | hex_value(s.p[1])) < 16)
        *ret = (uint8_t)(hex_value(s.p[0]) << 4 | hex_value(s.p[1]));
    else if (s.n == 1 && (s.p[0] == '0' || s.p[0] == '1'))
        *ret = s.p[0] - '0';
    else if (is_word(s, "true") || is_word(s, "d"))
        *ret = 1;
    else if (is_word(s, "false"))
        *ret = 0;
    else
        return false;
    return true;
}

static void take_flags(struct trace_context *c, const struct mp_value *v)
{
    uint8_t flags;

    if (v->type == MP_BOOL || (v->type == MP_UINT && v->u <= UINT32_MAX))
        set_flags(c, TRACE_FLAGS, v->u);
    else if (v->type == MP_STR && flags_of(v->bytes, &flags))
        set_flags(c, TRACE_FLAGS, flags);
}

/* ---- headers that hold all three ---- */

/* 00-<32 hex>-<16 hex>-<2 hex>; later versions may go on behind a dash. All of it, or nothing. */
static void take_parent(struct trace_context *c, struct slice text)
{
    const uint8_t *p = text.p;
    uint8_t trace[16], span[8], flags;

    if (text.n < 55 || p[2] != '-' || p[35] != '-' || p[52] != '-' ||
        (hex_value(p[0]) | hex_value(p[1])) > 15 || (hex_value(p[0]) & hex_value(p[1])) == 15 ||
        (text.n > 55 && (p[55] != '-' || (p[0] == '0' && p[1] == '0'))))
        return;
    if (!hex32_to(trace, p + 3) || !hex_to(span, sizeof(span), slice_of(p + 36, SPAN_HEX)) ||
        !flags_of(slice_of(p + 53, 2), &flags))
        return;
    set_trace(c, TRACE_PARENT, trace);
    set_span(c, TRACE_PARENT, span);
    set_flags(c, TRACE_PARENT, flags);
}

/* Cuts off what stands before the next `mark`, or everything where there is none. */
static struct slice cut_at(struct slice *text, char mark)
{
    const uint8_t *found = text->n == 0 ? NULL : memchr(text->p, mark, text->n);
    struct slice part = *text;

    if (found == NULL) {
        *text = slice_of(text->p + text->n, 0);
        return part;
    }
    part.n = (size_t)(found - text->p);
    *text = slice_of(found + 1, text->n - part.n - 1);
    return part;
}

/* OpenZipkin's single header. */
static void take_b3(struct trace_context *c, struct slice text, bool pad)
{
    uint8_t trace[16], span[8], flags = 0;
    struct slice rest = text;
    struct slice trace_text = cut_at(&rest, '-'), span_text = cut_at(&rest, '-');
    struct slice sampled = cut_at(&rest, '-');
    bool has_flags = sampled.n == 1 && flags_of(sampled, &flags);

    if (text.n == 1) {
        if (flags_of(text, &flags))
            set_flags(c, TRACE_B3, flags);
        return;
    }
    if ((trace_text.n != TRACE_HEX && trace_text.n != TRACE_HEX / 2) || span_text.n != SPAN_HEX ||
        (sampled.n > 0 && !has_flags) || (rest.n > 0 && rest.n != SPAN_HEX) ||
        !hex_to(trace, sizeof(trace), trace_text) || !hex_to(span, sizeof(span), span_text))
        return;
    if (trace_text.n == TRACE_HEX || pad)
        set_trace(c, TRACE_B3, trace);
    set_span(c, TRACE_B3, span);
    if (has_flags)
        set_flags(c, TRACE_B3, flags);
}

/* Where the next ":" or "%3A" begins; *ret_n its length, 0 at the text's end. */
static size_t find_colon(struct slice s, size_t *ret_n)
{
    *ret_n = 1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ':')
            return i;
        if (s.n - i >= 3 && s.p[i] == '%' && s.p[i + 1] == '3' && (s.p[i + 2] | 0x20) == 'a') {
            *ret_n = 3;
            return i;
        }
    }
    *ret_n = 0;
    return s.n;
}

/* Jaeger's header. Its flags: 1 sampled, 2 debug, which implies it; others are its own. */
static void take_uber(struct trace_context *c, struct slice text, bool pad)
{
    static const uint8_t max_digits[4] = {TRACE_HEX, SPAN_HEX, SPAN_HEX, 2};
    uint8_t value[4][16];
    bool is_set[4];
    bool is_whole = false;

    for (size_t i = 0; i < 4; i++) {
        size_t colon_n, n = find_colon(text, &colon_n);

        if (n == 0 || n > max_digits[i] || (colon_n == 0) != (i == 3))
            return;
        for (size_t k = 0; k < n; k++)
            if (hex_value(text.p[k]) > 15)
                return;
        is_set[i] = hex_to(value[i], sizeof(value[i]), slice_of(text.p, n));
        is_whole = is_whole || n == TRACE_HEX;
        text = slice_of(text.p + n + colon_n, text.n - n - colon_n);
    }
    if (!is_set[0] || !is_set[1])
        return;
    if (is_whole || pad)
        set_trace(c, TRACE_UBER, value[0]);
    set_span(c, TRACE_UBER, value[1] + 8);
    set_flags(c, TRACE_UBER, (value[3][15] & 3) != 0);
}

/* 1-<8 hex>-<24 hex> */
static bool xray_root(struct slice text, uint8_t ret_id[16])
{
    uint8_t hex[TRACE_HEX];

    if (text.n != 35 || text.p[0] != '1' || text.p[1] != '-' || text.p[10] != '-')
        return false;
    memcpy(hex, text.p + 2, 8);
    memcpy(hex + 8, text.p + 11, 24);
    return hex32_to(ret_id, hex);
}

/* Of "name=value" the value, of other parts nothing. */
static struct slice value_behind(struct slice part, struct slice name)
{
    if (part.n < name.n || memcmp(part.p, name.p, name.n) != 0)
        return slice_of(part.p, 0);
    return slice_of(part.p + name.n, part.n - name.n);
}

static void take_xray(struct trace_context *c, struct slice text)
{
    uint8_t trace[16], span[8], flags;

    if (xray_root(text, trace)) {
        set_trace(c, TRACE_AMZN, trace);
        return;
    }
    while (text.n > 0) {
        struct slice part = cut_at(&text, ';'), v;

        while (part.n > 0 && part.p[0] == ' ')
            part = slice_of(part.p + 1, part.n - 1);
        if (xray_root(value_behind(part, SLICE_LITERAL("Root=")), trace))
            set_trace(c, TRACE_AMZN, trace);
        v = value_behind(part, SLICE_LITERAL("Parent="));
        if (v.n == SPAN_HEX && hex_to(span, sizeof(span), v))
            set_span(c, TRACE_AMZN, span);
        v = value_behind(part, SLICE_LITERAL("Sampled="));
        if (v.n == 1 && flags_of(v, &flags))
            set_flags(c, TRACE_AMZN, flags);
    }
}

/* ---- */

static void take_text(struct trace_context *c, enum trace_form form, struct slice text, bool pad)
{
    /* The longest of these has some 120 characters; tracers may append more. */
    if (text.n > MAX_HEADER)
        return;
    if (form == TRACE_ID_PATH)
        take_path(c, text);
    else if (form == TRACE_PARENT)
        take_parent(c, text);
    else if (form == TRACE_B3)
        take_b3(c, text, pad);
    else if (form == TRACE_UBER)
        take_uber(c, text, pad);
    else if (form == TRACE_AMZN)
        take_xray(c, text);
}

void trace_context_take(struct trace_context *context, enum trace_form form,
                        const struct mp_value *v, bool pad)
{
    switch (form) {
    case TRACE_ID:
        take_trace(context, v, pad);
        return;
    case TRACE_SPAN:
        take_span(context, v);
        return;
    case TRACE_ID_DECIMAL:
    case TRACE_SPAN_DECIMAL:
        take_decimal(context, form, v, pad);
        return;
    case TRACE_FLAGS:
        take_flags(context, v);
        return;
    default:
        if (v->type == MP_STR)
            take_text(context, form, v->bytes, pad);
        return;
    }
}

void trace_context_take_bytes(struct trace_context *context, struct slice trace, struct slice span)
{
    if (trace.n == 16 && !is_zero(trace))
        set_trace(context, TRACE_ID, trace.p);
    if (span.n == 8 && !is_zero(span))
        set_span(context, TRACE_SPAN, span.p);
}
