/* The beginning of a member and its end. */
#ifndef PORTOLAN_CLUSTER_START_H
#define PORTOLAN_CLUSTER_START_H

#include "cluster/context.h"

/* Ours alone, without a schedule; *made is set when the answer is CLUSTER_STARTED. */
enum cluster_start start_new(const struct cluster_options *options, int64_t now_ms,
                             struct cluster **made);
void start_free(struct cluster *cluster);

#endif
