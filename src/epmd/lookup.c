/* Look-ups that wait for their turn (names/lookup_queue): what is asked of their sockets, and when
 * they go on. */
#include "base/clock.h"
#include "base/turn_budget.h"
#include "epmd/conn.h"
#include "loop/loop.h"

#include <netinet/tcp.h>

#define BACKLOG_PAUSE_MS 1
#define BACKLOG_MAX_MS 250 /* should callers be accepted for ever */

/* A caller that has closed its side already only wants to know a port. */
bool epmd_lookup_may_connect(const void *holder) {
    const struct epmd_conn *conn = holder;
    char byte;
    return recv(conn->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) != 0;
}

int64_t epmd_lookup_round_trip_ms(const void *holder) {
    const struct epmd_conn *conn = holder;
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;
    return ((int64_t)info.tcpi_rtt + 999) / 1000;
}

static struct lookup_queue *queue_of(const struct epmd_server *server) {
    const struct routes *fronts = server->service->routes;
    return fronts == NULL ? NULL : routes_queue(fronts);
}

static void answer_all(struct lookup_queue *queue) {
    struct lookup_waiter *ready;
    while ((ready = lookup_queue_next_ready(queue)) != NULL)
        epmd_conn_resume(EPMD_CONN_OF_WAITER(ready));
}

/* The same, as far as the turn has time. False: some are left for the next one. */
static bool answer_in_time(struct epmd_server *server, struct lookup_queue *queue) {
    struct lookup_waiter *ready;
    while ((ready = lookup_queue_next_ready(queue)) != NULL) {
        epmd_conn_resume(EPMD_CONN_OF_WAITER(ready));
        if (turn_budget_is_left(server->options.budget))
            continue;
        loop_set_timer_or_now(server->lookup_event, 0);
        return false;
    }
    return true;
}

void epmd_server_answer_ready(struct epmd_server *server) {
    struct lookup_queue *queue = queue_of(server);
    if (queue == NULL)
        return;
    if (!answer_in_time(server, queue))
        return;
    int64_t now_ms = clock_monotonic_ms(), until_ms = lookup_queue_deadline(queue);
    if (until_ms == INT64_MAX) {
        event_del(server->lookup_event);
    } else if (!loop_set_timer(server->lookup_event, until_ms - now_ms)) {
        /* without memory for the timer they would never wake: they are answered now */
        lookup_queue_tick(queue, now_ms + LOOKUP_WAIT_MAX_MS);
        answer_all(queue);
    }
}

void epmd_server_answer_soon(struct epmd_server *server) {
    event_active(server->lookup_event, EV_TIMEOUT, 0);
}

/* Whether somebody has called a front port and was not accepted yet. */
static bool has_backlog(const struct epmd_server *server) {
    return server->acceptor != NULL && acceptor_has_backlog(server->acceptor, LISTENER_FRONT);
}

/* Nobody is late as long as it is this daemon that is behind. */
void epmd_lookup_on_time(evutil_socket_t fd, short what, void *context) {
    struct epmd_server *server = context;
    struct lookup_queue *queue = queue_of(server);
    (void)fd;
    (void)what;
    if (queue == NULL)
        return;
    int64_t now_ms = clock_monotonic_ms(), due_ms = lookup_queue_deadline(queue);
    bool patient = due_ms <= now_ms && now_ms - due_ms < BACKLOG_MAX_MS && has_backlog(server);
    if (!answer_in_time(server, queue))
        return;
    if (patient && loop_set_timer(server->lookup_event, BACKLOG_PAUSE_MS))
        return;
    lookup_queue_tick(queue, now_ms);
    epmd_server_answer_ready(server);
}
