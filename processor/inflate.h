/*
 * inflate: a compressed chunk's payload to its plain bytes. Several gzip members and several zstd
 * frames may follow each other, cut anywhere: clients that buffer compressed data append one per
 * write. Untrusted: bounded output, checked sums, and the input must end exactly at an end.
 */
#ifndef PROCESSOR_INFLATE_H
#define PROCESSOR_INFLATE_H

#include "processor/chunk.h"
#include "shared/base/err.h"

struct inflate;

/* max_bytes: the most that one payload may become. Returns 0 or -ENOMEM. */
int inflate_new(size_t max_bytes, struct inflate **ret_inflate, struct err *err);
void inflate_free(struct inflate **inflate);

/* What the payload is by its first bytes; CHUNK_PLAIN where they say nothing. */
enum chunk_compression inflate_sniff(struct slice payload);

/*
 * *ret_plain is lent until the next call. Returns 0, -EBADMSG (damaged or cut off), -EFBIG (above
 * max_bytes) or -ENOMEM.
 */
int inflate_payload(struct inflate *inflate, enum chunk_compression compression,
                    struct slice payload, struct slice *ret_plain, struct err *err);

#endif
