/* Members come by command alone. */
#include "discovery/strategies.h"

#include <stdlib.h>
#include <string.h>

static void *open_manual(const struct discovery_options *options) {
    struct discovery_options *own = malloc(sizeof *own);
    if (own != NULL)
        *own = *options;
    return own;
}

static void discover(void *state) {
    const struct discovery_options *options = state;
    const struct discovery_result nothing = {.count = 0};
    options->done(options->done_context, &nothing);
}

const struct discovery_strategy discovery_manual = {
    .name = "manual",
    .open = open_manual,
    .close = free,
    .discover = discover,
};
