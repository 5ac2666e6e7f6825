/* The control socket's server: who is accepted, who waits, and whose turn it is. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/control_protocol.h"
#include "control/inner.h"
#include "host/local_users.h"
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 32
#define RETRY_MS 200

static const char busy_reply[] = "{\"v\":" CONTROL_PROTOCOL_VERSION_TEXT ","
                                 "\"ok\":false,\"error\":{\"code\":\"busy\",\"message\":"
                                 "\"too many callers of this user "
                                 "wait, or no descriptor is left; try again\"}}\n";

/* --- turns --- */

void control_server_wake(struct control_server *server) {
    if (!event_pending(server->work_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(server->work_event, 0);
}

static bool has_work(const struct control_server *server) {
    return !TAILQ_EMPTY(&server->ready[0]) || !TAILQ_EMPTY(&server->ready[1]);
}

/* What was published since the last turn is passed on to all who watch and read. */
static void wake_watchers(struct control_server *server) {
    struct control_conn *conn;
    if (!server->events_pending)
        return;
    server->events_pending = false;
    TAILQ_FOREACH(conn, &server->conns, entry) {
        if (conn->watches)
            control_conn_wake(conn);
    }
}

/* The first of a queue that has had no step in this turn. */
static struct control_conn *next_ready(struct control_server *server, bool may_change) {
    struct control_conn *conn = TAILQ_FIRST(&server->ready[may_change]);
    return conn == NULL || conn->turn == server->turn ? NULL : conn;
}

/* One that is alone has the turn for itself. */
static int64_t end_of_step(const struct control_server *server, int64_t turn_ends_us) {
    int64_t step_ends_us = clock_monotonic_us() + CONTROL_STEP_US;
    return has_work(server) && step_ends_us < turn_ends_us ? step_ends_us : turn_ends_us;
}

static bool step_one(struct control_server *server, bool may_change, int64_t until_us) {
    struct control_conn *conn = next_ready(server, may_change);
    if (conn == NULL)
        return false;
    PORTOLAN_ASSERT(conn->ready && conn->caller.may_change == may_change);
    TAILQ_REMOVE(&server->ready[may_change], conn, ready_link);
    conn->ready = false;
    control_conn_step(conn, end_of_step(server, until_us));
    return true;
}

static void admit_waiting(struct control_server *server);

/* A turn: one step for each that is ready, as far as the time goes; the rest has its turn next. */
static void on_work(evutil_socket_t fd, short what, void *context) {
    struct control_server *server = context;
    int64_t until_us = clock_monotonic_us() + CONTROL_TURN_US;
    bool any = true;
    (void)fd;
    (void)what;
    wake_watchers(server);
    server->turn++;
    while (any && clock_monotonic_us() < until_us) {
        any = step_one(server, true, until_us);
        any = step_one(server, false, until_us) || any;
    }
    admit_waiting(server);
    if (has_work(server))
        control_server_wake(server);
}

/* --- slots --- */

/* A user's share of so many slots. */
static size_t share_of(const struct control_server *server, size_t slots) {
    size_t share = user_share_of(slots, server->options.user_share);
    return share == 0 ? slots : share;
}

/* A caller that may change things is not counted. False: out of memory. */
static bool count(struct host_limit *counts, const struct control_caller *caller) {
    return caller->may_change || host_limit_take(counts, limit_key_of_user(caller->owner), 1);
}

static void uncount(struct host_limit *counts, const struct control_caller *caller) {
    if (!caller->may_change)
        host_limit_give_back(counts, limit_key_of_user(caller->owner), 1);
}

static bool has_share(const struct control_server *server, const struct host_limit *counts,
                      const struct control_caller *caller, size_t slots) {
    return !caller->may_change &&
           host_limit_taken(counts, limit_key_of_user(caller->owner)) >= share_of(server, slots);
}

static bool has_slot_share(const struct control_server *server,
                           const struct control_caller *caller) {
    return has_share(server, server->slots, caller, CONTROL_CONNS_MAX);
}

/* The longest idle of an owner, or of all where that is NULL. */
static struct control_conn *find_idle(const struct control_server *server, const uint32_t *owner) {
    struct control_conn *conn;
    TAILQ_FOREACH(conn, &server->conns, entry) {
        bool counts = owner == NULL || (!conn->caller.may_change && conn->caller.owner == *owner);
        if (counts && control_conn_is_idle(conn))
            return conn;
    }
    return NULL;
}

static struct control_conn *pick_victim(const struct control_server *server) {
    struct control_conn *conn;
    TAILQ_FOREACH(conn, &server->conns, entry) {
        if (!conn->caller.may_change)
            return conn;
    }
    return NULL;
}

static bool end_one(struct control_conn *conn) {
    if (conn != NULL)
        control_conn_end(conn);
    return conn != NULL;
}

/*
 * Makes sure that there is a place for a caller, see the header. Whoever may change things is never
 * kept out by those who may not: if there is no other place, it takes one of theirs.
 */
static bool find_slot(struct control_server *server, const struct control_caller *caller) {
    if (has_slot_share(server, caller))
        return end_one(find_idle(server, &caller->owner));
    if (server->conn_count < CONTROL_CONNS_MAX || end_one(find_idle(server, NULL)))
        return true;
    if (!caller->may_change)
        return false;
    return server->conn_count < CONTROL_CONNS_MAX + CONTROL_CONNS_RESERVE ||
           end_one(pick_victim(server));
}

/* Gives the caller the place that was found. */
static void admit(struct control_server *server, int fd, const struct control_caller *caller) {
    if (!count(server->slots, caller))
        close(fd);
    else if (control_conn_new(server, fd, caller) == NULL)
        uncount(server->slots, caller);
}

/* --- those who wait --- */

static void leave_queue(struct control_server *server, struct control_waiter *waiter) {
    PORTOLAN_ASSERT(server->waiting_count > 0);
    TAILQ_REMOVE(&server->waiting, waiter, entry);
    server->waiting_count--;
    uncount(server->queued, &waiter->caller);
    free(waiter);
}

/* Whether there can be a place though nobody is idle: asked of thousands, so it looks at none of
 * the connections. */
static bool may_have_slot(const struct control_server *server,
                          const struct control_caller *caller) {
    return caller->may_change ||
           (server->conn_count < CONTROL_CONNS_MAX && !has_slot_share(server, caller));
}

static void admit_waiting(struct control_server *server) {
    struct control_waiter *waiter, *following;
    bool any_idle = server->waiting_count > 0 && find_idle(server, NULL) != NULL;
    for (waiter = TAILQ_FIRST(&server->waiting); waiter != NULL; waiter = following) {
        following = TAILQ_NEXT(waiter, entry);
        if ((!any_idle && !may_have_slot(server, &waiter->caller)) ||
            !find_slot(server, &waiter->caller))
            continue;
        admit(server, waiter->fd, &waiter->caller);
        leave_queue(server, waiter);
        any_idle = find_idle(server, NULL) != NULL;
    }
    if (server->waiting_count > 0 && !event_pending(server->retry_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(server->retry_event, RETRY_MS);
}

/* Somebody may be idle meanwhile, and a descriptor may be free. */
static void on_retry(evutil_socket_t fd, short what, void *context) {
    struct control_server *server = context;
    (void)fd;
    (void)what;
    if (event_add(server->accept_event, NULL) < 0)
        loop_set_timer_or_now(server->retry_event, RETRY_MS);
    admit_waiting(server);
}

/* A descriptor may be free: the reserve has it before those who wait. */
static void refill_reserve(struct control_server *server) {
    for (size_t i = 0; i < CONTROL_DESCRIPTORS_RESERVE; i++) {
        if (server->reserve[i] < 0)
            server->reserve[i] = loop_open_reserve();
    }
    if (server->waiting_count > 0)
        control_server_wake(server);
}

void control_server_left(struct control_server *server, const struct control_caller *caller) {
    uncount(server->slots, caller);
    refill_reserve(server);
}

/* A caller that cannot even wait is told to come again. */
static void reject_busy(struct control_server *server, int fd) {
    server->busy++;
    log_event(LOG_LEVEL_WARN, "limit", log_text("limit", "control connections or descriptors"),
              log_text("outcome", "one client was told to try again"));
    (void)!send(fd, busy_reply, sizeof busy_reply - 1, MSG_NOSIGNAL);
    close(fd);
}

static bool is_over_share(const struct control_server *server,
                          const struct control_caller *caller) {
    return has_share(server, server->queued, caller, server->options.waiting_max);
}

/* The newest of those who wait whose user has more than a share of them. */
static struct control_waiter *find_over_share(const struct control_server *server) {
    struct control_waiter *waiter;
    TAILQ_FOREACH_REVERSE(waiter, &server->waiting, control_waiters, entry) {
        if (is_over_share(server, &waiter->caller))
            return waiter;
    }
    return NULL;
}

/* Whether one more can wait: else one of a user that has more than a share gives way, if another
 * one has. */
static bool make_room_to_wait(struct control_server *server, const struct control_caller *caller) {
    if (server->waiting_count < server->options.waiting_max)
        return true;
    if (is_over_share(server, caller))
        return false;
    struct control_waiter *over_share = find_over_share(server);
    if (over_share == NULL)
        return false;
    reject_busy(server, over_share->fd);
    leave_queue(server, over_share);
    return true;
}

static void let_wait(struct control_server *server, int fd, const struct control_caller *caller) {
    struct control_waiter *waiter =
        make_room_to_wait(server, caller) ? calloc(1, sizeof *waiter) : NULL;
    if (waiter == NULL || !count(server->queued, caller)) {
        free(waiter);
        reject_busy(server, fd);
        return;
    }
    *waiter = (struct control_waiter){.fd = fd, .caller = *caller};
    TAILQ_INSERT_TAIL(&server->waiting, waiter, entry);
    server->waiting_count++;
    if (!event_pending(server->retry_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(server->retry_event, RETRY_MS);
}

/* --- accepting --- */

static struct control_caller ask_caller(const struct control_server *server, int fd) {
    return control_access_ask(&server->access, server->options.owners, fd);
}

/* Gives one of the descriptors in reserve for a caller. */
static bool open_reserve(struct control_server *server) {
    for (size_t i = 0; i < CONTROL_DESCRIPTORS_RESERVE; i++) {
        if (server->reserve[i] < 0)
            continue;
        close(server->reserve[i]);
        server->reserve[i] = -1;
        return true;
    }
    return false;
}

static bool has_reserve(const struct control_server *server) {
    for (size_t i = 0; i < CONTROL_DESCRIPTORS_RESERVE; i++) {
        if (server->reserve[i] >= 0)
            return true;
    }
    return false;
}

/*
 * Without a descriptor left, a caller comes in on the reserve. It may stay if it may change things
 * and is not on the last of them; any other is told to come again.
 */
static void accept_on_reserve(struct control_server *server) {
    int fd = open_reserve(server)
                 ? accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
                 : -1;
    if (fd < 0) {
        event_del(server->accept_event); /* for a while: else it would be called for ever */
        loop_set_timer_or_now(server->retry_event, RETRY_MS);
        return;
    }
    const struct control_caller caller = ask_caller(server, fd);
    server->accepted++;
    if (caller.may_change && has_reserve(server) && find_slot(server, &caller))
        admit(server, fd, &caller);
    else
        reject_busy(server, fd);
    refill_reserve(server);
}

static void take(struct control_server *server, int fd) {
    const struct control_caller caller = ask_caller(server, fd);
    server->accepted++;
    if (find_slot(server, &caller))
        admit(server, fd, &caller);
    else
        let_wait(server, fd, &caller);
}

static void on_acceptable(evutil_socket_t listener, short what, void *context) {
    struct control_server *server = context;
    (void)what;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && loop_is_out_of_descriptors(errno))
            accept_on_reserve(server);
        if (fd < 0)
            return;
        take(server, fd);
    }
}

/* --- events --- */

bool control_server_is_watched(const struct control_server *server) {
    return server != NULL && server->watchers > 0;
}

void control_server_publish(struct control_server *server, json_t *event) {
    char line[CONTROL_PART_MAX];
    struct writer out = writer_of(line, sizeof line);
    bool whole = control_stream_write_json(&out, event);
    write_u8(&out, '\n');
    if (whole && !out.failed)
        control_events_add(&server->events, writer_bytes(&out));
    else
        control_events_lose(&server->events);
    server->events_pending = true;
    control_server_wake(server);
}

struct control_counters control_server_counters(const struct control_server *server) {
    return (struct control_counters){.connected = server->conn_count,
                                     .waiting = server->waiting_count,
                                     .accepted = server->accepted,
                                     .busy = server->busy};
}

/* --- beginning and end --- */

void control_server_configure(struct control_server *server,
                              const struct control_server_options *options) {
    server->options = *options;
    if (server->options.waiting_max > CONTROL_WAITING_MAX)
        server->options.waiting_max = CONTROL_WAITING_MAX;
    server->access = control_access_read();
}

static bool start_events(struct control_server *server) {
    server->work_event = event_new(server->base, -1, 0, on_work, server);
    server->retry_event = event_new(server->base, -1, 0, on_retry, server);
    server->accept_event =
        event_new(server->base, server->listener, EV_READ | EV_PERSIST, on_acceptable, server);
    return server->work_event != NULL && server->retry_event != NULL &&
           server->accept_event != NULL && event_add(server->accept_event, NULL) == 0;
}

struct control_server *control_server_new(struct event_base *base, int listener, const char *path,
                                          const struct control_server_options *options,
                                          control_handler *handler, void *context) {
    struct control_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        control_unlisten(listener, path);
        return NULL;
    }
    *server = (struct control_server){
        .base = base, .listener = listener, .handler = handler, .context = context};
    TAILQ_INIT(&server->conns);
    TAILQ_INIT(&server->waiting);
    TAILQ_INIT(&server->ready[0]);
    TAILQ_INIT(&server->ready[1]);
    for (size_t i = 0; i < CONTROL_DESCRIPTORS_RESERVE; i++)
        server->reserve[i] = loop_open_reserve();
    control_server_configure(server, options);
    server->path = strdup(path);
    server->slots = host_limit_new(0);
    server->queued = host_limit_new(0);
    if (server->path != NULL && server->slots != NULL && server->queued != NULL &&
        start_events(server))
        return server;
    control_server_free(server);
    return NULL;
}

static void close_all(struct control_server *server) {
    struct control_waiter *waiter;
    struct control_conn *conn;
    while ((waiter = TAILQ_FIRST(&server->waiting)) != NULL) {
        close(waiter->fd);
        leave_queue(server, waiter);
    }
    while ((conn = TAILQ_FIRST(&server->conns)) != NULL) {
        control_conn_flush(conn);
        control_conn_end(conn);
    }
}

void control_server_free(struct control_server *server) {
    if (server == NULL)
        return;
    close_all(server);
    for (size_t i = 0; i < CONTROL_DESCRIPTORS_RESERVE; i++) {
        if (server->reserve[i] >= 0)
            close(server->reserve[i]);
    }
    loop_free_event(server->work_event);
    loop_free_event(server->retry_event);
    loop_free_event(server->accept_event);
    if (server->path != NULL)
        control_unlisten(server->listener, server->path);
    else
        close(server->listener);
    free(server->path);
    host_limit_free(server->slots);
    host_limit_free(server->queued);
    free(server);
}
