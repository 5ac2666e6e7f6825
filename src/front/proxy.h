/*
 * The proxy: distribution connections that came in at a front port, each moved to and from the
 * local node that it is for (relay/pump moves the bytes).
 *
 *   state        waits for                       ends with
 *   CONNECTING   the node's socket               no address takes it, PROXY_CONNECT_MS in all; a
 *                                                listener that is not the node's; the node leaving
 *   OPEN         bytes, either way               both ways ended; a broken socket; the node leaving
 *   HALF OPEN    bytes, the one way              the same; no byte in PROXY_HALF_OPEN_MS
 *
 * The end of one direction is passed on and leaves the other open. But a caller that ends its
 * direction before the node has said anything is gone, and so is its stream; and a node that has
 * said nothing for PROXY_ANSWER_MS will not. When a node's registration ends and its socket has
 * ended too, its streams are closed at once. Nothing runs while a stream is idle, and one costs
 * some 900 bytes here.
 *
 * A stream leads only to a listener of the user who registered the node (host/listener_owner): that
 * is asked when the connection stands and before a byte is passed on.
 *
 * A stream counts for its caller, which is another host or a user of this one, and for the user of
 * its node.
 *
 * The proxy owns its streams and, from proxy_open on, both sockets of each.
 */
#ifndef PORTOLAN_FRONT_PROXY_H
#define PORTOLAN_FRONT_PROXY_H

#include "host/local_users.h"
#include "names/registry.h"
#include "net/address.h"

#include <sys/queue.h>

#define PROXY_CONNECT_MS 5000

/* A node gives a handshake net_setuptime, which is 120 s at most. */
#define PROXY_ANSWER_MS 125000

/* Nodes send ticks, and end their direction when the other has ended. */
#define PROXY_HALF_OPEN_MS 60000

struct event_base;
struct proxy;
struct turn_budget;

struct proxy_options {
    size_t streams_max;         /* of all callers */
    unsigned peer_streams;      /* of one other host, or one user of this one; 0 for any number */
    size_t user_streams;        /* to the nodes of one user; 0 for any number */
    struct turn_budget *budget; /* borrowed; NULL: a turn of the loop takes what it takes */
    bool copies;                /* never splice, for tests of that */
    int64_t answer_ms, half_open_ms; /* for tests; 0: as above */

    /* The users of this host; borrowed. NULL: users have no limit. */
    const struct local_users *users;
    bool check_owner; /* whether it matters who listens */

    /* A node was not connected, because another user, or an unknown one, listens on its port. NULL:
     * nobody wants to hear of it. All is borrowed for the call. */
    void (*refused)(void *context, const struct registration *registration, const char *reason,
                    const struct address *peer);
    void *context;
};

struct proxy_counters {
    uint64_t opened;      /* streams, since the start */
    uint64_t unreachable; /* no address of this host reached the node */
    uint64_t limited;     /* not taken: too many, or no descriptor or memory left */
    uint64_t not_owned;   /* who listens on the node's port is not the user who registered it */
    uint64_t unanswered;  /* the caller left, or waited too long, before a byte of the node */
    uint64_t guessed;     /* to one of several nodes that share a port */
    uint64_t misrouted;   /* of these: the caller turned away when it heard the node's name */
    uint64_t bytes_in;    /* to nodes, of the streams that have ended */
    uint64_t bytes_out;   /* from nodes, likewise */
};

/* NULL when out of memory. `base` is borrowed. */
struct proxy *proxy_new(struct event_base *base, const struct proxy_options *options);

/* Closes all streams. */
void proxy_free(struct proxy *proxy);

/* For streams to come. */
void proxy_configure(struct proxy *proxy, const struct proxy_options *options);

/* A caller, and the node that it is for. All borrowed for the call, but the registration. */
struct proxy_call {
    int fd;
    const struct address *peer;
    const struct address *called; /* the address that the caller called */
    struct bytes first;           /* what was read from it */
    struct bytes caller;          /* the name of the calling node; empty: TLS hides it */
    bool tls;
    bool guessed;                            /* the node is one of several behind the port */
    const struct registration *registration; /* good until proxy_node_left */
};

/* Connects the caller with the node. NULL: taken. Else why not: the descriptor stays the
 * caller's. */
const char *proxy_open(struct proxy *proxy, const struct proxy_call *call);

/* A node's registration ends. */
void proxy_node_left(struct proxy *proxy, const struct registration *registration);

/*
 * Whether the node called `caller` has a stream to the node of this registration, from the host of
 * `peer`: anybody can say any name. It takes the same time however many streams there are.
 */
bool proxy_connects(const struct proxy *proxy, struct bytes caller, const struct address *peer,
                    const struct registration *registration);

struct proxy_stream_view {
    struct bytes node;   /* the alive name */
    struct bytes caller; /* empty: not known */
    const struct address *peer;
    uint16_t port; /* the front port */
    bool tls;
    bool open; /* else it is being connected */
    int64_t since_ms;
    uint64_t bytes_in, bytes_out; /* to the node, from the node */
};

/*
 * A walk over the streams, the oldest first, that may pause while streams come and go. The proxy
 * must outlive it; it must be ended, and may be ended twice.
 */
struct proxy_cursor {
    struct proxy *proxy; /* NULL once ended */
    void *next;
    LIST_ENTRY(proxy_cursor) link;
};

void proxy_cursor_begin(struct proxy_cursor *cursor, struct proxy *proxy);
/* False: that was the last. What the view borrows is good until the stream ends. */
bool proxy_cursor_peek(const struct proxy_cursor *cursor, struct proxy_stream_view *view);
void proxy_cursor_advance(struct proxy_cursor *cursor);
void proxy_cursor_end(struct proxy_cursor *cursor);

size_t proxy_count(const struct proxy *proxy);
struct proxy_counters proxy_counters(const struct proxy *proxy);

#endif
