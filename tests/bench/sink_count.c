#include "tests/bench/sink_count.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define SERIALS (1ull << 32)
#define RANGES_SHOWN 100

int sink_count_init(struct sink_count *count)
{
    count->map = mmap(NULL, SERIALS / 8, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (count->map == MAP_FAILED) {
        count->map = NULL;
        return -errno;
    }
    return 0;
}

void sink_count_fini(struct sink_count *count)
{
    if (count->map != NULL)
        munmap(count->map, SERIALS / 8);
    count->map = NULL;
}

static bool is_seen(const struct sink_count *count, uint64_t serial)
{
    return (count->map[serial / 64] >> (serial % 64) & 1) != 0;
}

void sink_count_expect(struct sink_count *count, uint64_t expected)
{
    uint64_t serial;

    if (expected > SERIALS - count->first_serial)
        expected = SERIALS - count->first_serial;
    count->expected = expected;
    count->unique_expected = 0;
    for (serial = count->first_serial; serial < count->first_serial + expected; serial++)
        count->unique_expected += is_seen(count, serial);
}

static void add_one(struct sink_count *count, const struct sink_seen *seen, uint64_t now_ns)
{
    if (seen->sent_ns > now_ns)
        count->from_the_future++;
    hist_add(&count->delivery, seen->sent_ns <= now_ns ? now_ns - seen->sent_ns : 0, 1);
    if (!seen->has_seq || seen->seq >= SERIALS) {
        count->without_seq++;
        return;
    }
    if (is_seen(count, seen->seq)) {
        if (count->duplicates < SINK_DUPLICATES_SHOWN)
            count->shown_duplicates[count->duplicates] = seen->seq;
        count->duplicates++;
        return;
    }
    count->map[seen->seq / 64] |= 1ull << (seen->seq % 64);
    count->unique++;
    if (seen->seq - count->first_serial < count->expected)
        count->unique_expected++;
}

void sink_count_add(struct sink_count *count, const struct sink_walk *walk, uint64_t now_ns)
{
    size_t i;

    for (i = 0; i < walk->records; i++)
        add_one(count, &walk->seen[i], now_ns);
    count->records += walk->records;
    count->totals.attributes += walk->attributes;
    count->totals.no_body += walk->no_body;
    count->totals.no_time += walk->no_time;
    count->totals.bad_severity += walk->bad_severity;
    count->totals.bad_trace_id += walk->bad_trace_id;
    count->totals.trace_id_differs += walk->trace_id_differs;
    count->totals.unknown_fields += walk->unknown_fields;
    if (count->first_ns == 0)
        count->first_ns = now_ns;
    count->last_ns = now_ns;
}

static void write_missing(const struct sink_count *count, FILE *out)
{
    uint64_t end = count->first_serial + count->expected;
    uint64_t serial = count->first_serial;
    unsigned shown = 0;

    fprintf(out, "\"missing\":%llu,\"missing_ranges\":[",
            (unsigned long long)(count->expected - count->unique_expected));
    while (serial < end && shown < RANGES_SHOWN) {
        uint64_t from;

        while (serial < end && is_seen(count, serial))
            serial++;
        from = serial;
        while (serial < end && !is_seen(count, serial))
            serial++;
        if (serial > from)
            fprintf(out, "%s[%llu,%llu]", shown++ > 0 ? "," : "", (unsigned long long)from,
                    (unsigned long long)(serial - from));
    }
    fputs("],", out);
}

static void write_number(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

/* The reason, with what JSON minds replaced: it is for a human's eye only. */
static void write_reason(const struct sink_count *count, FILE *out)
{
    const char *p;

    fputs("\"bad_reason\":\"", out);
    for (p = count->bad_reason; *p != '\0'; p++)
        fputc(*p == '"' || *p == '\\' || (unsigned char)*p < 0x20 ? '?' : *p, out);
    fputs("\",", out);
}

void sink_count_write_json(const struct sink_count *count, FILE *out)
{
    double records = count->records > 0 ? (double)count->records : 1;
    struct rusage usage;
    uint64_t i;

    getrusage(RUSAGE_SELF, &usage);
    fputc('{', out);
    write_number(out, "requests", count->requests);
    write_number(out, "accepted", count->accepted);
    write_number(out, "failed", count->failed);
    write_number(out, "bad", count->bad);
    write_reason(count, out);
    write_number(out, "body_bytes", count->body_bytes);
    write_number(out, "plain_bytes", count->plain_bytes);
    write_number(out, "many_members", count->many_members);
    write_number(out, "records", count->records);
    write_number(out, "unique", count->unique);
    write_number(out, "expected", count->expected);
    write_number(out, "unique_expected", count->unique_expected);
    write_number(out, "duplicates", count->duplicates);
    fputs("\"first_duplicates\":[", out);
    for (i = 0; i < count->duplicates && i < SINK_DUPLICATES_SHOWN; i++)
        fprintf(out, "%s%llu", i > 0 ? "," : "", (unsigned long long)count->shown_duplicates[i]);
    fputs("],", out);
    write_missing(count, out);
    write_number(out, "without_seq", count->without_seq);
    write_number(out, "without_body", count->totals.no_body);
    write_number(out, "without_time", count->totals.no_time);
    write_number(out, "bad_severity", count->totals.bad_severity);
    write_number(out, "bad_trace_id", count->totals.bad_trace_id);
    write_number(out, "trace_id_differs", count->totals.trace_id_differs);
    write_number(out, "from_the_future", count->from_the_future);
    write_number(out, "unknown_fields", count->totals.unknown_fields);
    write_number(out, "first_ns", count->first_ns);
    write_number(out, "last_ns", count->last_ns);
    fprintf(out, "\"attributes_per_record\":%.2f,\"cpu_ns_per_record\":%.1f,",
            (double)count->totals.attributes / records,
            ((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3) /
                records);
    fputs("\"delivery_us\":", out);
    hist_write_json(&count->delivery, out);
    fputs("}\n", out);
}
