/* What control/server.c, control/conn.c and control/watchers.c share. */
#ifndef PORTOLAN_CONTROL_INNER_H
#define PORTOLAN_CONTROL_INNER_H

#include "base/log.h"
#include "control/access.h"
#include "control/server.h"
#include "net/host_limit.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

/* --- events --- */

/*
 * The last events, once for all who watch: a ring of whole lines. Positions count bytes since the
 * start of the server; those before `start` are overwritten.
 */
struct control_events {
    char *ring; /* CONTROL_EVENTS_SIZE bytes while anybody watches, else NULL */
    uint64_t start, end;
};

/* False: memory is out. */
bool control_events_open(struct control_events *events);
void control_events_close(struct control_events *events);

/* Appends a line, or drops it: one that is longer than CONTROL_PART_MAX, which none is. */
void control_events_add(struct control_events *events, struct bytes line);

/* There was an event, and no memory for it: all who watch are behind from now on. */
void control_events_lose(struct control_events *events);

/* Appends the whole lines from *position on that fit, and moves it. False: what stood there is
 * overwritten already. */
bool control_events_read(const struct control_events *events, uint64_t *position,
                         struct writer *out);

/* --- peers --- */

struct control_conn {
    struct control_server *server;
    int fd;
    struct control_caller caller;
    bool watches;
    bool input_stopped;     /* no more requests of it are read */
    bool reply_pending;     /* its reply comes later */
    bool close_after_flush; /* as soon as no reply is pending and all is sent */
    bool ready;             /* there is something to do for it: in the queue */
    bool blocked;           /* it does not read: written to when it does */
    bool has_requested;     /* at least once */
    bool reading_paused;    /* its requests fill the buffer: nothing is read */
    bool newline_pending;   /* of the reply but the end of its line all is made */
    struct event readable, writable;

    char *request_buffer; /* CONTROL_LINE_MAX bytes at most */
    size_t request_at, request_end, request_capacity;
    size_t scanned; /* up to here from request_at there is no line feed */

    struct control_stream *stream; /* the reply that is being made; NULL: none */
    struct control_stream *last;   /* and the one behind it */
    uint8_t *piece;                /* what of it is made; NULL: nothing is */
    size_t piece_len, piece_sent;
    uint64_t position; /* in the events, while it watches */

    uint64_t awaited[CONTROL_GATES]; /* before anything is sent; 0: nothing */
    int64_t since_ms;
    unsigned turn; /* in which it became ready */
    void (*gone)(void *context);
    void *gone_context;
    TAILQ_ENTRY(control_conn) entry;
    TAILQ_ENTRY(control_conn) ready_link;
};
TAILQ_HEAD(control_conns, control_conn);

/* A caller that was accepted and waits for a place; nothing is read of it. */
struct control_waiter {
    int fd;
    struct control_caller caller;
    TAILQ_ENTRY(control_waiter) entry;
};
TAILQ_HEAD(control_waiters, control_waiter);

struct control_server {
    struct event_base *base;
    struct event *accept_event, *work_event, *retry_event;
    int listener;
    int reserve[CONTROL_DESCRIPTORS_RESERVE];
    char *path;
    control_handler *handler;
    void *context;
    struct control_server_options options;
    struct control_access access;
    struct control_conns conns; /* the longest idle first */
    struct control_waiters waiting;
    struct control_conns ready[2]; /* who may not change things, who may */
    struct control_events events;
    size_t conn_count, waiting_count;
    struct host_limit *slots, *queued; /* of these, what each user has who may change nothing */
    unsigned watchers, turn;
    bool events_pending; /* events that were not passed on to watchers yet */
    uint64_t accepted, busy;
};

/* Takes over the descriptor. NULL when out of memory: it is closed. */
struct control_conn *control_conn_new(struct control_server *server, int fd,
                                      const struct control_caller *caller);

/* Closes and frees it, after what can be sent at once. */
void control_conn_end(struct control_conn *conn);

/* Whether nothing is under way for it: no request that came, no reply, no watch. */
bool control_conn_is_idle(const struct control_conn *conn);

/* Something is to be done for it: it gets a step in the next turn, unless it does not read. */
void control_conn_wake(struct control_conn *conn);

/* Its share of a turn: what was made in an earlier turn is sent, and more is made, as far as the
 * time goes. It may end. */
void control_conn_step(struct control_conn *conn, int64_t until_us);

/* The last of what was made, as far as it goes at once: the reply to `stop`. */
void control_conn_flush(struct control_conn *conn);

/* --- the server --- */

/* Lets it work in the next turn. */
void control_server_wake(struct control_server *server);

/* A peer of this caller is gone: there is a place. */
void control_server_left(struct control_server *server, const struct control_caller *caller);

#endif
