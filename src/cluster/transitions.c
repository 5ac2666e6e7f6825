#include "cluster/transitions.h"

#include "cluster/autoheal.h"
#include "cluster/gossip.h"
#include "cluster/peer.h"
#include "cluster/replication.h"
#include "cluster/suspicion.h"

/* A member that fell silent and was cleaned is still cut off. */
void transition_update_split(struct cluster *cluster) {
    bool split = false;
    for (size_t i = 0; i < cluster->membership.count && !split; i++) {
        const struct member *member = cluster->membership.ring[i];
        split =
            member->silent && (member->state == CLUSTER_DOWN || member->state == CLUSTER_CLEANED);
    }
    if (split == cluster->split)
        return;
    cluster->split = split;
    cluster_notify(cluster, split ? CLUSTER_EVENT_SPLIT_SEEN : CLUSTER_EVENT_SPLIT_HEALED, "",
                   CLUSTER_CAUSE_NONE);
}

void transition_forget(struct cluster *cluster, struct member *member) {
    bool was_split = member->silent;
    gossip_dequeue(cluster, member);
    suspicion_clear(cluster, member);
    replication_pull_done(member);
    if (member->owner != NULL)
        directory_owner_remove(member->owner);
    membership_remove(&cluster->membership, member);
    if (was_split)
        transition_update_split(cluster);
}

void transition_drop_names(struct cluster *cluster, struct member *member) {
    if (member->owner != NULL)
        directory_owner_remove(member->owner);
    member->owner = NULL;
    replication_pull_done(member);
    membership_refresh(&cluster->membership, member);
}

void transition_make_room(struct cluster *cluster, enum cluster_state state) {
    struct member *oldest = membership_crowded_out(&cluster->membership, state);
    if (oldest != NULL)
        transition_forget(cluster, oldest);
}

static void notify_state(struct cluster *cluster, const struct member *member,
                         enum cluster_state before, bool same_generation) {
    bool was_running = before == CLUSTER_ALIVE || before == CLUSTER_SUSPECT;
    struct cluster_event event = {.name = member->name, .cause = (enum cluster_cause)member->cause};
    if (member_is_running(member) && (before == CLUSTER_DOWN || before == CLUSTER_CLEANED)) {
        event.type = CLUSTER_EVENT_UP;
        event.cause = CLUSTER_CAUSE_NONE;
        event.same_generation = same_generation;
    } else if (member->state == CLUSTER_DOWN && was_running) {
        event.type = CLUSTER_EVENT_DOWN;
    } else {
        return;
    }
    cluster->io.notify(cluster->io_context, &event);
}

/* The consequences of a member's new state, all but the gossip. */
void transition_follow(struct cluster *cluster, struct member *member, enum cluster_state before,
                       bool same_generation) {
    enum cluster_state now = (enum cluster_state)member->state;
    bool was_running = before == CLUSTER_ALIVE || before == CLUSTER_SUSPECT;
    if (now != CLUSTER_SUSPECT)
        suspicion_clear(cluster, member);
    if (before != now)
        member->last_call_made = false;
    if (was_running != member_is_running(member))
        cluster->ring_changed = true;
    if ((now == CLUSTER_DOWN || now == CLUSTER_CLEANED) && before != now) {
        autoheal_soon(cluster);
        cluster->autoclean_changed = true;
    }
    notify_state(cluster, member, before, same_generation);
    if (member->silent || cluster->split)
        transition_update_split(cluster);
}

void transition_declare_down(struct cluster *cluster, struct member *member,
                             enum cluster_cause cause) {
    enum cluster_state before = (enum cluster_state)member->state;
    member->cause = (uint8_t)cause;
    member->silent = cause == CLUSTER_CAUSE_SILENT;
    member->since_ms = cluster->now_ms;
    membership_set_state(&cluster->membership, member, CLUSTER_DOWN);
    transition_follow(cluster, member, before, true);
    gossip_enqueue(cluster, member, NULL);
    cluster_persist(cluster, false);
    struct peer *peer = peer_of(cluster, member);
    if (peer != NULL && peer->link != NULL)
        link_drop(cluster, peer->link, cause);
}

void transition_end_membership(struct cluster *cluster, struct member *member,
                               enum cluster_state kind, uint64_t incarnation,
                               struct cluster_link *from) {
    bool was_listed = member_is_listed(member) || member->state == CLUSTER_CLEANED;
    bool was_running = member_is_running(member);
    bool was_split = member->silent;
    suspicion_clear(cluster, member);
    transition_drop_names(cluster, member);
    member->incarnation = incarnation;
    member->joined = member->generation = 0;
    member->silent = false;
    member->last_call_made = false;
    member->since_ms = cluster->now_ms;
    if (member->stamp_ms == 0)
        member->stamp_ms = cluster_wall_ms(cluster);
    membership_set_state(&cluster->membership, member, kind);
    cluster->ring_changed |= was_running;
    struct peer *peer = peer_of(cluster, member);
    if (peer != NULL && peer->link != NULL)
        peer->link->closing = cluster->closing = true;
    if (was_listed)
        cluster_notify(cluster,
                       kind == CLUSTER_LEFT ? CLUSTER_EVENT_LEFT : CLUSTER_EVENT_FORCED_OUT,
                       member->name, CLUSTER_CAUSE_NONE);
    if (was_split)
        transition_update_split(cluster);
    gossip_enqueue(cluster, member, from);
    cluster_persist(cluster, false);
    transition_make_room(cluster, kind);
}
