#include "control/leases.h"

#include "base/clock.h"
#include "control/ports.h"
#include "control/reply.h"
#include "erlang/ekka_port.h"
#include "erlang/node_name.h"
#include "host/port_probe.h"

#include <stdio.h>
#include <unistd.h>

#define DENIED_SIZE (ALIVE_NAME_MAX_BYTES + 256)

/* --- why there is none --- */

static struct control_stream *no_lease(const struct control_context *control, struct bytes name,
                                       enum port_verdict verdict) {
    const struct config *config = control->config;
    char message[256];
    const char *code = "failed";
    uint32_t derived = 0;
    ekka_port(name, config->dist_base_port, &derived);
    snprintf(message, sizeof message, "%s", port_verdict_reason(verdict));
    if (verdict == PORT_POOL_FULL) {
        code = "pool_full";
        snprintf(message, sizeof message,
                 "no port is free in %u-%u; free one, or widen node.dist_listen_min and _max",
                 config->dist_listen_min,
                 (unsigned)(config->dist_listen_max - config->dist_tool_ports));
    } else if (verdict == PORT_DERIVED_TAKEN) {
        code = "port_taken";
        snprintf(message, sizeof message, "port %u, derived from this name, is in use",
                 (unsigned)derived);
    } else if (verdict == PORT_DERIVED_NONE) {
        code = "no_port";
        snprintf(message, sizeof message,
                 derived > UINT16_MAX ? "the port derived from this name is %u, above 65535"
                                      : "no port can be derived from this name",
                 (unsigned)derived);
    } else if (verdict == PORT_DERIVED_TOOLS) {
        code = "no_port";
        snprintf(
            message, sizeof message,
            "port %u, derived from this name, is reserved for tools; lower node.dist_tool_ports",
            (unsigned)derived);
    }
    if (verdict == PORT_POOL_FULL || verdict == PORT_DERIVED_TAKEN)
        return control_failure_with_leases(control, code, message);
    return control_stream_of_json(control_failure(code, message));
}

static json_t *without_leases(void) {
    return control_failure(
        "failed", "a daemon under the name epmd does not lease ports; start it as portoland");
}

/* --- whose it is --- */

static bool is_privileged(const struct control_conn *conn) {
    uint32_t user = control_conn_user(conn);
    return user == USER_ROOT || user == geteuid();
}

/* Whether the connection may renew or release what the name has. */
static bool may_have(const struct control_conn *conn, const struct port_lease *lease) {
    return is_privileged(conn) || lease->user == USER_NOBODY ||
           user_same(lease->user, control_conn_user(conn));
}

static json_t *denied(const struct port_lease *lease) {
    char message[DENIED_SIZE];
    snprintf(message, sizeof message,
             "the port of %.*s is %s user %u; only that user, root and the daemon's own user may "
             "do this",
             (int)lease->name.len, (const char *)lease->name.data,
             lease->held ? "registered by" : "leased to", (unsigned)lease->user);
    return control_failure("denied", message);
}

/* For whom the lease is to be, by the member "user"; without it USER_NOBODY. False: a bad one. */
static bool user_member(const json_t *request, uint32_t *user) {
    const json_t *member = json_object_get(request, "user");
    json_int_t number = json_integer_value(member);
    *user = USER_NOBODY;
    if (member == NULL)
        return true;
    if (!json_is_integer(member) || number < 0 || number >= USER_NOBODY)
        return false;
    *user = (uint32_t)number;
    return true;
}

/* --- lease --- */

/* What is asked for. */
struct wish {
    struct control_node node;
    uint32_t user;         /* USER_NOBODY: not said */
    struct port_lease had; /* what the name has before */
    bool has;
};

/* NULL, or why the connection cannot have it. */
static json_t *read_wish(const struct control_context *control, const struct control_conn *conn,
                         const json_t *request, struct wish *wish) {
    if (!control_node_member(request, &wish->node))
        return control_bad_node();
    if (!user_member(request, &wish->user))
        return control_failure("bad_request", "\"user\" must be the number of a user");
    if (control->service->pool == NULL)
        return without_leases();
    wish->has = port_pool_find(control->service->pool, wish->node.alive, &wish->had);
    if (wish->has && !may_have(conn, &wish->had))
        return denied(&wish->had);
    if (wish->user != USER_NOBODY && !user_same(wish->user, control_conn_user(conn)) &&
        !is_privileged(conn))
        return control_failure("denied",
                               "only root and the daemon's own user may lease for another user");
    return NULL;
}

/* Renewed for another user, it stays with that user. */
static uint32_t owner_of(const struct wish *wish, const struct control_conn *conn) {
    if (wish->user != USER_NOBODY)
        return wish->user;
    if (wish->has && wish->had.user != USER_NOBODY)
        return wish->had.user;
    return control_conn_user(conn);
}

static json_t *describe_lease(const struct control_context *control, const json_t *node,
                              const struct port_lease *lease, int64_t now_ms) {
    uint16_t last = port_pool_last_from(control->service->pool, lease->port);
    return control_ok_with(
        json_pack("{s:O, s:i, s:b, s:o, s:o, s:i, s:o}", "node", node, "port", lease->port, "held",
                  lease->held, "user", control_user_or_null(lease->user), "expires_in_ms",
                  lease->held ? json_null() : json_integer(lease->expires_ms - now_ms), "epmd_port",
                  control->own_epmd_port, "last_port", control_port_or_null(last)));
}

struct control_stream *control_lease(struct control_context *control, struct control_conn *conn,
                                     const json_t *request) {
    bool starved = false;
    const struct port_probe probe = {.is_free = port_probe_is_free, .context = &starved};
    struct port_lease lease;
    struct wish wish;
    uint16_t port;
    int64_t now_ms = clock_monotonic_ms();
    json_t *refusal = read_wish(control, conn, request, &wish);
    if (refusal != NULL)
        return control_stream_of_json(refusal);
    uint16_t had = wish.has ? wish.had.port : 0;
    enum port_verdict verdict = port_pool_lease(control->service->pool, wish.node.alive,
                                                owner_of(&wish, conn), now_ms, &probe, &port);
    if (verdict != PORT_OK && starved)
        return control_stream_of_json(control_failure(
            "failed", "no descriptor left to test a port; allow more with 'ulimit -n'"));
    if (verdict != PORT_OK || !port_pool_find(control->service->pool, wish.node.alive, &lease))
        return no_lease(control, wish.node.alive, verdict);
    control_conn_await(conn, CONTROL_GATE_LEASES, control->leases_changed(control->context));
    if (port != had)
        events_leased(control->events, wish.node.alive, port);
    return control_stream_of_json(
        describe_lease(control, json_object_get(request, "node"), &lease, now_ms));
}

/* --- release --- */

json_t *control_release(struct control_context *control, struct control_conn *conn,
                        const json_t *request) {
    struct port_lease lease;
    struct control_node node;
    if (!control_node_member(request, &node))
        return control_bad_node();
    if (control->service->pool == NULL)
        return without_leases();
    if (!port_pool_find(control->service->pool, node.alive, &lease))
        return control_failure("not_found", "this name has no lease");
    if (!may_have(conn, &lease))
        return denied(&lease);
    if (!port_pool_release(control->service->pool, node.alive))
        return control_failure("not_found",
                               "this name is registered; it keeps its port until it leaves");
    control_conn_await(conn, CONTROL_GATE_LEASES, control->leases_changed(control->context));
    return control_ok();
}
