#include "front/assignment.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/turn_budget.h"
#include "host/listener_owner.h"
#include "host/port_probe.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536

/* Over all names, in steps of a turn of the loop each. */
enum walk {
    WALK_NONE,
    WALK_MOVE,          /* the rule has changed: each gets the port that it has now */
    WALK_REPORT_SHARED, /* behind that one */
    WALK_RETRY,         /* those without their port */
};

struct front_assignment {
    struct front_deps deps;
    struct front_options options;
    struct front_hooks hooks;
    struct routes *ports;
    size_t opened; /* front ports besides the daemon's own */

    /* walks, and nodes that are tried again */
    bool any_unassigned; /* some node may be without its front port */
    struct event *retry_event;
    int64_t retry_at_ms; /* while the event is pending */
    int64_t delay_ms;    /* of the next time that it is set */
    enum walk walk;
    struct registry_cursor cursor;  /* of the walk */
    uint8_t cannot_open[PORTS / 8]; /* the ports that were tried in this walk */
};

/* What became of a try. */
struct outcome {
    bool in_use;       /* see front_port_error */
    bool of_port;      /* no other node can have this port either */
    struct bytes name; /* see front_port_error */
    char reason[128];
};

/* --- the listeners --- */

static bool fail(struct outcome *outcome, const char *reason) {
    snprintf(outcome->reason, sizeof outcome->reason, "%s", reason);
    return false;
}

static bool listen_on(struct front_assignment *assignment, uint16_t port, struct outcome *outcome) {
    struct listen_failure failure;
    struct listeners listeners = {.count = 0};
    if (!listeners_open(&listeners, LISTENER_FRONT, assignment->options.addresses, port,
                        &failure)) {
        outcome->in_use = failure.error == EADDRINUSE;
        return fail(outcome, strerror(failure.error));
    }
    if (acceptor_listen(assignment->deps.acceptor, &listeners))
        return true;
    acceptor_unlisten(assignment->deps.acceptor, port);
    return fail(outcome, "out of memory");
}

static bool open_port(struct front_assignment *assignment, uint16_t port,
                      const struct registration *registration, struct outcome *outcome) {
    if (acceptor_has_front(assignment->deps.acceptor, port))
        return true;
    outcome->of_port = true;
    if (acceptor_listens(assignment->deps.acceptor, port))
        return fail(outcome, "this daemon serves only the epmd protocol there");
    if (assignment->deps.pool != NULL && port_pool_has(assignment->deps.pool, port)) {
        outcome->name = port_pool_holder(assignment->deps.pool, port);
        return fail(outcome, "the port belongs to another name");
    }
    if (assignment->opened >= assignment->options.ports_max) {
        snprintf(outcome->reason, sizeof outcome->reason,
                 "%zu front ports are open, and more would need too many descriptors",
                 assignment->opened);
        return false;
    }
    if (!listen_on(assignment, port, outcome))
        return false;
    assignment->opened++;
    PORTOLAN_ASSERT(assignment->opened <= assignment->options.ports_max);
    if (assignment->deps.pool != NULL)
        port_pool_front_opened(assignment->deps.pool, port);
    assignment->hooks.opened(assignment->hooks.context, port, registration);
    return true;
}

static void close_port(struct front_assignment *assignment, uint16_t port,
                       const struct registration *registration) {
    if (routes_count(assignment->ports, port) > 0 ||
        !acceptor_unlisten(assignment->deps.acceptor, port))
        return;
    PORTOLAN_ASSERT(assignment->opened > 0);
    assignment->opened--;
    if (assignment->deps.pool != NULL)
        port_pool_front_closed(assignment->deps.pool, port);
    assignment->hooks.closed(assignment->hooks.context, port, registration);
}

/* --- the nodes --- */

/* 0: it needs none. */
static uint16_t wanted_port(const struct front_assignment *assignment,
                            const struct registration *registration) {
    uint16_t port = front_port_derive(registration, &assignment->options.rule);
    return assignment->options.proxy && port != registration->node.port ? port : 0;
}

static bool route_add(struct front_assignment *assignment, struct registration *registration,
                      uint16_t port, struct outcome *outcome) {
    *outcome = (struct outcome){.in_use = false};
    /* a node that says so leads the proxy to itself */
    if (acceptor_listens(assignment->deps.acceptor, registration->node.port))
        return fail(outcome, "it claims a port of this daemon");
    if (assignment->options.streams.check_owner &&
        !listener_owner_may_have(registration->user, registration->node.port))
        return fail(outcome, "ports below 1024 are only for root's nodes");
    if (!open_port(assignment, port, registration, outcome))
        return false;
    PORTOLAN_ASSERT(port != 0 && registration->front_port == 0);
    registration->front_port = port;
    if (routes_add(assignment->ports, registration)) {
        registration->loopback_only = port_probe_is_loopback_only(registration->node.port);
        return true;
    }
    registration->front_port = 0;
    close_port(assignment, port, registration);
    return fail(outcome, "out of memory");
}

static void route_remove(struct front_assignment *assignment, struct registration *registration) {
    uint16_t port = registration->front_port;
    if (port == 0)
        return;
    routes_remove(assignment->ports, registration, clock_monotonic_ms());
    registration->front_port = 0;
    registration->loopback_only = false;
    assignment->hooks.lookups_ready(assignment->hooks.context, false);
    close_port(assignment, port, registration);
}

static void report_if_shared(struct front_assignment *assignment,
                             struct registration *registration) {
    uint16_t port = registration->front_port;
    if (port != 0 && routes_at(assignment->ports, port, 0) != registration)
        assignment->hooks.shared(assignment->hooks.context, port, registration);
}

/* --- trying again --- */

/* Without memory for the timer, the next node that comes or goes sets it. */
static void retry_in(struct front_assignment *assignment, int64_t ms) {
    assignment->retry_at_ms = clock_monotonic_ms() + ms;
    loop_set_timer_or_now(assignment->retry_event, ms);
}

static void retry_later(struct front_assignment *assignment) {
    retry_in(assignment, assignment->delay_ms);
    assignment->delay_ms *= 2;
    if (assignment->delay_ms > FRONT_RETRY_MAX_MS)
        assignment->delay_ms = FRONT_RETRY_MAX_MS;
}

/* Something has changed: the next walk is soon, but none is put off for it. */
static void retry_soon(struct front_assignment *assignment) {
    if (!assignment->any_unassigned)
        return;
    assignment->delay_ms = FRONT_RETRY_FIRST_MS;
    bool is_soon = event_pending(assignment->retry_event, EV_TIMEOUT, NULL) &&
                   assignment->retry_at_ms <= clock_monotonic_ms() + FRONT_RETRY_FIRST_MS;
    if (assignment->walk == WALK_NONE && !is_soon)
        retry_later(assignment);
}

static bool was_tried(const struct front_assignment *assignment, uint16_t port) {
    return (assignment->cannot_open[port / 8] >> port % 8 & 1) != 0;
}

static void note_tried(struct front_assignment *assignment, uint16_t port) {
    assignment->cannot_open[port / 8] |= (uint8_t)(1U << port % 8);
}

/* Whether it needed a try. */
static bool try_again(struct front_assignment *assignment, struct registration *registration) {
    uint16_t port = wanted_port(assignment, registration);
    struct outcome outcome;
    if (port == 0 || registration->front_port != 0)
        return false;
    if (was_tried(assignment, port)) {
        assignment->any_unassigned = true;
        return false;
    }
    if (route_add(assignment, registration, port, &outcome)) {
        assignment->hooks.recovered(assignment->hooks.context, registration);
        assignment->hooks.route_changed(assignment->hooks.context, registration);
        report_if_shared(assignment, registration);
        return true;
    }
    assignment->any_unassigned = true;
    if (outcome.of_port)
        note_tried(assignment, port);
    return true;
}

/* --- what its port is --- */

static void assign_port(struct front_assignment *assignment, struct registration *registration) {
    uint16_t port = wanted_port(assignment, registration);
    struct outcome outcome;
    if (port == 0 || route_add(assignment, registration, port, &outcome))
        return;
    const struct front_port_error error = {.registration = registration,
                                           .port = port,
                                           .reason = outcome.reason,
                                           .in_use = outcome.in_use,
                                           .name = outcome.name};
    assignment->hooks.port_failed(assignment->hooks.context, &error);
    assignment->any_unassigned = true;
    retry_soon(assignment);
}

static void move(struct front_assignment *assignment, struct registration *registration) {
    uint16_t before = registration->front_port;
    if (before == wanted_port(assignment, registration))
        return;
    route_remove(assignment, registration);
    assign_port(assignment, registration);
    if (registration->front_port != before)
        assignment->hooks.route_changed(assignment->hooks.context, registration);
}

/* --- walks over the names --- */

static void end_walk(struct front_assignment *assignment) {
    if (assignment->walk == WALK_NONE)
        return;
    registry_cursor_end(&assignment->cursor);
    assignment->walk = WALK_NONE;
}

static void begin_walk(struct front_assignment *assignment, enum walk walk) {
    end_walk(assignment);
    registry_cursor_begin(&assignment->cursor, assignment->deps.registry, REGISTRY_LIVE);
    memset(assignment->cannot_open, 0, sizeof assignment->cannot_open);
    assignment->walk = walk;
    if (walk == WALK_RETRY)
        assignment->any_unassigned = false;
}

/* Whether a port was tried to be opened again. */
static bool visit(struct front_assignment *assignment, struct registration *registration) {
    switch (assignment->walk) {
    case WALK_MOVE:
        move(assignment, registration);
        return false;
    case WALK_REPORT_SHARED:
        report_if_shared(assignment, registration);
        return false;
    default:
        return try_again(assignment, registration);
    }
}

/* A step of a walk. False: it has come to its end. */
static bool step(struct front_assignment *assignment) {
    const struct registration *next;
    unsigned names = 0, opens = 0;
    do {
        next = registry_cursor_peek(&assignment->cursor);
        if (next == NULL)
            return false;
        registry_cursor_advance(&assignment->cursor);
        opens += visit(assignment, registry_find(assignment->deps.registry, next->node.name));
    } while (++names < FRONT_STEP && opens < FRONT_RETRY_OPENS &&
             turn_budget_is_left(assignment->options.streams.budget));
    return true;
}

/* Shared ports are reported once all nodes have theirs and the first of each is known. */
static void go_on(struct front_assignment *assignment) {
    bool more = step(assignment);
    if (!more && assignment->walk == WALK_MOVE) {
        begin_walk(assignment, WALK_REPORT_SHARED);
        more = step(assignment);
    }
    if (more) {
        retry_in(assignment, 0);
        return;
    }
    end_walk(assignment);
    if (assignment->any_unassigned)
        retry_later(assignment);
}

static void on_retry(evutil_socket_t fd, short what, void *context) {
    struct front_assignment *assignment = context;
    (void)fd;
    (void)what;
    if (assignment->walk == WALK_NONE)
        begin_walk(assignment, WALK_RETRY);
    go_on(assignment);
}

/* --- coming and going --- */

void front_assignment_add(struct front_assignment *assignment, struct registration *registration) {
    assign_port(assignment, registration);
    report_if_shared(assignment, registration);
}

void front_assignment_remove(struct front_assignment *assignment,
                             struct registration *registration) {
    route_remove(assignment, registration);
    retry_soon(assignment);
}

void front_assignment_configure(struct front_assignment *assignment,
                                const struct front_options *options) {
    if (assignment->options.proxy == options->proxy &&
        assignment->options.rule.offset_max == options->rule.offset_max)
        return;
    assignment->options.proxy = options->proxy;
    assignment->options.rule.offset_max = options->rule.offset_max;
    begin_walk(assignment, WALK_MOVE);
    go_on(assignment);
}

/* --- beginning and end --- */

struct front_assignment *front_assignment_new(const struct front_deps *deps,
                                              const struct front_options *options,
                                              const struct front_hooks *hooks) {
    struct front_assignment *assignment = calloc(1, sizeof *assignment);
    if (assignment == NULL)
        return NULL;
    assignment->deps = *deps;
    assignment->options = *options;
    assignment->hooks = *hooks;
    assignment->ports = routes_new();
    assignment->retry_event = event_new(deps->base, -1, 0, on_retry, assignment);
    if (assignment->ports != NULL && assignment->retry_event != NULL)
        return assignment;
    front_assignment_free(assignment);
    return NULL;
}

void front_assignment_free(struct front_assignment *assignment) {
    if (assignment == NULL)
        return;
    end_walk(assignment);
    loop_free_event(assignment->retry_event);
    routes_free(assignment->ports);
    free(assignment);
}

struct routes *front_assignment_ports(struct front_assignment *assignment) {
    return assignment->ports;
}
