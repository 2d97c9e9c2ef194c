#include "shared/otlp/frame_codec.h"

#include "shared/base/bytes.h"

#include <errno.h>
#include <isa-l.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_LEVEL 1
/* How much is looked at to learn the code lengths, and how long they are used. */
#define LEARN_SAMPLE_BYTES (64u << 10)
#define LEARN_EVERY_BYTES (4u << 20)
#define LEARN_SOON_BYTES (256u << 10) /* where what was learned does not fit any more */
#define STORED_MAX_BYTES 65535u
#define STORED_HEAD_BYTES 5u

static const char *const names[FRAME_CODECS] = {"none", "gzip", "zstd"};

/*
 * ISA-L's level 1 makes a Huffman code for each frame, in a second pass; its level 0 takes a given
 * one, in one pass. Logs of one installation resemble each other, so a code learned from a sample
 * is as good as a fresh one for megabytes: the same size at 10 % less time for frames of 1 MiB, and
 * 35 % less for frames of 32 KiB (measured on 23 MB of OTLP).
 */
struct learned {
    struct isal_huff_histogram histogram;
    struct isal_hufftables tables;
    uint64_t sampled; /* plain bytes in the histogram */
    uint64_t left;    /* plain bytes until the next sample is taken */
    bool usable;
};

struct frame_codec {
    struct learned learned;
    struct isal_zstream deflate;
    struct inflate_state inflate;
    ZSTD_CCtx *zstd_c; /* made at first use: most installations never need them */
    ZSTD_DCtx *zstd_d;
    uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

int frame_codec_new(struct frame_codec **ret_codec, struct err *err)
{
    struct frame_codec *codec = calloc(1, sizeof(*codec));

    if (codec == NULL)
        return err_set(err, ENOMEM, "no memory for the frame codec");
    *ret_codec = codec;
    return 0;
}

void frame_codec_free(struct frame_codec **codec)
{
    if (*codec == NULL)
        return;
    ZSTD_freeCCtx((*codec)->zstd_c);
    ZSTD_freeDCtx((*codec)->zstd_d);
    free(*codec);
    *codec = NULL;
}

int frame_codec_parse(const char *word, enum frame_codec_id *ret_id)
{
    for (unsigned i = 0; i < FRAME_CODECS; i++) {
        if (strcmp(word, names[i]) == 0) {
            *ret_id = (enum frame_codec_id)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *frame_codec_name(enum frame_codec_id id)
{
    return (unsigned)id < FRAME_CODECS ? names[id] : "unknown";
}

size_t frame_codec_bound(enum frame_codec_id id, size_t plain_bytes)
{
    switch (id) {
    case FRAME_GZIP:
        /* Stored blocks, each with its head, and the flush. */
        return plain_bytes + (plain_bytes / STORED_MAX_BYTES + 2) * STORED_HEAD_BYTES + 64;
    case FRAME_ZSTD:
        return ZSTD_compressBound(plain_bytes);
    default:
        return plain_bytes;
    }
}

/* ---- gzip ---- */

/* Counts the sample's symbols; makes the code when there are enough. */
static void learn(struct learned *learned, struct slice piece)
{
    size_t n = piece.n;

    if (learned->left > 0) {
        learned->left -= learned->left < n ? learned->left : n;
        return;
    }
    if (n > LEARN_SAMPLE_BYTES - learned->sampled)
        n = LEARN_SAMPLE_BYTES - learned->sampled;
    isal_update_histogram((uint8_t *)(uintptr_t)piece.p, (int)n, &learned->histogram);
    learned->sampled += n;
    if (learned->sampled < LEARN_SAMPLE_BYTES)
        return;
    if (isal_create_hufftables(&learned->tables, &learned->histogram) == 0)
        learned->usable = true;
    memset(&learned->histogram, 0, sizeof(learned->histogram));
    learned->sampled = 0;
    learned->left = LEARN_EVERY_BYTES;
}

/* A frame that hardly shrank: other data than what the code was learned from, perhaps. */
static void doubt(struct learned *learned, size_t plain_bytes, size_t bytes)
{
    if (bytes > plain_bytes / 2 && learned->left > LEARN_SOON_BYTES)
        learned->left = LEARN_SOON_BYTES;
}

static void deflate_setup(struct frame_codec *codec, struct frame_codec_out out)
{
    struct isal_zstream *z = &codec->deflate;

    if (codec->learned.usable) {
        z->level = 0;
        z->hufftables = &codec->learned.tables;
    } else {
        z->level = 1;
        z->level_buf = codec->level_buf;
        z->level_buf_size = sizeof(codec->level_buf);
    }
    z->gzip_flag = IGZIP_DEFLATE;
    z->end_of_stream = 0;
    z->next_out = out.p;
    z->avail_out = (uint32_t)(out.cap > UINT32_MAX ? UINT32_MAX : out.cap);
}

static void deflate_input(struct isal_zstream *z, struct slice piece)
{
    z->next_in = (uint8_t *)(uintptr_t)piece.p; /* read only; the field is not const */
    z->avail_in = (uint32_t)piece.n;
}

/* All in one call: less to set up, no history to keep. */
static bool deflate_one(struct frame_codec *codec, struct slice piece, struct frame_codec_out out)
{
    struct isal_zstream *z = &codec->deflate;

    isal_deflate_stateless_init(z);
    deflate_setup(codec, out);
    z->flush = FULL_FLUSH;
    deflate_input(z, piece);
    return isal_deflate_stateless(z) == COMP_OK && z->avail_in == 0;
}

static bool deflate_many(struct frame_codec *codec, const struct slice *pieces, size_t count,
                         struct frame_codec_out out)
{
    struct isal_zstream *z = &codec->deflate;

    isal_deflate_init(z);
    deflate_setup(codec, out);
    for (size_t i = 0; i < count; i++) {
        z->flush = i + 1 == count ? FULL_FLUSH : NO_FLUSH;
        deflate_input(z, pieces[i]);
        if (isal_deflate(z) != COMP_OK || z->avail_in != 0 || z->avail_out == 0)
            return false;
    }
    return z->internal_state.state == ZSTATE_NEW_HDR;
}

/* What deflate cannot make smaller is stored. Fits frame_codec_bound by construction. */
static size_t deflate_store(const struct slice *pieces, size_t count, uint8_t *to)
{
    uint8_t *p = to;

    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < pieces[i].n;) {
            size_t n = pieces[i].n - at;

            if (n > STORED_MAX_BYTES)
                n = STORED_MAX_BYTES;
            p[0] = 0;
            p[1] = (uint8_t)n;
            p[2] = (uint8_t)(n >> 8);
            p[3] = (uint8_t)~n;
            p[4] = (uint8_t)(~n >> 8);
            memcpy(p + STORED_HEAD_BYTES, pieces[i].p + at, n);
            p += STORED_HEAD_BYTES + n;
            at += n;
        }
    }
    memcpy(p, "\x00\x00\x00\xff\xff", STORED_HEAD_BYTES);
    return (size_t)(p - to) + STORED_HEAD_BYTES;
}

static size_t stored_bytes(const struct slice *pieces, size_t count)
{
    size_t n = STORED_HEAD_BYTES;

    for (size_t i = 0; i < count; i++)
        n += pieces[i].n +
             (pieces[i].n + STORED_MAX_BYTES - 1) / STORED_MAX_BYTES * STORED_HEAD_BYTES;
    return n;
}

static int compress_gzip(struct frame_codec *codec, const struct slice *pieces, size_t count,
                         struct frame_codec_out out, size_t *ret_bytes)
{
    bool done;

    for (size_t i = 0; i < count; i++)
        learn(&codec->learned, pieces[i]);
    done =
        count == 1 ? deflate_one(codec, pieces[0], out) : deflate_many(codec, pieces, count, out);
    if (done) {
        *ret_bytes = codec->deflate.total_out;
        doubt(&codec->learned, codec->deflate.total_in, codec->deflate.total_out);
        return 0;
    }
    codec->learned.left = 0;
    if (stored_bytes(pieces, count) > out.cap)
        return -ENOSPC;
    *ret_bytes = deflate_store(pieces, count, out.p);
    return 0;
}

static int decompress_gzip(struct frame_codec *codec, struct slice payload, size_t plain_bytes,
                           uint8_t *to, struct err *err)
{
    struct inflate_state *z = &codec->inflate;

    isal_inflate_init(z);
    z->crc_flag = ISAL_DEFLATE;
    z->next_in = (uint8_t *)(uintptr_t)payload.p;
    z->avail_in = (uint32_t)payload.n;
    z->next_out = to;
    z->avail_out = (uint32_t)plain_bytes + 1; /* one more, to see that nothing more comes */
    if (isal_inflate(z) != ISAL_DECOMP_OK)
        return err_set(err, EBADMSG, "frame: its deflate data is damaged");
    if (z->total_out != plain_bytes)
        return err_set(err, EBADMSG, "frame: it inflates to another length than it says");
    /*
     * It must end byte-aligned between two blocks, or it could not be joined. ISA-L may have looked
     * for the next block's header already; no bit of one may be there.
     */
    if (z->avail_in != 0 || z->read_in_length != 0 || z->tmp_in_size != 0 ||
        (z->block_state != ISAL_BLOCK_NEW_HDR && z->block_state != ISAL_BLOCK_HDR))
        return err_set(err, EBADMSG, "frame: it does not end in a full flush");
    return 0;
}

/* ---- zstd ---- */

static int compress_zstd(struct frame_codec *codec, const struct slice *pieces, size_t count,
                         struct frame_codec_out out, size_t *ret_bytes)
{
    ZSTD_outBuffer to = {out.p, out.cap, 0};
    size_t total = 0, left = 1;

    if (codec->zstd_c == NULL) {
        codec->zstd_c = ZSTD_createCCtx();
        if (codec->zstd_c == NULL)
            return -ENOMEM;
        ZSTD_CCtx_setParameter(codec->zstd_c, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    }
    ZSTD_CCtx_reset(codec->zstd_c, ZSTD_reset_session_only);
    for (size_t i = 0; i < count; i++)
        total += pieces[i].n;
    ZSTD_CCtx_setPledgedSrcSize(codec->zstd_c, total);
    for (size_t i = 0; i < count; i++) {
        ZSTD_inBuffer from = {pieces[i].p, pieces[i].n, 0};

        left = ZSTD_compressStream2(codec->zstd_c, &to, &from,
                                    i + 1 == count ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -EIO;
        if (from.pos != from.size)
            return -ENOSPC;
    }
    if (left != 0)
        return -ENOSPC;
    *ret_bytes = to.pos;
    return 0;
}

static int decompress_zstd(struct frame_codec *codec, struct slice payload, size_t plain_bytes,
                           uint8_t *to, struct err *err)
{
    size_t n;

    if (codec->zstd_d == NULL)
        codec->zstd_d = ZSTD_createDCtx();
    if (codec->zstd_d == NULL)
        return err_set(err, ENOMEM, "no memory for zstd");
    if (ZSTD_findFrameCompressedSize(payload.p, payload.n) != payload.n)
        return err_set(err, EBADMSG, "frame: it is not exactly one zstd frame");
    n = ZSTD_decompressDCtx(codec->zstd_d, to, plain_bytes, payload.p, payload.n);
    if (ZSTD_isError(n))
        return err_set(err, EBADMSG, "frame: zstd says %s", ZSTD_getErrorName(n));
    if (n != plain_bytes)
        return err_set(err, EBADMSG, "frame: it holds another length than it says");
    return 0;
}

/* ---- all ---- */

int frame_codec_compress(struct frame_codec *codec, enum frame_codec_id id,
                         const struct slice *pieces, size_t count, struct frame_codec_out out,
                         size_t *ret_bytes, struct frame_info *ret_info)
{
    uint32_t crc = 0;
    size_t total = 0, n = 0;
    int r = 0;

    for (size_t i = 0; i < count; i++)
        total += pieces[i].n;
    if (total > UINT32_MAX)
        return -EFBIG;
    if (out.cap < frame_codec_bound(id, total))
        return -ENOSPC;
    switch (id) {
    case FRAME_GZIP:
        r = compress_gzip(codec, pieces, count, out, &n);
        break;
    case FRAME_ZSTD:
        r = compress_zstd(codec, pieces, count, out, &n);
        break;
    case FRAME_NONE:
        for (size_t i = 0; i < count; i++) {
            if (pieces[i].n > 0)
                memcpy(out.p + n, pieces[i].p, pieces[i].n);
            n += pieces[i].n;
        }
        break;
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        crc = crc32_gzip_refl(crc, pieces[i].p, pieces[i].n);
    *ret_bytes = n;
    ret_info->codec = (uint8_t)id;
    ret_info->plain_bytes = (uint32_t)total;
    ret_info->plain_crc32 = crc;
    return 0;
}

int frame_codec_decompress(struct frame_codec *codec, const struct frame_info *info,
                           struct slice payload, struct buf *out, struct err *err)
{
    uint8_t *to;
    int r;

    if (info->codec >= FRAME_CODECS)
        return err_set(err, EBADMSG, "frame: unknown codec %u", info->codec);
    if (payload.n > UINT32_MAX || info->plain_bytes == UINT32_MAX)
        return err_set(err, EBADMSG, "frame: too large");
    if (buf_reserve(out, (size_t)info->plain_bytes + 1) < 0)
        return err_set(err, ENOMEM, "no room for a frame of %u bytes", info->plain_bytes);
    to = out->p + out->n;
    switch ((enum frame_codec_id)info->codec) {
    case FRAME_GZIP:
        r = decompress_gzip(codec, payload, info->plain_bytes, to, err);
        break;
    case FRAME_ZSTD:
        r = decompress_zstd(codec, payload, info->plain_bytes, to, err);
        break;
    default:
        r = 0;
        if (payload.n != info->plain_bytes)
            r = err_set(err, EBADMSG, "frame: it has another length than it says");
        else if (payload.n > 0)
            memcpy(to, payload.p, payload.n);
        break;
    }
    if (r < 0)
        return r;
    if (crc32_gzip_refl(0, to, info->plain_bytes) != info->plain_crc32)
        return err_set(err, EBADMSG, "frame: the CRC of its plain bytes is wrong");
    out->n += info->plain_bytes;
    return 0;
}
