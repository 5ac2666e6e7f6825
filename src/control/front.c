#include "control/front.h"

#include "base/clock.h"
#include "control/list.h"
#include "control/reply.h"
#include "net/json_whole.h"

#include <stdio.h>
#include <stdlib.h>

/* --- streams --- */

struct stream_list {
    struct control_list list;
    struct proxy_cursor cursor; /* of no proxy where there are no front ports */
    int64_t now_ms;
};

static json_t *describe_stream(const struct proxy_stream_view *view, int64_t now_ms) {
    char address[ADDRESS_TEXT_SIZE];
    json_t *peer = view->caller.len > 0 ? events_json_text(view->caller) : json_null();
    return json_pack("{s:o, s:o, s:s, s:i, s:b, s:s, s:I, s:I, s:I}", "node",
                     events_json_text(view->node), "peer", peer, "address",
                     address_format(view->peer, address), "front_port", view->port, "tls",
                     view->tls, "state", view->open ? "open" : "connecting", "since_s",
                     (json_int_t)((now_ms - view->since_ms) / 1000), "bytes_in",
                     (json_int_t)view->bytes_in, "bytes_out", (json_int_t)view->bytes_out);
}

static enum control_step write_stream(struct control_list *base, struct writer *out) {
    struct stream_list *list = (struct stream_list *)base;
    struct proxy_stream_view view;
    if (list->cursor.proxy == NULL || !proxy_cursor_peek(&list->cursor, &view))
        return CONTROL_STEP_END;
    enum control_step step = control_list_write(base, out, describe_stream(&view, list->now_ms));
    if (!out->failed)
        proxy_cursor_advance(&list->cursor);
    return step;
}

static void free_streams(struct control_list *base) {
    struct stream_list *list = (struct stream_list *)base;
    proxy_cursor_end(&list->cursor);
    free(list);
}

struct control_stream *control_streams(struct control_context *control, struct control_conn *conn,
                                       const json_t *request) {
    struct stream_list *list = calloc(1, sizeof *list);
    (void)conn;
    (void)request;
    if (list == NULL)
        return NULL;
    list->list.item = write_stream;
    list->list.free = free_streams;
    list->now_ms = clock_monotonic_ms();
    if (control->front->front != NULL)
        proxy_cursor_begin(&list->cursor, front_proxy(control->front->front));
    return control_list_reply(
        &list->list, control_list_begin(&list->list, control_ok(), 1, ",\"streams\":[", "]}"));
}

/* --- status --- */

struct front_list {
    struct control_list list;
    struct routes *ports;
    struct routes_cursor nodes;
    uint16_t port; /* whose nodes are being listed; before the first and behind the last 0 */
    bool has_names;
};

static enum control_step open_port(struct front_list *list, struct writer *out) {
    uint16_t port = routes_next_port(list->ports, list->port);
    char text[64];
    if (port == 0)
        return CONTROL_STEP_END;
    snprintf(text, sizeof text, "%s{\"port\":%u,\"names\":[", list->list.has_items ? "," : "",
             (unsigned)port);
    write_text(out, text);
    if (out->failed)
        return CONTROL_STEP_MORE;
    list->port = port;
    list->list.has_items = true;
    list->has_names = false;
    routes_cursor_begin(&list->nodes, list->ports, port);
    return CONTROL_STEP_MORE;
}

static enum control_step write_node(struct front_list *list, struct writer *out) {
    const struct registration *node = routes_cursor_peek(&list->nodes);
    if (node == NULL) {
        write_text(out, "]}");
        if (!out->failed)
            routes_cursor_end(&list->nodes);
        return CONTROL_STEP_MORE;
    }
    if (list->has_names)
        write_u8(out, ',');
    if (!control_stream_write_json(out, events_json_text(node->node.name)))
        return CONTROL_STEP_FAILED;
    if (out->failed)
        return CONTROL_STEP_MORE;
    list->has_names = true;
    routes_cursor_advance(&list->nodes);
    return CONTROL_STEP_MORE;
}

static enum control_step write_front(struct control_list *base, struct writer *out) {
    struct front_list *list = (struct front_list *)base;
    return list->nodes.routes == NULL ? open_port(list, out) : write_node(list, out);
}

static void free_front(struct control_list *base) {
    struct front_list *list = (struct front_list *)base;
    routes_cursor_end(&list->nodes);
    free(list);
}

static json_t *describe_counters(const struct front *front, const struct hello_queue *hellos) {
    const struct hello_queue_counters unfinished = hello_queue_counters(hellos);
    const struct proxy_counters streams = proxy_counters(front_proxy(front));
    const struct front_counters callers = front_counters(front);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "opened",
        (json_int_t)streams.opened, "unreachable", (json_int_t)streams.unreachable, "limited",
        (json_int_t)streams.limited, "not_owned", (json_int_t)streams.not_owned, "unanswered",
        (json_int_t)streams.unanswered, "loops", (json_int_t)callers.loops, "not_allowed",
        (json_int_t)callers.not_allowed, "guessed", (json_int_t)streams.guessed, "misled",
        (json_int_t)streams.misrouted, "refused", (json_int_t)unfinished.refused, "timed_out",
        (json_int_t)unfinished.timed_out, "bytes_in", (json_int_t)streams.bytes_in, "bytes_out",
        (json_int_t)streams.bytes_out);
}

static json_t *describe_lookups(const struct routes *ports) {
    const struct lookup_counters lookups = lookup_queue_counters(routes_queue(ports));
    return json_pack("{s:I, s:I, s:I, s:I}", "waiting", (json_int_t)lookups.waiting, "held",
                     (json_int_t)lookups.held, "expired", (json_int_t)lookups.expired, "unheld",
                     (json_int_t)lookups.unheld);
}

/* What stands behind the ports: the other members of the front, and the end of the status. */
static bool format_tail(struct front *front, const struct hello_queue *hellos, char *out,
                        size_t size) {
    json_t *rest = json_pack(
        "{s:I, s:o, s:o}", "streams", (json_int_t)proxy_count(front_proxy(front)), "counters",
        describe_counters(front, hellos), "lookups", describe_lookups(front_routes(front)));
    char *text = json_whole_text(rest, JSON_COMPACT);
    bool fits = text != NULL && (size_t)snprintf(out, size, "],%s}", text + 1) < size;
    json_decref(rest);
    free(text);
    return fits;
}

struct control_stream *control_status_with_front(const struct control_context *control,
                                                 json_t *status) {
    struct front *front = control->front->front;
    char open[64], tail[1024];
    if (front == NULL) {
        return control_stream_of_json(json_whole_set(status, "front", json_null()));
    }
    struct front_list *list =
        format_tail(front, control->hellos, tail, sizeof tail) ? calloc(1, sizeof *list) : NULL;
    if (list == NULL) {
        json_decref(status);
        return NULL;
    }
    list->list.item = write_front;
    list->list.free = free_front;
    list->ports = front_routes(control->front->front);
    snprintf(open, sizeof open, ",\"front\":{\"proxy\":%s,\"ports\":[",
             control->config->front_proxy ? "true" : "false");
    return control_list_reply(&list->list, control_list_begin(&list->list, status, 1, open, tail));
}
