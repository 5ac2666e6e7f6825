#include "cluster/failure_detector.h"

#include "cluster/gossip.h"
#include "cluster/peer.h"
#include "cluster/suspicion.h"
#include "cluster/topology.h"
#include "cluster/transitions.h"

#define TTL 40 /* a message takes O(log members) steps */

/* Time is up for one: it goes down, unless we hear it ourselves. Then it must not have heard of the
 * suspicion yet, and is told again. */
static void expire(struct cluster *cluster, struct suspicion *suspicion) {
    struct member *member = suspicion->member;
    if (!peer_is_responsive(cluster, peer_of(cluster, member))) {
        transition_declare_down(cluster, member, CLUSTER_CAUSE_SILENT);
        return;
    }
    suspicion_restart(cluster, suspicion);
    gossip_enqueue(cluster, member, NULL);
}

static void expire_suspicions(struct cluster *cluster) {
    struct suspicion *suspicion = TAILQ_FIRST(&cluster->suspicions);
    while (suspicion != NULL) {
        struct suspicion *next = TAILQ_NEXT(suspicion, entry);
        if (cluster->now_ms >= suspicion->deadline_ms)
            expire(cluster, suspicion);
        suspicion = next;
    }
}

static void suspect(struct cluster *cluster, struct member *member) {
    bool first = member->state == CLUSTER_ALIVE;
    if (!suspicion_add(cluster, member, cluster->self->hash))
        return;
    if (first) {
        member->since_ms = cluster->now_ms;
        membership_set_state(&cluster->membership, member, CLUSTER_SUSPECT);
        cluster_notify(cluster, CLUSTER_EVENT_SUSPECT, member->name, CLUSTER_CAUSE_SILENT);
    }
    gossip_enqueue(cluster, member, NULL);
}

/* --- probes --- */

/* The link over which a frame comes closer to `to`: straight, or along the ring. Silent links are
 * passed over: one of them may be the very path that is asked about. NULL: none. */
static struct cluster_link *route(const struct cluster *cluster, uint64_t to) {
    uint64_t nearest = topology_distance(cluster->self->hash, to);
    struct cluster_link *link, *chosen = NULL;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link_is_established(link) || !peer_is_responsive(cluster, link->peer))
            continue;
        uint64_t distance = topology_distance(link->peer->hash, to);
        if (distance < nearest) {
            nearest = distance;
            chosen = link;
        }
    }
    return chosen;
}

static bool pass_on(struct cluster *cluster, enum wire_type type, const struct wire_probe *probe) {
    struct cluster_link *link = route(cluster, probe->to);
    if (link == NULL || probe->ttl == 0)
        return false;
    uint8_t buffer[64];
    struct writer writer = writer_of(buffer, sizeof buffer);
    struct wire_probe next = *probe;
    next.ttl--;
    wire_write_probe(&writer, type, &next);
    link_send(cluster, link, &writer);
    return true;
}

/* No prober vouches for it. */
static void probe_finish(struct cluster *cluster, struct peer *peer) {
    struct member *member = peer_member(cluster, peer);
    peer->probes_awaited = 0;
    peer->next_probe_ms = cluster->now_ms + PROBE_AGAIN_MS;
    if (member == NULL || !member_is_running(member))
        return;
    if (peer->refused)
        transition_declare_down(cluster, member, CLUSTER_CAUSE_REFUSED);
    else
        suspect(cluster, member);
}

static void probe_start(struct cluster *cluster, struct peer *peer, const struct member *member) {
    struct member *probers[TOPOLOGY_MAX];
    size_t count = topology_probers(&cluster->membership, member, cluster->self, probers);
    peer->probe_number = ++cluster->next_number;
    peer->probes_awaited = 0;
    while (count > 0 && peer->probes_awaited < PROBERS) {
        size_t pick = (size_t)random_below(&cluster->random, count);
        struct wire_probe request = {.ttl = TTL,
                                     .to = probers[pick]->hash,
                                     .from = cluster->self->hash,
                                     .subject = member->hash,
                                     .number = peer->probe_number};
        if (pass_on(cluster, WIRE_PROBE_REQ, &request))
            peer->probes_awaited++;
        probers[pick] = probers[--count];
    }
    if (peer->probes_awaited == 0) {
        probe_finish(cluster, peer);
        return;
    }
    peer->probe_deadline_ms = cluster->now_ms + (peer->refused ? PROBE_REFUSED_MS : PROBE_MS);
    cluster_wake_at(cluster, peer->probe_deadline_ms);
}

bool failure_detector_receive_probe_req(struct cluster *cluster, struct bytes payload) {
    struct wire_probe request;
    if (!wire_read_probe(payload, WIRE_PROBE_REQ, &request))
        return false;
    if (request.to != cluster->self->hash) {
        pass_on(cluster, WIRE_PROBE_REQ, &request);
        return true;
    }
    const struct member *subject = membership_find_hash(&cluster->membership, request.subject);
    bool responsive = subject == cluster->self ||
                      (subject != NULL && peer_is_responsive(cluster, peer_of(cluster, subject)));
    struct wire_probe answer = {.ttl = TTL,
                                .to = request.from,
                                .subject = request.subject,
                                .number = request.number,
                                .responsive = responsive};
    pass_on(cluster, WIRE_PROBE_ACK, &answer);
    return true;
}

/* A prober vouches for it: the path between us is broken, and no more. */
static void mark_path_broken(struct cluster *cluster, struct peer *peer) {
    peer->probes_awaited = 0;
    peer->refused = false;
    peer->next_probe_ms = cluster->now_ms + PROBE_AGAIN_MS;
    cluster_wake_at(cluster, peer->next_probe_ms);
    if (!peer->path_broken) {
        peer->path_broken = true;
        cluster_notify(cluster, CLUSTER_EVENT_PATH_BROKEN, peer->name, CLUSTER_CAUSE_SILENT);
    }
    if (peer->link != NULL)
        link_drop(cluster, peer->link, CLUSTER_CAUSE_SILENT);
}

bool failure_detector_receive_probe_ack(struct cluster *cluster, struct bytes payload) {
    struct wire_probe answer;
    if (!wire_read_probe(payload, WIRE_PROBE_ACK, &answer))
        return false;
    if (answer.to != cluster->self->hash) {
        pass_on(cluster, WIRE_PROBE_ACK, &answer);
        return true;
    }
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (peer->probes_awaited > 0 && peer->probe_number == answer.number &&
            peer->hash == answer.subject)
            break;
    }
    if (peer == NULL)
        return true;
    if (answer.responsive)
        mark_path_broken(cluster, peer);
    else if (--peer->probes_awaited == 0)
        probe_finish(cluster, peer);
    return true;
}

/* --- silence --- */

void failure_detector_refused(struct cluster *cluster, struct peer *peer) {
    struct member *member = peer_member(cluster, peer);
    if (member == NULL || !member_is_running(member) || peer->link != NULL)
        return;
    peer->refused = true;
    if (peer->probes_awaited == 0 && cluster->now_ms >= peer->next_probe_ms)
        probe_start(cluster, peer, member);
}

static bool is_watched(const struct peer *peer) {
    return peer->link != NULL || (peer->reasons & REASON_TOPOLOGY) != 0;
}

/* When there is something to do about the silence of this one. */
static int64_t peer_due_ms(const struct cluster *cluster, const struct peer *peer) {
    if (peer->probes_awaited > 0)
        return peer->probe_deadline_ms;
    const struct member *member = peer_member(cluster, peer);
    if (member == NULL || !member_is_running(member) || !is_watched(peer) ||
        suspicion_has(member, cluster->self->hash))
        return INT64_MAX;
    int64_t due_ms = peer->last_seen_ms + SILENCE_MS;
    return due_ms > peer->next_probe_ms ? due_ms : peer->next_probe_ms;
}

void failure_detector_tick(struct cluster *cluster) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        if (cluster->now_ms < peer_due_ms(cluster, peer))
            continue;
        if (peer->probes_awaited > 0)
            probe_finish(cluster, peer);
        else
            probe_start(cluster, peer, peer_member(cluster, peer));
    }
    expire_suspicions(cluster);
}

int64_t failure_detector_due_ms(const struct cluster *cluster) {
    int64_t due_ms = INT64_MAX;
    const struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        sooner(&due_ms, peer_due_ms(cluster, peer));
    }
    sooner(&due_ms, suspicions_due_ms(cluster));
    return due_ms;
}

void failure_detector_extend(struct cluster *cluster, int64_t lost_ms) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        peer->last_seen_ms += lost_ms;
        if (peer->last_seen_ms > cluster->now_ms)
            peer->last_seen_ms = cluster->now_ms;
        peer->probe_deadline_ms += lost_ms;
    }
    suspicions_extend(cluster, lost_ms);
}
