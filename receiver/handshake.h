/*
 * handshake: HELO, PING and PONG of the Forward protocol's shared key and users (protocols.md 1.8).
 * Pure: random bytes, names and tables come from outside, bytes go in and out; messages.c does the
 * I/O.
 *
 *     handshake_helo(nonce, auth, helo)                  write it, once
 *     handshake_ping(&terms, bytes so far, &outcome)     HANDSHAKE_MORE until the PING is whole
 *     write outcome.pong; then go on behind outcome.bytes, or close
 *
 * Every string of the PING is opaque bytes, str or bin: Fluent Bit's salt is 16 raw bytes in a str.
 * Where users are not asked for, HELO's auth is empty, so that clients need not compute a password
 * digest, and what they send as one is not looked at.
 *
 * A PING is judged in this order: its form, the address it came from, the shared key's digest (that
 * address's key), the user's. The first that is wrong is the reason that the client is told.
 */
#ifndef RECEIVER_HANDSHAKE_H
#define RECEIVER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/options/access.h"

#define HANDSHAKE_NONCE_BYTES 16u
#define HANDSHAKE_AUTH_BYTES 16u
#define HANDSHAKE_HELO_BYTES 49u /* without auth */
#define HANDSHAKE_HELO_MAX (HANDSHAKE_HELO_BYTES + HANDSHAKE_AUTH_BYTES)
#define HANDSHAKE_PING_MAX 8192u /* a longer one is no PING */
#define HANDSHAKE_PONG_MAX 512u
#define HANDSHAKE_HOST_MAX 255u /* of either host name */
#define HANDSHAKE_REASON_BYTES 128u

enum handshake_result {
    HANDSHAKE_MORE,
    HANDSHAKE_WELCOME,
    HANDSHAKE_REFUSED, /* PONG false goes out, with the reason, then the connection is closed */
    HANDSHAKE_BROKEN,  /* no PONG: what came is no array, or no msgpack at all */
};

/* What was wrong with a PING. */
enum handshake_fault {
    HANDSHAKE_FAULT_FORM,
    HANDSHAKE_FAULT_SOURCE,
    HANDSHAKE_FAULT_KEY,
    HANDSHAKE_FAULT_USER,
    HANDSHAKE_FAULT_NO_DIGEST, /* ours: out of memory, or a library without SHA-512 */
};

/* Borrowed during the calls. */
struct handshake_terms {
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    struct slice auth; /* as HELO had it */
    const struct access *access;
    struct network address;   /* of the client */
    const char *address_text; /* ... for the reason */
    struct slice server_host; /* at most HANDSHAKE_HOST_MAX */
};

struct handshake_outcome {
    size_t bytes;               /* of the PING; what follows belongs to the first message */
    struct slice client_host;   /* into the caller's bytes */
    enum handshake_fault fault; /* REFUSED */
    char reason[HANDSHAKE_REASON_BYTES]; /* REFUSED: also the PONG's text. BROKEN. */
    uint8_t pong[HANDSHAKE_PONG_MAX];
    size_t pong_bytes;
};

/* auth: HANDSHAKE_AUTH_BYTES, or none. Returns how many bytes HELO has. */
size_t handshake_helo(const uint8_t nonce[HANDSHAKE_NONCE_BYTES], struct slice auth,
                      uint8_t ret_helo[HANDSHAKE_HELO_MAX]);

/*
 * p: all bytes that came since HELO. Digests are compared in constant time, and a user that does not
 * exist costs what a wrong password costs.
 */
enum handshake_result handshake_ping(const struct handshake_terms *terms, const uint8_t *p,
                                     size_t n, struct handshake_outcome *ret);

#define HANDSHAKE_DIGEST_BYTES 128u

/*
 * hex(SHA512(salt + host + nonce + key)), 128 lower-case digits; of a password, with auth, user and
 * password as the first three. For PING, PONG and tests. False: out of memory, or a library without
 * SHA-512; nothing is written.
 */
bool handshake_digest(struct slice salt, struct slice host, struct slice nonce, struct slice key,
                      char ret_hex[HANDSHAKE_DIGEST_BYTES]);

#endif
