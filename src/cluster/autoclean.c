#include "cluster/autoclean.h"

#include "cluster/peer.h"
#include "cluster/transitions.h"

#define CLEANED_MEMORY_MS (INT64_C(24) * 3600 * 1000)

#define LAST_TRY_MS (CLUSTER_CONNECT_MS + 1000)
#define AFTER_ATTEMPT_MS 1000

static int64_t autoclean_at_ms(const struct cluster *cluster, const struct member *member) {
    if (member->state == CLUSTER_DOWN && cluster->autoclean_ms > 0) {
        int64_t at_ms = member->since_ms + cluster->autoclean_ms;
        return member->clean_not_before_ms > at_ms ? member->clean_not_before_ms : at_ms;
    }
    if (member->state == CLUSTER_CLEANED)
        return member->since_ms + CLEANED_MEMORY_MS;
    return INT64_MAX;
}

static int64_t due_ms_of_all(const struct cluster *cluster) {
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
    transition_drop_names(cluster, member);
    member->since_ms = cluster->now_ms;
    membership_set_state(&cluster->membership, member, CLUSTER_CLEANED);
    cluster_notify(cluster, CLUSTER_EVENT_CLEANED, member->name, CLUSTER_CAUSE_NONE);
    cluster_persist(cluster, false);
}

void autoclean_schedule(struct cluster *cluster) {
    cluster->next_clean_ms = due_ms_of_all(cluster);
    cluster_wake_at(cluster, cluster->next_clean_ms);
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
            transition_forget(cluster, member);
    }
    cluster->next_clean_ms = due_ms_of_all(cluster);
}
