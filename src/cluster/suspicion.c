#include "cluster/suspicion.h"

#include "base/assert.h"

#include <stdlib.h>

static int64_t log2_of(size_t value) {
    int64_t log = 0;
    while (value >>= 1)
        log++;
    return log;
}

/*
 * Lifeguard's: from `max` down to `min` with log(confirmations + 1) / log(expected + 1), of which
 * there are as many as SUSPICION_CONFIRMATIONS, or as other members: here in thousandths.
 */
int64_t suspicion_timeout_ms(size_t members, size_t confirmations) {
    static const int64_t shrinks[SUSPICION_CONFIRMATIONS + 1][SUSPICION_CONFIRMATIONS + 1] = {
        {1000}, {0, 1000}, {0, 631, 1000}, {0, 500, 792, 1000}};
    size_t expected = members < 3 ? 0 : members - 2;
    if (expected > SUSPICION_CONFIRMATIONS)
        expected = SUSPICION_CONFIRMATIONS;
    if (confirmations > expected)
        confirmations = expected;
    int64_t min_ms = 400 + 80 * log2_of(members), max_ms = 4 * min_ms;
    return max_ms - (max_ms - min_ms) * shrinks[expected][confirmations] / 1000;
}

static void set_deadline(struct cluster *cluster, struct suspicion *suspicion) {
    PORTOLAN_ASSERT(suspicion->suspector_count > 0);
    PORTOLAN_ASSERT(suspicion->suspector_count <= SUSPECTORS_MAX);
    suspicion->deadline_ms =
        suspicion->since_ms + suspicion_timeout_ms(membership_running(&cluster->membership),
                                                   suspicion->suspector_count - 1);
    cluster_wake_at(cluster, suspicion->deadline_ms);
}

bool suspicion_add(struct cluster *cluster, struct member *member, uint64_t suspector) {
    PORTOLAN_ASSERT(member != cluster->self);
    struct suspicion *suspicion = member->suspicion;
    PORTOLAN_ASSERT(suspicion == NULL || suspicion->member == member);
    if (suspicion == NULL) {
        suspicion = calloc(1, sizeof *suspicion);
        if (suspicion == NULL)
            return false;
        suspicion->member = member;
        suspicion->since_ms = cluster->now_ms;
        member->suspicion = suspicion;
        TAILQ_INSERT_TAIL(&cluster->suspicions, suspicion, entry);
    }
    for (size_t i = 0; i < suspicion->suspector_count; i++) {
        if (suspicion->suspectors[i] == suspector)
            return false;
    }
    if (suspicion->suspector_count == SUSPECTORS_MAX)
        return false;
    suspicion->suspectors[suspicion->suspector_count++] = suspector;
    set_deadline(cluster, suspicion);
    return true;
}

void suspicion_clear(struct cluster *cluster, struct member *member) {
    if (member->suspicion == NULL)
        return;
    PORTOLAN_ASSERT(member->suspicion->member == member);
    TAILQ_REMOVE(&cluster->suspicions, member->suspicion, entry);
    free(member->suspicion);
    member->suspicion = NULL;
}

void suspicion_restart(struct cluster *cluster, struct suspicion *suspicion) {
    PORTOLAN_ASSERT(suspicion->member->suspicion == suspicion);
    suspicion->since_ms = cluster->now_ms;
    set_deadline(cluster, suspicion);
}

uint64_t suspicion_last_suspector(const struct member *member) {
    const struct suspicion *suspicion = member->suspicion;
    return suspicion == NULL || suspicion->suspector_count == 0
               ? 0
               : suspicion->suspectors[suspicion->suspector_count - 1];
}

bool suspicion_has(const struct member *member, uint64_t suspector) {
    for (size_t i = 0; member->suspicion != NULL && i < member->suspicion->suspector_count; i++) {
        if (member->suspicion->suspectors[i] == suspector)
            return true;
    }
    return false;
}

int64_t suspicions_due_ms(const struct cluster *cluster) {
    int64_t due_ms = INT64_MAX;
    const struct suspicion *suspicion;
    TAILQ_FOREACH(suspicion, &cluster->suspicions, entry) {
        sooner(&due_ms, suspicion->deadline_ms);
    }
    return due_ms;
}

void suspicions_extend(struct cluster *cluster, int64_t lost_ms) {
    struct suspicion *suspicion;
    TAILQ_FOREACH(suspicion, &cluster->suspicions, entry) {
        suspicion->since_ms += lost_ms;
        suspicion->deadline_ms += lost_ms;
    }
}
