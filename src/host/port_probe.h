/* Where nodes listen, asked of the kernel by binding and letting go again. */
#ifndef PORTOLAN_HOST_PORT_PROBE_H
#define PORTOLAN_HOST_PORT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Binds and lets go again: on all IPv4 and all IPv6 addresses. `context` is a bool that is set when
 * the answer is no because no descriptor is left to try with.
 */
bool port_probe_is_free(void *context, uint16_t port);

/*
 * Whether somebody listens on this port on loopback, but not on all addresses: as a node does with
 * inet_dist_use_interface. False also when that cannot be found out.
 */
bool port_probe_is_loopback_only(uint16_t port);

#endif
