/*
 * HELLO, and what it makes of two daemons.
 *
 * Who called says HELLO first; who was called answers with its own, knowing whom it talks to. Both
 * then judge alike, each from its own side, by the first line that fits:
 *
 *   1  versions or cluster names differ, or the name is taken           REJECT
 *   2  the peer was ended (a tombstone covers its membership), and
 *      does not know: it thinks that it is of our cluster               RECORDS, REJECT
 *   3  one cluster: the same id, or one of us lists the other with
 *      the very join that the other tells of                            established
 *   4  we list the peer, by an earlier join than it tells of            it left: its tombstone
 *      ... by a later one: it forgot (its disk lost the last write)     JOIN_ACCEPT, prior_join
 *   5  one of us wants to join the other (both: the higher name does)   JOIN_ACCEPT; HELLO again
 *   6  discovery brought us together, nobody rests, and one of us is
 *      alone or both use discovery                                      established: two become one
 *   7  the peer lists us                                                wait for its 4
 *   8  nothing in common                                                REJECT
 *
 * "Established" of two different ids (3, 6) means that both clusters become one under the older id:
 * their records are merged like any others.
 */
#ifndef PORTOLAN_CLUSTER_HANDSHAKE_H
#define PORTOLAN_CLUSTER_HANDSHAKE_H

#include "cluster/link.h"

/* A connection stands: `name` is whom we called, NULL when the peer called us. The link, or NULL:
 * there is none, or it is gone already (cluster_link_up). */
struct cluster_link *handshake_begin(struct cluster *cluster, void *handle, const char *name);

/* Frames. False: malformed. */
bool handshake_receive_hello(struct cluster *cluster, struct cluster_link *link,
                             struct bytes payload);
bool handshake_receive_join_accept(struct cluster *cluster, struct cluster_link *link,
                                   struct bytes payload);

#endif
