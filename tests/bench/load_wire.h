/*
 * load_wire: what a forward client reads from its server, and the handshake. Pure: bytes in, bytes
 * out. Each reader returns the number of bytes it took, 0 when more are needed, or -EBADMSG.
 */
#ifndef TESTS_BENCH_LOAD_WIRE_H
#define TESTS_BENCH_LOAD_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/slice.h"

#define LOAD_PING_MAX 1024
#define LOAD_NONCE_MAX 256
#define LOAD_SALT_BYTES 32
#define LOAD_DIGEST_BYTES 128

struct load_handshake {
    const char *shared_key;
    const char *self;           /* the client's host name */
    char salt[LOAD_SALT_BYTES]; /* chosen by the caller */
    uint8_t nonce[LOAD_NONCE_MAX];
    size_t nonce_bytes;
};

/* {"ack": id}. The id lies in the input. */
ssize_t load_wire_ack(struct slice in, struct slice *ret_id);

/* ["HELO", {"nonce": …, …}]: keeps the nonce. */
ssize_t load_wire_helo(struct slice in, struct load_handshake *hs);

/* ["PING", …]; needs the nonce. Returns its length, at most LOAD_PING_MAX. */
size_t load_wire_ping(const struct load_handshake *hs, uint8_t *out);

/* ["PONG", true, "", name, digest], the digest checked. -EACCES: the server refused. */
ssize_t load_wire_pong(struct slice in, const struct load_handshake *hs);

#endif
