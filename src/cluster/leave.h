/* Leaving, forcing a member out, and being told that we are out. */
#ifndef PORTOLAN_CLUSTER_LEAVE_H
#define PORTOLAN_CLUSTER_LEAVE_H

#include "cluster/link.h"

enum cluster_verdict leave(struct cluster *cluster);
enum cluster_verdict leave_force(struct cluster *cluster, const char *name);

/* The daemon stops: tells all links, and ends them. */
void leave_stop(struct cluster *cluster);

/* Others say that our membership ended, with a tombstone of this kind and incarnation. */
void leave_as_ended(struct cluster *cluster, enum cluster_state kind, uint64_t incarnation);

#endif
