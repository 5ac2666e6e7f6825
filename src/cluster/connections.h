/* Which links there are to be: those of the topology, and whoever else is wanted for a while. */
#ifndef PORTOLAN_CLUSTER_CONNECTIONS_H
#define PORTOLAN_CLUSTER_CONNECTIONS_H

#include "cluster/link.h"

void connections_follow_topology(struct cluster *cluster);
/* The shell says so of an attempt that we began. */
void connections_failed(struct cluster *cluster, const char *name, enum cluster_cause cause);

void connections_connect(struct cluster *cluster); /* to those that are due */

/* An attempt that io.connect could not even begin fails here, in the next tick: not within the call
 * that wanted the connection, where nothing is ready for the answer yet. */
void connections_fail_not_started(struct cluster *cluster);

/* PING to all, and links that nothing needs are closed. */
void connections_heartbeat(struct cluster *cluster);

void connections_sweep(struct cluster *cluster); /* frees links that are gone, and idle peers */
int64_t connections_due_ms(const struct cluster *cluster);

#endif
