/* Members are those of a list, cluster.static.seeds. */
#include "base/comma_list.h"
#include "discovery/strategies.h"

#include <stdlib.h>
#include <string.h>

struct seeds {
    struct discovery_options options;
    size_t count;
    const char *names[DISCOVERY_NAMES_MAX];
    char texts[DISCOVERY_NAMES_MAX][DISCOVERY_NAME_SIZE];
};

static void *open_static(const struct discovery_options *options) {
    struct seeds *seeds = calloc(1, sizeof *seeds);
    const char *list = options->seeds;
    if (seeds == NULL)
        return NULL;
    seeds->options = *options;
    while (seeds->count < DISCOVERY_NAMES_MAX &&
           comma_list_next(&list, seeds->texts[seeds->count], DISCOVERY_NAME_SIZE)) {
        seeds->names[seeds->count] = seeds->texts[seeds->count];
        seeds->count++;
    }
    return seeds;
}

static void discover(void *state) {
    const struct seeds *seeds = state;
    const struct discovery_result all = {.names = seeds->names, .count = seeds->count};
    seeds->options.done(seeds->options.done_context, &all);
}

const struct discovery_strategy discovery_static = {
    .name = "static",
    .open = open_static,
    .close = free,
    .discover = discover,
};
