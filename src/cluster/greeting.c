/*
 * HELLO, and what it makes of two daemons.
 *
 * Who called says HELLO first; who was called answers with its own, knowing whom it talks to. Both
 * then judge alike, each from its own side, by the first line that fits:
 *
 *   1  versions or cluster names differ, or the name is taken           REFUSE
 *   2  the peer was ended (a tombstone covers its membership), and
 *      does not know: it thinks that it is of our cluster               FACTS, REFUSE
 *   3  one cluster: the same id, or one of us lists the other with
 *      the very join that the other tells of                            established
 *   4  we list the peer, by an earlier join than it tells of            it left: its tombstone
 *      ... by a later one: it forgot (its disk lost the last write)     WELCOME with a claim
 *   5  one of us wants to join the other (both: the higher name does)   WELCOME; HELLO again
 *   6  discovery brought us together, nobody rests, and one of us is
 *      alone or both use discovery                                      established: two become one
 *   7  the peer lists us                                                wait for its 4
 *   8  nothing in common                                                REFUSE
 *
 * "Established" of two different ids (3, 6) means that both clusters become one under the older id:
 * their records are merged like any others.
 */
#include "cluster/cluster_inner.h"
#include "cluster/failure.h"
#include "cluster/sync.h"

#include <string.h>

#define HEARD_LATELY_MS (HEARTBEAT_MS + 300)
#define CLAIMS_MAX 3 /* joins that we forgot and were told of, in one life */

static uint8_t intent_towards(const struct cluster *cluster, const struct contact *contact) {
    if (cluster->join == contact && !cluster->join_adopted)
        return PEER_INTENT_JOIN;
    if ((contact->reasons & CONTACT_SEED) != 0)
        return PEER_INTENT_DISCOVER;
    return PEER_INTENT_MEMBER;
}

static uint8_t own_flags(const struct cluster *cluster) {
    return (uint8_t)((cluster_is_alone(cluster) ? PEER_FLAG_ALONE : 0) |
                     (cluster->resting ? PEER_FLAG_RESTING : 0) |
                     (cluster->discovery ? PEER_FLAG_DISCOVERY : 0));
}

void greeting_send_hello(struct cluster *cluster, struct cluster_link *link) {
    const struct member *self = cluster->self;
    struct peer_hello hello = {
        .version = PEER_VERSION,
        .flags = own_flags(cluster),
        .intent = intent_towards(cluster, link->contact),
        .id = cluster->id,
        .joined = self->joined,
        .life = self->life,
        .incarnation = self->incarnation,
        .names = directory_owner_version(self->owner).sequence,
        .known_state = PEER_KNOWN_NOTHING,
        .port = self->port,
        .name = member_name(self),
        .cluster_name = bytes_of_text(cluster->cluster_name),
    };
    const struct member *peer = contact_member(cluster, link->contact);
    if (peer != NULL) {
        hello.known_state = peer->state;
        hello.known_joined = peer->joined;
        hello.known_incarnation = peer->incarnation;
    }
    uint8_t buffer[1024];
    struct writer writer = writer_of(buffer, sizeof buffer);
    peer_write_hello(&writer, &hello);
    link->greeted = true;
    link_send(cluster, link, &writer);
}

static void send_welcome(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                         uint64_t claim) {
    uint8_t buffer[PEER_HEAD + 16];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = peer_begin(&writer, PEER_WELCOME);
    write_u64(&writer, known);
    write_u64(&writer, claim);
    peer_end(&writer, begun);
    link_send(cluster, link, &writer);
}

/* --- one identity --- */

/* The older of two ids stays. All links are told, so that all members get there. */
static void adopt_id(struct cluster *cluster, struct cluster_link *from, struct cluster_id id) {
    if (cluster_id_compare(id, cluster->id) >= 0)
        return;
    cluster->id = id;
    cluster_tell(cluster, CLUSTER_EVENT_MERGED, from->contact->name, CLUSTER_CAUSE_NONE);
    cluster->io.persist(cluster->io_context, true);
    uint8_t buffer[PEER_HEAD + 16];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = peer_begin(&writer, PEER_IDENTITY);
    peer_write_id(&writer, id);
    peer_end(&writer, begun);
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link != from && link->established && !link->gone)
            link_send(cluster, link, &writer);
    }
}

void greeting_receive_identity(struct cluster *cluster, struct cluster_link *link,
                               struct cluster_id id) {
    adopt_id(cluster, link, id);
}

/* --- establishing --- */

/*
 * Two links to one member: the one that the lower name began stays, so that both ends choose alike.
 * But a member that has started anew, or began another link of its own, has lost the old one.
 */
static bool replaces(const struct cluster *cluster, const struct cluster_link *new_link,
                     const struct cluster_link *old_link) {
    if (new_link->hello.life != old_link->hello.life || new_link->outgoing == old_link->outgoing)
        return true;
    if (cluster->now_ms - old_link->contact->heard_ms > FAILURE_HEARD_MS)
        return true;
    bool we_are_lower = strcmp(cluster->self->name, new_link->contact->name) < 0;
    return new_link->outgoing == we_are_lower;
}

static struct peer_record record_of_peer(const struct cluster_link *link) {
    return (struct peer_record){
        .state = CLUSTER_ALIVE,
        .port = link->hello.port,
        .joined = link->hello.joined,
        .life = link->hello.life,
        .incarnation = link->hello.incarnation,
        .names = link->hello.names,
        .name = bytes_of_text(link->contact->name),
    };
}

/* The peer thinks us suspect, down or cleaned: we are not. Or it knows an incarnation of ours that
 * we have forgotten: our disk lost it, and the clock was set back. */
static void refute(struct cluster *cluster, const struct cluster_link *link) {
    uint8_t state = link->hello.known_state;
    if (state != PEER_KNOWN_NOTHING && link->hello.known_incarnation > cluster->self->incarnation) {
        facts_new_life(cluster, link->hello.known_incarnation);
        return;
    }
    if (state != CLUSTER_SUSPECT && state != CLUSTER_DOWN && state != CLUSTER_CLEANED)
        return;
    if (link->hello.known_incarnation == cluster->self->incarnation)
        facts_raise_self(cluster, link->hello.known_incarnation);
}

static void establish(struct cluster *cluster, struct cluster_link *link, bool hello_again) {
    struct contact *contact = link->contact;
    if (contact->link != NULL && contact->link != link) {
        if (!replaces(cluster, link, contact->link)) {
            link_refuse(cluster, link, CLUSTER_CAUSE_DUPLICATE);
            return;
        }
        link_drop(cluster, contact->link, CLUSTER_CAUSE_DUPLICATE);
    }
    bool first = !link->established;
    link->found_alone = first ? cluster_is_alone(cluster) : link->found_alone;
    if (cluster_id_compare(link->hello.id, cluster->id) != 0)
        adopt_id(cluster, link, link->hello.id);
    refute(cluster, link);
    if (!link->greeted || hello_again)
        greeting_send_hello(cluster, link);
    if (link->gone)
        return;
    link->established = true;
    contact->link = link;
    contact->next_try_ms = INT64_MAX;
    contact->reasons &= ~(unsigned)(CONTACT_SEED | CONTACT_HEAL);
    contact->unwanted_ms = cluster->now_ms;
    if (link->outgoing)
        contact->connecting = false;
    struct peer_record record = record_of_peer(link);
    enum facts_verdict verdict = facts_apply(cluster, &record, link);
    if (verdict == FACTS_REFUSED && membership_find(&cluster->membership, record.name) == NULL) {
        link_refuse(cluster, link, CLUSTER_CAUSE_FULL);
        return;
    }
    failure_heard(cluster, contact);
    cluster_beat(cluster);
    contact->attempts = 0;
    if (first)
        cluster_tell(cluster, CLUSTER_EVENT_LINK_UP, contact->name, CLUSTER_CAUSE_NONE);
    if (cluster->join == contact) {
        cluster->join_adopted = true;
        link->join_sync = true;
    }
    if ((first && link->outgoing) || link->join_sync)
        sync_begin(cluster, link);
}

/* --- judging --- */

static bool is_tombstone_state(uint8_t state) {
    return state == CLUSTER_LEFT || state == CLUSTER_FORCED_OUT;
}

static bool peer_lists_us(const struct cluster_link *link) {
    return link->hello.known_state != PEER_KNOWN_NOTHING &&
           !is_tombstone_state(link->hello.known_state);
}

static bool is_one_cluster(const struct cluster *cluster, const struct cluster_link *link,
                           const struct member *peer) {
    if (cluster_id_compare(cluster->id, link->hello.id) == 0)
        return true;
    if (peer != NULL && !member_is_tombstone(peer) && peer->joined == link->hello.joined)
        return true;
    return peer_lists_us(link) && link->hello.known_joined == cluster->self->joined;
}

static bool is_ended(const struct cluster_link *link, const struct member *peer) {
    return peer != NULL && member_is_tombstone(peer) && peer->incarnation >= link->hello.joined;
}

/* Line 2 of the table above. */
static bool does_not_know_its_end(const struct cluster *cluster, const struct cluster_link *link) {
    return cluster_id_compare(cluster->id, link->hello.id) == 0 ||
           (peer_lists_us(link) && link->hello.known_joined == cluster->self->joined);
}

/* Whether the peer is the one that joins, we are, or nobody. */
enum joiner { NOBODY_JOINS, PEER_JOINS, WE_JOIN };

static enum joiner who_joins(const struct cluster *cluster, const struct cluster_link *link) {
    bool we = intent_towards(cluster, link->contact) == PEER_INTENT_JOIN;
    bool peer = link->hello.intent == PEER_INTENT_JOIN;
    if (we && peer)
        return strcmp(cluster->self->name, link->contact->name) < 0 ? PEER_JOINS : WE_JOIN;
    return peer ? PEER_JOINS : we ? WE_JOIN : NOBODY_JOINS;
}

static bool may_merge(const struct cluster *cluster, const struct cluster_link *link) {
    unsigned both = link->hello.flags & own_flags(cluster);
    unsigned either = link->hello.flags | own_flags(cluster);
    bool discovered = link->hello.intent == PEER_INTENT_DISCOVER ||
                      intent_towards(cluster, link->contact) == PEER_INTENT_DISCOVER;
    return discovered && (either & PEER_FLAG_RESTING) == 0 &&
           ((either & PEER_FLAG_ALONE) != 0 || (both & PEER_FLAG_DISCOVERY) != 0);
}

/*
 * Line 6. Who was ended has to join anew, with a number above its tombstone: after a restart only,
 * for until then it rests. (It may have forgotten that it was ever a member, and so not know.)
 */
static void merge(struct cluster *cluster, struct cluster_link *link, const struct member *peer) {
    bool we_were_ended = is_tombstone_state(link->hello.known_state) &&
                         link->hello.known_incarnation >= cluster->self->joined;
    if (is_ended(link, peer)) {
        if (link->hello.life > peer->incarnation)
            send_welcome(cluster, link, peer->incarnation, 0);
        else
            link_refuse(cluster, link, CLUSTER_CAUSE_OUT);
    } else if (!we_were_ended) {
        establish(cluster, link, false);
    } else if (link->hello.known_incarnation >= cluster->self->life) {
        if (cluster_is_alone(cluster))
            commands_go_out(cluster, (enum cluster_state)link->hello.known_state,
                            link->hello.known_incarnation);
        else
            link_refuse(cluster, link, CLUSTER_CAUSE_OUT);
    }
}

static void judge(struct cluster *cluster, struct cluster_link *link) {
    struct member *peer = contact_member(cluster, link->contact);
    enum joiner joiner = who_joins(cluster, link);
    bool ended = is_ended(link, peer);
    if (ended && joiner != PEER_JOINS && does_not_know_its_end(cluster, link)) {
        link->established = false;
        news_send_member(cluster, link, peer);
        link_refuse(cluster, link, CLUSTER_CAUSE_OUT);
        return;
    }
    if (!ended && is_one_cluster(cluster, link, peer)) {
        establish(cluster, link, false);
        return;
    }
    if (peer != NULL && !member_is_tombstone(peer)) {
        if (link->hello.joined > peer->joined) {
            facts_end_membership(cluster, peer, CLUSTER_LEFT, link->hello.joined - 1, NULL);
            link->closing = false;
            peer = contact_member(cluster, link->contact);
        } else if (joiner == NOBODY_JOINS) {
            send_welcome(cluster, link, peer->incarnation, peer->joined);
            return;
        }
    }
    if (joiner == PEER_JOINS)
        send_welcome(cluster, link, peer == NULL ? 0 : peer->incarnation, 0);
    else if (joiner == NOBODY_JOINS && may_merge(cluster, link))
        merge(cluster, link, peer);
    else if (joiner == NOBODY_JOINS && !peer_lists_us(link))
        link_refuse(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
}

/* --- hello --- */

static void remember(struct cluster_link *link, const struct peer_hello *hello) {
    link->hello.heard = true;
    link->hello.intent = hello->intent;
    link->hello.flags = hello->flags;
    link->hello.known_state = hello->known_state;
    link->hello.port = hello->port;
    link->hello.id = hello->id;
    link->hello.joined = hello->joined;
    link->hello.life = hello->life;
    link->hello.incarnation = hello->incarnation;
    link->hello.names = hello->names;
    link->hello.known_joined = hello->known_joined;
    link->hello.known_incarnation = hello->known_incarnation;
}

/*
 * Someone else under a running member's name: the member's link stands, was heard of lately, and
 * the newcomer has another life. If it is the same member, started again, the old link is about to
 * be found dead, and its next call succeeds.
 */
static bool is_name_in_use(const struct cluster *cluster, const struct cluster_link *link,
                           const struct peer_hello *hello) {
    const struct contact *contact = contact_find(cluster, hello->name);
    return contact != NULL && contact->link != NULL && contact->link != link &&
           contact->link->hello.life != hello->life &&
           cluster->now_ms - contact->heard_ms <= HEARD_LATELY_MS;
}

/*
 * The same of one that wants to join, where the member is not linked with us but runs, as far as we
 * know: a daemon that does not remember that it left is another one.
 */
static bool joins_under_a_taken_name(const struct cluster *cluster,
                                     const struct peer_hello *hello) {
    const struct member *member = membership_find(&cluster->membership, hello->name);
    return hello->intent == PEER_INTENT_JOIN && member != NULL && member_is_running(member) &&
           member->life != hello->life && hello->joined <= member->joined &&
           !failure_hears(cluster, member);
}

/* Also of what it says of us: we would have to go above that. */
static bool is_far_ahead(const struct cluster *cluster, const struct peer_hello *hello) {
    return cluster_is_far_ahead(cluster, hello->incarnation) ||
           cluster_is_far_ahead(cluster, hello->life + hello->names) ||
           cluster_is_far_ahead(cluster, hello->known_incarnation) ||
           cluster_is_far_ahead(cluster, hello->known_joined);
}

/* Whether it would come into our list, by its will or ours: told before it has given up anything
 * for that. If we go over to it, its list counts. */
static bool wants_in(const struct cluster *cluster, const struct cluster_link *link,
                     const struct peer_hello *hello) {
    uint8_t ours =
        link->contact == NULL ? PEER_INTENT_MEMBER : intent_towards(cluster, link->contact);
    return ours != PEER_INTENT_JOIN &&
           (hello->intent != PEER_INTENT_MEMBER || ours == PEER_INTENT_DISCOVER);
}

static enum cluster_cause objection(struct cluster *cluster, struct cluster_link *link,
                                    const struct peer_hello *hello) {
    if (hello->version != PEER_VERSION)
        return CLUSTER_CAUSE_WRONG_VERSION;
    if (!bytes_equal(hello->cluster_name, bytes_of_text(cluster->cluster_name)))
        return CLUSTER_CAUSE_WRONG_CLUSTER_NAME;
    if (bytes_equal(hello->name, member_name(cluster->self))) {
        if (hello->life == cluster->self->life)
            return CLUSTER_CAUSE_OURSELVES;
        cluster_tell(cluster, CLUSTER_EVENT_NAME_CLASH, cluster->self->name,
                     CLUSTER_CAUSE_NAME_IN_USE);
        return CLUSTER_CAUSE_NAME_IN_USE;
    }
    if (link->contact != NULL && !bytes_equal(hello->name, bytes_of_text(link->contact->name)))
        return CLUSTER_CAUSE_WRONG_NAME;
    if (is_far_ahead(cluster, hello))
        return CLUSTER_CAUSE_CLOCK;
    if (wants_in(cluster, link, hello) && !facts_may_list(cluster, hello->name))
        return CLUSTER_CAUSE_FULL;
    if (is_name_in_use(cluster, link, hello) || joins_under_a_taken_name(cluster, hello))
        return CLUSTER_CAUSE_NAME_IN_USE;
    return CLUSTER_CAUSE_NONE;
}

static bool may_be_called(struct cluster *cluster, struct cluster_link *link) {
    return cluster->io.may_be_called == NULL ||
           cluster->io.may_be_called(cluster->io_context, link->handle, link->contact->name);
}

/* Who called is known by its HELLO alone, so dropping the link tells nobody. */
static void tell_of_objection(struct cluster *cluster, const struct cluster_link *link,
                              struct bytes name, enum cluster_cause cause) {
    char text[CLUSTER_NAME_MAX + 1];
    if (link->contact != NULL || bytes_equal(name, member_name(cluster->self)))
        return;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    struct cluster_event event = {
        .type = CLUSTER_EVENT_LINK_REFUSED, .name = text, .cause = cause, .by_us = true};
    cluster->io.notify(cluster->io_context, &event);
}

void greeting_receive_hello(struct cluster *cluster, struct cluster_link *link,
                            const struct peer_hello *hello) {
    enum cluster_cause cause = objection(cluster, link, hello);
    if (cause != CLUSTER_CAUSE_NONE) {
        tell_of_objection(cluster, link, hello->name, cause);
        link_refuse(cluster, link, cause);
        return;
    }
    if (link->contact == NULL) {
        struct contact *contact = contact_get(cluster, hello->name);
        if (contact == NULL) {
            link_refuse(cluster, link, CLUSTER_CAUSE_NO_MEMORY);
            return;
        }
        contact_attach(contact, link);
    }
    remember(link, hello);
    if (!may_be_called(cluster, link)) {
        link_refuse(cluster, link, CLUSTER_CAUSE_CERTIFICATE);
        return;
    }
    if (!link->greeted && is_one_cluster(cluster, link, contact_member(cluster, link->contact)))
        refute(cluster, link); /* our HELLO is to say the higher incarnation already */
    if (!link->greeted)
        greeting_send_hello(cluster, link);
    if (!link->gone)
        judge(cluster, link);
}

/* --- welcome --- */

/* Who was ended and meets the cluster again by discovery, after a restart, joins it anew. */
static void join_anew(struct cluster *cluster, struct cluster_link *link, uint64_t known) {
    if (known < cluster->self->joined || cluster->resting)
        return;
    facts_new_life(cluster, known);
    cluster->self->joined = cluster->self->life;
    membership_refresh(&cluster->membership, cluster->self);
    greeting_send_hello(cluster, link);
    if (!link->gone)
        link->hello.known_state = PEER_KNOWN_NOTHING;
    if (!link->gone && may_merge(cluster, link))
        establish(cluster, link, false);
}

void greeting_receive_welcome(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                              uint64_t claim) {
    if (link->established || !link->hello.heard)
        return;
    bool we_join = intent_towards(cluster, link->contact) == PEER_INTENT_JOIN;
    bool forgot = claim > cluster->self->joined && cluster->claims_followed < CLAIMS_MAX;
    if (claim > 0 && !we_join) {
        if (forgot && cluster->join == NULL) {
            cluster->claims_followed++;
            commands_become_member(cluster, link, known, claim);
            establish(cluster, link, true);
        } else {
            link_refuse(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
        }
    } else if (we_join) {
        commands_become_member(cluster, link, known, 0);
        establish(cluster, link, true);
    } else if (may_merge(cluster, link)) {
        join_anew(cluster, link, known);
    }
}
