#include "net/front_routes.h"

#include "net/port_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct front_routes {
    struct front_house house;
    struct front_options options;
    struct front_hooks hooks;
    struct front_ports *ports;
    size_t opened; /* front ports besides the daemon's own */
};

/* --- the listeners --- */

static bool open_port(struct front_routes *routes, uint16_t port, char *reason, size_t size) {
    struct listen_failure failure;
    struct listeners listeners = {.count = 0};
    if (epmd_server_has_front(routes->house.server, port))
        return true;
    if (epmd_server_listens(routes->house.server, port)) {
        snprintf(reason, size, "this daemon speaks the epmd protocol alone there");
        return false;
    }
    if (routes->house.pool != NULL && port_pool_has(routes->house.pool, port)) {
        snprintf(reason, size, "another name has it");
        return false;
    }
    if (routes->opened >= routes->options.ports_max) {
        snprintf(reason, size, "%zu front ports are open, and more would need too many descriptors",
                 routes->opened);
        return false;
    }
    if (!listeners_open(&listeners, LISTENER_FRONT, routes->options.addresses, port, &failure)) {
        snprintf(reason, size, "%s", strerror(failure.error));
        return false;
    }
    if (!epmd_server_listen(routes->house.server, &listeners)) {
        epmd_server_unlisten(routes->house.server, port);
        snprintf(reason, size, "out of memory");
        return false;
    }
    routes->opened++;
    if (routes->house.pool != NULL)
        port_pool_front_opened(routes->house.pool, port);
    return true;
}

static void close_port(struct front_routes *routes, uint16_t port) {
    if (front_ports_count(routes->ports, port) > 0 ||
        !epmd_server_unlisten(routes->house.server, port))
        return;
    routes->opened--;
    if (routes->house.pool != NULL)
        port_pool_front_closed(routes->house.pool, port);
}

/* --- the nodes --- */

static bool put_behind(struct front_routes *routes, struct registration *registration,
                       uint16_t port, char *reason, size_t size) {
    /* a node that says so leads the proxy to itself */
    if (epmd_server_listens(routes->house.server, registration->node.port)) {
        snprintf(reason, size, "it says that it listens on a port of this daemon");
        return false;
    }
    if (!open_port(routes, port, reason, size))
        return false;
    registration->front_port = port;
    if (front_ports_add(routes->ports, registration))
        return true;
    registration->front_port = 0;
    close_port(routes, port);
    snprintf(reason, size, "out of memory");
    return false;
}

static void give_port(struct front_routes *routes, struct registration *registration) {
    uint16_t port = front_ports_derive(registration, routes->options.base);
    char reason[128];
    if (!routes->options.proxy || port == 0 || port == registration->node.port)
        return;
    if (put_behind(routes, registration, port, reason, sizeof reason)) {
        registration->loopback_only = port_probe_is_loopback_only(registration->node.port);
        return;
    }
    const struct front_shortage shortage = {
        .registration = registration, .port = port, .reason = reason};
    routes->hooks.short_of(routes->hooks.context, &shortage);
}

static void tell_if_shared(struct front_routes *routes, struct registration *registration) {
    uint16_t port = registration->front_port;
    if (port != 0 && front_ports_at(routes->ports, port, 0) != registration)
        routes->hooks.shared(routes->hooks.context, port, registration);
}

void front_routes_add(struct front_routes *routes, struct registration *registration) {
    give_port(routes, registration);
    tell_if_shared(routes, registration);
}

static void take_from_behind(struct front_routes *routes, struct registration *registration) {
    uint16_t port = registration->front_port;
    if (port == 0)
        return;
    front_ports_remove(routes->ports, registration);
    registration->front_port = 0;
    registration->loopback_only = false;
    close_port(routes, port);
}

void front_routes_remove(struct front_routes *routes, struct registration *registration) {
    take_from_behind(routes, registration);
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

static void bring_in(struct front_routes *routes, struct registration *registration) {
    give_port(routes, registration);
    if (registration->front_port != 0)
        routes->hooks.moved(routes->hooks.context, registration);
}

static void take_out(struct front_routes *routes, struct registration *registration) {
    if (registration->front_port == 0)
        return;
    take_from_behind(routes, registration);
    routes->hooks.moved(routes->hooks.context, registration);
}

void front_routes_configure(struct front_routes *routes, bool proxy) {
    if (routes->options.proxy == proxy)
        return;
    routes->options.proxy = proxy;
    for_all(routes, proxy ? bring_in : take_out);
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
    if (routes->ports != NULL)
        return routes;
    front_routes_free(routes);
    return NULL;
}

void front_routes_free(struct front_routes *routes) {
    if (routes == NULL)
        return;
    front_ports_free(routes->ports);
    free(routes);
}

struct front_ports *front_routes_ports(struct front_routes *routes) {
    return routes->ports;
}
