/* Frames that come in: each is read, and given to the part that it is for. */
#ifndef PORTOLAN_CLUSTER_RECEIVE_H
#define PORTOLAN_CLUSTER_RECEIVE_H

#include "cluster/link.h"

/* The whole frames at the start of `bytes`; returns how many bytes that were. */
size_t receive_frames(struct cluster *cluster, struct cluster_link *link, struct bytes bytes);

#endif
