/* Records that are heard, and what they change here. */
#include "cluster/cluster_inner.h"
#include "cluster/failure_detector.h"

#define LAST_TRY_MS (CLUSTER_CONNECT_MS + 1000)
#define AFTER_ATTEMPT_MS 1000

bool merge_records(struct cluster *cluster, struct cluster_link *link, struct bytes payload) {
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

/* --- oneself --- */

void self_bump_incarnation(struct cluster *cluster, uint64_t above) {
    struct member *self = cluster->self;
    if (above < self->incarnation)
        above = self->incarnation;
    if (above >= WIRE_NUMBER_MAX)
        return;
    self->incarnation = above + 1;
    membership_refresh(&cluster->membership, self);
    gossip_enqueue(cluster, self, NULL);
    cluster->io.persist(cluster->io_context, true);
}

void self_new_generation(struct cluster *cluster, uint64_t above) {
    uint64_t clock = cluster_clock(cluster);
    self_bump_incarnation(cluster, above < clock ? clock : above);
    cluster->self->generation = cluster->self->incarnation;
    if (cluster->self->owner != NULL)
        directory_renumber(cluster->self->owner, cluster->self->generation);
    membership_refresh(&cluster->membership, cluster->self);
}

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
    bool forgot = record->joined > self->joined; /* a join that our store had not kept */
    if (forgot)
        self->joined = record->joined;
    bool forgotten =
        record->generation > self->generation || record->incarnation > self->incarnation;
    if (forgotten || (record->generation == self->generation && record->names > own.sequence)) {
        if (record->generation > self->generation)
            cluster_notify(cluster, CLUSTER_EVENT_NAME_CLASH, self->name,
                           CLUSTER_CAUSE_NAME_IN_USE);
        self_new_generation(cluster, record->incarnation);
        return MERGE_NEW;
    }
    bool doubted = record->state != CLUSTER_ALIVE && record->incarnation == self->incarnation;
    if (forgot || doubted) {
        self_bump_incarnation(cluster, record->incarnation);
        return MERGE_NEW;
    }
    return record->incarnation < self->incarnation ? MERGE_STALE : MERGE_KNOWN;
}

/* --- others --- */

/* A member that fell silent and was cleaned is still cut off. */
void update_split(struct cluster *cluster) {
    bool split = false;
    for (size_t i = 0; i < cluster->membership.count && !split; i++) {
        const struct member *member = cluster->membership.ring[i];
        split =
            member->silent && (member->state == CLUSTER_DOWN || member->state == CLUSTER_CLEANED);
    }
    if (split == cluster->split)
        return;
    cluster->split = split;
    cluster_notify(cluster, split ? CLUSTER_EVENT_SPLIT_SEEN : CLUSTER_EVENT_SPLIT_HEALED, "",
                   CLUSTER_CAUSE_NONE);
}

static void forget(struct cluster *cluster, struct member *member) {
    bool was_split = member->silent;
    gossip_dequeue(cluster, member);
    suspicion_clear(cluster, member);
    replication_pull_done(member);
    if (member->owner != NULL)
        directory_owner_remove(member->owner);
    membership_remove(&cluster->membership, member);
    if (was_split)
        update_split(cluster);
}

static void drop_names(struct cluster *cluster, struct member *member) {
    if (member->owner != NULL)
        directory_owner_remove(member->owner);
    member->owner = NULL;
    replication_pull_done(member);
    membership_refresh(&cluster->membership, member);
}

static void keep_bounds(struct cluster *cluster, enum cluster_state state) {
    struct member *oldest = membership_crowded_out(&cluster->membership, state);
    if (oldest != NULL)
        forget(cluster, oldest);
}

static void autoheal_soon(struct cluster *cluster) {
    if (!cluster->autoheal)
        return;
    cluster->heal_interval_ms = HEAL_FIRST_MS;
    int64_t when_ms = cluster->now_ms +
                      random_between(&cluster->random, HEAL_FIRST_MS / 2, HEAL_FIRST_MS * 3 / 2);
    if (cluster->next_heal_ms > when_ms)
        cluster->next_heal_ms = when_ms;
    cluster_wake_at(cluster, cluster->next_heal_ms);
}

static void notify_state(struct cluster *cluster, const struct member *member,
                         enum cluster_state before, bool same_generation) {
    bool was_running = before == CLUSTER_ALIVE || before == CLUSTER_SUSPECT;
    struct cluster_event event = {.name = member->name, .cause = (enum cluster_cause)member->cause};
    if (member_is_running(member) && (before == CLUSTER_DOWN || before == CLUSTER_CLEANED)) {
        event.type = CLUSTER_EVENT_UP;
        event.cause = CLUSTER_CAUSE_NONE;
        event.same_generation = same_generation;
    } else if (member->state == CLUSTER_DOWN && was_running) {
        event.type = CLUSTER_EVENT_DOWN;
    } else {
        return;
    }
    cluster->io.notify(cluster->io_context, &event);
}

/* The consequences of a member's new state, all but the news. */
static void follow_state(struct cluster *cluster, struct member *member, enum cluster_state before,
                         bool same_generation) {
    enum cluster_state now = (enum cluster_state)member->state;
    bool was_running = before == CLUSTER_ALIVE || before == CLUSTER_SUSPECT;
    if (now != CLUSTER_SUSPECT)
        suspicion_clear(cluster, member);
    if (before != now)
        member->last_call_made = false;
    if (was_running != member_is_running(member))
        cluster->ring_changed = true;
    if ((now == CLUSTER_DOWN || now == CLUSTER_CLEANED) && before != now) {
        autoheal_soon(cluster);
        cluster->next_clean_ms = autoclean_due_ms(cluster);
        cluster_wake_at(cluster, cluster->next_clean_ms);
    }
    notify_state(cluster, member, before, same_generation);
    if (member->silent || cluster->split)
        update_split(cluster);
}

void end_membership(struct cluster *cluster, struct member *member, enum cluster_state kind,
                    uint64_t incarnation, struct cluster_link *from) {
    bool was_listed = member_is_listed(member) || member->state == CLUSTER_CLEANED;
    bool was_running = member_is_running(member);
    bool was_split = member->silent;
    suspicion_clear(cluster, member);
    drop_names(cluster, member);
    member->incarnation = incarnation;
    member->joined = member->generation = 0;
    member->silent = false;
    member->since_ms = cluster->now_ms;
    if (member->stamp_ms == 0)
        member->stamp_ms = cluster_wall_ms(cluster);
    membership_set_state(&cluster->membership, member, kind);
    cluster->ring_changed |= was_running;
    struct peer *peer = peer_of(cluster, member);
    if (peer != NULL && peer->link != NULL)
        peer->link->closing = cluster->closing = true;
    if (was_listed)
        cluster_notify(cluster,
                       kind == CLUSTER_LEFT ? CLUSTER_EVENT_LEFT : CLUSTER_EVENT_FORCED_OUT,
                       member->name, CLUSTER_CAUSE_NONE);
    if (was_split)
        update_split(cluster);
    gossip_enqueue(cluster, member, from);
    cluster->io.persist(cluster->io_context, false);
    keep_bounds(cluster, kind);
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
    end_membership(cluster, member, kind, record->incarnation, from);
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
    keep_bounds(cluster, state);
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
        keep_bounds(cluster, CLUSTER_ALIVE);
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
    follow_state(cluster, member, before, same_generation);
    if (state == CLUSTER_SUSPECT && before != CLUSTER_SUSPECT)
        cluster_notify(cluster, CLUSTER_EVENT_SUSPECT, member->name, CLUSTER_CAUSE_NONE);
    gossip_enqueue(cluster, member, from);
    cluster->io.persist(cluster->io_context, false);
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

void declare_down(struct cluster *cluster, struct member *member, enum cluster_cause cause) {
    enum cluster_state before = (enum cluster_state)member->state;
    member->cause = (uint8_t)cause;
    member->silent = cause == CLUSTER_CAUSE_SILENT;
    member->since_ms = cluster->now_ms;
    membership_set_state(&cluster->membership, member, CLUSTER_DOWN);
    follow_state(cluster, member, before, true);
    gossip_enqueue(cluster, member, NULL);
    cluster->io.persist(cluster->io_context, false);
    struct peer *peer = peer_of(cluster, member);
    if (peer != NULL && peer->link != NULL)
        link_drop(cluster, peer->link, cause);
}

/* --- autoclean --- */

static int64_t autoclean_at_ms(const struct cluster *cluster, const struct member *member) {
    if (member->state == CLUSTER_DOWN && cluster->autoclean_ms > 0) {
        int64_t at_ms = member->since_ms + cluster->autoclean_ms;
        return member->clean_not_before_ms > at_ms ? member->clean_not_before_ms : at_ms;
    }
    if (member->state == CLUSTER_CLEANED)
        return member->since_ms + CLEANED_MEMORY_MS;
    return INT64_MAX;
}

int64_t autoclean_due_ms(const struct cluster *cluster) {
    const struct membership *membership = &cluster->membership;
    int64_t due_ms = INT64_MAX;
    if (membership->of_state[CLUSTER_DOWN] + membership->of_state[CLUSTER_CLEANED] == 0)
        return due_ms;
    for (size_t i = 0; i < membership->count; i++) {
        int64_t at_ms = autoclean_at_ms(cluster, membership->ring[i]);
        due_ms = at_ms < due_ms ? at_ms : due_ms;
    }
    return due_ms;
}

/* Before a member is cleaned it is called once more: a fault that is over must not cost it its
 * place. */
static bool is_tried_once_more(struct cluster *cluster, struct member *member) {
    if (member->last_call_made || !cluster->autoheal)
        return false;
    struct peer *peer = peer_get(cluster, member_name(member));
    if (peer == NULL)
        return false;
    int64_t longer_ms = AFTER_ATTEMPT_MS; /* one is under way already, begun in the fault perhaps */
    if (!peer->connecting) {
        peer->reasons |= REASON_HEAL;
        peer_try_at(cluster, peer, cluster->now_ms);
        member->last_call_made = true;
        longer_ms = LAST_TRY_MS;
    }
    member->clean_not_before_ms = cluster->now_ms + longer_ms;
    return true;
}

static void clean(struct cluster *cluster, struct member *member) {
    if (is_tried_once_more(cluster, member))
        return;
    drop_names(cluster, member);
    member->since_ms = cluster->now_ms;
    membership_set_state(&cluster->membership, member, CLUSTER_CLEANED);
    cluster_notify(cluster, CLUSTER_EVENT_CLEANED, member->name, CLUSTER_CAUSE_NONE);
    cluster->io.persist(cluster->io_context, false);
}

void autoclean_tick(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_clean_ms)
        return;
    for (size_t i = cluster->membership.count; i-- > 0;) {
        struct member *member = cluster->membership.ring[i];
        if (cluster->now_ms < autoclean_at_ms(cluster, member))
            continue;
        if (member->state == CLUSTER_DOWN)
            clean(cluster, member);
        else
            forget(cluster, member);
    }
    cluster->next_clean_ms = autoclean_due_ms(cluster);
}
