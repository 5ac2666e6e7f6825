/*
 * One stream, and the proxy's side that it works with. Internal to front/proxy.c, to
 * front/proxy_connect.c, which finds the node, and to front/proxy_shares.c, which counts.
 */
#ifndef PORTOLAN_FRONT_PROXY_INNER_H
#define PORTOLAN_FRONT_PROXY_INNER_H

#include "base/hash_table.h"
#include "front/proxy.h"
#include "net/host_limit.h"
#include "relay/pump.h"

#include <event2/event.h>
#include <sys/queue.h>

/* Where a node of this host may listen: on loopback of either family, or on what was called. */
enum attempt { ATTEMPT_V4, ATTEMPT_V6, ATTEMPT_CALLED, ATTEMPT_NONE };

struct stream {
    struct proxy *proxy;       /* borrowed */
    struct node_streams *node; /* those of the same registration; NULL: it has ended */
    TAILQ_ENTRY(stream) link;
    TAILQ_ENTRY(stream) of_node;
    struct caller_streams *as_caller; /* those of the same caller to it; NULL: it has no name */
    int caller_fd, node_fd;           /* owned; -1: not there yet */
    struct address peer, called;
    uint16_t node_port;
    enum attempt attempt;
    bool open, tls, guessed;
    bool due;               /* in the list of the proxy */
    const char *due_reason; /* why it is to be closed; NULL: its timer has come */
    TAILQ_ENTRY(stream) as_due;
    uint32_t served;                         /* see base/turn_budget.h */
    bool of_caller, of_user, of_descriptors; /* where it is counted */
    struct limit_key caller_key;
    uint32_t user;  /* of the node */
    bool not_owned; /* an address took the connection that is not the node's */
    char *refusal;  /* why; owned, NULL without memory */
    size_t first_len;
    int64_t since_ms;
    struct event timer; /* also for the node's socket, while it is being connected */
    bool has_timer;
    uint64_t moved_before; /* bytes, when the timer was set */
    struct relay_pump in;  /* to the node */
    struct relay_pump out; /* from the node */
    size_t node_len, caller_len;
    uint8_t names[]; /* the node's alive name, then the caller's name */
};
TAILQ_HEAD(streams, stream);

/* The streams of one registration; there is one at least. */
struct node_streams {
    UT_hash_handle hh;
    const struct registration *registration; /* borrowed */
    struct streams streams;
};

/* Which caller has streams to which node. The name is in it by a keyed hash. */
struct caller_key {
    const struct registration *registration; /* borrowed */
    uint64_t name;
    struct limit_key host;
};

/* The streams of one caller to one registration; there is one at least. */
struct caller_streams {
    UT_hash_handle hh;
    struct caller_key key;
    size_t count;
};

struct proxy {
    struct proxy_options options;
    struct host_limit *peers;
    struct user_share *user_streams;
    struct streams streams;
    struct streams due; /* that a turn of the loop had no time for, the oldest first */
    struct event *due_event;
    struct node_streams *nodes;
    struct caller_streams *callers;
    size_t count;
    struct proxy_counters counters;
    LIST_HEAD(proxy_cursors, proxy_cursor) cursors;
    struct relay_shared shared;
};

/* Ends it; `reason` is for the log. */
void proxy_stream_close(struct stream *stream, const char *reason);

/* Has it examined again later, if it is still there; it may be closed at once. */
void proxy_stream_set_timer(struct stream *stream, int64_t ms);

/* In front/proxy_connect.c: connects the node, on the address of `attempt` or one after it. */
void proxy_connect(struct stream *stream);

/* A socket of a stream, as the distribution has them on those that it makes itself. */
void proxy_connect_prepare(int fd);

/* In front/proxy_shares.c: counts a stream wherever it counts. NULL, or why it must not be; it is
 * to be uncounted in any case. */
const char *proxy_shares_count(struct stream *stream);
void proxy_shares_uncount(struct stream *stream);

#endif
