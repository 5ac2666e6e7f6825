#include "cluster/merge.h"

#include "cluster/gossip.h"
#include "cluster/leave.h"
#include "cluster/peer.h"
#include "cluster/replication.h"
#include "cluster/self.h"
#include "cluster/suspicion.h"
#include "cluster/transitions.h"

/* What others say of us: a word that we left is final, everything else we know better. */
static enum merge_result merge_self(struct cluster *cluster, const struct wire_record *record) {
    struct member *self = cluster->self;
    if (record->state == CLUSTER_LEFT || record->state == CLUSTER_FORCED_OUT) {
        if (record->incarnation < self->joined)
            return MERGE_STALE;
        leave_as_ended(cluster, (enum cluster_state)record->state, record->incarnation);
        return MERGE_NEW;
    }
    struct directory_version own = directory_owner_version(self->owner);
    bool forgot_join = record->joined > self->joined; /* a join that our store had not kept */
    if (forgot_join)
        self->joined = record->joined;
    bool forgot_generation =
        record->generation > self->generation || record->incarnation > self->incarnation;
    if (forgot_generation ||
        (record->generation == self->generation && record->names > own.sequence)) {
        if (record->generation > self->generation)
            cluster_notify(cluster, CLUSTER_EVENT_NAME_CLASH, self->name,
                           CLUSTER_CAUSE_NAME_IN_USE);
        self_new_generation(cluster, record->incarnation);
        return MERGE_NEW;
    }
    bool suspected = record->state != CLUSTER_ALIVE && record->incarnation == self->incarnation;
    if (forgot_join || suspected) {
        self_bump_incarnation(cluster, record->incarnation);
        return MERGE_NEW;
    }
    return record->incarnation < self->incarnation ? MERGE_STALE : MERGE_KNOWN;
}

static enum merge_result merge_tombstone(struct cluster *cluster, struct member *member,
                                         const struct wire_record *record,
                                         struct cluster_link *from) {
    enum cluster_state kind = (enum cluster_state)record->state;
    if (member == NULL) {
        member = membership_add(&cluster->membership, record->name, kind);
        if (member == NULL)
            return MERGE_REFUSED;
    }
    member->stamp_ms = record->detail;
    transition_end_membership(cluster, member, kind, record->incarnation, from);
    return MERGE_NEW;
}

/* Whether one more can be in the list, when the longest cleaned gives way. */
static bool has_room(const struct cluster *cluster) {
    return membership_listed(&cluster->membership) < CLUSTER_MEMBERS_MAX;
}

bool merge_has_place_for(const struct cluster *cluster, struct bytes name) {
    const struct member *member = membership_find(&cluster->membership, name);
    return (member != NULL && member_is_listed(member)) || has_room(cluster);
}

/* A record for a member of whom nothing was known; one that has been down for long is remembered
 * as if we had cleaned it ourselves. */
static struct member *add_member(struct cluster *cluster, const struct wire_record *record) {
    enum cluster_state state = (enum cluster_state)record->state;
    if (state == CLUSTER_DOWN && cluster->autoclean_ms > 0 &&
        (int64_t)record->age_ms >= cluster->autoclean_ms)
        state = CLUSTER_CLEANED;
    transition_make_room(cluster, state);
    return membership_add(&cluster->membership, record->name, state);
}

static void take_numbers(struct cluster *cluster, struct member *member,
                         const struct wire_record *record) {
    if (record->generation > member->generation || record->joined > member->joined)
        member->advertised_sequence = 0;
    if (record->incarnation != member->incarnation)
        suspicion_clear(cluster, member);
    member->joined = record->joined;
    member->generation = record->generation;
    member->incarnation = record->incarnation;
    member->port = record->port;
    member->stamp_ms = 0;
    if (member->owner != NULL)
        directory_begin_generation(member->owner, record->generation);
    membership_refresh(&cluster->membership, member);
}

static enum merge_result merge_live(struct cluster *cluster, struct member *member,
                                    const struct wire_record *record, struct cluster_link *from) {
    bool is_new = member == NULL;
    if (!is_new && member_is_tombstone(member)) {
        transition_make_room(cluster, CLUSTER_ALIVE);
        if (!has_room(cluster))
            return MERGE_REFUSED;
    }
    if (is_new && (member = add_member(cluster, record)) == NULL)
        return MERGE_REFUSED;
    enum cluster_state before = is_new ? CLUSTER_LEFT : (enum cluster_state)member->state;
    enum cluster_state state = (enum cluster_state)(is_new ? member->state : record->state);
    bool same_generation = !is_new && member->generation == record->generation;
    bool returns = before == CLUSTER_LEFT || before == CLUSTER_FORCED_OUT;
    take_numbers(cluster, member, record);
    if (state == CLUSTER_SUSPECT && !suspicion_add(cluster, member, record->detail))
        state = CLUSTER_ALIVE;
    if (state != before) {
        member->since_ms = cluster->now_ms - (state == CLUSTER_DOWN ? (int64_t)record->age_ms : 0);
        bool known_cause = state == CLUSTER_DOWN && record->detail < CLUSTER_CAUSES;
        member->cause = known_cause ? (uint8_t)record->detail : CLUSTER_CAUSE_NONE;
        member->silent = member->cause == CLUSTER_CAUSE_SILENT;
        membership_set_state(&cluster->membership, member, state);
    }
    if (returns && state != CLUSTER_CLEANED) {
        cluster->ring_changed = true;
        cluster_notify(cluster, CLUSTER_EVENT_JOINED, member->name, CLUSTER_CAUSE_NONE);
    }
    transition_follow(cluster, member, before, same_generation);
    if (state == CLUSTER_SUSPECT && before != CLUSTER_SUSPECT)
        cluster_notify(cluster, CLUSTER_EVENT_SUSPECT, member->name, CLUSTER_CAUSE_NONE);
    gossip_enqueue(cluster, member, from);
    cluster_persist(cluster, false);
    return MERGE_NEW;
}

/* The same record again: it may name another suspector, or more names. */
static enum merge_result merge_known(struct cluster *cluster, struct member *member,
                                     const struct wire_record *record, struct cluster_link *from) {
    if (record->state != CLUSTER_SUSPECT || !suspicion_add(cluster, member, record->detail))
        return MERGE_KNOWN;
    gossip_enqueue(cluster, member, from);
    return MERGE_NEW;
}

/*
 * Word that someone is gone whom we hear at this moment: the word goes to the member alone, which
 * refutes it. We know better than to spread it.
 */
static bool contradicted_by_link(struct cluster *cluster, const struct member *member,
                                 const struct wire_record *record,
                                 const struct cluster_link *from) {
    if (member == NULL || !member_is_running(member) || record->joined != member->joined ||
        (record->state != CLUSTER_SUSPECT && record->state != CLUSTER_DOWN) ||
        !is_responsive(cluster, member))
        return false;
    struct cluster_link *link = peer_of(cluster, member)->link;
    if (link == from)
        return false; /* it says so itself: it stops */
    gossip_send_record(cluster, link, record);
    return true;
}

/* Numbers that no clock gives: they are refused, for whoever would have to go above them could not.
 * A sequence counts changes, of which there is less than one in a microsecond. */
static bool is_far_ahead(const struct cluster *cluster, const struct wire_record *record) {
    bool tombstone = record->state == CLUSTER_LEFT || record->state == CLUSTER_FORCED_OUT;
    if (tombstone)
        return cluster_is_far_ahead(cluster, record->incarnation);
    return cluster_is_far_ahead(cluster, record->incarnation) ||
           cluster_is_far_ahead(cluster, record->generation + record->names);
}

enum merge_result merge_record(struct cluster *cluster, const struct wire_record *record,
                               struct cluster_link *from) {
    if (is_far_ahead(cluster, record))
        return MERGE_REFUSED;
    if (bytes_equal(record->name, member_name(cluster->self)))
        return merge_self(cluster, record);
    struct member *member = membership_find(&cluster->membership, record->name);
    int order = member == NULL ? 1 : membership_compare(member, record);
    bool tombstone = record->state == CLUSTER_LEFT || record->state == CLUSTER_FORCED_OUT;
    enum merge_result verdict = MERGE_STALE;
    if (order > 0 && contradicted_by_link(cluster, member, record, from))
        return MERGE_KNOWN;
    if (order > 0)
        verdict = tombstone ? merge_tombstone(cluster, member, record, from)
                            : merge_live(cluster, member, record, from);
    else if (order == 0)
        verdict = merge_known(cluster, member, record, from);
    member = membership_find(&cluster->membership, record->name);
    if (!tombstone && member != NULL && member->generation == record->generation)
        replication_note_sequence(cluster, member, record->names, from);
    return verdict;
}

bool merge_receive_records(struct cluster *cluster, struct cluster_link *link,
                           struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct wire_record record;
    while (!link->gone && wire_next_record(&reader, &record)) {
        if (merge_record(cluster, &record, link) != MERGE_STALE || link->gone)
            continue;
        const struct member *member = membership_find(&cluster->membership, record.name);
        if (member != NULL)
            gossip_send_member(cluster, link, member);
    }
    return !reader.failed;
}
