#include "cluster/autoheal.h"

#include "cluster/peer.h"

void autoheal_soon(struct cluster *cluster) {
    if (!cluster->autoheal)
        return;
    cluster->heal_interval_ms = HEAL_FIRST_MS;
    int64_t when_ms = cluster->now_ms +
                      random_between(&cluster->random, HEAL_FIRST_MS / 2, HEAL_FIRST_MS * 3 / 2);
    if (cluster->next_heal_ms > when_ms)
        cluster->next_heal_ms = when_ms;
    cluster_wake_at(cluster, cluster->next_heal_ms);
}

/* A few members that are down or cleaned, with equal chances, are tried. */
static size_t try_some(struct cluster *cluster) {
    const struct membership *membership = &cluster->membership;
    struct member *chosen[HEAL_AT_ONCE];
    uint64_t seen = 0;
    for (size_t i = 0; i < membership->count; i++) {
        struct member *member = membership->ring[i];
        if (member->state != CLUSTER_DOWN && member->state != CLUSTER_CLEANED)
            continue;
        uint64_t place = seen < HEAL_AT_ONCE ? seen : random_below(&cluster->random, seen + 1);
        if (place < HEAL_AT_ONCE)
            chosen[place] = member;
        seen++;
    }
    size_t count = seen < HEAL_AT_ONCE ? (size_t)seen : HEAL_AT_ONCE;
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = peer_get(cluster, member_name(chosen[i]));
        if (peer == NULL)
            continue;
        peer->reasons |= REASON_HEAL;
        peer_try_at(cluster, peer, cluster->now_ms);
    }
    return count;
}

void autoheal_tick(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_heal_ms)
        return;
    const struct membership *membership = &cluster->membership;
    if (!cluster->autoheal || try_some(cluster) == 0) {
        cluster->next_heal_ms = INT64_MAX;
        return;
    }
    int64_t longest_ms = membership->of_state[CLUSTER_DOWN] > 0 ? HEAL_LAST_MS : HEAL_CLEANED_MS;
    cluster->heal_interval_ms += cluster->heal_interval_ms / 2;
    if (cluster->heal_interval_ms > longest_ms)
        cluster->heal_interval_ms = longest_ms;
    cluster->next_heal_ms =
        cluster->now_ms +
        random_between(&cluster->random, cluster->heal_interval_ms / 2, cluster->heal_interval_ms);
}
