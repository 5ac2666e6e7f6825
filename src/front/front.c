#include "front/front.h"

#include "base/assert.h"
#include "base/clock.h"
#include "front/assignment.h"
#include "net/hop_mark.h"

#include <stdlib.h>

struct front {
    struct front_deps deps;
    struct front_options options;
    struct front_hooks hooks;
    struct front_assignment *assignment;
    struct proxy *proxy;
    struct front_counters counters;
};

/* --- the proxy's callers --- */

struct connection_query {
    const struct proxy *proxy;
    struct bytes caller;
    const struct address *peer;
};

static bool is_connected(void *context, const struct registration *registration) {
    const struct connection_query *query = context;
    return proxy_connects(query->proxy, query->caller, query->peer, registration);
}

static const char *refuse_address(struct front *front, const char *reason) {
    front->counters.not_allowed++;
    return reason;
}

static bool is_member(const struct front *front, const struct address *peer) {
    return front->hooks.is_member != NULL && front->hooks.is_member(front->hooks.context, peer);
}

const char *front_admits(struct front *front, int fd, const struct address *peer) {
    const struct allow_list *allow = &front->options.allow;
    if (allow->any || allow->members || address_peer_is_local(fd, peer) ||
        allow_list_has(allow, peer))
        return NULL;
    return refuse_address(front, "front.allow does not include its address");
}

/* What front_admits has let in may be anybody, where members are allowed. */
static bool may_connect(const struct front *front, int fd, const struct address *peer) {
    const struct allow_list *allow = &front->options.allow;
    return allow->any || !allow->members || address_peer_is_local(fd, peer) ||
           allow_list_has(allow, peer) || is_member(front, peer);
}

const char *front_accept(struct front *front, const struct first_caller *caller, int fd,
                         const struct address *peer, struct bytes received) {
    PORTOLAN_ASSERT(caller->who == FIRST_BYTES_DIST || caller->who == FIRST_BYTES_DIST_TLS);
    struct address called;
    socklen_t len = sizeof called;
    if (!front->options.proxy)
        return "the proxy is off";
    if (getsockname(fd, &called.any, &len) < 0)
        return "peer disconnected";
    if (!may_connect(front, fd, peer))
        return refuse_address(front, "front.allow admits members, and none has its address");
    if (address_peer_is_local(fd, peer) && hop_mark_found(fd)) {
        front->counters.loops++;
        return "it comes from a proxy on this host: names that point from one daemon to another";
    }
    struct connection_query query = {.proxy = front->proxy, .caller = caller->node, .peer = peer};
    const struct route_query asks = {.port = address_port(&called),
                                     .address = address_host(peer),
                                     .now_ms = clock_monotonic_ms(),
                                     .is_connected = is_connected,
                                     .context = &query};
    struct routes *ports = front_assignment_ports(front->assignment);
    bool guessed = routes_count(ports, asks.port) > 1;
    const struct registration *wanted = routes_choose(ports, &asks);
    front->hooks.lookups_ready(front->hooks.context, true);
    if (wanted == NULL)
        return "no node is behind this port";
    const struct proxy_call call = {.fd = fd,
                                    .peer = peer,
                                    .called = &called,
                                    .first = received,
                                    .caller = caller->node,
                                    .tls = caller->who == FIRST_BYTES_DIST_TLS,
                                    .guessed = guessed,
                                    .registration = wanted};
    return proxy_open(front->proxy, &call);
}

/* --- the nodes --- */

void front_registered(struct front *front, struct registration *registration) {
    front_assignment_add(front->assignment, registration);
}

void front_unregistered(struct front *front, struct registration *registration) {
    front_assignment_remove(front->assignment, registration);
    proxy_node_left(front->proxy, registration);
}

void front_configure(struct front *front, const struct front_options *options) {
    proxy_configure(front->proxy, &options->streams);
    front->options.proxy = options->proxy;
    front->options.allow = options->allow;
    front_assignment_configure(front->assignment, options);
}

/* --- beginning and end --- */

struct front *front_new(const struct front_deps *deps, const struct front_options *options,
                        const struct front_hooks *hooks) {
    struct front *front = calloc(1, sizeof *front);
    if (front == NULL)
        return NULL;
    front->deps = *deps;
    front->options = *options;
    front->hooks = *hooks;
    front->assignment = front_assignment_new(deps, options, hooks);
    front->proxy = proxy_new(deps->base, &options->streams);
    if (front->assignment != NULL && front->proxy != NULL)
        return front;
    front_free(front);
    return NULL;
}

void front_free(struct front *front) {
    if (front == NULL)
        return;
    proxy_free(front->proxy);
    front_assignment_free(front->assignment);
    free(front);
}

struct routes *front_routes(struct front *front) {
    return front_assignment_ports(front->assignment);
}

struct proxy *front_proxy(const struct front *front) {
    return front->proxy;
}

struct front_counters front_counters(const struct front *front) {
    return front->counters;
}
