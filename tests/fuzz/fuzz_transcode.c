/*
 * transcode and record_cut: any bytes as a request; what the transcoder takes becomes JSON that json-c
 * takes, and can be cut between any two records into requests that it takes as well.
 */
#include "shared/otlp/record_cut.h"
#include "shared/otlp/transcode.h"
#include "tests/fuzz/fuzz.h"

static int cut(struct slice request, uint64_t first, uint64_t end, struct buf *out,
               uint64_t *ret_records)
{
    struct err err = {0};
    int r;

    out->n = 0;
    r = record_cut(request, first, end, out, ret_records, &err);
    fuzz_check(r == 0 || (out->n == 0 && err.text[0] != '\0'), "a cut that fails leaves nothing");
    fuzz_check(out->n <= request.n, "a part is not longer than the whole");
    return r;
}

/* Both parts hold together what the whole holds, and are requests. */
static void check_parts(struct slice request, uint64_t at, uint64_t records)
{
    uint64_t held = 0, sum = 0;
    struct buf part, json;

    buf_init(&part, (size_t)64 << 20);
    buf_init(&json, (size_t)64 << 20);
    for (int behind = 0; behind < 2; behind++) {
        fuzz_check(cut(request, behind ? at : 0, behind ? records : at, &part, &held) == 0,
                   "what can be read can be cut");
        fuzz_check(held == records, "the number of records");
        fuzz_check(transcode_json(buf_slice(&part), 0, &json, NULL) == 0, "a part is a request");
        fuzz_check(record_cut(buf_slice(&part), 0, 0, &json, &held, NULL) == 0, "and can be cut");
        sum += held;
    }
    fuzz_check(sum == records, "no record is lost");
    buf_fini(&part);
    buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    unsigned flags = n % 2 == 0 ? 0 : TRANSCODE_VERBATIM_TRACE_ID;
    struct slice request = slice_of(p, n);
    uint64_t records = 0;
    struct err err = {0};
    struct buf out;

    buf_init(&out, (size_t)64 << 20);
    if (transcode_json(request, flags, &out, &err) == 0) {
        fuzz_check_json(&out);
        fuzz_check(cut(request, 0, UINT64_MAX, &out, &records) == 0, "what can be read can be cut");
        check_parts(request, records > 0 ? n % (records + 1) : 0, records);
    } else {
        fuzz_check(out.n == 0 && err.text[0] != '\0', "an error leaves no output and says why");
        (void)cut(request, n % 7, n % 13, &out, &records);
    }
    buf_fini(&out);
    return 0;
}
