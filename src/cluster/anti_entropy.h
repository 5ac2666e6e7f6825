/*
 * Anti-entropy: what gossip missed (a link that was down, a frame that was never sent, memory that
 * ran out) is found by comparing, on each new link and every 5 s on a random one.
 *
 *     A                                      B
 *     SUMMARY (hash of all it knows) ------->
 *            <------------------------------ SAME, and that was all; or
 *            <------------------------------ BUCKETS: a hash for each 1/256 of the ring
 *     RANGE of each bucket that differs,
 *           with all its records ----------->
 *            <------------------------------ RANGE, answer: what B knows better
 *
 * With few members A compares everything in one RANGE. Each side so takes over what the
 * other knows better; names follow by PULL (replication.h). At most ANTI_ENTROPY_WINDOW ranges are
 * under way on a link, so that a large state does not flood it.
 */
#ifndef PORTOLAN_CLUSTER_ANTI_ENTROPY_H
#define PORTOLAN_CLUSTER_ANTI_ENTROPY_H

#include "cluster/link.h"

#define ANTI_ENTROPY_WINDOW 8
#define ANTI_ENTROPY_ONE_RANGE 64 /* so many members are compared in one range, without buckets */

void anti_entropy_begin(struct cluster *cluster, struct cluster_link *link);
void anti_entropy_tick(struct cluster *cluster); /* with a random link, when it is time */

/* Frames. False: malformed. */
bool anti_entropy_receive_summary(struct cluster *cluster, struct cluster_link *link,
                                  struct bytes payload);
bool anti_entropy_receive_same(struct cluster *cluster, struct cluster_link *link,
                               struct bytes payload);
bool anti_entropy_receive_buckets(struct cluster *cluster, struct cluster_link *link,
                                  struct bytes payload);
bool anti_entropy_receive_range(struct cluster *cluster, struct cluster_link *link,
                                struct bytes payload);

#endif
