#include "cluster/saved_state.h"

#include "cluster/store.h"

#include <stdlib.h>

#define RESERVE 1000000 /* incarnations that a store covers beyond the one in use */

/* What the store said of a member; as far as we know it is as it was. */
static bool restore_member(struct cluster *cluster, const struct store_record *record) {
    if (membership_find(&cluster->membership, record->name) != NULL ||
        cluster_is_far_ahead(cluster, record->incarnation))
        return true;
    struct member *member = membership_add(&cluster->membership, record->name, record->state);
    if (member == NULL)
        return false;
    member->joined = record->joined;
    member->generation = record->generation;
    member->incarnation = record->incarnation;
    member->port = record->port;
    member->since_ms = cluster->now_ms; /* the wall clock may have been set in the meantime */
    if (member_is_tombstone(member))
        member->stamp_ms = record->since_ms;
    membership_refresh(&cluster->membership, member);
    return true;
}

/* Whether the store is of a daemon that is in a cluster: then its name stands. */
static bool holds_others(struct reader rest) {
    struct store_record record;
    bool found = false;
    while (cluster_store_next(&rest, &record))
        found |= record.state != CLUSTER_LEFT && record.state != CLUSTER_FORCED_OUT;
    return found || rest.failed;
}

enum cluster_start saved_state_restore(struct cluster *cluster, struct bytes text,
                                       uint64_t *incarnation) {
    struct store_head head;
    struct reader rest;
    if (!cluster_store_read_head(text, &head, &rest))
        return CLUSTER_START_STORE_DAMAGED;
    if (!bytes_equal(head.name, member_name(cluster->self)))
        return holds_others(rest) ? CLUSTER_START_NAME_CHANGED : CLUSTER_STARTED;
    cluster->id = head.id;
    if (!cluster_is_far_ahead(cluster, head.joined)) /* or it is of an attack: nobody heeds it */
        cluster->self->joined = head.joined;
    if (*incarnation <= head.reserve && !cluster_is_far_ahead(cluster, head.reserve))
        *incarnation = head.reserve + 1;
    struct store_record record;
    while (cluster_store_next(&rest, &record)) {
        if (!restore_member(cluster, &record))
            return CLUSTER_START_NO_MEMORY;
    }
    return rest.failed ? CLUSTER_START_STORE_DAMAGED : CLUSTER_STARTED;
}

static void store_member(const struct cluster *cluster, const struct member *member,
                         struct writer *writer) {
    struct store_record record = {
        .state = (enum cluster_state)member->state,
        .name = member_name(member),
        .joined = member->joined,
        .generation = member->generation,
        .incarnation = member->incarnation,
        .port = member->port,
        .since_ms = member->stamp_ms,
    };
    int64_t since_wall_ms = cluster->wall_at_zero_ms + member->since_ms;
    if (!member_is_tombstone(member))
        record.since_ms = since_wall_ms < 0 ? 0 : (uint64_t)since_wall_ms;
    cluster_store_write(writer, &record);
}

uint8_t *saved_state_encode(const struct cluster *cluster, size_t *len) {
    size_t capacity = (cluster->membership.count + 4) * STORE_LINE_MAX;
    uint8_t *text = malloc(capacity);
    if (text == NULL)
        return NULL;
    struct writer writer = writer_of(text, capacity);
    struct store_head head = {.name = member_name(cluster->self),
                              .joined = cluster->self->joined,
                              .reserve = cluster->self->incarnation + RESERVE,
                              .id = cluster->id};
    if (head.reserve > WIRE_NUMBER_MAX)
        head.reserve = WIRE_NUMBER_MAX;
    cluster_store_write_head(&writer, &head);
    for (size_t i = 0; i < cluster->membership.count; i++) {
        if (cluster->membership.ring[i] != cluster->self)
            store_member(cluster, cluster->membership.ring[i], &writer);
    }
    cluster_store_write_sum(&writer);
    *len = writer.len;
    return text;
}
