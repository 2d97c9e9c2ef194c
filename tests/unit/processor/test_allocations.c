/*
 * test_allocations: in steady state a record costs no allocation. The linker sends every malloc,
 * calloc and realloc of our code through the counters here; the records of golden/records.txt, and
 * a chunk of a thousand of the ordinary ones, are converted over and over, and after a
 * warm-up nothing may be counted.
 */
#include "processor/json_mp.h"
#include "tests/unit/processor/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 6
/* The second round may meet the buffers of another group than the first. */
#define WARM_UP 2
#define ORDINARY 1000

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

static uint64_t allocations;

void *__wrap_malloc(size_t n)
{
    allocations++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    allocations++;
    return __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    allocations++;
    return __real_realloc(p, n);
}

/* ---- a sink that allocates nothing ---- */

static uint8_t room[4 << 20];
static uint64_t records;

static uint8_t *reserve(void *context, size_t max_bytes)
{
    (void)context;
    return max_bytes <= sizeof(room) ? room : NULL;
}

static int commit(void *context, const struct frame_info *info, size_t bytes)
{
    (void)context;
    (void)bytes;
    records += info->records;
    return 0;
}

/* ---- the records ---- */

static void add_entry(struct buf *entries, const char *json)
{
    struct slice text = slice_string(json);
    struct mp_writer w;

    put_array(entries, 2);
    put_event_time(entries, 1700000000, 5);
    w = mp_writer_of(entries);
    assert_int_equal(json_mp_value(&text, 0, &w, NULL), 0);
    assert_false(w.failed);
}

/* Every record of the golden file as an entry of its own. */
static unsigned read_golden(struct buf *ret)
{
    static char text[16384];
    const char *folder = getenv("srcdir");
    unsigned count = 0;
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/tests/unit/processor/golden/records.txt",
             folder == NULL ? "." : folder);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(text, sizeof(text), file) != NULL) {
        if (strncmp(text, "in ", 3) != 0)
            continue;
        add_entry(ret, text + 3);
        count++;
    }
    fclose(file);
    return count;
}

static void ordinary(struct buf *ret)
{
    char text[512];

    for (unsigned i = 0; i < ORDINARY; i++) {
        snprintf(text, sizeof(text),
                 "{\"timestamp\":\"2024-01-15T10:30:%02u.123Z\",\"level\":\"info\",\"message\":"
                 "\"{\\\"msg\\\":\\\"step %u\\\",\\\"n\\\":%u}\",\"trace_id\":\"%032u\","
                 "\"job_id\":\"job-%u\",\"machine_id\":\"machine-%u\",\"n\":%u}",
                 i % 60, i, i, i + 1, i, i % 40, i);
        add_entry(ret, text);
    }
}

/* Returns the allocations of the last rounds, and in *ret_first those of the first. */
static uint64_t convert_rounds(const struct buf *entries, bool is_limited, uint64_t *ret_first)
{
    const struct converter_config config = {.service_name = "s",
                                            .environment = "production",
                                            .self_name = "sluice",
                                            .self_version = "0",
                                            .self_host = "h",
                                            .parse_text = true,
                                            .is_limited = is_limited,
                                            .max_decompressed = 1 << 20};
    const struct frame_sink sink = {reserve, commit, NULL, NULL};
    struct chunk chunk = chunk_of(entries);
    struct frame_builder *builder = NULL;
    struct converter *converter = NULL;
    struct convert_result result;
    uint64_t after_first = 0;
    struct err err;

    assert_int_equal(frame_builder_new(FRAME_GZIP, &sink, &builder, &err), 0);
    assert_int_equal(converter_new(&config, &converter, &err), 0);
    allocations = records = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (convert_chunk(converter, &chunk, builder, &result, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(frame_builder_flush(builder), 0);
        if (round == WARM_UP - 1)
            after_first = allocations;
    }
    *ret_first = after_first;
    allocations -= after_first;
    converter_free(&converter);
    frame_builder_free(&builder);
    return allocations;
}

static void nothing_per_record(void **state)
{
    struct buf golden = new_buf(), chunk = new_buf();
    unsigned count = read_golden(&golden);
    uint64_t first, later;

    (void)state;
    assert_true(count > 30);
    ordinary(&chunk);
    for (int limited = 0; limited < 2; limited++) {
        later = convert_rounds(&golden, limited != 0, &first);
        assert_int_equal(records, ROUNDS * count);
        print_message(
            "%u golden records: %lu allocations in the warm-up, %lu in %d rounds after it\n", count,
            first, later, ROUNDS - WARM_UP);
        assert_true(first > 0);
        assert_int_equal(later, 0);
        later = convert_rounds(&chunk, limited != 0, &first);
        assert_int_equal(records, ROUNDS * ORDINARY);
        print_message(
            "%d ordinary ones: %lu allocations in the warm-up, %lu in %d rounds after it\n",
            ORDINARY, first, later, ROUNDS - WARM_UP);
        assert_int_equal(later, 0);
    }
    buf_fini(&golden);
    buf_fini(&chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_per_record)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
