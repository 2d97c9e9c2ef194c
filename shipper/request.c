#include "shipper/request.h"

#include "shared/otlp/frame_codec.h"
#include "shipper/frame_quarantine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void request_init(struct request *request)
{
    *request = (struct request){0};
    parcel_init(&request->parcel);
    buf_init(&request->made, SIZE_MAX / 2);
}

void request_fini(struct request *request)
{
    parcel_fini(&request->parcel);
    buf_fini(&request->made);
    free(request->states);
    request->states = NULL;
}

void request_trim(struct request *request)
{
    parcel_trim(&request->parcel);
    request->made.n = 0;
    buf_trim(&request->made, PARCEL_KEEP_BYTES);
}

static int reserve_states(struct request *request, uint32_t count)
{
    uint32_t capacity = count > request->parcel.capacity ? count : request->parcel.capacity;
    uint8_t *states;

    if (count <= request->state_capacity)
        return 0;
    states = realloc(request->states, capacity);
    if (states == NULL)
        return -ENOMEM;
    request->states = states;
    request->state_capacity = capacity;
    return 0;
}

int request_begin(struct request *request)
{
    if (reserve_states(request, request->parcel.count) < 0)
        return -ENOMEM;
    split_init(&request->split, request->states, request->parcel.count);
    request->made.n = 0;
    return 0;
}

static enum frame_codec_id codec_of(const struct request *request)
{
    return request->parcel.frames[request->split.first].info.codec;
}

static void count_recoded(const struct request_env *env, uint64_t frames)
{
    status_add(env->output->env.status, METRIC_FRAMES_RECODED, frames);
}

/* ---- frames that do not go out as they are ---- */

/* The run's first frame becomes so many, or as many as it can. One: what is wanted of it. */
static int cut_first(struct request *request, const struct request_env *env, uint64_t parts,
                     struct err *err)
{
    uint32_t index = request->split.first, count = 0;
    int r = reserve_states(request, request->split.count + RECODE_PARTS_MAX);

    request->split.states = request->states; /* they may have moved */
    if (r < 0)
        return err_errno(err, -r, "cannot cut a frame");
    r = recode_cut(env->recode, &request->parcel, index, parts, &count, err);
    if (r < 0)
        return r;
    split_cut(&request->split, request->states, index, count);
    request->made.n = 0;
    count_recoded(env, 1);
    log_debug("%s: a frame is cut into parts: %u", env->output->ops->name, count);
    return 0;
}

/* The run's first frame cannot be read: it is kept in quarantine and counts as done. */
static int set_aside(struct request *request, const struct request_env *env, const char *why,
                     struct err *err)
{
    struct output_missing missing = {0};
    struct split *split = &request->split;
    int r = frame_quarantine(env->quarantine, env->output->ops->name, &request->parcel,
                             split->first, why, err);

    if (r < 0)
        return r;
    split_shorten(split, split->first + 1);
    missing.quarantined = parcel_records(&request->parcel, split->first, split->end);
    output_delivered(env->output, &request->parcel, split->first, split->end, missing);
    split_accept(split);
    return 0;
}

/* ---- bodies ---- */

/* The body that was made for the last try is the run's, and the limit has not come down since. */
static bool is_made(const struct request *request, uint64_t max_bytes)
{
    const struct split *split = &request->split;

    return request->made.n > 0 && request->made_first == split->first &&
           request->made_end == split->end &&
           (request->plain_bytes <= max_bytes ||
            parcel_records(&request->parcel, split->first, split->end) == 1);
}

/* Makes the run's body anew, unless that is done. Returns as recode_body. */
static int remake(struct request *request, const struct request_env *env, uint64_t max_bytes,
                  struct err *err)
{
    struct split *split = &request->split;
    struct recode_run run = {split->first, split->end, max_bytes, 0};
    int r;

    if (is_made(request, max_bytes))
        return 0;
    r = recode_body(env->recode, &request->parcel, &run, &request->made, err);
    request->plain_bytes = run.plain_bytes;
    if (r != 0)
        return r;
    split_shorten(split, run.end);
    request->made_first = split->first;
    request->made_end = split->end;
    count_recoded(env, split->end - split->first);
    return 0;
}

/* The run as it is in the journal: as much of it as a request may hold. Returns as recode_body. */
static int join(struct request *request, uint64_t max_bytes, struct err *err)
{
    const struct parcel_frame *frames = request->parcel.frames;
    struct split *split = &request->split;
    uint32_t end = split->first + 1;
    uint64_t bytes = frames[split->first].info.plain_bytes;

    request->plain_bytes = bytes;
    if (bytes > max_bytes && frames[split->first].info.records > 1)
        return RECODE_TOO_LARGE;
    while (end < split->end && bytes + frames[end].info.plain_bytes <= max_bytes)
        bytes += frames[end++].info.plain_bytes;
    if (bytes == 0)
        return err_set(err, EBADMSG, "frame: it holds no records");
    request->plain_bytes = bytes;
    split_shorten(split, end);
    return 0;
}

/* Of the run's frames one that is wanted in part only: the first or the last of its parcel. */
static bool find_part(const struct request *request, uint32_t *ret_index)
{
    for (uint32_t i = request->split.first; i < request->split.end; i++) {
        if (!parcel_frame_is_part(&request->parcel.frames[i]))
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

int request_fit(struct request *request, const struct request_env *env, uint64_t max_bytes,
                struct err *err)
{
    struct split *split = &request->split;
    uint32_t part;
    int r;

    if (find_part(request, &part)) {
        split_shorten(split, part); /* up to it; or it is the first */
        if (part > split->first)
            return REQUEST_CHANGED;
        r = cut_first(request, env, 1, err);
    } else {
        if (recode_is_wanted(env->recode, codec_of(request)))
            r = remake(request, env, max_bytes, err);
        else
            r = join(request, max_bytes, err);
        if (r == 0)
            return REQUEST_READY;
        if (r == RECODE_TOO_LARGE)
            r = cut_first(request, env, request->plain_bytes / max_bytes + 1, err);
    }
    if (r == -EBADMSG) {
        struct err why = *err;

        r = set_aside(request, env, why.text, err);
    }
    return r < 0 ? r : REQUEST_CHANGED;
}

void request_body(struct request *request, const struct request_env *env,
                  struct http_body *ret_body)
{
    const struct split *split = &request->split;
    enum frame_codec_id codec = codec_of(request);
    struct gzip_join member;

    memset(ret_body, 0, sizeof(*ret_body));
    if (recode_is_wanted(env->recode, codec)) {
        codec = recode_codec(env->recode, codec);
        ret_body->pieces[0] = buf_slice(&request->made);
    } else {
        ret_body->pieces[1] = parcel_bytes(&request->parcel, split->first, split->end);
        if (codec == FRAME_GZIP) {
            gzip_join_begin(&member, request->head);
            for (uint32_t i = split->first; i < split->end; i++)
                gzip_join_add(&member, &request->parcel.frames[i].info);
            gzip_join_end(&member, request->tail);
            ret_body->pieces[0] = slice_of(request->head, sizeof(request->head));
            ret_body->pieces[2] = slice_of(request->tail, sizeof(request->tail));
        }
    }
    if (codec != FRAME_NONE)
        ret_body->encoding = frame_codec_name(codec);
}

bool request_halve(struct request *request, const struct request_env *env)
{
    uint32_t first = request->split.first;
    struct err err = {0};

    if (request->split.end - first > 1 || request->parcel.frames[first].info.records < 2)
        return false;
    if (cut_first(request, env, 2, &err) == 0)
        return true;
    /* It is refused then as one whole, and tried again later. */
    log_debug("%s: %s", env->output->ops->name, err.text);
    return false;
}
