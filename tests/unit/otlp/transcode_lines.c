/*
 * transcode_lines: for tests/e2e/test_transcode.py: requests on standard input, each with its length
 * before it (32 bits, big endian), to lines of JSON. A request that is refused is the line
 * "! REASON". With the argument "verbatim": TRANSCODE_VERBATIM_TRACE_ID.
 */
#include "shared/base/bytes.h"
#include "shared/otlp/transcode.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    unsigned flags = argc > 1 && strcmp(argv[1], "verbatim") == 0 ? TRANSCODE_VERBATIM_TRACE_ID : 0;
    uint8_t head[4];
    struct buf out;

    buf_init(&out, SIZE_MAX / 2);
    while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
        size_t n = bytes_get_be32(head);
        uint8_t *request = malloc(n + (n == 0));
        struct err err = {0};

        if (request == NULL || fread(request, 1, n, stdin) != n)
            return 1;
        out.n = 0;
        if (transcode_json(slice_of(request, n), flags, &out, &err) < 0)
            printf("! %s\n", err.text);
        else
            printf("%.*s\n", (int)out.n, (const char *)out.p);
        free(request);
    }
    buf_fini(&out);
    return 0;
}
