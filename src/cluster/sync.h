/*
 * Anti-entropy: what news missed (a link that was down, a frame that was never sent, memory that
 * ran out) is found by comparing, on each new link and every 5 s on a random one.
 *
 *     A                                      B
 *     SUMMARY (hash of all it knows) ------->
 *            <------------------------------ SAME, and that was all; or
 *            <------------------------------ BUCKETS: a hash for each 1/256 of the ring; or, when
 * it has few members, A's buckets all count as different RANGE of a bucket that differs, with all
 * its records --------------->
 *            <------------------------------ RANGE, answer: what B knows better
 *
 * Each side so takes over what the other knows better; names follow by PULL (catalogue.c). At most
 * SYNC_WINDOW ranges are under way on a link, so that a large state does not flood it.
 */
#ifndef PORTOLAN_CLUSTER_SYNC_H
#define PORTOLAN_CLUSTER_SYNC_H

#include "cluster/cluster_inner.h"

#define SYNC_WINDOW 8
#define SYNC_FEW 64 /* so many members are compared in one range, without asking for buckets */

void sync_begin(struct cluster *cluster, struct cluster_link *link);
void sync_with_someone(struct cluster *cluster);
bool sync_is_done(const struct cluster_link *link);

/* False: malformed. */
bool sync_receive_summary(struct cluster *cluster, struct cluster_link *link, struct bytes payload);
bool sync_receive_buckets(struct cluster *cluster, struct cluster_link *link, struct bytes payload);
bool sync_receive_range(struct cluster *cluster, struct cluster_link *link, struct bytes payload);
void sync_receive_same(struct cluster *cluster, struct cluster_link *link);

/* The first place of a bucket on the ring. */
uint64_t sync_bucket_start(unsigned bucket);

#endif
