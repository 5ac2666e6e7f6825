#include "cluster/replication.h"

#include "base/assert.h"
#include "cluster/gossip.h"
#include "cluster/join.h"
#include "cluster/peer.h"

#include <string.h>

#define PULLS_MAX 8 /* under way on a link */

void replication_watch(void *context, const struct directory_entry *entry, bool registered) {
    struct cluster *cluster = context;
    const struct member *owner = directory_owner_context(entry->owner);
    struct cluster_event event = {
        .type = registered ? CLUSTER_EVENT_NAME_REGISTERED : CLUSTER_EVENT_NAME_UNREGISTERED,
        .name = owner->name,
        .node = &entry->node,
    };
    cluster->io.notify(cluster->io_context, &event);
}

/* --- asking --- */

static bool is_behind(const struct member *member) {
    return !member_is_tombstone(member) && member->state != CLUSTER_CLEANED &&
           member_names(member).sequence < member->advertised_sequence;
}

static void pull(struct cluster *cluster, struct cluster_link *link, struct member *member) {
    PORTOLAN_ASSERT(!link->gone && member != cluster->self && member->pulling == NULL);
    if (link->pulls_in_flight >= PULLS_MAX) {
        if (!link->more_to_pull || member->hash < link->pull_cursor)
            link->pull_cursor = member->hash;
        link->more_to_pull = true;
        return;
    }
    uint8_t buffer[WIRE_HEAD + 16 + 1 + CLUSTER_NAME_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_PULL);
    wire_write_version(&writer, member_names(member));
    wire_write_name(&writer, member_name(member));
    wire_end(&writer, begun);
    link->pulls_in_flight++;
    member->pulling = link;
    link_send(cluster, link, &writer);
}

static void pull_more(struct cluster *cluster, struct cluster_link *link) {
    size_t at = membership_at(&cluster->membership, link->pull_cursor);
    while (link->more_to_pull && link->pulls_in_flight < PULLS_MAX && !link->gone) {
        if (at >= cluster->membership.count) {
            link->more_to_pull = false;
            return;
        }
        struct member *member = cluster->membership.ring[at++];
        link->pull_cursor = member->hash + 1;
        if (is_behind(member) && member->pulling == NULL && member != cluster->self)
            pull(cluster, link, member);
    }
}

/* Someone says that the member has come so far with its names. */
void replication_note_sequence(struct cluster *cluster, struct member *member, uint64_t sequence,
                               struct cluster_link *from) {
    if (member == cluster->self || member_is_tombstone(member) || member->state == CLUSTER_CLEANED)
        return;
    if (sequence > member->advertised_sequence)
        member->advertised_sequence = sequence;
    if (sequence > member_names(member).sequence && from != NULL && !from->gone &&
        member->pulling == NULL)
        pull(cluster, from, member);
}

void replication_pull_done(struct member *member) {
    if (member->pulling == NULL)
        return;
    PORTOLAN_ASSERT(member->pulling->pulls_in_flight > 0);
    member->pulling->pulls_in_flight--;
    member->pulling = NULL;
}

void replication_link_gone(struct cluster *cluster, struct cluster_link *link) {
    directory_snapshot_abort(link->snapshot);
    link->snapshot = NULL;
    link->more_to_pull = false;
    if (link->pulls_in_flight == 0)
        return;
    link->pulls_in_flight = 0;
    for (size_t i = 0; i < cluster->membership.count; i++) {
        if (cluster->membership.ring[i]->pulling == link)
            cluster->membership.ring[i]->pulling = NULL;
    }
}

/* --- answering --- */

static size_t names_begin(struct writer *writer, const struct directory_owner *owner,
                          struct bytes name, uint8_t flags) {
    static const struct directory_version nothing = {0, 0};
    size_t begun = wire_begin(writer, WIRE_NAMES);
    wire_write_version(writer, owner == NULL ? nothing : directory_owner_version(owner));
    write_u8(writer, flags);
    wire_write_name(writer, name);
    return begun;
}

#define NAMES_FLAGS_AT (WIRE_HEAD + 16)

/* All that we hold, in as many frames as it takes; version (0, 0) when that is nothing new. */
static void answer_pull(struct cluster *cluster, struct cluster_link *link,
                        struct directory_version version, struct bytes name) {
    const struct member *member = membership_find(&cluster->membership, name);
    const struct directory_owner *owner = member == NULL ? NULL : member->owner;
    if (owner != NULL && directory_version_compare(version, directory_owner_version(owner)) >= 0)
        owner = NULL;
    const struct directory_entry *entry = owner == NULL ? NULL : directory_entry_first(owner);
    uint8_t buffer[CLUSTER_FRAME_MAX];
    uint8_t flags = WIRE_NAMES_FIRST;
    do {
        struct writer writer = writer_of(buffer, sizeof buffer);
        size_t begun = names_begin(&writer, owner, name, 0);
        while (entry != NULL && writer.capacity - writer.len >= 8 + WIRE_NODE_MAX) {
            write_u64(&writer, entry->sequence);
            wire_write_node(&writer, &entry->node);
            entry = directory_entry_next(entry);
        }
        wire_end(&writer, begun);
        buffer[begun + NAMES_FLAGS_AT] = entry == NULL ? flags | WIRE_NAMES_LAST : flags;
        link_send(cluster, link, &writer);
        flags = 0;
    } while (entry != NULL && !link->gone);
}

bool replication_receive_pull(struct cluster *cluster, struct cluster_link *link,
                              struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct directory_version version;
    wire_read_version(&reader, &version);
    struct bytes name = wire_read_name(&reader);
    if (reader.failed)
        return false;
    answer_pull(cluster, link, version, name);
    return true;
}

/* --- taking in --- */

static bool is_far_ahead(const struct cluster *cluster, struct directory_version version) {
    return cluster_is_far_ahead(cluster, version.generation + version.sequence);
}

/* Whether names of this member can be held: there is one who owns them, from the first on. */
static bool may_own(struct cluster *cluster, struct member *member) {
    if (member == cluster->self || member_is_tombstone(member) || member->state == CLUSTER_CLEANED)
        return false;
    if (member->owner == NULL)
        member->owner = directory_owner_add(cluster->directory, member_name(member), member);
    if (member->owner == NULL)
        return false;
    directory_begin_generation(member->owner, member->generation);
    return true;
}

static void commit(struct cluster *cluster, struct cluster_link *link, struct member *member) {
    struct directory_snapshot *snapshot = link->snapshot;
    PORTOLAN_ASSERT(snapshot != NULL);
    link->snapshot = NULL;
    struct directory_version version = directory_snapshot_version(snapshot);
    if (member == NULL || version.generation != member->generation ||
        is_far_ahead(cluster, version) || !may_own(cluster, member)) {
        directory_snapshot_abort(snapshot);
        return;
    }
    if (directory_snapshot_commit(snapshot, member->owner) != DIRECTORY_APPLIED)
        return;
    membership_refresh(&cluster->membership, member);
    gossip_enqueue(cluster, member, link); /* whoever is behind may now ask us */
    if (is_behind(member) && member->pulling == NULL && !link->gone)
        pull(cluster, link, member); /* it went on while the snapshot was under way */
}

bool replication_receive_names(struct cluster *cluster, struct cluster_link *link,
                               struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct wire_names names;
    if (!wire_read_names(&reader, &names))
        return false;
    struct member *member = membership_find(&cluster->membership, names.owner);
    uint64_t hash = membership_hash(names.owner);
    if ((names.flags & WIRE_NAMES_FIRST) != 0) {
        directory_snapshot_abort(link->snapshot);
        link->snapshot = directory_snapshot_begin(names.version);
        link->snapshot_owner = hash;
    }
    bool usable =
        link->snapshot != NULL && link->snapshot_owner == hash &&
        directory_version_compare(directory_snapshot_version(link->snapshot), names.version) == 0;
    struct directory_name node;
    uint64_t sequence;
    while (usable && wire_next_node(&reader, &sequence, &node))
        usable = directory_snapshot_add(link->snapshot, sequence, &node) == DIRECTORY_APPLIED;
    if (reader.failed)
        return false;
    if (!usable) {
        directory_snapshot_abort(link->snapshot);
        link->snapshot = NULL;
    }
    if ((names.flags & WIRE_NAMES_LAST) == 0)
        return true;
    if (member != NULL && member->pulling == link)
        replication_pull_done(member);
    if (link->snapshot != NULL)
        commit(cluster, link, member);
    pull_more(cluster, link);
    join_progress(cluster, link);
    return true;
}

/* --- changes --- */

static void pass_on(struct cluster *cluster, const struct cluster_link *from,
                    const struct wire_change *change) {
    uint8_t buffer[WIRE_HEAD + 17 + 1 + CLUSTER_NAME_MAX + WIRE_NODE_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_change(&writer, change);
    link_broadcast(cluster, from, &writer);
}

static enum directory_verdict apply(struct directory_owner *owner,
                                    const struct wire_change *change) {
    if (change->operation == WIRE_REGISTERED)
        return directory_register(owner, change->version, &change->node);
    return directory_unregister(owner, change->version, change->node.name);
}

static void apply_change(struct cluster *cluster, struct cluster_link *link,
                         const struct wire_change *change) {
    struct member *member = membership_find(&cluster->membership, change->owner);
    if (member == NULL || member->generation != change->version.generation ||
        is_far_ahead(cluster, change->version) || !may_own(cluster, member))
        return; /* its record comes, or anti-entropy does */
    switch (apply(member->owner, change)) {
    case DIRECTORY_APPLIED:
        membership_refresh(&cluster->membership, member);
        pass_on(cluster, link, change);
        break;
    case DIRECTORY_GAP:
        replication_note_sequence(cluster, member, change->version.sequence, link);
        break;
    case DIRECTORY_OLD:
    case DIRECTORY_FULL:
    case DIRECTORY_INVALID:
    case DIRECTORY_NO_MEMORY:
        break;
    }
}

bool replication_receive_change(struct cluster *cluster, struct cluster_link *link,
                                struct bytes payload) {
    struct wire_change change;
    if (!wire_read_change(payload, &change))
        return false;
    apply_change(cluster, link, &change);
    return true;
}

/* --- our own names --- */

static void change_own(struct cluster *cluster, uint8_t operation,
                       const struct directory_name *node) {
    struct member *self = cluster->self;
    struct wire_change change = {
        .version = directory_owner_version(self->owner),
        .operation = operation,
        .owner = member_name(self),
        .node = *node,
    };
    change.version.sequence++;
    enum directory_verdict verdict = apply(self->owner, &change);
    if (verdict != DIRECTORY_APPLIED) {
        struct cluster_event event = {
            .type = CLUSTER_EVENT_DIRECTORY_FULL, .name = self->name, .node = node};
        cluster->io.notify(cluster->io_context, &event);
        return;
    }
    membership_refresh(&cluster->membership, self);
    pass_on(cluster, NULL, &change);
}

void replication_register(struct cluster *cluster, const struct directory_name *name) {
    change_own(cluster, WIRE_REGISTERED, name);
}

void replication_unregister(struct cluster *cluster, struct bytes name) {
    struct directory_name node = {.name = name};
    if (directory_find_own(cluster->self->owner, name) != NULL)
        change_own(cluster, WIRE_UNREGISTERED, &node);
}
