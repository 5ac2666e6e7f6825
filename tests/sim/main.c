/*
 * The simulator's program.
 *
 *   sim [--seeds N] [--first S]   the scenarios, then N seeds (--seeds-only: no scenarios)
 *   sim --trace SEED              one of them, printed line by line
 *   sim --scenarios [NAME]        the scenarios alone, or one of them with its trace
 *   sim --scale N                 one cluster of N members
 */
#include "chaos.h"
#include "scenarios.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct tally {
    uint64_t passed, failed, steps;
    int64_t longest_ms;
};

static void progress(const struct tally *tally, double since) {
    double took = seconds() - since;
    fprintf(stderr, "\r%" PRIu64 " seeds, %" PRIu64 " failed, %.0f seeds/s",
            tally->passed + tally->failed, tally->failed,
            (double)(tally->passed + tally->failed) / (took > 0 ? took : 1));
}

static void run_seeds(uint64_t first, uint64_t count, uint64_t stop_after, struct tally *tally) {
    double since = seconds();
    for (uint64_t seed = first; seed < first + count && tally->failed < stop_after; seed++) {
        struct chaos_result result = chaos_run(seed, false);
        tally->steps += result.steps;
        if (result.settled_ms > tally->longest_ms)
            tally->longest_ms = result.settled_ms;
        if (result.passed) {
            tally->passed++;
        } else {
            tally->failed++;
            printf("seed %" PRIu64 " failed: %s\n  to see it: sim --trace %" PRIu64 "\n", seed,
                   result.violation, seed);
            fflush(stdout);
        }
        if ((seed - first) % 100 == 99)
            progress(tally, since);
    }
    progress(tally, since);
    fprintf(stderr, "\n");
    printf("%" PRIu64 " events; the slowest agreed %.1f s after its last fault\n", tally->steps,
           (double)tally->longest_ms / 1000);
}

static uint64_t number(const char *text) {
    return strtoull(text, NULL, 10);
}

int main(int argc, char **argv) {
    uint64_t seeds = 0, first = 1, stop_after = 20;
    bool scenarios = argc == 1;
    bool seeds_only = false;
    const char *scenario = NULL;
    struct tally tally = {0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0 && value != NULL) {
            seeds = number(argv[++i]);
            scenarios = true;
        } else if (strcmp(argv[i], "--seeds-only") == 0) {
            seeds_only = true;
        } else if (strcmp(argv[i], "--first") == 0 && value != NULL) {
            first = number(argv[++i]);
        } else if (strcmp(argv[i], "--stop-after") == 0 && value != NULL) {
            stop_after = number(argv[++i]);
        } else if (strcmp(argv[i], "--trace") == 0 && value != NULL) {
            struct chaos_result result = chaos_run(number(argv[++i]), true);
            printf("%s\n", result.passed ? "passed" : result.violation);
            return result.passed ? 0 : 1;
        } else if (strcmp(argv[i], "--scenarios") == 0) {
            scenarios = true;
            scenario = value;
            i += value != NULL;
        } else if (strcmp(argv[i], "--scale") == 0 && value != NULL) {
            return scale_run((int)number(argv[++i]));
        } else {
            fprintf(stderr,
                    "usage: sim [--seeds N] [--first S] [--stop-after FAILURES] | --trace SEED "
                    "| --scenarios [NAME] | --scale N\n");
            return 2;
        }
    }
    if (scenarios && !seeds_only)
        scenarios_run(scenario, &tally.passed, &tally.failed);
    if (seeds > 0 && tally.failed == 0)
        run_seeds(first, seeds, stop_after, &tally);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", tally.passed, tally.failed);
    return tally.failed == 0 ? 0 : 1;
}
