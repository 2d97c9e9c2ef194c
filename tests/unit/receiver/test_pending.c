/* Which ack a verdict belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "receiver/pending.h"

static void push(struct pending *pending, uint64_t position, uint64_t handle, const char *id)
{
    struct pending_owner owner = {.handle = handle, .serial = position * 10};

    assert_int_equal(pending_push(pending, position, owner, slice_string(id)), 0);
}

static void in_order(void **state)
{
    struct pending *pending = pending_new(1000);
    struct pending_owner owner;
    struct slice id;
    uint64_t lost = 0;

    (void)state;
    push(pending, 100, 1, "a");
    push(pending, 300, 2, "a chunk id that is longer than forty bytes, to be allocated");
    /* 200 is an entry that nobody waits for. */
    assert_true(pending_match(pending, 100, &owner, &id, &lost));
    assert_true(owner.handle == 1 && owner.serial == 1000 && slice_is(id, "a"));
    assert_false(pending_match(pending, 200, &owner, &id, &lost));
    assert_true(pending_match(pending, 300, &owner, &id, &lost));
    assert_true(owner.handle == 2);
    assert_true(slice_is(id, "a chunk id that is longer than forty bytes, to be allocated"));
    assert_false(pending_match(pending, 400, &owner, &id, &lost));
    assert_int_equal(lost, 0);
    assert_int_equal(pending_count(pending), 0);
    pending_trim(pending);
    assert_int_equal(pending_bytes(pending), 0);
    pending_free(&pending);
    assert_null(pending);
}

static void a_skipped_one_is_lost_and_not_sent_to_another(void **state)
{
    struct pending *pending = pending_new(1000);
    struct pending_owner owner;
    struct slice id;
    uint64_t lost = 0;

    (void)state;
    push(pending, 100, 1, "x");
    push(pending, 200, 2, "y");
    push(pending, 300, 3, "z");
    assert_true(pending_match(pending, 300, &owner, &id, &lost));
    assert_int_equal(owner.handle, 3);
    assert_int_equal(lost, 2);
    assert_false(pending_match(pending, 100, &owner, &id, &lost));
    pending_free(&pending);
}

static void limits(void **state)
{
    struct pending *pending = pending_new(3);
    struct pending_owner owner = {0};

    (void)state;
    push(pending, 1, 1, "");
    push(pending, 2, 1, "");
    assert_int_equal(pending_push(pending, 2, owner, slice_of(NULL, 0)), -EINVAL);
    push(pending, 3, 1, "");
    assert_false(pending_has_room(pending));
    assert_int_equal(pending_push(pending, 4, owner, slice_of(NULL, 0)), -ENOBUFS);
    pending_free(&pending);
    pending_free(&pending);
}

/* Against a plain model: random pushes, verdicts for all entries, also for those without an ack. */
static void against_a_model(void **state)
{
    struct pending *pending = pending_new(5000);
    uint8_t *waits = calloc(1, 200001);
    uint64_t pushed = 0, answered = 0, lost = 0;
    uint64_t seed = 7;

    (void)state;
    assert_non_null(waits);
    while (answered < 200000) {
        struct pending_owner owner;
        struct slice id;
        unsigned many;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        many = (unsigned)(seed >> 33) % 300;
        for (unsigned i = 0; i < many && pushed < 200000 && pending_has_room(pending); i++) {
            char text[64];

            pushed++;
            waits[pushed] = (uint8_t)(pushed * 7 % 3 != 0);
            snprintf(text, sizeof(text), "%0*llu", pushed % 5 == 0 ? 60 : 8,
                     (unsigned long long)pushed);
            if (waits[pushed])
                push(pending, pushed, pushed ^ 0xff, text);
        }
        many = (unsigned)(seed >> 45) % 300;
        for (unsigned i = 0; i < many && answered < pushed; i++) {
            answered++;
            assert_int_equal(pending_match(pending, answered, &owner, &id, &lost), waits[answered]);
            if (waits[answered]) {
                assert_int_equal(owner.handle, answered ^ 0xff);
                assert_int_equal(id.n, answered % 5 == 0 ? 60 : 8);
            }
        }
    }
    assert_int_equal(lost, 0);
    assert_int_equal(pending_count(pending), 0);
    free(waits);
    pending_free(&pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(a_skipped_one_is_lost_and_not_sent_to_another),
        cmocka_unit_test(limits),
        cmocka_unit_test(against_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
