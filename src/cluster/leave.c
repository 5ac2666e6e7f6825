#include "cluster/leave.h"

#include "cluster/gossip.h"
#include "cluster/join.h"
#include "cluster/reset.h"
#include "cluster/transitions.h"

#include <string.h>

enum cluster_verdict leave(struct cluster *cluster) {
    if (!cluster_has_others(cluster))
        return CLUSTER_NOT_IN;
    reset_announce_leave(cluster, NULL);
    if (cluster->join != NULL)
        join_failed(cluster, CLUSTER_CAUSE_OUT, false);
    reset_forget_cluster(cluster, NULL);
    reset_start_alone(cluster, 0);
    cluster_notify(cluster, CLUSTER_EVENT_LEFT, cluster->self->name, CLUSTER_CAUSE_NONE);
    return CLUSTER_OK;
}

void leave_as_ended(struct cluster *cluster, enum cluster_state kind, uint64_t incarnation) {
    if (cluster->join != NULL)
        join_failed(cluster, CLUSTER_CAUSE_OUT, false);
    reset_forget_cluster(cluster, NULL);
    reset_start_alone(cluster, incarnation);
    /* a join that we made after this end, and forgot in a crash, is newer: it is to win */
    if (incarnation < cluster->self->generation) /* else no number is above it */
        cluster->self->joined = incarnation + 1;
    cluster->forced_out = kind == CLUSTER_FORCED_OUT;
    membership_refresh(&cluster->membership, cluster->self);
    cluster_notify(cluster, kind == CLUSTER_LEFT ? CLUSTER_EVENT_LEFT : CLUSTER_EVENT_FORCED_OUT,
                   cluster->self->name, CLUSTER_CAUSE_NONE);
}

enum cluster_verdict leave_force(struct cluster *cluster, const char *name) {
    if (strcmp(name, cluster->self->name) == 0)
        return CLUSTER_IGNORED;
    struct member *member = membership_find(&cluster->membership, bytes_of_text(name));
    if (member == NULL || member_is_tombstone(member))
        return CLUSTER_NOT_IN;
    /* by the clock, so that a join that we have not heard of is ended too */
    uint64_t clock = cluster_clock(cluster);
    uint64_t end = member->incarnation > clock ? member->incarnation : clock;
    transition_end_membership(cluster, member, CLUSTER_FORCED_OUT, end, NULL);
    cluster_persist(cluster, true);
    return CLUSTER_OK;
}

void leave_stop(struct cluster *cluster) {
    cluster->stopping = true;
    gossip_flush(cluster);
    struct wire_record record = gossip_record_of(cluster, cluster->self);
    record.state = CLUSTER_DOWN;
    record.detail = CLUSTER_CAUSE_STOPPED;
    gossip_broadcast_record(cluster, NULL, &record);
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        link_drop(cluster, link, CLUSTER_CAUSE_STOPPED);
    }
}
