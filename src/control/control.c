#include "control/control.h"

#include "base/clock.h"
#include "base/version.h"
#include "control/cluster.h"
#include "control/front.h"
#include "control/leases.h"
#include "control/names.h"
#include "control/ports.h"
#include "control/reply.h"
#include "host/local_host.h"
#include "net/json_whole.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- status --- */

static json_t *describe_listeners(const struct control_context *control) {
    json_t *all = json_array();
    for (size_t i = 0; i < control->listeners->count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        const struct listener *listener = &control->listeners->all[i];
        all = json_whole_append(all, json_pack("{s:s, s:s}", "address",
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
    int tools_min = config->dist_listen_max - (int)config->dist_tool_ports + 1;
    return json_pack("{s:s, s:b, s:i, s:i, s:o, s:i}", "policy",
                     port_policy_names[config->port_policy], "enforce", config->port_enforce, "min",
                     config->dist_listen_min, "max", config->dist_listen_max, "tools_min",
                     config->dist_tool_ports == 0 ? json_null() : json_integer(tools_min), "base",
                     config->dist_base_port);
}

static bool is_watched(void *context) {
    return control_server_is_watched(context);
}

static void publish(void *context, json_t *event) {
    control_server_publish(context, event);
}

void control_connect_events(struct events *events, struct control_server *server) {
    *events = (struct events){
        .watched = server != NULL ? is_watched : NULL, .publish = publish, .context = server};
}

static json_int_t count_leases(const struct control_context *control) {
    const struct port_pool *pool = control->service->pool;
    return pool == NULL ? 0 : (json_int_t)port_pool_count(pool);
}

static json_t *describe_turns(const struct loop_turns *turns) {
    return json_pack("{s:f, s:I}", "longest_turn_ms", (double)turns->longest_us / 1000,
                     "long_turns", (json_int_t)turns->long_turns);
}

static json_t *describe_control(const struct control_context *control) {
    const struct control_counters counters = control_server_counters(control->server);
    return json_pack("{s:I, s:I, s:I, s:I}", "connected", (json_int_t)counters.connected, "waiting",
                     (json_int_t)counters.waiting, "accepted", (json_int_t)counters.accepted,
                     "busy", (json_int_t)counters.busy);
}

static struct control_stream *run_status(struct control_context *control, struct control_conn *conn,
                                         const json_t *request) {
    (void)conn;
    (void)request;
    const struct epmd_server_status status = epmd_server_status(control->epmd_server);
    int64_t uptime_ms = clock_monotonic_ms() - control->started_ms;
    json_t *head = control_ok_with(json_pack(
        "{s:s, s:s, s:i, s:o, s:I, s:o, s:I, s:I, s:{s:I, s:I}, s:o, s:o, s:o, s:o}", "version",
        PORTOLAN_VERSION, "node", control->config->node_name, "pid", (int)getpid(), "started_at",
        events_json_time(control->started_wall_ms), "uptime_s", (json_int_t)(uptime_ms / 1000),
        "listeners", describe_listeners(control), "names",
        (json_int_t)registry_count(control->service->registry), "leases", count_leases(control),
        "connections", "registered", (json_int_t)status.registered, "waiting",
        (json_int_t)status.waiting, "ports", describe_ports(control->config), "counters",
        describe_counters(&status.counters), "control", describe_control(control), "loop",
        describe_turns(control->turns)));
    return control_status_with_front(control, head);
}

/* --- where a node is --- */

/* Whether a host in a node's name is this one. What is not certain is not: then its epmd is asked.
 */
static bool is_this_host(const struct control_context *control, struct bytes name) {
    const char *own = strchr(control->config->node_name, '@');
    if (name.len == 0 || (own != NULL && bytes_equal(name, bytes_of_text(own + 1))))
        return true;
    return local_host_is(name);
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
        object = json_whole_set(object, "member", events_json_text(place->member));
    return control_ok_with(object);
}

static bool find_here(const struct control_context *control, const struct control_node *node,
                      struct place *place) {
    const struct registration *found = is_this_host(control, node->host)
                                           ? registry_find(control->service->registry, node->alive)
                                           : NULL;
    if (found == NULL)
        return false;
    *place = (struct place){
        .host = node->host,
        .own_port = found->node.port,
        .front_port = found->front_port,
        .is_here = true,
        .member = control->cluster == NULL ? bytes_of(NULL, 0)
                                           : bytes_of_text(control->config->node_name),
    };
    return true;
}

static bool find_in_cluster(const struct control_context *control, struct bytes node,
                            struct place *place) {
    const struct directory_entry *found = control_cluster_find(control, node);
    if (found == NULL)
        return false;
    struct bytes owner_host = directory_owner_host(found->owner);
    *place = (struct place){
        .host = owner_host,
        .own_port = found->node.port,
        .front_port = found->node.front_port,
        .is_here = is_this_host(control, owner_host), /* several daemons of one host */
        .member = directory_owner_name(found->owner),
    };
    return true;
}

static json_t *run_resolve(struct control_context *control, struct control_conn *conn,
                           const json_t *request) {
    struct control_node node;
    struct place place;
    (void)conn;
    if (!control_node_member(request, &node))
        return control_bad_node();
    if (!find_here(control, &node, &place) &&
        !find_in_cluster(control, control_text(request, "node"), &place))
        return control_failure("not_found", "no node with this name is registered here");
    return describe_place(&place, json_object_get(request, "node"));
}

/* --- the daemon --- */

static json_t *run_reload(struct control_context *control, struct control_conn *conn,
                          const json_t *request) {
    json_t *applied = json_array(), *restart = json_array();
    char error[CONTROL_ERROR_SIZE];
    (void)conn;
    (void)request;
    if (control->reload(control->context, &applied, &restart, error))
        return control_ok_with(json_pack("{s:o, s:o}", "applied", applied, "restart", restart));
    json_decref(applied);
    json_decref(restart);
    return control_failure("failed", error);
}

static json_t *run_stop(struct control_context *control, struct control_conn *conn,
                        const json_t *request) {
    (void)conn;
    (void)request;
    control->stop(control->context);
    return control_ok();
}

static json_t *run_watch(struct control_context *control, struct control_conn *conn,
                         const json_t *request) {
    (void)control;
    (void)request;
    control_conn_watch(conn);
    return control_ok();
}

static const struct command {
    const char *name;
    bool changes;
    json_t *(*run)(struct control_context *control, struct control_conn *conn,
                   const json_t *request);
    /* for one whose reply may be long */
    struct control_stream *(*stream)(struct control_context *control, struct control_conn *conn,
                                     const json_t *request);
} commands[] = {
    {"status", .stream = run_status},
    {"names", .stream = control_names},
    {"resolve", .run = run_resolve},
    {"port", .stream = control_port},
    {"lease", .changes = true, .stream = control_lease},
    {"release", .changes = true, .run = control_release},
    {"leases", .stream = control_leases},
    {"streams", .stream = control_streams},
    {"reload", .changes = true, .run = run_reload},
    {"stop", .changes = true, .run = run_stop},
    {"watch", .run = run_watch},
    {"cluster_status", .stream = control_cluster_status},
    {"cluster_join", .changes = true, .stream = control_cluster_join},
    {"cluster_leave", .changes = true, .stream = control_cluster_leave},
    {"cluster_force_leave", .changes = true, .stream = control_cluster_force_leave},
};

static const struct command *find_command(struct bytes name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (bytes_equal(name, bytes_of_text(commands[i].name)))
            return &commands[i];
    }
    return NULL;
}

static const char *why_not(const struct control_conn *conn, const json_t *request,
                           const struct command *command, const char **code) {
    *code = "bad_request";
    if (json_integer_value(json_object_get(request, "v")) != CONTROL_PROTOCOL_VERSION)
        return "\"v\" must be 1, the version of the protocol";
    if (control_text(request, "command").len == 0)
        return "\"command\" is missing";
    *code = "unknown_command";
    if (command == NULL)
        return "unknown command";
    *code = "denied";
    if (command->changes && !control_conn_may_change(conn))
        return "this command requires root, the daemon's own user or the group portolan";
    return NULL;
}

struct control_stream *control_handle(void *context, struct control_conn *conn,
                                      const json_t *request) {
    struct control_context *control = context;
    const struct command *command = find_command(control_text(request, "command"));
    const char *code, *message = why_not(conn, request, command, &code);
    if (message != NULL)
        return control_stream_of_json(control_failure(code, message));
    return command->stream != NULL ? command->stream(control, conn, request)
                                   : control_stream_of_json(command->run(control, conn, request));
}
