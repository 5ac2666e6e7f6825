#include "daemon/control.h"

#include "base/clock.h"
#include "base/version.h"
#include "daemon/control_cluster.h"
#include "daemon/control_front.h"
#include "daemon/control_reply.h"
#include "erlang/ekka_port.h"
#include "erlang/node_name.h"
#include "net/own_host.h"
#include "net/port_probe.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- what requests say --- */

struct node {
    struct bytes alive;
    struct bytes host; /* empty: none was said */
};

/* Splits "Name@Host" or "Name". False when there is no usable name in it. */
static bool node_member(const json_t *request, struct node *node) {
    struct bytes whole = control_text(request, "node");
    const uint8_t *at = whole.len == 0 ? NULL : memchr(whole.data, '@', whole.len);
    node->alive = at == NULL ? whole : bytes_of(whole.data, (size_t)(at - whole.data));
    node->host = at == NULL ? bytes_of(NULL, 0) : bytes_of(at + 1, whole.len - node->alive.len - 1);
    return alive_name_check(node->alive) == ALIVE_NAME_OK;
}

static json_t *bad_node(void) {
    return control_failure("bad_request",
                           "\"node\" must be the name of a node: Name@Host, or Name");
}

/* --- status and names --- */

static json_t *describe_listeners(const struct control_host *host) {
    json_t *all = json_array();
    for (size_t i = 0; i < host->listeners->count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        const struct listener *listener = &host->listeners->all[i];
        json_array_append_new(all, json_pack("{s:s, s:s}", "address",
                                             address_format(&listener->address, text), "role",
                                             listener_role_names[listener->role]));
    }
    return all;
}

static json_t *describe_counters(const struct epmd_counters *counters) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "accepted", (json_int_t)counters->accepted,
                     "requests", (json_int_t)counters->requests, "refused",
                     (json_int_t)counters->refused, "shed", (json_int_t)counters->shed, "timed_out",
                     (json_int_t)counters->timed_out, "limited", (json_int_t)counters->limited);
}

static json_t *describe_ports(const struct config *config) {
    return json_pack("{s:s, s:b, s:i, s:i, s:i}", "policy", port_policy_names[config->port_policy],
                     "enforce", config->port_enforce, "min", config->dist_listen_min, "max",
                     config->dist_listen_max, "base", config->dist_base_port);
}

static json_int_t count_leases(const struct control_host *host) {
    const struct port_pool *pool = host->service->pool;
    return pool == NULL ? 0 : (json_int_t)port_pool_count(pool);
}

static json_t *run_status(struct control_host *host, struct control_peer *peer,
                          const json_t *request) {
    (void)peer;
    (void)request;
    const struct epmd_server_status status = epmd_server_status(host->epmd_server);
    int64_t uptime_ms = clock_monotonic_ms() - host->started_ms;
    return control_ok_with(
        json_pack("{s:s, s:s, s:i, s:o, s:I, s:o, s:I, s:I, s:{s:I, s:I}, s:o, s:o, s:o}",
                  "version", PORTOLAN_VERSION, "node", host->config->node_name, "pid",
                  (int)getpid(), "started_at", events_json_time(host->started_wall_ms), "uptime_s",
                  (json_int_t)(uptime_ms / 1000), "listeners", describe_listeners(host), "names",
                  (json_int_t)registry_count(host->service->registry), "leases", count_leases(host),
                  "connections", "registered", (json_int_t)status.registered, "waiting",
                  (json_int_t)status.waiting, "ports", describe_ports(host->config), "counters",
                  describe_counters(&status.counters), "front", control_front_status(host)));
}

static json_t *run_names(struct control_host *host, struct control_peer *peer,
                         const json_t *request) {
    struct registry_cursor cursor;
    const struct registration *registration;
    json_t *names = json_array();
    int64_t now_ms = clock_monotonic_ms();
    (void)peer;
    if (json_is_true(json_object_get(request, "cluster"))) {
        json_decref(names);
        return control_cluster_names(host);
    }
    registry_cursor_begin(&cursor, host->service->registry, REGISTRY_LIVE);
    for (; (registration = registry_cursor_peek(&cursor)) != NULL; registry_cursor_advance(&cursor))
        json_array_append_new(names,
                              json_pack("{s:o, s:i, s:o, s:s, s:I, s:I}", "name",
                                        events_json_text(registration->node.name), "port",
                                        registration->node.port, "front_port",
                                        control_port_or_null(registration->front_port), "type",
                                        epmd_node_type_name(registration->node.type), "creation",
                                        (json_int_t)registration->creation, "since_s",
                                        (json_int_t)((now_ms - registration->since_ms) / 1000)));
    registry_cursor_end(&cursor);
    return control_ok_with(json_pack("{s:o}", "names", names));
}

/* Whether a host in a node's name is this one. What is not certain is not: then its epmd is asked.
 */
static bool is_this_host(const struct control_host *host, struct bytes name) {
    const char *own = strchr(host->config->node_name, '@');
    if (name.len == 0 || (own != NULL && bytes_equal(name, bytes_of_text(own + 1))))
        return true;
    return own_host_is(name);
}

/* A node that was found, and from where it is looked for. */
struct place {
    struct bytes host;
    uint16_t own_port, front_port;
    bool is_here;
    struct bytes member; /* empty: the daemon runs alone */
};

static json_t *describe_place(const struct place *place, json_t *node) {
    bool is_proxied = !place->is_here && place->front_port != 0;
    json_t *object = json_pack("{s:O, s:o, s:i, s:i, s:o, s:s}", "node", node, "host",
                               events_json_text(place->host), "port",
                               (int)(is_proxied ? place->front_port : place->own_port), "own_port",
                               (int)place->own_port, "front_port",
                               control_port_or_null(place->front_port), "source", "registered");
    if (place->member.len > 0)
        json_object_set_new(object, "member", events_json_text(place->member));
    return control_ok_with(object);
}

static bool find_here(const struct control_host *host, const struct node *node,
                      struct place *place) {
    const struct registration *found =
        is_this_host(host, node->host) ? registry_find(host->service->registry, node->alive) : NULL;
    if (found == NULL)
        return false;
    *place = (struct place){
        .host = node->host,
        .own_port = found->node.port,
        .front_port = found->front_port,
        .is_here = true,
        .member =
            host->cluster == NULL ? bytes_of(NULL, 0) : bytes_of_text(host->config->node_name),
    };
    return true;
}

static bool find_in_cluster(const struct control_host *host, struct bytes node,
                            struct place *place) {
    const struct directory_entry *found = control_cluster_find(host, node);
    if (found == NULL)
        return false;
    struct bytes owner_host = directory_owner_host(found->owner);
    *place = (struct place){
        .host = owner_host,
        .own_port = found->node.port,
        .front_port = found->node.front_port,
        .is_here = is_this_host(host, owner_host), /* several daemons of one host */
        .member = directory_owner_name(found->owner),
    };
    return true;
}

static json_t *run_resolve(struct control_host *host, struct control_peer *peer,
                           const json_t *request) {
    struct node node;
    struct place place;
    (void)peer;
    if (!node_member(request, &node))
        return bad_node();
    if (!find_here(host, &node, &place) &&
        !find_in_cluster(host, control_text(request, "node"), &place))
        return control_failure("not_found", "no node of this name is registered here");
    return describe_place(&place, json_object_get(request, "node"));
}

/* --- ports and leases --- */

static json_t *derive(const json_t *node, uint16_t base) {
    uint32_t port;
    char error[128];
    if (ekka_port(bytes_of(json_string_value(node), json_string_length(node)), base, &port))
        return json_pack("{s:O, s:i}", "node", node, "port", (int)port);
    snprintf(error, sizeof error, "base %u + offset %u is %u, which is over 65535", base,
             (unsigned)(port - base), (unsigned)port);
    return json_pack("{s:O, s:n, s:s}", "node", node, "port", "error", error);
}

static bool are_texts(const json_t *list) {
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(list);
}

static json_t *run_port(struct control_host *host, struct control_peer *peer,
                        const json_t *request) {
    const json_t *nodes = json_object_get(request, "nodes");
    const json_t *base_member = json_object_get(request, "base");
    json_int_t base =
        base_member == NULL ? host->config->dist_base_port : json_integer_value(base_member);
    json_t *ports;
    const json_t *node;
    size_t i;
    (void)peer;
    bool base_is_port =
        (base_member == NULL || json_is_integer(base_member)) && base >= 0 && base <= UINT16_MAX;
    if (!are_texts(nodes) || !base_is_port)
        return control_failure("bad_request", "\"nodes\" must be a list of names, \"base\" a port");
    ports = json_array();
    json_array_foreach(nodes, i, node) {
        json_array_append_new(ports, derive(node, (uint16_t)base));
    }
    return control_ok_with(json_pack("{s:I, s:o}", "base", base, "ports", ports));
}

struct lease_list {
    const struct control_host *host;
    json_t *all;
    int64_t now_ms;
};

static void add_holder(struct lease_list *list, struct bytes name, const struct port_lease *lease) {
    bool waits = !lease->held && !lease->front;
    json_array_append_new(
        list->all,
        json_pack("{s:o, s:i, s:b, s:b, s:o}", "name", events_json_text(name), "port", lease->port,
                  "held", lease->held, "front", lease->front, "expires_in_ms",
                  waits ? json_integer(lease->expires_ms - list->now_ms) : json_null()));
}

/* A front port is that of all nodes behind it. */
static void add_lease(void *context, const struct port_lease *lease) {
    struct lease_list *list = context;
    const struct registration *node;
    if (!lease->front) {
        add_holder(list, lease->name, lease);
        return;
    }
    const struct front_ports *ports = front_ports_of(list->host->front->front);
    for (size_t i = 0; (node = front_ports_at(ports, lease->port, i)) != NULL; i++)
        add_holder(list, node->node.name, lease);
}

static json_t *list_leases(const struct control_host *host) {
    struct lease_list list = {.host = host, .all = json_array(), .now_ms = clock_monotonic_ms()};
    if (host->service->pool != NULL)
        port_pool_each(host->service->pool, add_lease, &list);
    return list.all;
}

static json_t *run_leases(struct control_host *host, struct control_peer *peer,
                          const json_t *request) {
    (void)peer;
    (void)request;
    return control_ok_with(json_pack("{s:o}", "leases", list_leases(host)));
}

static json_t *no_lease(const struct control_host *host, struct bytes name,
                        enum port_verdict verdict) {
    const struct config *config = host->config;
    char message[256];
    const char *code = "failed";
    uint32_t derived = 0;
    ekka_port(name, config->dist_base_port, &derived);
    snprintf(message, sizeof message, "%s", port_verdict_reason(verdict));
    if (verdict == PORT_POOL_FULL) {
        code = "pool_full";
        snprintf(message, sizeof message,
                 "no port is free in %u-%u; free one, or widen node.dist_listen_min and _max",
                 config->dist_listen_min, config->dist_listen_max);
    } else if (verdict == PORT_DERIVED_TAKEN) {
        code = "port_taken";
        snprintf(message, sizeof message,
                 "port %u, which the rule derives from this name, is taken", (unsigned)derived);
    } else if (verdict == PORT_DERIVED_NONE) {
        code = "no_port";
        snprintf(message, sizeof message,
                 derived > UINT16_MAX ? "the rule gives this name port %u, which is over 65535"
                                      : "the rule gives this name no port",
                 (unsigned)derived);
    }
    json_t *reply = control_failure(code, message);
    if (verdict == PORT_POOL_FULL || verdict == PORT_DERIVED_TAKEN)
        json_object_set_new(json_object_get(reply, "error"), "holders", list_leases(host));
    return reply;
}

static json_t *without_leases(void) {
    return control_failure("failed", "a daemon under the name epmd promises no ports; start it as "
                                     "portoland");
}

static json_t *run_lease(struct control_host *host, struct control_peer *peer,
                         const json_t *request) {
    bool starved = false;
    const struct port_probe probe = {.is_free = port_probe_is_free, .context = &starved};
    struct port_lease lease;
    struct node node;
    uint16_t port;
    int64_t now_ms = clock_monotonic_ms();
    (void)peer;
    if (!node_member(request, &node))
        return bad_node();
    if (host->service->pool == NULL)
        return without_leases();
    bool had_one = port_pool_find(host->service->pool, node.alive, &lease);
    enum port_verdict verdict =
        port_pool_lease(host->service->pool, node.alive, now_ms, &probe, &port);
    if (verdict != PORT_OK && starved)
        return control_failure("failed",
                               "no descriptor is left to try a port with; allow more with "
                               "'ulimit -n'");
    if (verdict != PORT_OK || !port_pool_find(host->service->pool, node.alive, &lease))
        return no_lease(host, node.alive, verdict);
    host->leases_changed(host->context);
    if (!had_one)
        events_leased(host->events, node.alive, port);
    return control_ok_with(
        json_pack("{s:O, s:i, s:b, s:o, s:i}", "node", json_object_get(request, "node"), "port",
                  port, "held", lease.held, "expires_in_ms",
                  lease.held ? json_null() : json_integer(lease.expires_ms - now_ms), "epmd_port",
                  host->own_epmd_port));
}

static json_t *run_release(struct control_host *host, struct control_peer *peer,
                           const json_t *request) {
    struct port_lease lease;
    struct node node;
    (void)peer;
    if (!node_member(request, &node))
        return bad_node();
    if (host->service->pool == NULL)
        return without_leases();
    if (!port_pool_find(host->service->pool, node.alive, &lease))
        return control_failure("not_found", "this name has no lease");
    uint16_t port = lease.port;
    if (!port_pool_release(host->service->pool, node.alive))
        return control_failure("not_found",
                               "this name is registered: its port is its own until it leaves");
    host->leases_changed(host->context);
    events_lease_ended(host->events, node.alive, port, "released");
    return control_ok();
}

/* --- the daemon --- */

static json_t *run_reload(struct control_host *host, struct control_peer *peer,
                          const json_t *request) {
    json_t *applied = json_array(), *restart = json_array();
    char error[CONTROL_ERROR_SIZE];
    (void)peer;
    (void)request;
    if (host->reload(host->context, applied, restart, error))
        return control_ok_with(json_pack("{s:o, s:o}", "applied", applied, "restart", restart));
    json_decref(applied);
    json_decref(restart);
    return control_failure("failed", error);
}

static json_t *run_stop(struct control_host *host, struct control_peer *peer,
                        const json_t *request) {
    (void)peer;
    (void)request;
    host->stop(host->context);
    return control_ok();
}

static json_t *run_watch(struct control_host *host, struct control_peer *peer,
                         const json_t *request) {
    (void)host;
    (void)request;
    control_peer_watch(peer);
    return control_ok();
}

static const struct command {
    const char *name;
    bool changes;
    json_t *(*run)(struct control_host *host, struct control_peer *peer, const json_t *request);
} commands[] = {
    {"status", false, run_status},
    {"names", false, run_names},
    {"resolve", false, run_resolve},
    {"port", false, run_port},
    {"lease", true, run_lease},
    {"release", true, run_release},
    {"leases", false, run_leases},
    {"streams", false, control_streams},
    {"reload", true, run_reload},
    {"stop", true, run_stop},
    {"watch", false, run_watch},
    {"cluster_status", false, control_cluster_status},
    {"cluster_join", true, control_cluster_join},
    {"cluster_leave", true, control_cluster_leave},
    {"cluster_force_leave", true, control_cluster_force_leave},
};

static const struct command *find_command(struct bytes name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (bytes_equal(name, bytes_of_text(commands[i].name)))
            return &commands[i];
    }
    return NULL;
}

json_t *control_handle(void *context, struct control_peer *peer, const json_t *request) {
    struct control_host *host = context;
    if (json_integer_value(json_object_get(request, "v")) != CONTROL_PROTOCOL_VERSION)
        return control_failure("bad_request", "\"v\" must be 1, the version of the protocol");
    struct bytes name = control_text(request, "command");
    if (name.len == 0)
        return control_failure("bad_request", "\"command\" is missing");
    const struct command *command = find_command(name);
    if (command == NULL)
        return control_failure("unknown_command", "this daemon has no such command");
    if (command->changes && !control_peer_may_change(peer))
        return control_failure("denied",
                               "this command is for root, the daemon's own user and the group "
                               "portolan");
    return command->run(host, peer, request);
}
