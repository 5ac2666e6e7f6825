/* Runs the scenarios: who is there, what happens, what must hold then. */
#include "scenarios.h"

#include "scenario_tools.h"

#include <stdio.h>
#include <string.h>

static bool run(const struct scenario *scenario) {
    broken = NULL;
    world = NULL;
    scenario->run();
    if (world != NULL && world->failed && broken == NULL)
        broken = world->violation;
    bool good = broken == NULL;
    if (!good) {
        char why[256] = "";
        oracle_agreed(world, why, sizeof why);
        printf("%s: not so: %s (%s)\n", scenario->name, broken, why);
    }
    world_free(world);
    return good;
}

static void run_all(const struct scenario *scenarios, const char *name, uint64_t *passed,
                    uint64_t *failed) {
    for (; scenarios->name != NULL; scenarios++) {
        if (name != NULL && strcmp(name, scenarios->name) != 0)
            continue;
        if (run(scenarios))
            (*passed)++;
        else
            (*failed)++;
    }
}

void scenarios_run(const char *name, uint64_t *passed, uint64_t *failed) {
    tracing = name != NULL;
    run_all(membership_scenarios, name, passed, failed);
    run_all(failure_scenarios, name, passed, failed);
    run_all(hostile_scenarios, name, passed, failed);
}
