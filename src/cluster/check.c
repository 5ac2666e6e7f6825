/* Whether a member is whole inside: what its parts say of each other. */
#include "cluster/cluster.h"

#include "cluster/link.h"
#include "cluster/peer.h"

#include <string.h>

static bool is_link(const struct cluster *cluster, const struct cluster_link *wanted) {
    const struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link == wanted)
            return true;
    }
    return false;
}

static size_t pulls_over(const struct cluster *cluster, const struct cluster_link *link) {
    size_t pulls = 0;
    for (size_t i = 0; i < cluster->membership.count; i++)
        pulls += cluster->membership.ring[i]->pulling == link ? 1 : 0;
    return pulls;
}

static const char *check_link(const struct cluster *cluster, const struct cluster_link *link) {
    if (link->gone)
        return "a link that is gone was not freed";
    if (link->pulls_in_flight != pulls_over(cluster, link))
        return "a link counts other pulls than there are";
    if (link->established && (link->peer == NULL || link->peer->link != link))
        return "an established link is not its peer's";
    if (link->join_sync && cluster->join == NULL)
        return "a link takes names over for a join that has ended";
    if (link->snapshot != NULL && link->pulls_in_flight == 0)
        return "a snapshot comes in over a link that nothing was pulled from";
    return NULL;
}

static const char *check_links(const struct cluster *cluster) {
    const struct cluster_link *link;
    size_t count = 0;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        const char *wrong = check_link(cluster, link);
        if (wrong != NULL)
            return wrong;
        count++;
    }
    return count == cluster->link_count ? NULL : "the number of links is another";
}

static const char *check_peer(const struct cluster *cluster, const struct peer *peer) {
    const struct cluster_link *link;
    unsigned links = 0;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        links += link->peer == peer ? 1 : 0;
    }
    if (links != peer->link_count)
        return "a peer counts other links than it has";
    if (peer->link != NULL && !is_link(cluster, peer->link))
        return "a peer has a link that is not there";
    if (peer->link != NULL && peer->next_try_ms != INT64_MAX)
        return "a peer with a link is to be called";
    if (((peer->reasons & REASON_JOIN) != 0) != (peer == cluster->join))
        return "a peer is to be joined, and no join is under way with it";
    return NULL;
}

static const char *check_peers(const struct cluster *cluster) {
    const struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        const char *wrong = check_peer(cluster, peer);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

static const char *check_member(const struct cluster *cluster, const struct member *member) {
    bool is_quiet = member_is_tombstone(member) || member->state == CLUSTER_CLEANED;
    bool is_away = member->state == CLUSTER_DOWN || member->state == CLUSTER_CLEANED;
    if (!member_is_tombstone(member) &&
        (member->joined > member->generation || member->generation > member->incarnation))
        return "the numbers of a member are out of order";
    if ((member->suspicion != NULL) != (member->state == CLUSTER_SUSPECT))
        return "a suspicion without a suspect, or the other way round";
    if (is_quiet && member->owner != NULL)
        return "a member that is out has names";
    if (member->pulling != NULL && (is_quiet || !is_link(cluster, member->pulling)))
        return "the names of a member are pulled over no link";
    if (member->last_call_made && !is_away)
        return "a member that is not down was called for the last time";
    if (member->silent && is_away && !cluster->split)
        return "a member is silent, and no split is seen";
    if (member->queued)
        return "a member is in the list of gossip, which is empty";
    return NULL;
}

static const char *check_members(const struct cluster *cluster) {
    const struct membership *membership = &cluster->membership;
    size_t of_state[CLUSTER_FORCED_OUT + 1] = {0};
    for (size_t i = 0; i < membership->count; i++) {
        const char *wrong = check_member(cluster, membership->ring[i]);
        if (wrong != NULL)
            return wrong;
        of_state[membership->ring[i]->state]++;
    }
    return memcmp(of_state, membership->of_state, sizeof of_state) == 0
               ? NULL
               : "the members are counted wrongly by their states";
}

static const char *check_self(const struct cluster *cluster) {
    const struct member *self = cluster->self;
    if (self->state != CLUSTER_ALIVE || self->pulling != NULL || self->owner == NULL)
        return "the daemon's own record is not that of a running member with its own names";
    if (cluster->join == NULL && cluster->join_adopted)
        return "a join that is over is still going on";
    return NULL;
}

const char *cluster_check(const struct cluster *cluster) {
    const char *wrong = check_self(cluster);
    if (wrong == NULL)
        wrong = check_members(cluster);
    if (wrong == NULL)
        wrong = check_links(cluster);
    return wrong != NULL ? wrong : check_peers(cluster);
}
