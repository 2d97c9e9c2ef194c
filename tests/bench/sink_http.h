/*
 * sink_http: just enough HTTP/1.1 for the sink: request heads and bodies, with Content-Length or
 * chunked. Pure: bytes in, a request out.
 */
#ifndef TESTS_BENCH_SINK_HTTP_H
#define TESTS_BENCH_SINK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/buf.h"
#include "shared/base/slice.h"

#define SINK_HEAD_MAX 16384

enum sink_encoding { SINK_IDENTITY, SINK_GZIP, SINK_ZSTD, SINK_UNKNOWN };

struct sink_head {
    bool is_post;
    bool is_protobuf; /* the Content-Type */
    bool is_chunked;
    bool expects_continue;
    bool closes;
    enum sink_encoding encoding;
    uint64_t content_length;
    char path[128];
};

/* Reads a whole head. Returns its length, 0 when more bytes are needed, -EBADMSG. */
ssize_t sink_http_head(struct slice in, struct sink_head *ret_head);

/* How far a chunked body is read. Starts zeroed. */
struct sink_chunks {
    uint64_t left; /* of the present chunk's data */
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE } state;
};

/*
 * Takes what it can of `in` and appends data to `body`. Returns the bytes taken or -errno; the
 * body is whole once chunks->state is CHUNK_DONE.
 */
ssize_t sink_http_dechunk(struct sink_chunks *chunks, struct slice in, struct buf *body);

#endif
