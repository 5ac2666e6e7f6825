#include "service/front.h"

#include "erlang/ekka_port.h"
#include "net/json_whole.h"
#include "process/process.h"

#include <stdio.h>
#include <string.h>

/* Each stream has two descriptors, each front port of a node two listeners, each hello one. */
#define STREAMS_SHARE 4
#define PORTS_SHARE 16

#define NAMES_TOLD 4 /* of those behind a port, in an event */

/* The first of the nodes behind a port: an event lists a few, however many there are. */
static json_t *first_names(const struct front_service *service, uint16_t port) {
    json_t *names = json_array();
    const struct registration *node;
    struct routes_cursor cursor;
    routes_cursor_begin(&cursor, front_routes(service->front), port);
    while ((node = routes_cursor_peek(&cursor)) != NULL && json_array_size(names) < NAMES_TOLD) {
        names = json_whole_append(names, events_json_text(node->node.name));
        routes_cursor_advance(&cursor);
    }
    routes_cursor_end(&cursor);
    return names;
}

#define SHARED_CURE "names that end in different numbers have ports of their own"

static void on_shared(void *context, uint16_t port, const struct registration *registration) {
    const struct front_service *service = context;
    const struct bytes name = registration->node.name;
    const struct registration *first = routes_at(front_routes(service->front), port, 0);
    log_event(LOG_LEVEL_INFO, "port_shared", log_bytes("name", name),
              log_number("front_port", port), log_bytes("first", first->node.name),
              log_text("cure", SHARED_CURE));
    if (events_is_watched(service->events))
        events_publish(service->events, "port_shared",
                       json_pack("{s:o, s:i, s:o, s:I, s:s}", "name", events_json_text(name),
                                 "port", port, "names", first_names(service, port), "count",
                                 (json_int_t)routes_count(front_routes(service->front), port),
                                 "reason", "other nodes share this front port; " SHARED_CURE));
}

static void on_opened(void *context, uint16_t port, const struct registration *registration) {
    (void)context;
    log_event(LOG_LEVEL_INFO, "front_port_opened", log_number("front_port", port),
              log_bytes("name", registration->node.name));
}

static void on_closed(void *context, uint16_t port, const struct registration *registration) {
    (void)context;
    log_event(LOG_LEVEL_INFO, "front_port_closed", log_number("front_port", port),
              log_bytes("name", registration->node.name));
}

static void on_port_failed(void *context, const struct front_port_error *error) {
    struct front_service *service = context;
    front_warning_report(&service->warning, error);
}

static void on_recovered(void *context, const struct registration *registration) {
    const struct front_service *service = context;
    const struct epmd_node *node = &registration->node;
    log_event(LOG_LEVEL_INFO, "front_port_given", log_bytes("name", node->name),
              log_number("front_port", registration->front_port),
              log_text("outcome", "other hosts now get this port"));
    if (events_is_watched(service->events))
        events_publish(service->events, "front_port_given",
                       json_pack("{s:o, s:i, s:i}", "name", events_json_text(node->name), "port",
                                 node->port, "front_port", registration->front_port));
}

static void on_route_changed(void *context, const struct registration *registration) {
    const struct front_service *service = context;
    service->route_changed(service->context, registration);
}

static bool on_is_member(void *context, const struct address *peer) {
    const struct front_service *service = context;
    return service->is_member(service->context, peer);
}

static void on_lookups_ready(void *context, bool at_once) {
    const struct front_service *service = context;
    if (at_once)
        epmd_server_answer_ready(service->server);
    else
        epmd_server_answer_soon(service->server);
}

static void on_stream_refused(void *context, const struct registration *registration,
                              const char *reason, const struct address *peer) {
    const struct front_service *service = context;
    const struct epmd_refusal refusal = {
        .what = "stream", .node = &registration->node, .reason = reason, .peer = peer};
    events_refused(service->events, &refusal);
}

/* Without an answer no node of this host can be reached: whoever starts the daemon is told. */
static void try_kernel(struct front_service *service) {
    if (!service->config->front_check_owner || service->told_unknown)
        return;
    enum sock_diag_verdict verdict = sock_diag_try(service->users->diag);
    if (verdict == SOCK_DIAG_FOUND)
        return;
    service->told_unknown = true;
    log_event(
        LOG_LEVEL_WARN, "no_owner_check", log_text("reason", sock_diag_reason(verdict)),
        log_text("error", strerror(sock_diag_error(service->users->diag))),
        log_text("outcome", "front ports forward no connections, and no node can claim a lease"),
        log_text("cure", "add AF_NETLINK to RestrictAddressFamilies of the unit, or set "
                         "front.check_owner = off"));
}

static struct proxy_options stream_options(struct front_service *service) {
    const struct config *config = service->config;
    size_t streams = process_descriptor_limit() / STREAMS_SHARE;
    return (struct proxy_options){
        .streams_max = streams,
        .peer_streams = (unsigned)config->front_peer_streams,
        .user_streams = user_share_of(streams, config->user_share),
        .users = service->users,
        .budget = service->budget,
        .check_owner = config->front_check_owner,
        .refused = on_stream_refused,
        .context = service,
    };
}

static uint16_t offset_max(const struct config *config) {
    uint64_t most = config->front_offset_max;
    return most < EKKA_OFFSET_MODULO ? (uint16_t)most : EKKA_OFFSET_MODULO - 1;
}

static struct front_options options_of(struct front_service *service) {
    struct front_options options = {
        .proxy = service->config->front_proxy,
        .rule = {.base = service->config->dist_base_port,
                 .offset_max = offset_max(service->config),
                 .own = service->own_port,
                 .epmd_port = service->config->epmd_port},
        .addresses = service->config->front_address,
        .ports_max = process_descriptor_limit() / PORTS_SHARE,
        .streams = stream_options(service),
    };
    allow_list_parse(service->config->front_allow,
                     &options.allow); /* it was judged when it was set */
    return options;
}

bool front_service_build(struct front_service *service, const struct front_deps *deps) {
    const struct front_options options = options_of(service);
    const struct front_hooks hooks = {.opened = on_opened,
                                      .closed = on_closed,
                                      .recovered = on_recovered,
                                      .shared = on_shared,
                                      .port_failed = on_port_failed,
                                      .route_changed = on_route_changed,
                                      .is_member = on_is_member,
                                      .lookups_ready = on_lookups_ready,
                                      .context = service};
    try_kernel(service);
    service->warning = (struct front_warning){.base = deps->base, .events = service->events};
    service->front = front_new(deps, &options, &hooks);
    return service->front != NULL;
}

void front_service_end(struct front_service *service) {
    front_warning_stop(&service->warning);
    front_free(service->front);
    service->front = NULL;
}

void front_service_configure(struct front_service *service) {
    const struct front_options options = options_of(service);
    try_kernel(service);
    front_configure(service->front, &options);
}
