/* Which cluster we are: its id, and the older of two ids, which stays when clusters merge. */
#ifndef PORTOLAN_CLUSTER_IDENTITY_H
#define PORTOLAN_CLUSTER_IDENTITY_H

#include "cluster/link.h"

struct cluster_id identity_new(struct cluster *cluster);
int identity_compare(struct cluster_id a, struct cluster_id b); /* < 0: a is the older one */

/* Takes the peer's id over when it is the older one, and tells all other links. */
void identity_adopt(struct cluster *cluster, struct cluster_link *from, struct cluster_id id);

#endif
