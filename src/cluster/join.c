#include "cluster/join.h"

#include "cluster/identity.h"
#include "cluster/peer.h"
#include "cluster/reset.h"
#include "cluster/self.h"

enum cluster_verdict join_begin(struct cluster *cluster, const char *target) {
    struct bytes name = bytes_of_text(target);
    if (bytes_equal(name, member_name(cluster->self)))
        return CLUSTER_IGNORED;
    if (!member_name_is_valid(name))
        return CLUSTER_BAD_NAME;
    const struct member *member = membership_find(&cluster->membership, name);
    if (member != NULL && member_is_listed(member))
        return CLUSTER_ALREADY_IN;
    if (cluster->join != NULL)
        return CLUSTER_BUSY;
    struct peer *peer = peer_get(cluster, name);
    if (peer == NULL)
        return CLUSTER_NO_MEMORY;
    peer->reasons |= REASON_JOIN;
    cluster->join = peer;
    cluster->join_adopted = false;
    cluster->join_cause = CLUSTER_CAUSE_TIMED_OUT;
    cluster->join_deadline_ms = cluster->now_ms + CLUSTER_JOIN_MS;
    cluster_wake_at(cluster, cluster->join_deadline_ms);
    peer_try_at(cluster, peer, cluster->now_ms);
    return CLUSTER_OK;
}

static void end_join(struct cluster *cluster) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        link->join_sync = false;
    }
    cluster->join->reasons &= ~(unsigned)REASON_JOIN;
    cluster->needs_sweep = true;
    cluster->join->unwanted_ms = cluster->now_ms;
    cluster->join = NULL;
    cluster->join_adopted = false;
}

void join_failed(struct cluster *cluster, enum cluster_cause cause, bool by_us) {
    struct peer *target = cluster->join;
    if (cluster->join_adopted && cluster_is_alone(cluster)) {
        cluster->id = identity_new(cluster); /* the target left while we joined it */
        cluster_persist(cluster, true);
    }
    end_join(cluster);
    struct cluster_event event = {
        .type = CLUSTER_EVENT_JOIN_FAILED, .name = target->name, .cause = cause, .by_us = by_us};
    cluster->io.notify(cluster->io_context, &event);
}

void join_expire(struct cluster *cluster) {
    if (cluster->join != NULL && cluster->now_ms >= cluster->join_deadline_ms)
        join_failed(cluster, cluster->join_cause, false);
}

void join_attempt_failed(struct cluster *cluster, const struct peer *peer, enum cluster_cause cause,
                         bool by_us) {
    if (cluster->join != peer || cluster->join_adopted || peer->link_count > 0 || peer->connecting)
        return;
    if (cause == CLUSTER_CAUSE_BUSY)
        cluster->join_cause = cause; /* it may have room in a moment */
    else
        join_failed(cluster, cause, by_us);
}

/* The peer has no place for us, and we have taken over its cluster for the one that we had: so we
 * are in none. Two clusters that merge keep what they were. */
void join_no_room(struct cluster *cluster, struct cluster_link *link) {
    bool joins = cluster->join != NULL && cluster->join == link->peer && cluster->join_adopted;
    if (!link->established || (!joins && !link->found_alone))
        return;
    if (joins)
        join_failed(cluster, CLUSTER_CAUSE_FULL, false);
    reset_forget_cluster(cluster, link);
    reset_start_alone(cluster, 0);
    cluster->discovery_paused = false;
}

/* Our record in the new cluster: above all that it knows of us. A prior join is one that took place
 * and that we lost. */
void join_become_member(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                        uint64_t prior_join) {
    if (cluster_has_others(cluster))
        reset_announce_leave(cluster, link);
    reset_forget_cluster(cluster, link);
    self_new_generation(cluster, known > prior_join ? known : prior_join);
    cluster->self->joined = prior_join > 0 ? prior_join : cluster->self->generation;
    membership_refresh(&cluster->membership, cluster->self);
    cluster->id = link->hello.id;
    /* who joins one that rests, rests with it: discovery would bring both back to where it left */
    cluster->discovery_paused =
        prior_join == 0 && (link->hello.flags & WIRE_FLAG_DISCOVERY_PAUSED) != 0;
    cluster->forced_out = false;
    cluster->seeds_unmet = true;
    cluster_persist(cluster, true);
}

void join_progress(struct cluster *cluster, struct cluster_link *link) {
    if (!link->join_sync || link->gone || cluster->join == NULL)
        return;
    struct cluster_event event = {
        .type = CLUSTER_EVENT_JOIN_PROGRESS,
        .name = cluster->join->name,
        .count = membership_listed(&cluster->membership) - 1,
        .names = directory_count(cluster->directory) - directory_owner_count(cluster->self->owner),
    };
    if (link_has_synced(link)) {
        event.type = CLUSTER_EVENT_JOIN_DONE;
        end_join(cluster);
    }
    cluster->io.notify(cluster->io_context, &event);
}
