#include "shipper/recode.h"

#include "shared/otlp/frame_codec.h"
#include "shared/otlp/gzip_join.h"
#include "shared/otlp/record_cut.h"
#include "shared/otlp/transcode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES (64u << 10)

struct recode {
    struct recode_form form;
    struct frame_codec *codec;
    struct buf plain; /* a frame's protobuf, before it is transcoded or cut */
    struct buf text;  /* what is to be compressed */
    struct buf cut;   /* the payloads of the parts of a frame */
};

int recode_new(const struct recode_form *form, struct recode **ret_recode, struct err *err)
{
    struct recode *recode = calloc(1, sizeof(*recode));
    int r;

    if (recode == NULL)
        return err_errno(err, ENOMEM, "cannot prepare requests");
    recode->form = *form;
    buf_init(&recode->plain, SIZE_MAX / 2);
    buf_init(&recode->text, SIZE_MAX / 2);
    buf_init(&recode->cut, SIZE_MAX / 2);
    r = frame_codec_new(&recode->codec, err);
    if (r < 0) {
        recode_free(&recode);
        return r;
    }
    *ret_recode = recode;
    return 0;
}

void recode_free(struct recode **recode)
{
    struct recode *r = *recode;

    *recode = NULL;
    if (r == NULL)
        return;
    frame_codec_free(&r->codec);
    buf_fini(&r->plain);
    buf_fini(&r->text);
    buf_fini(&r->cut);
    free(r);
}

static void clear(struct buf *buf)
{
    buf->n = 0;
    buf_trim(buf, KEEP_BYTES);
}

void recode_trim(struct recode *recode)
{
    clear(&recode->plain);
    clear(&recode->text);
    clear(&recode->cut);
}

enum frame_codec_id recode_codec(const struct recode *recode, enum frame_codec_id of_frames)
{
    return recode->form.any_codec ? of_frames : recode->form.codec;
}

bool recode_is_wanted(const struct recode *recode, enum frame_codec_id of_frames)
{
    return recode->form.json || recode_codec(recode, of_frames) != of_frames;
}

/* ---- bodies ---- */

static int read_frame(struct recode *recode, const struct parcel *parcel, uint32_t index,
                      struct buf *out, struct err *err)
{
    return frame_codec_decompress(recode->codec, &parcel->frames[index].info,
                                  parcel_bytes(parcel, index, index + 1), out, err);
}

/* Appends what a frame is in the body, before compression. On error the text may be longer. */
static int add_frame(struct recode *recode, const struct parcel *parcel, uint32_t index,
                     struct err *err)
{
    size_t before = recode->text.n;
    int r;

    if (!recode->form.json) {
        r = read_frame(recode, parcel, index, &recode->text, err);
    } else {
        recode->plain.n = 0;
        r = read_frame(recode, parcel, index, &recode->plain, err);
        if (r == 0)
            r = transcode_json_elements(buf_slice(&recode->plain), recode->form.transcode_flags,
                                        &recode->text, err);
    }
    if (r == 0 && recode->text.n == before)
        r = err_set(err, EBADMSG, "frame: it holds no records");
    return r;
}

/* What stands around and between the frames: JSON has something there. */
static int add_frame_text(struct recode *recode, const char *text, struct err *err)
{
    if (!recode->form.json || buf_append(&recode->text, text, strlen(text)) == 0)
        return 0;
    return err_set(err, ENOMEM, "no memory for a request");
}

/* The text of as much of the run as fits, without its end. */
static int add_frames(struct recode *recode, const struct parcel *parcel, struct recode_run *run,
                      struct err *err)
{
    const size_t ending = recode->form.json ? strlen(TRANSCODE_JSON_TAIL) : 0;

    for (uint32_t i = run->first; i < run->end; i++) {
        size_t before = recode->text.n;
        int r = i > run->first ? add_frame_text(recode, ",", err) : 0;

        if (r == 0)
            r = add_frame(recode, parcel, i, err);
        if (r == 0 && recode->text.n + ending <= run->max_bytes)
            continue;
        if (i == run->first) {
            run->plain_bytes = recode->text.n + ending;
            if (r < 0)
                return r;
            if (parcel->frames[i].info.records > 1)
                return RECODE_TOO_LARGE;
            run->end = i + 1;
            return 0;
        }
        /* What is wrong with this one is seen when it is the first. */
        recode->text.n = before;
        run->end = i;
    }
    return 0;
}

static int compress(struct recode *recode, struct slice plain, enum frame_codec_id codec,
                    struct buf *out, struct frame_info *ret_info)
{
    size_t bound = frame_codec_bound(codec, plain.n), bytes;
    int r = buf_reserve(out, bound + 1);

    if (r == 0)
        r = frame_codec_compress(recode->codec, codec, &plain, 1,
                                 (struct frame_codec_out){out->p + out->n, bound}, &bytes,
                                 ret_info);
    if (r == 0)
        out->n += bytes;
    return r;
}

static int wrap_up(struct recode *recode, enum frame_codec_id codec, struct buf *body)
{
    struct frame_info info = {0};
    struct gzip_join join;
    int r = 0;

    if (codec == FRAME_GZIP)
        r = gzip_join_begin_buf(&join, body);
    if (r == 0)
        r = compress(recode, buf_slice(&recode->text), codec, body, &info);
    if (r == 0 && codec == FRAME_GZIP) {
        gzip_join_add(&join, &info);
        r = gzip_join_end_buf(&join, body);
    }
    return r;
}

int recode_body(struct recode *recode, const struct parcel *parcel, struct recode_run *run,
                struct buf *body, struct err *err)
{
    enum frame_codec_id codec = recode_codec(recode, parcel->frames[run->first].info.codec);
    int r;

    body->n = 0;
    recode->text.n = 0;
    r = add_frame_text(recode, TRANSCODE_JSON_HEAD, err);
    if (r == 0)
        r = add_frames(recode, parcel, run, err);
    if (r == 0)
        r = add_frame_text(recode, TRANSCODE_JSON_TAIL, err);
    if (r != 0)
        return r;
    run->plain_bytes = recode->text.n;
    r = wrap_up(recode, codec, body);
    if (r < 0) {
        body->n = 0;
        return err_errno(err, -r, "cannot compress the body of a request");
    }
    return 0;
}

/* ---- parts ---- */

/* One part of `frame`, whose plain bytes stand in recode->plain: its records [from, to). */
static int cut_part(struct recode *recode, const struct parcel_frame *frame, uint32_t from,
                    uint32_t to, struct parcel_frame *ret_part, struct err *err)
{
    struct parcel_frame part = *frame;
    uint64_t held;
    int r;

    recode->text.n = 0;
    r = record_cut(buf_slice(&recode->plain), (uint64_t)frame->first + from,
                   (uint64_t)frame->first + to, &recode->text, &held, err);
    if (r == 0 && held != frame->held)
        r = err_set(err, EBADMSG, "frame: it says that it holds %u records, and holds %llu",
                    frame->held, (unsigned long long)held);
    if (r < 0)
        return r;
    part.offset = recode->cut.n;
    r = compress(recode, buf_slice(&recode->text), frame->info.codec, &recode->cut, &part.info);
    if (r < 0)
        return err_errno(err, -r, "cannot compress a part of a frame");
    part.bytes = recode->cut.n - part.offset;
    part.first = 0;
    part.held = part.info.records = to - from;
    part.start.record = frame->start.record + from;
    if (to < frame->info.records)
        part.end = (struct cursor_position){part.start.sequence, part.start.frame,
                                            frame->start.record + to};
    *ret_part = part;
    return 0;
}

int recode_cut(struct recode *recode, struct parcel *parcel, uint32_t index, uint64_t parts,
               uint32_t *ret_parts, struct err *err)
{
    const struct parcel_frame *frame = &parcel->frames[index];
    const uint64_t records = frame->info.records;
    struct parcel_frame cut[RECODE_PARTS_MAX];
    uint32_t count;
    int r;

    parts = parts < records ? parts : records;
    parts = parts < RECODE_PARTS_MAX ? parts : RECODE_PARTS_MAX;
    count = parts > 0 ? (uint32_t)parts : 1;
    recode->plain.n = 0;
    recode->cut.n = 0;
    r = read_frame(recode, parcel, index, &recode->plain, err);
    for (uint32_t i = 0; i < count && r == 0; i++)
        r = cut_part(recode, frame, (uint32_t)(records * i / count),
                     (uint32_t)(records * (i + 1) / count), &cut[i], err);
    if (r == 0 && parcel_splice(parcel, index, cut, count, buf_slice(&recode->cut)) < 0)
        r = err_errno(err, ENOMEM, "no memory for the parts of a frame");
    if (r == 0)
        *ret_parts = count;
    return r;
}
