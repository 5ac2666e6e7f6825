/* Joining another cluster: the target, what it costs, how far it has come. */
#ifndef PORTOLAN_CLUSTER_JOIN_H
#define PORTOLAN_CLUSTER_JOIN_H

#include "cluster/link.h"

enum cluster_verdict join_begin(struct cluster *cluster, const char *target);
void join_failed(struct cluster *cluster, enum cluster_cause cause, bool by_us);
void join_expire(struct cluster *cluster); /* when its time is up */

/* An attempt to reach the target, or a link to it, came to nothing. */
void join_attempt_failed(struct cluster *cluster, const struct peer *peer, enum cluster_cause cause,
                         bool by_us);

/* The target lets us in: our record in its cluster is above `known`, all that it knows of us.
 * prior_join > 0: a join that took place and that we lost. */
void join_become_member(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                        uint64_t prior_join);

/* The target has no place for us after all. */
void join_no_room(struct cluster *cluster, struct cluster_link *link);

/* Tells how far it has come, and that it is done. */
void join_progress(struct cluster *cluster, struct cluster_link *link);

#endif
