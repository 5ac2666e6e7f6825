/* What a client of epmd is answered, once its request is whole: the reply, and what follows it. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/would_block.h"
#include "epmd/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTING_PIECE 16384

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
    return sent < 0 && would_block(errno) ? 0 : sent;
}

enum epmd_drained epmd_conn_drain(struct epmd_conn *conn) {
    struct reply_buffer *reply_buffer = conn->reply_buffer;
    for (;;) {
        PORTOLAN_ASSERT(reply_buffer->sent <= reply_buffer->len);
        if (reply_buffer->sent == reply_buffer->len) {
            reply_buffer->sent = 0;
            reply_buffer->len =
                listing_read(&reply_buffer->listing, reply_buffer->data, reply_buffer->size);
            if (reply_buffer->len == 0)
                return EPMD_DRAINED;
        }
        ssize_t sent = send_some(conn, reply_buffer->data + reply_buffer->sent,
                                 reply_buffer->len - reply_buffer->sent, 0);
        if (sent < 0)
            return EPMD_BROKEN;
        reply_buffer->sent += (size_t)sent;
        reply_buffer->sent_in_all += (size_t)sent;
        if (reply_buffer->sent < reply_buffer->len)
            return EPMD_BLOCKED;
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
    struct reply_buffer *reply_buffer = malloc(sizeof *reply_buffer + LISTING_PIECE);
    if (reply_buffer == NULL) {
        epmd_conn_refuse(conn, "listing", "out of memory");
        return;
    }
    *reply_buffer = (struct reply_buffer){.size = LISTING_PIECE};
    listing_begin(&reply_buffer->listing, answer->listing, service->registry, called_port(conn),
                  answer->view);
    conn->reply_buffer = reply_buffer;
    enum epmd_drained drained = epmd_conn_drain(conn);
    if (drained != EPMD_BLOCKED) {
        epmd_conn_close(conn, drained == EPMD_DRAINED ? "answered" : "peer disconnected");
        return;
    }
    conn = epmd_conn_promote(conn, NULL);
    if (conn == NULL)
        return;
    conn->state = EPMD_CONN_WRITING;
    epmd_conn_wait_for(conn, EV_WRITE);
}

static void log_request(const struct epmd_conn *conn, const struct epmd_request *request) {
    char peer[ADDRESS_TEXT_SIZE];
    if (request->operation != EPMD_ALIVE2) {
        log_event(LOG_LEVEL_TRACE, "request",
                  log_text("operation", epmd_operation_name(request->operation)),
                  log_bytes("name", request->name),
                  log_text("peer", address_format(&conn->peer, peer)));
        return;
    }
    log_event(LOG_LEVEL_TRACE, "request", log_text("operation", "ALIVE2"),
              log_bytes("name", request->node.name), log_number("port", request->node.port),
              log_number("type", request->node.type),
              log_number("protocol", request->node.protocol),
              log_number("highest_version", request->node.highest_version),
              log_number("lowest_version", request->node.lowest_version),
              log_number("extra_bytes", (int64_t)request->node.extra.len),
              log_text("peer", address_format(&conn->peer, peer)));
}

static void become_registered(struct epmd_conn *conn, struct registration *registration) {
    struct epmd_server *server = conn->server;
    PORTOLAN_ASSERT(conn->on_heap && conn->registration == NULL);
    PORTOLAN_ASSERT(registration->holder == conn);
    conn->registration = registration;
    epmd_server_list_registered(server, conn);
    free(conn->request_buffer);
    conn->request_buffer = NULL;
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
    PORTOLAN_ASSERT(conn->awaited != 0 && conn->state == EPMD_CONN_REGISTERED);
    TAILQ_REMOVE(&conn->server->unsettled, conn, unsettled);
    conn->awaited = 0;
    if (send_some(conn, conn->reply, conn->reply_len, 0) != (ssize_t)conn->reply_len)
        epmd_conn_close(conn, "peer disconnected");
}

/* Carries out an answer whose reply, if it has one, was sent already. */
static void act(struct epmd_conn *conn, const struct epmd_answer *answer) {
    struct epmd_server *server = conn->server;
    switch (answer->action) {
    case EPMD_ACTION_CLOSE:
        epmd_conn_refuse(conn, "request", answer->reason);
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

/*
 * Ends the registrations that would have the request refused although their nodes are gone: that a
 * node has closed may be known to the kernel already, and not yet to the event loop.
 */
static void end_gone_holders(const struct epmd_server *server, const struct epmd_request *request) {
    struct registration *obstacle;
    do
        obstacle = epmd_service_conflict(server->service, request);
    while (obstacle != NULL && epmd_conn_close_if_ended(obstacle->holder));
}

/* Lets a look-up wait for its turn. False: it cannot, and is to be answered now. */
static bool hold(struct epmd_conn *conn, const struct epmd_request *request,
                 struct registration *wanted, struct epmd_caller *caller) {
    struct epmd_server *server = conn->server;
    struct request_buffer *name =
        epmd_conn_may_promote(conn) ? malloc(sizeof *name + request->name.len) : NULL;
    if (name == NULL)
        return false;
    name->len = request->name.len;
    memcpy(name->data, request->name.data, name->len);
    free(conn->request_buffer); /* the request was in it */
    conn->request_buffer = name;
    conn = epmd_conn_promote(conn, NULL);
    if (conn == NULL)
        return true; /* it is closed */
    conn->state = EPMD_CONN_HELD;
    caller->holder = conn;
    epmd_service_wait(server->service, wanted, caller, &conn->waiter);
    epmd_server_answer_ready(server);
    return true;
}

void epmd_conn_answer(struct epmd_conn *conn, const struct epmd_request *request) {
    struct epmd_server *server = conn->server;
    uint8_t buffer[EPMD_SHORT_REPLY_MAX];
    struct writer reply = writer_of(buffer, sizeof buffer);
    if (conn->waiter.state == LOOKUP_IDLE) {
        log_request(conn, request);
        server->counters.requests++;
    }
    if (request->operation == EPMD_ALIVE2 &&
        (conn = epmd_conn_promote(conn, &request->node)) == NULL)
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
        epmd_conn_report_refused(conn, "listing", NULL, answer.reason);
    if (answer.action == EPMD_ACTION_REFUSE)
        epmd_conn_report_refused(conn, "registration", &request->node, answer.reason);
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
        epmd_conn_close(conn, "peer disconnected");
}

void epmd_conn_resume(struct epmd_conn *conn) {
    PORTOLAN_ASSERT(conn->state == EPMD_CONN_HELD && conn->waiter.state != LOOKUP_IDLE);
    const struct epmd_request request = {
        .operation = EPMD_PORT_PLEASE2,
        .name = bytes_of(conn->request_buffer->data, conn->request_buffer->len),
    };
    epmd_conn_answer(conn, &request);
}
