#include "shared/otlp/gzip_join.h"

#include "shared/base/bytes.h"

#include <zlib.h>

/* deflate, no flags, no time, unknown system */
static const uint8_t header[GZIP_JOIN_HEADER_BYTES] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};

void gzip_join_begin(struct gzip_join *join, uint8_t ret_header[GZIP_JOIN_HEADER_BYTES])
{
    *join = (struct gzip_join){0, 0};
    memcpy(ret_header, header, sizeof(header));
}

void gzip_join_add(struct gzip_join *join, const struct frame_info *info)
{
    if (join->plain_bytes == 0)
        join->crc = info->plain_crc32;
    else
        join->crc = (uint32_t)crc32_combine(join->crc, info->plain_crc32, info->plain_bytes);
    join->plain_bytes += info->plain_bytes;
}

void gzip_join_end(const struct gzip_join *join, uint8_t ret_trailer[GZIP_JOIN_TRAILER_BYTES])
{
    /* A final block of fixed codes that holds only the end-of-block symbol. */
    ret_trailer[0] = 0x03;
    ret_trailer[1] = 0x00;
    bytes_put_le32(ret_trailer + 2, join->crc);
    bytes_put_le32(ret_trailer + 6, (uint32_t)join->plain_bytes);
}

int gzip_join_begin_buf(struct gzip_join *join, struct buf *out)
{
    uint8_t bytes[GZIP_JOIN_HEADER_BYTES];

    gzip_join_begin(join, bytes);
    return buf_append(out, bytes, sizeof(bytes));
}

int gzip_join_add_buf(struct gzip_join *join, const struct frame_info *info, struct slice payload,
                      struct buf *out)
{
    int r = buf_append(out, payload.p, payload.n);

    if (r == 0)
        gzip_join_add(join, info);
    return r;
}

int gzip_join_end_buf(const struct gzip_join *join, struct buf *out)
{
    uint8_t bytes[GZIP_JOIN_TRAILER_BYTES];

    gzip_join_end(join, bytes);
    return buf_append(out, bytes, sizeof(bytes));
}
