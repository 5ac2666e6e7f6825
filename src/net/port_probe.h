/* Whether a TCP port is free on the addresses that nodes listen on. For the probe of
 * names/port_pool. */
#ifndef PORTOLAN_NET_PORT_PROBE_H
#define PORTOLAN_NET_PORT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Binds and lets go again: on all IPv4 and all IPv6 addresses. `context` is a bool that is set when
 * the answer is no for want of a descriptor to try with.
 */
bool port_probe_is_free(void *context, uint16_t port);

#endif
