/* What outlives a restart: the state as the store's text (store.h), and back. */
#ifndef PORTOLAN_CLUSTER_SAVED_STATE_H
#define PORTOLAN_CLUSTER_SAVED_STATE_H

#include "cluster/context.h"

/* Newly allocated, the caller frees it. NULL: no memory. */
uint8_t *saved_state_encode(const struct cluster *cluster, size_t *len);

/* *incarnation is raised above all that were used before. */
enum cluster_start saved_state_restore(struct cluster *cluster, struct bytes text,
                                       uint64_t *incarnation);

#endif
