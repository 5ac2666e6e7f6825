/*
 * One connection of an epmd client, and the server's side that it works with. Internal to
 * net/epmd_server.c, net/epmd_conn.c and net/epmd_lookup.c.
 *
 *   state        waits for                   is in          ends with
 *   READING      the rest of its request     waiting        the answer, a bad request, its time
 *   WRITING      room for its reply          waiting        the last byte, its time
 *   HELD         the turn of its look-up     waiting        the answer, its time
 *   REFUSED      the node that was refused   waiting        its close, a byte, its time
 *   REGISTERED   the end of the node         registered     its close, a byte
 *
 * A registered node's reply may wait, in the list `unsettled`: its creation is not safe yet.
 *
 * A connection begins on the stack of the accept loop, and most end there. One that must wait is
 * moved to the heap, counted and put in the list of its state.
 */
#ifndef PORTOLAN_NET_EPMD_CONN_H
#define PORTOLAN_NET_EPMD_CONN_H

#include "net/epmd_server.h"
#include "net/peer_limit.h"
#include "net/tls.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

enum epmd_conn_state {
    EPMD_CONN_READING,
    EPMD_CONN_WRITING,
    EPMD_CONN_HELD,
    EPMD_CONN_REFUSED,
    EPMD_CONN_REGISTERED,
};

struct inbox;
struct outbox;

/* A listening socket, and where its callers come in. */
struct epmd_door {
    struct epmd_server *server; /* borrowed */
    struct listener listener;   /* owned */
    bool lasting;               /* until the end of the server */
    struct event event;
    TAILQ_ENTRY(epmd_door) link;
};
TAILQ_HEAD(epmd_doors, epmd_door);

struct epmd_conn {
    struct epmd_server *server; /* borrowed */
    int fd;
    enum epmd_conn_state state;
    bool kept;     /* on the heap, in a list, with an event */
    bool limited;  /* counted in the server's peer_limit */
    bool shares;   /* of this host: counted among the descriptors of its user */
    uint32_t user; /* whose it is, once it is kept */
    bool at_front; /* it called a front port: it may be other than an epmd client */
    struct address peer;
    int64_t opened_ms;
    int64_t active_ms;
    struct inbox *inbox;               /* what has come of a request that is not whole yet; of a
                                          look-up that is held, the name */
    struct lookup_waiter waiter;       /* the same */
    struct outbox *outbox;             /* what the peer has not taken of its reply yet */
    struct registration *registration; /* borrowed from the registry */
    uint64_t awaited;                  /* 0, or what its reply waits for */
    size_t reply_len;
    uint8_t reply[EPMD_ALIVE2_REPLY_MAX]; /* that waits */
    struct event event;
    TAILQ_ENTRY(epmd_conn) link;
    TAILQ_ENTRY(epmd_conn) unsettled;
};
TAILQ_HEAD(epmd_conns, epmd_conn);

struct epmd_server {
    struct event_base *base;
    const struct epmd_service *service;
    struct epmd_server_options options;
    int64_t idle_limit_ms; /* what packet_timeout_ms allows */
    struct epmd_server_hooks hooks;
    struct epmd_doors doors;
    struct event *resume_event; /* ends a pause of accepting */
    struct event *expiry_event; /* the time of the longest-idle waiting connection */
    struct event *lookup_event; /* when a look-up that is held goes on */
    struct peer_limit *peer_limit;
    struct local_users users;  /* its parts are borrowed, and may be NULL */
    struct epmd_conns waiting; /* the longest-idle first */
    struct epmd_conns registered;
    struct epmd_conns unsettled; /* of those, whose reply waits; the first first */
    bool none_may_stay;          /* the descriptor in use is the reserve */
    int reserve_fd;
    struct epmd_counters counters;
    size_t waiting_count, registered_count;
    uint8_t received[EPMD_FRAME_MAX]; /* a request that is being read; nobody's between two calls */
};

/* Serves a connection that was just accepted: answers it at once, or keeps it. Owns the descriptor.
 */
void epmd_conn_open(const struct epmd_door *door, int fd, const struct address *peer);

/* Sends the reply that waits. The connection may be closed by it. */
void epmd_conn_settle(struct epmd_conn *conn);

/* Ends a kept connection, its registration with it. `reason` is for the log. */
void epmd_conn_close(struct epmd_conn *conn, const char *reason);

/* A look-up that was held is answered: its state tells how. */
#define EPMD_CONN_OF_WAITER(held)                                                                  \
    ((struct epmd_conn *)(void *)((char *)(held)-offsetof(struct epmd_conn, waiter)))
void epmd_conn_resume(struct epmd_conn *conn);

/* In epmd_lookup.c: what names/epmd_service asks of a connection, and the time of lookup_event. */
bool epmd_lookup_may_connect(const void *holder);
int64_t epmd_lookup_round_trip_ms(const void *holder);
void epmd_lookup_on_time(evutil_socket_t fd, short what, void *context);

/* In epmd_server.c: the lists that kept connections are in, each in one. */
void epmd_server_list_waiting(struct epmd_server *server, struct epmd_conn *conn);
void epmd_server_list_registered(struct epmd_server *server, struct epmd_conn *conn);
void epmd_server_unlist(struct epmd_server *server, struct epmd_conn *conn);

/* A waiting connection has moved a byte: it is the least idle now. */
void epmd_server_touch(struct epmd_server *server, struct epmd_conn *conn);

#endif
