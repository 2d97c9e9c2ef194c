/*
 * forward_load: load over the Fluent Forward protocol, with figures. See --help.
 *
 * One thread on one epoll descriptor. As fast as possible, each connection makes a chunk when its
 * socket has taken the one before and its window is open; under --rate chunks are due at even
 * intervals and go to the next connection with room. Exits 0 when everything was sent (and, with
 * acks, acknowledged), 1 otherwise, 64 for a wrong option.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "tests/bench/load_conn.h"

#define EVENTS_MAX 64
#define TICK_NS (20 * NS_PER_MS)
/* A generator that was held up makes up for at most so much of its schedule. */
#define CATCH_UP_NS (1 * NS_PER_S)
#define STOP_GRACE_NS (5 * NS_PER_S)

struct pace {
    uint64_t start_ns;
    uint64_t end_ns; /* 0: none */
    uint64_t next_ns;
    uint64_t step_ns;
    uint64_t skipped_ns;
    uint64_t behind_max_ns;
    unsigned next_conn;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static const char usage[] =
    "Usage: forward_load [options]\n"
    "  --host HOST           (127.0.0.1)\n"
    "  --port PORT           (24224)\n"
    "  --connections N       (1)\n"
    "  --chunk RECORDS       records per chunk (1000); 1 in message mode\n"
    "  --mode MODE           message, forward, packed or gzip (packed)\n"
    "  --window CHUNKS       unacknowledged chunks per connection; 0: no acks (4)\n"
    "  --rate RECORDS        per second over all connections; 0: as fast as possible (0)\n"
    "  --records N           stop after so many\n"
    "  --seconds S           stop after so long\n"
    "  --first-serial N      the first record's seq (1)\n"
    "  --shared-key KEY      do the handshake\n"
    "  --tag TAG             (bench.app)\n"
    "  --retry               resend over a new connection what a broken one left unacknowledged\n"
    "  --ack-timeout S       a connection whose ack takes longer is broken off (60)\n"
    "  --give-up S           end when nothing was written or acknowledged for so long (120)\n"
    "  --sent-ns             an 11th field with the time of sending\n"
    "  --seed N              of the records' content (1)\n"
    "  --job-records N       lines that share a trace id and a job id (16); 1: none do\n"
    "  --machines N          machines whose lines are in one chunk (1)\n"
    "  --report FILE         write the figures as JSON\n";

static uint64_t number(const char *text, const char *option, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v < min || v > max) {
        fprintf(stderr, "forward_load: --%s: \"%s\" is not a number from %llu to %llu\n", option,
                text, (unsigned long long)min, (unsigned long long)max);
        exit(64);
    }
    return v;
}

static enum load_mode mode_of(const char *word)
{
    static const char *const words[] = {"message", "forward", "packed", "gzip"};
    unsigned i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) == 0)
            return (enum load_mode)i;
    }
    fprintf(stderr, "forward_load: --mode: message, forward, packed or gzip\n");
    exit(64);
}

enum option_id {
    OPT_HOST,
    OPT_PORT,
    OPT_CONNECTIONS,
    OPT_CHUNK,
    OPT_MODE,
    OPT_WINDOW,
    OPT_RATE,
    OPT_RECORDS,
    OPT_SECONDS,
    OPT_FIRST_SERIAL,
    OPT_SHARED_KEY,
    OPT_TAG,
    OPT_RETRY,
    OPT_ACK_TIMEOUT,
    OPT_GIVE_UP,
    OPT_SENT_NS,
    OPT_SEED,
    OPT_JOB_RECORDS,
    OPT_MACHINES,
    OPT_REPORT,
    OPT_HELP
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"chunk", required_argument, NULL, OPT_CHUNK},
    {"mode", required_argument, NULL, OPT_MODE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"rate", required_argument, NULL, OPT_RATE},
    {"records", required_argument, NULL, OPT_RECORDS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"first-serial", required_argument, NULL, OPT_FIRST_SERIAL},
    {"shared-key", required_argument, NULL, OPT_SHARED_KEY},
    {"tag", required_argument, NULL, OPT_TAG},
    {"retry", no_argument, NULL, OPT_RETRY},
    {"ack-timeout", required_argument, NULL, OPT_ACK_TIMEOUT},
    {"give-up", required_argument, NULL, OPT_GIVE_UP},
    {"sent-ns", no_argument, NULL, OPT_SENT_NS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"job-records", required_argument, NULL, OPT_JOB_RECORDS},
    {"machines", required_argument, NULL, OPT_MACHINES},
    {"report", required_argument, NULL, OPT_REPORT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* One option. Returns false for an unknown one. */
static bool set_option(struct load_options *options, int id, const char *name)
{
    switch (id) {
    case OPT_HOST:
        options->host = optarg;
        break;
    case OPT_PORT:
        options->port = optarg;
        break;
    case OPT_CONNECTIONS:
        options->connections = (unsigned)number(optarg, name, 1, 10000);
        break;
    case OPT_CHUNK:
        options->chunk = (unsigned)number(optarg, name, 1, 1000000);
        break;
    case OPT_MODE:
        options->mode = mode_of(optarg);
        break;
    case OPT_WINDOW:
        options->window = (unsigned)number(optarg, name, 0, 65535);
        break;
    case OPT_RATE:
        options->rate = number(optarg, name, 0, 1000000000);
        break;
    case OPT_RECORDS:
        options->records = number(optarg, name, 1, UINT32_MAX);
        break;
    case OPT_SECONDS:
        options->seconds = number(optarg, name, 1, 1000000);
        break;
    case OPT_FIRST_SERIAL:
        options->first_serial = number(optarg, name, 0, UINT32_MAX);
        break;
    case OPT_SHARED_KEY:
        options->shared_key = optarg;
        break;
    case OPT_TAG:
        options->tag = optarg;
        break;
    case OPT_RETRY:
        options->retry = true;
        break;
    case OPT_ACK_TIMEOUT:
        options->ack_timeout_s = (unsigned)number(optarg, name, 1, 86400);
        break;
    case OPT_GIVE_UP:
        options->give_up_s = (unsigned)number(optarg, name, 1, 86400);
        break;
    case OPT_SENT_NS:
        options->kind.with_sent_ns = true;
        break;
    case OPT_SEED:
        options->seed = number(optarg, name, 0, UINT64_MAX);
        break;
    case OPT_JOB_RECORDS:
        options->kind.job_records = (uint32_t)number(optarg, name, 1, UINT32_MAX);
        break;
    case OPT_MACHINES:
        options->kind.machines = (uint32_t)number(optarg, name, 1, 64);
        break;
    case OPT_REPORT:
        options->report = optarg;
        break;
    case OPT_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        return false;
    }
    return true;
}

static void parse_options(int argc, char **argv, struct load_options *options)
{
    int index = 0;
    int id;

    while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (!set_option(options, id, id == '?' ? "" : long_options[index].name)) {
            fputs(usage, stderr);
            exit(64);
        }
    }
    if (optind < argc || (options->records == 0 && options->seconds == 0)) {
        fputs(optind < argc ? usage : "forward_load: --records or --seconds is needed\n", stderr);
        exit(64);
    }
    if (options->first_serial + options->records > UINT32_MAX || strlen(options->tag) > 200) {
        fputs("forward_load: serials are 32 bits wide, a tag has up to 200 bytes\n", stderr);
        exit(64);
    }
    if (options->mode == LOAD_MESSAGE)
        options->chunk = 1;
}

static int resolve(struct load_run *run)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int r = getaddrinfo(run->options.host, run->options.port, &hints, &run->address);

    if (r != 0)
        fprintf(stderr, "forward_load: %s: %s\n", run->options.host, gai_strerror(r));
    return r == 0 ? 0 : -EHOSTUNREACH;
}

static struct load_conn *with_room(struct load_conn **conns, unsigned count, unsigned *next)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        struct load_conn *conn = conns[(*next + i) % count];

        if (load_conn_has_room(conn)) {
            *next = (*next + i + 1) % count;
            return conn;
        }
    }
    return NULL;
}

/* Makes all chunks that are due. Returns when to come back: UINT64_MAX where no window is open. */
static uint64_t produce_due(struct load_run *run, struct load_conn **conns, struct pace *pace,
                            uint64_t now_ns)
{
    while (run->producing && now_ns >= pace->next_ns) {
        struct load_conn *conn = with_room(conns, run->options.connections, &pace->next_conn);
        uint64_t behind_ns = now_ns - pace->next_ns;

        if (behind_ns > pace->behind_max_ns)
            pace->behind_max_ns = behind_ns;
        if (behind_ns > CATCH_UP_NS) {
            pace->skipped_ns += behind_ns - CATCH_UP_NS;
            pace->next_ns = now_ns - CATCH_UP_NS;
        }
        if (conn == NULL)
            return UINT64_MAX;
        load_conn_produce(conn, pace->next_ns);
        pace->next_ns += pace->step_ns;
    }
    return run->producing ? pace->next_ns : UINT64_MAX;
}

static bool all_done(const struct load_run *run, struct load_conn **conns)
{
    unsigned i;

    for (i = 0; i < run->options.connections; i++) {
        if (!load_conn_is_done(conns[i]))
            return false;
    }
    return true;
}

static void wait_events(struct load_run *run, uint64_t now_ns, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                               .tv_nsec = (long)(wait_ns % NS_PER_S)};
    int n = epoll_pwait2(run->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
    int i;

    for (i = 0; i < n; i++)
        load_conn_event(events[i].data.ptr, events[i].events);
}

/* Whether the run is over: by its own measure, by a signal, or because nothing moves. */
static bool is_over(struct load_run *run, struct load_conn **conns, struct pace *pace,
                    uint64_t now_ns)
{
    if (run->producing && ((pace->end_ns != 0 && now_ns >= pace->end_ns) || stop_asked)) {
        run->producing = false;
        pace->end_ns = now_ns;
    }
    if (stop_asked && now_ns > pace->end_ns + STOP_GRACE_NS)
        return true;
    if (now_ns > run->stats.last_progress_ns + run->options.give_up_s * NS_PER_S) {
        fputs("forward_load: nothing moves; giving up\n", stderr);
        return true;
    }
    return all_done(run, conns);
}

static void loop(struct load_run *run, struct load_conn **conns, struct pace *pace)
{
    uint64_t next_tick_ns = 0;
    unsigned i;

    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t until_ns = UINT64_MAX;

        if (run->options.rate > 0)
            until_ns = produce_due(run, conns, pace, now_ns);
        if (now_ns >= next_tick_ns) {
            for (i = 0; i < run->options.connections; i++)
                load_conn_tick(conns[i], now_ns);
            next_tick_ns = now_ns + TICK_NS;
        }
        if (is_over(run, conns, pace, now_ns))
            return;
        wait_events(run, now_ns, until_ns < next_tick_ns ? until_ns : next_tick_ns);
    }
}

static double cpu_ns(const struct timeval *tv)
{
    return (double)tv->tv_sec * 1e9 + (double)tv->tv_usec * 1e3;
}

static void write_report(const struct load_run *run, struct load_conn **conns,
                         const struct pace *pace, double seconds, FILE *out)
{
    const struct load_stats *stats = &run->stats;
    double records = stats->records_sent > 0 ? (double)stats->records_sent : 1;
    struct rusage usage_now;
    bool is_first = true;
    unsigned i;

    getrusage(RUSAGE_SELF, &usage_now);
    fprintf(out, "{\"seconds\":%.3f,\"records_sent\":%llu,\"records_acked\":%llu,", seconds,
            (unsigned long long)stats->records_sent, (unsigned long long)stats->records_acked);
    fprintf(out, "\"chunks_sent\":%llu,\"chunks_acked\":%llu,\"chunks_resent\":%llu,",
            (unsigned long long)stats->chunks_sent, (unsigned long long)stats->chunks_acked,
            (unsigned long long)stats->chunks_resent);
    fprintf(out, "\"broken_connections\":%llu,\"reconnects\":%llu,\"unknown_acks\":%llu,",
            (unsigned long long)stats->broken, (unsigned long long)stats->reconnects,
            (unsigned long long)stats->unknown_acks);
    fprintf(out, "\"records_per_second\":%.0f,\"bytes\":%llu,\"bytes_per_record\":%.1f,",
            (double)stats->records_sent / seconds, (unsigned long long)stats->bytes,
            (double)stats->bytes / records);
    fprintf(out, "\"user_ns_per_record\":%.1f,\"system_ns_per_record\":%.1f,",
            cpu_ns(&usage_now.ru_utime) / records, cpu_ns(&usage_now.ru_stime) / records);
    fprintf(out, "\"behind_max_ms\":%.3f,\"skipped_ms\":%.3f,", (double)pace->behind_max_ns / 1e6,
            (double)pace->skipped_ns / 1e6);
    fprintf(out, "\"first_serial\":%llu,\"next_serial\":%llu,",
            (unsigned long long)run->options.first_serial, (unsigned long long)run->next_serial);
    fputs("\"ack_us\":", out);
    hist_write_json(&stats->ack, out);
    fputs(",\"ack_due_us\":", out);
    hist_write_json(&stats->ack_due, out);
    fputs(",\"unacked\":[", out);
    for (i = 0; i < run->options.connections; i++)
        load_conn_write_unacked(conns[i], out, &is_first);
    fputs("]}\n", out);
}

static int report(const struct load_run *run, struct load_conn **conns, const struct pace *pace)
{
    double seconds = (double)(clock_monotonic_ns() - pace->start_ns) / 1e9;
    FILE *out;

    printf("sent %llu records in %.2f s (%.0f/s), acknowledged %llu, resent %llu chunks, "
           "ack P50 %.2f ms, P99 %.2f ms\n",
           (unsigned long long)run->stats.records_sent, seconds,
           (double)run->stats.records_sent / seconds, (unsigned long long)run->stats.records_acked,
           (unsigned long long)run->stats.chunks_resent,
           (double)hist_percentile(&run->stats.ack, 0.5) / 1e6,
           (double)hist_percentile(&run->stats.ack, 0.99) / 1e6);
    if (run->options.report == NULL)
        return 0;
    out = fopen(run->options.report, "we");
    if (out == NULL) {
        fprintf(stderr, "forward_load: %s: %s\n", run->options.report, strerror(errno));
        return -errno;
    }
    write_report(run, conns, pace, seconds, out);
    return fclose(out) == 0 ? 0 : -EIO;
}

static int run_load(struct load_run *run, struct load_conn **conns)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct pace pace = {.start_ns = now_ns, .next_ns = now_ns};
    unsigned i;
    int r = 0;

    if (run->options.seconds > 0)
        pace.end_ns = now_ns + run->options.seconds * NS_PER_S;
    if (run->options.rate > 0)
        pace.step_ns = run->options.chunk * NS_PER_S / run->options.rate;
    if (pace.step_ns == 0)
        pace.step_ns = 1;
    run->stats.last_progress_ns = now_ns;
    for (i = 0; i < run->options.connections && r == 0; i++)
        r = load_conn_new(run, &conns[i]);
    if (r < 0) {
        fprintf(stderr, "forward_load: cannot make a connection: %s\n", strerror(-r));
        return r;
    }
    loop(run, conns, &pace);
    r = report(run, conns, &pace);
    for (i = 0; i < run->options.connections; i++) {
        if (!load_conn_is_done(conns[i]))
            r = -EIO;
    }
    if (!run->options.retry && run->stats.broken > 0)
        r = -EIO;
    return r;
}

int main(int argc, char **argv)
{
    static struct load_run run = {
        .options = {.host = "127.0.0.1",
                    .port = "24224",
                    .tag = "bench.app",
                    .mode = LOAD_PACKED,
                    .connections = 1,
                    .chunk = 1000,
                    .window = 4,
                    .first_serial = 1,
                    .seed = 1,
                    .kind = {.job_records = 16, .machines = 1},
                    .ack_timeout_s = 60,
                    .give_up_s = 120},
        .producing = true,
    };
    struct sigaction action = {.sa_handler = on_signal};
    struct load_conn **conns;
    unsigned i;
    int r;

    parse_options(argc, argv, &run.options);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_TIMERSLACK, 1ul);
    run.next_serial = run.options.first_serial;
    run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(run.options.connections, sizeof(conns[0]));
    if (run.epoll_fd < 0 || conns == NULL || resolve(&run) < 0 ||
        getrandom(&run.run_id, sizeof(run.run_id), 0) != sizeof(run.run_id) ||
        load_pool_new(run.options.seed, &run.options.kind, &run.pool) < 0) {
        fputs("forward_load: cannot start\n", stderr);
        return 1;
    }
    r = run_load(&run, conns);
    for (i = 0; i < run.options.connections; i++)
        load_conn_free(&conns[i]);
    free(conns);
    load_pool_free(&run.pool);
    freeaddrinfo(run.address);
    close(run.epoll_fd);
    return r < 0 ? 1 : 0;
}
