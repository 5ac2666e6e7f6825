/*
 * Who has failed, and who only seems to have.
 *
 *   heard nothing for 3 s ------\                       none hears it
 *                                ask three witnesses ---------------------> accuse: SUSPECT, spread
 *   reconnection refused -------/        |       \                               |
 *                                        |        `--- none hears it, refused    | time is up
 *                                        v                         |             v
 *                         one hears it: a broken path              `---------> DOWN, spread
 *
 * The ideas are those of SWIM (Das et al. 2002) and Lifeguard (Dadgar et al. 2018): asking others
 * before accusing; a suspicion that the suspect can refute with a higher incarnation; a time to do
 * so that grows with log(members) and shrinks with each independent accuser; and doubting oneself:
 * who was not given the processor in time grants everyone the time that it lost (cluster_enter).
 *
 * A refused connection is as good as a death notice, for the kernel that answers is alive: there is
 * no suspicion then, but the witnesses are still asked, for a firewall may answer as well.
 */
#ifndef PORTOLAN_CLUSTER_FAILURE_H
#define PORTOLAN_CLUSTER_FAILURE_H

#include "cluster/cluster_inner.h"

#define FAILURE_WITNESSES 3
#define FAILURE_ASK_MS 500         /* for their answers */
#define FAILURE_ASK_REFUSED_MS 300 /* the same, when a connection was refused */
#define FAILURE_ASK_AGAIN_MS 2000  /* about a member that others hear */
#define FAILURE_HEARD_MS 1500      /* a witness hears who spoke so lately */
#define FAILURE_CONFIRMATIONS 3    /* that shorten a suspicion to its minimum */

/* How long a suspicion lasts among so many running members, with so many accusers beside the first.
 */
int64_t failure_suspicion_ms(size_t members, size_t confirmations);

void failure_tick(struct cluster *cluster);
int64_t failure_due_ms(const struct cluster *cluster);
void failure_grant(struct cluster *cluster, int64_t lost_ms); /* we were starved for so long */

/* A frame, or a new link: the member lives. */
void failure_heard(struct cluster *cluster, struct contact *contact);
void failure_refused(struct cluster *cluster, struct contact *contact);

/* Whether a link to the member stands on which it spoke lately. */
bool failure_hears(const struct cluster *cluster, const struct member *member);

/* A suspicion begins or gains an accuser (a ring hash). False: nothing new in it. */
bool failure_accused(struct cluster *cluster, struct member *member, uint64_t accuser);
void failure_absolve(struct cluster *cluster, struct member *member); /* ends it, if there is one */
uint64_t failure_last_accuser(const struct member *member);

bool failure_receive_ask(struct cluster *cluster, struct bytes payload);
bool failure_receive_answer(struct cluster *cluster, struct bytes payload);

#endif
