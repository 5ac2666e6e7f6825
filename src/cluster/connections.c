#include "cluster/connections.h"

#include "base/assert.h"
#include "cluster/peer.h"
#include "cluster/topology.h"

#include <stdlib.h>
#include <string.h>

#define UNWANTED_MS 10000 /* a link that the topology needs no more is kept so long */

#define CALLEE_WAITS_MS 200 /* of two that want a link, the one with the higher name waits */

/* --- connecting --- */

void connections_connect(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_connect_ms)
        return;
    struct peer *peer;
    cluster->next_connect_ms = INT64_MAX;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (peer->connecting || peer->link != NULL)
            continue;
        if (peer->next_try_ms > cluster->now_ms) {
            if (peer->next_try_ms < cluster->next_connect_ms)
                cluster->next_connect_ms = peer->next_try_ms;
            continue;
        }
        peer->next_try_ms = INT64_MAX;
        if (peer->reasons == 0 || cluster->stopping)
            continue;
        PORTOLAN_ASSERT(!peer->not_started);
        peer->connecting = true;
        peer->attempts++;
        if (cluster->io.connect(cluster->io_context, peer->name))
            continue;
        peer->not_started = true;
        cluster_wake_at(cluster, cluster->now_ms + 1);
    }
}

void connections_failed(struct cluster *cluster, const char *name, enum cluster_cause cause) {
    struct peer *peer = peer_find(cluster, bytes_of_text(name));
    if (peer == NULL || !peer->connecting || peer->not_started)
        return;
    peer->connecting = false;
    link_attempt_failed(cluster, peer, cause, false);
}

void connections_fail_not_started(struct cluster *cluster) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (!peer->not_started)
            continue;
        peer->not_started = peer->connecting = false;
        link_attempt_failed(cluster, peer, CLUSTER_CAUSE_NO_MEMORY, true);
    }
}

/* --- the topology --- */

static void want_link(struct cluster *cluster, const struct member *member) {
    struct peer *peer = peer_get(cluster, member_name(member));
    if (peer == NULL) {
        cluster->ring_changed = true; /* the next tick tries again */
        cluster_wake_at(cluster, cluster->now_ms + HEARTBEAT_MS);
        return;
    }
    if ((peer->reasons & REASON_TOPOLOGY) == 0) {
        peer->reasons |= REASON_TOPOLOGY;
        if (peer->link == NULL) {
            peer->next_probe_ms = 0;
            peer->attempts = 0;
            peer->last_seen_ms = cluster->now_ms;
            bool calls = strcmp(cluster->self->name, member->name) < 0;
            peer_try_at(cluster, peer, cluster->now_ms + (calls ? 0 : CALLEE_WAITS_MS));
            cluster_wake_at(cluster, cluster->now_ms + SILENCE_MS);
        }
    }
}

void connections_follow_topology(struct cluster *cluster) {
    struct member *neighbours[TOPOLOGY_MAX];
    size_t count = topology_neighbours(&cluster->membership, cluster->self, neighbours);
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        bool wanted = false;
        for (size_t i = 0; i < count && !wanted; i++)
            wanted = neighbours[i]->hash == peer->hash;
        if (wanted || (peer->reasons & REASON_TOPOLOGY) == 0)
            continue;
        peer->reasons &= ~(unsigned)REASON_TOPOLOGY;
        cluster->needs_sweep = true;
        peer->unwanted_ms = cluster->now_ms;
        peer->path_broken = false;
        peer->probes_awaited = 0;
    }
    for (size_t i = 0; i < count; i++)
        want_link(cluster, neighbours[i]);
}

/* --- closing --- */

/* Nothing watches a link to a member that others found to be down, but its own silence. */
static bool is_dead(const struct cluster *cluster, const struct peer *peer) {
    const struct member *member = peer_member(cluster, peer);
    return (member == NULL || !member_is_running(member)) &&
           cluster->now_ms - peer->last_seen_ms >= SILENCE_MS;
}

/* The side that began a link ends it when it is not needed; the other may begin one of its own. */
static void close_unwanted(struct cluster *cluster) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (peer->link != NULL && is_dead(cluster, peer))
            link_drop(cluster, peer->link, CLUSTER_CAUSE_SILENT);
        if (peer->link != NULL && peer->link->outgoing && peer->reasons == 0 &&
            cluster->now_ms - peer->unwanted_ms >= UNWANTED_MS && link_has_synced(peer->link))
            link_drop(cluster, peer->link, CLUSTER_CAUSE_NOT_NEEDED);
    }
}

void connections_heartbeat(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_heartbeat_ms)
        return;
    cluster->next_heartbeat_ms = cluster->now_ms + HEARTBEAT_MS;
    uint8_t buffer[WIRE_HEAD];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_end(&writer, wire_begin(&writer, WIRE_PING));
    link_broadcast(cluster, NULL, &writer);
    close_unwanted(cluster);
}

static bool is_idle(const struct peer *peer) {
    return peer->reasons == 0 && peer->link_count == 0 && !peer->connecting;
}

void connections_sweep(struct cluster *cluster) {
    if (!cluster->needs_sweep)
        return;
    cluster->needs_sweep = false;
    struct cluster_link *link = TAILQ_FIRST(&cluster->links);
    while (link != NULL) {
        struct cluster_link *next = TAILQ_NEXT(link, entry);
        if (link->gone) {
            TAILQ_REMOVE(&cluster->links, link, entry);
            PORTOLAN_ASSERT(cluster->link_count > 0 && link->pulls_in_flight == 0);
            cluster->link_count--;
            free(link);
        }
        link = next;
    }
    struct peer *peer = TAILQ_FIRST(&cluster->peers);
    while (peer != NULL) {
        struct peer *next = TAILQ_NEXT(peer, entry);
        if (is_idle(peer)) {
            PORTOLAN_ASSERT(peer->link == NULL && peer != cluster->join);
            TAILQ_REMOVE(&cluster->peers, peer, entry);
            free(peer);
        }
        peer = next;
    }
}

int64_t connections_due_ms(const struct cluster *cluster) {
    int64_t due_ms = INT64_MAX;
    const struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (peer->next_try_ms < due_ms && !peer->connecting && peer->link == NULL)
            due_ms = peer->next_try_ms;
        if (peer->not_started && cluster->now_ms + 1 < due_ms)
            due_ms = cluster->now_ms + 1;
    }
    const struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link->established && link->up_ms + HANDSHAKE_MS < due_ms)
            due_ms = link->up_ms + HANDSHAKE_MS;
    }
    return due_ms;
}
