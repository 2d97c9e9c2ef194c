/*
 * frame_codec: plain bytes to a frame's payload and back. The processor compresses, the shipper
 * and the tools decompress. One context per process, reused; no allocation per call.
 *
 * gzip is made by ISA-L, a raw deflate fragment (see frame.h): at level 1 until 64 KiB have been
 * seen, then at level 0 with a Huffman code that is learned from the data, again every 4 MiB.
 *
 *     frame_codec_new(&codec, &err);
 *     n = frame_codec_bound(FRAME_GZIP, plain.n);
 *     frame_codec_compress(codec, FRAME_GZIP, &plain, 1, (struct frame_codec_out){out, n}, &n, &info);
 */
#ifndef SHARED_OTLP_FRAME_CODEC_H
#define SHARED_OTLP_FRAME_CODEC_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/otlp/frame.h"

struct frame_codec;

/* Returns 0 or -ENOMEM. */
int frame_codec_new(struct frame_codec **ret_codec, struct err *err);
void frame_codec_free(struct frame_codec **codec);

/* "gzip", "zstd", "none" to a codec. Returns -EINVAL for another word. */
int frame_codec_parse(const char *word, enum frame_codec_id *ret_id);
const char *frame_codec_name(enum frame_codec_id id);

/* The most payload bytes that plain_bytes can become. */
size_t frame_codec_bound(enum frame_codec_id id, size_t plain_bytes);

/*
 * Compresses the concatenation of `pieces` into out[0..cap). One piece is the fastest. cap must be
 * at least frame_codec_bound() of the sum. On success sets codec, plain_bytes and plain_crc32 of
 * *ret_info, leaves its other fields alone, and writes the payload's length.
 * Returns 0, -EFBIG (more than UINT32_MAX plain bytes), -ENOSPC (cap too small), -EIO (the
 * library failed: its own error, never the input's).
 */
struct frame_codec_out {
    uint8_t *p;
    size_t cap;
};
int frame_codec_compress(struct frame_codec *codec, enum frame_codec_id id,
                         const struct slice *pieces, size_t count, struct frame_codec_out out,
                         size_t *ret_bytes, struct frame_info *ret_info);

/*
 * Appends a frame's plain bytes to *out. Both payload and info are untrusted: never more than
 * info->plain_bytes are written, and the result must have exactly that length and CRC, and the
 * payload must end exactly at its end. Returns 0, -ENOMEM (out may not grow so far), -EBADMSG with
 * a reason. On error out is as before.
 */
int frame_codec_decompress(struct frame_codec *codec, const struct frame_info *info,
                           struct slice payload, struct buf *out, struct err *err);

#endif
