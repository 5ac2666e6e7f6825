/* A set of ports, a bit each, that can be walked in order. All zero: empty. */
#ifndef PORTOLAN_BASE_PORT_SET_H
#define PORTOLAN_BASE_PORT_SET_H

#include <stdint.h>

struct port_set {
    uint64_t words[(UINT16_MAX + 1) / 64];
};

void port_set_add(struct port_set *set, uint16_t port);
void port_set_remove(struct port_set *set, uint16_t port);

/* The lowest port of the set from `port` on; over 65,535: there is none. */
uint32_t port_set_next(const struct port_set *set, uint32_t port);

#endif
