/*
 * Who has failed, and who only seems to have.
 *
 *   heard nothing for 3 s ------\                       none hears it
 *                                ask three probers ---------------------> accuse: SUSPECT, spread
 *   reconnection refused -------/        |       \                               |
 *                                        |        `--- none hears it, refused    | time is up
 *                                        v                         |             v
 *                         one hears it: a broken path              `---------> DOWN, spread
 *
 * The ideas are those of SWIM (Das et al. 2002) and Lifeguard (Dadgar et al. 2018): asking others
 * before accusing; a suspicion that the suspect can refute with a higher incarnation; a time to do
 * so that grows with log(members) and shrinks with each independent suspector; and local health:
 * who was not given the processor in time grants everyone the time that it lost (cluster_enter).
 *
 * A refused connection is as good as a death notice, for the kernel that answers is alive: there is
 * no suspicion then, but the probers are still asked, for a firewall may answer as well.
 */
#ifndef PORTOLAN_CLUSTER_FAILURE_DETECTOR_H
#define PORTOLAN_CLUSTER_FAILURE_DETECTOR_H

#include "cluster/cluster_inner.h"

#define PROBERS 3
#define PROBE_MS 500              /* for their answers */
#define PROBE_REFUSED_MS 300      /* the same, when a connection was refused */
#define PROBE_AGAIN_MS 2000       /* about a member that others hear */
#define RESPONSIVE_MS 1500        /* a prober hears who spoke so lately */
#define SUSPICION_CONFIRMATIONS 3 /* that shorten a suspicion to its minimum */

/* How long a suspicion lasts among so many running members, with so many suspectors besides the
 * first. */
int64_t suspicion_timeout_ms(size_t members, size_t confirmations);

void failure_detector_tick(struct cluster *cluster);
int64_t failure_detector_due_ms(const struct cluster *cluster);
void extend_deadlines(struct cluster *cluster, int64_t lost_ms); /* we were starved for so long */

/* A frame, or a new link: the member generations. */
void peer_seen(struct cluster *cluster, struct peer *peer);
void failure_detector_refused(struct cluster *cluster, struct peer *peer);

/* Whether a link to the member stands on which it spoke lately. */
bool is_responsive(const struct cluster *cluster, const struct member *member);

/* A suspicion begins or gains an suspector (a ring hash). False: nothing new in it. */
bool suspicion_add(struct cluster *cluster, struct member *member, uint64_t suspector);
void suspicion_clear(struct cluster *cluster, struct member *member); /* ends it, if there is one */
uint64_t suspicion_last_suspector(const struct member *member);

bool failure_detector_receive_probe_req(struct cluster *cluster, struct bytes payload);
bool failure_detector_receive_probe_ack(struct cluster *cluster, struct bytes payload);

#endif
