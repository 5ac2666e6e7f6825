/* What discovery finds: daemons that are not in the list are called, and the clusters merge. */
#ifndef PORTOLAN_CLUSTER_DISCOVERY_H
#define PORTOLAN_CLUSTER_DISCOVERY_H

#include "cluster/context.h"

void discovery_found(struct cluster *cluster, const char *const *names, size_t count);

#endif
