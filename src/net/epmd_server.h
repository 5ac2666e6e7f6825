/*
 * The epmd protocol on sockets: accepts, reads, answers, and keeps what must be kept.
 *
 * The server owns its listeners and connections. A request that has arrived whole by the time its
 * connection is accepted is answered and closed on the spot (net/epmd_conn); only what must wait
 * costs memory and a place in the event loop. Nothing a peer does ends the process:
 *
 *   out of descriptors     the longest-idle waiting connection is shed; where all are registered
 *                          nodes, one descriptor in reserve still answers look-ups, one by one
 *   out of memory          that connection is closed
 *   a peer that is slow    closed after packet_timeout without a byte, or ten times that in all
 *   a host that is greedy  at most peer_connections waiting connections, other hosts only
 */
#ifndef PORTOLAN_NET_EPMD_SERVER_H
#define PORTOLAN_NET_EPMD_SERVER_H

#include "names/epmd_service.h"
#include "net/listener.h"

struct event_base;
struct epmd_server;

struct epmd_server_options {
    int64_t packet_timeout_ms;
    unsigned peer_connections; /* see above; 0: any number */
    unsigned delay_accept_s;   /* to play a busy server: sleeps, holding all up */
    unsigned delay_write_s;
};

/* What the server tells its owner; both are called from the event loop. */
struct epmd_server_hooks {
    void (*registered)(void *context); /* a registration was made, and its reply sent */
    void (*killed)(void *context);     /* a peer may and did ask the daemon to end */
    void *context;
};

/* `service` and `base` are borrowed, the listeners become the server's. NULL when out of memory. */
struct epmd_server *epmd_server_new(struct event_base *base, const struct epmd_service *service,
                                    const struct epmd_server_options *options,
                                    const struct epmd_server_hooks *hooks,
                                    const struct listeners *listeners);

/* Closes all connections, which ends their registrations. */
void epmd_server_free(struct epmd_server *server);

#endif
