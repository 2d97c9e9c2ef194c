/*
 * sink_body: a request's body made plain, as strictly as any server would: checksums and lengths
 * are verified, and nothing may follow the end.
 */
#ifndef TESTS_BENCH_SINK_BODY_H
#define TESTS_BENCH_SINK_BODY_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "tests/bench/sink_http.h"

struct sink_body;

int sink_body_new(struct sink_body **ret_body);
void sink_body_free(struct sink_body **body);

/*
 * Decodes `in` into `plain` (which it empties first) and counts the gzip members or zstd frames.
 * Returns 0, -EBADMSG for a broken body, or -ENOMEM.
 */
int sink_body_decode(struct sink_body *body, enum sink_encoding encoding, struct slice in,
                     struct buf *plain, unsigned *ret_members, struct err *err);

#endif
