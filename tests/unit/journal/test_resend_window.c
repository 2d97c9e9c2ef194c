/* resend_window: each rule that tells a chunk sent again from one that looks the same. */
#include "shared/journal/resend_window.h"

#include "shared/base/clock.h"
#include "tests/sim/sim_disk.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#define KEYS 16u
#define TIME_NS (600 * NS_PER_S)
#define NOW_NS 1700000000000000000ull

static const uint8_t A[16] = {1, 1}, B[16] = {2, 2};

static struct resend_window *make(uint32_t keys)
{
    struct resend_window *window;

    assert_int_equal(resend_window_new(keys, TIME_NS, &window, NULL), 0);
    return window;
}

/* As the lane does for each entry. */
static int chunk_of(struct resend_window *w, const uint8_t key[16], struct resend_origin origin)
{
    assert_int_equal(resend_window_hear(w, &origin), 0);
    return resend_window_check(w, key, &origin, NOW_NS);
}

static int chunk(struct resend_window *w, const uint8_t key[16], uint64_t connection,
                 uint64_t serial, uint64_t confirmed)
{
    return chunk_of(w, key, (struct resend_origin){0, 1, connection, serial, confirmed});
}

static void end(struct resend_window *w, uint64_t connection, uint64_t confirmed)
{
    struct resend_origin origin = {0, 1, connection, 0, confirmed};

    assert_int_equal(resend_window_hear(w, &origin), 0);
    assert_int_equal(resend_window_ended(w, &origin), 0);
}

struct sealed {
    struct segment_key keys[256];
    struct segment_confirmation confirmations[256];
    unsigned key_count, confirmation_count;
};

static int take_key(void *context, const struct segment_key *key)
{
    struct sealed *sealed = context;

    assert_true(sealed->key_count < 256);
    sealed->keys[sealed->key_count++] = *key;
    return 0;
}

static int take_confirmation(void *context, const struct segment_confirmation *confirmation)
{
    struct sealed *sealed = context;

    assert_true(sealed->confirmation_count < 256);
    sealed->confirmations[sealed->confirmation_count++] = *confirmation;
    return 0;
}

static void seal(struct resend_window *w, struct sealed *ret)
{
    *ret = (struct sealed){0};
    assert_int_equal(resend_window_seal(w, take_key, take_confirmation, ret), 0);
    assert_false(resend_window_dirty(w));
}

/* As recovery does for each batch. */
static void load(struct resend_window *w, const struct sealed *sealed, bool cold)
{
    assert_int_equal(
        resend_window_load_confirmations(
            w, slice_of(sealed->confirmations,
                        sealed->confirmation_count * sizeof(struct segment_confirmation))),
        0);
    assert_int_equal(
        resend_window_load(
            w, slice_of(sealed->keys, sealed->key_count * sizeof(struct segment_key)), cold),
        0);
}

/* ---- the rules ---- */

static void test_two_on_one_connection_are_two(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 1, 2, 0), RESEND_NEW);
    resend_window_free(&w);
}

static void test_two_on_open_connections_are_two(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 2, 1, 0), RESEND_NEW);
    resend_window_free(&w);
}

static void test_same_serial_is_the_same_chunk(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_AGAIN);
    assert_int_equal(resend_window_count(w), 1);
    resend_window_free(&w);
}

static void test_resend_after_the_end(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    end(w, 1, 0);
    assert_int_equal(chunk(w, B, 2, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 2, 2, 0), RESEND_AGAIN);
    /* It is consumed: an equal one on the new connection is new; after its end it is not. */
    assert_int_equal(chunk(w, A, 3, 1, 0), RESEND_NEW);
    end(w, 2, 0);
    assert_int_equal(chunk(w, A, 4, 1, 0), RESEND_AGAIN);
    resend_window_free(&w);
}

static void test_confirmed_is_no_original(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, B, 1, 2, 1), RESEND_NEW); /* serial 1 is confirmed now */
    end(w, 1, 1);
    assert_int_equal(chunk(w, A, 2, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, B, 2, 2, 0), RESEND_AGAIN);
    resend_window_free(&w);
}

static void test_end_confirms(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 1, 2, 0), RESEND_NEW);
    end(w, 1, 1);
    assert_int_equal(chunk(w, A, 2, 1, 0), RESEND_AGAIN); /* of the second */
    assert_int_equal(chunk(w, A, 2, 2, 0), RESEND_NEW);
    resend_window_free(&w);
}

static void test_receiver_dies(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk_of(w, A, (struct resend_origin){0, 1, 1, 1, 0}), RESEND_NEW);
    /* Another receiver's start says nothing of the first one. */
    assert_int_equal(chunk_of(w, A, (struct resend_origin){1, 2, 1, 1, 0}), RESEND_NEW);
    assert_int_equal(chunk_of(w, B, (struct resend_origin){0, 3, 1, 1, 0}), RESEND_NEW);
    assert_int_equal(chunk_of(w, A, (struct resend_origin){0, 3, 1, 2, 0}), RESEND_AGAIN);
    assert_int_equal(chunk_of(w, A, (struct resend_origin){0, 3, 2, 1, 0}), RESEND_NEW);
    resend_window_free(&w);
}

/* Two equal chunks on one connection, and then both once more on another. */
static void test_two_equal_and_both_resent(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 1, 2, 0), RESEND_NEW);
    end(w, 1, 0);
    assert_int_equal(chunk(w, A, 2, 1, 0), RESEND_AGAIN);
    assert_int_equal(chunk(w, A, 2, 2, 0), RESEND_AGAIN);
    assert_int_equal(chunk(w, A, 2, 3, 0), RESEND_NEW);
    resend_window_free(&w);
}

/* One chunk over and over, as a hostile client sends it: judged by the newest ones, never dropped
 * in doubt, and its keys leave the window from the oldest end as all others. */
static void test_very_many_equal(void **state)
{
    struct resend_window *w = make(5000);
    unsigned again = 0;

    (void)state;
    for (uint64_t i = 1; i <= 20000; i++)
        assert_int_equal(chunk(w, A, 1, i, 0), RESEND_NEW);
    assert_int_equal(resend_window_count(w), 5000);
    end(w, 1, 0);
    for (uint64_t i = 1; i <= 1000; i++)
        again += chunk(w, A, 2, i, 0) == RESEND_AGAIN;
    assert_in_range(again, 1, 1000);
    assert_int_equal(chunk(w, B, 3, 1, 0), RESEND_NEW);
    end(w, 3, 0);
    assert_int_equal(chunk(w, B, 4, 1, 0), RESEND_AGAIN);
    resend_window_free(&w);
}

static void test_eviction(void **state)
{
    struct resend_window *w = make(KEYS);
    uint8_t key[16] = {0};

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    end(w, 1, 0);
    for (unsigned i = 0; i < KEYS; i++) {
        key[3] = (uint8_t)(i + 1);
        assert_int_equal(chunk(w, key, 2, i + 1, 0), RESEND_NEW);
    }
    assert_int_equal(resend_window_count(w), KEYS);
    assert_int_equal(chunk(w, A, 3, 1, 0), RESEND_NEW);
    resend_window_free(&w);
}

/* The window is full and the original is the one that must make room. */
static void test_resend_of_the_oldest_in_a_full_window(void **state)
{
    struct resend_window *w = make(KEYS);
    uint8_t key[16] = {0};

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    for (unsigned i = 1; i < KEYS; i++) {
        key[3] = (uint8_t)i;
        assert_int_equal(chunk(w, key, 2, i, 0), RESEND_NEW);
    }
    end(w, 1, 0);
    assert_int_equal(chunk(w, A, 3, 1, 0), RESEND_AGAIN);
    end(w, 3, 0);
    assert_int_equal(chunk(w, A, 4, 1, 0), RESEND_AGAIN);
    assert_int_equal(resend_window_count(w), KEYS);
    resend_window_free(&w);
}

static void test_expiry(void **state)
{
    struct resend_window *w = make(KEYS);
    struct resend_origin origin = {0, 1, 2, 1, 0};

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, B, 1, 2, 0), RESEND_NEW);
    end(w, 1, 0);
    assert_int_equal(resend_window_check(w, A, &origin, NOW_NS + TIME_NS - 1), RESEND_AGAIN);
    origin.serial = 2;
    assert_int_equal(resend_window_check(w, B, &origin, NOW_NS + TIME_NS), RESEND_NEW);
    /* A clock that jumps back forgets nothing and crashes nothing. */
    origin.serial = 3;
    assert_int_equal(resend_window_check(w, B, &origin, 0), RESEND_NEW);
    resend_window_free(&w);
}

static void test_forget_last(void **state)
{
    struct resend_window *w = make(KEYS);

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    resend_window_forget_last(w);
    assert_int_equal(resend_window_count(w), 0);
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    end(w, 1, 0);
    assert_int_equal(chunk(w, A, 2, 1, 0), RESEND_AGAIN);
    resend_window_forget_last(w); /* the original is one again */
    assert_int_equal(chunk(w, A, 3, 1, 0), RESEND_AGAIN);
    resend_window_free(&w);
}

static void test_sealed_is_never_taken_back(void **state)
{
    struct resend_window *w = make(KEYS);
    struct sealed sealed;

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    seal(w, &sealed);
    resend_window_forget_last(w);
    assert_int_equal(resend_window_count(w), 1);
    resend_window_free(&w);
}

/* ---- the journal's side ---- */

static void test_seal_and_load(void **state)
{
    for (int cold = 0; cold < 2; cold++) {
        struct resend_window *w = make(KEYS), *next = make(KEYS);
        struct sealed first, second;

        (void)state;
        assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
        assert_int_equal(chunk(w, B, 1, 2, 1), RESEND_NEW);
        assert_true(resend_window_dirty(w));
        seal(w, &first);
        assert_int_equal(first.key_count, 2);
        assert_memory_equal(first.keys[0].key, A, 16);
        assert_int_equal(first.keys[0].flags, SEGMENT_KEY_CONFIRMED);
        assert_int_equal(first.keys[1].flags, 0);
        assert_int_equal(first.keys[1].serial, 2);
        resend_window_durable(w);
        load(next, &first, cold);
        assert_int_equal(resend_window_count(next), 2);
        /* Open as far as a warm successor knows; gone for a cold one. */
        assert_int_equal(chunk(next, B, 2, 1, 0), cold ? RESEND_AGAIN : RESEND_NEW);
        assert_int_equal(chunk(next, A, 2, 2, 0), RESEND_NEW); /* confirmed */
        resend_window_free(&next);

        next = make(KEYS);
        end(w, 1, 1);
        assert_true(resend_window_dirty(w));
        seal(w, &second);
        assert_int_equal(second.key_count, 0);
        assert_int_equal(second.confirmation_count, 1);
        assert_int_equal(second.confirmations[0].ended, 1);
        load(next, &first, cold);
        load(next, &second, cold);
        assert_int_equal(chunk(next, B, 2, 1, 0), RESEND_AGAIN);
        resend_window_free(&next);
        resend_window_free(&w);
    }
}

/* A resend in the journal takes the place of its original there too. */
static void test_resent_flag(void **state)
{
    struct resend_window *w = make(KEYS), *next = make(KEYS);
    struct sealed first, second;

    (void)state;
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    assert_int_equal(chunk(w, A, 1, 2, 0), RESEND_NEW);
    seal(w, &first);
    resend_window_durable(w);
    end(w, 1, 0);
    assert_int_equal(chunk(w, A, 2, 1, 0), RESEND_AGAIN);
    seal(w, &second);
    assert_int_equal(second.key_count, 1);
    assert_int_equal(second.keys[0].flags, SEGMENT_KEY_RESENT);
    load(next, &first, false);
    load(next, &second, false);
    assert_int_equal(chunk(next, A, 2, 2, 0), RESEND_AGAIN); /* of the other one */
    assert_int_equal(chunk(next, A, 2, 3, 0), RESEND_NEW);
    resend_window_free(&next);
    resend_window_free(&w);
}

/* The same where the original's end was known by its receiver's death only, which nobody wrote. */
static void test_resent_flag_without_the_end(void **state)
{
    struct resend_window *w = make(KEYS), *next = make(KEYS);
    struct sealed first, second;

    (void)state;
    assert_int_equal(chunk_of(w, A, (struct resend_origin){0, 1, 1, 1, 0}), RESEND_NEW);
    seal(w, &first);
    resend_window_durable(w);
    assert_int_equal(chunk_of(w, A, (struct resend_origin){0, 2, 1, 1, 0}), RESEND_AGAIN);
    seal(w, &second);
    load(next, &first, false);
    load(next, &second, false);
    assert_int_equal(chunk_of(next, A, (struct resend_origin){0, 2, 1, 2, 0}), RESEND_NEW);
    resend_window_free(&next);
    resend_window_free(&w);
}

static void test_save(void **state)
{
    struct resend_window *w = make(KEYS), *next = make(KEYS);
    struct sealed sealed;
    struct buf keys;

    (void)state;
    buf_init(&keys, 1u << 20);
    assert_int_equal(chunk(w, A, 1, 1, 0), RESEND_NEW);
    seal(w, &sealed);
    assert_int_equal(resend_window_save(w, &keys), 0);
    assert_int_equal(keys.n, 0); /* not durable */
    resend_window_durable(w);
    end(w, 1, 0);
    assert_int_equal(chunk(w, B, 2, 1, 0), RESEND_NEW);
    assert_int_equal(resend_window_save(w, &keys), 0);
    assert_int_equal(keys.n, sizeof(struct segment_key));
    assert_int_equal(resend_window_load(next, buf_slice(&keys), false), 0);
    assert_int_equal(chunk(next, A, 3, 1, 0), RESEND_AGAIN);
    resend_window_free(&next);

    /* Its resend is under way, and names no place: the original stays until that is durable. */
    next = make(KEYS);
    assert_int_equal(chunk(w, A, 3, 1, 0), RESEND_AGAIN);
    seal(w, &sealed);
    keys.n = 0;
    assert_int_equal(resend_window_save(w, &keys), 0);
    assert_int_equal(keys.n, sizeof(struct segment_key));
    assert_int_equal(resend_window_load(next, buf_slice(&keys), false), 0);
    load(next, &sealed, false);
    assert_int_equal(chunk(next, A, 3, 2, 0), RESEND_NEW);
    resend_window_durable(w);
    keys.n = 0;
    assert_int_equal(resend_window_save(w, &keys), 0);
    assert_int_equal(keys.n, 2 * sizeof(struct segment_key)); /* B and the resend */
    resend_window_free(&next);
    resend_window_free(&w);
    buf_fini(&keys);
}

static void test_odd_values_are_harmless(void **state)
{
    struct resend_window *w = make(KEYS);
    struct sim_random random;
    struct segment_key keys[64];
    uint8_t *bytes = (uint8_t *)keys;

    (void)state;
    sim_random_seed(&random, 1);
    for (unsigned round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(keys); i++)
            bytes[i] = (uint8_t)sim_random_next(&random);
        assert_int_equal(resend_window_load(w, slice_of(keys, sizeof(keys) - 3), round & 1), 0);
        assert_int_equal(resend_window_load_confirmations(w, slice_of(keys, sizeof(keys) - 5)), 0);
        assert_int_equal(resend_window_count(w), KEYS);
    }
    resend_window_free(&w);
}

/* ---- a naive model ---- */

#define MODEL_KEYS 4000
#define MODEL_CONNECTIONS 24

struct model_key {
    uint8_t key;
    unsigned connection;
    uint64_t serial;
    bool consumed;
};

struct model {
    struct model_key keys[MODEL_KEYS];
    unsigned count, capacity;
    struct {
        uint64_t number, serial, confirmed;
        bool ended;
    } connections[MODEL_CONNECTIONS];
};

static int model_check(struct model *m, uint8_t key, unsigned connection, uint64_t serial)
{
    unsigned oldest = m->count > m->capacity ? m->count - m->capacity : 0;
    int verdict = RESEND_NEW;

    for (unsigned i = oldest; i < m->count && verdict == RESEND_NEW; i++) {
        struct model_key *k = &m->keys[i];

        if (k->key == key && !k->consumed && k->connection != connection &&
            m->connections[k->connection].ended &&
            m->connections[k->connection].confirmed < k->serial) {
            k->consumed = true;
            verdict = RESEND_AGAIN;
        }
    }
    m->keys[m->count++] = (struct model_key){key, connection, serial, false};
    return verdict;
}

/* Random lives of connections with few different keys, sealed and made durable now and then. */
static void test_against_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct model *m = calloc(1, sizeof(*m));
        struct resend_window *w;
        struct sim_random random;
        struct sealed *sealed = calloc(1, sizeof(*sealed));
        bool sealing = false;
        uint64_t numbers = 0;

        sim_random_seed(&random, seed);
        m->capacity = 20 + (unsigned)sim_random_below(&random, 200);
        w = make(m->capacity);
        for (unsigned i = 0; i < MODEL_CONNECTIONS; i++)
            m->connections[i].number = ++numbers;
        for (unsigned step = 0, next = 0; step < 3000; step++) {
            unsigned c = (unsigned)sim_random_below(&random, 4);
            uint8_t key[16] = {(uint8_t)sim_random_below(&random, 6)};
            int got;

            c = (next + c) % MODEL_CONNECTIONS;
            if (m->connections[c].ended)
                continue;
            if (sim_random_chance(&random, 20))
                m->connections[c].confirmed += sim_random_below(
                    &random, m->connections[c].serial - m->connections[c].confirmed + 1);
            if (sim_random_chance(&random, 5) && next + 4 < MODEL_CONNECTIONS) {
                m->connections[c].ended = true;
                end(w, m->connections[c].number, m->connections[c].confirmed);
                next += c == next;
            } else {
                got = chunk(w, key, m->connections[c].number, ++m->connections[c].serial,
                            m->connections[c].confirmed);
                assert_int_equal(got, model_check(m, key[0], c, m->connections[c].serial));
            }
            if (!sealing && sim_random_chance(&random, 10)) {
                seal(w, sealed);
                sealing = true;
            } else if (sealing && sim_random_chance(&random, 30)) {
                resend_window_durable(w);
                sealing = false;
            }
        }
        resend_window_free(&w);
        free(sealed);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_on_one_connection_are_two),
        cmocka_unit_test(test_two_on_open_connections_are_two),
        cmocka_unit_test(test_same_serial_is_the_same_chunk),
        cmocka_unit_test(test_resend_after_the_end),
        cmocka_unit_test(test_confirmed_is_no_original),
        cmocka_unit_test(test_end_confirms),
        cmocka_unit_test(test_receiver_dies),
        cmocka_unit_test(test_two_equal_and_both_resent),
        cmocka_unit_test(test_very_many_equal),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_resend_of_the_oldest_in_a_full_window),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_forget_last),
        cmocka_unit_test(test_sealed_is_never_taken_back),
        cmocka_unit_test(test_seal_and_load),
        cmocka_unit_test(test_resent_flag),
        cmocka_unit_test(test_resent_flag_without_the_end),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_odd_values_are_harmless),
        cmocka_unit_test(test_against_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
