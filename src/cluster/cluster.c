/* The generation of a member: start, time, stop, and what survives a restart. */
#include "cluster/cluster.h"

#include "cluster/anti_entropy.h"
#include "cluster/cluster_inner.h"
#include "cluster/failure_detector.h"
#include "cluster/store.h"

#include <stdlib.h>
#include <string.h>

#define INCARNATIONS_PER_MS 1000 /* a clock in microseconds */
#define RESERVE 1000000          /* incarnations that a store covers beyond the one in use */
#define AHEAD_MAX (CLUSTER_AHEAD_MAX_YEARS * UINT64_C(365) * 24 * 3600 * 1000 * INCARNATIONS_PER_MS)

struct cluster_options cluster_options_default(void) {
    return (struct cluster_options){
        .cluster_name = "emqxcl", .autoheal = true, .autoclean_ms = 5 * 60 * 1000};
}

/* --- time --- */

static void sooner(int64_t *due_ms, int64_t when_ms) {
    if (when_ms < *due_ms)
        *due_ms = when_ms;
}

void cluster_wake_at(struct cluster *cluster, int64_t when_ms) {
    sooner(&cluster->due_ms, when_ms);
}

/*
 * Whoever is called late was not given the processor, and so has not heard others in that time: it
 * must not hold their silence against them.
 */
void cluster_enter(struct cluster *cluster, int64_t now_ms) {
    if (now_ms < cluster->now_ms)
        now_ms = cluster->now_ms;
    cluster->now_ms = now_ms;
    if (cluster->due_ms != INT64_MAX && now_ms - cluster->due_ms > LATE_MS) {
        extend_deadlines(cluster, now_ms - cluster->due_ms);
        cluster->due_ms = now_ms;
    }
}

static void drop_closing(struct cluster *cluster) {
    if (!cluster->closing)
        return;
    cluster->closing = false;
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link->closing)
            link_drop(cluster, link, CLUSTER_CAUSE_NOT_MEMBER);
    }
}

void cluster_settle(struct cluster *cluster) {
    gossip_flush(cluster);
    drop_closing(cluster);
    if (cluster->ring_changed) {
        cluster->ring_changed = false;
        peers_follow_topology(cluster);
    }
    peers_connect(cluster);
    peers_sweep(cluster);
}

uint64_t cluster_wall_ms(const struct cluster *cluster) {
    return (uint64_t)(cluster->wall_at_zero_ms + cluster->now_ms);
}

uint64_t cluster_clock(const struct cluster *cluster) {
    return cluster_wall_ms(cluster) * INCARNATIONS_PER_MS;
}

bool cluster_is_far_ahead(const struct cluster *cluster, uint64_t number) {
    return number >= WIRE_NUMBER_MAX || number > cluster_clock(cluster) + AHEAD_MAX;
}

int64_t cluster_due_ms(const struct cluster *cluster) {
    return cluster->due_ms;
}

void arm_heartbeat(struct cluster *cluster) {
    if (cluster->next_heartbeat_ms < cluster->now_ms)
        cluster->next_heartbeat_ms = cluster->now_ms;
    if (cluster->next_anti_entropy_ms < cluster->now_ms)
        cluster->next_anti_entropy_ms = cluster->now_ms + ANTI_ENTROPY_MS;
    cluster_wake_at(cluster, cluster->next_heartbeat_ms);
}

static void heartbeat(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_heartbeat_ms)
        return;
    cluster->next_heartbeat_ms = cluster->now_ms + HEARTBEAT_MS;
    uint8_t buffer[WIRE_HEAD];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_end(&writer, wire_begin(&writer, WIRE_PING));
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link->established && !link->gone)
            link_send(cluster, link, &writer);
    }
    peers_close_unwanted(cluster);
}

static void compare(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_anti_entropy_ms)
        return;
    cluster->next_anti_entropy_ms =
        cluster->now_ms +
        random_between(&cluster->random, ANTI_ENTROPY_MS * 3 / 4, ANTI_ENTROPY_MS * 5 / 4);
    anti_entropy_with_random_link(cluster);
}

static int64_t next_due_ms(const struct cluster *cluster) {
    int64_t due_ms = INT64_MAX;
    if (cluster->link_count > 0) {
        sooner(&due_ms, cluster->next_heartbeat_ms);
        sooner(&due_ms, cluster->next_anti_entropy_ms);
    }
    if (cluster->join != NULL)
        sooner(&due_ms, cluster->join_deadline_ms);
    if (cluster->ring_changed)
        sooner(&due_ms, cluster->now_ms + HEARTBEAT_MS);
    if (cluster->autoheal)
        sooner(&due_ms, cluster->next_heal_ms);
    sooner(&due_ms, cluster->next_clean_ms);
    sooner(&due_ms, peers_due_ms(cluster));
    sooner(&due_ms, failure_detector_due_ms(cluster));
    return due_ms;
}

void cluster_tick(struct cluster *cluster, int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    if (cluster->join != NULL && now_ms >= cluster->join_deadline_ms)
        join_failed(cluster, cluster->join_cause, false);
    peers_fail_not_started(cluster);
    links_expire_handshakes(cluster);
    failure_detector_tick(cluster);
    heartbeat(cluster);
    compare(cluster);
    autoheal_tick(cluster);
    autoclean_tick(cluster);
    cluster_settle(cluster);
    cluster->due_ms = next_due_ms(cluster);
}

/* --- identity --- */

struct cluster_id cluster_new_id(struct cluster *cluster) {
    return (struct cluster_id){.created_ms = cluster_wall_ms(cluster),
                               .random = random_next(&cluster->random)};
}

int cluster_id_compare(struct cluster_id a, struct cluster_id b) {
    if (a.created_ms != b.created_ms)
        return a.created_ms < b.created_ms ? -1 : 1;
    if (a.random != b.random)
        return a.random < b.random ? -1 : 1;
    return 0;
}

bool cluster_is_alone(const struct cluster *cluster) {
    return membership_listed(&cluster->membership) == 1;
}

void cluster_notify(struct cluster *cluster, enum cluster_event_type type, const char *name,
                    enum cluster_cause cause) {
    struct cluster_event event = {.type = type, .name = name, .cause = cause};
    cluster->io.notify(cluster->io_context, &event);
}

/* --- start --- */

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

static enum cluster_start restore(struct cluster *cluster, struct bytes text,
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

static struct cluster *allocate(const struct cluster_options *options, int64_t now_ms) {
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL)
        return NULL;
    TAILQ_INIT(&cluster->links);
    TAILQ_INIT(&cluster->peers);
    TAILQ_INIT(&cluster->suspicions);
    membership_init(&cluster->membership);
    cluster->io = options->io;
    cluster->io_context = options->io_context;
    cluster->autoheal = options->autoheal;
    cluster->autoclean_ms = options->autoclean_ms;
    cluster->discovery = options->discovery;
    cluster->random = options->random;
    cluster->now_ms = now_ms;
    cluster->due_ms = INT64_MAX;
    cluster->wall_at_zero_ms = options->wall_ms - now_ms;
    cluster->seeds_unmet = true;
    cluster->cluster_name = strdup(options->cluster_name);
    cluster->directory = directory_new(replication_watch, cluster);
    if (cluster->cluster_name == NULL || cluster->directory == NULL) {
        cluster_free(cluster);
        return NULL;
    }
    return cluster;
}

static enum cluster_start start(struct cluster *cluster, const struct cluster_options *options) {
    cluster->self =
        membership_add(&cluster->membership, bytes_of_text(options->name), CLUSTER_ALIVE);
    if (cluster->self == NULL)
        return CLUSTER_START_NO_MEMORY;
    struct member *self = cluster->self;
    self->owner = directory_owner_add(cluster->directory, member_name(self), self);
    if (self->owner == NULL)
        return CLUSTER_START_NO_MEMORY;
    uint64_t incarnation = (uint64_t)options->wall_ms * INCARNATIONS_PER_MS +
                           random_below(&cluster->random, INCARNATIONS_PER_MS);
    cluster->id = cluster_new_id(cluster);
    enum cluster_start started = CLUSTER_STARTED;
    if (options->stored.len > 0)
        started = restore(cluster, options->stored, &incarnation);
    if (incarnation < self->joined)
        incarnation = self->joined;
    self->generation = self->incarnation = incarnation;
    self->since_ms = cluster->now_ms;
    self->port = options->port;
    directory_begin_generation(self->owner, incarnation);
    membership_refresh(&cluster->membership, self);
    return started;
}

static void schedule(struct cluster *cluster) {
    int64_t now_ms = cluster->now_ms;
    cluster->next_heartbeat_ms = now_ms + random_between(&cluster->random, 0, HEARTBEAT_MS);
    cluster->next_anti_entropy_ms =
        now_ms + random_between(&cluster->random, ANTI_ENTROPY_MS / 2, ANTI_ENTROPY_MS);
    cluster->next_clean_ms = autoclean_due_ms(cluster);
    cluster->heal_interval_ms = HEAL_FIRST_MS;
    bool ill =
        cluster->membership.of_state[CLUSTER_DOWN] + cluster->membership.of_state[CLUSTER_CLEANED] >
        0;
    cluster->next_heal_ms = ill && cluster->autoheal
                                ? now_ms + random_between(&cluster->random, 0, HEAL_FIRST_MS)
                                : INT64_MAX;
    cluster->ring_changed = true;
}

enum cluster_start cluster_new(const struct cluster_options *options, int64_t now_ms,
                               struct cluster **made) {
    if (!member_name_is_valid(bytes_of_text(options->name)) ||
        strlen(options->cluster_name) > CLUSTER_NAME_MAX || options->wall_ms < 0)
        return CLUSTER_START_BAD_NAME;
    struct cluster *cluster = allocate(options, now_ms);
    if (cluster == NULL)
        return CLUSTER_START_NO_MEMORY;
    enum cluster_start started = start(cluster, options);
    if (started != CLUSTER_STARTED) {
        cluster_free(cluster);
        return started;
    }
    *made = cluster;
    schedule(cluster);
    cluster->io.persist(cluster->io_context, true);
    cluster_settle(cluster);
    cluster->due_ms = next_due_ms(cluster);
    return CLUSTER_STARTED;
}

/* --- end --- */

void cluster_stop(struct cluster *cluster, int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    cluster->stopping = true;
    gossip_flush(cluster);
    struct wire_record record = gossip_record_of(cluster, cluster->self);
    record.state = CLUSTER_DOWN;
    record.detail = CLUSTER_CAUSE_STOPPED;
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link->established && !link->gone)
            gossip_send_record(cluster, link, &record);
        link_drop(cluster, link, CLUSTER_CAUSE_STOPPED);
    }
    cluster_settle(cluster);
    cluster->due_ms = INT64_MAX;
}

static void free_peers(struct cluster *cluster) {
    while (!TAILQ_EMPTY(&cluster->links)) {
        struct cluster_link *link = TAILQ_FIRST(&cluster->links);
        TAILQ_REMOVE(&cluster->links, link, entry);
        directory_snapshot_abort(link->snapshot);
        free(link);
    }
    while (!TAILQ_EMPTY(&cluster->peers)) {
        struct peer *peer = TAILQ_FIRST(&cluster->peers);
        TAILQ_REMOVE(&cluster->peers, peer, entry);
        free(peer);
    }
}

void cluster_free(struct cluster *cluster) {
    if (cluster == NULL)
        return;
    free_peers(cluster);
    for (size_t i = 0; i < cluster->membership.count; i++)
        suspicion_clear(cluster, cluster->membership.ring[i]);
    directory_free(cluster->directory);
    membership_clear(&cluster->membership);
    free(cluster->gossip);
    free(cluster->cluster_name);
    free(cluster);
}

/* --- store --- */

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

uint8_t *cluster_store_of(const struct cluster *cluster, size_t *len) {
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
