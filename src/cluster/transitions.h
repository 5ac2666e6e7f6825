/*
 * What follows when a member changes its state (the table in cluster.h), whoever found that out:
 * a record that was heard, our own failure detector, an operator, or time.
 */
#ifndef PORTOLAN_CLUSTER_TRANSITIONS_H
#define PORTOLAN_CLUSTER_TRANSITIONS_H

#include "cluster/link.h"

/* The consequences of a state that the caller has set; `before`: the one it had. Not the gossip. */
void transition_follow(struct cluster *cluster, struct member *member, enum cluster_state before,
                       bool same_generation);

/* We found it dead ourselves; its link, if there is one, is dropped for the same cause. */
void transition_declare_down(struct cluster *cluster, struct member *member,
                             enum cluster_cause cause);

/* It left or was forced out (`kind`): it becomes a tombstone, which is told to all but `from`. */
void transition_end_membership(struct cluster *cluster, struct member *member,
                               enum cluster_state kind, uint64_t incarnation,
                               struct cluster_link *from);

void transition_forget(struct cluster *cluster, struct member *member); /* and frees it */
void transition_drop_names(struct cluster *cluster, struct member *member);

/* To be called before a member in this state is added: forgets one that gives way to it. */
void transition_make_room(struct cluster *cluster, enum cluster_state state);

/* Whether there is a split has changed, perhaps. */
void transition_update_split(struct cluster *cluster);

#endif
