#include "processor/text.h"

/* Bits and rows in the order in which the formats are tried: strict ones first. */
enum format { JSON, CRI, SYSLOG, KLOG, BRACKET, LOGFMT, FORMATS };

#define BIT(format) (1u << (format))

/* clang-format off */
static text_detect *const detectors[FORMATS] = {
    [JSON] = text_json,
    [CRI] = text_cri,
    [SYSLOG] = text_syslog,
    [KLOG] = text_klog,
    [BRACKET] = text_bracket,
    [LOGFMT] = text_logfmt,
};
/* clang-format on */

/* What a text that begins with this byte may be, other than plain. */
#define LOGFMT_ONLY BIT(LOGFMT)
static const uint8_t begins[256] = {
    ['{'] = BIT(JSON),
    [' '] = BIT(JSON),
    ['\t'] = BIT(JSON),
    ['\n'] = BIT(JSON),
    ['\r'] = BIT(JSON),
    ['0' ... '9'] = BIT(CRI) | BIT(BRACKET),
    ['<'] = BIT(SYSLOG),
    ['A' ... 'B'] = LOGFMT_ONLY,
    /* Python's "CRITICAL:", "DEBUG:", "ERROR:", "INFO:", "WARNING:"; klog's E, F, I, W */
    ['C' ... 'D'] = BIT(BRACKET) | BIT(LOGFMT),
    ['E'] = BIT(KLOG) | BIT(BRACKET) | BIT(LOGFMT),
    ['F'] = BIT(KLOG) | BIT(LOGFMT),
    ['G' ... 'H'] = LOGFMT_ONLY,
    ['I'] = BIT(KLOG) | BIT(BRACKET) | BIT(LOGFMT),
    ['J' ... 'V'] = LOGFMT_ONLY,
    ['W'] = BIT(KLOG) | BIT(BRACKET) | BIT(LOGFMT),
    ['X' ... 'Z'] = LOGFMT_ONLY,
    ['['] = BIT(BRACKET),
    ['_'] = LOGFMT_ONLY,
    ['a' ... 'z'] = LOGFMT_ONLY,
};

/*
 * Most texts are prose that says nothing more. Without an equals sign they are no logfmt and hold no
 * fields; then only a level in front is left, which begins like a level word.
 */
static bool may_say_more(struct slice text, unsigned *formats)
{
    static const char first[] = "ACDEFINPTWacdefinptw<[";

    if ((*formats & ~BIT(LOGFMT)) != 0 || memchr(text.p, '=', text.n) != NULL)
        return true;
    *formats = 0;
    return memchr(first, text.p[0], sizeof(first) - 1) != NULL;
}

enum text_verdict text_parse(struct slice text, struct mp_writer *w)
{
    unsigned formats;

    if (text.n == 0)
        return TEXT_NO;
    formats = begins[text.p[0]];
    if (!may_say_more(text, &formats))
        return TEXT_NO;
    for (; formats != 0; formats &= formats - 1) {
        enum text_verdict verdict = detectors[__builtin_ctz(formats)](text, w);

        if (verdict != TEXT_NO || w->failed)
            return verdict;
    }
    return text_plain(text, w);
}
