/* Whom we connect to, and the links that come of it. */
#include "cluster/anti_entropy.h"
#include "cluster/cluster_inner.h"
#include "cluster/failure_detector.h"
#include "cluster/topology.h"

#include <stdlib.h>
#include <string.h>

#define CALLEE_WAITS_MS 200 /* of two who want_link a link, the one with the higher name waits */

/* --- peers --- */

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

void peer_attach(struct peer *peer, struct cluster_link *link) {
    link->peer = peer;
    peer->link_count++;
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

static bool is_joining_it(const struct cluster *cluster, const struct peer *peer) {
    return cluster->join == peer && peer != NULL && !cluster->join_adopted;
}

/* An attempt, or a link that never stood, came to nothing. */
static void attempt_failed(struct cluster *cluster, struct peer *peer, enum cluster_cause cause,
                           bool by_us) {
    peer->reasons &= ~(unsigned)(REASON_SEED | REASON_HEAL);
    cluster->needs_sweep = true;
    struct cluster_event event = {
        .type = CLUSTER_EVENT_LINK_REFUSED, .name = peer->name, .cause = cause, .by_us = by_us};
    cluster->io.notify(cluster->io_context, &event);
    bool ends_join = is_joining_it(cluster, peer) && peer->link_count == 0 && !peer->connecting;
    if (ends_join && cause == CLUSTER_CAUSE_BUSY)
        cluster->join_cause = cause; /* it may have room in a moment */
    else if (ends_join)
        join_failed(cluster, cause, by_us);
    peer_try_later(cluster, peer);
    if (cause == CLUSTER_CAUSE_REFUSED)
        failure_detector_refused(cluster, peer);
}

void peers_connect(struct cluster *cluster) {
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
        peer->connecting = true;
        peer->attempts++;
        if (cluster->io.connect(cluster->io_context, peer->name))
            continue;
        peer->not_started = true;
        cluster_wake_at(cluster, cluster->now_ms + 1);
    }
}

/* Not within the call that wanted the connection: whoever made it is not ready to be told yet. */
void peers_fail_not_started(struct cluster *cluster) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (!peer->not_started)
            continue;
        peer->not_started = peer->connecting = false;
        attempt_failed(cluster, peer, CLUSTER_CAUSE_NO_MEMORY, true);
    }
}

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

void peers_follow_topology(struct cluster *cluster) {
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

/* Nothing watches a link to a member that others found to be down, but its own silence. */
static bool is_dead(const struct cluster *cluster, const struct peer *peer) {
    const struct member *member = peer_member(cluster, peer);
    return (member == NULL || !member_is_running(member)) &&
           cluster->now_ms - peer->last_seen_ms >= SILENCE_MS;
}

/* Who began a link ends it when it is needed no more; the other end may begin one of its own. */
void peers_close_unwanted(struct cluster *cluster) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (peer->link != NULL && is_dead(cluster, peer))
            link_drop(cluster, peer->link, CLUSTER_CAUSE_SILENT);
        if (peer->link != NULL && peer->link->outgoing && peer->reasons == 0 &&
            cluster->now_ms - peer->unwanted_ms >= UNWANTED_MS && anti_entropy_is_done(peer->link))
            link_drop(cluster, peer->link, CLUSTER_CAUSE_NOT_NEEDED);
    }
}

static bool is_idle(const struct peer *peer) {
    return peer->reasons == 0 && peer->link_count == 0 && !peer->connecting;
}

void peers_sweep(struct cluster *cluster) {
    if (!cluster->needs_sweep)
        return;
    cluster->needs_sweep = false;
    struct cluster_link *link = TAILQ_FIRST(&cluster->links);
    while (link != NULL) {
        struct cluster_link *next = TAILQ_NEXT(link, entry);
        if (link->gone) {
            TAILQ_REMOVE(&cluster->links, link, entry);
            cluster->link_count--;
            free(link);
        }
        link = next;
    }
    struct peer *peer = TAILQ_FIRST(&cluster->peers);
    while (peer != NULL) {
        struct peer *next = TAILQ_NEXT(peer, entry);
        if (is_idle(peer)) {
            TAILQ_REMOVE(&cluster->peers, peer, entry);
            free(peer);
        }
        peer = next;
    }
}

int64_t peers_due_ms(const struct cluster *cluster) {
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

/* --- links --- */

/* Takes the link out of everything that knows it; it is freed when the call settles. */
static void detach(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    struct peer *peer = link->peer;
    bool was_established = link->established;
    link->gone = true;
    cluster->needs_sweep = true;
    link->established = false;
    replication_link_gone(cluster, link);
    for (size_t i = 0; i < cluster->gossip_count; i++) {
        if (cluster->gossip[i].from == link)
            cluster->gossip[i].from = NULL;
    }
    if (peer == NULL)
        return;
    peer->link_count--;
    bool was_theirs = peer->link == link;
    if (was_theirs)
        peer->link = NULL;
    if (was_established && was_theirs) {
        cluster_notify(cluster, CLUSTER_EVENT_LINK_DOWN, peer->name, cause);
        peer->attempts = 0;
    } else if (!was_established && cause != CLUSTER_CAUSE_DUPLICATE) {
        if (link->outgoing)
            peer->connecting = false;
        attempt_failed(cluster, peer, cause, link->rejected_by_us);
    } else if (link->outgoing && !was_established) {
        peer->connecting = false;
    }
}

void link_drop(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    if (link->gone)
        return;
    struct peer *peer = link->peer;
    detach(cluster, link, cause);
    cluster->io.disconnect(cluster->io_context, link->handle, cause);
    if (peer != NULL)
        peer_try_later(cluster, peer);
}

void link_send(struct cluster *cluster, struct cluster_link *link, const struct writer *writer) {
    if (link->gone)
        return;
    if (writer->failed)
        link_drop(cluster, link, CLUSTER_CAUSE_PROTOCOL);
    else if (!cluster->io.send(cluster->io_context, link->handle, writer_bytes(writer)))
        link_drop(cluster, link, CLUSTER_CAUSE_OVERFLOW);
}

void link_reject(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    uint8_t buffer[WIRE_HEAD + 1];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_REJECT);
    write_u8(&writer, (uint8_t)cause);
    wire_end(&writer, begun);
    link_send(cluster, link, &writer);
    link->rejected_by_us = true;
    link_drop(cluster, link, cause);
}

void links_expire_handshakes(struct cluster *cluster) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link->established && !link->gone && cluster->now_ms - link->up_ms >= HANDSHAKE_MS)
            link_drop(cluster, link, CLUSTER_CAUSE_TIMED_OUT);
    }
}

struct cluster_link *cluster_link_up(struct cluster *cluster, void *handle, const char *name,
                                     int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    struct peer *peer = name == NULL ? NULL : peer_get(cluster, bytes_of_text(name));
    struct cluster_link *link = NULL;
    if (!cluster->stopping && cluster->link_count < CLUSTER_LINKS_MAX &&
        (name == NULL || peer != NULL))
        link = calloc(1, sizeof *link);
    if (link != NULL) {
        link->handle = handle;
        link->outgoing = name != NULL;
        link->up_ms = now_ms;
        TAILQ_INSERT_TAIL(&cluster->links, link, entry);
        cluster->link_count++;
        cluster_wake_at(cluster, now_ms + HANDSHAKE_MS);
        if (peer != NULL) {
            peer_attach(peer, link);
            peer->connecting = true; /* until it is established or gone */
            handshake_send_hello(cluster, link);
        }
    } else if (peer != NULL) {
        peer->connecting = false;
        attempt_failed(cluster, peer, CLUSTER_CAUSE_NO_MEMORY, true);
    }
    bool refused = link == NULL || link->gone;
    cluster_settle(cluster);
    return refused ? NULL : link;
}

/* A link that was lost is tried again at once: the answer tells whether the process is gone. */
void cluster_link_down(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause,
                       int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    if (!link->gone) {
        struct peer *peer = link->peer;
        bool was_established = link->established;
        detach(cluster, link, cause);
        if (peer != NULL && was_established && (peer->reasons & REASON_TOPOLOGY) != 0)
            peer_try_at(cluster, peer, now_ms);
    }
    cluster_settle(cluster);
}

void cluster_connect_failed(struct cluster *cluster, const char *name, enum cluster_cause cause,
                            int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    struct peer *peer = peer_find(cluster, bytes_of_text(name));
    if (peer != NULL && peer->connecting && !peer->not_started) {
        peer->connecting = false;
        attempt_failed(cluster, peer, cause, false);
    }
    cluster_settle(cluster);
}
