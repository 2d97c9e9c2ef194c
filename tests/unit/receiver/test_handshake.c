/*
 * Handshake: the protocol reference's test vectors, PINGs of real clients recorded with a known
 * nonce, refusals, and PINGs in pieces.
 */
#include "receiver/handshake.h"

#include <openssl/crypto.h>

#include "tests/unit/receiver/fixture.h"

/* What the captures were recorded with. */
static const uint8_t recorded_nonce[HANDSHAKE_NONCE_BYTES] = {
    0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18, 0x29, 0x3a, 0x4b, 0x5c, 0x6d, 0x7e, 0x8f, 0x90};

static struct handshake_terms recorded_terms(void)
{
    struct handshake_terms terms = {.shared_key = SLICE_LITERAL("s3cret-key-A"),
                                    .server_host = SLICE_LITERAL("aggregator-a.example")};

    memcpy(terms.nonce, recorded_nonce, sizeof(terms.nonce));
    return terms;
}

static void vectors(void **state)
{
    struct slice salt = SLICE_LITERAL("00112233445566778899aabbccddeeff");
    struct slice key = SLICE_LITERAL("sekret");
    uint8_t nonce[16];
    char hex[HANDSHAKE_DIGEST_BYTES];

    (void)state;
    for (unsigned i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)i;
    handshake_digest(salt, SLICE_LITERAL("cli"), slice_of(nonce, 16), key, hex);
    assert_memory_equal(hex,
                        "b648b0b98d6e292ab529a16d5244c29c0a1b1b4766cccdc6f6c522a637cf7ab5"
                        "bfd3d3bd6148c0b21cea864a500814c6268834e1d74e58d5c8f0b09d205c2e6d",
                        128);
    handshake_digest(salt, SLICE_LITERAL("agg"), slice_of(nonce, 16), key, hex);
    assert_memory_equal(hex,
                        "54bff11c28d03fb75e17ad3dc1b38c427bb01891237964e99a0345a1a586629d"
                        "c1ebaa2a56ad234e137761ae52986a76ed48985d61d9931b74c340ef0e4cd4f4",
                        128);
}

static void helo(void **state)
{
    uint8_t got[HANDSHAKE_HELO_BYTES];

    (void)state;
    handshake_helo(recorded_nonce, got);
    assert_memory_equal(got, "\x92\xa4HELO\x83\xa5nonce\xc4\x10", 15);
    assert_memory_equal(got + 15, recorded_nonce, 16);
    assert_memory_equal(got + 31,
                        "\xa4"
                        "auth\xc4\x00\xa9keepalive\xc3",
                        18);
}

/* The PONG that the recorder's server would have sent. */
static void expect_pong(const struct handshake_outcome *outcome, struct slice salt)
{
    struct handshake_terms terms = recorded_terms();
    char digest[HANDSHAKE_DIGEST_BYTES];

    handshake_digest(salt, terms.server_host, slice_of(recorded_nonce, 16), terms.shared_key,
                     digest);
    assert_int_equal(outcome->pong_bytes, 1 + 5 + 1 + 1 + 21 + 2 + 128);
    assert_memory_equal(outcome->pong,
                        "\x95\xa4PONG\xc3\xa0\xb4"
                        "aggregator-a.example\xd9\x80",
                        31);
    assert_memory_equal(outcome->pong + 31, digest, 128);
}

/* The salt is the third string of the PING: behind its name and the host. */
static struct slice salt_of(const uint8_t *p)
{
    size_t host = p[6] == 0xd9 ? 2u + p[7] : 1u + (p[6] & 0x1fu);
    const uint8_t *salt = p + 6 + host;

    return salt[0] == 0xd9 ? slice_of(salt + 2, salt[1]) : slice_of(salt + 1, salt[0] & 0x1f);
}

static void try_recorded(const struct fixture *fixture, void *argument)
{
    struct handshake_terms terms = recorded_terms();
    struct handshake_outcome outcome;
    unsigned *pings = argument;

    if (fixture->count == 0 || !fixture->messages[0].ping)
        return;
    ++*pings;
    /* A byte at a time, each time in memory of its own. */
    for (size_t n = 0; n < fixture->messages[0].end; n++) {
        uint8_t *part = malloc(n > 0 ? n : 1);

        assert_non_null(part);
        memcpy(part, fixture->bytes, n);
        assert_int_equal(handshake_ping(&terms, part, n, &outcome), HANDSHAKE_MORE);
        free(part);
    }
    assert_int_equal(handshake_ping(&terms, fixture->bytes, fixture->n, &outcome),
                     HANDSHAKE_WELCOME);
    assert_int_equal(outcome.bytes, fixture->messages[0].end); /* what follows stays */
    assert_true(outcome.client_host.n > 0);
    expect_pong(&outcome, salt_of(fixture->bytes));
    /* Another nonce, another key. */
    terms.nonce[3] ^= 1;
    assert_int_equal(handshake_ping(&terms, fixture->bytes, fixture->n, &outcome),
                     HANDSHAKE_REFUSED);
    terms = recorded_terms();
    terms.shared_key = SLICE_LITERAL("s3cret-key-B");
    assert_int_equal(handshake_ping(&terms, fixture->bytes, fixture->n, &outcome),
                     HANDSHAKE_REFUSED);
    assert_string_equal(outcome.reason, "shared_key mismatch");
}

static void recorded_clients(void **state)
{
    unsigned pings = 0;

    (void)state;
    fixture_each(try_recorded, &pings);
    assert_int_equal(pings, 7);
}

static void hostile(const char *name, enum handshake_result want, const char *reason)
{
    struct handshake_terms terms = recorded_terms();
    struct handshake_outcome outcome;
    char path[96];
    uint8_t *p;
    size_t n;

    snprintf(path, sizeof(path), "malformed/%s.bin", name);
    p = fixture_read(path, &n);
    assert_int_equal(handshake_ping(&terms, p, n, &outcome), want);
    if (reason) {
        size_t length = strlen(reason);

        assert_string_equal(outcome.reason, reason);
        assert_memory_equal(outcome.pong, "\x95\xa4PONG\xc2", 7);
        assert_int_equal(outcome.pong[7], 0xa0 | length);
        assert_memory_equal(outcome.pong + 8, reason, length);
        assert_memory_equal(outcome.pong + 8 + length, "\xa0\xa0", 2);
        assert_int_equal(outcome.pong_bytes, 10 + length);
    }
    free(p);
}

static void refusals(void **state)
{
    (void)state;
    hostile("ping-wrong-digest", HANDSHAKE_REFUSED, "shared_key mismatch");
    hostile("ping-short", HANDSHAKE_REFUSED, "invalid ping message");
    hostile("ping-extra", HANDSHAKE_REFUSED, "invalid ping message");
    hostile("data-before-ping", HANDSHAKE_REFUSED, "invalid ping message");
    hostile("http-request", HANDSHAKE_BROKEN, NULL);
    hostile("tls-clienthello", HANDSHAKE_BROKEN, NULL);
}

static void limits(void **state)
{
    struct handshake_terms terms = recorded_terms();
    struct handshake_outcome outcome;
    uint8_t bytes[HANDSHAKE_PING_MAX + 1] = "\x96\xa4PING\xda\x7f\xff";

    (void)state;
    /* A host name of 32 KB is refused from its header alone. */
    assert_int_equal(handshake_ping(&terms, bytes, 9, &outcome), HANDSHAKE_REFUSED);
    /* So is an array that never ends. */
    memset(bytes, 0x91, sizeof(bytes));
    assert_int_equal(handshake_ping(&terms, bytes, sizeof(bytes), &outcome), HANDSHAKE_REFUSED);
    assert_int_equal(handshake_ping(&terms, (const uint8_t *)"\xc0", 1, &outcome),
                     HANDSHAKE_BROKEN);
    assert_int_equal(handshake_ping(&terms, (const uint8_t *)"\xc1", 1, &outcome),
                     HANDSHAKE_BROKEN);
    assert_int_equal(handshake_ping(&terms, (const uint8_t *)"\x90", 1, &outcome),
                     HANDSHAKE_REFUSED);
}

static bool starved;

static void *starved_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return starved ? NULL : malloc(n);
}

static void *starved_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return starved ? NULL : realloc(p, n);
}

static void plain_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* Where no digest can be made none is right, whatever stands in its place. */
static void no_memory_lets_nobody_in(void **state)
{
    struct handshake_terms terms = recorded_terms();
    struct handshake_outcome outcome;
    uint8_t ping[256] = "\x96\xa4PING\xa1h\xa1s\xd9\x80";

    (void)state;
    memset(ping + 12, '!', HANDSHAKE_DIGEST_BYTES);
    memcpy(ping + 12 + HANDSHAKE_DIGEST_BYTES, "\xa0\xa0", 2);
    starved = true;
    assert_int_equal(handshake_ping(&terms, ping, 14 + HANDSHAKE_DIGEST_BYTES, &outcome),
                     HANDSHAKE_REFUSED);
    starved = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),          cmocka_unit_test(helo),
        cmocka_unit_test(recorded_clients), cmocka_unit_test(refusals),
        cmocka_unit_test(limits),           cmocka_unit_test(no_memory_lets_nobody_in),
    };

    if (CRYPTO_set_mem_functions(starved_malloc, starved_realloc, plain_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
