#include "tests/bench/load_record.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/bytes.h"
#include "shared/base/clock.h"

#define RECORD_POOL 1024
#define SLOTS_MAX 8
#define TIMESTAMP_BYTES 30 /* 2026-11-22T12:48:37.123456789Z */
#define TIMESTAMP_PREFIX 20

/* What stands before the record in an entry: 92, the EventTime's head and 8 bytes. */
#define JOBS 64 /* under way at a time; a power of two */

#define EVENT_TIME_AT 3
#define MAP_AT 11

struct prepared {
    uint16_t n;
    uint16_t timestamp_at;
    uint16_t trace_id_at;
    uint16_t job_id_at;     /* of its last eight digits */
    uint16_t machine_at[2]; /* of two digits, in machine_id and worker_id */
    uint16_t seq_at;
    uint16_t sent_ns_at;          /* 0: none */
    uint16_t slots_at[SLOTS_MAX]; /* four hex or two decimal digits of the message to replace */
    uint8_t slots_hex;            /* bit per slot */
    uint8_t slots;
    uint8_t bytes[LOAD_RECORD_MAX];
};

/* A job under way: its lines share their ids. */
struct job {
    uint8_t trace_id[32];
    uint8_t number[8];
    uint32_t left; /* lines until another job takes its place */
};

/* Two digits. */
#define MACHINES 64u

struct load_pool {
    struct prepared records[RECORD_POOL];
    unsigned next;
    struct job jobs[JOBS];
    struct load_kind kind;
    uint64_t random;
    char prefix[TIMESTAMP_PREFIX]; /* of the present chunk: 2026-11-22T12:48:37. */
    time_t prefix_s;
    uint8_t *plain; /* of chunks to be compressed */
    size_t plain_bytes;
    struct isal_zstream stream;
    uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

struct words {
    const char *level;
    const char *text; /* %N: a number of N digits (3 to 9); %x: eight hex digits */
};

static const struct words messages[] = {
    {"info", "Job processing started: workflow %5 with %3 nodes, queue wait %4 ms, priority %3"},
    {"info", "Job finished in %5 ms: %3 images, %7 bytes written to s3://results/%x/output.png"},
    {"info", "Claimed job from queue image-generation, redis stream id 17%9-%3, attempt %3 of 500"},
    {"info", "Uploaded %7 bytes to https://storage.example.net/jobs/%x/result.webp in %4 ms"},
    {"info", "GET /v1/jobs/%8/status answered 200 with %5 bytes in %4 us for client 10.%3.12.%3"},
    {"info", "POST /v1/prompt answered 202, prompt id %x-%4, %3 prompts waiting on this machine"},
    {"info", "Model checkpoint sdxl_base_%3.safetensors loaded in %5 ms, %8 bytes on device %x"},
    {"info", "Heartbeat sent to coordinator: %3 running, %3 waiting, load 0.%3, memory %5 MB used"},
    {"info", "Worker registered with the hub, session %x, protocol 3.%3, capabilities mask %x"},
    {"info", "Webhook delivered to https://hooks.example.org/%x, status 204, round trip %4 ms"},
    {"info", "Health check of comfyui passed after %4 ms, queue depth %3, uptime %7 s, pid %6"},
    {"info", "Downloaded custom node pack %x, %6 files, %8 bytes, verified checksum %x%x"},
    {"info", "Cache hit for asset %x%x, saved a transfer of %8 bytes, hit ratio now 0.%3"},
    {"info", "Step %3/500 of sampler euler_ancestral took %4 ms, sigma 14.%4, seed %9"},
    {"info", "Finished batch %6: %4 rows inserted, %3 updated, %3 skipped, transaction %x"},
    {"info", "Session %x%x resumed by user %7 from 172.16.%3.%3, idle for %5 seconds before"},
    {"info", "Scheduler tick %8: assigned %3 jobs to %3 workers, %4 jobs left, took %4 us"},
    {"info", "Container comfyui-worker restarted with image sha256:%x%x, exit code 137 after %6 s"},
    {"info", "Payment event evt_%x%x processed for account %7, amount %5 cents, latency %4 ms"},
    {"info", "Published message %9 to topic job.completed, partition %3, offset %9, key %x"},
    {"info", "Connection pool: %3 in use, %3 idle, %4 waits, longest wait %5 us, max size 100"},
    {"info", "Image %x.png encoded as webp, quality 85, %7 bytes to %6 bytes, took %4 ms"},
    {"info", "Configuration version %6 applied, %3 keys changed, checksum %x, took %4 us to apply"},
    {"info",
     "Progress of job at %3 permille, estimated %4 s left, GPU memory %5 MB, temperature 71 C"},
    {"debug", "Allocated tensor of shape [4, %4, %4] on cuda:0, %8 bytes, pool fragmentation 0.%3"},
    {"debug", "Redis command XREADGROUP took %5 us, %3 entries, connection %x, block %4 ms, db 0"},
    {"debug", "Prompt graph resolved: %3 nodes, %3 edges, %3 cached, hash %x%x, depth %3, ok"},
    {"debug", "WebSocket frame of %6 bytes to client %x, sequence %8, buffered %5, ping %3 ms"},
    {"debug", "Lock jobs:%8 acquired after %4 us by holder %x, lease of %5 ms, fencing token %9"},
    {"debug", "SQL select from jobs where id = %8 took %5 us, %3 rows, plan cached, statement %x"},
    {"warn", "Retrying upload of part %3 after HTTP 503, attempt %3, waiting %4 ms, upload id %x"},
    {"warn", "Slow request: POST /v1/jobs took %5 ms, of which %5 ms in the database, id %x"},
    {"warn", "GPU memory low: %5 MB free of 24564 MB, evicting model %x, needed %5 MB for job"},
    {"warn", "Queue depth %5 is above the soft limit 100, oldest job waits for %5 s, shard %3"},
    {"warn",
     "Clock differs from coordinator by %4 ms, round trip %4 us, source ntp-%3.example.net"},
    {"warn", "Deprecated field prompt.options.%x used by client %7, ignored since version 4.%3"},
    {"error",
     "Failed to fetch https://cdn.example.com/%x/model.bin: connection reset after %7 bytes"},
    {"error", "CUDA out of memory: tried to allocate %5 MiB, %4 MiB free, %5 MiB reserved, pid %6"},
    {"error",
     "Job failed after %3 attempts: TimeoutError: no answer from worker for %5 ms, code %x"},
    {"error",
     "Unhandled rejection in executor: TypeError: cannot read property %x of undefined at :%4"},
};

static const char *const sources[] = {"worker.comfyui", "worker.simulation", "api.gateway",
                                      "machine.supervisor", "hub.redis"};
static const char *const components[] = {"job-executor",   "redis-client",      "asset-uploader",
                                         "health-monitor", "connector-manager", "http-server"};

/* splitmix64: good enough and 1 ns. */
static uint64_t pool_random(struct load_pool *pool)
{
    uint64_t x = pool->random += 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* Eight hex digits of v, all at once: a nibble to each byte, then to ASCII. */
static uint64_t hex_digits(uint32_t v)
{
    uint64_t x = v;

    x = ((x << 16) | x) & 0x0000ffff0000ffffull;
    x = ((x << 8) | x) & 0x00ff00ff00ff00ffull;
    x = ((x << 4) | x) & 0x0f0f0f0f0f0f0f0full;
    return x + 0x3030303030303030ull +
           (((x + 0x0606060606060606ull) >> 4) & 0x0101010101010101ull) * 0x27;
}

static void put_hex(uint8_t *out, uint32_t v)
{
    uint64_t digits = hex_digits(v);

    memcpy(out, &digits, 8);
}

/* Eight decimal digits of v < 10^8: split into halves, each multiplied by its reciprocal. */
static void put_decimal8(uint8_t *out, uint32_t v)
{
    uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t hundreds = ((x * 10486) >> 20) & 0x0000007f0000007full;
    uint64_t tens;

    x = hundreds | (x - hundreds * 100) << 16;
    tens = ((x * 103) >> 10) & 0x000f000f000f000full;
    x = (tens | (x - tens * 10) << 8) + 0x3030303030303030ull;
    memcpy(out, &x, 8);
}

static void put_decimal2(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)('0' + v / 10);
    out[1] = (uint8_t)('0' + v % 10);
}

static size_t put_string(uint8_t *out, const char *text, size_t n)
{
    size_t head = 0;

    if (n < 32) {
        out[head++] = (uint8_t)(0xa0 | n);
    } else {
        out[head++] = 0xd9;
        out[head++] = (uint8_t)n;
    }
    memcpy(out + head, text, n);
    return head + n;
}

static void add_string(struct prepared *record, const char *text)
{
    record->n = (uint16_t)(record->n + put_string(record->bytes + record->n, text, strlen(text)));
}

static void add_slot(struct prepared *record, size_t at, bool hex)
{
    if (record->slots == SLOTS_MAX)
        return;
    if (hex)
        record->slots_hex = (uint8_t)(record->slots_hex | 1u << record->slots);
    record->slots_at[record->slots++] = (uint16_t)at;
}

/*
 * Expands a template into text. The slots' places are relative to the text. The last two digits of
 * each number and the first four of each hex word become slots.
 */
static size_t expand(struct load_pool *pool, struct prepared *record, const char *words, char *text)
{
    size_t n = 0;

    while (*words != '\0') {
        if (*words != '%') {
            text[n++] = *words++;
            continue;
        }
        if (words[1] == 'x') {
            put_hex((uint8_t *)text + n, (uint32_t)pool_random(pool));
            add_slot(record, n, true);
            n += 8;
        } else {
            unsigned digits = (unsigned)(words[1] - '0');
            unsigned i;

            text[n] = (char)('1' + pool_random(pool) % 9);
            for (i = 1; i < digits; i++)
                text[n + i] = (char)('0' + pool_random(pool) % 10);
            add_slot(record, n + digits - 2, false);
            n += digits;
        }
        words += 2;
    }
    text[n] = '\0';
    return n;
}

static void add_message(struct load_pool *pool, struct prepared *record, const char *words)
{
    char text[256];
    size_t n = expand(pool, record, words, text);
    unsigned i;

    add_string(record, text);
    for (i = 0; i < record->slots; i++)
        record->slots_at[i] = (uint16_t)(record->slots_at[i] + record->n - n);
}

#define MACHINE "comfyui-prod-us-west-2-"

static void prepare(struct load_pool *pool, struct prepared *record, bool with_sent_ns)
{
    const struct words *words =
        &messages[pool_random(pool) % (sizeof(messages) / sizeof(messages[0]))];
    char text[64];

    memcpy(record->bytes, "\x92\xd7\x00", 3);
    record->n = MAP_AT;
    record->bytes[record->n++] = with_sent_ns ? 0x8b : 0x8a;

    add_string(record, "timestamp");
    record->timestamp_at = (uint16_t)(record->n + 1);
    add_string(record, "2026-01-01T00:00:00.000000000Z");
    add_string(record, "level");
    add_string(record, words->level);
    add_string(record, "message");
    add_message(pool, record, words->text);
    add_string(record, "trace_id");
    record->trace_id_at = (uint16_t)(record->n + 2);
    add_string(record, "00000000000000000000000000000000");
    add_string(record, "job_id");
    record->job_id_at = (uint16_t)(record->n + 5);
    add_string(record, "job-00000000");
    add_string(record, "machine_id");
    add_string(record, MACHINE "00");
    record->machine_at[0] = (uint16_t)(record->n - 2);
    add_string(record, "worker_id");
    snprintf(text, sizeof(text), MACHINE "00-worker-%u", (unsigned)(pool_random(pool) % 8));
    add_string(record, text);
    record->machine_at[1] = (uint16_t)(record->n - strlen(text) + sizeof(MACHINE) - 1);
    add_string(record, "source");
    add_string(record, sources[pool_random(pool) % (sizeof(sources) / sizeof(sources[0]))]);
    add_string(record, "component");
    add_string(record,
               components[pool_random(pool) % (sizeof(components) / sizeof(components[0]))]);
    add_string(record, "seq");
    record->bytes[record->n++] = 0xce;
    record->seq_at = record->n;
    record->n = (uint16_t)(record->n + 4);
    if (with_sent_ns) {
        add_string(record, "sent_ns");
        record->bytes[record->n++] = 0xcf;
        record->sent_ns_at = record->n;
        record->n = (uint16_t)(record->n + 8);
    }
}

int load_pool_new(uint64_t seed, const struct load_kind *kind, struct load_pool **ret_pool)
{
    struct load_pool *pool = calloc(1, sizeof(*pool));
    unsigned i;

    if (pool == NULL)
        return -ENOMEM;
    pool->random = seed;
    pool->kind = *kind;
    pool->prefix_s = -1;
    for (i = 0; i < RECORD_POOL; i++)
        prepare(pool, &pool->records[i], kind->with_sent_ns);
    *ret_pool = pool;
    return 0;
}

void load_pool_free(struct load_pool **pool)
{
    if (*pool == NULL)
        return;
    free((*pool)->plain);
    free(*pool);
    *pool = NULL;
}

/* Writes the date up to the second, once a second. */
static void set_prefix(struct load_pool *pool, time_t seconds)
{
    struct tm tm;
    char text[64];

    if (seconds == pool->prefix_s)
        return;
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
    memcpy(pool->prefix, text, TIMESTAMP_PREFIX);
    pool->prefix_s = seconds;
}

static void patch_slots(struct load_pool *pool, const struct prepared *record, uint8_t *out)
{
    uint64_t random = pool_random(pool);
    unsigned i;

    for (i = 0; i < record->slots; i++) {
        uint32_t bits = (uint32_t)random & 0xffff;
        uint8_t *at = out + record->slots_at[i];

        if (record->slots_hex & 1u << i) {
            uint64_t digits = hex_digits(bits << 16);

            memcpy(at, &digits, 4);
        } else {
            put_decimal2(at, bits * 100 >> 16);
        }
        random = random >> 16 | random << 48;
    }
}

/* The job whose line comes next: one of those under way, or a new one in its place. */
static const struct job *next_job(struct load_pool *pool)
{
    uint64_t random = pool_random(pool);
    struct job *job = &pool->jobs[random % JOBS];

    if (job->left == 0) {
        uint64_t id = pool_random(pool);

        put_hex(job->trace_id, (uint32_t)id);
        put_hex(job->trace_id + 8, (uint32_t)(id >> 32));
        id = pool_random(pool);
        put_hex(job->trace_id + 16, (uint32_t)id);
        put_hex(job->trace_id + 24, (uint32_t)(id >> 32));
        put_decimal8(job->number, (uint32_t)(((id >> 32) * 100000000) >> 32));
        job->left = pool->kind.job_records;
    }
    job->left--;
    return job;
}

/* Who sends a chunk, and when. */
struct sender {
    unsigned machine; /* the first of those whose lines are in it */
    uint32_t first_serial;
    uint64_t sent_ns;
};

/* Writes one entry, [time, record], and returns its length. */
static size_t write_entry(struct load_pool *pool, uint8_t *out, uint32_t serial, uint32_t nanos,
                          const struct sender *sender)
{
    unsigned machine = (sender->machine + serial % pool->kind.machines) % MACHINES;
    uint64_t sent_ns = sender->sent_ns + serial - sender->first_serial;
    const struct prepared *record = &pool->records[pool->next];
    const struct job *job;
    uint8_t *at;

    pool->next = (pool->next + 1) % RECORD_POOL;
    memcpy(out, record->bytes, record->n);
    bytes_put_be32(out + EVENT_TIME_AT, (uint32_t)pool->prefix_s);
    bytes_put_be32(out + EVENT_TIME_AT + 4, nanos);

    at = out + record->timestamp_at;
    memcpy(at, pool->prefix, TIMESTAMP_PREFIX);
    at[TIMESTAMP_PREFIX] = (uint8_t)('0' + nanos / 100000000);
    put_decimal8(at + TIMESTAMP_PREFIX + 1, nanos % 100000000);

    job = next_job(pool);
    memcpy(out + record->trace_id_at, job->trace_id, sizeof(job->trace_id));
    memcpy(out + record->job_id_at, job->number, sizeof(job->number));

    put_decimal2(out + record->machine_at[0], machine);
    put_decimal2(out + record->machine_at[1], machine);
    patch_slots(pool, record, out);
    bytes_put_be32(out + record->seq_at, serial);
    if (record->sent_ns_at != 0) {
        bytes_put_be32(out + record->sent_ns_at, (uint32_t)(sent_ns >> 32));
        bytes_put_be32(out + record->sent_ns_at + 4, (uint32_t)sent_ns);
    }
    return record->n;
}

static size_t write_entries(struct load_pool *pool, const struct load_chunk *chunk, uint8_t *out)
{
    const struct sender sender = {(unsigned)(pool_random(pool) % MACHINES), chunk->first_serial,
                                  chunk->sent_ns};
    uint32_t nanos = (uint32_t)(chunk->sent_ns % NS_PER_S);
    size_t n = 0;
    uint32_t i;

    set_prefix(pool, (time_t)(chunk->sent_ns / NS_PER_S));
    /* All records of a chunk stay in its second. */
    if (nanos + chunk->records > NS_PER_S)
        nanos = (uint32_t)(NS_PER_S - chunk->records);
    for (i = 0; i < chunk->records; i++)
        n += write_entry(pool, out + n, chunk->first_serial + i, nanos + i, &sender);
    return n;
}

static size_t write_options(const struct load_chunk *chunk, uint8_t *out)
{
    bool sized = chunk->mode != LOAD_MESSAGE;
    bool gzip = chunk->mode == LOAD_GZIP;
    size_t n = 0;

    out[n++] = (uint8_t)(0x80 + sized + gzip + (chunk->id != NULL));
    if (chunk->id != NULL) {
        n += put_string(out + n, "chunk", 5);
        n += put_string(out + n, chunk->id, LOAD_CHUNK_ID_BYTES);
    }
    if (sized) {
        n += put_string(out + n, "size", 4);
        out[n++] = 0xce;
        bytes_put_be32(out + n, chunk->records);
        n += 4;
    }
    if (gzip) {
        n += put_string(out + n, "compressed", 10);
        n += put_string(out + n, "gzip", 4);
    }
    return n;
}

/* Compresses the entries into out. ISA-L's level 1: the generator must stay cheap. */
static int write_gzip(struct load_pool *pool, const struct load_chunk *chunk, uint8_t *out,
                      size_t *ret_bytes)
{
    size_t need = (size_t)chunk->records * LOAD_RECORD_MAX;

    if (pool->plain_bytes < need) {
        uint8_t *plain = realloc(pool->plain, need);

        if (plain == NULL)
            return -ENOMEM;
        pool->plain = plain;
        pool->plain_bytes = need;
    }
    isal_deflate_init(&pool->stream);
    pool->stream.level = 1;
    pool->stream.level_buf = pool->level_buf;
    pool->stream.level_buf_size = sizeof(pool->level_buf);
    pool->stream.gzip_flag = IGZIP_GZIP;
    pool->stream.end_of_stream = 1;
    pool->stream.flush = NO_FLUSH;
    pool->stream.next_in = pool->plain;
    pool->stream.avail_in = (uint32_t)write_entries(pool, chunk, pool->plain);
    pool->stream.next_out = out;
    pool->stream.avail_out = (uint32_t)need;
    if (isal_deflate(&pool->stream) != COMP_OK || pool->stream.internal_state.state != ZSTATE_END)
        return -EIO;
    *ret_bytes = pool->stream.total_out;
    return 0;
}

size_t load_chunk_bound(uint32_t records, const char *tag)
{
    return (size_t)records * LOAD_RECORD_MAX + strlen(tag) + 256;
}

int load_chunk_write(struct load_pool *pool, const struct load_chunk *chunk, uint8_t *out,
                     size_t *ret_bytes)
{
    size_t n = 0;
    size_t body;
    size_t head;
    int r;

    out[n++] = chunk->mode == LOAD_MESSAGE ? 0x94 : 0x93;
    n += put_string(out + n, chunk->tag, strlen(chunk->tag));
    if (chunk->mode == LOAD_MESSAGE) {
        /* A message is an entry without its array head, which the option's place follows. */
        uint8_t entry[LOAD_RECORD_MAX];

        body = write_entries(pool, chunk, entry) - 1;
        memcpy(out + n, entry + 1, body);
        n += body;
    } else {
        head = n;
        n += 5;
        body = 0;
        if (chunk->mode == LOAD_GZIP) {
            r = write_gzip(pool, chunk, out + n, &body);
            if (r < 0)
                return r;
        } else {
            body = write_entries(pool, chunk, out + n);
        }
        n += body;
        out[head] = chunk->mode == LOAD_FORWARD ? 0xdd : 0xc6;
        bytes_put_be32(out + head + 1,
                       chunk->mode == LOAD_FORWARD ? chunk->records : (uint32_t)body);
    }
    n += write_options(chunk, out + n);
    *ret_bytes = n;
    return 0;
}
