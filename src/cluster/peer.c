#include "cluster/peer.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static struct peer *find_hash(const struct cluster *cluster, uint64_t hash) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (peer->hash == hash)
            return peer;
    }
    return NULL;
}

struct peer *peer_find(const struct cluster *cluster, struct bytes name) {
    struct peer *peer = find_hash(cluster, membership_hash(name));
    return peer != NULL && bytes_equal(bytes_of_text(peer->name), name) ? peer : NULL;
}

struct peer *peer_of(const struct cluster *cluster, const struct member *member) {
    return find_hash(cluster, member->hash);
}

struct member *peer_member(const struct cluster *cluster, const struct peer *peer) {
    return membership_find_hash(&cluster->membership, peer->hash);
}

struct peer *peer_get(struct cluster *cluster, struct bytes name) {
    uint64_t hash = membership_hash(name);
    struct peer *peer = find_hash(cluster, hash);
    if (peer != NULL)
        return peer;
    peer = calloc(1, sizeof *peer + name.len + 1);
    if (peer == NULL)
        return NULL;
    peer->hash = hash;
    memcpy(peer->name, name.data, name.len);
    peer->next_try_ms = INT64_MAX;
    peer->last_seen_ms = cluster->now_ms;
    peer->unwanted_ms = cluster->now_ms;
    TAILQ_INSERT_TAIL(&cluster->peers, peer, entry);
    return peer;
}

void peer_try_at(struct cluster *cluster, struct peer *peer, int64_t when_ms) {
    if (peer->connecting || peer->link != NULL || peer->next_try_ms <= when_ms)
        return;
    peer->next_try_ms = when_ms;
    if (when_ms < cluster->next_connect_ms)
        cluster->next_connect_ms = when_ms;
    cluster_wake_at(cluster, when_ms);
}

/* Only links for the topology and a join are tried again and again; discovery and autoheal have
 * their own rhythm. */
void peer_try_later(struct cluster *cluster, struct peer *peer) {
    peer->next_try_ms = INT64_MAX;
    if ((peer->reasons & (REASON_TOPOLOGY | REASON_JOIN)) == 0 || peer->link != NULL)
        return;
    int64_t wait_ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < peer->attempts && wait_ms < RETRY_LAST_MS; i++)
        wait_ms *= 2;
    wait_ms = wait_ms > RETRY_LAST_MS ? RETRY_LAST_MS : wait_ms;
    peer_try_at(cluster, peer,
                cluster->now_ms + random_between(&cluster->random, wait_ms / 2, wait_ms));
}

void peer_seen(struct cluster *cluster, struct peer *peer) {
    PORTOLAN_ASSERT(peer->last_seen_ms <= cluster->now_ms);
    peer->last_seen_ms = cluster->now_ms;
    peer->probes_awaited = 0;
    peer->refused = false;
    if (!peer->path_broken)
        return;
    peer->path_broken = false;
    cluster_notify(cluster, CLUSTER_EVENT_PATH_HEALED, peer->name, CLUSTER_CAUSE_NONE);
}

bool peer_is_responsive(const struct cluster *cluster, const struct peer *peer) {
    return peer != NULL && peer->link != NULL &&
           cluster->now_ms - peer->last_seen_ms <= RESPONSIVE_MS;
}

bool is_responsive(const struct cluster *cluster, const struct member *member) {
    return peer_is_responsive(cluster, peer_of(cluster, member));
}
