/*
 * The owner of a port (host/port_owner), found out beside the event loop: the search walks the
 * descriptors of all processes, which takes milliseconds and more on a large host.
 */
#ifndef PORTOLAN_HOST_PORT_SEARCH_H
#define PORTOLAN_HOST_PORT_SEARCH_H

#include "host/port_owner.h"

struct event_base;
struct port_search;

/* Called once, from the event loop; `owner` is borrowed, NULL: none was found. It may free the
 * search. */
typedef void port_search_done(void *context, const struct port_owner *owner);

/* A thread of its own does it, and ends by itself. NULL: no memory, descriptor or thread for it. */
struct port_search *port_search_start(struct event_base *base, uint16_t port,
                                      port_search_done *done, void *context);

/* Done or not; NULL is fine. */
void port_search_free(struct port_search *search);

#endif
