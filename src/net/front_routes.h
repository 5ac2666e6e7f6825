/*
 * Which front port each node is behind, and the listeners on those ports.
 *
 * The front ports that the server began with, as the daemon's own, are open as long as it runs.
 * For a node whose name derives another, that one is opened when the node registers and closed when
 * the last node behind it has left; unless the node listens there itself, or somebody else does.
 * This module sets a registration's front_port and loopback_only. Internal to net/front.
 */
#ifndef PORTOLAN_NET_FRONT_ROUTES_H
#define PORTOLAN_NET_FRONT_ROUTES_H

#include "net/front.h"

struct front_routes;

/* NULL when out of memory. What the house and the hooks point to is borrowed. */
struct front_routes *front_routes_new(const struct front_house *house,
                                      const struct front_options *options,
                                      const struct front_hooks *hooks);

/* Leaves the listeners to the server. NULL is fine. */
void front_routes_free(struct front_routes *routes);

/* Puts what is registered behind front ports, or takes it away from behind them. */
void front_routes_configure(struct front_routes *routes, bool proxy);

/* A node has registered; its registration is about to end. */
void front_routes_add(struct front_routes *routes, struct registration *registration);
void front_routes_remove(struct front_routes *routes, struct registration *registration);

struct front_ports *front_routes_ports(struct front_routes *routes);

#endif
