/*
 * The events of the cluster, told once: a line in the log, an object for those who watch the
 * control socket (docs/control.md), and a run of the program cluster.on_event.
 */
#ifndef PORTOLAN_SERVICE_CLUSTER_EVENTS_H
#define PORTOLAN_SERVICE_CLUSTER_EVENTS_H

#include "link/link.h"
#include "service/event_hook.h"
#include "service/events.h"

#define CLUSTER_EVENTS_ATTEMPTS 64
#define CLUSTER_EVENTS_AGAIN_MS 60000 /* the same of an attempt is logged so seldom */

struct cluster_events {
    struct events *events;   /* borrowed */
    struct event_hook *hook; /* borrowed; NULL: none */
    const char *self;        /* node.name; borrowed */
    struct { /* what was logged last of the attempts to reach a member, by a hash of its name */
        enum cluster_cause cause;
        int64_t at_ms;
    } attempts[CLUSTER_EVENTS_ATTEMPTS];
};

/* `text`: the cause and the cure, or "" (service/explain.h). */
void cluster_events_report(struct cluster_events *events, const struct cluster_event *event,
                           const char *text);

/* A caller that was not let in. */
void cluster_events_rejected(const struct peer_failure *failure);

#endif
