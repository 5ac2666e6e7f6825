#include "service/cluster.h"

#include "base/clock.h"
#include "erlang/ekka_port.h"
#include "link/dial.h"
#include "loop/loop.h"
#include "service/discovery.h"
#include "service/explain.h"
#include "service/member_hosts.h"
#include "store/member_store.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAVE_SOON_MS 1000
#define SAVE_AGAIN_MS 60000 /* after a failure */

/* Events of a join are deferred until the call into the cluster that made them is over. */
struct join_event {
    struct cluster_event event;
    char name[CLUSTER_NAME_MAX + 1];
    char text[EXPLAIN_SIZE];
};
#define JOIN_EVENTS_MAX 2 /* the newest progress, and the end */

struct cluster_service {
    const struct config *config; /* borrowed */
    struct cluster_events *events;
    struct tls *tls;
    struct peer_links *links;
    struct cluster *cluster;
    struct member_hosts *hosts;
    struct cluster_store_file *store;
    struct cluster_discovery *discovery;
    struct event *tick_event, *save_event;
    bool save_urgent, save_wanted;
    uint64_t awaited; /* the write before which nothing is reported; 0: none */
    cluster_service_settled *settled;
    void *settled_context;
    const struct peer_failure *failure; /* of the attempt that is being reported; NULL: none is */
    const char *failure_name;           /* whom it was for */
    struct join_event deferred[JOIN_EVENTS_MAX];
    size_t deferred_count;
    cluster_join_cb *join_cb; /* NULL: nobody listens */
    void *join_context;
};

static int64_t now(void) {
    return clock_monotonic_ms();
}

/* --- after a call --- */

static void save_again_later(struct cluster_service *service) {
    service->save_wanted = true;
    loop_set_timer_or_now(service->save_event, SAVE_AGAIN_MS);
}

static void save(struct cluster_service *service) {
    bool urgent = service->save_urgent;
    service->save_urgent = service->save_wanted = false;
    event_del(service->save_event);
    uint64_t number = cluster_store_file_save(service->store);
    if (number == 0 && cluster_store_file_unsaved(service->store))
        save_again_later(service);
    if (number == 0 || !urgent)
        return;
    service->awaited = number;
    peer_links_pause_sending(service->links, true);
}

static void on_saved(void *context, bool kept) {
    if (!kept)
        save_again_later(context);
}

static void deliver_events(struct cluster_service *service) {
    size_t count = service->deferred_count;
    service->deferred_count = 0;
    for (size_t i = 0; i < count && service->join_cb != NULL; i++) {
        struct join_event *event = &service->deferred[i];
        event->event.name = event->name;
        cluster_join_cb *join_cb = service->join_cb;
        if (event->event.type != CLUSTER_EVENT_JOIN_PROGRESS)
            service->join_cb = NULL;
        join_cb(service->join_context, &event->event, event->text);
    }
}

/* What had to be on disk first is there, or is no longer waited for. */
static void on_settled(void *context, uint64_t number) {
    struct cluster_service *service = context;
    if (service->awaited == 0 || number < service->awaited)
        return;
    service->awaited = 0;
    peer_links_pause_sending(service->links, false);
    deliver_events(service);
    service->settled(service->settled_context, number);
}

/* Every call into the cluster ends here. Nothing that it sent has left yet, and nothing leaves
 * before what is to be saved first is. */
static void settle(struct cluster_service *service) {
    if (service->save_urgent)
        save(service);
    else if (service->save_wanted && !event_pending(service->save_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(service->save_event, SAVE_SOON_MS);
    int64_t due_ms = cluster_due_ms(service->cluster);
    if (due_ms == INT64_MAX)
        event_del(service->tick_event);
    else if (!loop_set_timer(service->tick_event, due_ms - now()))
        event_active(service->tick_event, EV_TIMEOUT, 0); /* too early, but never too late */
    if (service->awaited == 0)
        deliver_events(service);
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    struct cluster_service *service = context;
    (void)fd;
    (void)what;
    cluster_tick(service->cluster, now());
    settle(service);
}

static void on_save(evutil_socket_t fd, short what, void *context) {
    struct cluster_service *service = context;
    (void)fd;
    (void)what;
    if (service->save_wanted)
        save(service);
}

/* --- what the cluster asks for --- */

static uint16_t port_of_rule(const struct config *config, const char *name) {
    uint32_t port;
    return ekka_port(bytes_of_text(name), config->dist_base_port, &port) ? (uint16_t)port : 0;
}

/* A member has sent its port itself; one that is not a member yet is on the rule's, or where the
 * epmd of its host says. */
static bool io_connect(void *context, const char *name) {
    struct cluster_service *service = context;
    const struct config *config = service->config;
    struct cluster_member_view member;
    if (cluster_member_find(service->cluster, name, &member) && member.port != 0 &&
        member.state != CLUSTER_LEFT && member.state != CLUSTER_FORCED_OUT)
        return peer_dial_begin(service->links, name, member.port, 0);
    uint16_t port = port_of_rule(config, name);
    uint16_t epmd_port = config->epmd_enable && port != 0 ? config->epmd_port : 0;
    return peer_dial_begin(service->links, name, port, epmd_port);
}

static bool io_send(void *context, void *handle, struct bytes frames) {
    (void)context;
    return peer_link_send(handle, frames);
}

static void io_disconnect(void *context, void *handle, enum cluster_cause cause) {
    (void)context;
    (void)cause;
    peer_link_set_owner(handle, NULL);
    peer_link_end(handle);
}

static void io_persist(void *context, bool urgent) {
    struct cluster_service *service = context;
    service->save_wanted = true;
    service->save_urgent = service->save_urgent || urgent;
}

static void defer_event(struct cluster_service *service, const struct cluster_event *event,
                        const char *text) {
    bool is_progress = event->type == CLUSTER_EVENT_JOIN_PROGRESS;
    size_t place = service->deferred_count;
    if (place > 0 && (is_progress || place == JOIN_EVENTS_MAX))
        place--;
    service->deferred_count = place + 1;
    struct join_event *deferred = &service->deferred[place];
    deferred->event = *event;
    snprintf(deferred->name, sizeof deferred->name, "%s", event->name);
    snprintf(deferred->text, sizeof deferred->text, "%s", text);
}

static void io_notify(void *context, const struct cluster_event *event) {
    struct cluster_service *service = context;
    char text[EXPLAIN_SIZE];
    bool is_of_failure = service->failure != NULL && service->failure->cause == event->cause &&
                         strcmp(service->failure_name, event->name) == 0;
    explain_event(event, service->config->node_name, is_of_failure ? service->failure : NULL, text);
    cluster_events_report(service->events, event, text);
    if (service->hosts != NULL)
        member_hosts_update(service->hosts, event);
    if (event->type == CLUSTER_EVENT_JOIN_PROGRESS || event->type == CLUSTER_EVENT_JOIN_DONE ||
        event->type == CLUSTER_EVENT_JOIN_FAILED)
        defer_event(service, event, text);
}

static bool io_name_allowed(void *context, void *handle, const char *name) {
    (void)context;
    peer_link_set_name(handle, name);
    return peer_link_name_allowed(handle, name);
}

/* --- reports of the links --- */

static bool on_up(void *context, struct peer_link *link, const char *name) {
    struct cluster_service *service = context;
    struct cluster_link *made = cluster_link_up(service->cluster, link, name, now());
    peer_link_set_owner(link, made);
    settle(service);
    return made != NULL;
}

static size_t on_received(void *context, struct peer_link *link, struct bytes bytes) {
    struct cluster_service *service = context;
    struct cluster_link *of_cluster = peer_link_owner(link);
    if (of_cluster == NULL)
        return bytes.len;
    size_t used = cluster_receive(service->cluster, of_cluster, bytes, now());
    settle(service);
    return used;
}

static void on_down(void *context, struct peer_link *link, const struct peer_failure *failure) {
    struct cluster_service *service = context;
    struct cluster_link *of_cluster = peer_link_owner(link);
    if (of_cluster == NULL)
        return;
    service->failure = failure;
    service->failure_name = peer_link_name(link);
    cluster_link_down(service->cluster, of_cluster, failure->cause, now());
    service->failure = NULL;
    settle(service);
}

static void on_failed(void *context, const char *name, const struct peer_failure *failure) {
    struct cluster_service *service = context;
    service->failure = failure;
    service->failure_name = name;
    cluster_connect_failed(service->cluster, name, failure->cause, now());
    service->failure = NULL;
    settle(service);
}

static void on_rejected(void *context, const struct peer_failure *failure, bool limited) {
    (void)context;
    (void)limited;
    cluster_events_rejected(failure);
}

static bool is_from_member(void *context, const struct address *peer) {
    struct cluster_service *service = context;
    return service->hosts != NULL && member_hosts_has(service->hosts, address_host(peer));
}

bool cluster_service_accept(void *context, int fd, const struct address *peer, struct bytes first) {
    struct cluster_service *service = context;
    return service != NULL && peer_links_accept(service->links, fd, peer, first);
}

/* --- discovery --- */

static bool on_wanted(void *context) {
    const struct cluster_service *service = context;
    return cluster_wants_discovery(service->cluster);
}

static void on_found(void *context, const struct discovery_result *result) {
    struct cluster_service *service = context;
    cluster_discovered(service->cluster, result->names, result->count, now());
    settle(service);
}

static bool begin_discovery(struct cluster_service *service, struct event_base *base) {
    const struct cluster_discovery_hooks hooks = {
        .wanted = on_wanted, .found = on_found, .context = service};
    service->discovery = cluster_discovery_new(service->config, base, &hooks);
    return service->discovery != NULL;
}

/* --- the registry --- */

void cluster_service_registered(struct cluster_service *service,
                                const struct registration *registration) {
    const struct epmd_node *node = &registration->node;
    const struct directory_name name = {
        .name = node->name,
        .port = node->port,
        .front_port = registration->front_port,
        .type = node->type,
        .protocol = node->protocol,
        .highest_version = node->highest_version,
        .lowest_version = node->lowest_version,
        .creation = registration->creation,
    };
    cluster_name_registered(service->cluster, &name, now());
    settle(service);
}

void cluster_service_unregistered(struct cluster_service *service,
                                  const struct registration *registration) {
    cluster_name_unregistered(service->cluster, registration->node.name, now());
    settle(service);
}

/* --- commands --- */

enum cluster_verdict cluster_service_join(struct cluster_service *service, const char *target,
                                          cluster_join_cb *join_cb, void *context) {
    enum cluster_verdict verdict = cluster_join(service->cluster, target, now());
    if (verdict == CLUSTER_OK) {
        service->join_cb = join_cb;
        service->join_context = context;
    }
    settle(service);
    return verdict;
}

void cluster_service_forget(struct cluster_service *service, const void *context) {
    if (service->join_context == context)
        service->join_cb = NULL;
}

enum cluster_verdict cluster_service_leave(struct cluster_service *service) {
    enum cluster_verdict verdict = cluster_leave(service->cluster, now());
    settle(service);
    return verdict;
}

enum cluster_verdict cluster_service_force_leave(struct cluster_service *service,
                                                 const char *name) {
    enum cluster_verdict verdict = cluster_force_leave(service->cluster, name, now());
    settle(service);
    return verdict;
}

/* --- questions --- */

uint64_t cluster_service_awaited(const struct cluster_service *service) {
    return service->awaited;
}

const struct cluster *cluster_service_cluster(const struct cluster_service *service) {
    return service->cluster;
}

struct peer_counters cluster_service_counters(const struct cluster_service *service) {
    return peer_links_counters(service->links);
}

const struct address *cluster_service_address(const struct cluster_service *service,
                                              const char *name) {
    const struct peer_link *link = peer_links_find(service->links, name);
    return link == NULL ? NULL : peer_link_address(link);
}

bool cluster_service_has_host(const struct cluster_service *service, struct bytes address) {
    return peer_links_has_host(service->links, address) ||
           member_hosts_has(service->hosts, address);
}

/* --- beginning and end --- */

static struct cluster_options options_of(struct cluster_service *service, uint16_t front_port,
                                         uint64_t seed) {
    const struct config *config = service->config;
    struct cluster_options options = cluster_options_default();
    options.name = config->node_name;
    options.cluster_name = config->cluster_name;
    options.port = front_port;
    options.autoheal = config->cluster_autoheal;
    options.autoclean_ms = config->cluster_autoclean_ms;
    options.discovery = config->cluster_discovery != DISCOVERY_MANUAL;
    options.wall_ms = clock_wall_ms();
    options.random = random_of(seed);
    options.io = (struct cluster_io){
        .connect = io_connect,
        .send = io_send,
        .disconnect = io_disconnect,
        .persist = io_persist,
        .notify = io_notify,
        .name_allowed = io_name_allowed,
    };
    options.io_context = service;
    return options;
}

static bool build(struct cluster_service *service, const struct cluster_service_options *options) {
    const struct peer_hooks hooks = {
        .up = on_up,
        .received = on_received,
        .down = on_down,
        .failed = on_failed,
        .rejected = on_rejected,
        .is_from_member = is_from_member,
        .context = service,
    };
    service->links = peer_links_new(options->base, service->tls, &hooks);
    service->store = cluster_store_file_open(service->config->data_dir);
    service->tick_event = event_new(options->base, -1, 0, on_tick, service);
    service->save_event = event_new(options->base, -1, 0, on_save, service);
    return service->links != NULL && service->store != NULL && service->tick_event != NULL &&
           service->save_event != NULL;
}

static bool attach(struct cluster_service *service, struct state_worker *worker) {
    const struct cluster_store_hooks hooks = {
        .saved = on_saved, .settled = on_settled, .context = service};
    return cluster_store_file_attach(service->store, service->cluster, worker, &hooks);
}

static bool start(struct cluster_service *service, const struct cluster_service_options *of,
                  char *error) {
    char old_name[CLUSTER_NAME_MAX + 1];
    uint64_t seed;
    if (RAND_bytes((unsigned char *)&seed, sizeof seed) != 1) {
        snprintf(error, CLUSTER_SERVICE_ERROR_SIZE,
                 "cannot start: OpenSSL has no random numbers; check its configuration");
        return false;
    }
    const struct cluster_options options = options_of(service, of->front_port, seed);
    enum cluster_start verdict =
        cluster_store_file_start(service->store, &options, now(), &service->cluster, old_name);
    if (verdict == CLUSTER_STARTED) {
        service->hosts = member_hosts_new(of->base, service->cluster);
        return attach(service, of->worker) && service->hosts != NULL;
    }
    if (verdict == CLUSTER_START_NAME_CHANGED)
        cluster_store_file_explain_name(service->config->data_dir, options.name, old_name, error,
                                        CLUSTER_SERVICE_ERROR_SIZE);
    else if (verdict == CLUSTER_START_BAD_NAME)
        snprintf(
            error, CLUSTER_SERVICE_ERROR_SIZE,
            "cannot start as %s: the names of members have at most %d bytes; shorten node.name",
            options.name, CLUSTER_NAME_MAX);
    return false;
}

struct cluster_service *cluster_service_new(const struct cluster_service_options *options,
                                            char error[CLUSTER_SERVICE_ERROR_SIZE]) {
    struct cluster_service *service = calloc(1, sizeof *service);
    snprintf(error, CLUSTER_SERVICE_ERROR_SIZE, "cannot start: out of memory");
    if (service == NULL) {
        tls_free(options->tls);
        return NULL;
    }
    service->config = options->config;
    service->events = options->events;
    service->tls = options->tls;
    service->settled = options->settled;
    service->settled_context = options->settled_context;
    if (build(service, options) && start(service, options, error) &&
        begin_discovery(service, options->base)) {
        settle(service);
        return service;
    }
    cluster_service_free(service);
    return NULL;
}

void cluster_service_free(struct cluster_service *service) {
    if (service == NULL)
        return;
    service->join_cb = NULL;
    if (service->cluster != NULL) {
        service->awaited = 0; /* no listener any longer */
        cluster_stop(service->cluster, now());
        if (service->save_wanted || cluster_store_file_unsaved(service->store))
            cluster_store_file_save_last(service->store);
    }
    cluster_discovery_free(service->discovery);
    member_hosts_free(service->hosts);
    peer_links_free(service->links);
    cluster_free(service->cluster);
    cluster_store_file_free(service->store);
    tls_free(service->tls);
    loop_free_event(service->tick_event);
    loop_free_event(service->save_event);
    free(service);
}
