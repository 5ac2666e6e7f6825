/*
 * The control socket: JSON objects, one a line, on a Unix socket (docs/control.md). This module
 * moves lines and knows who calls; what a command means is its owner's.
 *
 * Nobody is kept waiting by a caller, whatever it asks for:
 *
 *   time     all callers together have CONTROL_TURN_US of a turn of the event loop, one of them
 *            about CONTROL_STEP_US: then it is the next one's turn. Those who may change things and
 *            those who may not are served by turns
 *   memory   a caller costs at most CONTROL_LINE_MAX bytes of requests, CONTROL_PIECE_SIZE of
 *            replies, and the state of one reply, which is made as it is read
 *            (control/stream). All watchers together cost CONTROL_EVENTS_SIZE: an event is kept
 *            once, for all of them
 *   places   CONTROL_CONNS_MAX callers are served at a time, and CONTROL_CONNS_RESERVE more who may
 *            change things. The others wait, in their order, until a place is free; one that is
 *            idle gives its place to a caller that waits. A user who may not change things has a
 *            share of the places, and of those who wait
 *
 * One that closes its writing side still gets the replies to what it has asked, and is closed then;
 * a watch of it ends.
 */
#ifndef PORTOLAN_CONTROL_SERVER_H
#define PORTOLAN_CONTROL_SERVER_H

#include "control/listen.h"
#include "control/stream.h"
#include "host/subordinate_users.h"

#include <sys/types.h>

#define CONTROL_LINE_MAX 65536
#define CONTROL_PIECE_SIZE 32768
#define CONTROL_EVENTS_SIZE (1 << 20)
#define CONTROL_CONNS_MAX 64
#define CONTROL_CONNS_RESERVE 16
#define CONTROL_WAITING_MAX 4096
#define CONTROL_DESCRIPTORS_RESERVE 4
#define CONTROL_WRITE_TIMEOUT_S 30
#define CONTROL_TURN_US 2000
#define CONTROL_STEP_US 500
#define CONTROL_FIRST_REQUEST_MS 1000 /* who has asked nothing is not idle before */

struct event_base;
struct control_server;
struct control_conn;

/*
 * Called for each request. What it is handed is borrowed. It returns the reply, which becomes the
 * server's; NULL when out of memory, which closes the connection.
 */
typedef struct control_stream *control_handler(void *context, struct control_conn *conn,
                                               const json_t *request);

struct control_server_options {
    uint64_t user_share;                    /* of the places, in percent */
    size_t waiting_max;                     /* callers that wait for a place; CONTROL_WAITING_MAX
                                               at most */
    const struct subordinate_users *owners; /* borrowed; NULL: no user is another's */
};

/*
 * The listening descriptor becomes the server's, and `path` (copied) is removed at the end. NULL
 * when out of memory: the descriptor is closed and the path removed.
 */
struct control_server *control_server_new(struct event_base *base, int listener, const char *path,
                                          const struct control_server_options *options,
                                          control_handler *handler, void *context);
void control_server_free(struct control_server *server);

/* For callers to come; looks the group up anew (control/access). */
void control_server_configure(struct control_server *server,
                              const struct control_server_options *options);

struct control_counters {
    size_t connected, waiting; /* now */
    uint64_t accepted, busy;   /* since the start: callers, and those who were told to come again */
};
struct control_counters control_server_counters(const struct control_server *server);

/* Whether the peer may change things: root, the daemon's user, or of the group CONTROL_GROUP. */
bool control_conn_may_change(const struct control_conn *conn);

/* The user who runs it; (uid_t)-1 when that is not known. */
uid_t control_conn_user(const struct control_conn *conn);

/*
 * For a handler whose reply takes time: it calls control_conn_hold and returns NULL. Requests of
 * that peer wait until control_conn_reply is called (with NULL when memory is out). `gone` is
 * called when the peer goes away before that; borrowed like `context`. (One that first closed its
 * writing side, and then went, is noticed only when something is written to it: hold for a limited
 * time.)
 */
void control_conn_hold(struct control_conn *conn, void (*gone)(void *context), void *context);

void control_conn_reply(struct control_conn *conn, struct control_stream *reply);

/* A line before that reply, taken over; it is left out while the peer does not read the one before.
 */
void control_conn_progress(struct control_conn *conn, json_t *line);

/* Takes a hold back: the handler replies at once after all. */
void control_conn_release(struct control_conn *conn);

/*
 * What is told is safe first: what the peer is sent from now on waits until control_server_settle
 * of this number or a higher one, at that gate. What it asks meanwhile is answered as far as one
 * piece takes it, so that requests in a row wait for one write together. 0: it need not wait.
 */
enum control_gate { CONTROL_GATE_LEASES, CONTROL_GATE_CLUSTER, CONTROL_GATES };
void control_conn_await(struct control_conn *conn, enum control_gate gate, uint64_t number);
void control_server_settle(struct control_server *server, enum control_gate gate, uint64_t number);

/* From now on the peer gets what is published. */
void control_conn_watch(struct control_conn *conn);

/* Sends an event to all who watch; takes the reference over. NULL, out of memory: those who watch
 * are closed, as they would miss one. */
void control_server_publish(struct control_server *server, json_t *event);

/* Whether anybody watches: so that no event is made in vain. */
bool control_server_is_watched(const struct control_server *server);

#endif
