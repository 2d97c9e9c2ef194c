/*
 * convert_bench: what a record costs in the processor's innermost part, in nanoseconds of CPU time:
 * decode and convert (MessagePack to OTLP), and compression.
 *
 *     convert_bench [--codec gzip|zstd|none] [--chunk RECORDS] [--batch CHUNKS] [--machines N]
 *                   [--seconds S] [--file PAYLOAD]
 *
 * The input is the load generator's ten-field records, prepared beforehand, or the entries in a
 * file, repeated. Chunks are converted in batches, as the lane does; a batch ends with a flush. The
 * time between the sink's reserve and commit is the compression's (with its CRC), the rest is the
 * conversion's.
 */
#include "processor/convert.h"
#include "processor/mp.h"
#include "shared/base/clock.h"
#include "shared/otlp/frame_codec.h"
#include "tests/bench/load_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Prepared input: more than a second-level cache, as in life. */
#define PREPARED_CHUNKS 64

struct sink {
    uint8_t *room;
    size_t cap;
    uint64_t reserved_ns;
    uint64_t compress_ns;
    uint64_t frames;
    uint64_t plain_bytes;
    uint64_t bytes;
};

struct options {
    enum frame_codec_id codec;
    uint32_t records;
    unsigned batch;
    uint32_t machines; /* whose lines are in one chunk */
    double seconds;
    const char *file;
};

struct input {
    uint8_t *message[PREPARED_CHUNKS];
    struct chunk chunk[PREPARED_CHUNKS];
};

/* This process's own time: others on the machine do not count. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint8_t *reserve(void *context, size_t max_bytes)
{
    struct sink *sink = context;

    if (max_bytes > sink->cap) {
        free(sink->room);
        sink->cap = max_bytes * 2;
        sink->room = malloc(sink->cap);
    }
    sink->reserved_ns = cpu_ns();
    return sink->room;
}

static int commit(void *context, const struct frame_info *info, size_t bytes)
{
    struct sink *sink = context;

    sink->compress_ns += cpu_ns() - sink->reserved_ns;
    sink->frames++;
    sink->plain_bytes += info->plain_bytes;
    sink->bytes += bytes;
    return 0;
}

static void die(const char *what)
{
    fprintf(stderr, "convert_bench: %s\n", what);
    exit(1);
}

static void parse(int argc, char **argv, struct options *ret)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];

        if (strcmp(argv[i], "--codec") == 0 && frame_codec_parse(value, &ret->codec) == 0)
            continue;
        if (strcmp(argv[i], "--chunk") == 0)
            ret->records = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--batch") == 0)
            ret->batch = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--machines") == 0)
            ret->machines = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            ret->seconds = strtod(value, NULL);
        else if (strcmp(argv[i], "--file") == 0)
            ret->file = value;
        else
            die("unknown option");
    }
    if (argc % 2 == 0 || ret->records == 0 || ret->batch == 0 || ret->machines == 0)
        die("usage: convert_bench [--codec gzip|zstd|none] [--chunk RECORDS] [--batch CHUNKS]"
            " [--machines N] [--seconds S] [--file PAYLOAD]");
}

static struct chunk chunk_of(const uint8_t *p, size_t n)
{
    return (struct chunk){.carrier = CHUNK_PACKED,
                          .tag = SLICE_LITERAL("jobs.worker"),
                          .peer = SLICE_LITERAL("10.0.0.7"),
                          .payload = slice_of(p, n),
                          .received_ns = clock_realtime_ns()};
}

/* The payload of a whole forward message: its second element. */
static struct chunk payload_of(const uint8_t *p, size_t n)
{
    struct mp in = mp_of(slice_of(p, n));
    struct mp_value v;

    if (mp_next(&in, &v) < 0 || mp_skip(&in, 1) < 0 || mp_next(&in, &v) < 0 ||
        (v.type != MP_BIN && v.type != MP_STR))
        die("the load generator wrote something else than a packed message");
    return chunk_of(v.bytes.p, v.bytes.n);
}

static void prepare_load(const struct options *options, struct input *ret)
{
    const struct load_kind kind = {.job_records = 16, .machines = options->machines};
    struct load_pool *pool = NULL;

    if (load_pool_new(1, &kind, &pool) < 0)
        die("no memory");
    for (uint32_t i = 0; i < PREPARED_CHUNKS; i++) {
        const struct load_chunk load = {.tag = "jobs.worker",
                                        .mode = LOAD_PACKED,
                                        .first_serial = i * options->records,
                                        .records = options->records,
                                        .sent_ns = clock_realtime_ns()};
        size_t n;

        ret->message[i] = malloc(load_chunk_bound(load.records, load.tag));
        if (ret->message[i] == NULL || load_chunk_write(pool, &load, ret->message[i], &n) < 0)
            die("no memory");
        ret->chunk[i] = payload_of(ret->message[i], n);
    }
    load_pool_free(&pool);
}

static void prepare_file(const char *path, struct input *ret)
{
    FILE *file = fopen(path, "rbe");
    size_t n, cap = (size_t)64 << 20;

    ret->message[0] = malloc(cap);
    if (file == NULL || ret->message[0] == NULL)
        die("cannot read the file");
    n = fread(ret->message[0], 1, cap, file);
    fclose(file);
    for (unsigned i = 0; i < PREPARED_CHUNKS; i++)
        ret->chunk[i] = chunk_of(ret->message[0], n);
}

static void run(const struct options *options, struct input *input)
{
    const struct converter_config config = {.service_name = "emp-job-queue",
                                            .environment = "production",
                                            .self_name = "sluice",
                                            .self_version = "0.1",
                                            .self_host = "bench",
                                            .parse_text = true,
                                            .service = RECORD_SERVICE_NAMED,
                                            .max_decompressed = (size_t)256 << 20};
    struct sink sink = {.room = NULL};
    const struct frame_sink frame_sink = {reserve, commit, NULL, &sink};
    struct frame_builder *builder = NULL;
    struct converter *converter = NULL;
    struct convert_result result;
    struct err err;
    uint64_t records = 0, chunks = 0, payload = 0, start, total;

    if (frame_builder_new(options->codec, &frame_sink, &builder, &err) < 0 ||
        converter_new(&config, &converter, &err) < 0)
        die(err.text);
    start = cpu_ns();
    do {
        const struct chunk *chunk = &input->chunk[chunks++ % PREPARED_CHUNKS];

        if (convert_chunk(converter, chunk, builder, &result, &err) < 0)
            die(err.text);
        records += result.records;
        payload += chunk->payload.n;
        if (chunks % options->batch == 0 && frame_builder_flush(builder) < 0)
            die("flush failed");
        total = cpu_ns() - start;
    } while ((double)total < options->seconds * 1e9);
    if (records == 0)
        die("no records in the input");
    printf("records %lu in %lu frames; per record: %.0f bytes in, %.0f plain, %.1f compressed\n",
           records, sink.frames, (double)payload / (double)records,
           (double)sink.plain_bytes / (double)records, (double)sink.bytes / (double)records);
    printf("decode+convert %.0f ns/record, compress+crc %.0f ns/record (%s, %.2f GB/s)\n",
           (double)(total - sink.compress_ns) / (double)records,
           (double)sink.compress_ns / (double)records, frame_codec_name(options->codec),
           (double)sink.plain_bytes / (double)sink.compress_ns);
    converter_free(&converter);
    frame_builder_free(&builder);
    free(sink.room);
}

int main(int argc, char **argv)
{
    struct options options = {FRAME_GZIP, 1000, 4, 1, 3, NULL};
    struct input input = {.message = {NULL}};

    parse(argc, argv, &options);
    if (options.file != NULL)
        prepare_file(options.file, &input);
    else
        prepare_load(&options, &input);
    run(&options, &input);
    for (unsigned i = 0; i < PREPARED_CHUNKS; i++)
        free(input.message[i]);
    return 0;
}
