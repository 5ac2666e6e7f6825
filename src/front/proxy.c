#include "base/clock.h"
#include "base/log.h"
#include "base/turn_budget.h"
#include "front/proxy_inner.h"
#include "host/listener_owner.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the handshake: length:16 'r' challenge:32 digest:128. */
#define CHALLENGE_REPLY_SIZE 23

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

/* --- who has streams to which node --- */

static struct caller_key caller_key(struct bytes caller, const struct address *peer,
                                    const struct registration *registration) {
    struct caller_key key;
    memset(&key, 0, sizeof key); /* with what is between the members */
    key.registration = registration;
    key.name = hash_of_64(caller.data, caller.len);
    key.host = limit_key_of_host(peer);
    return key;
}

static struct caller_streams *find_caller(const struct proxy *proxy, struct caller_key key) {
    struct caller_streams *found;
    HASH_FIND(hh, proxy->callers, &key, sizeof key, found);
    return found;
}

static struct caller_streams *new_caller(struct proxy *proxy, struct caller_key key) {
    struct caller_streams *caller = calloc(1, sizeof *caller);
    if (caller == NULL)
        return NULL;
    caller->key = key;
    HASH_ADD(hh, proxy->callers, key, sizeof caller->key, caller);
    if (caller->hh.tbl != NULL)
        return caller;
    free(caller);
    return NULL;
}

/* False when out of memory. */
static bool join_caller(struct stream *stream, struct bytes name) {
    if (name.len == 0)
        return true;
    struct caller_key key = caller_key(name, &stream->peer, stream->node->registration);
    stream->as_caller = find_caller(stream->proxy, key);
    if (stream->as_caller == NULL)
        stream->as_caller = new_caller(stream->proxy, key);
    if (stream->as_caller == NULL)
        return false;
    stream->as_caller->count++;
    return true;
}

static void leave_caller(struct stream *stream) {
    struct caller_streams *caller = stream->as_caller;
    stream->as_caller = NULL;
    if (caller == NULL || --caller->count > 0)
        return;
    HASH_DEL(stream->proxy->callers, caller);
    free(caller);
}

/* --- its streams --- */

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
    leave_caller(stream);
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
 * Whether the caller disconnected when it learned which node it had reached: the node has answered
 * the first packet, and the caller has not answered the challenge, which has the node's name. It
 * may have said before that an older connection is dead. With TLS this cannot be seen.
 */
static bool was_misrouted(const struct stream *stream) {
    return stream->guessed && !stream->tls && stream->out.moved > 0 &&
           stream->in.moved < stream->first_len + CHALLENGE_REPLY_SIZE;
}

/* Cursors that stand at the stream move on to the one behind it. */
static void pass_cursors_by(const struct stream *stream) {
    struct proxy_cursor *cursor;
    LIST_FOREACH(cursor, &stream->proxy->cursors, link) {
        if (cursor->next == stream)
            proxy_cursor_advance(cursor);
    }
}

static void forget_due(struct stream *stream) {
    if (stream->due)
        TAILQ_REMOVE(&stream->proxy->due, stream, as_due);
    stream->due = false;
}

void proxy_stream_close(struct stream *stream, const char *reason) {
    struct proxy *proxy = stream->proxy;
    char peer[ADDRESS_TEXT_SIZE];
    log_event(LOG_LEVEL_DEBUG, "stream_closed", log_bytes("node", node_of(stream)),
              log_bytes("caller", caller_of(stream)),
              log_text("peer", address_format(&stream->peer, peer)), log_text("reason", reason));
    proxy->counters.bytes_in += stream->in.moved;
    proxy->counters.bytes_out += stream->out.moved;
    if (was_misrouted(stream))
        proxy->counters.misrouted++;
    if (stream->has_timer)
        event_del(&stream->timer);
    relay_pump_stop(&stream->in);
    relay_pump_stop(&stream->out);
    proxy_shares_uncount(stream);
    leave_node(stream);
    forget_due(stream);
    pass_cursors_by(stream);
    TAILQ_REMOVE(&proxy->streams, stream, link);
    proxy->count--;
    close(stream->caller_fd);
    if (stream->node_fd >= 0)
        close(stream->node_fd);
    free(stream->refusal);
    free(stream);
}

/* --- streams that are no longer needed --- */

/* Also with what has come and was not passed on yet. */
static bool has_answered(const struct stream *stream) {
    uint8_t byte;
    return stream->out.moved > 0 || stream->out.state == PUMP_WRITING ||
           recv(stream->node_fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void close_unanswered(struct stream *stream, const char *reason) {
    stream->proxy->counters.unanswered++;
    proxy_stream_close(stream, reason);
}

static bool is_half_open(const struct stream *stream) {
    return stream->in.state == PUMP_ENDED || stream->out.state == PUMP_ENDED;
}

static void on_timer(evutil_socket_t fd, short what, void *context);

void proxy_stream_set_timer(struct stream *stream, int64_t ms) {
    if (stream->has_timer)
        event_del(&stream->timer);
    forget_due(stream);
    event_assign(&stream->timer, stream->proxy->shared.base, -1, 0, on_timer, stream);
    stream->moved_before = stream->in.moved + stream->out.moved;
    stream->has_timer = loop_set_timer(&stream->timer, ms);
    if (!stream->has_timer)
        proxy_stream_close(stream, "out of memory");
}

/* What it waits for did not come in time. */
static void on_deadline(struct stream *stream) {
    if (is_half_open(stream)) {
        if (stream->in.moved + stream->out.moved == stream->moved_before)
            proxy_stream_close(stream, "one side closed, and the other is silent");
        else
            proxy_stream_set_timer(stream, stream->proxy->options.half_open_ms);
    } else if (!has_answered(stream)) {
        close_unanswered(stream, "the node does not respond");
    }
}

/*
 * Thousands of streams may end in one turn of the loop: their node has left, or they
 * began together and time out together. Those that the turn has no time for wait in a list, and
 * the streams that move bytes come in between.
 */
static void put_off(struct stream *stream, const char *reason) {
    struct proxy *proxy = stream->proxy;
    if (!stream->due)
        TAILQ_INSERT_TAIL(&proxy->due, stream, as_due);
    stream->due = true;
    stream->due_reason = reason;
    loop_set_timer_or_now(proxy->due_event, 0);
}

static void on_due(evutil_socket_t fd, short what, void *context) {
    struct proxy *proxy = context;
    struct stream *stream;
    (void)fd;
    (void)what;
    while ((stream = TAILQ_FIRST(&proxy->due)) != NULL) {
        forget_due(stream);
        if (stream->due_reason != NULL)
            proxy_stream_close(stream, stream->due_reason);
        else
            on_deadline(stream);
        if (!turn_budget_is_left(proxy->options.budget))
            break;
    }
    if (!TAILQ_EMPTY(&proxy->due))
        loop_set_timer_or_now(proxy->due_event, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    struct stream *stream = context;
    (void)fd;
    (void)what;
    if (turn_budget_is_left(stream->proxy->options.budget))
        on_deadline(stream);
    else
        put_off(stream, NULL);
}

/* Closes it now, or as soon as a turn has time. */
static void close_within_budget(struct stream *stream, const char *reason) {
    if (turn_budget_is_left(stream->proxy->options.budget)) {
        proxy_stream_close(stream, reason);
        return;
    }
    if (stream->has_timer)
        event_del(&stream->timer);
    stream->has_timer = false;
    put_off(stream, reason);
}

/* A pump has ended, or one of its sockets has broken. */
static void on_pump_changed(void *context, bool broken) {
    struct stream *stream = context;
    bool node_ended = stream->out.state == PUMP_ENDED;
    if (broken)
        proxy_stream_close(stream, "socket error");
    else if (node_ended && stream->in.state == PUMP_ENDED)
        proxy_stream_close(stream, "both sides closed");
    else if (node_ended && stream->node == NULL)
        proxy_stream_close(stream, "the node has left");
    else if (!node_ended && !has_answered(stream))
        close_unanswered(stream, "the caller disconnected before the node responded");
    else
        proxy_stream_set_timer(stream, stream->proxy->options.half_open_ms);
}

void proxy_node_left(struct proxy *proxy, const struct registration *registration) {
    const struct node_streams *node;
    while ((node = find_node(proxy, registration)) != NULL) {
        struct stream *stream = TAILQ_FIRST(&node->streams);
        leave_node(stream);
        if (!stream->open || stream->out.state == PUMP_ENDED)
            close_within_budget(stream, "the node has left");
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
    stream->user = call->registration->user;
    stream->tls = call->tls;
    stream->guessed = call->guessed;
    stream->first_len = call->first.len;
    stream->since_ms = clock_monotonic_ms();
    stream->node_len = node->name.len;
    stream->caller_len = call->caller.len;
    memcpy(stream->names, node->name.data, node->name.len);
    if (call->caller.len > 0)
        memcpy(stream->names + node->name.len, call->caller.data, call->caller.len);
    relay_pump_init(&stream->in, &proxy->shared, call->fd, -1, on_pump_changed, stream);
    relay_pump_init(&stream->out, &proxy->shared, -1, call->fd, on_pump_changed, stream);
    if (join_node(stream, call->registration)) {
        if (join_caller(stream, call->caller) && relay_pump_prepend(&stream->in, call->first))
            return stream;
        leave_node(stream);
    }
    free(stream);
    return NULL;
}

/* A stream that could not begin: its socket stays the caller's. */
static void drop_new(struct stream *stream) {
    proxy_shares_uncount(stream);
    relay_pump_stop(&stream->in);
    leave_node(stream);
    free(stream);
}

static const char *refuse(struct proxy *proxy, const char *reason) {
    proxy->counters.limited++;
    return reason;
}

const char *proxy_open(struct proxy *proxy, const struct proxy_call *call) {
    if (proxy->count >= proxy->options.streams_max)
        return refuse(proxy, "too many streams");
    if (proxy->options.check_owner &&
        !listener_owner_may_have(call->registration->user, call->registration->node.port)) {
        proxy->counters.not_owned++;
        return "ports below 1024 are only for root's nodes";
    }
    struct stream *stream = new_stream(proxy, call);
    if (stream == NULL)
        return refuse(proxy, "out of memory");
    const char *reason = proxy_shares_count(stream);
    if (reason != NULL) {
        drop_new(stream);
        return refuse(proxy, reason);
    }
    TAILQ_INSERT_TAIL(&proxy->streams, stream, link);
    proxy->count++;
    proxy->counters.opened++;
    if (call->guessed)
        proxy->counters.guessed++;
    proxy_connect_prepare(call->fd);
    proxy_connect(stream);
    return NULL;
}

/* --- questions --- */

bool proxy_connects(const struct proxy *proxy, struct bytes caller, const struct address *peer,
                    const struct registration *registration) {
    return caller.len > 0 && find_caller(proxy, caller_key(caller, peer, registration)) != NULL;
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
    TAILQ_INIT(&proxy->due);
    relay_shared_init(&proxy->shared, base);
    proxy->due_event = event_new(base, -1, 0, on_due, proxy);
    proxy->peers = host_limit_new(options->peer_streams);
    proxy->user_streams = user_share_new(options->user_streams,
                                         options->users == NULL ? NULL : options->users->owners);
    if (proxy->due_event != NULL && proxy->peers != NULL && proxy->user_streams != NULL) {
        proxy_configure(proxy, options);
        return proxy;
    }
    proxy_free(proxy);
    return NULL;
}

void proxy_configure(struct proxy *proxy, const struct proxy_options *options) {
    proxy->options = *options;
    if (options->answer_ms == 0)
        proxy->options.answer_ms = PROXY_ANSWER_MS;
    if (options->half_open_ms == 0)
        proxy->options.half_open_ms = PROXY_HALF_OPEN_MS;
    proxy->shared.copies = options->copies;
    proxy->shared.budget = options->budget;
    host_limit_configure(proxy->peers, options->peer_streams);
    user_share_configure(proxy->user_streams, options->user_streams);
}

void proxy_free(struct proxy *proxy) {
    if (proxy == NULL)
        return;
    while (!TAILQ_EMPTY(&proxy->streams))
        proxy_stream_close(TAILQ_FIRST(&proxy->streams), "the daemon is stopping");
    loop_free_event(proxy->due_event);
    relay_shared_clear(&proxy->shared);
    host_limit_free(proxy->peers);
    user_share_free(proxy->user_streams);
    free(proxy);
}
