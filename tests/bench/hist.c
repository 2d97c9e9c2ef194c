#include "tests/bench/hist.h"

static unsigned bucket_of(uint64_t value)
{
    unsigned top;

    if (value < (1u << HIST_SUB_BITS))
        return (unsigned)value;
    top = 63 - (unsigned)__builtin_clzll(value);
    return ((top - HIST_SUB_BITS + 1) << HIST_SUB_BITS) +
           (unsigned)((value >> (top - HIST_SUB_BITS)) & ((1u << HIST_SUB_BITS) - 1));
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    unsigned shift;
    uint64_t low;

    if (bucket < (2u << HIST_SUB_BITS))
        return bucket;
    shift = (bucket >> HIST_SUB_BITS) - 1;
    low = (uint64_t)((1u << HIST_SUB_BITS) | (bucket & ((1u << HIST_SUB_BITS) - 1))) << shift;
    return low + ((1ull << shift) - 1);
}

void hist_add(struct hist *hist, uint64_t value, uint64_t times)
{
    hist->counts[bucket_of(value)] += times;
    hist->n += times;
    hist->sum += value * times;
    if (value > hist->max)
        hist->max = value;
}

uint64_t hist_percentile(const struct hist *hist, double share)
{
    uint64_t wanted = (uint64_t)((double)hist->n * share + 0.5);
    uint64_t seen = 0;
    unsigned i;

    if (hist->n == 0)
        return 0;
    if (wanted == 0)
        wanted = 1;
    for (i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->counts[i];
        if (seen >= wanted)
            return bucket_top(i) < hist->max ? bucket_top(i) : hist->max;
    }
    return hist->max;
}

void hist_write_json(const struct hist *hist, FILE *out)
{
    fprintf(out,
            "{\"count\":%llu,\"mean\":%.1f,\"p50\":%.1f,\"p95\":%.1f,\"p99\":%.1f,\"p999\":%.1f,"
            "\"max\":%.1f}",
            (unsigned long long)hist->n,
            hist->n > 0 ? (double)hist->sum / (double)hist->n / 1e3 : 0.0,
            (double)hist_percentile(hist, 0.50) / 1e3, (double)hist_percentile(hist, 0.95) / 1e3,
            (double)hist_percentile(hist, 0.99) / 1e3, (double)hist_percentile(hist, 0.999) / 1e3,
            (double)hist->max / 1e3);
}
