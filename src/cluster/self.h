/* Our own record: nobody else writes it. */
#ifndef PORTOLAN_CLUSTER_SELF_H
#define PORTOLAN_CLUSTER_SELF_H

#include "cluster/context.h"

/* A new incarnation, above this number and above the one in use. */
void self_bump_incarnation(struct cluster *cluster, uint64_t above);

/* And a new generation with it, to which our names go over; `joined` is the caller's to set. */
void self_new_generation(struct cluster *cluster, uint64_t above);

#endif
