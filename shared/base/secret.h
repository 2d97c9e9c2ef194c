/*
 * secret: an owned string that is overwritten before its memory is given back. Whoever holds one
 * never prints it, logs it or puts it into a snapshot.
 *
 *     struct secret key = {0};
 *     secret_set(&key, value);
 *     …
 *     secret_fini(&key);
 *
 * Invariant: p is NULL exactly where n is 0; the bytes are NUL-terminated for C interfaces, and
 * hold no other NUL (secret_set refuses one).
 */
#ifndef SHARED_BASE_SECRET_H
#define SHARED_BASE_SECRET_H

#include <stdbool.h>

#include "shared/base/slice.h"

struct secret {
    char *p;
    size_t n;
};

/* Copies the value; the old one is wiped. 0, -ENOMEM, -EINVAL for a NUL inside (the old one stays). */
int secret_set(struct secret *secret, struct slice value);

/* Wipes and frees. May be called again. */
void secret_fini(struct secret *secret);

/* "" where none is set. Borrowed until the next set or fini. */
const char *secret_text(const struct secret *secret);
struct slice secret_slice(const struct secret *secret);

/* Takes as long for a near miss as for a far one (the length may show). */
bool secret_equal(struct slice a, struct slice b);

/* Overwrites a copy elsewhere (a message buffer, the environment area). */
void secret_wipe(void *p, size_t n);

#endif
