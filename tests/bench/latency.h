/*
 * latency: a histogram of durations, for percentiles.
 *
 * Log-linear: every power of two of nanoseconds is cut into 64 equal steps, so a percentile is
 * wrong by less than 1.6 % whatever its size, and a run of millions costs no more memory than one
 * of ten. A struct latency is plain data: all zero is empty, nothing is to be freed.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stddef.h>
#include <stdint.h>

enum {
    LATENCY_STEP_BITS = 6,
    LATENCY_STEPS = 1 << LATENCY_STEP_BITS,
    LATENCY_BUCKETS = 40 * LATENCY_STEPS, /* up to 2^45 ns, nine hours */
};

struct latency {
    uint64_t total;
    uint64_t count[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, int64_t duration_ns);

/* The duration that `share` (0 to 1) of all stay under, in microseconds; 0 when there are none. */
double latency_percentile_us(const struct latency *latency, double share);

#endif
