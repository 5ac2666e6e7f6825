#include "cluster/reset.h"

#include "cluster/gossip.h"
#include "cluster/identity.h"
#include "cluster/peer.h"
#include "cluster/replication.h"
#include "cluster/self.h"
#include "cluster/suspicion.h"
#include "cluster/transitions.h"

static void close_links(struct cluster *cluster, const struct cluster_link *except) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link != except)
            link_drop(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
    }
}

void reset_forget_cluster(struct cluster *cluster, const struct cluster_link *except) {
    close_links(cluster, except);
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        peer->reasons &= REASON_JOIN;
        cluster->needs_sweep = true;
        peer->path_broken = false;
        peer->probes_awaited = 0;
    }
    gossip_discard(cluster);
    for (size_t i = cluster->membership.count; i-- > 0;) {
        struct member *member = cluster->membership.ring[i];
        if (member == cluster->self)
            continue;
        suspicion_clear(cluster, member);
        replication_pull_done(member);
        if (member->owner != NULL)
            directory_owner_remove(member->owner);
        membership_remove(&cluster->membership, member);
    }
    transition_update_split(cluster);
    cluster->ring_changed = true;
}

void reset_announce_leave(struct cluster *cluster, const struct cluster_link *except) {
    struct wire_record record = {.state = CLUSTER_LEFT,
                                 .incarnation = cluster->self->incarnation,
                                 .detail = cluster_wall_ms(cluster),
                                 .name = member_name(cluster->self)};
    gossip_flush(cluster);
    gossip_broadcast_record(cluster, except, &record);
}

void reset_start_alone(struct cluster *cluster, uint64_t above) {
    cluster->id = identity_new(cluster);
    self_new_generation(cluster, above);
    cluster->self->joined = cluster->self->generation;
    membership_refresh(&cluster->membership, cluster->self);
    cluster->discovery_paused = true;
    cluster->forced_out = false;
    cluster_persist(cluster, true);
}
