#include "net/front_routes.h"

#include "base/clock.h"
#include "net/listener_owner.h"
#include "net/loop.h"
#include "net/port_probe.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536

struct front_routes {
    struct front_house house;
    struct front_options options;
    struct front_hooks hooks;
    struct front_ports *ports;
    size_t opened; /* front ports besides the daemon's own */

    /* nodes that are tried again */
    bool short_of; /* some node may be without its front port */
    struct event *retry_event;
    int64_t retry_at_ms; /* while the event is pending */
    int64_t delay_ms;    /* of the next time that it is set */
    bool walking;
    struct registry_cursor cursor;  /* while walking */
    uint8_t cannot_open[PORTS / 8]; /* the ports that were tried in this walk */
};

/* What became of a try. */
struct outcome {
    bool in_use;       /* see front_shortage */
    bool of_port;      /* no other node can have this port either */
    struct bytes name; /* see front_shortage */
    char reason[128];
};

/* --- the listeners --- */

static bool fail(struct outcome *outcome, const char *reason) {
    snprintf(outcome->reason, sizeof outcome->reason, "%s", reason);
    return false;
}

static bool listen_on(struct front_routes *routes, uint16_t port, struct outcome *outcome) {
    struct listen_failure failure;
    struct listeners listeners = {.count = 0};
    if (!listeners_open(&listeners, LISTENER_FRONT, routes->options.addresses, port, &failure)) {
        outcome->in_use = failure.error == EADDRINUSE;
        return fail(outcome, strerror(failure.error));
    }
    if (epmd_server_listen(routes->house.server, &listeners))
        return true;
    epmd_server_unlisten(routes->house.server, port);
    return fail(outcome, "out of memory");
}

static bool open_port(struct front_routes *routes, uint16_t port,
                      const struct registration *registration, struct outcome *outcome) {
    if (epmd_server_has_front(routes->house.server, port))
        return true;
    outcome->of_port = true;
    if (epmd_server_listens(routes->house.server, port))
        return fail(outcome, "this daemon speaks the epmd protocol alone there");
    if (routes->house.pool != NULL && port_pool_has(routes->house.pool, port)) {
        outcome->name = port_pool_holder(routes->house.pool, port);
        return fail(outcome, "another name has it");
    }
    if (routes->opened >= routes->options.ports_max) {
        snprintf(outcome->reason, sizeof outcome->reason,
                 "%zu front ports are open, and more would need too many descriptors",
                 routes->opened);
        return false;
    }
    if (!listen_on(routes, port, outcome))
        return false;
    routes->opened++;
    if (routes->house.pool != NULL)
        port_pool_front_opened(routes->house.pool, port);
    routes->hooks.opened(routes->hooks.context, port, registration);
    return true;
}

static void close_port(struct front_routes *routes, uint16_t port,
                       const struct registration *registration) {
    if (front_ports_count(routes->ports, port) > 0 ||
        !epmd_server_unlisten(routes->house.server, port))
        return;
    routes->opened--;
    if (routes->house.pool != NULL)
        port_pool_front_closed(routes->house.pool, port);
    routes->hooks.closed(routes->hooks.context, port, registration);
}

/* --- the nodes --- */

/* 0: it needs none. */
static uint16_t wanted_port(const struct front_routes *routes,
                            const struct registration *registration) {
    uint16_t port = front_ports_derive(registration, &routes->options.rule);
    return routes->options.proxy && port != registration->node.port ? port : 0;
}

static bool put_behind(struct front_routes *routes, struct registration *registration,
                       uint16_t port, struct outcome *outcome) {
    *outcome = (struct outcome){.in_use = false};
    /* a node that says so leads the proxy to itself */
    if (epmd_server_listens(routes->house.server, registration->node.port))
        return fail(outcome, "it says that it listens on a port of this daemon");
    if (routes->options.streams.check_owner &&
        !listener_owner_may_have(registration->user, registration->node.port))
        return fail(outcome, "ports below 1024 are led to for root's nodes alone");
    if (!open_port(routes, port, registration, outcome))
        return false;
    registration->front_port = port;
    if (front_ports_add(routes->ports, registration)) {
        registration->loopback_only = port_probe_is_loopback_only(registration->node.port);
        return true;
    }
    registration->front_port = 0;
    close_port(routes, port, registration);
    return fail(outcome, "out of memory");
}

static void take_from_behind(struct front_routes *routes, struct registration *registration) {
    uint16_t port = registration->front_port;
    if (port == 0)
        return;
    front_ports_remove(routes->ports, registration, clock_monotonic_ms());
    registration->front_port = 0;
    registration->loopback_only = false;
    epmd_server_answer_soon(routes->house.server);
    close_port(routes, port, registration);
}

static void tell_if_shared(struct front_routes *routes, struct registration *registration) {
    uint16_t port = registration->front_port;
    if (port != 0 && front_ports_at(routes->ports, port, 0) != registration)
        routes->hooks.shared(routes->hooks.context, port, registration);
}

/* --- trying again --- */

/* Without memory for the timer, the next node that comes or goes sets it. */
static void retry_in(struct front_routes *routes, int64_t ms) {
    routes->retry_at_ms = clock_monotonic_ms() + ms;
    loop_set_timer_or_now(routes->retry_event, ms);
}

static void retry_later(struct front_routes *routes) {
    retry_in(routes, routes->delay_ms);
    routes->delay_ms *= 2;
    if (routes->delay_ms > FRONT_RETRY_MAX_MS)
        routes->delay_ms = FRONT_RETRY_MAX_MS;
}

/* Something has changed: the next walk is soon, but none is put off for it. */
static void retry_soon(struct front_routes *routes) {
    if (!routes->short_of)
        return;
    routes->delay_ms = FRONT_RETRY_FIRST_MS;
    bool is_soon = event_pending(routes->retry_event, EV_TIMEOUT, NULL) &&
                   routes->retry_at_ms <= clock_monotonic_ms() + FRONT_RETRY_FIRST_MS;
    if (!routes->walking && !is_soon)
        retry_later(routes);
}

static bool was_tried(const struct front_routes *routes, uint16_t port) {
    return (routes->cannot_open[port / 8] >> port % 8 & 1) != 0;
}

static void note_tried(struct front_routes *routes, uint16_t port) {
    routes->cannot_open[port / 8] |= (uint8_t)(1U << port % 8);
}

/* Whether it needed a try. */
static bool try_again(struct front_routes *routes, struct registration *registration) {
    uint16_t port = wanted_port(routes, registration);
    struct outcome outcome;
    if (port == 0 || registration->front_port != 0)
        return false;
    if (was_tried(routes, port)) {
        routes->short_of = true;
        return false;
    }
    if (put_behind(routes, registration, port, &outcome)) {
        routes->hooks.recovered(routes->hooks.context, registration);
        routes->hooks.moved(routes->hooks.context, registration);
        tell_if_shared(routes, registration);
        return true;
    }
    routes->short_of = true;
    if (outcome.of_port)
        note_tried(routes, port);
    return true;
}

static void begin_walk(struct front_routes *routes) {
    registry_cursor_begin(&routes->cursor, routes->house.registry, REGISTRY_LIVE);
    memset(routes->cannot_open, 0, sizeof routes->cannot_open);
    routes->walking = true;
    routes->short_of = false;
}

static void end_walk(struct front_routes *routes) {
    if (!routes->walking)
        return;
    registry_cursor_end(&routes->cursor);
    routes->walking = false;
}

/* A step of a walk. False: it has come to its end. */
static bool walk(struct front_routes *routes) {
    const struct registration *next;
    unsigned opens = 0;
    for (unsigned i = 0; i < FRONT_RETRY_STEP && opens < FRONT_RETRY_OPENS; i++) {
        next = registry_cursor_peek(&routes->cursor);
        if (next == NULL)
            return false;
        registry_cursor_advance(&routes->cursor);
        opens += try_again(routes, registry_find(routes->house.registry, next->node.name));
    }
    return true;
}

static void on_retry(evutil_socket_t fd, short what, void *context) {
    struct front_routes *routes = context;
    (void)fd;
    (void)what;
    if (!routes->walking)
        begin_walk(routes);
    if (walk(routes)) {
        retry_in(routes, 0);
        return;
    }
    end_walk(routes);
    if (routes->short_of)
        retry_later(routes);
}

/* --- coming, going, changing --- */

static void give_port(struct front_routes *routes, struct registration *registration) {
    uint16_t port = wanted_port(routes, registration);
    struct outcome outcome;
    if (port == 0 || put_behind(routes, registration, port, &outcome))
        return;
    const struct front_shortage shortage = {.registration = registration,
                                            .port = port,
                                            .reason = outcome.reason,
                                            .in_use = outcome.in_use,
                                            .name = outcome.name};
    routes->hooks.short_of(routes->hooks.context, &shortage);
    routes->short_of = true;
    retry_soon(routes);
}

void front_routes_add(struct front_routes *routes, struct registration *registration) {
    give_port(routes, registration);
    tell_if_shared(routes, registration);
}

void front_routes_remove(struct front_routes *routes, struct registration *registration) {
    take_from_behind(routes, registration);
    retry_soon(routes);
}

static void for_all(struct front_routes *routes,
                    void (*visit)(struct front_routes *routes, struct registration *registration)) {
    struct registry *registry = routes->house.registry;
    struct registry_cursor cursor;
    const struct registration *next;
    registry_cursor_begin(&cursor, registry, REGISTRY_LIVE);
    for (; (next = registry_cursor_peek(&cursor)) != NULL; registry_cursor_advance(&cursor))
        visit(routes, registry_find(registry, next->node.name));
    registry_cursor_end(&cursor);
}

static void move(struct front_routes *routes, struct registration *registration) {
    uint16_t before = registration->front_port;
    if (before == wanted_port(routes, registration))
        return;
    take_from_behind(routes, registration);
    give_port(routes, registration);
    if (registration->front_port != before)
        routes->hooks.moved(routes->hooks.context, registration);
}

void front_routes_configure(struct front_routes *routes, const struct front_options *options) {
    if (routes->options.proxy == options->proxy &&
        routes->options.rule.offset_max == options->rule.offset_max)
        return;
    routes->options.proxy = options->proxy;
    routes->options.rule.offset_max = options->rule.offset_max;
    for_all(routes, move);
    for_all(routes, tell_if_shared); /* once the first of each port is known */
}

/* --- beginning and end --- */

struct front_routes *front_routes_new(const struct front_house *house,
                                      const struct front_options *options,
                                      const struct front_hooks *hooks) {
    struct front_routes *routes = calloc(1, sizeof *routes);
    if (routes == NULL)
        return NULL;
    routes->house = *house;
    routes->options = *options;
    routes->hooks = *hooks;
    routes->ports = front_ports_new();
    routes->retry_event = event_new(house->base, -1, 0, on_retry, routes);
    if (routes->ports != NULL && routes->retry_event != NULL)
        return routes;
    front_routes_free(routes);
    return NULL;
}

void front_routes_free(struct front_routes *routes) {
    if (routes == NULL)
        return;
    end_walk(routes);
    loop_free_event(routes->retry_event);
    front_ports_free(routes->ports);
    free(routes);
}

struct front_ports *front_routes_ports(struct front_routes *routes) {
    return routes->ports;
}
