/*
 * What people are told of links and joins that came to nothing, and of an end of this daemon's
 * membership: what on, why, and what to do.
 */
#ifndef PORTOLAN_SERVICE_EXPLAIN_H
#define PORTOLAN_SERVICE_EXPLAIN_H

#include "link/link.h"

#define EXPLAIN_SIZE 768

/*
 * Of an event; "" for those that say enough by themselves. `failure`: of the attempt that the event
 * tells of; NULL: the cause was found on a link that stood.
 * "connection to s2.emqx.io:4370 timed out after 5 s; is TCP 4370 open in its firewall?"
 */
void explain_event(const struct cluster_event *event, const char *self,
                   const struct peer_failure *failure, char out[EXPLAIN_SIZE]);

/* Of a caller that was turned away: "it has another cookie; ..."; may borrow from `failure`. */
const char *explain_rejected_caller(const struct peer_failure *failure);

#endif
