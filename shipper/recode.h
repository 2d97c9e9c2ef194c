/*
 * recode: the body of a request in another form than the journal's frames have: as OTLP/JSON, or
 * with another codec; and frames cut by their records. The slow path: what an output wants as it
 * is on the disk is never decompressed (gzip_join.h).
 *
 *     journal's frames  ──▶  plain protobuf  ──▶  JSON (form.json)  ──▶  one body, compressed
 *
 *     r = recode_body(recode, parcel, &run, &body, &err);
 *     r == RECODE_TOO_LARGE: recode_cut(recode, parcel, run.first, parts, &err), and again
 *
 * Memory: the plain bytes of one request and of one frame, kept until recode_trim. A body of JSON is
 * made in one piece of at most run.max_bytes, or of a single record.
 *
 * Frames are untrusted: what cannot be decompressed or read is -EBADMSG, with words.
 */
#ifndef SHIPPER_RECODE_H
#define SHIPPER_RECODE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/otlp/frame.h"
#include "shipper/parcel.h"

#include <stdbool.h>

/* What an output wants. */
struct recode_form {
    bool json;
    unsigned transcode_flags;
    bool any_codec;            /* the frames' own */
    enum frame_codec_id codec; /* where not any_codec */
};

struct recode;

/* Returns 0 or -ENOMEM. */
int recode_new(const struct recode_form *form, struct recode **ret_recode, struct err *err);
void recode_free(struct recode **recode);
/* Gives memory back: for when there is nothing to do. */
void recode_trim(struct recode *recode);

/* Whether frames of this codec must be made anew. */
bool recode_is_wanted(const struct recode *recode, enum frame_codec_id of_frames);
/* The codec of a body that is made of such frames. */
enum frame_codec_id recode_codec(const struct recode *recode, enum frame_codec_id of_frames);

/* Frames [first, end) of a parcel, none of them a part (parcel_frame_is_part). */
struct recode_run {
    uint32_t first, end;
    uint64_t max_bytes;   /* before compression */
    uint64_t plain_bytes; /* out: of the body, or (too large) of the first frame's */
};

#define RECODE_TOO_LARGE 1

/*
 * Makes the body of the run, into *body (from its beginning). Where not all of it fits, or a frame
 * behind the first cannot be read, run->end becomes smaller. RECODE_TOO_LARGE: the first frame is
 * larger alone, and holds several records; a single larger record is a body. 0; -EBADMSG: the first
 * frame cannot be read, or holds nothing; -ENOMEM, -EIO. In these cases *body is empty.
 */
int recode_body(struct recode *recode, const struct parcel *parcel, struct recode_run *run,
                struct buf *body, struct err *err);

/* The most parts that a frame is cut into at once. */
#define RECODE_PARTS_MAX 64u

/*
 * Cuts a frame into parts with equal numbers of records, of the same codec; at most as many as it
 * has records, and RECODE_PARTS_MAX. One part: what is wanted of it. *ret_parts: how many there are
 * now. 0, or -errno and the parcel is as before; -EBADMSG: it cannot be read, or is not as it says.
 */
int recode_cut(struct recode *recode, struct parcel *parcel, uint32_t index, uint64_t parts,
               uint32_t *ret_parts, struct err *err);

#endif
