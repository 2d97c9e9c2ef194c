/*
 * text_check: what every text detector promises for every text, said once for the unit test and the
 * fuzz target:
 *   - it reads nothing outside of the text (a copy of exact size, for AddressSanitizer)
 *   - on TEXT_NO, and where the writer fails, nothing of it is left
 *   - its pairs are well-formed MessagePack, as many as it counted, with text keys
 *   - under TEXT_REPLACES each run of four letters and digits or more is found in the pairs
 */
#ifndef TESTS_UNIT_PROCESSOR_TEXT_CHECK_H
#define TESTS_UNIT_PROCESSOR_TEXT_CHECK_H

#include "processor/mp.h"
#include "processor/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_CHECK_RUN 4
#define TEXT_CHECK_MAX ((size_t)64 << 20)

/* What a writer held before: it must stay. */
#define TEXT_CHECK_BEFORE "before"

static const struct text_check_detector {
    const char *name;
    text_detect *detect;
} text_check_detectors[] = {
    {"text", text_parse},       {"text_cri", text_cri},         {"text_syslog", text_syslog},
    {"text_klog", text_klog},   {"text_bracket", text_bracket}, {"text_logfmt", text_logfmt},
    {"text_plain", text_plain},
};
#define TEXT_CHECK_DETECTORS (sizeof(text_check_detectors) / sizeof(*text_check_detectors))

/* All content of the pairs, each text and number ended by a NUL byte; -1 where they are none. */
static inline int text_check_flatten(struct slice pairs, uint32_t count, struct buf *ret)
{
    struct mp in = mp_of(pairs);
    struct mp_value v;
    char number[32];

    for (uint32_t i = 0; i < count; i++) {
        struct mp key = in;

        if (mp_next(&key, &v) < 0 || v.type != MP_STR || mp_skip(&in, 2) < 0)
            return -1;
    }
    if (mp_left(&in) > 0)
        return -1;
    for (in = mp_of(pairs); mp_left(&in) > 0;) {
        if (mp_next(&in, &v) < 0)
            return -1;
        if (v.type == MP_STR)
            buf_append(ret, v.bytes.p, v.bytes.n);
        else if (v.type == MP_UINT)
            buf_append(ret, number, (size_t)snprintf(number, sizeof(number), "%" PRIu64, v.u));
        buf_append(ret, "", 1);
    }
    return 0;
}

static inline bool text_check_is_alnum(uint8_t c)
{
    uint8_t letter = c | 0x20;

    return (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z');
}

/* Whether a run is found, or what is left of it behind an escape ("\n", "\u00e9") or behind klog's
 * letter in front. */
static inline bool text_check_has(const struct buf *flat, struct slice run, size_t skip_max)
{
    if (flat->n > 0 && memmem(flat->p, flat->n, run.p, run.n) != NULL)
        return true;
    for (size_t skip = 1; skip <= skip_max; skip += 4)
        if (run.n < skip + TEXT_CHECK_RUN ||
            (flat->n > 0 && memmem(flat->p, flat->n, run.p + skip, run.n - skip) != NULL))
            return true;
    return false;
}

/* Not for JSON: that has numbers and words of its own form (test_json_mp). */
static inline bool text_check_all_there(struct slice text, const struct buf *flat)
{
    size_t white = 0;

    while (white < text.n && text.p[white] <= ' ')
        white++;
    if (white < text.n && text.p[white] == '{')
        return true;
    for (size_t i = 0, from = 0; i <= text.n; i++) {
        if (i < text.n && text_check_is_alnum(text.p[i]))
            continue;
        if (i - from >= TEXT_CHECK_RUN && !text_check_has(flat, slice_of(text.p + from, i - from),
                                                          from == 0                  ? 1
                                                          : text.p[from - 1] == '\\' ? 5
                                                                                     : 0))
            return false;
        from = i + 1;
    }
    return true;
}

/* Returns the promise that was broken, or NULL. *ret_pairs gets the pairs, *ret_count their number. */
static inline const char *text_check(text_detect *detect, struct slice text, struct buf *ret_pairs,
                                     uint32_t *ret_count, enum text_verdict *ret_verdict)
{
    const size_t before = sizeof(TEXT_CHECK_BEFORE) - 1;
    const char *broken = NULL;
    struct mp_writer w;
    struct buf out, flat;
    struct slice copy = {malloc(text.n + (text.n == 0)), text.n};

    buf_init(&out, TEXT_CHECK_MAX);
    buf_init(&flat, TEXT_CHECK_MAX);
    if (text.n > 0)
        memcpy((uint8_t *)copy.p, text.p, text.n);
    buf_append(&out, TEXT_CHECK_BEFORE, before);
    w = mp_writer_of(&out);
    w.pairs = 7;
    *ret_verdict = detect(copy, &w);
    if (out.n < before || memcmp(out.p, TEXT_CHECK_BEFORE, before) != 0 || w.pairs < 7 || w.failed)
        broken = "what was written before stays";
    else if (*ret_verdict == TEXT_NO && (out.n != before || w.pairs != 7))
        broken = "nothing is left of a guess that failed";
    else if (*ret_verdict != TEXT_NO && w.pairs == 7)
        broken = "a verdict comes with pairs";
    else if (text_check_flatten(slice_of(out.p + before, out.n - before), w.pairs - 7, &flat) < 0)
        broken = "pairs are well-formed, and as many as counted";
    else if (*ret_verdict == TEXT_REPLACES && !text_check_all_there(text, &flat))
        broken = "everything of a text that is replaced is in the pairs";
    else if (ret_pairs != NULL && out.n > before)
        buf_append(ret_pairs, out.p + before, out.n - before);
    if (ret_count != NULL)
        *ret_count = w.pairs - 7;
    free((uint8_t *)copy.p);
    buf_fini(&out);
    buf_fini(&flat);
    return broken;
}

/* The same with room for `room` bytes only. */
static inline const char *text_check_failing(text_detect *detect, struct slice text, size_t room,
                                             bool *ret_failed)
{
    const char *broken = NULL;
    enum text_verdict verdict;
    struct mp_writer w;
    struct buf out;

    buf_init(&out, room);
    w = mp_writer_of(&out);
    verdict = detect(text, &w);
    *ret_failed = w.failed;
    if (w.failed && (verdict != TEXT_NO || out.n != 0 || w.pairs != 0))
        broken = "nothing is left where the writer failed";
    buf_fini(&out);
    return broken;
}

#endif
