/* The face: each call that changes something enters, lets one part do its work, and settles. */
#include "cluster/cluster.h"

#include "cluster/anti_entropy.h"
#include "cluster/autoclean.h"
#include "cluster/autoheal.h"
#include "cluster/connections.h"
#include "cluster/discovery.h"
#include "cluster/failure_detector.h"
#include "cluster/gossip.h"
#include "cluster/handshake.h"
#include "cluster/join.h"
#include "cluster/leave.h"
#include "cluster/peer.h"
#include "cluster/receive.h"
#include "cluster/replication.h"
#include "cluster/saved_state.h"
#include "cluster/start.h"

#define LATE_MS 1000 /* a call that comes so late after its time: we were starved */

struct cluster_options cluster_options_default(void) {
    return (struct cluster_options){
        .cluster_name = "emqxcl", .autoheal = true, .autoclean_ms = 5 * 60 * 1000};
}

/*
 * Whoever is called late was not given the processor, and so has not heard others in that time: it
 * must not hold their silence against them.
 */
static void enter(struct cluster *cluster, int64_t now_ms) {
    if (now_ms < cluster->now_ms)
        now_ms = cluster->now_ms;
    cluster->now_ms = now_ms;
    if (cluster->due_ms != INT64_MAX && now_ms - cluster->due_ms > LATE_MS) {
        failure_detector_extend(cluster, now_ms - cluster->due_ms);
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

static void settle(struct cluster *cluster) {
    gossip_flush(cluster);
    drop_closing(cluster);
    if (cluster->ring_changed) {
        cluster->ring_changed = false;
        connections_follow_topology(cluster);
    }
    if (cluster->autoclean_changed) {
        cluster->autoclean_changed = false;
        autoclean_schedule(cluster);
    }
    connections_connect(cluster);
    connections_sweep(cluster);
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
    sooner(&due_ms, connections_due_ms(cluster));
    sooner(&due_ms, failure_detector_due_ms(cluster));
    return due_ms;
}

enum cluster_start cluster_new(const struct cluster_options *options, int64_t now_ms,
                               struct cluster **made) {
    enum cluster_start started = start_new(options, now_ms, made);
    if (started != CLUSTER_STARTED)
        return started;
    cluster_persist(*made, true);
    settle(*made);
    (*made)->due_ms = next_due_ms(*made);
    return CLUSTER_STARTED;
}

void cluster_stop(struct cluster *cluster, int64_t now_ms) {
    enter(cluster, now_ms);
    leave_stop(cluster);
    settle(cluster);
    cluster->due_ms = INT64_MAX;
}

void cluster_free(struct cluster *cluster) {
    if (cluster != NULL)
        start_free(cluster);
}

/* --- commands --- */

enum cluster_verdict cluster_join(struct cluster *cluster, const char *target, int64_t now_ms) {
    enter(cluster, now_ms);
    enum cluster_verdict verdict = join_begin(cluster, target);
    settle(cluster);
    return verdict;
}

enum cluster_verdict cluster_leave(struct cluster *cluster, int64_t now_ms) {
    enter(cluster, now_ms);
    enum cluster_verdict verdict = leave(cluster);
    settle(cluster);
    return verdict;
}

enum cluster_verdict cluster_force_leave(struct cluster *cluster, const char *name,
                                         int64_t now_ms) {
    enter(cluster, now_ms);
    enum cluster_verdict verdict = leave_force(cluster, name);
    settle(cluster);
    return verdict;
}

void cluster_discovered(struct cluster *cluster, const char *const *names, size_t count,
                        int64_t now_ms) {
    enter(cluster, now_ms);
    discovery_found(cluster, names, count);
    settle(cluster);
}

void cluster_name_registered(struct cluster *cluster, const struct directory_name *name,
                             int64_t now_ms) {
    enter(cluster, now_ms);
    replication_register(cluster, name);
    settle(cluster);
}

void cluster_name_unregistered(struct cluster *cluster, struct bytes name, int64_t now_ms) {
    enter(cluster, now_ms);
    replication_unregister(cluster, name);
    settle(cluster);
}

/* --- links --- */

struct cluster_link *cluster_link_up(struct cluster *cluster, void *handle, const char *name,
                                     int64_t now_ms) {
    enter(cluster, now_ms);
    struct cluster_link *link = handshake_begin(cluster, handle, name);
    settle(cluster);
    return link;
}

void cluster_link_down(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause,
                       int64_t now_ms) {
    enter(cluster, now_ms);
    link_lost(cluster, link, cause);
    settle(cluster);
}

void cluster_connect_failed(struct cluster *cluster, const char *name, enum cluster_cause cause,
                            int64_t now_ms) {
    enter(cluster, now_ms);
    connections_failed(cluster, name, cause);
    settle(cluster);
}

size_t cluster_receive(struct cluster *cluster, struct cluster_link *link, struct bytes bytes,
                       int64_t now_ms) {
    enter(cluster, now_ms);
    size_t taken = receive_frames(cluster, link, bytes);
    settle(cluster);
    return taken;
}

void cluster_tick(struct cluster *cluster, int64_t now_ms) {
    enter(cluster, now_ms);
    join_expire(cluster);
    connections_fail_not_started(cluster);
    links_expire_handshakes(cluster);
    failure_detector_tick(cluster);
    connections_heartbeat(cluster);
    anti_entropy_tick(cluster);
    autoheal_tick(cluster);
    autoclean_tick(cluster);
    settle(cluster);
    cluster->due_ms = next_due_ms(cluster);
}
