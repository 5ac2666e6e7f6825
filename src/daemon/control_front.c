#include "daemon/control_front.h"

#include "base/clock.h"
#include "daemon/control_reply.h"

struct stream_list {
    json_t *all;
    int64_t now_ms;
};

static void add_stream(void *context, const struct proxy_stream_view *view) {
    struct stream_list *list = context;
    char address[ADDRESS_TEXT_SIZE];
    json_t *peer = view->caller.len > 0 ? events_json_text(view->caller) : json_null();
    json_array_append_new(
        list->all, json_pack("{s:o, s:o, s:s, s:i, s:b, s:s, s:I, s:I, s:I}", "node",
                             events_json_text(view->node), "peer", peer, "address",
                             address_format(view->peer, address), "front_port", view->port, "tls",
                             view->tls, "state", view->open ? "open" : "connecting", "since_s",
                             (json_int_t)((list->now_ms - view->since_ms) / 1000), "bytes_in",
                             (json_int_t)view->bytes_in, "bytes_out", (json_int_t)view->bytes_out));
}

json_t *control_streams(struct control_host *host, struct control_peer *peer,
                        const json_t *request) {
    struct stream_list list = {.all = json_array(), .now_ms = clock_monotonic_ms()};
    (void)peer;
    (void)request;
    if (host->front->front != NULL)
        proxy_each(front_proxy(host->front->front), add_stream, &list);
    return control_ok_with(json_pack("{s:o}", "streams", list.all));
}

static json_t *describe_counters(const struct front *front) {
    const struct proxy_counters streams = proxy_counters(front_proxy(front));
    const struct front_counters callers = front_counters(front);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "opened",
                     (json_int_t)streams.opened, "unreachable", (json_int_t)streams.unreachable,
                     "limited", (json_int_t)streams.limited, "guessed", (json_int_t)streams.guessed,
                     "misled", (json_int_t)streams.misled, "refused", (json_int_t)callers.refused,
                     "timed_out", (json_int_t)callers.timed_out, "bytes_in",
                     (json_int_t)streams.bytes_in, "bytes_out", (json_int_t)streams.bytes_out);
}

json_t *control_front_status(const struct control_host *host) {
    const struct front *front = host->front->front;
    if (front == NULL)
        return json_null();
    json_t *ports = json_array();
    const struct front_ports *behind = front_ports_of(host->front->front);
    for (uint16_t port = 0; (port = front_ports_next(behind, port)) != 0;)
        json_array_append_new(ports, json_pack("{s:i, s:o}", "port", port, "names",
                                               front_host_names(host->front, port)));
    return json_pack("{s:b, s:o, s:I, s:o}", "proxy", host->config->front_proxy, "ports", ports,
                     "streams", (json_int_t)proxy_count(front_proxy(front)), "counters",
                     describe_counters(front));
}
