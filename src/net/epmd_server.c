#include "base/clock.h"
#include "base/turn_budget.h"
#include "net/epmd_conn.h"
#include "net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* How long accepting rests when the kernel is out of memory for it. */
#define ACCEPT_PAUSE_MS 100

/* Callers that came while others were served for so long are taken together, up to so many. */
#define ACCEPT_GAP_US 1000
#define ACCEPTS_MAX 32

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

/* --- accepting --- */

static void pause_accepting(struct epmd_server *server) {
    if (!loop_set_timer(server->resume_event, ACCEPT_PAUSE_MS))
        return; /* then the loop goes on trying, which is dear but not wrong */
    struct epmd_door *door;
    TAILQ_FOREACH(door, &server->doors, entry) {
        event_del(&door->event);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *context) {
    struct epmd_server *server = context;
    struct epmd_door *door;
    (void)fd;
    (void)what;
    TAILQ_FOREACH(door, &server->doors, entry) {
        if (event_add(&door->event, NULL) < 0)
            pause_accepting(server);
    }
}

static int accept_one(int listener, struct address *peer) {
    socklen_t len = sizeof *peer;
    return accept4(listener, &peer->any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void report_limit(const struct epmd_server *server, const char *limit, const char *outcome) {
    server->hooks.limit_hit(server->hooks.context, limit, outcome);
}

/* Makes room for a connection where no descriptor was left, and takes it. */
static int accept_when_full(struct epmd_server *server, int listener, struct address *peer) {
    struct epmd_conn *longest_idle = TAILQ_FIRST(&server->waiting);
    if (longest_idle != NULL) {
        report_limit(server, "descriptors", "shed the longest-idle connection");
        server->counters.shed++;
        epmd_conn_close(longest_idle, "shed: descriptors are short");
        return accept_one(listener, peer);
    }
    if (server->reserve_fd < 0)
        return -1;
    report_limit(server, "descriptors", "answering look-ups from the reserve");
    close(server->reserve_fd);
    server->reserve_fd = -1;
    server->on_reserve = true;
    return accept_one(listener, peer);
}

/* Takes back the reserve after a connection that used it. */
static void refill_reserve(struct epmd_server *server) {
    server->on_reserve = false;
    if (server->reserve_fd < 0)
        server->reserve_fd = loop_open_reserve();
}

/* False: nobody else is to be accepted now. */
static bool accept_next(const struct epmd_door *door, int listener) {
    struct epmd_server *server = door->server;
    struct address peer;
    if (server->options.delay_accept_s > 0)
        sleep(server->options.delay_accept_s);
    int fd = accept_one(listener, &peer);
    if (fd < 0 && loop_is_out_of_descriptors(errno))
        fd = accept_when_full(server, listener, &peer);
    int error = errno;
    if (fd >= 0)
        epmd_conn_open(door, fd, &peer);
    refill_reserve(server);
    /* other errors are those of a connection that is gone already (accept(2)) */
    if (fd < 0 && (loop_is_out_of_descriptors(error) || error == ENOBUFS || error == ENOMEM)) {
        report_limit(server, "memory or descriptors of the system", "accepting is paused");
        pause_accepting(server);
    }
    return fd >= 0;
}

/*
 * Accepts one connection a turn of the loop: cheaper than draining the queue, for an accept4 that
 * finds nothing costs more than the loop's next turn, and fairer to those that wait already. Where
 * the turns are long, as when many clients of other kinds are served, one a turn would let the
 * queue grow: then those that wait are taken together.
 */
static void on_acceptable(evutil_socket_t listener, short what, void *context) {
    const struct epmd_door *door = context;
    struct epmd_server *server = door->server;
    int64_t now_us = clock_monotonic_us();
    /* a door of a node's may be closed by what a caller does, and is not looked at again */
    bool one = !door->lasting || now_us - server->accepted_us < ACCEPT_GAP_US;
    int most = one ? 1 : ACCEPTS_MAX;
    (void)what;
    while (accept_next(door, listener) && --most > 0 && turn_budget_is_left(server->options.budget))
        ;
    server->accepted_us = one ? now_us : clock_monotonic_us();
}

/* --- beginning and end --- */

static bool open_door(struct epmd_server *server, const struct listener *listener, bool lasting) {
    struct epmd_door *door = calloc(1, sizeof *door);
    if (door == NULL)
        return false;
    door->server = server;
    door->listener = *listener;
    door->lasting = lasting;
    event_assign(&door->event, server->base, listener->fd, EV_READ | EV_PERSIST, on_acceptable,
                 door);
    if (event_add(&door->event, NULL) < 0) {
        free(door);
        return false;
    }
    TAILQ_INSERT_TAIL(&server->doors, door, entry);
    return true;
}

static void close_door(struct epmd_server *server, struct epmd_door *door) {
    TAILQ_REMOVE(&server->doors, door, entry);
    event_del(&door->event);
    close(door->listener.fd);
    free(door);
}

static bool open_doors(struct epmd_server *server, struct listeners *listeners, bool lasting) {
    while (listeners->count > 0) {
        if (!open_door(server, &listeners->all[listeners->count - 1], lasting)) {
            listeners_close(listeners);
            return false;
        }
        listeners->count--;
    }
    return true;
}

bool epmd_server_listen(struct epmd_server *server, struct listeners *listeners) {
    return open_doors(server, listeners, false);
}

bool epmd_server_listens(const struct epmd_server *server, uint16_t port) {
    const struct epmd_door *door;
    TAILQ_FOREACH(door, &server->doors, entry) {
        if (address_port(&door->listener.address) == port)
            return true;
    }
    return false;
}

bool epmd_server_has_front(const struct epmd_server *server, uint16_t port) {
    const struct epmd_door *door;
    TAILQ_FOREACH(door, &server->doors, entry) {
        if (door->listener.role == LISTENER_FRONT && address_port(&door->listener.address) == port)
            return true;
    }
    return false;
}

bool epmd_server_unlisten(struct epmd_server *server, uint16_t port) {
    struct epmd_door *door, *following;
    bool any = false;
    for (door = TAILQ_FIRST(&server->doors); door != NULL; door = following) {
        following = TAILQ_NEXT(door, entry);
        if (door->lasting || address_port(&door->listener.address) != port)
            continue;
        close_door(server, door);
        any = true;
    }
    return any;
}

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
    server->resume_event = event_new(server->base, -1, 0, on_resume, server);
    server->lookup_event = event_new(server->base, -1, 0, epmd_lookup_on_time, server);
    server->settled_event = event_new(server->base, -1, 0, on_settled, server);
    return server->expiry_event != NULL && server->resume_event != NULL &&
           server->lookup_event != NULL && server->settled_event != NULL;
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
                                    const struct epmd_server_options *options,
                                    const struct epmd_server_hooks *hooks,
                                    const struct listeners *listeners) {
    struct epmd_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->base = base;
    server->service = service;
    set_options(server, options);
    server->hooks = *hooks;
    server->reserve_fd = loop_open_reserve();
    server->host_limit = host_limit_new(options->peer_connections);
    TAILQ_INIT(&server->doors);
    TAILQ_INIT(&server->waiting);
    TAILQ_INIT(&server->registered);
    TAILQ_INIT(&server->unsettled);
    struct listeners mine = *listeners;
    if (server->host_limit != NULL && start_events(server) && open_doors(server, &mine, true))
        return server;
    listeners_close(&mine);
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
    while (!TAILQ_EMPTY(&server->doors))
        close_door(server, TAILQ_FIRST(&server->doors));
    loop_free_event(server->expiry_event);
    loop_free_event(server->resume_event);
    loop_free_event(server->lookup_event);
    loop_free_event(server->settled_event);
    host_limit_free(server->host_limit);
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
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
