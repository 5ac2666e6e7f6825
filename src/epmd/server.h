/*
 * The epmd protocol on connections that were accepted (net/acceptor): reads, answers, and keeps
 * what must be kept.
 *
 * The server owns its connections. A request that has arrived whole by the time its connection is
 * accepted is answered and closed on the spot (epmd/conn); only what must wait costs memory and
 * a place in the event loop. Nothing a peer does ends the process:
 *
 *   out of descriptors     the longest-idle waiting connection is shed; where all are registered
 *                          nodes, one on the acceptor's reserve is still answered, if it is at once
 *   out of memory          that connection is closed
 *   a peer that is slow    closed after packet_timeout without a byte, or ten times that in all; as
 *                          OTP's epmd counts, whole seconds have passed when one more has begun
 *   a host that is greedy  at most peer_connections waiting connections, other hosts only
 *   a user that is greedy  at most its share of the descriptors, registered nodes and all; what is
 *                          answered at once takes none
 */
#ifndef PORTOLAN_EPMD_SERVER_H
#define PORTOLAN_EPMD_SERVER_H

#include "host/local_users.h"
#include "names/epmd_service.h"
#include "net/acceptor.h"

struct event_base;
struct epmd_server;
struct turn_budget;

struct epmd_server_options {
    int64_t packet_timeout_ms;  /* > 0; N whole seconds end nothing before N + 1 have passed */
    unsigned peer_connections;  /* see above; 0: any number */
    unsigned delay_write_s;     /* to play a busy server: sleeps, holding all up */
    struct turn_budget *budget; /* borrowed; NULL: a turn of the loop takes what it takes */
};

/* What was refused, and to whom. All is borrowed for the call. */
struct epmd_refusal {
    const char *what;             /* "registration", "request", "connection", "listing" */
    const struct epmd_node *node; /* of a registration, else NULL */
    const char *reason;
    const struct address *peer;
};

/* Reports of the server to its owner, from the event loop. */
struct epmd_server_hooks {
    void (*registered)(void *context, struct registration *registration);

    /*
     * Asked just before `registered`: whether the reply is to wait, because what it says is not
     * safe yet. 0: no. Else it goes out with epmd_server_settled of this number or a higher one.
     * NULL as a hook: no reply waits.
     */
    uint64_t (*awaits)(void *context, const struct registration *registration);
    void (*unregistered)(void *context, struct registration *registration, const char *reason);
    void (*refused)(void *context, const struct epmd_refusal *refusal);
    void (*killed)(void *context); /* a peer may and did ask the daemon to end */

    void *context;
};

/* What has happened since the start. */
struct epmd_counters {
    uint64_t accepted;
    uint64_t requests; /* well-formed ones */
    uint64_t refused;  /* of all kinds */
    uint64_t shed;     /* because descriptors ran out */
    uint64_t timed_out;
    uint64_t limited; /* too many connections of one address */
};

struct epmd_server_status {
    struct epmd_counters counters;
    size_t registered; /* connections */
    size_t waiting;
};

/* All is borrowed. `acceptor` is asked whether callers wait; NULL: none do. NULL when out of
 * memory. */
struct epmd_server *epmd_server_new(struct event_base *base, const struct epmd_service *service,
                                    const struct acceptor *acceptor,
                                    const struct epmd_server_options *options,
                                    const struct epmd_server_hooks *hooks);

/*
 * Callers at a front port that are not epmd clients are handed to `take` from here on: the
 * descriptor, and what was read from it (borrowed for the call). It returns NULL: taken. Else why
 * not: the descriptor is closed. Before this is called, front ports serve epmd clients only.
 */
typedef const char *epmd_other_protocol(void *context, int fd, const struct address *peer,
                                        struct bytes received);
void epmd_server_on_other_protocol(struct epmd_server *server, epmd_other_protocol *take,
                                   void *context);

/* Serves a connection that was just accepted: answers it at once, or lets it wait, or hands it
 * over. Owns the descriptor. */
void epmd_server_open(struct epmd_server *server, const struct accepted *accepted);

/* Closes a connection that was just accepted, and reports it by the hook `refused`. */
void epmd_server_refuse(struct epmd_server *server, const struct accepted *accepted,
                        const char *reason);

/* Closes the longest-idle of the waiting connections. False: none waits. */
bool epmd_server_shed(struct epmd_server *server);

/* Answers the look-ups that need not wait any longer (names/lookup_queue), and sees to it that the
 * others are answered in time: at once, when a connection has come to a node; or when the callback
 * under way is done, when a node leaves its front port. */
void epmd_server_answer_ready(struct epmd_server *server);
void epmd_server_answer_soon(struct epmd_server *server);

/* Sends the replies that wait for a number up to this. */
void epmd_server_settled(struct epmd_server *server, uint64_t number);

/* Closes all connections, which ends their registrations. */
void epmd_server_free(struct epmd_server *server);

/* Tells it of the users of this host, before there are callers: whose a registration is, and what
 * each may take. Borrowed. */
void epmd_server_know_users(struct epmd_server *server, const struct local_users *users);

/* For connections and requests to come. */
void epmd_server_configure(struct epmd_server *server, const struct epmd_server_options *options);

struct epmd_server_status epmd_server_status(const struct epmd_server *server);

#endif
