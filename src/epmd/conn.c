#include "epmd/conn.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/turn_budget.h"
#include "base/would_block.h"
#include "erlang/first_bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REASON_SIZE 128

/* A request may trickle in, and a reply out, for this many packet timeouts in all. */
#define TIMEOUTS_IN_ALL 10

static void on_ready(evutil_socket_t fd, short what, void *context);

/* --- the life of a connection --- */

static void release(struct epmd_conn *conn) {
    if (conn->reply_buffer != NULL)
        listing_end(&conn->reply_buffer->listing);
    free(conn->reply_buffer);
    free(conn->request_buffer);
    close(conn->fd);
}

static const char *say_too_many(uint32_t user, char text[REASON_SIZE]) {
    char name[32] = "an unknown user";
    if (user != USER_NOBODY)
        snprintf(name, sizeof name, "user %u", user);
    snprintf(text, REASON_SIZE,
             "%s has used up its share of the descriptors: see limits.user_share", name);
    return text;
}

/* Counts a connection that is to wait, on the heap. NULL, or why it cannot. */
static const char *count(struct epmd_conn *conn, char text[REASON_SIZE]) {
    struct epmd_server *server = conn->server;
    conn->user = USER_NOBODY;
    if (address_peer_is_local(conn->fd, &conn->peer)) {
        conn->user = local_users_caller(&server->users, conn->fd, &conn->peer);
        conn->user_counted = user_share_take(server->users.descriptors, conn->user, 1);
        return conn->user_counted ? NULL : say_too_many(conn->user, text);
    }
    conn->host_counted = host_limit_enter(server->host_limit, &conn->peer);
    return conn->host_counted ? NULL : "too many waiting connections from this address";
}

static void uncount(struct epmd_conn *conn) {
    if (conn->host_counted)
        host_limit_leave(conn->server->host_limit, &conn->peer);
    if (conn->user_counted)
        user_share_give_back(conn->server->users.descriptors, conn->user, 1);
}

void epmd_conn_close(struct epmd_conn *conn, const char *reason) {
    struct epmd_server *server = conn->server;
    char peer[ADDRESS_TEXT_SIZE];
    log_event(LOG_LEVEL_DEBUG, "closed", log_text("peer", address_format(&conn->peer, peer)),
              log_text("reason", reason));
    if (!conn->on_heap) {
        release(conn);
        return;
    }
    PORTOLAN_ASSERT((conn->registration != NULL) == (conn->state == EPMD_CONN_REGISTERED));
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

void epmd_conn_report_refused(const struct epmd_conn *conn, const char *what,
                              const struct epmd_node *node, const char *reason) {
    struct epmd_server *server = conn->server;
    const struct epmd_refusal refusal = {
        .what = what, .node = node, .reason = reason, .peer = &conn->peer};
    server->counters.refused++;
    server->hooks.refused(server->hooks.context, &refusal);
}

/* Closes a connection that asked for what it must not or cannot have. */
void epmd_conn_refuse(struct epmd_conn *conn, const char *what, const char *reason) {
    epmd_conn_report_refused(conn, what, NULL, reason);
    epmd_conn_close(conn, reason);
}

static struct epmd_conn *refuse_promotion(struct epmd_conn *fresh, const struct epmd_node *node,
                                          const char *reason) {
    epmd_conn_report_refused(fresh, node == NULL ? "connection" : "registration", node, reason);
    epmd_conn_close(fresh, reason);
    return NULL;
}

struct epmd_conn *epmd_conn_promote(struct epmd_conn *fresh, const struct epmd_node *node) {
    struct epmd_server *server = fresh->server;
    if (fresh->on_heap)
        return fresh;
    PORTOLAN_ASSERT(fresh->state == EPMD_CONN_READING && !fresh->host_counted &&
                    !fresh->user_counted);
    if (fresh->on_reserve)
        return refuse_promotion(fresh, node, "no descriptor left");
    char text[REASON_SIZE];
    const char *reason = count(fresh, text);
    if (reason != NULL) {
        server->counters.limited++;
        return refuse_promotion(fresh, node, reason);
    }
    struct epmd_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        uncount(fresh);
        return refuse_promotion(fresh, node, "out of memory");
    }
    memcpy(conn, fresh, EPMD_CONN_ON_STACK);
    conn->on_heap = true;
    conn->opened_ms = clock_monotonic_ms();
    epmd_server_list_waiting(server, conn);
    event_assign(&conn->event, server->base, conn->fd, EV_READ | EV_PERSIST, on_ready, conn);
    if (event_add(&conn->event, NULL) < 0) {
        epmd_conn_refuse(conn, "connection", "out of memory");
        return NULL;
    }
    return conn;
}

bool epmd_conn_wait_for(struct epmd_conn *conn, short what) {
    PORTOLAN_ASSERT(conn->on_heap && (what == EV_READ || what == EV_WRITE));
    event_del(&conn->event);
    event_assign(&conn->event, conn->server->base, conn->fd, (short)(what | EV_PERSIST), on_ready,
                 conn);
    if (event_add(&conn->event, NULL) == 0)
        return true;
    epmd_conn_refuse(conn, "connection", "out of memory");
    return false;
}

static bool has_taken_too_long(const struct epmd_conn *conn) {
    int64_t open_ms = clock_monotonic_ms() - conn->opened_ms;
    return open_ms > TIMEOUTS_IN_ALL * conn->server->idle_limit_ms;
}

bool epmd_conn_may_promote(struct epmd_conn *conn) {
    char text[REASON_SIZE];
    if (conn->on_heap)
        return true;
    if (conn->on_reserve || count(conn, text) != NULL)
        return false;
    uncount(conn);
    conn->host_counted = conn->user_counted = false;
    return true;
}

/* As recv, but 0 with *waiting set when nothing has come yet. */
static ssize_t receive(int fd, uint8_t *data, size_t size, bool *waiting) {
    ssize_t len;
    do
        len = recv(fd, data, size, 0);
    while (len < 0 && errno == EINTR);
    *waiting = len < 0 && would_block(errno);
    return *waiting ? 0 : len;
}

/* What has come is not read into server->received: a request may be there. */
bool epmd_conn_close_if_ended(struct epmd_conn *conn) {
    uint8_t scrap[EPMD_FRAME_MAX];
    bool waiting;
    ssize_t len = receive(conn->fd, scrap, sizeof scrap, &waiting);
    if (!waiting)
        epmd_conn_close(conn, len > 0 ? "node sent a byte" : "node closed its connection");
    return !waiting;
}

/* --- requests --- */

/* Something comes while a look-up is held. A caller that closes its side will not connect. */
static void on_held(struct epmd_conn *conn) {
    struct epmd_server *server = conn->server;
    bool waiting;
    ssize_t len = receive(conn->fd, server->received, sizeof server->received, &waiting);
    if (waiting)
        return;
    lookup_queue_leave(&conn->waiter);
    if (len > 0) {
        epmd_conn_refuse(conn, "request", "more bytes than announced");
        return;
    }
    conn->waiter.state = LOOKUP_CANCELLED;
    epmd_conn_resume(conn);
}

static void wait_for_more(struct epmd_conn *conn, struct bytes received) {
    conn = epmd_conn_promote(conn, NULL);
    if (conn == NULL || received.len == 0)
        return;
    if (conn->request_buffer == NULL)
        conn->request_buffer = malloc(sizeof *conn->request_buffer + EPMD_FRAME_MAX);
    if (conn->request_buffer == NULL) {
        epmd_conn_refuse(conn, "request", "out of memory");
        return;
    }
    PORTOLAN_ASSERT(received.len < EPMD_FRAME_MAX);
    conn->request_buffer->len = received.len;
    memmove(conn->request_buffer->data, received.data, received.len);
}

/* Takes a connection out of everything that knows it, and leaves its descriptor open. */
static void conn_detach(struct epmd_conn *conn) {
    struct epmd_server *server = conn->server;
    if (!conn->on_heap)
        return;
    PORTOLAN_ASSERT(conn->state == EPMD_CONN_READING && conn->reply_buffer == NULL);
    uncount(conn);
    epmd_server_unlist(server, conn);
    free(conn->request_buffer);
    free(conn);
}

/* Gives a caller at a front port that is not an epmd client to whom it is for. */
static void hand_over(struct epmd_conn *conn, struct bytes received) {
    const struct epmd_server *server = conn->server;
    const char *reason = "no descriptor left";
    if (conn->on_heap)
        event_del(&conn->event); /* before the descriptor is another's */
    if (!conn->on_reserve)
        reason = server->other_protocol(server->other_context, conn->fd, &conn->peer, received);
    if (reason == NULL)
        conn_detach(conn);
    else
        epmd_conn_refuse(conn, "connection", reason);
}

/* Or too little to tell it from a client's. Which other protocol it may be makes no difference. */
static bool is_epmd(struct bytes received) {
    return first_bytes_judge(received, bytes_of(NULL, 0)).who == FIRST_BYTES_EPMD;
}

static void take_request(struct epmd_conn *conn, struct bytes received) {
    struct epmd_request request;
    struct bytes payload;
    if (conn->at_front && !is_epmd(received)) {
        hand_over(conn, received);
        return;
    }
    switch (epmd_frame_parse(received, &payload)) {
    case EPMD_FRAME_INCOMPLETE:
        wait_for_more(conn, received);
        return;
    case EPMD_FRAME_BAD_LENGTH:
        epmd_conn_refuse(conn, "request", "invalid request length");
        return;
    case EPMD_FRAME_OVERRUN:
        epmd_conn_refuse(conn, "request", "more bytes than announced");
        return;
    case EPMD_FRAME_COMPLETE:
        break;
    }
    enum epmd_decode error = epmd_request_decode(payload, &request);
    if (error == EPMD_DECODE_OK)
        epmd_conn_answer(conn, &request);
    else
        epmd_conn_refuse(conn, "request", epmd_decode_reason(error));
}

/* On the stack: most connections are answered and closed before this returns. `refusal`: why it is
 * not served at all; NULL: it is. */
static void open_conn(struct epmd_server *server, const struct accepted *accepted,
                      const char *refusal) {
    struct epmd_conn conn;
    memset(&conn, 0, EPMD_CONN_ON_STACK);
    conn.server = server;
    conn.fd = accepted->fd;
    conn.peer = accepted->peer;
    conn.user = USER_NOBODY;
    conn.waiter.state = LOOKUP_IDLE;
    conn.on_reserve = accepted->on_reserve;
    conn.at_front = accepted->role == LISTENER_FRONT && server->other_protocol != NULL;
    bool waiting;
    PORTOLAN_ASSERT(conn.fd >= 0);
    server->counters.accepted++;
    if (refusal != NULL) {
        epmd_conn_refuse(&conn, "connection", refusal);
        return;
    }
    ssize_t len = receive(conn.fd, server->received, sizeof server->received, &waiting);
    if (len > 0 || waiting)
        take_request(&conn, bytes_of(server->received, (size_t)len));
    else
        epmd_conn_close(&conn, "peer disconnected");
}

void epmd_server_open(struct epmd_server *server, const struct accepted *accepted) {
    open_conn(server, accepted, NULL);
}

void epmd_server_refuse(struct epmd_server *server, const struct accepted *accepted,
                        const char *reason) {
    open_conn(server, accepted, reason);
}

static void on_request(struct epmd_conn *conn) {
    struct epmd_server *server = conn->server;
    struct writer request = writer_of(server->received, sizeof server->received);
    if (conn->request_buffer != NULL)
        write_bytes(&request, bytes_of(conn->request_buffer->data, conn->request_buffer->len));
    bool waiting;
    ssize_t len =
        receive(conn->fd, request.start + request.len, request.capacity - request.len, &waiting);
    if (waiting)
        return;
    if (len <= 0) {
        epmd_conn_close(conn, request.len > 0 ? "peer disconnected in the middle of a request"
                                              : "peer disconnected");
        return;
    }
    if (has_taken_too_long(conn)) {
        epmd_conn_refuse(conn, "request", "took too long to arrive");
        return;
    }
    epmd_server_touch(server, conn);
    take_request(conn, bytes_of(request.start, request.len + (size_t)len));
}

static void on_writable(struct epmd_conn *conn) {
    PORTOLAN_ASSERT(conn->reply_buffer != NULL);
    uint64_t sent_before = conn->reply_buffer->sent_in_all;
    enum epmd_drained drained = epmd_conn_drain(conn);
    if (drained != EPMD_BLOCKED)
        epmd_conn_close(conn, drained == EPMD_DRAINED ? "answered" : "peer disconnected");
    else if (has_taken_too_long(conn))
        epmd_conn_refuse(conn, "listing", "took too long to read");
    else if (conn->reply_buffer->sent_in_all != sent_before)
        epmd_server_touch(conn->server, conn);
}

/* Thousands of nodes may end at once, or thousands of callers that had said nothing: those that the
 * turn has no time for are reported again in the next one, and others come in between. */
static void on_ready(evutil_socket_t fd, short what, void *context) {
    struct epmd_conn *conn = context;
    (void)what;
    PORTOLAN_ASSERT(conn->on_heap && conn->fd == fd);
    if (!turn_budget_allows(conn->server->options.budget, &conn->served))
        return;
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
        epmd_conn_close_if_ended(conn);
        break;
    }
}
