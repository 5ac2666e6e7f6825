/* Random lives of small clusters, each decided by its seed alone. */
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H

#include "world.h"

struct chaos_result {
    bool passed;
    char violation[512];
    uint64_t steps, frames;
    int64_t settled_ms; /* how long after the last fault all agreed */
};

struct chaos_result chaos_run(uint64_t seed, bool tracing);

#endif
