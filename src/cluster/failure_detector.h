/*
 * Which members have failed, and which only seem to have.
 *
 *   heard nothing for 3 s ------\                       none hears it
 *                                ask three probers ---------------------> SUSPECT, spread
 *   reconnection refused -------/        |       \                               |
 *                                        |        `--- none hears it, refused    | time is up
 *                                        v                         |             v
 *                         one hears it: a broken path              `---------> DOWN, spread
 *
 * The ideas are those of SWIM (Das et al. 2002) and Lifeguard (Dadgar et al. 2018): others are
 * asked before a member is suspected; it can refute the suspicion, and even DOWN, with a higher
 * incarnation, and whoever hears it when its time is up keeps it (expire in the source); the
 * time to do so grows with log(members) and shrinks with each independent suspector; and local
 * health: a daemon that did not get the processor in time grants everyone the time that it lost
 * (cluster.c, enter).
 *
 * A refused connection is as good as a death notice, for the kernel that answers is alive: there is
 * no suspicion then, but the probers are still asked, for a firewall may answer as well.
 */
#ifndef PORTOLAN_CLUSTER_FAILURE_DETECTOR_H
#define PORTOLAN_CLUSTER_FAILURE_DETECTOR_H

#include "cluster/link.h"

#define PROBERS 3
#define PROBE_MS 500         /* for their answers */
#define PROBE_REFUSED_MS 300 /* the same, when a connection was refused */
#define PROBE_AGAIN_MS 2000  /* about a member that others hear */

void failure_detector_tick(struct cluster *cluster);
int64_t failure_detector_due_ms(const struct cluster *cluster);
void failure_detector_refused(struct cluster *cluster, struct peer *peer);

/* We were starved for so long: everyone is given that time. */
void failure_detector_extend(struct cluster *cluster, int64_t lost_ms);

/* Frames. False: malformed. */
bool failure_detector_receive_probe_req(struct cluster *cluster, struct bytes payload);
bool failure_detector_receive_probe_ack(struct cluster *cluster, struct bytes payload);

#endif
