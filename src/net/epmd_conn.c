#include "net/epmd_conn.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTING_PIECE 16384

#define REASON_SIZE 128

/* A request may trickle in, and a reply out, for this many packet timeouts in all. */
#define PATIENCE 10

struct inbox {
    size_t len;
    uint8_t data[]; /* EPMD_FRAME_MAX bytes of a request, or as many as a name has */
};

struct outbox {
    struct listing listing; /* fills the buffer again when it has been sent */
    uint64_t taken;         /* bytes of the whole reply that went out */
    size_t sent;            /* of the buffer */
    size_t len;
    size_t size;
    uint8_t data[];
};

static void on_ready(evutil_socket_t fd, short what, void *context);

/* --- the life of a connection --- */

static void release(struct epmd_conn *conn) {
    if (conn->outbox != NULL)
        listing_end(&conn->outbox->listing);
    free(conn->outbox);
    free(conn->inbox);
    close(conn->fd);
}

static const char *say_too_many(uint32_t user, char text[REASON_SIZE]) {
    char name[32] = "a user that is not known";
    if (user != USER_NOBODY)
        snprintf(name, sizeof name, "user %u", user);
    snprintf(text, REASON_SIZE, "%s has its share of the descriptors: see limits.user_share", name);
    return text;
}

/* Counts a connection that is to be kept. NULL, or why it cannot be. */
static const char *count(struct epmd_conn *conn, char text[REASON_SIZE]) {
    struct epmd_server *server = conn->server;
    conn->user = USER_NOBODY;
    if (address_peer_is_local(conn->fd, &conn->peer)) {
        conn->user = local_users_caller(&server->users, conn->fd, &conn->peer);
        conn->shares = user_share_take(server->users.descriptors, conn->user, 1);
        return conn->shares ? NULL : say_too_many(conn->user, text);
    }
    conn->limited = peer_limit_enter(server->peer_limit, &conn->peer);
    return conn->limited ? NULL : "too many waiting connections from this address";
}

static void uncount(struct epmd_conn *conn) {
    if (conn->limited)
        peer_limit_leave(conn->server->peer_limit, &conn->peer);
    if (conn->shares)
        user_share_give_back(conn->server->users.descriptors, conn->user, 1);
}

void epmd_conn_close(struct epmd_conn *conn, const char *reason) {
    struct epmd_server *server = conn->server;
    char peer[ADDRESS_TEXT_SIZE];
    log_event(LOG_LEVEL_DEBUG, "closed", log_text("peer", address_format(&conn->peer, peer)),
              log_text("reason", reason));
    if (!conn->kept) {
        release(conn);
        return;
    }
    event_del(&conn->event);
    if (conn->awaited != 0)
        TAILQ_REMOVE(&server->unsettled, conn, unsettled);
    if (conn->registration != NULL) {
        server->hooks.unregistered(server->hooks.context, conn->registration, reason);
        epmd_service_end(server->service, conn->registration);
    }
    lookup_queue_leave(&conn->waiter);
    uncount(conn);
    epmd_server_unlist(server, conn);
    release(conn);
    free(conn);
}

static void tell_refused(const struct epmd_conn *conn, const char *what,
                         const struct epmd_node *node, const char *reason) {
    struct epmd_server *server = conn->server;
    const struct epmd_refusal refusal = {
        .what = what, .node = node, .reason = reason, .peer = &conn->peer};
    server->counters.refused++;
    server->hooks.refused(server->hooks.context, &refusal);
}

/* Closes a connection that asked for what it must not or cannot have. */
static void refuse(struct epmd_conn *conn, const char *what, const char *reason) {
    tell_refused(conn, what, NULL, reason);
    epmd_conn_close(conn, reason);
}

static struct epmd_conn *keep_not(struct epmd_conn *fresh, const struct epmd_node *node,
                                  const char *reason) {
    tell_refused(fresh, node == NULL ? "connection" : "registration", node, reason);
    epmd_conn_close(fresh, reason);
    return NULL;
}

/* Moves a connection to the heap, of a node that registers or, with NULL, of whomever. NULL: it
 * could not stay, and is closed. */
static struct epmd_conn *keep(struct epmd_conn *fresh, const struct epmd_node *node) {
    struct epmd_server *server = fresh->server;
    if (fresh->kept)
        return fresh;
    if (server->none_may_stay)
        return keep_not(fresh, node, "no descriptor left");
    char text[REASON_SIZE];
    const char *reason = count(fresh, text);
    if (reason != NULL) {
        server->counters.limited++;
        return keep_not(fresh, node, reason);
    }
    struct epmd_conn *conn = malloc(sizeof *conn);
    if (conn == NULL) {
        uncount(fresh);
        return keep_not(fresh, node, "out of memory");
    }
    *conn = *fresh;
    conn->kept = true;
    conn->opened_ms = clock_monotonic_ms();
    epmd_server_list_waiting(server, conn);
    event_assign(&conn->event, server->base, conn->fd, EV_READ | EV_PERSIST, on_ready, conn);
    if (event_add(&conn->event, NULL) < 0) {
        refuse(conn, "connection", "out of memory");
        return NULL;
    }
    return conn;
}

/* Waits for the other direction from now on. False: it could not, and is closed. */
static bool wait_for(struct epmd_conn *conn, short what) {
    event_del(&conn->event);
    event_assign(&conn->event, conn->server->base, conn->fd, (short)(what | EV_PERSIST), on_ready,
                 conn);
    if (event_add(&conn->event, NULL) == 0)
        return true;
    refuse(conn, "connection", "out of memory");
    return false;
}

static bool is_out_of_patience(const struct epmd_conn *conn) {
    int64_t open_ms = clock_monotonic_ms() - conn->opened_ms;
    return open_ms > PATIENCE * conn->server->idle_limit_ms;
}

/* --- replies --- */

/*
 * How many of the bytes went out; -1 when the connection is broken. With MSG_MORE they wait for
 * what follows: where that is the close, reply and FIN travel in one segment, which spares both
 * ends a third of the work of a look-up.
 */
static ssize_t send_some(const struct epmd_conn *conn, const uint8_t *data, size_t len, int more) {
    ssize_t sent;
    do
        sent = send(conn->fd, data, len, MSG_NOSIGNAL | more);
    while (sent < 0 && errno == EINTR);
    return sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : sent;
}

enum drained { DRAINED, BLOCKED, BROKEN };

/* Sends what the outbox holds and will hold, as far as the peer takes it. */
static enum drained drain(struct epmd_conn *conn) {
    struct outbox *outbox = conn->outbox;
    for (;;) {
        if (outbox->sent == outbox->len) {
            outbox->sent = 0;
            outbox->len = listing_read(&outbox->listing, outbox->data, outbox->size);
            if (outbox->len == 0)
                return DRAINED;
        }
        ssize_t sent = send_some(conn, outbox->data + outbox->sent, outbox->len - outbox->sent, 0);
        if (sent < 0)
            return BROKEN;
        outbox->sent += (size_t)sent;
        outbox->taken += (size_t)sent;
        if (outbox->sent < outbox->len)
            return BLOCKED;
    }
}

/* The port that the peer called, of those this daemon listens on. */
static uint16_t called_port(const struct epmd_conn *conn) {
    struct address own;
    socklen_t len = sizeof own;
    return getsockname(conn->fd, &own.any, &len) == 0 ? address_port(&own) : 0;
}

static void send_listing(struct epmd_conn *conn, const struct epmd_answer *answer) {
    const struct epmd_service *service = conn->server->service;
    struct outbox *outbox = malloc(sizeof *outbox + LISTING_PIECE);
    if (outbox == NULL) {
        refuse(conn, "listing", "out of memory");
        return;
    }
    *outbox = (struct outbox){.size = LISTING_PIECE};
    listing_begin(&outbox->listing, answer->listing, service->registry, called_port(conn),
                  answer->view);
    conn->outbox = outbox;
    enum drained drained = drain(conn);
    if (drained != BLOCKED) {
        epmd_conn_close(conn, drained == DRAINED ? "answered" : "peer gone");
        return;
    }
    conn = keep(conn, NULL);
    if (conn == NULL)
        return;
    conn->state = EPMD_CONN_WRITING;
    wait_for(conn, EV_WRITE);
}

static void log_request(const struct epmd_conn *conn, const struct epmd_request *request) {
    char peer[ADDRESS_TEXT_SIZE];
    address_format(&conn->peer, peer);
    if (request->operation != EPMD_ALIVE2) {
        log_event(LOG_LEVEL_TRACE, "request",
                  log_text("operation", epmd_operation_name(request->operation)),
                  log_bytes("name", request->name), log_text("peer", peer));
        return;
    }
    log_event(LOG_LEVEL_TRACE, "request", log_text("operation", "ALIVE2"),
              log_bytes("name", request->node.name), log_number("port", request->node.port),
              log_number("type", request->node.type),
              log_number("protocol", request->node.protocol),
              log_number("highest_version", request->node.highest_version),
              log_number("lowest_version", request->node.lowest_version),
              log_number("extra_bytes", (int64_t)request->node.extra.len), log_text("peer", peer));
}

static void become_registered(struct epmd_conn *conn, struct registration *registration) {
    struct epmd_server *server = conn->server;
    conn->registration = registration;
    epmd_server_list_registered(server, conn);
    free(conn->inbox);
    conn->inbox = NULL;
}

/* Keeps the reply to a registration until what it says is safe. False: it is already. */
static bool delay_reply(struct epmd_conn *conn, const struct writer *reply) {
    struct epmd_server *server = conn->server;
    if (server->hooks.awaits == NULL)
        return false;
    conn->awaited = server->hooks.awaits(server->hooks.context, conn->registration);
    if (conn->awaited == 0)
        return false;
    TAILQ_INSERT_TAIL(&server->unsettled, conn, unsettled);
    conn->reply_len = reply->len;
    memcpy(conn->reply, reply->start, reply->len);
    return true;
}

void epmd_conn_settle(struct epmd_conn *conn) {
    TAILQ_REMOVE(&conn->server->unsettled, conn, unsettled);
    conn->awaited = 0;
    if (send_some(conn, conn->reply, conn->reply_len, 0) != (ssize_t)conn->reply_len)
        epmd_conn_close(conn, "peer gone");
}

/* Carries out an answer whose reply, if it has one, was sent already. */
static void act(struct epmd_conn *conn, const struct epmd_answer *answer) {
    struct epmd_server *server = conn->server;
    switch (answer->action) {
    case EPMD_ACTION_CLOSE:
        refuse(conn, "request", answer->reason);
        break;
    case EPMD_ACTION_LIST:
        send_listing(conn, answer);
        break;
    case EPMD_ACTION_HOLD:
        server->hooks.registered(server->hooks.context, answer->registration);
        break;
    case EPMD_ACTION_REFUSE:
        conn->state = EPMD_CONN_REFUSED;
        break;
    case EPMD_ACTION_EVICT:
        epmd_conn_close(answer->registration->holder, "stopped by command");
        epmd_conn_close(conn, "answered");
        break;
    case EPMD_ACTION_QUIT:
        epmd_conn_close(conn, "answered");
        server->hooks.killed(server->hooks.context);
        break;
    case EPMD_ACTION_REPLY:
    case EPMD_ACTION_WAIT: /* no longer */
        epmd_conn_close(conn, "answered");
        break;
    }
}

/* As recv, but 0 with *waiting set when nothing has come yet. */
static ssize_t receive(int fd, uint8_t *data, size_t size, bool *waiting) {
    ssize_t len;
    do
        len = recv(fd, data, size, 0);
    while (len < 0 && errno == EINTR);
    *waiting = len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return *waiting ? 0 : len;
}

/*
 * Ends a connection that waits for its end, if that has come: a close or a byte. What was sent is
 * read whole, so that the close is a FIN and no reset. Not into server->received: a request may be
 * there.
 */
static bool end_if_over(struct epmd_conn *conn) {
    uint8_t scrap[EPMD_FRAME_MAX];
    bool waiting;
    ssize_t len = receive(conn->fd, scrap, sizeof scrap, &waiting);
    if (!waiting)
        epmd_conn_close(conn, len > 0 ? "node sent a byte" : "node closed its connection");
    return !waiting;
}

/*
 * Ends the registrations that would have the request refused although their nodes are gone: that a
 * node has closed may be known to the kernel already, and not yet to the event loop.
 */
static void end_gone_holders(const struct epmd_server *server, const struct epmd_request *request) {
    struct registration *obstacle;
    do
        obstacle = epmd_service_obstacle(server->service, request);
    while (obstacle != NULL && end_if_over(obstacle->holder));
}

/* --- requests --- */

/* Whether a connection could be kept as it is: a look-up is rather answered than closed. */
static bool could_stay(struct epmd_conn *conn) {
    char text[REASON_SIZE];
    if (conn->kept)
        return true;
    if (conn->server->none_may_stay || count(conn, text) != NULL)
        return false;
    uncount(conn);
    conn->limited = conn->shares = false;
    return true;
}

/* Lets a look-up wait for its turn. False: it cannot, and is to be answered now. */
static bool hold(struct epmd_conn *conn, const struct epmd_request *request,
                 struct registration *wanted, struct epmd_caller *caller) {
    struct epmd_server *server = conn->server;
    struct inbox *name = could_stay(conn) ? malloc(sizeof *name + request->name.len) : NULL;
    if (name == NULL)
        return false;
    name->len = request->name.len;
    memcpy(name->data, request->name.data, name->len);
    free(conn->inbox); /* the request was in it */
    conn->inbox = name;
    conn = keep(conn, NULL);
    if (conn == NULL)
        return true; /* it is closed */
    conn->state = EPMD_CONN_HELD;
    caller->holder = conn;
    epmd_service_wait(server->service, wanted, caller, &conn->waiter);
    epmd_server_answer_ready(server);
    return true;
}

static void answer(struct epmd_conn *conn, const struct epmd_request *request) {
    struct epmd_server *server = conn->server;
    uint8_t buffer[EPMD_SHORT_REPLY_MAX];
    struct writer reply = writer_of(buffer, sizeof buffer);
    if (conn->waiter.state == LOOKUP_IDLE) {
        log_request(conn, request);
        server->counters.requests++;
    }
    if (request->operation == EPMD_ALIVE2 && (conn = keep(conn, &request->node)) == NULL)
        return;
    struct epmd_caller caller = {
        .local = address_peer_is_local(conn->fd, &conn->peer),
        .loopback = address_is_loopback(&conn->peer),
        .address = address_host(&conn->peer),
        .holder = conn,
        .holder_number = (uint32_t)conn->fd,
        .user = conn->user,
        .now_ms = clock_monotonic_ms(),
        .waited = conn->waiter.state,
        .may_connect = epmd_lookup_may_connect,
        .round_trip_ms = epmd_lookup_round_trip_ms,
    };
    if (caller.local)
        end_gone_holders(server, request);
    struct epmd_answer answer = epmd_service_answer(server->service, request, &caller, &reply);
    if (answer.action == EPMD_ACTION_WAIT) {
        if (hold(conn, request, answer.registration, &caller))
            return;
        caller.waited = LOOKUP_OVERDUE;
        answer = epmd_service_answer(server->service, request, &caller, &reply);
    }
    if (answer.action == EPMD_ACTION_HOLD)
        become_registered(conn, answer.registration);
    if (answer.action == EPMD_ACTION_LIST && answer.reason != NULL)
        tell_refused(conn, "listing", NULL, answer.reason);
    if (answer.action == EPMD_ACTION_REFUSE)
        tell_refused(conn, "registration", &request->node, answer.reason);
    if (server->options.delay_write_s > 0)
        sleep(server->options.delay_write_s);
    /* a short reply fits the send buffer of a new connection: less than all means that it broke */
    bool stays = answer.action == EPMD_ACTION_HOLD || answer.action == EPMD_ACTION_REFUSE;
    bool delayed = answer.action == EPMD_ACTION_HOLD && delay_reply(conn, &reply);
    bool broke =
        !delayed && reply.len > 0 &&
        send_some(conn, reply.start, reply.len, stays ? 0 : MSG_MORE) != (ssize_t)reply.len;
    act(conn, &answer); /* also for a node that is gone: its end is told, so its beginning is */
    if (broke && stays)
        epmd_conn_close(conn, "peer gone");
}

void epmd_conn_resume(struct epmd_conn *conn) {
    const struct epmd_request request = {
        .operation = EPMD_PORT_PLEASE2,
        .name = bytes_of(conn->inbox->data, conn->inbox->len),
    };
    answer(conn, &request);
}

/* Something comes while a look-up is held. Who closes its side will not connect. */
static void on_held(struct epmd_conn *conn) {
    struct epmd_server *server = conn->server;
    bool waiting;
    ssize_t len = receive(conn->fd, server->received, sizeof server->received, &waiting);
    if (waiting)
        return;
    lookup_queue_leave(&conn->waiter);
    if (len > 0) {
        refuse(conn, "request", "bytes beyond the announced length");
        return;
    }
    conn->waiter.state = LOOKUP_MOOT;
    epmd_conn_resume(conn);
}

static void await_more(struct epmd_conn *conn, struct bytes received) {
    conn = keep(conn, NULL);
    if (conn == NULL || received.len == 0)
        return;
    if (conn->inbox == NULL)
        conn->inbox = malloc(sizeof *conn->inbox + EPMD_FRAME_MAX);
    if (conn->inbox == NULL) {
        refuse(conn, "request", "out of memory");
        return;
    }
    conn->inbox->len = received.len;
    memmove(conn->inbox->data, received.data, received.len);
}

/* Takes a connection out of everything that knows it, and leaves its descriptor open. */
static void let_go(struct epmd_conn *conn) {
    struct epmd_server *server = conn->server;
    if (!conn->kept)
        return;
    uncount(conn);
    epmd_server_unlist(server, conn);
    free(conn->inbox);
    free(conn);
}

/* Gives a caller at a front port that is no epmd client's to whom it is for. */
static void hand_over(struct epmd_conn *conn, const struct first_caller *caller,
                      struct bytes received) {
    struct epmd_server *server = conn->server;
    const char *reason = "no descriptor left";
    if (conn->kept)
        event_del(&conn->event); /* before the descriptor is another's */
    if (!server->none_may_stay)
        reason =
            server->hooks.taken(server->hooks.context, caller, conn->fd, &conn->peer, received);
    if (reason == NULL)
        let_go(conn);
    else
        refuse(conn, "connection", reason);
}

static void take_request(struct epmd_conn *conn, struct bytes received) {
    struct epmd_request request;
    struct bytes payload;
    if (conn->at_front) {
        const struct first_caller caller = first_bytes_judge(received, bytes_of_text(TLS_ALPN));
        if (caller.who != FIRST_BYTES_EPMD) {
            hand_over(conn, &caller, received);
            return;
        }
    }
    switch (epmd_frame_parse(received, &payload)) {
    case EPMD_FRAME_INCOMPLETE:
        await_more(conn, received);
        return;
    case EPMD_FRAME_BAD_LENGTH:
        refuse(conn, "request", "no request has this length");
        return;
    case EPMD_FRAME_OVERRUN:
        refuse(conn, "request", "bytes beyond the announced length");
        return;
    case EPMD_FRAME_COMPLETE:
        break;
    }
    enum epmd_decode error = epmd_request_decode(payload, &request);
    if (error == EPMD_DECODE_OK)
        answer(conn, &request);
    else
        refuse(conn, "request", epmd_decode_reason(error));
}

void epmd_conn_open(const struct epmd_door *door, int fd, const struct address *peer) {
    struct epmd_server *server = door->server;
    bool at_front = door->listener.role == LISTENER_FRONT && server->hooks.taken != NULL;
    struct epmd_conn conn = {
        .server = server, .fd = fd, .peer = *peer, .at_front = at_front, .user = USER_NOBODY};
    bool waiting;
    server->counters.accepted++;
    if (at_front && server->hooks.admits != NULL) {
        const char *reason = server->hooks.admits(server->hooks.context, fd, peer);
        if (reason != NULL) {
            refuse(&conn, "connection", reason);
            return;
        }
    }
    ssize_t len = receive(fd, server->received, sizeof server->received, &waiting);
    if (len > 0 || waiting)
        take_request(&conn, bytes_of(server->received, (size_t)len));
    else
        epmd_conn_close(&conn, "peer gone");
}

static void on_request(struct epmd_conn *conn) {
    struct epmd_server *server = conn->server;
    struct writer request = writer_of(server->received, sizeof server->received);
    if (conn->inbox != NULL)
        write_bytes(&request, bytes_of(conn->inbox->data, conn->inbox->len));
    bool waiting;
    ssize_t len =
        receive(conn->fd, request.start + request.len, request.capacity - request.len, &waiting);
    if (waiting)
        return;
    if (len <= 0) {
        epmd_conn_close(conn,
                        request.len > 0 ? "peer gone in the midst of a request" : "peer gone");
        return;
    }
    if (is_out_of_patience(conn)) {
        refuse(conn, "request", "took too long to come");
        return;
    }
    epmd_server_touch(server, conn);
    take_request(conn, bytes_of(request.start, request.len + (size_t)len));
}

static void on_writable(struct epmd_conn *conn) {
    uint64_t taken_before = conn->outbox->taken;
    enum drained drained = drain(conn);
    if (drained != BLOCKED)
        epmd_conn_close(conn, drained == DRAINED ? "answered" : "peer gone");
    else if (is_out_of_patience(conn))
        refuse(conn, "listing", "took too long to read");
    else if (conn->outbox->taken != taken_before)
        epmd_server_touch(conn->server, conn);
}

static void on_ready(evutil_socket_t fd, short what, void *context) {
    struct epmd_conn *conn = context;
    (void)fd;
    (void)what;
    switch (conn->state) {
    case EPMD_CONN_READING:
        on_request(conn);
        break;
    case EPMD_CONN_WRITING:
        on_writable(conn);
        break;
    case EPMD_CONN_HELD:
        on_held(conn);
        break;
    case EPMD_CONN_REFUSED:
    case EPMD_CONN_REGISTERED:
        end_if_over(conn);
        break;
    }
}
