#include "discovery/strategies.h"

const char *const discovery_names[] = {"manual", "static", NULL};

static const struct discovery_strategy *const strategies[] = {
    [DISCOVERY_STATIC] = &discovery_static,
};

const struct discovery_strategy *discovery_strategy(enum discovery_kind kind) {
    return strategies[kind];
}
