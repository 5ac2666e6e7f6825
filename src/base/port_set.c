#include "base/port_set.h"

void port_set_add(struct port_set *set, uint16_t port) {
    set->words[port / 64] |= UINT64_C(1) << port % 64;
}

void port_set_remove(struct port_set *set, uint16_t port) {
    set->words[port / 64] &= ~(UINT64_C(1) << port % 64);
}

uint32_t port_set_next(const struct port_set *set, uint32_t port) {
    while (port <= UINT16_MAX) {
        uint64_t rest = set->words[port / 64] >> port % 64;
        if (rest != 0)
            return port + (uint32_t)__builtin_ctzll(rest);
        port = (port / 64 + 1) * 64;
    }
    return port;
}
