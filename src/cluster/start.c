#include "cluster/start.h"

#include "cluster/autoclean.h"
#include "cluster/autoheal.h"
#include "cluster/identity.h"
#include "cluster/peer.h"
#include "cluster/replication.h"
#include "cluster/saved_state.h"
#include "cluster/suspicion.h"

#include <stdlib.h>
#include <string.h>

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
        start_free(cluster);
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
    uint64_t incarnation =
        cluster_clock(cluster) + random_below(&cluster->random, INCARNATIONS_PER_MS);
    cluster->id = identity_new(cluster);
    enum cluster_start started = CLUSTER_STARTED;
    if (options->stored.len > 0)
        started = saved_state_restore(cluster, options->stored, &incarnation);
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
    autoclean_schedule(cluster);
    cluster->heal_interval_ms = HEAL_FIRST_MS;
    bool ill =
        cluster->membership.of_state[CLUSTER_DOWN] + cluster->membership.of_state[CLUSTER_CLEANED] >
        0;
    cluster->next_heal_ms = ill && cluster->autoheal
                                ? now_ms + random_between(&cluster->random, 0, HEAL_FIRST_MS)
                                : INT64_MAX;
    cluster->ring_changed = true;
}

enum cluster_start start_new(const struct cluster_options *options, int64_t now_ms,
                             struct cluster **made) {
    if (!member_name_is_valid(bytes_of_text(options->name)) ||
        strlen(options->cluster_name) > CLUSTER_NAME_MAX || options->wall_ms < 0)
        return CLUSTER_START_BAD_NAME;
    struct cluster *cluster = allocate(options, now_ms);
    if (cluster == NULL)
        return CLUSTER_START_NO_MEMORY;
    enum cluster_start started = start(cluster, options);
    if (started != CLUSTER_STARTED) {
        start_free(cluster);
        return started;
    }
    schedule(cluster);
    *made = cluster;
    return CLUSTER_STARTED;
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

void start_free(struct cluster *cluster) {
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
