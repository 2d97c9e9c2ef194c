/*
 * text: one text for every detector of string bodies; what they promise for every text is said in
 * text_check.h. A detector whose pairs hold a message is given that message too, as record.c does.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/processor/text_check.h"

/* The message of some pairs; empty where there is none. */
static struct slice message_of(const struct buf *pairs)
{
    struct mp in = mp_of(buf_slice(pairs));
    struct mp_value key, v;

    while (mp_left(&in) > 0) {
        struct mp at;

        fuzz_check(mp_next(&in, &key) == 0, "a key");
        at = in;
        fuzz_check(mp_next(&at, &v) == 0 && mp_skip(&in, 1) == 0, "a value");
        if (v.type == MP_STR && slice_is(key.bytes, "message"))
            return v.bytes;
    }
    return slice_of(NULL, 0);
}

static void check(text_detect *detect, struct slice text)
{
    enum text_verdict verdict;
    struct slice message;
    const char *broken;
    struct buf pairs;

    buf_init(&pairs, TEXT_CHECK_MAX);
    broken = text_check(detect, text, &pairs, NULL, &verdict);
    fuzz_check(broken == NULL, broken);
    message = message_of(&pairs);
    if (message.n > 0) {
        broken = text_check(text_parse, message, NULL, NULL, &verdict);
        fuzz_check(broken == NULL, broken);
    }
    buf_fini(&pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < TEXT_CHECK_DETECTORS; i++)
        check(text_check_detectors[i].detect, slice_of(p, n));
    return 0;
}
