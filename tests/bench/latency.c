#include "latency.h"

/* Durations under LATENCY_STEPS ns have a bucket each; above, the top bits choose the bucket. */
static size_t bucket_of(uint64_t ns) {
    size_t top = ns < LATENCY_STEPS ? LATENCY_STEP_BITS : 63U - (size_t)__builtin_clzll(ns);
    size_t shift = top - LATENCY_STEP_BITS;
    size_t bucket = shift * LATENCY_STEPS + (size_t)(ns >> shift);

    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static double middle_of(size_t bucket) {
    size_t shift = bucket < 2 * LATENCY_STEPS ? 0 : bucket / LATENCY_STEPS - 1;
    uint64_t low = (uint64_t)(bucket - shift * LATENCY_STEPS) << shift;

    return (double)low + (double)((uint64_t)1 << shift) / 2;
}

void latency_add(struct latency *latency, int64_t duration_ns) {
    latency->count[bucket_of(duration_ns > 0 ? (uint64_t)duration_ns : 0)]++;
    latency->total++;
}

double latency_percentile_us(const struct latency *latency, double share) {
    double wanted = share * (double)latency->total;
    uint64_t seen = 0;

    if (latency->total == 0)
        return 0;
    for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        seen += latency->count[bucket];
        if (seen > 0 && (double)seen >= wanted)
            return middle_of(bucket) / 1000;
    }
    return 0;
}
