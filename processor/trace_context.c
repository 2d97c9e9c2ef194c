#include "processor/trace_context.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define TRACE_HEX 32
#define SPAN_HEX 16
#define UUID_TEXT 36

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

static void take_trace(struct trace_context *c, enum trace_form form, struct slice text, bool pad)
{
    uint8_t id[16], hex[TRACE_HEX];

    if (text.n == UUID_TEXT && undash(text, hex))
        text = slice_of(hex, TRACE_HEX);
    if (text.n == 0 || text.n > TRACE_HEX || (text.n < TRACE_HEX && !pad))
        return;
    if (text.n == TRACE_HEX ? hex32_to(id, text.p) : hex_to(id, sizeof(id), text))
        set_trace(c, form, id);
}

static void take_span(struct trace_context *c, enum trace_form form, struct slice text)
{
    uint8_t id[8];

    if (text.n == SPAN_HEX && hex_to(id, sizeof(id), text))
        set_span(c, form, id);
}

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

static void take_decimal(struct trace_context *c, enum trace_form form, const struct mp_value *v,
                         bool pad)
{
    uint8_t id[16] = {0};
    uint64_t n;

    if (v->type == MP_STR && v->bytes.n == TRACE_HEX && form == TRACE_ID_DECIMAL) {
        take_trace(c, form, v->bytes, pad);
        return;
    }
    if (!decimal(v, &n))
        return;
    for (size_t i = 0; i < 8; i++)
        id[15 - i] = (uint8_t)(n >> (8 * i));
    if (form == TRACE_SPAN_DECIMAL)
        set_span(c, form, id + 8);
    else if (pad)
        set_trace(c, form, id);
}

static void take_path(struct trace_context *c, enum trace_form form, struct slice text)
{
    static const char mark[] = "/traces/";
    const size_t mark_n = sizeof(mark) - 1;

    if (text.n < mark_n + TRACE_HEX ||
        memcmp(text.p + text.n - TRACE_HEX - mark_n, mark, mark_n) != 0)
        return;
    take_trace(c, form, slice_of(text.p + text.n - TRACE_HEX, TRACE_HEX), false);
}

static void take_flags(struct trace_context *c, const struct mp_value *v)
{
    const struct slice s = v->bytes;

    if (v->type == MP_BOOL) {
        c->flags = (uint8_t)v->u;
    } else if (v->type == MP_UINT && v->u <= 255) {
        c->flags = (uint8_t)v->u;
    } else if (v->type == MP_STR && s.n == 2 && (hex_value(s.p[0]) | hex_value(s.p[1])) < 16) {
        c->flags = (uint8_t)(hex_value(s.p[0]) << 4 | hex_value(s.p[1]));
    } else if (v->type == MP_STR && (slice_is(s, "true") || slice_is(s, "True"))) {
        c->flags = 1;
    } else {
        return;
    }
    c->has_flags = true;
}

/* 00-<32 hex>-<16 hex>-<2 hex>; later versions may go on behind a dash. */
static void take_parent(struct trace_context *c, struct slice text, bool pad)
{
    struct mp_value flags = {.type = MP_STR};
    const uint8_t *p = text.p;

    if (text.n < 55 || p[2] != '-' || p[35] != '-' || p[52] != '-' ||
        (hex_value(p[0]) | hex_value(p[1])) > 15 || (p[0] == 'f' && p[1] == 'f') ||
        (text.n > 55 && (p[55] != '-' || (p[0] == '0' && p[1] == '0'))))
        return;
    take_trace(c, TRACE_PARENT, slice_of(p + 3, TRACE_HEX), pad);
    take_span(c, TRACE_PARENT, slice_of(p + 36, SPAN_HEX));
    flags.bytes = slice_of(p + 53, 2);
    if (!c->has_flags)
        take_flags(c, &flags);
}

void trace_context_take(struct trace_context *context, enum trace_form form,
                        const struct mp_value *v, bool pad)
{
    switch (form) {
    case TRACE_ID_DECIMAL:
    case TRACE_SPAN_DECIMAL:
        take_decimal(context, form, v, pad);
        return;
    case TRACE_FLAGS:
        take_flags(context, v);
        return;
    default:
        break;
    }
    if (v->type != MP_STR)
        return;
    if (form == TRACE_ID)
        take_trace(context, form, v->bytes, pad);
    else if (form == TRACE_SPAN)
        take_span(context, form, v->bytes);
    else if (form == TRACE_ID_PATH)
        take_path(context, form, v->bytes);
    else
        take_parent(context, v->bytes, pad);
}

static bool is_zero(struct slice s)
{
    uint8_t any = 0;

    for (size_t i = 0; i < s.n; i++)
        any |= s.p[i];
    return any == 0;
}

void trace_context_take_bytes(struct trace_context *context, struct slice trace, struct slice span)
{
    if (trace.n == 16 && !is_zero(trace))
        set_trace(context, TRACE_ID, trace.p);
    if (span.n == 8 && !is_zero(span))
        set_span(context, TRACE_SPAN, span.p);
}
