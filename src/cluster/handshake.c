#include "cluster/handshake.h"

#include "cluster/anti_entropy.h"
#include "cluster/gossip.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/leave.h"
#include "cluster/merge.h"
#include "cluster/peer.h"
#include "cluster/self.h"
#include "cluster/transitions.h"

#include <string.h>

#define NAME_HELD_MS (HEARTBEAT_MS + 300)
#define PRIOR_JOINS_MAX 3 /* joins that we forgot and were told of, in one generation */

static uint8_t intent_towards(const struct cluster *cluster, const struct peer *peer) {
    if (cluster->join == peer && !cluster->join_adopted)
        return WIRE_INTENT_JOIN;
    if ((peer->reasons & REASON_SEED) != 0)
        return WIRE_INTENT_DISCOVER;
    return WIRE_INTENT_MEMBER;
}

static uint8_t own_flags(const struct cluster *cluster) {
    return (uint8_t)((cluster_is_alone(cluster) ? WIRE_FLAG_ALONE : 0) |
                     (cluster->discovery_paused ? WIRE_FLAG_DISCOVERY_PAUSED : 0) |
                     (cluster->discovery ? WIRE_FLAG_DISCOVERY : 0));
}

static void send_hello(struct cluster *cluster, struct cluster_link *link) {
    const struct member *self = cluster->self;
    struct wire_hello hello = {
        .version = WIRE_VERSION,
        .flags = own_flags(cluster),
        .intent = intent_towards(cluster, link->peer),
        .id = cluster->id,
        .joined = self->joined,
        .generation = self->generation,
        .incarnation = self->incarnation,
        .names = directory_owner_version(self->owner).sequence,
        .known_state = WIRE_KNOWN_NOTHING,
        .port = self->port,
        .name = member_name(self),
        .cluster_name = bytes_of_text(cluster->cluster_name),
    };
    const struct member *member = peer_member(cluster, link->peer);
    if (member != NULL) {
        hello.known_state = member->state;
        hello.known_joined = member->joined;
        hello.known_incarnation = member->incarnation;
    }
    uint8_t buffer[1024];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_hello(&writer, &hello);
    link->hello_sent = true;
    link_send(cluster, link, &writer);
}

static void send_join_accept(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                             uint64_t prior_join) {
    uint8_t buffer[WIRE_HEAD + 16];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_JOIN_ACCEPT);
    write_u64(&writer, known);
    write_u64(&writer, prior_join);
    wire_end(&writer, begun);
    link_send(cluster, link, &writer);
}

/* --- establishing --- */

/*
 * Two links to one member: the one that the lower name began stays, so that both ends choose alike.
 * But a member that has started anew, or began another link of its own, has lost the old one.
 */
static bool replaces(const struct cluster *cluster, const struct cluster_link *new_link,
                     const struct cluster_link *old_link) {
    if (new_link->hello.generation != old_link->hello.generation ||
        new_link->outgoing == old_link->outgoing)
        return true;
    if (cluster->now_ms - old_link->peer->last_seen_ms > RESPONSIVE_MS)
        return true;
    bool we_are_lower = strcmp(cluster->self->name, new_link->peer->name) < 0;
    return new_link->outgoing == we_are_lower;
}

static struct wire_record record_of_peer(const struct cluster_link *link) {
    return (struct wire_record){
        .state = CLUSTER_ALIVE,
        .port = link->hello.port,
        .joined = link->hello.joined,
        .generation = link->hello.generation,
        .incarnation = link->hello.incarnation,
        .names = link->hello.names,
        .name = bytes_of_text(link->peer->name),
    };
}

/* The peer thinks us suspect, down or cleaned: we are not. Or it knows an incarnation of ours that
 * we have forgotten: our disk lost it, and the clock was set back. */
static void refute(struct cluster *cluster, const struct cluster_link *link) {
    uint8_t state = link->hello.known_state;
    if (state != WIRE_KNOWN_NOTHING && link->hello.known_incarnation > cluster->self->incarnation) {
        self_new_generation(cluster, link->hello.known_incarnation);
        return;
    }
    if (state != CLUSTER_SUSPECT && state != CLUSTER_DOWN && state != CLUSTER_CLEANED)
        return;
    if (link->hello.known_incarnation == cluster->self->incarnation)
        self_bump_incarnation(cluster, link->hello.known_incarnation);
}

static void establish(struct cluster *cluster, struct cluster_link *link, bool hello_again) {
    struct peer *peer = link->peer;
    if (peer->link != NULL && peer->link != link) {
        if (!replaces(cluster, link, peer->link)) {
            link_reject(cluster, link, CLUSTER_CAUSE_DUPLICATE);
            return;
        }
        link_drop(cluster, peer->link, CLUSTER_CAUSE_DUPLICATE);
    }
    bool first = !link->established;
    link->found_alone = first ? cluster_is_alone(cluster) : link->found_alone;
    if (identity_compare(link->hello.id, cluster->id) != 0)
        identity_adopt(cluster, link, link->hello.id);
    refute(cluster, link);
    if (!link->hello_sent || hello_again)
        send_hello(cluster, link);
    if (link->gone)
        return;
    link->established = true;
    peer->link = link;
    peer->next_try_ms = INT64_MAX;
    peer->reasons &= ~(unsigned)(REASON_SEED | REASON_HEAL);
    peer->unwanted_ms = cluster->now_ms;
    if (link->outgoing)
        peer->connecting = false;
    struct wire_record record = record_of_peer(link);
    enum merge_result verdict = merge_record(cluster, &record, link);
    if (verdict == MERGE_REFUSED && membership_find(&cluster->membership, record.name) == NULL) {
        link_reject(cluster, link, CLUSTER_CAUSE_FULL);
        return;
    }
    peer_seen(cluster, peer);
    arm_heartbeat(cluster);
    peer->attempts = 0;
    if (first)
        cluster_notify(cluster, CLUSTER_EVENT_LINK_UP, peer->name, CLUSTER_CAUSE_NONE);
    if (cluster->join == peer) {
        cluster->join_adopted = true;
        link->join_sync = true;
    }
    if ((first && link->outgoing) || link->join_sync)
        anti_entropy_begin(cluster, link);
}

/* --- judging --- */

static bool is_tombstone_state(uint8_t state) {
    return state == CLUSTER_LEFT || state == CLUSTER_FORCED_OUT;
}

static bool peer_lists_us(const struct cluster_link *link) {
    return link->hello.known_state != WIRE_KNOWN_NOTHING &&
           !is_tombstone_state(link->hello.known_state);
}

static bool is_one_cluster(const struct cluster *cluster, const struct cluster_link *link,
                           const struct member *member) {
    if (identity_compare(cluster->id, link->hello.id) == 0)
        return true;
    if (member != NULL && !member_is_tombstone(member) && member->joined == link->hello.joined)
        return true;
    return peer_lists_us(link) && link->hello.known_joined == cluster->self->joined;
}

static bool is_ended(const struct cluster_link *link, const struct member *member) {
    return member != NULL && member_is_tombstone(member) &&
           member->incarnation >= link->hello.joined;
}

/* Line 2 of the table above. */
static bool does_not_know_its_end(const struct cluster *cluster, const struct cluster_link *link) {
    return identity_compare(cluster->id, link->hello.id) == 0 ||
           (peer_lists_us(link) && link->hello.known_joined == cluster->self->joined);
}

/* Whether the peer is the one that joins, we are, or nobody. */
enum joiner { NOBODY_JOINS, PEER_JOINS, WE_JOIN };

static enum joiner who_joins(const struct cluster *cluster, const struct cluster_link *link) {
    bool we = intent_towards(cluster, link->peer) == WIRE_INTENT_JOIN;
    bool peer_wants = link->hello.intent == WIRE_INTENT_JOIN;
    if (we && peer_wants)
        return strcmp(cluster->self->name, link->peer->name) < 0 ? PEER_JOINS : WE_JOIN;
    return peer_wants ? PEER_JOINS : we ? WE_JOIN : NOBODY_JOINS;
}

static bool may_merge(const struct cluster *cluster, const struct cluster_link *link) {
    unsigned both = link->hello.flags & own_flags(cluster);
    unsigned either = link->hello.flags | own_flags(cluster);
    bool discovered = link->hello.intent == WIRE_INTENT_DISCOVER ||
                      intent_towards(cluster, link->peer) == WIRE_INTENT_DISCOVER;
    return discovered && (either & WIRE_FLAG_DISCOVERY_PAUSED) == 0 &&
           ((either & WIRE_FLAG_ALONE) != 0 || (both & WIRE_FLAG_DISCOVERY) != 0);
}

/*
 * Line 6. Who was ended has to join anew, with a number above its tombstone: after a restart only,
 * for until then it rests. (It may have forgotten that it was ever a member, and so not know.)
 */
static void merge_clusters(struct cluster *cluster, struct cluster_link *link,
                           const struct member *member) {
    bool we_were_ended = is_tombstone_state(link->hello.known_state) &&
                         link->hello.known_incarnation >= cluster->self->joined;
    if (is_ended(link, member)) {
        if (link->hello.generation > member->incarnation)
            send_join_accept(cluster, link, member->incarnation, 0);
        else
            link_reject(cluster, link, CLUSTER_CAUSE_OUT);
    } else if (!we_were_ended) {
        establish(cluster, link, false);
    } else if (link->hello.known_incarnation >= cluster->self->generation) {
        if (cluster_is_alone(cluster))
            leave_as_ended(cluster, (enum cluster_state)link->hello.known_state,
                           link->hello.known_incarnation);
        else
            link_reject(cluster, link, CLUSTER_CAUSE_OUT);
    }
}

static void judge(struct cluster *cluster, struct cluster_link *link) {
    struct member *member = peer_member(cluster, link->peer);
    enum joiner joiner = who_joins(cluster, link);
    bool ended = is_ended(link, member);
    if (ended && joiner != PEER_JOINS && does_not_know_its_end(cluster, link)) {
        link->established = false;
        gossip_send_member(cluster, link, member);
        link_reject(cluster, link, CLUSTER_CAUSE_OUT);
        return;
    }
    if (!ended && is_one_cluster(cluster, link, member)) {
        establish(cluster, link, false);
        return;
    }
    if (member != NULL && !member_is_tombstone(member)) {
        if (link->hello.joined > member->joined) {
            transition_end_membership(cluster, member, CLUSTER_LEFT, link->hello.joined - 1, NULL);
            link->closing = false;
            member = peer_member(cluster, link->peer);
        } else if (joiner == NOBODY_JOINS) {
            send_join_accept(cluster, link, member->incarnation, member->joined);
            return;
        }
    }
    if (joiner == PEER_JOINS)
        send_join_accept(cluster, link, member == NULL ? 0 : member->incarnation, 0);
    else if (joiner == NOBODY_JOINS && may_merge(cluster, link))
        merge_clusters(cluster, link, member);
    else if (joiner == NOBODY_JOINS && !peer_lists_us(link))
        link_reject(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
}

/* --- hello --- */

static void remember(struct cluster_link *link, const struct wire_hello *hello) {
    link->hello.heard = true;
    link->hello.intent = hello->intent;
    link->hello.flags = hello->flags;
    link->hello.known_state = hello->known_state;
    link->hello.port = hello->port;
    link->hello.id = hello->id;
    link->hello.joined = hello->joined;
    link->hello.generation = hello->generation;
    link->hello.incarnation = hello->incarnation;
    link->hello.names = hello->names;
    link->hello.known_joined = hello->known_joined;
    link->hello.known_incarnation = hello->known_incarnation;
}

/*
 * Someone else under a running member's name: the member's link stands, was heard of lately, and
 * the newcomer has another generation. If it is the same member, started again, the old link is
 * about to be found dead, and its next call succeeds.
 */
static bool is_name_in_use(const struct cluster *cluster, const struct cluster_link *link,
                           const struct wire_hello *hello) {
    const struct peer *peer = peer_find(cluster, hello->name);
    return peer != NULL && peer->link != NULL && peer->link != link &&
           peer->link->hello.generation != hello->generation &&
           cluster->now_ms - peer->last_seen_ms <= NAME_HELD_MS;
}

/*
 * The same of one that wants to join, where the member is not linked with us but runs, as far as we
 * know: a daemon that does not remember that it left is another one.
 */
static bool joins_under_a_taken_name(const struct cluster *cluster,
                                     const struct wire_hello *hello) {
    const struct member *member = membership_find(&cluster->membership, hello->name);
    return hello->intent == WIRE_INTENT_JOIN && member != NULL && member_is_running(member) &&
           member->generation != hello->generation && hello->joined <= member->joined &&
           !is_responsive(cluster, member);
}

/* Also of what it says of us: we would have to go above that. */
static bool is_far_ahead(const struct cluster *cluster, const struct wire_hello *hello) {
    return cluster_is_far_ahead(cluster, hello->incarnation) ||
           cluster_is_far_ahead(cluster, hello->generation + hello->names) ||
           cluster_is_far_ahead(cluster, hello->known_incarnation) ||
           cluster_is_far_ahead(cluster, hello->known_joined);
}

/* Whether it would come into our list, by its will or ours: told before it has given up anything
 * for that. If we go over to it, its list counts. */
static bool wants_in(const struct cluster *cluster, const struct cluster_link *link,
                     const struct wire_hello *hello) {
    uint8_t ours = link->peer == NULL ? WIRE_INTENT_MEMBER : intent_towards(cluster, link->peer);
    return ours != WIRE_INTENT_JOIN &&
           (hello->intent != WIRE_INTENT_MEMBER || ours == WIRE_INTENT_DISCOVER);
}

static enum cluster_cause reject_reason(struct cluster *cluster, struct cluster_link *link,
                                        const struct wire_hello *hello) {
    if (hello->version != WIRE_VERSION)
        return CLUSTER_CAUSE_WRONG_VERSION;
    if (!bytes_equal(hello->cluster_name, bytes_of_text(cluster->cluster_name)))
        return CLUSTER_CAUSE_WRONG_CLUSTER_NAME;
    if (bytes_equal(hello->name, member_name(cluster->self))) {
        if (hello->generation == cluster->self->generation)
            return CLUSTER_CAUSE_OURSELVES;
        cluster_notify(cluster, CLUSTER_EVENT_NAME_CLASH, cluster->self->name,
                       CLUSTER_CAUSE_NAME_IN_USE);
        return CLUSTER_CAUSE_NAME_IN_USE;
    }
    if (link->peer != NULL && !bytes_equal(hello->name, bytes_of_text(link->peer->name)))
        return CLUSTER_CAUSE_WRONG_NAME;
    if (is_far_ahead(cluster, hello))
        return CLUSTER_CAUSE_CLOCK;
    if (wants_in(cluster, link, hello) && !merge_has_place_for(cluster, hello->name))
        return CLUSTER_CAUSE_FULL;
    if (is_name_in_use(cluster, link, hello) || joins_under_a_taken_name(cluster, hello))
        return CLUSTER_CAUSE_NAME_IN_USE;
    return CLUSTER_CAUSE_NONE;
}

static bool name_allowed(struct cluster *cluster, struct cluster_link *link) {
    return cluster->io.name_allowed == NULL ||
           cluster->io.name_allowed(cluster->io_context, link->handle, link->peer->name);
}

/* The caller is known by its HELLO alone, so dropping the link reports nothing. */
static void notify_rejected(struct cluster *cluster, const struct cluster_link *link,
                            struct bytes name, enum cluster_cause cause) {
    char text[CLUSTER_NAME_MAX + 1];
    if (link->peer != NULL || bytes_equal(name, member_name(cluster->self)))
        return;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    struct cluster_event event = {
        .type = CLUSTER_EVENT_LINK_REFUSED, .name = text, .cause = cause, .by_us = true};
    cluster->io.notify(cluster->io_context, &event);
}

static void hello_received(struct cluster *cluster, struct cluster_link *link,
                           const struct wire_hello *hello) {
    enum cluster_cause cause = reject_reason(cluster, link, hello);
    if (cause != CLUSTER_CAUSE_NONE) {
        notify_rejected(cluster, link, hello->name, cause);
        link_reject(cluster, link, cause);
        return;
    }
    if (link->peer == NULL) {
        struct peer *peer = peer_get(cluster, hello->name);
        if (peer == NULL) {
            link_reject(cluster, link, CLUSTER_CAUSE_NO_MEMORY);
            return;
        }
        link_attach(link, peer);
    }
    remember(link, hello);
    if (!name_allowed(cluster, link)) {
        link_reject(cluster, link, CLUSTER_CAUSE_CERTIFICATE);
        return;
    }
    if (!link->hello_sent && is_one_cluster(cluster, link, peer_member(cluster, link->peer)))
        refute(cluster, link); /* our HELLO is to say the higher incarnation already */
    if (!link->hello_sent)
        send_hello(cluster, link);
    if (!link->gone)
        judge(cluster, link);
}

bool handshake_receive_hello(struct cluster *cluster, struct cluster_link *link,
                             struct bytes payload) {
    struct wire_hello hello;
    if (!wire_read_hello(payload, &hello))
        return false;
    hello_received(cluster, link, &hello);
    return true;
}

/* --- the target lets us in --- */

/* A member that was ended and meets the cluster again by discovery, after a restart, joins anew. */
static void join_anew(struct cluster *cluster, struct cluster_link *link, uint64_t known) {
    if (known < cluster->self->joined || cluster->discovery_paused)
        return;
    self_new_generation(cluster, known);
    cluster->self->joined = cluster->self->generation;
    membership_refresh(&cluster->membership, cluster->self);
    send_hello(cluster, link);
    if (!link->gone)
        link->hello.known_state = WIRE_KNOWN_NOTHING;
    if (!link->gone && may_merge(cluster, link))
        establish(cluster, link, false);
}

static void join_accept_received(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                                 uint64_t prior_join) {
    if (link->established || !link->hello.heard)
        return;
    bool we_join = intent_towards(cluster, link->peer) == WIRE_INTENT_JOIN;
    bool forgot =
        prior_join > cluster->self->joined && cluster->prior_joins_followed < PRIOR_JOINS_MAX;
    if (prior_join > 0 && !we_join) {
        if (forgot && cluster->join == NULL) {
            cluster->prior_joins_followed++;
            join_become_member(cluster, link, known, prior_join);
            establish(cluster, link, true);
        } else {
            link_reject(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
        }
    } else if (we_join) {
        join_become_member(cluster, link, known, 0);
        establish(cluster, link, true);
    } else if (may_merge(cluster, link)) {
        join_anew(cluster, link, known);
    }
}

bool handshake_receive_join_accept(struct cluster *cluster, struct cluster_link *link,
                                   struct bytes payload) {
    struct reader reader = reader_of(payload);
    uint64_t known = read_u64(&reader), prior_join = read_u64(&reader);
    if (reader.failed || known >= WIRE_NUMBER_MAX || prior_join >= WIRE_NUMBER_MAX)
        return false;
    if (cluster_is_far_ahead(cluster, known) || cluster_is_far_ahead(cluster, prior_join))
        link_reject(cluster, link, CLUSTER_CAUSE_CLOCK);
    else
        join_accept_received(cluster, link, known, prior_join);
    return true;
}

/* --- the beginning --- */

struct cluster_link *handshake_begin(struct cluster *cluster, void *handle, const char *name) {
    struct peer *peer = name == NULL ? NULL : peer_get(cluster, bytes_of_text(name));
    struct cluster_link *link = NULL;
    if (!cluster->stopping && cluster->link_count < CLUSTER_LINKS_MAX &&
        (name == NULL || peer != NULL))
        link = link_new(cluster, handle, name != NULL);
    if (link == NULL && peer != NULL) {
        peer->connecting = false;
        link_attempt_failed(cluster, peer, CLUSTER_CAUSE_NO_MEMORY, true);
    } else if (link != NULL && peer != NULL) {
        link_attach(link, peer);
        peer->connecting = true; /* until it is established or gone */
        send_hello(cluster, link);
    }
    return link == NULL || link->gone ? NULL : link;
}
