/*
 * Suspicions (SWIM, Lifeguard): who suspects a member, and how long it has to refute that. A member
 * has one exactly while it is SUSPECT. What follows when the time is up: failure_detector.c.
 */
#ifndef PORTOLAN_CLUSTER_SUSPICION_H
#define PORTOLAN_CLUSTER_SUSPICION_H

#include "cluster/context.h"

#define SUSPICION_CONFIRMATIONS 3 /* that shorten a suspicion to its minimum */
#define SUSPECTORS_MAX (1 + SUSPICION_CONFIRMATIONS)

struct suspicion {
    TAILQ_ENTRY(suspicion) entry;
    struct member *member;
    uint64_t suspectors[SUSPECTORS_MAX]; /* ring hashes */
    size_t suspector_count;
    int64_t since_ms, deadline_ms;
};

/* How long a suspicion lasts among so many running members, with so many suspectors besides the
 * first. */
int64_t suspicion_timeout_ms(size_t members, size_t confirmations);

/* A suspicion begins or gains a suspector (a ring hash). False: nothing new in it, or no memory. */
bool suspicion_add(struct cluster *cluster, struct member *member, uint64_t suspector);
void suspicion_clear(struct cluster *cluster, struct member *member); /* ends it, if there is one */
void suspicion_restart(struct cluster *cluster, struct suspicion *suspicion);

bool suspicion_has(const struct member *member, uint64_t suspector);
uint64_t suspicion_last_suspector(const struct member *member); /* 0: there is none */

int64_t suspicions_due_ms(const struct cluster *cluster);
void suspicions_extend(struct cluster *cluster, int64_t lost_ms); /* all deadlines */

#endif
