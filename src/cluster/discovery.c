#include "cluster/discovery.h"

#include "cluster/peer.h"

static bool is_seed_of_interest(const struct cluster *cluster, struct bytes name) {
    if (!member_name_is_valid(name) || bytes_equal(name, member_name(cluster->self)))
        return false;
    const struct member *member = membership_find(&cluster->membership, name);
    return member == NULL;
}

void discovery_found(struct cluster *cluster, const char *const *names, size_t count) {
    cluster->seeds_unmet = false;
    for (size_t i = 0; i < count && i < CLUSTER_SEEDS_MAX && !cluster->discovery_paused; i++) {
        struct bytes name = bytes_of_text(names[i]);
        if (!is_seed_of_interest(cluster, name))
            continue;
        cluster->seeds_unmet = true;
        struct peer *peer = peer_get(cluster, name);
        if (peer == NULL)
            continue;
        peer->reasons |= REASON_SEED;
        peer_try_at(cluster, peer, cluster->now_ms);
    }
}
