/*
 * Handshake: the protocol reference's test vectors, PINGs of real clients recorded with a known
 * nonce, what is refused and in which order, and PINGs in pieces.
 */
#include "receiver/handshake.h"

#include <openssl/crypto.h>

#include "tests/unit/receiver/access_of.h"

/* What the captures were recorded with. */
static const uint8_t recorded_nonce[HANDSHAKE_NONCE_BYTES] = {
    0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18, 0x29, 0x3a, 0x4b, 0x5c, 0x6d, 0x7e, 0x8f, 0x90};

static const uint8_t recorded_auth[HANDSHAKE_AUTH_BYTES] = {
    0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0};

#define RECORDED_KEY "s3cret-key-A"
#define RECORDED_USER "name=flb-agent\npassword=pa55-A\n\n"

/* As the recorder was configured, but with these tables. Freed with drop(). */
static struct handshake_terms terms_with(const struct access_texts *texts)
{
    struct handshake_terms terms = {
        .access = access_of(texts),
        .address_text = "10.1.2.3",
        .server_host = SLICE_LITERAL("aggregator-a.example"),
    };

    if (texts->users)
        terms.auth = slice_of(recorded_auth, sizeof(recorded_auth));
    memcpy(terms.nonce, recorded_nonce, sizeof(terms.nonce));
    assert_int_equal(network_parse(slice_string(terms.address_text), &terms.address), 0);
    return terms;
}

static struct handshake_terms recorded_terms(bool asks_user)
{
    return terms_with(&(struct access_texts){.shared_key = RECORDED_KEY,
                                             .users = asks_user ? RECORDED_USER : NULL});
}

static void drop(struct handshake_terms *terms)
{
    struct access *access = (struct access *)(uintptr_t)terms->access;

    access_free(&access);
    terms->access = NULL;
}

/* A stream of tests/e2e/captures. Freed by the caller. */
static uint8_t *capture(const char *name, size_t *ret_n)
{
    char path[128];

    snprintf(path, sizeof(path), "../../../e2e/captures/%s", name);
    return fixture_read(path, ret_n);
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
    for (unsigned i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)(16 + i);
    handshake_digest(slice_of(nonce, 16), SLICE_LITERAL("alice"), SLICE_LITERAL("wonder"),
                     slice_of(NULL, 0), hex);
    assert_memory_equal(hex,
                        "28e426ad86ca78c8b421ca6d56454afb514c419e9d27042e1babc9220cfb3bd8"
                        "bad8ad8e63b63237086a4cb77f864ab06adb150f9c50cd5003b2f3b97048fe25",
                        128);
}

static void helo(void **state)
{
    uint8_t got[HANDSHAKE_HELO_MAX];

    (void)state;
    assert_int_equal(handshake_helo(recorded_nonce, slice_of(NULL, 0), got), 49);
    assert_memory_equal(got, "\x92\xa4HELO\x83\xa5nonce\xc4\x10", 15);
    assert_memory_equal(got + 15, recorded_nonce, 16);
    assert_memory_equal(got + 31,
                        "\xa4"
                        "auth\xc4\x00\xa9keepalive\xc3",
                        18);
    /* With users, byte for byte what Fluentd sends. */
    assert_int_equal(handshake_helo(recorded_nonce, slice_of(recorded_auth, 16), got), 65);
    assert_memory_equal(got, "\x92\xa4HELO\x83\xa5nonce\xc4\x10", 15);
    assert_memory_equal(got + 31,
                        "\xa4"
                        "auth\xc4\x10",
                        7);
    assert_memory_equal(got + 38, recorded_auth, 16);
    assert_memory_equal(got + 54, "\xa9keepalive\xc3", 11);
}

/* The PONG that the recorder's server would have sent. */
static void expect_pong(const struct handshake_outcome *outcome, struct slice salt)
{
    char digest[HANDSHAKE_DIGEST_BYTES];

    handshake_digest(salt, SLICE_LITERAL("aggregator-a.example"), slice_of(recorded_nonce, 16),
                     SLICE_LITERAL(RECORDED_KEY), digest);
    assert_int_equal(outcome->pong_bytes, 1 + 5 + 1 + 1 + 21 + 2 + 128);
    assert_memory_equal(outcome->pong,
                        "\x95\xa4PONG\xc3\xa0\xb4"
                        "aggregator-a.example\xd9\x80",
                        31);
    assert_memory_equal(outcome->pong + 31, digest, 128);
}

static void expect_refusal(const struct handshake_outcome *outcome, enum handshake_fault fault,
                           const char *reason)
{
    size_t n = strlen(reason), head = n < 32 ? 1 : 2;

    assert_string_equal(outcome->reason, reason);
    assert_int_equal(outcome->fault, fault);
    assert_memory_equal(outcome->pong, "\x95\xa4PONG\xc2", 7);
    assert_int_equal(outcome->pong[7], head == 1 ? 0xa0 | n : 0xd9);
    assert_memory_equal(outcome->pong + 7 + head, reason, n);
    assert_memory_equal(outcome->pong + 7 + head + n, "\xa0\xa0", 2);
    assert_int_equal(outcome->pong_bytes, 9 + head + n);
}

/* The salt is the third string of the PING: behind its name and the host. */
static struct slice salt_of(const uint8_t *p)
{
    size_t host = p[6] == 0xd9 ? 2u + p[7] : 1u + (p[6] & 0x1fu);
    const uint8_t *salt = p + 6 + host;

    return salt[0] == 0xd9 ? slice_of(salt + 2, salt[1]) : slice_of(salt + 1, salt[0] & 0x1f);
}

/* ---- recorded clients ---- */

/* All streams that were recorded with the key; `ping` is where another reader saw it end. */
static const struct recorded {
    const char *name;
    bool user;
    size_t ping;
    const char *host;
} recorded[] = {
    {"flb-sharedkey.bin", false, 303, "machine-a1.example"},
    {"flb-sharedkey-user.bin", true, 312, "machine-a1.example"},
    {"flb-fleet.bin", false, 294, "localhost"},
    {"fd-sharedkey.1.bin", false, 191, "machine-a1.example"},
    {"fd-sharedkey.2.bin", false, 191, "machine-a1.example"},
    {"fd-sharedkey-user.1.bin", true, 329, "machine-a1.example"},
    {"fd-sharedkey-user.2.bin", true, 329, "machine-a1.example"},
    {"fd-heartbeat-sharedkey.1.bin", false, 191, "machine-a1.example"},
    {"fd-heartbeat-sharedkey.2.bin", false, 191, "machine-a1.example"},
    {"fd-heartbeat-sharedkey.3.bin", false, 191, "machine-a1.example"},
    {"fd-heartbeat-sharedkey.4.bin", false, 191, "machine-a1.example"},
    {"fd-heartbeat-sharedkey.5.bin", false, 191, "machine-a1.example"},
    {"fd19-zstd-ack.bin", false, 191, "machine-a1.example"},
    {"node-sharedkey.bin", false, 320, "machine-a1.example"},
    {"node-sharedkey-user-ack.bin", true, 329, "machine-a1.example"},
    {"old-sharedkey.bin", true, 329, "machine-a1.example"},
};

#define RECORDED_COUNT (sizeof(recorded) / sizeof(recorded[0]))

static void expect_more_until(const struct handshake_terms *terms, const uint8_t *p, size_t end)
{
    struct handshake_outcome outcome;

    /* A byte at a time, each time in memory of its own. */
    for (size_t n = 0; n < end; n++) {
        uint8_t *part = malloc(n > 0 ? n : 1);

        assert_non_null(part);
        memcpy(part, p, n);
        assert_int_equal(handshake_ping(terms, part, n, &outcome), HANDSHAKE_MORE);
        free(part);
    }
}

static void recorded_clients_are_welcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORDED_COUNT; i++) {
        const struct recorded *row = &recorded[i];
        struct handshake_terms terms = recorded_terms(row->user);
        struct handshake_outcome outcome;
        size_t n;
        uint8_t *p = capture(row->name, &n);

        expect_more_until(&terms, p, row->ping);
        assert_int_equal(handshake_ping(&terms, p, n, &outcome), HANDSHAKE_WELCOME);
        assert_int_equal(outcome.bytes, row->ping); /* the first message begins behind it */
        assert_true(outcome.bytes == n || p[outcome.bytes] >> 4 == 9);
        assert_true(slice_is(outcome.client_host, row->host));
        expect_pong(&outcome, salt_of(p));
        drop(&terms);
        free(p);
    }
}

/* Another nonce, salt, key or user: none of them gets in. */
static void recorded_clients_get_in_nowhere_else(void **state)
{
    static const struct access_texts other_key = {.shared_key = "s3cret-key-B"};
    static const struct access_texts other_password = {
        .shared_key = RECORDED_KEY, .users = "name=flb-agent\npassword=pa55-B\n\n"};
    static const struct access_texts other_user = {.shared_key = RECORDED_KEY,
                                                   .users = "name=flb-agenu\npassword=pa55-A\n\n"};
    static uint8_t other_auth[HANDSHAKE_AUTH_BYTES] = "0123456789abcde";

    (void)state;
    for (size_t i = 0; i < RECORDED_COUNT; i++) {
        struct handshake_terms terms[] = {recorded_terms(recorded[i].user), terms_with(&other_key),
                                          terms_with(&other_password), terms_with(&other_user),
                                          recorded_terms(true)};
        static const enum handshake_fault faults[] = {HANDSHAKE_FAULT_KEY, HANDSHAKE_FAULT_KEY,
                                                      HANDSHAKE_FAULT_USER, HANDSHAKE_FAULT_USER,
                                                      HANDSHAKE_FAULT_USER};
        struct handshake_outcome outcome;
        size_t n;
        uint8_t *p = capture(recorded[i].name, &n);

        terms[0].nonce[3] ^= 1;
        terms[4].auth = slice_of(other_auth, sizeof(other_auth));
        for (size_t k = 0; k < sizeof(terms) / sizeof(terms[0]); k++) {
            assert_int_equal(handshake_ping(&terms[k], p, n, &outcome), HANDSHAKE_REFUSED);
            expect_refusal(&outcome, faults[k],
                           faults[k] == HANDSHAKE_FAULT_KEY ? "shared_key mismatch"
                                                            : "username/password mismatch");
            drop(&terms[k]);
        }
        free(p);
    }
}

static void a_key_that_the_server_does_not_have(void **state)
{
    static const char *const names[] = {"flb-sharedkey-wrong.1.bin", "flb-sharedkey-wrong.2.bin",
                                        "flb-sharedkey-wrong.3.bin"};
    struct handshake_terms terms = recorded_terms(false);
    struct handshake_outcome outcome;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n;
        uint8_t *p = capture(names[i], &n);

        assert_int_equal(handshake_ping(&terms, p, n, &outcome), HANDSHAKE_REFUSED);
        expect_refusal(&outcome, HANDSHAKE_FAULT_KEY, "shared_key mismatch");
        free(p);
    }
    drop(&terms);
}

static void hostile(const char *name, enum handshake_result want, enum handshake_fault fault,
                    const char *reason)
{
    struct handshake_terms terms = recorded_terms(false);
    struct handshake_outcome outcome;
    char path[96];
    uint8_t *p;
    size_t n;

    snprintf(path, sizeof(path), "malformed/%s.bin", name);
    p = capture(path, &n);
    assert_int_equal(handshake_ping(&terms, p, n, &outcome), want);
    if (want == HANDSHAKE_REFUSED)
        expect_refusal(&outcome, fault, reason);
    else
        assert_int_equal(outcome.pong_bytes, 0);
    free(p);
    drop(&terms);
}

static void malformed_streams(void **state)
{
    (void)state;
    hostile("ping-wrong-digest", HANDSHAKE_REFUSED, HANDSHAKE_FAULT_KEY, "shared_key mismatch");
    hostile("ping-short", HANDSHAKE_REFUSED, HANDSHAKE_FAULT_FORM, "invalid ping message");
    hostile("ping-extra", HANDSHAKE_REFUSED, HANDSHAKE_FAULT_FORM, "invalid ping message");
    hostile("data-before-ping", HANDSHAKE_REFUSED, HANDSHAKE_FAULT_FORM, "invalid ping message");
    hostile("http-request", HANDSHAKE_BROKEN, HANDSHAKE_FAULT_FORM, NULL);
    hostile("tls-clienthello", HANDSHAKE_BROKEN, HANDSHAKE_FAULT_FORM, NULL);
}

static void limits(void **state)
{
    struct handshake_terms terms = recorded_terms(false);
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
    drop(&terms);
}

/* ---- made clients: who comes from where, with what ---- */

struct ping {
    uint8_t bytes[1024];
    size_t n;
};

static void add(struct ping *ping, struct slice text, bool as_bin)
{
    uint8_t *p = ping->bytes + ping->n;

    *p++ = as_bin ? 0xc4 : 0xd9;
    *p++ = (uint8_t)text.n;
    memcpy(p, text.p, text.n);
    ping->n += 2 + text.n;
}

static struct ping make_ping(const char *key, const char *user, const char *password, bool as_bin)
{
    struct slice salt = SLICE_LITERAL("\xff\x00\x80 16 raw bytes.");
    struct slice host = SLICE_LITERAL("h\xc3\xb6st");
    struct ping ping = {.bytes = {0x96}, .n = 1};
    char digest[HANDSHAKE_DIGEST_BYTES];

    add(&ping, SLICE_LITERAL("PING"), as_bin);
    add(&ping, host, as_bin);
    add(&ping, salt, as_bin);
    assert_true(
        handshake_digest(salt, host, slice_of(recorded_nonce, 16), slice_string(key), digest));
    add(&ping, slice_of(digest, sizeof(digest)), as_bin);
    add(&ping, slice_string(user), as_bin);
    assert_true(handshake_digest(slice_of(recorded_auth, 16), slice_string(user),
                                 slice_string(password), slice_of(NULL, 0), digest));
    add(&ping, slice_of(digest, sizeof(digest)), as_bin);
    return ping;
}

static enum handshake_result come(struct handshake_terms *terms, const char *from,
                                  const struct ping *ping, struct handshake_outcome *outcome)
{
    terms->address_text = from;
    assert_int_equal(network_parse(slice_string(from), &terms->address), 0);
    return handshake_ping(terms, ping->bytes, ping->n, outcome);
}

static const struct access_texts many = {
    .shared_key = "common",
    .clients = "network=10.0.0.0/8\nshared_key=ten\nusers=alice\n\n"
               "network=10.1.0.0/16\n\n"
               "host=10.1.2.3\nshared_key=three\nusers=bob\n\n",
    .users = "name=alice\npassword=wonder\n\nname=bob\npassword=builder\n\n",
};

static void a_client_has_the_key_of_its_place(void **state)
{
    static const struct {
        const char *from, *key;
    } rows[] = {{"10.200.0.1", "ten"},
                {"10.1.9.9", "common"},
                {"10.1.2.3", "three"},
                {"192.0.2.1", "common"},
                {"2001:db8::1", "common"}};
    struct access_texts texts = many;
    struct handshake_terms terms;
    struct handshake_outcome outcome;

    (void)state;
    texts.clients = "network=10.0.0.0/8\nshared_key=ten\n\nnetwork=10.1.0.0/16\n\n"
                    "host=10.1.2.3\nshared_key=three\n\n";
    terms = terms_with(&texts);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
            struct ping ping = make_ping(rows[k].key, "alice", "wonder", k % 2);
            bool same = strcmp(rows[i].key, rows[k].key) == 0;

            assert_int_equal(come(&terms, rows[i].from, &ping, &outcome),
                             same ? HANDSHAKE_WELCOME : HANDSHAKE_REFUSED);
            if (!same)
                expect_refusal(&outcome, HANDSHAKE_FAULT_KEY, "shared_key mismatch");
        }
    }
    drop(&terms);
}

static void users_come_from_where_they_may(void **state)
{
    static const struct {
        const char *from, *key, *user, *password;
        bool welcome;
    } rows[] = {
        {"10.200.0.1", "ten", "alice", "wonder", true},
        {"10.200.0.1", "ten", "bob", "builder", false},
        {"10.1.2.3", "three", "bob", "builder", true},
        {"10.1.2.3", "three", "alice", "wonder", false},
        {"10.1.9.9", "common", "alice", "wonder", true},
        {"10.1.9.9", "common", "bob", "builder", true},
        {"192.0.2.1", "common", "bob", "builder", true},
        {"192.0.2.1", "common", "bob", "wonder", false},
        {"192.0.2.1", "common", "alice", "", false},
        {"192.0.2.1", "common", "", "", false},
        {"192.0.2.1", "common", "carol", "wonder", false},
        {"192.0.2.1", "common", "carol", "", false},
        {"192.0.2.1", "common", "alice ", "wonder", false},
        {"192.0.2.1", "common", "alic", "ewonder", false},
    };
    struct handshake_terms terms = terms_with(&many);
    struct handshake_outcome outcome;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ping ping = make_ping(rows[i].key, rows[i].user, rows[i].password, i % 2);
        enum handshake_result got = come(&terms, rows[i].from, &ping, &outcome);

        if (got != (rows[i].welcome ? HANDSHAKE_WELCOME : HANDSHAKE_REFUSED))
            fail_msg("row %zu: %d", i, (int)got);
        if (!rows[i].welcome)
            expect_refusal(&outcome, HANDSHAKE_FAULT_USER, "username/password mismatch");
    }
    drop(&terms);
}

/* A digest without a fresh salt could be an old one. */
static void no_user_gets_in_without_auth(void **state)
{
    struct handshake_terms terms = terms_with(&many);
    struct handshake_outcome outcome;
    struct ping ping = make_ping("common", "", "", false);
    char digest[HANDSHAKE_DIGEST_BYTES];

    (void)state;
    terms.auth = slice_of(NULL, 0);
    ping.n -= 2 + 2 + HANDSHAKE_DIGEST_BYTES;
    add(&ping, SLICE_LITERAL("alice"), false);
    handshake_digest(slice_of(NULL, 0), SLICE_LITERAL("alice"), SLICE_LITERAL("wonder"),
                     slice_of(NULL, 0), digest);
    add(&ping, slice_of(digest, sizeof(digest)), false);
    assert_int_equal(come(&terms, "192.0.2.1", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_USER, "username/password mismatch");
    drop(&terms);
}

/* A client without a user may say nil in its place: that is a wrong user, not a wrong PING. */
static void nil_is_no_user(void **state)
{
    struct handshake_terms terms = terms_with(&many);
    struct handshake_outcome outcome;
    struct ping ping = make_ping("common", "", "", false);

    (void)state;
    ping.n -= 2 + 2 + HANDSHAKE_DIGEST_BYTES;
    ping.bytes[ping.n++] = 0xc0;
    ping.bytes[ping.n++] = 0xc0;
    assert_int_equal(come(&terms, "192.0.2.1", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_USER, "username/password mismatch");
    ping.bytes[1] = 0xc0; /* elsewhere it is no PING */
    assert_int_equal(come(&terms, "192.0.2.1", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_FORM, "invalid ping message");
    drop(&terms);
}

/* Form, then source, then key, then user: the first that is wrong is told. */
static void the_order_of_checks(void **state)
{
    struct access_texts texts = many;
    struct handshake_terms terms;
    struct handshake_outcome outcome;
    struct ping ping = make_ping("wrong", "nobody", "", false);

    (void)state;
    texts.deny_unknown = true;
    terms = terms_with(&texts);
    assert_int_equal(come(&terms, "192.0.2.1", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_SOURCE, "anonymous source host '192.0.2.1' denied");
    assert_int_equal(come(&terms, "2001:db8:1111:2222:3333:4444:5555:6666", &ping, &outcome),
                     HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_SOURCE,
                   "anonymous source host '2001:db8:1111:2222:3333:4444:5555:6666' denied");
    assert_int_equal(come(&terms, "10.1.9.9", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_KEY, "shared_key mismatch");
    ping = make_ping("common", "nobody", "", false);
    assert_int_equal(come(&terms, "10.1.9.9", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_USER, "username/password mismatch");
    ping.bytes[0] = 0x95; /* five strings are no PING, from wherever */
    assert_int_equal(come(&terms, "192.0.2.1", &ping, &outcome), HANDSHAKE_REFUSED);
    expect_refusal(&outcome, HANDSHAKE_FAULT_FORM, "invalid ping message");
    drop(&terms);
}

/* Where users are not asked for, what stands in their place does not matter. */
static void users_are_not_looked_at_unasked(void **state)
{
    struct access_texts texts = {.shared_key = "common"};
    struct handshake_terms terms = terms_with(&texts);
    struct handshake_outcome outcome;
    struct ping ping = make_ping("common", "nobody", "nothing", true);

    (void)state;
    assert_int_equal(come(&terms, "192.0.2.1", &ping, &outcome), HANDSHAKE_WELCOME);
    assert_int_equal(outcome.bytes, ping.n);
    drop(&terms);
}

static bool starved;
static unsigned spared; /* allocations that a starved library still gets */

static bool is_starved(void)
{
    if (!starved || spared == 0)
        return starved;
    spared--;
    return false;
}

static void *starved_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_starved() ? NULL : malloc(n);
}

static void *starved_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_starved() ? NULL : realloc(p, n);
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
    struct handshake_terms terms = recorded_terms(false);
    struct handshake_outcome outcome;
    uint8_t ping[256] = "\x96\xa4PING\xa1h\xa1s\xd9\x80";

    (void)state;
    memset(ping + 12, '!', HANDSHAKE_DIGEST_BYTES);
    memcpy(ping + 12 + HANDSHAKE_DIGEST_BYTES, "\xa0\xa0", 2);
    starved = true;
    assert_int_equal(handshake_ping(&terms, ping, 14 + HANDSHAKE_DIGEST_BYTES, &outcome),
                     HANDSHAKE_REFUSED);
    starved = false;
    drop(&terms);
}

/* Neither is a password: the key's digest is made, the next one is not. */
static void no_memory_lets_no_user_in(void **state)
{
    struct handshake_terms terms = terms_with(&many);
    struct handshake_outcome outcome;
    struct ping ping = make_ping("common", "alice", "wonder", false);
    unsigned refused = 0;

    (void)state;
    for (unsigned allowed = 0; allowed < 64; allowed++) {
        starved = true;
        spared = allowed;
        if (come(&terms, "192.0.2.1", &ping, &outcome) == HANDSHAKE_WELCOME)
            break;
        assert_int_equal(outcome.fault, HANDSHAKE_FAULT_NO_DIGEST);
        refused++;
    }
    starved = false;
    spared = 0;
    assert_in_range(refused, 3, 63);
    drop(&terms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(helo),
        cmocka_unit_test(recorded_clients_are_welcome),
        cmocka_unit_test(recorded_clients_get_in_nowhere_else),
        cmocka_unit_test(a_key_that_the_server_does_not_have),
        cmocka_unit_test(malformed_streams),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_client_has_the_key_of_its_place),
        cmocka_unit_test(users_come_from_where_they_may),
        cmocka_unit_test(no_user_gets_in_without_auth),
        cmocka_unit_test(nil_is_no_user),
        cmocka_unit_test(the_order_of_checks),
        cmocka_unit_test(users_are_not_looked_at_unasked),
        cmocka_unit_test(no_memory_lets_nobody_in),
        cmocka_unit_test(no_memory_lets_no_user_in),
    };

    if (CRYPTO_set_mem_functions(starved_malloc, starved_realloc, plain_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
