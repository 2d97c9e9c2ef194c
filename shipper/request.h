/*
 * request: a parcel as one HTTP request, or, where that is too much for the server or for the limit,
 * as several after each other: which frames are the next one (split.h), and its body.
 *
 *     request_begin(request)                         request->parcel has been filled
 *     while (split_next(&request->split) == SPLIT_SEND) {
 *         r = request_fit(request, &env, max, &err);
 *         if (r == REQUEST_READY)
 *             request_body(request, &env, &body), send it
 *             accepted ? split_accept(...) : too large ? request_halve(...) : split_refuse(...)
 *     }
 *
 * The body is the frames as they are in the journal, joined (gzip_join.h). Where the server wants
 * JSON or another codec, it is made anew from the frames (recode.h), and kept for the next try. A
 * frame that is larger than a request may be is cut by its records.
 *
 * Ownership: the caller's storage, reused for the life of the process. Memory: the parcel's, and one
 * body that was made anew, until request_trim.
 */
#ifndef SHIPPER_REQUEST_H
#define SHIPPER_REQUEST_H

#include "shared/base/err.h"
#include "shared/otlp/gzip_join.h"
#include "shipper/http_client.h"
#include "shipper/output.h"
#include "shipper/parcel.h"
#include "shipper/recode.h"
#include "shipper/split.h"

#include <stdbool.h>

struct request {
    struct parcel parcel;
    struct split split;
    uint8_t *states; /* for split */
    uint32_t state_capacity;
    struct buf made; /* the body of frames [made_first, made_end), where it was made anew */
    uint32_t made_first, made_end;
    uint64_t plain_bytes; /* of the body before compression */
    uint8_t head[GZIP_JOIN_HEADER_BYTES];
    uint8_t tail[GZIP_JOIN_TRAILER_BYTES];
};

/* What the requests of an output have in common. Borrowed. */
struct request_env {
    struct output *output;
    struct recode *recode;
    struct disk *quarantine;
};

void request_init(struct request *request);
void request_fini(struct request *request);
/* Of a request with an empty parcel: gives memory back. */
void request_trim(struct request *request);

/* The parcel is not empty. 0 or -ENOMEM. */
int request_begin(struct request *request);

#define REQUEST_READY 0
#define REQUEST_CHANGED 1

/*
 * Settles the present run: what of it goes out now, in at most max_bytes before compression (a
 * single larger record goes all the same). REQUEST_READY: its body can be had. REQUEST_CHANGED: a
 * frame was cut, or set aside because it cannot be read; ask split_next and come again. -errno:
 * try later.
 */
int request_fit(struct request *request, const struct request_env *env, uint64_t max_bytes,
                struct err *err);

/* The body, after REQUEST_READY: borrowed until the request changes. */
void request_body(struct request *request, const struct request_env *env,
                  struct http_body *ret_body);

/*
 * The server finds the run too large. A single frame of several records is cut in two: true, and
 * nothing is refused yet. Else false.
 */
bool request_halve(struct request *request, const struct request_env *env);

#endif
