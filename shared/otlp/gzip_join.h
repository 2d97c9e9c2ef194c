/*
 * gzip_join: deflate fragments (frame.h, FRAME_GZIP) joined to exactly one gzip member, without
 * touching their bytes: header, fragments, one final empty block, combined CRC and length. Real
 * OTLP servers refuse a body of several members.
 *
 * The caller owns the order: send the header, then each added fragment's payload in the order of
 * gzip_join_add, then the trailer.
 *
 *     struct gzip_join join;
 *     gzip_join_begin(&join, head);            head first,
 *     gzip_join_add(&join, &info);             the payload of info next, as often as wanted,
 *     gzip_join_end(&join, tail);              tail last
 *
 * crc32_combine costs about 0.4 us per fragment. Nothing can fail.
 */
#ifndef SHARED_OTLP_GZIP_JOIN_H
#define SHARED_OTLP_GZIP_JOIN_H

#include "shared/base/buf.h"
#include "shared/otlp/frame.h"

#define GZIP_JOIN_HEADER_BYTES 10
#define GZIP_JOIN_TRAILER_BYTES 10

struct gzip_join {
    uint32_t crc;
    uint64_t plain_bytes;
};

/* Starts a member and writes its header. */
void gzip_join_begin(struct gzip_join *join, uint8_t ret_header[GZIP_JOIN_HEADER_BYTES]);

/* Counts one fragment in. info->codec must be FRAME_GZIP. */
void gzip_join_add(struct gzip_join *join, const struct frame_info *info);

/* Writes the final block, CRC and length. The member may be empty. */
void gzip_join_end(const struct gzip_join *join, uint8_t ret_trailer[GZIP_JOIN_TRAILER_BYTES]);

/* The same into a buffer. Return 0 or -ENOMEM. */
int gzip_join_begin_buf(struct gzip_join *join, struct buf *out);
int gzip_join_add_buf(struct gzip_join *join, const struct frame_info *info, struct slice payload,
                      struct buf *out);
int gzip_join_end_buf(const struct gzip_join *join, struct buf *out);

#endif
