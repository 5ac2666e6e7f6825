#include "base/assert.h"
#include "base/clock.h"
#include "base/turn_budget.h"
#include "epmd/conn.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* --- time and lists --- */

static void arm_expiry(struct epmd_server *server) {
    const struct epmd_conn *first = TAILQ_FIRST(&server->waiting);
    if (first == NULL || event_pending(server->expiry_event, EV_TIMEOUT, NULL))
        return;
    int64_t idle_ms = clock_monotonic_ms() - first->active_ms;
    int64_t left_ms = server->idle_limit_ms - idle_ms;
    loop_set_timer_or_now(server->expiry_event, left_ms < 1 ? 1 : left_ms);
}

void epmd_server_touch(struct epmd_server *server, struct epmd_conn *conn) {
    PORTOLAN_ASSERT(conn->on_heap && conn->state != EPMD_CONN_REGISTERED);
    conn->active_ms = clock_monotonic_ms();
    TAILQ_REMOVE(&server->waiting, conn, entry);
    TAILQ_INSERT_TAIL(&server->waiting, conn, entry);
    arm_expiry(server);
}

void epmd_server_list_waiting(struct epmd_server *server, struct epmd_conn *conn) {
    TAILQ_INSERT_TAIL(&server->waiting, conn, entry);
    server->waiting_count++;
    epmd_server_touch(server, conn);
}

void epmd_server_list_registered(struct epmd_server *server, struct epmd_conn *conn) {
    epmd_server_unlist(server, conn);
    conn->state = EPMD_CONN_REGISTERED;
    TAILQ_INSERT_TAIL(&server->registered, conn, entry);
    server->registered_count++;
}

void epmd_server_unlist(struct epmd_server *server, struct epmd_conn *conn) {
    bool registered = conn->state == EPMD_CONN_REGISTERED;
    PORTOLAN_ASSERT((registered ? server->registered_count : server->waiting_count) > 0);
    TAILQ_REMOVE(registered ? &server->registered : &server->waiting, conn, entry);
    if (registered)
        server->registered_count--;
    else
        server->waiting_count--;
}

static const char *expiry_reason(const struct epmd_conn *conn) {
    switch (conn->state) {
    case EPMD_CONN_READING:
        return "no complete request in time";
    case EPMD_CONN_WRITING:
        return "reply not read in time";
    case EPMD_CONN_HELD:
        return "look-up held for too long";
    default:
        return "refused node did not disconnect";
    }
}

static void on_expiry(evutil_socket_t fd, short what, void *context) {
    struct epmd_server *server = context;
    int64_t now_ms = clock_monotonic_ms();
    struct epmd_conn *first;
    (void)fd;
    (void)what;
    while ((first = TAILQ_FIRST(&server->waiting)) != NULL &&
           now_ms - first->active_ms >= server->idle_limit_ms) {
        server->counters.timed_out++;
        epmd_conn_close(first, expiry_reason(first));
        if (!turn_budget_is_left(server->options.budget))
            break;
    }
    arm_expiry(server);
}

/* --- callers --- */

void epmd_server_on_other_protocol(struct epmd_server *server, epmd_other_protocol *take,
                                   void *context) {
    server->other_protocol = take;
    server->other_context = context;
}

bool epmd_server_shed(struct epmd_server *server) {
    struct epmd_conn *longest_idle = TAILQ_FIRST(&server->waiting);
    if (longest_idle == NULL)
        return false;
    server->counters.shed++;
    epmd_conn_close(longest_idle, "shed: descriptors are short");
    return true;
}

/* --- beginning and end --- */

/* Sends the replies that may go out, as far as the turn has time. */
static void send_settled(struct epmd_server *server) {
    struct epmd_conn *first;
    while ((first = TAILQ_FIRST(&server->unsettled)) != NULL && first->awaited <= server->settled) {
        epmd_conn_settle(first);
        if (turn_budget_is_left(server->options.budget))
            continue;
        loop_set_timer_or_now(server->settled_event, 0);
        return;
    }
}

static void on_settled(evutil_socket_t fd, short what, void *context) {
    struct epmd_server *server = context;
    (void)fd;
    (void)what;
    send_settled(server);
}

static bool start_events(struct epmd_server *server) {
    server->expiry_event = event_new(server->base, -1, 0, on_expiry, server);
    server->lookup_event = event_new(server->base, -1, 0, epmd_lookup_on_time, server);
    server->settled_event = event_new(server->base, -1, 0, on_settled, server);
    return server->expiry_event != NULL && server->lookup_event != NULL &&
           server->settled_event != NULL;
}

/*
 * OTP's epmd reads its clock in whole seconds and closes what has been silent for more than N of
 * them: never before N + 1 have passed. A time in parts of seconds is none of its times.
 */
static int64_t idle_limit_of(int64_t packet_timeout_ms) {
    return packet_timeout_ms % 1000 == 0 ? packet_timeout_ms + 1000 : packet_timeout_ms;
}

static void set_options(struct epmd_server *server, const struct epmd_server_options *options) {
    server->options = *options;
    server->idle_limit_ms = idle_limit_of(options->packet_timeout_ms);
}

struct epmd_server *epmd_server_new(struct event_base *base, const struct epmd_service *service,
                                    const struct acceptor *acceptor,
                                    const struct epmd_server_options *options,
                                    const struct epmd_server_hooks *hooks) {
    struct epmd_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->base = base;
    server->service = service;
    server->acceptor = acceptor;
    set_options(server, options);
    server->hooks = *hooks;
    server->host_limit = host_limit_new(options->peer_connections);
    TAILQ_INIT(&server->waiting);
    TAILQ_INIT(&server->registered);
    TAILQ_INIT(&server->unsettled);
    if (server->host_limit != NULL && start_events(server))
        return server;
    epmd_server_free(server);
    return NULL;
}

void epmd_server_settled(struct epmd_server *server, uint64_t number) {
    if (number > server->settled)
        server->settled = number;
    send_settled(server);
}

static void close_all(struct epmd_conns *conns) {
    struct epmd_conn *conn;
    while ((conn = TAILQ_FIRST(conns)) != NULL)
        epmd_conn_close(conn, "the daemon is stopping");
}

void epmd_server_free(struct epmd_server *server) {
    if (server == NULL)
        return;
    close_all(&server->waiting);
    close_all(&server->registered);
    loop_free_event(server->expiry_event);
    loop_free_event(server->lookup_event);
    loop_free_event(server->settled_event);
    PORTOLAN_ASSERT(server->waiting_count == 0 && server->registered_count == 0);
    PORTOLAN_ASSERT(TAILQ_EMPTY(&server->unsettled));
    host_limit_free(server->host_limit);
    free(server);
}

void epmd_server_know_users(struct epmd_server *server, const struct local_users *users) {
    server->users = *users;
}

void epmd_server_configure(struct epmd_server *server, const struct epmd_server_options *options) {
    set_options(server, options);
    host_limit_configure(server->host_limit, options->peer_connections);
}

struct epmd_server_status epmd_server_status(const struct epmd_server *server) {
    return (struct epmd_server_status){
        .counters = server->counters,
        .registered = server->registered_count,
        .waiting = server->waiting_count,
    };
}
