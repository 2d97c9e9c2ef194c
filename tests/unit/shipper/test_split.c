#include "shipper/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES 64

static void test_accepted_whole(void **state)
{
    uint8_t states[FRAMES];
    struct split split;

    (void)state;
    split_init(&split, states, FRAMES);
    assert_int_equal(split_next(&split), SPLIT_SEND);
    assert_int_equal(split.first, 0);
    assert_int_equal(split.end, FRAMES);
    assert_int_equal(split_next(&split), SPLIT_SEND); /* a retry: the same again */
    assert_int_equal(split.end, FRAMES);
    split_accept(&split);
    assert_int_equal(split_next(&split), SPLIT_FINISHED);
}

/* A server that refuses each run with a bad frame in it, or above a size. */
struct server {
    bool bad[FRAMES];
    uint32_t limit;
    unsigned got[FRAMES];
    unsigned requests;
};

static void run(struct split *split, struct server *server)
{
    while (split_next(split) == SPLIT_SEND) {
        bool refuse = false;
        bool large = split->end - split->first > server->limit;

        assert_true(split->first < split->end && split->end <= FRAMES);
        assert_true(++server->requests < 2000);
        for (uint32_t i = split->first; i < split->end; i++)
            refuse = refuse || server->bad[i];
        if (large || refuse) {
            bool alone = split->end - split->first == 1;

            assert_int_equal(split_refuse(split, large), alone);
            continue;
        }
        for (uint32_t i = split->first; i < split->end; i++)
            server->got[i]++;
        split_accept(split);
    }
}

static void test_bad_frames_hold_up_no_other(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct server server = {.limit = FRAMES};
        uint8_t states[FRAMES];
        struct split split;
        unsigned random = seed, bad = 0;

        for (unsigned i = 0; i < seed % 6; i++)
            server.bad[rand_r(&random) % FRAMES] = true;
        if (seed % 3 == 0)
            server.limit = 1 + (unsigned)rand_r(&random) % FRAMES;
        split_init(&split, states, FRAMES);
        run(&split, &server);
        for (unsigned i = 0; i < FRAMES; i++) {
            assert_int_equal(server.got[i], !server.bad[i]);
            bad += server.bad[i];
        }
        assert_int_equal(split_next(&split), bad > 0 ? SPLIT_REST : SPLIT_FINISHED);
        memset(server.bad, 0, sizeof(server.bad)); /* the server is mended */
        split_again(&split);
        run(&split, &server);
        for (unsigned i = 0; i < FRAMES; i++)
            assert_int_equal(server.got[i], 1);
        assert_int_equal(split_next(&split), SPLIT_FINISHED);
    }
}

static void test_cost(void **state)
{
    struct server server = {.limit = FRAMES, .bad = {[37] = true}};
    uint8_t states[FRAMES];
    struct split split;

    (void)state;
    split_init(&split, states, FRAMES);
    run(&split, &server);
    assert_true(server.requests <= 30); /* not one per frame */

    server = (struct server){.limit = 8};
    split_init(&split, states, FRAMES);
    run(&split, &server);
    assert_int_equal(server.requests, 3 + FRAMES / 8); /* 64, 32, 16, then eights */
}

/* A run that is too large for a request ends earlier; the rest goes next. */
static void test_shorten(void **state)
{
    uint8_t states[FRAMES];
    struct split split;

    (void)state;
    split_init(&split, states, FRAMES);
    assert_int_equal(split_next(&split), SPLIT_SEND);
    split_shorten(&split, 10);
    assert_int_equal(split.end, 10);
    split_shorten(&split, 20); /* never longer */
    split_shorten(&split, 0);  /* never empty */
    assert_int_equal(split.end, 10);
    split_accept(&split);
    assert_int_equal(split_next(&split), SPLIT_SEND);
    assert_int_equal(split.first, 10);
    assert_int_equal(split.end, FRAMES);
    split_drop(&split);
    assert_int_equal(split_next(&split), SPLIT_SEND); /* the same again */
    assert_int_equal(split.first, 10);
}

/* Frames are cut in the middle of it; all that there is then is sent, once. */
static void test_cut(void **state)
{
    uint8_t few[8], more[11];
    struct server server = {.limit = FRAMES};
    struct split split;

    (void)state;
    split_init(&split, few, 8);
    assert_int_equal(split_next(&split), SPLIT_SEND);
    split_shorten(&split, 2);
    split_accept(&split);
    assert_int_equal(split_next(&split), SPLIT_SEND);
    split_shorten(&split, 3);
    assert_true(split_refuse(&split, true)); /* frame 2 is set aside */
    memcpy(more, few, sizeof(few));
    split_cut(&split, more, 2, 4);
    assert_int_equal(split.count, 11);
    for (unsigned i = 0; i < 11; i++)
        assert_int_equal(more[i], i < 2 ? SPLIT_DONE : SPLIT_WAITING);
    run(&split, &server);
    assert_int_equal(split_next(&split), SPLIT_FINISHED);
    for (unsigned i = 0; i < 11; i++)
        assert_int_equal(server.got[i], i >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted_whole),
        cmocka_unit_test(test_bad_frames_hold_up_no_other),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_shorten),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
