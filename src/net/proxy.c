#include "net/proxy.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/peer_limit.h"
#include "net/proxy_way.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Of the handshake: length:16 'r' challenge:32 digest:128. */
#define CHALLENGE_REPLY_SIZE 23

/* Where a node of this host may listen: on loopback of either family, or on what was called. */
enum attempt { ATTEMPT_V4, ATTEMPT_V6, ATTEMPT_CALLED, ATTEMPT_NONE };

struct stream {
    struct proxy *proxy;       /* borrowed */
    struct node_streams *node; /* those of the same registration; NULL: it has ended */
    TAILQ_ENTRY(stream) link;
    TAILQ_ENTRY(stream) of_node;
    int caller_fd, node_fd; /* owned; -1: not there yet */
    struct address peer, called;
    uint16_t node_port;
    enum attempt attempt;
    bool open, tls, guessed, limited;
    size_t first_len;
    int64_t since_ms;
    struct event connected; /* while it is being connected */
    struct proxy_way in;    /* to the node */
    struct proxy_way out;   /* from the node */
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

struct proxy {
    struct proxy_options options;
    struct peer_limit *peers;
    struct streams streams;
    struct node_streams *nodes;
    size_t count;
    struct proxy_counters counters;
    LIST_HEAD(, proxy_cursor) cursors;
    struct proxy_store store;
};

/* --- which streams a node has --- */

static struct node_streams *find_node(const struct proxy *proxy,
                                      const struct registration *registration) {
    struct node_streams *found;
    HASH_FIND_PTR(proxy->nodes, &registration, found);
    return found;
}

static struct node_streams *new_node(struct proxy *proxy, const struct registration *registration) {
    struct node_streams *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->registration = registration;
    TAILQ_INIT(&node->streams);
    HASH_ADD_PTR(proxy->nodes, registration, node);
    if (node->hh.tbl != NULL)
        return node;
    free(node);
    return NULL;
}

/* False when out of memory. */
static bool join_node(struct stream *stream, const struct registration *registration) {
    struct node_streams *node = find_node(stream->proxy, registration);
    if (node == NULL)
        node = new_node(stream->proxy, registration);
    if (node == NULL)
        return false;
    stream->node = node;
    TAILQ_INSERT_TAIL(&node->streams, stream, of_node);
    return true;
}

static void leave_node(struct stream *stream) {
    struct node_streams *node = stream->node;
    if (node == NULL)
        return;
    stream->node = NULL;
    TAILQ_REMOVE(&node->streams, stream, of_node);
    if (!TAILQ_EMPTY(&node->streams))
        return;
    HASH_DEL(stream->proxy->nodes, node);
    free(node);
}

/* --- the end of a stream --- */

static struct bytes node_of(const struct stream *stream) {
    return bytes_of(stream->names, stream->node_len);
}

static struct bytes caller_of(const struct stream *stream) {
    return bytes_of(stream->names + stream->node_len, stream->caller_len);
}

/*
 * Whether the caller went away on hearing whom it had met: the node has answered the first packet,
 * and the caller has not answered the challenge, which has the node's name. It may have said
 * before that an older connection is dead. With TLS this cannot be seen.
 */
static bool was_misled(const struct stream *stream) {
    return stream->guessed && !stream->tls && stream->out.moved > 0 &&
           stream->in.moved < stream->first_len + CHALLENGE_REPLY_SIZE;
}

/* The walks that were about to see the stream see the one behind it. */
static void pass_cursors_by(const struct stream *stream) {
    struct proxy_cursor *cursor;
    LIST_FOREACH(cursor, &stream->proxy->cursors, link) {
        if (cursor->next == stream)
            proxy_cursor_advance(cursor);
    }
}

static void close_stream(struct stream *stream, const char *reason) {
    struct proxy *proxy = stream->proxy;
    char peer[ADDRESS_TEXT_SIZE];
    log_event(LOG_LEVEL_DEBUG, "stream_closed", log_bytes("node", node_of(stream)),
              log_bytes("caller", caller_of(stream)),
              log_text("peer", address_format(&stream->peer, peer)), log_text("reason", reason));
    proxy->counters.bytes_in += stream->in.moved;
    proxy->counters.bytes_out += stream->out.moved;
    if (was_misled(stream))
        proxy->counters.misled++;
    if (!stream->open && stream->attempt != ATTEMPT_NONE)
        event_del(&stream->connected);
    proxy_way_end(&stream->in);
    proxy_way_end(&stream->out);
    if (stream->limited)
        peer_limit_leave(proxy->peers, &stream->peer);
    leave_node(stream);
    pass_cursors_by(stream);
    TAILQ_REMOVE(&proxy->streams, stream, link);
    proxy->count--;
    close(stream->caller_fd);
    if (stream->node_fd >= 0)
        close(stream->node_fd);
    free(stream);
}

/* A way has ended, or one of its sockets has broken. */
static void on_way_changed(void *context, bool broken) {
    struct stream *stream = context;
    bool node_ended = stream->out.state == PROXY_ENDED;
    if (broken)
        close_stream(stream, "a socket broke");
    else if (node_ended && stream->in.state == PROXY_ENDED)
        close_stream(stream, "both sides ended it");
    else if (node_ended && stream->node == NULL)
        close_stream(stream, "the node has left");
}

void proxy_node_left(struct proxy *proxy, const struct registration *registration) {
    const struct node_streams *node;
    while ((node = find_node(proxy, registration)) != NULL) {
        struct stream *stream = TAILQ_FIRST(&node->streams);
        leave_node(stream);
        if (!stream->open || stream->out.state == PROXY_ENDED)
            close_stream(stream, "the node has left");
    }
}

/* --- connecting --- */

/* As the distribution has them on the sockets that it makes itself. */
static void prepare(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/*
 * The node is on this host, so no path has to be found out about: an algorithm that paces what it
 * sends, as bbr does, would only wait. Reno is in every kernel, and open to everyone.
 */
static void prepare_for_node(int fd) {
    static const char reno[] = "reno";
    prepare(fd);
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof reno - 1);
}

static void try_next(struct stream *stream);

static void start_moving(struct stream *stream) {
    stream->open = true;
    stream->attempt = ATTEMPT_NONE;
    if (!proxy_way_start(&stream->in) || !proxy_way_start(&stream->out))
        close_stream(stream, "out of memory");
}

static void on_connected(evutil_socket_t fd, short what, void *context) {
    struct stream *stream = context;
    int error = 0;
    socklen_t len = sizeof error;
    if ((what & EV_TIMEOUT) != 0)
        error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error == 0) {
        start_moving(stream);
        return;
    }
    close(stream->node_fd);
    stream->node_fd = -1;
    stream->attempt++;
    try_next(stream);
}

static struct address address_of(const struct stream *stream) {
    struct address called = stream->called;
    switch (stream->attempt) {
    case ATTEMPT_V4:
        return address_loopback_v4(stream->node_port);
    case ATTEMPT_V6:
        return address_loopback_v6(stream->node_port);
    default:
        address_set_port(&called, stream->node_port);
        return called;
    }
}

/* There is one time for all addresses. 0, or an errno. */
static int begin_connecting(struct stream *stream) {
    const struct address address = address_of(stream);
    int64_t left_ms = stream->since_ms + PROXY_CONNECT_MS - clock_monotonic_ms();
    const struct timeval time = loop_timeval(left_ms);
    if (left_ms <= 0)
        return ETIMEDOUT;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    prepare_for_node(fd);
    event_assign(&stream->connected, stream->proxy->store.base, fd, EV_WRITE, on_connected, stream);
    if ((connect(fd, &address.any, address_len(&address)) < 0 && errno != EINPROGRESS) ||
        event_add(&stream->connected, &time) < 0) {
        close(fd);
        return ECONNREFUSED;
    }
    stream->node_fd = fd;
    stream->in.to = stream->out.from = fd;
    return 0;
}

static void try_next(struct stream *stream) {
    int error = 0;
    while (stream->attempt != ATTEMPT_NONE && (error = begin_connecting(stream)) != 0)
        stream->attempt++;
    if (stream->attempt != ATTEMPT_NONE)
        return;
    if (loop_is_out_of_descriptors(error)) {
        stream->proxy->counters.limited++;
        close_stream(stream, "no descriptor left");
    } else {
        stream->proxy->counters.unreachable++;
        close_stream(stream, "no address of this host reaches the node");
    }
}

/* --- opening --- */

static struct stream *new_stream(struct proxy *proxy, const struct proxy_call *call) {
    const struct epmd_node *node = &call->registration->node;
    struct stream *stream = calloc(1, sizeof *stream + node->name.len + call->caller.len);
    if (stream == NULL)
        return NULL;
    stream->proxy = proxy;
    stream->caller_fd = call->fd;
    stream->node_fd = -1;
    stream->peer = *call->peer;
    stream->called = *call->called;
    stream->node_port = node->port;
    stream->tls = call->tls;
    stream->guessed = call->guessed;
    stream->first_len = call->first.len;
    stream->since_ms = clock_monotonic_ms();
    stream->node_len = node->name.len;
    stream->caller_len = call->caller.len;
    memcpy(stream->names, node->name.data, node->name.len);
    if (call->caller.len > 0)
        memcpy(stream->names + node->name.len, call->caller.data, call->caller.len);
    proxy_way_init(&stream->in, &proxy->store, call->fd, -1, on_way_changed, stream);
    proxy_way_init(&stream->out, &proxy->store, -1, call->fd, on_way_changed, stream);
    if (join_node(stream, call->registration)) {
        if (proxy_way_keep(&stream->in, call->first))
            return stream;
        leave_node(stream);
    }
    free(stream);
    return NULL;
}

static const char *refuse(struct proxy *proxy, const char *reason) {
    proxy->counters.limited++;
    return reason;
}

const char *proxy_open(struct proxy *proxy, const struct proxy_call *call) {
    bool limited = !address_peer_is_local(call->fd, call->peer);
    if (proxy->count >= proxy->options.streams_max)
        return refuse(proxy, "too many streams");
    if (limited && !peer_limit_enter(proxy->peers, call->peer))
        return refuse(proxy, "too many streams of this address");
    struct stream *stream = new_stream(proxy, call);
    if (stream == NULL) {
        if (limited)
            peer_limit_leave(proxy->peers, call->peer);
        return refuse(proxy, "out of memory");
    }
    stream->limited = limited;
    TAILQ_INSERT_TAIL(&proxy->streams, stream, link);
    proxy->count++;
    proxy->counters.opened++;
    if (call->guessed)
        proxy->counters.guessed++;
    prepare(call->fd);
    try_next(stream);
    return NULL;
}

/* --- questions --- */

bool proxy_connects(const struct proxy *proxy, struct bytes caller,
                    const struct registration *registration) {
    const struct node_streams *node = find_node(proxy, registration);
    const struct stream *stream;
    if (node == NULL || caller.len == 0)
        return false;
    TAILQ_FOREACH(stream, &node->streams, of_node) {
        if (bytes_equal(caller_of(stream), caller))
            return true;
    }
    return false;
}

void proxy_cursor_begin(struct proxy_cursor *cursor, struct proxy *proxy) {
    cursor->proxy = proxy;
    cursor->next = TAILQ_FIRST(&proxy->streams);
    LIST_INSERT_HEAD(&proxy->cursors, cursor, link);
}

bool proxy_cursor_peek(const struct proxy_cursor *cursor, struct proxy_stream_view *view) {
    const struct stream *stream = cursor->next;
    if (stream == NULL)
        return false;
    *view = (struct proxy_stream_view){.node = node_of(stream),
                                       .caller = caller_of(stream),
                                       .peer = &stream->peer,
                                       .port = address_port(&stream->called),
                                       .tls = stream->tls,
                                       .open = stream->open,
                                       .since_ms = stream->since_ms,
                                       .bytes_in = stream->in.moved,
                                       .bytes_out = stream->out.moved};
    return true;
}

void proxy_cursor_advance(struct proxy_cursor *cursor) {
    struct stream *stream = cursor->next;
    if (stream != NULL)
        cursor->next = TAILQ_NEXT(stream, link);
}

void proxy_cursor_end(struct proxy_cursor *cursor) {
    if (cursor->proxy != NULL)
        LIST_REMOVE(cursor, link);
    *cursor = (struct proxy_cursor){.proxy = NULL};
}

size_t proxy_count(const struct proxy *proxy) {
    return proxy->count;
}

struct proxy_counters proxy_counters(const struct proxy *proxy) {
    return proxy->counters;
}

/* --- beginning and end --- */

struct proxy *proxy_new(struct event_base *base, const struct proxy_options *options) {
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (proxy == NULL)
        return NULL;
    TAILQ_INIT(&proxy->streams);
    proxy_store_init(&proxy->store, base);
    proxy->peers = peer_limit_new(options->peer_streams);
    proxy_configure(proxy, options);
    if (proxy->peers != NULL)
        return proxy;
    free(proxy);
    return NULL;
}

void proxy_configure(struct proxy *proxy, const struct proxy_options *options) {
    proxy->options = *options;
    proxy->store.copies = options->copies;
    if (proxy->peers != NULL)
        peer_limit_configure(proxy->peers, options->peer_streams);
}

void proxy_free(struct proxy *proxy) {
    if (proxy == NULL)
        return;
    while (!TAILQ_EMPTY(&proxy->streams))
        close_stream(TAILQ_FIRST(&proxy->streams), "the daemon ends");
    proxy_store_clear(&proxy->store);
    peer_limit_free(proxy->peers);
    free(proxy);
}
