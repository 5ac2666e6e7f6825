/*
 * Which front port each node is behind, and the listeners on those ports.
 *
 * The front ports that the server began with, as the daemon's own, are open as long as it runs.
 * For a node whose name derives another, that one is opened when the node registers and closed when
 * the last node behind it has left; unless the node listens there itself.
 *
 * A node that could not be given its port, for whatever reason, is tried again: after
 * FRONT_RETRY_FIRST_MS, then after twice the time, up to FRONT_RETRY_MAX_MS. A new error, or a
 * node that leaves, makes the time short again. Nothing is kept for it but one timer: a try is a
 * walk over the registered names in steps of FRONT_STEP, each a turn of the loop, and a port
 * that cannot be opened is tried once in each walk. So it works without memory too.
 *
 * A reload that changes which port is whose is such a walk as well: the first FRONT_STEP names have
 * theirs when front_assignment_configure returns.
 *
 * This module sets a registration's front_port and loopback_only. Internal to front/front.
 */
#ifndef PORTOLAN_FRONT_ASSIGNMENT_H
#define PORTOLAN_FRONT_ASSIGNMENT_H

#include "front/front.h"

#define FRONT_RETRY_FIRST_MS 1000
#define FRONT_RETRY_MAX_MS 60000
#define FRONT_STEP 128      /* names examined in a turn of the loop, at most */
#define FRONT_RETRY_OPENS 8 /* and ports that are tried to be opened again */

struct front_assignment;

/* NULL when out of memory. What the deps and the hooks point to is borrowed. */
struct front_assignment *front_assignment_new(const struct front_deps *deps,
                                              const struct front_options *options,
                                              const struct front_hooks *hooks);

/* Leaves the listeners to the acceptor. NULL is fine. */
void front_assignment_free(struct front_assignment *assignment);

/* See front_configure. */
void front_assignment_configure(struct front_assignment *assignment,
                                const struct front_options *options);

/* A node has registered; its registration is about to end. */
void front_assignment_add(struct front_assignment *assignment, struct registration *registration);
void front_assignment_remove(struct front_assignment *assignment,
                             struct registration *registration);

struct routes *front_assignment_ports(struct front_assignment *assignment);

#endif
