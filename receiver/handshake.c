#include "receiver/handshake.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "receiver/wire.h"
#include "shared/base/bytes.h"
#include "shared/base/secret.h"

#define FIELDS 6u

enum field { PING_NAME, PING_HOST, PING_SALT, PING_DIGEST, PING_USER, PING_PASSWORD };

static_assert(HANDSHAKE_PONG_MAX >=
                  1 + 5 + 1 + 1 + (3 + HANDSHAKE_HOST_MAX) + (2 + HANDSHAKE_DIGEST_BYTES),
              "the longest PONG fits");

/* ["HELO", {"nonce": bin16, "auth": bin, "keepalive": true}]; bin, because Node decodes a str. */
static const uint8_t helo_head[] = {0x92, 0xa4, 'H', 'E', 'L', 'O', 0x83,
                                    0xa5, 'n',  'o', 'n', 'c', 'e'};
static const uint8_t helo_auth[] = {0xa4, 'a', 'u', 't', 'h'};
static const uint8_t helo_tail[] = {0xa9, 'k', 'e', 'e', 'p', 'a', 'l', 'i', 'v', 'e', 0xc3};

static_assert(sizeof(helo_head) + 2 + HANDSHAKE_NONCE_BYTES + sizeof(helo_auth) + 2 +
                      HANDSHAKE_AUTH_BYTES + sizeof(helo_tail) ==
                  HANDSHAKE_HELO_MAX,
              "the size of HELO");

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

static uint8_t *put_bin(uint8_t *p, struct slice bytes)
{
    *p++ = 0xc4;
    *p++ = (uint8_t)bytes.n;
    return bytes.n > 0 ? put(p, bytes.p, bytes.n) : p;
}

size_t handshake_helo(const uint8_t nonce[HANDSHAKE_NONCE_BYTES], struct slice auth,
                      uint8_t ret_helo[HANDSHAKE_HELO_MAX])
{
    uint8_t *p = put(ret_helo, helo_head, sizeof(helo_head));

    assert(auth.n == 0 || auth.n == HANDSHAKE_AUTH_BYTES);
    p = put_bin(p, slice_of(nonce, HANDSHAKE_NONCE_BYTES));
    p = put(p, helo_auth, sizeof(helo_auth));
    p = put_bin(p, auth);
    p = put(p, helo_tail, sizeof(helo_tail));
    return (size_t)(p - ret_helo);
}

bool handshake_digest(struct slice salt, struct slice host, struct slice nonce, struct slice key,
                      char ret_hex[HANDSHAKE_DIGEST_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    const struct slice parts[] = {salt, host, nonce, key};
    uint8_t sum[64];
    unsigned n = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;

    for (size_t i = 0; good && i < sizeof(parts) / sizeof(parts[0]); i++)
        good = EVP_DigestUpdate(context, parts[i].p, parts[i].n) == 1;
    good = good && EVP_DigestFinal_ex(context, sum, &n) == 1 && n == sizeof(sum);
    EVP_MD_CTX_free(context);
    if (!good)
        return false;
    for (size_t i = 0; i < sizeof(sum); i++) {
        ret_hex[2 * i] = digits[sum[i] >> 4];
        ret_hex[2 * i + 1] = digits[sum[i] & 15];
    }
    secret_wipe(sum, sizeof(sum));
    return true;
}

static uint8_t *put_string(uint8_t *p, struct slice text)
{
    if (text.n < 32) {
        *p++ = (uint8_t)(0xa0 | text.n);
    } else if (text.n < 256) {
        *p++ = 0xd9;
        *p++ = (uint8_t)text.n;
    } else {
        *p++ = 0xda;
        bytes_put_be16(p, (uint16_t)text.n);
        p += 2;
    }
    return text.n > 0 ? put(p, text.p, text.n) : p;
}

/* ["PONG", welcome, reason, host, digest] */
static void put_pong(struct handshake_outcome *outcome, bool welcome, struct slice host,
                     struct slice digest)
{
    uint8_t *p = outcome->pong;

    *p++ = 0x95;
    p = put_string(p, SLICE_LITERAL("PONG"));
    *p++ = welcome ? 0xc3 : 0xc2;
    p = put_string(p, slice_string(outcome->reason));
    p = put_string(p, host);
    p = put_string(p, digest);
    outcome->pong_bytes = (size_t)(p - outcome->pong);
}

static void set_reason(struct handshake_outcome *outcome, enum handshake_fault fault,
                       const char *address)
{
    /* As Fluentd has them: clients log them, and people look for them. */
    static const char *const reasons[] = {
        [HANDSHAKE_FAULT_FORM] = "invalid ping message",
        [HANDSHAKE_FAULT_KEY] = "shared_key mismatch",
        [HANDSHAKE_FAULT_USER] = "username/password mismatch",
        [HANDSHAKE_FAULT_NO_DIGEST] = "no digest can be made",
    };

    if (fault == HANDSHAKE_FAULT_SOURCE)
        snprintf(outcome->reason, sizeof(outcome->reason), "anonymous source host '%s' denied",
                 address);
    else
        snprintf(outcome->reason, sizeof(outcome->reason), "%s", reasons[fault]);
}

static enum handshake_result refuse(struct handshake_outcome *outcome, enum handshake_fault fault,
                                    const struct handshake_terms *terms)
{
    outcome->fault = fault;
    set_reason(outcome, fault, terms->address_text);
    put_pong(outcome, false, slice_of(NULL, 0), slice_of(NULL, 0));
    return HANDSHAKE_REFUSED;
}

/* The six strings of a whole PING. False: it is none. */
static bool read_fields(struct slice ping, struct slice ret_fields[FIELDS])
{
    struct wire_head head;

    if (wire_head_read(ping.p, ping.n, &head) <= 0 || head.kind != WIRE_ARRAY ||
        head.children != FIELDS)
        return false;
    ping.p += head.head_bytes;
    ping.n -= head.head_bytes;
    for (size_t i = 0; i < FIELDS; i++) {
        struct slice value;

        if (wire_take(&ping, &head, &value) < 0)
            return false;
        /* npm's fluent-logger says nil where it has no user. */
        if (head.kind == WIRE_NIL && i >= PING_USER)
            ret_fields[i] = slice_of(NULL, 0);
        else if (head.kind == WIRE_STR || head.kind == WIRE_BIN)
            ret_fields[i] = wire_content(&head, value);
        else
            return false;
    }
    return slice_is(ret_fields[PING_NAME], "PING");
}

enum check { CHECK_GOOD, CHECK_WRONG, CHECK_IMPOSSIBLE };

static enum check check_key(const struct handshake_terms *terms, struct slice key,
                            const struct slice fields[FIELDS])
{
    struct slice nonce = slice_of(terms->nonce, HANDSHAKE_NONCE_BYTES);
    char digest[HANDSHAKE_DIGEST_BYTES];

    if (!handshake_digest(fields[PING_SALT], fields[PING_HOST], nonce, key, digest))
        return CHECK_IMPOSSIBLE;
    return secret_equal(slice_of(digest, sizeof(digest)), fields[PING_DIGEST]) ? CHECK_GOOD
                                                                               : CHECK_WRONG;
}

/*
 * A user that does not exist costs a digest too. Without auth (users are asked for since a reload
 * that came after this HELO) no digest is fresh: the client comes again.
 */
static enum check check_user(const struct handshake_terms *terms, const struct access_grant *grant,
                             const struct slice fields[FIELDS])
{
    char digest[HANDSHAKE_DIGEST_BYTES];
    struct slice password;
    bool exists, equal;

    if (!access_asks_user(terms->access))
        return CHECK_GOOD;
    exists = access_password(terms->access, grant, fields[PING_USER], &password);
    if (!handshake_digest(terms->auth, fields[PING_USER], password, slice_of(NULL, 0), digest))
        return CHECK_IMPOSSIBLE;
    equal = secret_equal(slice_of(digest, sizeof(digest)), fields[PING_PASSWORD]);
    return (exists & equal) && terms->auth.n > 0 ? CHECK_GOOD : CHECK_WRONG;
}

static enum handshake_result judge(const struct handshake_terms *terms, struct slice ping,
                                   struct handshake_outcome *outcome)
{
    struct slice nonce = slice_of(terms->nonce, HANDSHAKE_NONCE_BYTES);
    char digest[HANDSHAKE_DIGEST_BYTES];
    struct slice fields[FIELDS];
    struct access_grant grant;
    enum check check;

    if (!read_fields(ping, fields) || fields[PING_HOST].n > HANDSHAKE_HOST_MAX)
        return refuse(outcome, HANDSHAKE_FAULT_FORM, terms);
    if (!access_admit(terms->access, &terms->address, &grant))
        return refuse(outcome, HANDSHAKE_FAULT_SOURCE, terms);
    check = check_key(terms, grant.shared_key, fields);
    if (check == CHECK_WRONG)
        return refuse(outcome, HANDSHAKE_FAULT_KEY, terms);
    if (check == CHECK_GOOD)
        check = check_user(terms, &grant, fields);
    if (check == CHECK_WRONG)
        return refuse(outcome, HANDSHAKE_FAULT_USER, terms);
    if (check == CHECK_IMPOSSIBLE ||
        !handshake_digest(fields[PING_SALT], terms->server_host, nonce, grant.shared_key, digest))
        return refuse(outcome, HANDSHAKE_FAULT_NO_DIGEST, terms);
    outcome->client_host = fields[PING_HOST];
    put_pong(outcome, true, terms->server_host, slice_of(digest, sizeof(digest)));
    return HANDSHAKE_WELCOME;
}

enum handshake_result handshake_ping(const struct handshake_terms *terms, const uint8_t *p,
                                     size_t n, struct handshake_outcome *ret)
{
    struct wire_skip skip = {.values = 1};
    struct wire_head head;
    int got = wire_head_read(p, n, &head);

    *ret = (struct handshake_outcome){0};
    if (got < 0 || (got > 0 && head.kind != WIRE_ARRAY)) {
        snprintf(ret->reason, sizeof(ret->reason), "%s",
                 "the client sent no PING; does it have a shared key?");
        return HANDSHAKE_BROKEN;
    }
    if (got > 0)
        got = wire_skip(p, n, HANDSHAKE_PING_MAX, &skip);
    /* An array that is not even whole after so many bytes is no PING; the size is said. */
    if (got < 0 || (got == 0 && n > HANDSHAKE_PING_MAX))
        return refuse(ret, HANDSHAKE_FAULT_FORM, terms);
    if (got == 0)
        return HANDSHAKE_MORE;
    ret->bytes = skip.at;
    return judge(terms, slice_of(p, skip.at), ret);
}
