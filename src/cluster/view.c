/* The face: what others may ask. Nothing here changes anything. */
#include "cluster/cluster.h"

#include "cluster/link.h"
#include "cluster/peer.h"
#include "cluster/saved_state.h"

#include <string.h>

static void look_at(const struct cluster *cluster, const struct member *member,
                    struct cluster_member_view *view) {
    const struct peer *peer = peer_of(cluster, member);
    *view = (struct cluster_member_view){
        .name = member->name,
        .state = (enum cluster_state)member->state,
        .is_self = member == cluster->self,
        .linked = peer != NULL && peer->link != NULL,
        .path_broken = peer != NULL && peer->path_broken,
        .joined = member->joined,
        .generation = member->generation,
        .incarnation = member->incarnation,
        .port = member->port,
        .since_ms = member->since_ms,
        .cause = (enum cluster_cause)member->cause,
        .names = member->owner == NULL ? 0 : directory_owner_count(member->owner),
    };
}

size_t cluster_member_count(const struct cluster *cluster) {
    return membership_listed(&cluster->membership);
}

bool cluster_member_next(const struct cluster *cluster, size_t *cursor, bool all,
                         struct cluster_member_view *view) {
    while (*cursor < cluster->membership.count) {
        const struct member *member = cluster->membership.ring[(*cursor)++];
        if (!all && !member_is_listed(member))
            continue;
        look_at(cluster, member, view);
        return true;
    }
    return false;
}

bool cluster_member_find(const struct cluster *cluster, const char *name,
                         struct cluster_member_view *view) {
    const struct member *member = membership_find(&cluster->membership, bytes_of_text(name));
    if (member == NULL)
        return false;
    look_at(cluster, member, view);
    return true;
}

const char *cluster_self(const struct cluster *cluster) {
    return cluster->self->name;
}

struct cluster_id cluster_id(const struct cluster *cluster) {
    return cluster->id;
}

uint64_t cluster_incarnation(const struct cluster *cluster) {
    return cluster->self->incarnation;
}

bool cluster_is_in(const struct cluster *cluster) {
    return cluster_has_others(cluster);
}

bool cluster_is_joining(const struct cluster *cluster) {
    return cluster->join != NULL;
}

bool cluster_is_discovery_paused(const struct cluster *cluster) {
    return cluster->discovery_paused;
}

bool cluster_was_forced_out(const struct cluster *cluster) {
    return cluster->forced_out;
}

size_t cluster_link_count(const struct cluster *cluster) {
    size_t count = 0;
    const struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        count += link_is_established(link);
    }
    return count;
}

const struct directory *cluster_directory(const struct cluster *cluster) {
    return cluster->directory;
}

enum cluster_state cluster_owner_state(const struct directory_owner *owner) {
    const struct member *member = directory_owner_context(owner);
    return (enum cluster_state)member->state;
}

int64_t cluster_due_ms(const struct cluster *cluster) {
    return cluster->due_ms;
}

bool cluster_wants_discovery(const struct cluster *cluster) {
    return cluster->discovery && !cluster->discovery_paused &&
           (cluster->seeds_unmet || cluster_is_alone(cluster));
}

uint8_t *cluster_store_of(const struct cluster *cluster, size_t *len) {
    return saved_state_encode(cluster, len);
}
