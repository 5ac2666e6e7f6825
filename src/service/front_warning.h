/*
 * Tells that a node has no front port, and who has it: in the log, and to those who watch
 * (docs/control.md). Where another program listens there, the warning waits until that is found out
 * (host/port_search); one search at a time, and FRONT_SEARCH_PAUSE_MS between them. Without one the
 * warning says less, but is given.
 */
#ifndef PORTOLAN_SERVICE_FRONT_WARNING_H
#define PORTOLAN_SERVICE_FRONT_WARNING_H

#include "erlang/node_name.h"
#include "front/front.h"
#include "host/port_search.h"
#include "service/events.h"

#define FRONT_SEARCH_PAUSE_MS 1000

/* What is to be told of a node, which may have left when it is. */
struct front_port_warning {
    uint8_t name[ALIVE_NAME_MAX_BYTES];
    size_t name_len;
    uint16_t port, front_port;
    char reason[128];
};

struct front_warning {
    struct event_base *base;    /* borrowed */
    struct events *events;      /* borrowed */
    struct port_search *search; /* for the next; NULL: none is under way */
    struct front_port_warning pending;
    int64_t searched_ms; /* 0: never */
};

void front_warning_report(struct front_warning *warning, const struct front_port_error *error);

/* Ends the search; what it was for is not told any more. */
void front_warning_stop(struct front_warning *warning);

#endif
