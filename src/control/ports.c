#include "control/ports.h"

#include "base/clock.h"
#include "control/list.h"
#include "control/reply.h"
#include "erlang/ekka_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the rule --- */

/* The nodes of a request, each with its NUL, in a text: a fraction of what jansson takes. */
struct port_list {
    struct control_list list;
    uint16_t base;
    size_t next, len;
    char nodes[];
};

static json_t *derive(const char *node, uint16_t base) {
    uint32_t port;
    char error[128];
    if (ekka_port(bytes_of_text(node), base, &port))
        return json_pack("{s:s, s:i}", "node", node, "port", (int)port);
    snprintf(error, sizeof error, "base %u + offset %u is %u, above 65535", base,
             (unsigned)(port - base), (unsigned)port);
    return json_pack("{s:s, s:n, s:s}", "node", node, "port", "error", error);
}

static enum control_step write_port(struct control_list *base, struct writer *out) {
    struct port_list *list = (struct port_list *)base;
    const char *node = list->nodes + list->next;
    if (list->next == list->len)
        return CONTROL_STEP_END;
    enum control_step step = control_list_write(base, out, derive(node, list->base));
    if (!out->failed)
        list->next += strlen(node) + 1;
    return step;
}

static void free_ports(struct control_list *base) {
    free(base);
}

/* The length of all nodes with their NULs; false where one of them is not text. */
static bool measure(const json_t *nodes, size_t *len) {
    const json_t *node;
    size_t i;
    *len = 0;
    json_array_foreach(nodes, i, node) {
        if (!json_is_string(node))
            return false;
        *len += json_string_length(node) + 1;
    }
    return json_is_array(nodes);
}

static struct port_list *copy_nodes(const json_t *nodes, size_t len) {
    struct port_list *list = calloc(1, sizeof *list + len);
    const json_t *node;
    size_t i;
    if (list == NULL)
        return NULL;
    json_array_foreach(nodes, i, node) {
        size_t size = json_string_length(node) + 1;
        memcpy(list->nodes + list->len, json_string_value(node), size);
        list->len += size;
    }
    return list;
}

static bool base_of(const struct control_context *control, const json_t *request, uint16_t *base) {
    const json_t *value = json_object_get(request, "base");
    json_int_t number = json_integer_value(value);
    *base = value == NULL ? control->config->dist_base_port : (uint16_t)number;
    return value == NULL || (json_is_integer(value) && number >= 0 && number <= UINT16_MAX);
}

struct control_stream *control_port(struct control_context *control, struct control_conn *conn,
                                    const json_t *request) {
    const json_t *nodes = json_object_get(request, "nodes");
    uint16_t base;
    size_t len;
    (void)conn;
    if (!measure(nodes, &len) || !base_of(control, request, &base))
        return control_stream_of_json(
            control_failure("bad_request", "\"nodes\" must be a list of names, \"base\" a port"));
    struct port_list *list = copy_nodes(nodes, len);
    if (list == NULL)
        return NULL;
    list->list.item = write_port;
    list->list.free = free_ports;
    list->base = base;
    json_t *head = control_ok_with(json_pack("{s:i}", "base", (int)base));
    return control_list_reply(&list->list,
                              control_list_begin(&list->list, head, 1, ",\"ports\":[", "]}"));
}

/* --- leases --- */

struct lease_list {
    struct control_list list;
    const struct control_context *control;
    struct port_pool_cursor cursor;
    struct routes_cursor nodes; /* behind the front port that the cursor is at */
    bool is_at_front;
    int64_t now_ms;
};

/* The node whose port it is, where this one only says that it is there. */
static json_t *describe_conflict(const struct lease_list *list, const struct port_lease *lease) {
    const struct registration *node = NULL;
    if (lease->front)
        return json_null();
    if (lease->conflict_is_front)
        node = routes_at(front_routes(list->control->front->front), lease->port, 0);
    if (node != NULL)
        return events_json_text(node->node.name);
    return lease->conflict.len > 0 ? events_json_text(lease->conflict) : json_null();
}

static json_t *describe(const struct lease_list *list, struct bytes name,
                        const struct port_lease *lease) {
    bool waits = !lease->held && !lease->front;
    return json_pack("{s:o, s:i, s:b, s:b, s:o, s:o, s:o}", "name", events_json_text(name), "port",
                     lease->port, "held", lease->held, "front", lease->front, "user",
                     lease->front ? json_null() : control_user_or_null(lease->user),
                     "conflicts_with", describe_conflict(list, lease), "expires_in_ms",
                     waits ? json_integer(lease->expires_ms - list->now_ms) : json_null());
}

/* A front port is that of all nodes behind it, and stands there once for each of them. */
static enum control_step write_front(struct lease_list *list, const struct port_lease *lease,
                                     struct writer *out) {
    if (!list->is_at_front)
        routes_cursor_begin(&list->nodes, front_routes(list->control->front->front), lease->port);
    list->is_at_front = true;
    const struct registration *node = routes_cursor_peek(&list->nodes);
    if (node == NULL) {
        routes_cursor_end(&list->nodes);
        list->is_at_front = false;
        port_pool_cursor_advance(&list->cursor);
        return CONTROL_STEP_MORE;
    }
    enum control_step step =
        control_list_write(&list->list, out, describe(list, node->node.name, lease));
    if (!out->failed)
        routes_cursor_advance(&list->nodes);
    return step;
}

static enum control_step write_lease(struct control_list *base, struct writer *out) {
    struct lease_list *list = (struct lease_list *)base;
    struct port_lease lease;
    bool any = list->cursor.pool != NULL && port_pool_cursor_peek(&list->cursor, &lease);
    if (any && lease.front)
        return write_front(list, &lease, out);
    routes_cursor_end(&list->nodes); /* of a front port that was closed meanwhile */
    list->is_at_front = false;
    if (!any)
        return CONTROL_STEP_END;
    enum control_step step = control_list_write(base, out, describe(list, lease.name, &lease));
    if (!out->failed)
        port_pool_cursor_advance(&list->cursor);
    return step;
}

static void free_leases(struct control_list *base) {
    struct lease_list *list = (struct lease_list *)base;
    routes_cursor_end(&list->nodes);
    port_pool_cursor_end(&list->cursor);
    free(list);
}

/* `head` is taken over; a daemon without a pool has no leases. */
static struct control_stream *list_leases(const struct control_context *control, json_t *head,
                                          size_t cut, const char *open, const char *tail) {
    struct lease_list *list = calloc(1, sizeof *list);
    if (list == NULL) {
        json_decref(head);
        return NULL;
    }
    list->list.item = write_lease;
    list->list.free = free_leases;
    list->control = control;
    list->now_ms = clock_monotonic_ms();
    if (control->service->pool != NULL)
        port_pool_cursor_begin(&list->cursor, control->service->pool);
    return control_list_reply(&list->list, control_list_begin(&list->list, head, cut, open, tail));
}

struct control_stream *control_leases(struct control_context *control, struct control_conn *conn,
                                      const json_t *request) {
    (void)conn;
    (void)request;
    return list_leases(control, control_ok(), 1, ",\"leases\":[", "]}");
}

struct control_stream *control_failure_with_leases(const struct control_context *control,
                                                   const char *code, const char *message) {
    return list_leases(control, control_failure(code, message), 2, ",\"holders\":[", "]}}");
}
