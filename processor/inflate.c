#include "processor/inflate.h"

#include "shared/base/buf.h"

#include <errno.h>
#include <isa-l.h>
#include <stdlib.h>
#include <zstd.h>

/* Memory that stays after a large chunk. */
#define KEEP_BYTES ((size_t)4 << 20)
/* Room for the first step, and for each further one. */
#define STEP_BYTES ((size_t)256 << 10)
/* zstd's window, 32 MiB: what fluentd's and the zstd program's common levels need. */
#define ZSTD_WINDOW_LOG 25

struct inflate {
    struct buf plain;
    size_t max_bytes;
    ZSTD_DCtx *zstd; /* made at first use */
    struct inflate_state gzip;
};

int inflate_new(size_t max_bytes, struct inflate **ret_inflate, struct err *err)
{
    struct inflate *inflate = calloc(1, sizeof(*inflate));

    if (inflate == NULL)
        return err_set(err, ENOMEM, "no memory for decompression");
    /* One byte beyond the limit tells "exactly at it" from "above it". */
    buf_init(&inflate->plain, max_bytes + 1);
    inflate->max_bytes = max_bytes;
    *ret_inflate = inflate;
    return 0;
}

void inflate_free(struct inflate **inflate)
{
    if (*inflate == NULL)
        return;
    buf_fini(&(*inflate)->plain);
    ZSTD_freeDCtx((*inflate)->zstd);
    free(*inflate);
    *inflate = NULL;
}

enum chunk_compression inflate_sniff(struct slice payload)
{
    if (payload.n >= 2 && memcmp(payload.p, "\x1f\x8b", 2) == 0)
        return CHUNK_GZIP;
    if (payload.n >= 4 && memcmp(payload.p, "\x28\xb5\x2f\xfd", 4) == 0)
        return CHUNK_ZSTD;
    return CHUNK_PLAIN;
}

/* Room to go on writing. */
static int more_room(struct inflate *inflate, struct err *err)
{
    struct buf *plain = &inflate->plain;
    size_t left = plain->max_bytes - plain->n;
    size_t step = plain->n > STEP_BYTES ? plain->n : STEP_BYTES;

    if (plain->n > inflate->max_bytes)
        return err_set(err, EFBIG, "it decompresses to more than %zu bytes", inflate->max_bytes);
    if (plain->cap > plain->n)
        return 0;
    if (buf_reserve(plain, step < left ? step : left) < 0)
        return err_set(err, ENOMEM, "no memory for its %zu decompressed bytes", plain->n);
    return 0;
}

/* One member, from *payload on; moves *payload behind it. */
static int inflate_member(struct inflate *inflate, struct slice *payload, struct err *err)
{
    struct inflate_state *z = &inflate->gzip;
    struct buf *plain = &inflate->plain;
    size_t start = 0;

    isal_inflate_init(z);
    z->crc_flag = ISAL_GZIP;
    z->next_in = (uint8_t *)(uintptr_t)payload->p;
    z->avail_in = (uint32_t)payload->n;
    while (z->block_state != ISAL_BLOCK_FINISH) {
        int r = more_room(inflate, err);

        if (r < 0)
            return r;
        start = plain->n;
        z->next_out = plain->p + start;
        z->avail_out =
            (uint32_t)(plain->cap - start > UINT32_MAX ? UINT32_MAX : plain->cap - start);
        if (isal_inflate(z) != ISAL_DECOMP_OK)
            return err_set(err, EBADMSG, "its gzip data is damaged");
        plain->n = (size_t)(z->next_out - plain->p);
        if (plain->n == start && z->avail_in == 0 && z->block_state != ISAL_BLOCK_FINISH)
            return err_set(err, EBADMSG, "its gzip data is cut off");
    }
    *payload = slice_of(z->next_in, z->avail_in);
    return 0;
}

static int inflate_gzip(struct inflate *inflate, struct slice payload, struct err *err)
{
    const uint8_t *start = payload.p;
    int r = 0;

    while (r == 0 && payload.n > 0) {
        if (inflate_sniff(payload) != CHUNK_GZIP)
            return err_set(err, EBADMSG,
                           payload.p == start ? "its data is no gzip, whatever `compressed` says"
                                              : "something else than gzip follows a gzip member");
        r = inflate_member(inflate, &payload, err);
    }
    if (r == 0 && inflate->plain.n > inflate->max_bytes)
        r = more_room(inflate, err);
    return r;
}

static int inflate_zstd(struct inflate *inflate, struct slice payload, struct err *err)
{
    ZSTD_inBuffer in = {payload.p, payload.n, 0};
    struct buf *plain = &inflate->plain;
    size_t hint = 0;

    if (inflate->zstd == NULL) {
        inflate->zstd = ZSTD_createDCtx();
        if (inflate->zstd == NULL)
            return err_set(err, ENOMEM, "no memory for zstd");
        ZSTD_DCtx_setParameter(inflate->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    }
    ZSTD_DCtx_reset(inflate->zstd, ZSTD_reset_session_only);
    for (;;) {
        int r = more_room(inflate, err);
        ZSTD_outBuffer out = {plain->p, plain->cap, plain->n};

        if (r < 0)
            return r;
        hint = ZSTD_decompressStream(inflate->zstd, &out, &in);
        if (ZSTD_isError(hint))
            return err_set(err, EBADMSG, "its zstd data is damaged: %s", ZSTD_getErrorName(hint));
        plain->n = out.pos;
        /* All was read, and either a frame is complete or all that it gives was written. */
        if (in.pos == in.size && (hint == 0 || out.pos < out.size))
            break;
    }
    if (plain->n > inflate->max_bytes)
        return more_room(inflate, err);
    return hint == 0 ? 0 : err_set(err, EBADMSG, "its zstd data is cut off");
}

int inflate_payload(struct inflate *inflate, enum chunk_compression compression,
                    struct slice payload, struct slice *ret_plain, struct err *err)
{
    int r = 0;

    inflate->plain.n = 0;
    buf_trim(&inflate->plain, KEEP_BYTES);
    if (payload.n > UINT32_MAX)
        return err_set(err, EFBIG, "its payload has %zu bytes", payload.n);
    if (payload.n > 0 && compression == CHUNK_GZIP)
        r = inflate_gzip(inflate, payload, err);
    else if (payload.n > 0 && compression == CHUNK_ZSTD)
        r = inflate_zstd(inflate, payload, err);
    if (r == 0)
        *ret_plain = buf_slice(&inflate->plain);
    return r;
}
