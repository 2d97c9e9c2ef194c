#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "shared/role/confine.h"
#include "supervisor/stage.h"

static void test_parse(void **state)
{
    enum stage_id stage;
    int index;

    (void)state;
    assert_int_equal(stage_parse("receiver", &stage, &index), 0);
    assert_int_equal(stage, STAGE_RECEIVER);
    assert_int_equal(index, -1);
    assert_int_equal(stage_parse("shipper.0", &stage, &index), 0);
    assert_int_equal(stage, STAGE_SHIPPER);
    assert_int_equal(index, 0);
    assert_int_equal(stage_parse("processor.7", &stage, &index), 0);
    assert_int_equal(index, 7);
    for (const char *const *bad = (const char *const[]){"", "receive", "receivers", "receiver.",
                                                        "receiver.8", "receiver.-1", "receiver.x",
                                                        ".0", "receiver.0.0", "Receiver", NULL};
         *bad != NULL; bad++)
        assert_int_equal(stage_parse(*bad, &stage, &index), -EINVAL);
}

/* The tables of the supervisor and of the confinement name the same roles. */
static void test_tables_agree(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (unsigned id = 0; id < STAGE_COUNT; id++) {
        const struct stage_row *row = stage_row((enum stage_id)id);

        assert_int_equal(confine_option_role(row->name), row->option_role);
        assert_true(row->start_step < STAGE_STEPS && row->stop_step < STAGE_STEPS);
        for (unsigned other = 0; other < id; other++)
            assert_true(stage_row((enum stage_id)other)->first_slot + STAGE_INSTANCES_MAX <=
                        row->first_slot);
        seen |= row->option_role;
    }
    assert_int_equal(seen, OPTION_RECEIVER | OPTION_PROCESSOR | OPTION_SHIPPER);
}

static void test_instances(void **state)
{
    struct options *options = options_new();
    struct err err;

    (void)state;
    assert_int_equal(stage_instances(STAGE_SHIPPER, options), 1);
    assert_int_equal(stage_instances(STAGE_PROCESSOR, options), 1);
    assert_int_equal(options_set(options, OPT_PROCESSOR_COUNT, SLICE_LITERAL("8"), &err), 0);
    assert_int_equal(stage_instances(STAGE_PROCESSOR, options), 8);
    assert_int_equal(options_set(options, OPT_PROCESSOR_COUNT, SLICE_LITERAL("9"), &err), -EINVAL);
    options_free(&options);
}

static void test_executable(void **state)
{
    struct options *options = options_new();
    struct err err;
    char *path;

    (void)state;
    path = stage_executable(STAGE_SHIPPER, options);
    assert_non_null(strstr(path, "/sluice-shipper"));
    free(path);
    assert_int_equal(options_set(options, OPT_LIBEXEC_DIR, SLICE_LITERAL("/opt/x"), &err), 0);
    path = stage_executable(STAGE_SHIPPER, options);
    assert_string_equal(path, "/opt/x/sluice-shipper");
    free(path);
    options_free(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_tables_agree),
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_executable),
    };

    return cmocka_run_group_tests_name("stage", tests, NULL, NULL);
}
