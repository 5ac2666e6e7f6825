#include "cluster/context.h"

#define AHEAD_MAX (CLUSTER_AHEAD_MAX_YEARS * UINT64_C(365) * 24 * 3600 * 1000 * INCARNATIONS_PER_MS)

void sooner(int64_t *due_ms, int64_t when_ms) {
    if (when_ms < *due_ms)
        *due_ms = when_ms;
}

void cluster_wake_at(struct cluster *cluster, int64_t when_ms) {
    sooner(&cluster->due_ms, when_ms);
}

void arm_heartbeat(struct cluster *cluster) {
    if (cluster->next_heartbeat_ms < cluster->now_ms)
        cluster->next_heartbeat_ms = cluster->now_ms;
    if (cluster->next_anti_entropy_ms < cluster->now_ms)
        cluster->next_anti_entropy_ms = cluster->now_ms + ANTI_ENTROPY_MS;
    cluster_wake_at(cluster, cluster->next_heartbeat_ms);
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

bool cluster_is_alone(const struct cluster *cluster) {
    return membership_listed(&cluster->membership) == 1;
}

bool cluster_has_others(const struct cluster *cluster) {
    return !cluster_is_alone(cluster) || cluster->membership.of_state[CLUSTER_CLEANED] > 0;
}

void cluster_notify(struct cluster *cluster, enum cluster_event_type type, const char *name,
                    enum cluster_cause cause) {
    struct cluster_event event = {.type = type, .name = name, .cause = cause};
    cluster->io.notify(cluster->io_context, &event);
}

void cluster_persist(struct cluster *cluster, bool urgent) {
    cluster->io.persist(cluster->io_context, urgent);
}
