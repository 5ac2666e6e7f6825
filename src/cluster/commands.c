/* What operators and discovery ask for: join, leave, force-leave; and autoheal. */
#include "cluster/anti_entropy.h"
#include "cluster/cluster_inner.h"
#include "cluster/failure_detector.h"

#include <string.h>

/* --- leaving --- */

static void close_links(struct cluster *cluster, const struct cluster_link *but) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link != but)
            link_drop(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
    }
}

/* Everything of the present cluster goes but ourselves and our names. */
static void forget_cluster(struct cluster *cluster, const struct cluster_link *but) {
    close_links(cluster, but);
    struct peer *peer;
    TAILQ_FOREACH(peer, &cluster->peers, entry) {
        peer->reasons &= REASON_JOIN;
        cluster->needs_sweep = true;
        peer->path_broken = false;
        peer->probes_awaited = 0;
    }
    cluster->gossip_count = 0;
    cluster->self->queued = false;
    for (size_t i = cluster->membership.count; i-- > 0;) {
        struct member *member = cluster->membership.ring[i];
        if (member == cluster->self)
            continue;
        suspicion_clear(cluster, member);
        replication_pull_done(member);
        if (member->owner != NULL)
            directory_owner_remove(member->owner);
        membership_remove(&cluster->membership, member);
    }
    update_split(cluster);
    cluster->ring_changed = true;
}

/* Tells everyone that we leave, at once. */
static void announce_leave(struct cluster *cluster, const struct cluster_link *but) {
    struct wire_record record = {.state = CLUSTER_LEFT,
                                 .incarnation = cluster->self->incarnation,
                                 .detail = cluster_wall_ms(cluster),
                                 .name = member_name(cluster->self)};
    gossip_flush(cluster);
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link != but && link->established && !link->gone)
            gossip_send_record(cluster, link, &record);
    }
}

/* Alone from here on, in a cluster of our own, by a join that is newer than any before. */
static void start_alone(struct cluster *cluster, uint64_t above) {
    cluster->id = cluster_new_id(cluster);
    self_new_generation(cluster, above);
    cluster->self->joined = cluster->self->generation;
    membership_refresh(&cluster->membership, cluster->self);
    cluster->discovery_paused = true;
    cluster->forced_out = false;
    cluster->io.persist(cluster->io_context, true);
}

enum cluster_verdict cluster_leave(struct cluster *cluster, int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    enum cluster_verdict verdict = CLUSTER_NOT_IN;
    if (cluster_is_in(cluster)) {
        announce_leave(cluster, NULL);
        if (cluster->join != NULL)
            join_failed(cluster, CLUSTER_CAUSE_OUT, false);
        forget_cluster(cluster, NULL);
        start_alone(cluster, 0);
        cluster_notify(cluster, CLUSTER_EVENT_LEFT, cluster->self->name, CLUSTER_CAUSE_NONE);
        verdict = CLUSTER_OK;
    }
    cluster_settle(cluster);
    return verdict;
}

void leave_as_ended(struct cluster *cluster, enum cluster_state kind, uint64_t incarnation) {
    if (cluster->join != NULL)
        join_failed(cluster, CLUSTER_CAUSE_OUT, false);
    forget_cluster(cluster, NULL);
    start_alone(cluster, incarnation);
    /* a join that we made after this end, and forgot in a crash, is newer: it is to win */
    if (incarnation < cluster->self->generation) /* else no number is above it */
        cluster->self->joined = incarnation + 1;
    cluster->forced_out = kind == CLUSTER_FORCED_OUT;
    membership_refresh(&cluster->membership, cluster->self);
    cluster_notify(cluster, kind == CLUSTER_LEFT ? CLUSTER_EVENT_LEFT : CLUSTER_EVENT_FORCED_OUT,
                   cluster->self->name, CLUSTER_CAUSE_NONE);
}

enum cluster_verdict cluster_force_leave(struct cluster *cluster, const char *name,
                                         int64_t now_ms) {
    if (strcmp(name, cluster->self->name) == 0)
        return CLUSTER_IGNORED;
    cluster_enter(cluster, now_ms);
    enum cluster_verdict verdict = CLUSTER_NOT_IN;
    struct member *member = membership_find(&cluster->membership, bytes_of_text(name));
    if (member != NULL && !member_is_tombstone(member)) {
        /* by the clock, so that a join that we have not heard of is ended too */
        uint64_t clock = cluster_clock(cluster);
        uint64_t end = member->incarnation > clock ? member->incarnation : clock;
        end_membership(cluster, member, CLUSTER_FORCED_OUT, end, NULL);
        cluster->io.persist(cluster->io_context, true);
        verdict = CLUSTER_OK;
    }
    cluster_settle(cluster);
    return verdict;
}

/* --- joining --- */

static void end_join(struct cluster *cluster) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        link->join_sync = false;
    }
    cluster->join->reasons &= ~(unsigned)REASON_JOIN;
    cluster->needs_sweep = true;
    cluster->join->unwanted_ms = cluster->now_ms;
    cluster->join = NULL;
    cluster->join_adopted = false;
}

void join_failed(struct cluster *cluster, enum cluster_cause cause, bool by_us) {
    struct peer *target = cluster->join;
    if (cluster->join_adopted && cluster_is_alone(cluster)) {
        cluster->id = cluster_new_id(cluster); /* the target left while we joined it */
        cluster->io.persist(cluster->io_context, true);
    }
    end_join(cluster);
    struct cluster_event event = {
        .type = CLUSTER_EVENT_JOIN_FAILED, .name = target->name, .cause = cause, .by_us = by_us};
    cluster->io.notify(cluster->io_context, &event);
}

/* The peer has no place for us, and we have taken over its cluster for the one that we had: so we
 * are in none. Two clusters that merge keep what they were. */
void join_no_room(struct cluster *cluster, struct cluster_link *link) {
    bool joins = cluster->join != NULL && cluster->join == link->peer && cluster->join_adopted;
    if (!link->established || (!joins && !link->found_alone))
        return;
    if (joins)
        join_failed(cluster, CLUSTER_CAUSE_FULL, false);
    forget_cluster(cluster, link);
    start_alone(cluster, 0);
    cluster->discovery_paused = false;
}

/* Our record in the new cluster: above all that it knows of us. A prior join is one that took place
 * and that we lost. */
void join_become_member(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                        uint64_t prior_join) {
    if (cluster_is_in(cluster))
        announce_leave(cluster, link);
    forget_cluster(cluster, link);
    self_new_generation(cluster, known > prior_join ? known : prior_join);
    cluster->self->joined = prior_join > 0 ? prior_join : cluster->self->generation;
    membership_refresh(&cluster->membership, cluster->self);
    cluster->id = link->hello.id;
    /* who joins one that rests, rests with it: discovery would bring both back to where it left */
    cluster->discovery_paused =
        prior_join == 0 && (link->hello.flags & WIRE_FLAG_DISCOVERY_PAUSED) != 0;
    cluster->forced_out = false;
    cluster->seeds_unmet = true;
    cluster->io.persist(cluster->io_context, true);
}

void join_progress(struct cluster *cluster, struct cluster_link *link) {
    if (!link->join_sync || link->gone || cluster->join == NULL)
        return;
    struct cluster_event event = {
        .type = CLUSTER_EVENT_JOIN_PROGRESS,
        .name = cluster->join->name,
        .count = membership_listed(&cluster->membership) - 1,
        .names = directory_count(cluster->directory) - directory_owner_count(cluster->self->owner),
    };
    if (anti_entropy_is_done(link)) {
        event.type = CLUSTER_EVENT_JOIN_DONE;
        end_join(cluster);
    }
    cluster->io.notify(cluster->io_context, &event);
}

enum cluster_verdict cluster_join(struct cluster *cluster, const char *target, int64_t now_ms) {
    struct bytes name = bytes_of_text(target);
    if (bytes_equal(name, member_name(cluster->self)))
        return CLUSTER_IGNORED;
    if (!member_name_is_valid(name))
        return CLUSTER_BAD_NAME;
    const struct member *member = membership_find(&cluster->membership, name);
    if (member != NULL && member_is_listed(member))
        return CLUSTER_ALREADY_IN;
    if (cluster->join != NULL)
        return CLUSTER_BUSY;
    cluster_enter(cluster, now_ms);
    struct peer *peer = peer_get(cluster, name);
    if (peer != NULL) {
        peer->reasons |= REASON_JOIN;
        cluster->join = peer;
        cluster->join_adopted = false;
        cluster->join_cause = CLUSTER_CAUSE_TIMED_OUT;
        cluster->join_deadline_ms = now_ms + CLUSTER_JOIN_MS;
        cluster_wake_at(cluster, cluster->join_deadline_ms);
        peer_try_at(cluster, peer, now_ms);
    }
    cluster_settle(cluster);
    return peer == NULL ? CLUSTER_NO_MEMORY : CLUSTER_OK;
}

/* --- discovery --- */

static bool is_seed_of_interest(const struct cluster *cluster, struct bytes name) {
    if (!member_name_is_valid(name) || bytes_equal(name, member_name(cluster->self)))
        return false;
    const struct member *member = membership_find(&cluster->membership, name);
    return member == NULL;
}

void cluster_discovered(struct cluster *cluster, const char *const *names, size_t count,
                        int64_t now_ms) {
    cluster_enter(cluster, now_ms);
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
        peer_try_at(cluster, peer, now_ms);
    }
    cluster_settle(cluster);
}

bool cluster_wants_discovery(const struct cluster *cluster) {
    return cluster->discovery && !cluster->discovery_paused &&
           (cluster->seeds_unmet || cluster_is_alone(cluster));
}

/* --- autoheal --- */

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
