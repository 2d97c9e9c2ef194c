/* transcode: any bytes as a request; what it takes becomes JSON that json-c takes. */
#include "shared/otlp/transcode.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    unsigned flags = n % 2 == 0 ? 0 : TRANSCODE_VERBATIM_TRACE_ID;
    struct err err = {0};
    struct buf json;

    buf_init(&json, (size_t)64 << 20);
    if (transcode_json(slice_of(p, n), flags, &json, &err) == 0)
        fuzz_check_json(&json);
    else
        fuzz_check(json.n == 0 && err.text[0] != '\0', "an error leaves no output and says why");
    buf_fini(&json);
    return 0;
}
