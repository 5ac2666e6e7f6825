/* Records on their way to others: those of a call in one frame a link, and single ones at once. */
#ifndef PORTOLAN_CLUSTER_GOSSIP_H
#define PORTOLAN_CLUSTER_GOSSIP_H

#include "cluster/link.h"

struct gossip {
    struct member *member;
    struct cluster_link *from; /* who told us: need not be told; NULL when several did */
};

/* What we tell of a member. */
struct wire_record gossip_record_of(const struct cluster *cluster, const struct member *member);

/* To be told to all links but `from` when the call settles. */
void gossip_enqueue(struct cluster *cluster, struct member *member, struct cluster_link *from);
void gossip_dequeue(struct cluster *cluster, struct member *member);
void gossip_discard(struct cluster *cluster); /* the whole queue */
void gossip_flush(struct cluster *cluster);

/* At once, to one. */
void gossip_send_record(struct cluster *cluster, struct cluster_link *link,
                        const struct wire_record *record);
void gossip_send_member(struct cluster *cluster, struct cluster_link *link,
                        const struct member *member);

/* At once, to all established links but `except`. */
void gossip_broadcast_record(struct cluster *cluster, const struct cluster_link *except,
                             const struct wire_record *record);

#endif
