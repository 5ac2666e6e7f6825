#include "net/acceptor.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/turn_budget.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

/* How long accepting rests when the kernel is out of memory for it. */
#define ACCEPT_PAUSE_MS 100

/* Callers that came while others were served for so long are taken together, up to so many. */
#define ACCEPT_GAP_US 1000
#define ACCEPTS_MAX 32

struct port_listener {
    struct acceptor *acceptor; /* borrowed */
    struct listener socket;    /* owned */
    bool permanent;            /* until the end of the acceptor */
    struct event event;
    TAILQ_ENTRY(port_listener) entry;
};
TAILQ_HEAD(port_listeners, port_listener);

struct acceptor {
    struct event_base *base;
    struct acceptor_options options;
    struct acceptor_hooks hooks;
    struct port_listeners listeners;
    struct event *resume_event; /* ends a pause */
    int reserve_fd;             /* -1: in use, or it could not be opened */
    int64_t accepted_us;        /* when callers were accepted last */
};

/* --- pauses --- */

static void pause_accepting(struct acceptor *acceptor) {
    if (!loop_set_timer(acceptor->resume_event, ACCEPT_PAUSE_MS))
        return; /* then the loop goes on trying, which is dear but not wrong */
    struct port_listener *listener;
    TAILQ_FOREACH(listener, &acceptor->listeners, entry) {
        event_del(&listener->event);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *context) {
    struct acceptor *acceptor = context;
    struct port_listener *listener;
    (void)fd;
    (void)what;
    TAILQ_FOREACH(listener, &acceptor->listeners, entry) {
        if (event_add(&listener->event, NULL) < 0)
            pause_accepting(acceptor);
    }
}

/* --- accepting --- */

static int accept_one(int listening_fd, struct address *peer) {
    socklen_t len = sizeof *peer;
    return accept4(listening_fd, &peer->any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void report_limit(const struct acceptor *acceptor, const char *limit, const char *outcome) {
    acceptor->hooks.limit_hit(acceptor->hooks.context, limit, outcome);
}

/* Makes room for a connection where no descriptor was left, and accepts it. */
static int accept_when_full(struct acceptor *acceptor, int listening_fd,
                            struct accepted *accepted) {
    if (acceptor->hooks.shed(acceptor->hooks.context)) {
        report_limit(acceptor, "descriptors", "shed the longest-idle connection");
        return accept_one(listening_fd, &accepted->peer);
    }
    if (acceptor->reserve_fd < 0)
        return -1;
    report_limit(acceptor, "descriptors", "answering look-ups from the reserve");
    close(acceptor->reserve_fd);
    acceptor->reserve_fd = -1;
    accepted->on_reserve = true;
    return accept_one(listening_fd, &accepted->peer);
}

/* Takes back the reserve after a connection that used it. */
static void refill_reserve(struct acceptor *acceptor) {
    if (acceptor->reserve_fd < 0)
        acceptor->reserve_fd = loop_open_reserve();
}

/* Other errors are those of a connection that is gone already (accept(2)). */
static bool is_shortage(int error) {
    return loop_is_out_of_descriptors(error) || error == ENOBUFS || error == ENOMEM;
}

/* False: no more connections are accepted now. */
static bool accept_next(const struct port_listener *listener, int listening_fd) {
    struct acceptor *acceptor = listener->acceptor;
    struct accepted accepted; /* its peer is not read before it is there */
    accepted.role = listener->socket.role;
    accepted.on_reserve = false;
    if (acceptor->options.delay_s > 0)
        sleep(acceptor->options.delay_s);
    accepted.fd = accept_one(listening_fd, &accepted.peer);
    if (accepted.fd < 0 && loop_is_out_of_descriptors(errno))
        accepted.fd = accept_when_full(acceptor, listening_fd, &accepted);
    int error = errno;
    if (accepted.fd >= 0)
        acceptor->hooks.accepted(acceptor->hooks.context, &accepted);
    refill_reserve(acceptor);
    if (accepted.fd < 0 && is_shortage(error)) {
        report_limit(acceptor, "memory or descriptors of the system", "accepting is paused");
        pause_accepting(acceptor);
    }
    return accepted.fd >= 0;
}

/*
 * Accepts one connection a turn of the loop: cheaper than draining the queue, for an accept4 that
 * finds nothing costs more than the loop's next turn, and fairer to those that wait already. Where
 * the turns are long, as when many clients of other kinds are served, one a turn would let the
 * queue grow: then those that wait are taken together.
 */
static void on_acceptable(evutil_socket_t fd, short what, void *context) {
    const struct port_listener *listener = context;
    struct acceptor *acceptor = listener->acceptor;
    int64_t now_us = clock_monotonic_us();
    PORTOLAN_ASSERT(fd == listener->socket.fd);
    /* what a caller does may close a node's listener, so it is not looked at again */
    bool one = !listener->permanent || now_us - acceptor->accepted_us < ACCEPT_GAP_US;
    int most = one ? 1 : ACCEPTS_MAX;
    (void)what;
    while (accept_next(listener, fd) && --most > 0 && turn_budget_is_left(acceptor->options.budget))
        ;
    acceptor->accepted_us = one ? now_us : clock_monotonic_us();
}

/* --- the listeners --- */

static bool add_listener(struct acceptor *acceptor, const struct listener *socket, bool permanent) {
    struct port_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return false;
    PORTOLAN_ASSERT(socket->fd >= 0);
    listener->acceptor = acceptor;
    listener->socket = *socket;
    listener->permanent = permanent;
    event_assign(&listener->event, acceptor->base, socket->fd, EV_READ | EV_PERSIST, on_acceptable,
                 listener);
    if (event_add(&listener->event, NULL) < 0) {
        free(listener);
        return false;
    }
    TAILQ_INSERT_TAIL(&acceptor->listeners, listener, entry);
    return true;
}

static void close_listener(struct acceptor *acceptor, struct port_listener *listener) {
    PORTOLAN_ASSERT(listener->acceptor == acceptor);
    TAILQ_REMOVE(&acceptor->listeners, listener, entry);
    event_del(&listener->event);
    close(listener->socket.fd);
    free(listener);
}

static bool add_listeners(struct acceptor *acceptor, struct listeners *listeners, bool permanent) {
    while (listeners->count > 0) {
        if (!add_listener(acceptor, &listeners->all[listeners->count - 1], permanent)) {
            listeners_close(listeners);
            return false;
        }
        listeners->count--;
    }
    return true;
}

bool acceptor_listen(struct acceptor *acceptor, struct listeners *listeners) {
    return add_listeners(acceptor, listeners, false);
}

bool acceptor_unlisten(struct acceptor *acceptor, uint16_t port) {
    struct port_listener *listener, *following;
    bool any = false;
    for (listener = TAILQ_FIRST(&acceptor->listeners); listener != NULL; listener = following) {
        following = TAILQ_NEXT(listener, entry);
        if (listener->permanent || address_port(&listener->socket.address) != port)
            continue;
        close_listener(acceptor, listener);
        any = true;
    }
    return any;
}

bool acceptor_listens(const struct acceptor *acceptor, uint16_t port) {
    const struct port_listener *listener;
    TAILQ_FOREACH(listener, &acceptor->listeners, entry) {
        if (address_port(&listener->socket.address) == port)
            return true;
    }
    return false;
}

bool acceptor_has_front(const struct acceptor *acceptor, uint16_t port) {
    const struct port_listener *listener;
    TAILQ_FOREACH(listener, &acceptor->listeners, entry) {
        if (listener->socket.role == LISTENER_FRONT &&
            address_port(&listener->socket.address) == port)
            return true;
    }
    return false;
}

bool acceptor_has_backlog(const struct acceptor *acceptor, enum listener_role role) {
    const struct port_listener *listener;
    TAILQ_FOREACH(listener, &acceptor->listeners, entry) {
        struct pollfd queue = {.fd = listener->socket.fd, .events = POLLIN};
        if (listener->socket.role == role && poll(&queue, 1, 0) > 0)
            return true;
    }
    return false;
}

/* --- beginning and end --- */

struct acceptor *acceptor_new(struct event_base *base, const struct acceptor_options *options,
                              const struct acceptor_hooks *hooks,
                              const struct listeners *listeners) {
    struct listeners owned = *listeners;
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (acceptor == NULL) {
        listeners_close(&owned);
        return NULL;
    }
    acceptor->base = base;
    acceptor->options = *options;
    acceptor->hooks = *hooks;
    acceptor->reserve_fd = loop_open_reserve();
    TAILQ_INIT(&acceptor->listeners);
    acceptor->resume_event = event_new(base, -1, 0, on_resume, acceptor);
    if (acceptor->resume_event != NULL && add_listeners(acceptor, &owned, true))
        return acceptor;
    listeners_close(&owned);
    acceptor_free(acceptor);
    return NULL;
}

void acceptor_free(struct acceptor *acceptor) {
    if (acceptor == NULL)
        return;
    while (!TAILQ_EMPTY(&acceptor->listeners))
        close_listener(acceptor, TAILQ_FIRST(&acceptor->listeners));
    loop_free_event(acceptor->resume_event);
    if (acceptor->reserve_fd >= 0)
        close(acceptor->reserve_fd);
    free(acceptor);
}
