/* Leaving a cluster behind: what a leave, an expulsion and a join elsewhere have in common. */
#ifndef PORTOLAN_CLUSTER_RESET_H
#define PORTOLAN_CLUSTER_RESET_H

#include "cluster/link.h"

/* Tells everyone on a link that we leave, at once. */
void reset_announce_leave(struct cluster *cluster, const struct cluster_link *except);

/* Everything of the present cluster goes but ourselves and our names. `except`: a link to keep. */
void reset_forget_cluster(struct cluster *cluster, const struct cluster_link *except);

/* Alone from here on, in a cluster of our own, by a join that is newer than any before. */
void reset_start_alone(struct cluster *cluster, uint64_t above);

#endif
