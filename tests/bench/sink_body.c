#include "tests/bench/sink_body.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zstd.h>

#define STEP_BYTES (256 * 1024)

struct sink_body {
    struct inflate_state inflate;
    ZSTD_DCtx *zstd;
};

int sink_body_new(struct sink_body **ret_body)
{
    struct sink_body *body = calloc(1, sizeof(*body));

    if (body == NULL)
        return -ENOMEM;
    body->zstd = ZSTD_createDCtx();
    if (body->zstd == NULL) {
        free(body);
        return -ENOMEM;
    }
    *ret_body = body;
    return 0;
}

void sink_body_free(struct sink_body **body)
{
    if (*body == NULL)
        return;
    ZSTD_freeDCtx((*body)->zstd);
    free(*body);
    *body = NULL;
}

/* One gzip member; ISA-L checks its CRC and its length. Returns the bytes taken or -errno. */
static ssize_t decode_member(struct sink_body *body, struct slice in, struct buf *plain,
                             struct err *err)
{
    struct inflate_state *state = &body->inflate;
    int r;

    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    state->next_in = (uint8_t *)(uintptr_t)in.p;
    state->avail_in = (uint32_t)in.n;
    do {
        if (buf_reserve(plain, STEP_BYTES) < 0)
            return err_set(err, ENOMEM, "the plain body is too large");
        state->next_out = plain->p + plain->n;
        state->avail_out = (uint32_t)(plain->cap - plain->n);
        r = isal_inflate(state);
        plain->n = (size_t)(state->next_out - plain->p);
        if (r != ISAL_DECOMP_OK)
            return err_set(err, EBADMSG, "gzip: ISA-L says %d", r);
    } while (state->block_state != ISAL_BLOCK_FINISH &&
             (state->avail_in > 0 || state->avail_out == 0));
    if (state->block_state != ISAL_BLOCK_FINISH)
        return err_set(err, EBADMSG, "gzip: the body ends early");
    return (ssize_t)(in.n - state->avail_in);
}

static int decode_gzip(struct sink_body *body, struct slice in, struct buf *plain,
                       unsigned *ret_members, struct err *err)
{
    unsigned members = 0;

    do {
        ssize_t n = decode_member(body, in, plain, err);

        if (n < 0)
            return (int)n;
        in = slice_of(in.p + n, in.n - (size_t)n);
        members++;
        if (in.n > 0 && in.p[0] != 0x1f)
            return err_set(err, EBADMSG, "gzip: %zu bytes follow the end", in.n);
    } while (in.n > 0);
    *ret_members = members;
    return 0;
}

static int decode_zstd(struct sink_body *body, struct slice in, struct buf *plain,
                       unsigned *ret_members, struct err *err)
{
    ZSTD_inBuffer input = {in.p, in.n, 0};
    unsigned frames = 0;
    size_t r = 1;

    ZSTD_DCtx_reset(body->zstd, ZSTD_reset_session_only);
    while (input.pos < input.size) {
        ZSTD_outBuffer output;

        if (buf_reserve(plain, STEP_BYTES) < 0)
            return err_set(err, ENOMEM, "the plain body is too large");
        output = (ZSTD_outBuffer){plain->p + plain->n, plain->cap - plain->n, 0};
        r = ZSTD_decompressStream(body->zstd, &output, &input);
        plain->n += output.pos;
        if (ZSTD_isError(r))
            return err_set(err, EBADMSG, "zstd: %s", ZSTD_getErrorName(r));
        if (r == 0)
            frames++;
    }
    if (r != 0)
        return err_set(err, EBADMSG, "zstd: the body ends early");
    *ret_members = frames;
    return 0;
}

int sink_body_decode(struct sink_body *body, enum sink_encoding encoding, struct slice in,
                     struct buf *plain, unsigned *ret_members, struct err *err)
{
    plain->n = 0;
    *ret_members = 1;
    switch (encoding) {
    case SINK_IDENTITY:
        return buf_append(plain, in.p, in.n);
    case SINK_GZIP:
        return decode_gzip(body, in, plain, ret_members, err);
    case SINK_ZSTD:
        return decode_zstd(body, in, plain, ret_members, err);
    default:
        return err_set(err, EBADMSG, "unknown Content-Encoding");
    }
}
