/*
 * handshake: HELO, PING and PONG of the Forward protocol's shared key (protocols.md 1.8). Pure: the
 * nonce and the names come from outside, bytes go in and out; connection.c does the I/O.
 *
 *     handshake_helo(nonce, helo)                        write it, once
 *     handshake_ping(&terms, bytes so far, &outcome)     HANDSHAKE_MORE until the PING is whole
 *     write outcome.pong; then go on behind outcome.bytes, or close
 *
 * Every string of the PING is opaque bytes, str or bin: Fluent Bit's salt is 16 raw bytes in a str.
 * User names are not asked for: HELO's auth is empty, so clients need not compute a password digest,
 * and what they send as one is not looked at.
 */
#ifndef RECEIVER_HANDSHAKE_H
#define RECEIVER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/slice.h"

#define HANDSHAKE_NONCE_BYTES 16u
#define HANDSHAKE_HELO_BYTES 49u
#define HANDSHAKE_PING_MAX 8192u /* a longer one is no PING */
#define HANDSHAKE_PONG_MAX 512u
#define HANDSHAKE_HOST_MAX 255u /* of either host name */

enum handshake_result {
    HANDSHAKE_MORE,
    HANDSHAKE_WELCOME,
    HANDSHAKE_REFUSED, /* PONG false goes out, with the reason, then the connection is closed */
    HANDSHAKE_BROKEN,  /* no PONG: what came is no array, or no msgpack at all */
};

/* Borrowed during the calls. */
struct handshake_terms {
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    struct slice shared_key;
    struct slice server_host; /* at most HANDSHAKE_HOST_MAX */
};

struct handshake_outcome {
    size_t bytes;             /* of the PING; what follows belongs to the first message */
    struct slice client_host; /* into the caller's bytes */
    const char *reason;       /* REFUSED: also the PONG's text. BROKEN. */
    uint8_t pong[HANDSHAKE_PONG_MAX];
    size_t pong_bytes;
};

void handshake_helo(const uint8_t nonce[HANDSHAKE_NONCE_BYTES],
                    uint8_t ret_helo[HANDSHAKE_HELO_BYTES]);

/* p: all bytes that came since HELO. Digests are compared in constant time. */
enum handshake_result handshake_ping(const struct handshake_terms *terms, const uint8_t *p,
                                     size_t n, struct handshake_outcome *ret);

#define HANDSHAKE_DIGEST_BYTES 128u

/*
 * hex(SHA512(salt + host + nonce + key)), 128 lower-case digits. For PING, PONG and tests. False:
 * out of memory, or a library without SHA-512; nothing is written.
 */
bool handshake_digest(struct slice salt, struct slice host, struct slice nonce, struct slice key,
                      char ret_hex[HANDSHAKE_DIGEST_BYTES]);

#endif
