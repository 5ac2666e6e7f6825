#include "cluster/link.h"

#include "base/assert.h"
#include "cluster/failure_detector.h"
#include "cluster/gossip.h"
#include "cluster/join.h"
#include "cluster/peer.h"
#include "cluster/replication.h"

#include <stdlib.h>
#include <string.h>

void link_attach(struct cluster_link *link, struct peer *peer) {
    PORTOLAN_ASSERT(link->peer == NULL && !link->gone);
    link->peer = peer;
    peer->link_count++;
}

struct cluster_link *link_new(struct cluster *cluster, void *handle, bool outgoing) {
    struct cluster_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->handle = handle;
    link->outgoing = outgoing;
    link->up_ms = cluster->now_ms;
    TAILQ_INSERT_TAIL(&cluster->links, link, entry);
    cluster->link_count++;
    cluster_wake_at(cluster, cluster->now_ms + HANDSHAKE_MS);
    return link;
}

bool link_is_established(const struct cluster_link *link) {
    PORTOLAN_ASSERT(!link->established || link->peer != NULL);
    return link->established && !link->gone;
}

bool link_has_synced(const struct cluster_link *link) {
    static const uint8_t none[sizeof link->buckets_left];
    return !link->summary_awaited && link->ranges_awaited == 0 && link->pulls_in_flight == 0 &&
           !link->more_to_pull && memcmp(link->buckets_left, none, sizeof none) == 0;
}

/* An attempt, or a link that never stood, came to nothing. */
void link_attempt_failed(struct cluster *cluster, struct peer *peer, enum cluster_cause cause,
                         bool by_us) {
    peer->reasons &= ~(unsigned)(REASON_SEED | REASON_HEAL);
    cluster->needs_sweep = true;
    struct cluster_event event = {
        .type = CLUSTER_EVENT_LINK_REFUSED, .name = peer->name, .cause = cause, .by_us = by_us};
    cluster->io.notify(cluster->io_context, &event);
    join_attempt_failed(cluster, peer, cause, by_us);
    peer_try_later(cluster, peer);
    if (cause == CLUSTER_CAUSE_REFUSED)
        failure_detector_refused(cluster, peer);
}

/* Takes the link out of everything that knows it; it is freed when the call settles. */
static void detach(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    PORTOLAN_ASSERT(!link->gone && cluster->link_count > 0);
    struct peer *peer = link->peer;
    bool was_established = link->established;
    PORTOLAN_ASSERT(!was_established || peer != NULL);
    link->gone = true;
    cluster->needs_sweep = true;
    link->established = false;
    replication_link_gone(cluster, link);
    PORTOLAN_ASSERT(link->pulls_in_flight == 0 && link->snapshot == NULL);
    for (size_t i = 0; i < cluster->gossip_count; i++) {
        if (cluster->gossip[i].from == link)
            cluster->gossip[i].from = NULL;
    }
    if (peer == NULL)
        return;
    PORTOLAN_ASSERT(peer->link_count > 0);
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
        link_attempt_failed(cluster, peer, cause, link->rejected_by_us);
    } else if (link->outgoing && !was_established) {
        peer->connecting = false;
    }
}

/* It is tried again at once: the answer tells whether the process is gone. */
void link_lost(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    if (link->gone)
        return;
    struct peer *peer = link->peer;
    bool was_established = link->established;
    detach(cluster, link, cause);
    if (peer != NULL && was_established && (peer->reasons & REASON_TOPOLOGY) != 0)
        peer_try_at(cluster, peer, cluster->now_ms);
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

void link_broadcast(struct cluster *cluster, const struct cluster_link *except,
                    const struct writer *writer) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link != except && link_is_established(link))
            link_send(cluster, link, writer);
    }
}

void links_expire_handshakes(struct cluster *cluster) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link->established && !link->gone && cluster->now_ms - link->up_ms >= HANDSHAKE_MS)
            link_drop(cluster, link, CLUSTER_CAUSE_TIMED_OUT);
    }
}
