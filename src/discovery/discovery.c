#include "discovery/strategies.h"

#include <string.h>

#define SEPARATORS ", \t"

const char *const discovery_names[] = {"manual", "static", NULL};

static const struct discovery_strategy *const strategies[] = {
    [DISCOVERY_MANUAL] = &discovery_manual,
    [DISCOVERY_STATIC] = &discovery_static,
};

const struct discovery_strategy *discovery_strategy(enum discovery_kind kind) {
    return strategies[kind];
}

bool discovery_next_item(const char **list, char *item, size_t size) {
    const char *at = *list + strspn(*list, SEPARATORS);
    size_t len = strcspn(at, SEPARATORS);
    size_t kept = len < size ? len : size - 1;
    memcpy(item, at, kept);
    item[kept] = '\0';
    *list = at + len;
    return len > 0;
}
