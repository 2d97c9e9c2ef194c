/*
 * handshake: any bytes in the place of a PING, at once and cut: the same answer, a PONG that is whole
 * wherever one goes out, and never a look behind the bytes.
 */
#include "receiver/handshake.h"
#include "receiver/wire.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* What the keyed captures were recorded with. */
static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = "\xa1\xb2\xc3\xd4\xe5\xf6\x07\x18"
                                                    "\x29\x3a\x4b\x5c\x6d\x7e\x8f\x90";
static const uint8_t auth[HANDSHAKE_AUTH_BYTES] = "\x0f\x1e\x2d\x3c\x4b\x5a\x69\x78"
                                                  "\x87\x96\xa5\xb4\xc3\xd2\xe1\xf0";

static struct access *access_of(const char *users)
{
    struct options *options = options_new();
    struct option_report report = {0};
    struct access *access = NULL;
    int r;

    fuzz_check(options != NULL, "memory");
    r = options_set(options, OPT_FORWARD_SHARED_KEY, SLICE_LITERAL("s3cret-key-A"), NULL);
    if (r == 0)
        r = options_set(options, OPT_FORWARD_USERS, slice_string(users), NULL);
    if (r == 0)
        r = access_load(options, &report, &access);
    fuzz_check(r == 0, "tables");
    options_free(&options);
    return access;
}

static enum handshake_result ping(const struct handshake_terms *terms, const uint8_t *p, size_t n,
                                  struct handshake_outcome *outcome)
{
    uint8_t *copy = malloc(n == 0 ? 1 : n); /* of exactly its length */
    enum handshake_result result;

    fuzz_check(copy != NULL, "memory");
    memcpy(copy, p, n);
    result = handshake_ping(terms, copy, n, outcome);
    free(copy);
    return result;
}

static void check_pong(const struct handshake_outcome *outcome, enum handshake_result result)
{
    struct wire_skip skip = {.values = 1};

    if (result != HANDSHAKE_WELCOME && result != HANDSHAKE_REFUSED) {
        fuzz_check(outcome->pong_bytes == 0, "no PONG without an answer");
        return;
    }
    fuzz_check(outcome->pong_bytes <= HANDSHAKE_PONG_MAX, "a PONG within its bounds");
    fuzz_check(wire_skip(outcome->pong, outcome->pong_bytes, HANDSHAKE_PONG_MAX, &skip) == 1 &&
                   skip.at == outcome->pong_bytes,
               "a PONG is one whole value");
    fuzz_check((outcome->reason[0] == '\0') == (result == HANDSHAKE_WELCOME), "a reason");
}

static void run(const struct access *access, const uint8_t *p, size_t n)
{
    struct handshake_terms terms = {
        .auth = access_asks_user(access) ? slice_of(auth, sizeof(auth)) : slice_of(NULL, 0),
        .access = access,
        .address_text = "192.0.2.1",
        .server_host = SLICE_LITERAL("aggregator-a.example"),
    };
    struct handshake_outcome whole, part;
    enum handshake_result result, cut;
    size_t half = n / 2;

    memcpy(terms.nonce, nonce, sizeof(nonce));
    fuzz_check(network_parse(slice_string(terms.address_text), &terms.address) == 0, "an address");
    result = ping(&terms, p, n, &whole);
    check_pong(&whole, result);
    cut = ping(&terms, p, half, &part);
    check_pong(&part, cut);
    fuzz_check(cut == HANDSHAKE_MORE || cut == result, "the same answer however it is cut");
    if (result != HANDSHAKE_WELCOME)
        return;
    fuzz_check(whole.bytes > 0 && whole.bytes <= n, "the PING lies within the bytes");
    fuzz_check(ping(&terms, p, whole.bytes, &part) == HANDSHAKE_WELCOME &&
                   part.bytes == whole.bytes,
               "a PING needs nothing behind it");
    fuzz_check(ping(&terms, p, whole.bytes - 1, &part) == HANDSHAKE_MORE,
               "a PING needs all of its bytes");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct access *plain, *with_users;

    if (plain == NULL) {
        plain = access_of("");
        with_users = access_of("name=flb-agent\npassword=pa55-A\n\n");
    }
    run(plain, p, n);
    run(with_users, p, n);
    return 0;
}
