/*
 * One connection of an epmd client, and the server's side that it works with. Internal to
 * epmd/server.c, epmd/conn.c (its life, and what comes in), epmd/answer.c (what goes
 * out) and epmd/lookup.c.
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
 * A connection begins on the stack of epmd_server_open, and most end there. One that must wait is
 * moved to the heap, counted and put in the list of its state.
 */
#ifndef PORTOLAN_EPMD_CONN_H
#define PORTOLAN_EPMD_CONN_H

#include "epmd/server.h"
#include "net/host_limit.h"

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

/* Bytes of a request that is not whole yet, EPMD_FRAME_MAX at most; or the name of a look-up. */
struct request_buffer {
    size_t len;
    uint8_t data[];
};

/* A listing that is on its way out. */
struct reply_buffer {
    struct listing listing; /* fills the buffer again when it has been sent */
    uint64_t sent_in_all;   /* bytes of the whole reply that went out */
    size_t sent;            /* of the buffer */
    size_t len;
    size_t size;
    uint8_t data[];
};

struct epmd_conn {
    struct epmd_server *server; /* borrowed */
    int fd;
    enum epmd_conn_state state;
    struct address peer;
    uint32_t user;     /* whose it is, once it is on the heap */
    bool on_heap;      /* in a list, with an event */
    bool host_counted; /* counted in the server's host_limit */
    bool user_counted; /* of this host: counted among the descriptors of its user */
    bool on_reserve;   /* the descriptor is the last: it cannot wait */
    bool at_front;     /* it called a front port: it may be other than an epmd client */
    struct request_buffer *request_buffer; /* what has come of a request that is not whole yet; of a
                                              look-up that is held, the name */
    struct reply_buffer *reply_buffer;     /* what the peer has not taken of its reply yet */

    /* from here on of those on the heap alone, but for waiter.state: not cleared before */
    struct lookup_waiter waiter; /* of a look-up that is held */
    int64_t opened_ms;
    int64_t active_ms;
    uint32_t served;                   /* see base/turn_budget.h */
    struct registration *registration; /* borrowed from the registry */
    uint64_t awaited;                  /* 0, or what its reply waits for */
    size_t reply_len;
    uint8_t reply[EPMD_ALIVE2_REPLY_MAX]; /* that waits */
    struct event event;
    TAILQ_ENTRY(epmd_conn) entry;
    TAILQ_ENTRY(epmd_conn) unsettled;
};
#define EPMD_CONN_ON_STACK offsetof(struct epmd_conn, waiter)
TAILQ_HEAD(epmd_conns, epmd_conn);

struct epmd_server {
    struct event_base *base;
    const struct epmd_service *service;
    const struct acceptor *acceptor; /* borrowed; may be NULL */
    struct epmd_server_options options;
    int64_t idle_limit_ms; /* what packet_timeout_ms allows */
    struct epmd_server_hooks hooks;
    epmd_other_protocol *other_protocol; /* NULL: front ports serve epmd clients only */
    void *other_context;
    struct event *expiry_event; /* the time of the longest-idle waiting connection */
    struct event *lookup_event; /* when a look-up that is held goes on */
    struct host_limit *host_limit;
    struct local_users users;  /* its parts are borrowed, and may be NULL */
    struct epmd_conns waiting; /* the longest-idle first */
    struct epmd_conns registered;
    struct epmd_conns unsettled; /* of those, whose reply waits; the first first */
    struct event *settled_event; /* replies that may go out are left from the last turn */
    uint64_t settled;            /* they wait for numbers up to this */
    struct epmd_counters counters;
    size_t waiting_count, registered_count;
    uint8_t received[EPMD_FRAME_MAX]; /* a request that is being read; nobody's between two calls */
};

/* Ends a connection, and its registration if it has one. `reason` is for the log. */
void epmd_conn_close(struct epmd_conn *conn, const char *reason);

/* Moves a connection to the heap, of a node that registers or, with NULL, of any other client; one
 * that is there already is returned as it is. NULL: it could not stay, and is closed. */
struct epmd_conn *epmd_conn_promote(struct epmd_conn *fresh, const struct epmd_node *node);

/* Whether it could be kept: a look-up is rather answered at once than closed. */
bool epmd_conn_may_promote(struct epmd_conn *conn);

/* Tells the owner and the log of a request that is refused, or of `node`; and closes besides. */
void epmd_conn_report_refused(const struct epmd_conn *conn, const char *what,
                              const struct epmd_node *node, const char *reason);
void epmd_conn_refuse(struct epmd_conn *conn, const char *what, const char *reason);

/* Waits for the other direction (EV_READ, EV_WRITE) from now on. False: it could not, and is
 * closed. */
bool epmd_conn_wait_for(struct epmd_conn *conn, short what);

/*
 * Ends a connection that waits for its end, if that has come: a close or a byte. What was sent is
 * read whole, so that the close is a FIN and no reset.
 */
bool epmd_conn_close_if_ended(struct epmd_conn *conn);

/* --- epmd/answer.c --- */

/* Answers a whole request. The connection may be closed, or moved to the heap, by it. */
void epmd_conn_answer(struct epmd_conn *conn, const struct epmd_request *request);

/* Sends what the reply buffer holds and will hold, as far as the peer takes it. */
enum epmd_drained { EPMD_DRAINED, EPMD_BLOCKED, EPMD_BROKEN };
enum epmd_drained epmd_conn_drain(struct epmd_conn *conn);

/* Sends the reply that waits. The connection may be closed by it. */
void epmd_conn_settle(struct epmd_conn *conn);

/* A look-up that was held is answered, by its state. */
#define EPMD_CONN_OF_WAITER(held)                                                                  \
    ((struct epmd_conn *)(void *)((char *)(held)-offsetof(struct epmd_conn, waiter)))
void epmd_conn_resume(struct epmd_conn *conn);

/* In epmd/lookup.c: what names/epmd_service asks of a connection, and the time of lookup_event.
 */
bool epmd_lookup_may_connect(const void *holder);
int64_t epmd_lookup_round_trip_ms(const void *holder);
void epmd_lookup_on_time(evutil_socket_t fd, short what, void *context);

/* In epmd/server.c: the lists that connections on the heap are in, each in one. */
void epmd_server_list_waiting(struct epmd_server *server, struct epmd_conn *conn);
void epmd_server_list_registered(struct epmd_server *server, struct epmd_conn *conn);
void epmd_server_unlist(struct epmd_server *server, struct epmd_conn *conn);

/* A waiting connection has moved a byte: it is the least idle now. */
void epmd_server_touch(struct epmd_server *server, struct epmd_conn *conn);

#endif
