#include "daemon/cluster_shell.h"

#include "base/clock.h"
#include "daemon/cluster_discovery.h"
#include "daemon/cluster_store_file.h"
#include "daemon/cluster_text.h"
#include "daemon/member_hosts.h"
#include "erlang/ekka_port.h"
#include "net/loop.h"
#include "net/peer_dial.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAVE_SOON_MS 1000
#define SAVE_AGAIN_MS 60000 /* after a failure */

/* What is told of a join is kept until the call is over in which the cluster said it. */
struct join_news {
    struct cluster_event event;
    char name[CLUSTER_NAME_MAX + 1];
    char text[CLUSTER_TEXT_SIZE];
};
#define JOIN_NEWS_MAX 2 /* the newest progress, and the end */

struct cluster_shell {
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
    uint64_t awaited; /* the write before which nothing is told to anybody; 0: none */
    cluster_shell_settled *settled;
    void *settled_context;
    const struct peer_failure *failure; /* of the attempt that is being told of; NULL: none is */
    const char *failure_name;           /* whom it was for */
    struct join_news news[JOIN_NEWS_MAX];
    size_t news_count;
    cluster_join_told *told; /* NULL: nobody listens */
    void *told_context;
};

static int64_t now(void) {
    return clock_monotonic_ms();
}

/* --- after a call --- */

static void save_again_later(struct cluster_shell *shell) {
    shell->save_wanted = true;
    loop_set_timer_or_now(shell->save_event, SAVE_AGAIN_MS);
}

static void save(struct cluster_shell *shell) {
    bool urgent = shell->save_urgent;
    shell->save_urgent = shell->save_wanted = false;
    event_del(shell->save_event);
    uint64_t number = cluster_store_file_save(shell->store);
    if (number == 0 && cluster_store_file_unsaved(shell->store))
        save_again_later(shell);
    if (number == 0 || !urgent)
        return;
    shell->awaited = number;
    peer_links_pause_sending(shell->links, true);
}

static void on_saved(void *context, bool kept) {
    if (!kept)
        save_again_later(context);
}

static void pass_news_on(struct cluster_shell *shell) {
    size_t count = shell->news_count;
    shell->news_count = 0;
    for (size_t i = 0; i < count && shell->told != NULL; i++) {
        struct join_news *news = &shell->news[i];
        news->event.name = news->name;
        cluster_join_told *told = shell->told;
        if (news->event.type != CLUSTER_EVENT_JOIN_PROGRESS)
            shell->told = NULL;
        told(shell->told_context, &news->event, news->text);
    }
}

/* What had to be on disk first is, or nobody waits for it any longer. */
static void on_settled(void *context, uint64_t number) {
    struct cluster_shell *shell = context;
    if (shell->awaited == 0 || number < shell->awaited)
        return;
    shell->awaited = 0;
    peer_links_pause_sending(shell->links, false);
    pass_news_on(shell);
    shell->settled(shell->settled_context, number);
}

/* Every call into the cluster ends here. Nothing that it sent has left yet, and nothing leaves
 * before what is to be saved first is. */
static void settle(struct cluster_shell *shell) {
    if (shell->save_urgent)
        save(shell);
    else if (shell->save_wanted && !event_pending(shell->save_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(shell->save_event, SAVE_SOON_MS);
    int64_t due_ms = cluster_due_ms(shell->cluster);
    if (due_ms == INT64_MAX)
        event_del(shell->tick_event);
    else if (!loop_set_timer(shell->tick_event, due_ms - now()))
        event_active(shell->tick_event, EV_TIMEOUT, 0); /* too early, but never too late */
    if (shell->awaited == 0)
        pass_news_on(shell);
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    struct cluster_shell *shell = context;
    (void)fd;
    (void)what;
    cluster_tick(shell->cluster, now());
    settle(shell);
}

static void on_save(evutil_socket_t fd, short what, void *context) {
    struct cluster_shell *shell = context;
    (void)fd;
    (void)what;
    if (shell->save_wanted)
        save(shell);
}

/* --- what the cluster asks for --- */

static uint16_t port_of_rule(const struct config *config, const char *name) {
    uint32_t port;
    return ekka_port(bytes_of_text(name), config->dist_base_port, &port) ? (uint16_t)port : 0;
}

/* A member has told its port itself; whoever is no member yet is on the rule's, or where the epmd
 * of its host says. */
static bool io_connect(void *context, const char *name) {
    struct cluster_shell *shell = context;
    const struct config *config = shell->config;
    struct cluster_member_view member;
    if (cluster_member_find(shell->cluster, name, &member) && member.port != 0 &&
        member.state != CLUSTER_LEFT && member.state != CLUSTER_FORCED_OUT)
        return peer_dial_begin(shell->links, name, member.port, 0);
    uint16_t port = port_of_rule(config, name);
    uint16_t epmd_port = config->epmd_enable && port != 0 ? config->epmd_port : 0;
    return peer_dial_begin(shell->links, name, port, epmd_port);
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
    struct cluster_shell *shell = context;
    shell->save_wanted = true;
    shell->save_urgent = shell->save_urgent || urgent;
}

static void keep_news(struct cluster_shell *shell, const struct cluster_event *event,
                      const char *text) {
    bool is_progress = event->type == CLUSTER_EVENT_JOIN_PROGRESS;
    size_t place = shell->news_count;
    if (place > 0 && (is_progress || place == JOIN_NEWS_MAX))
        place--;
    shell->news_count = place + 1;
    struct join_news *news = &shell->news[place];
    news->event = *event;
    snprintf(news->name, sizeof news->name, "%s", event->name);
    snprintf(news->text, sizeof news->text, "%s", text);
}

static void tell_hosts(struct member_hosts *hosts, const struct cluster_event *event) {
    switch (event->type) {
    case CLUSTER_EVENT_UP:
        member_hosts_up(hosts, event->name);
        break;
    case CLUSTER_EVENT_JOINED:
    case CLUSTER_EVENT_LEFT:
    case CLUSTER_EVENT_FORCED_OUT:
    case CLUSTER_EVENT_CLEANED:
    case CLUSTER_EVENT_JOIN_PROGRESS:
    case CLUSTER_EVENT_JOIN_DONE:
    case CLUSTER_EVENT_MERGED:
        member_hosts_changed(hosts);
        break;
    default:
        break;
    }
}

static void io_notify(void *context, const struct cluster_event *event) {
    struct cluster_shell *shell = context;
    char text[CLUSTER_TEXT_SIZE];
    bool is_of_failure = shell->failure != NULL && shell->failure->cause == event->cause &&
                         strcmp(shell->failure_name, event->name) == 0;
    cluster_text_of_event(event, shell->config->node_name, is_of_failure ? shell->failure : NULL,
                          text);
    cluster_events_tell(shell->events, event, text);
    if (shell->hosts != NULL)
        tell_hosts(shell->hosts, event);
    if (event->type == CLUSTER_EVENT_JOIN_PROGRESS || event->type == CLUSTER_EVENT_JOIN_DONE ||
        event->type == CLUSTER_EVENT_JOIN_FAILED)
        keep_news(shell, event, text);
}

static bool io_name_allowed(void *context, void *handle, const char *name) {
    (void)context;
    peer_link_set_name(handle, name);
    return peer_link_name_allowed(handle, name);
}

/* --- what the links tell --- */

static bool on_up(void *context, struct peer_link *link, const char *name) {
    struct cluster_shell *shell = context;
    struct cluster_link *made = cluster_link_up(shell->cluster, link, name, now());
    peer_link_set_owner(link, made);
    settle(shell);
    return made != NULL;
}

static size_t on_received(void *context, struct peer_link *link, struct bytes bytes) {
    struct cluster_shell *shell = context;
    struct cluster_link *of_cluster = peer_link_owner(link);
    if (of_cluster == NULL)
        return bytes.len;
    size_t used = cluster_receive(shell->cluster, of_cluster, bytes, now());
    settle(shell);
    return used;
}

static void on_down(void *context, struct peer_link *link, const struct peer_failure *failure) {
    struct cluster_shell *shell = context;
    struct cluster_link *of_cluster = peer_link_owner(link);
    if (of_cluster == NULL)
        return;
    shell->failure = failure;
    shell->failure_name = peer_link_name(link);
    cluster_link_down(shell->cluster, of_cluster, failure->cause, now());
    shell->failure = NULL;
    settle(shell);
}

static void on_failed(void *context, const char *name, const struct peer_failure *failure) {
    struct cluster_shell *shell = context;
    shell->failure = failure;
    shell->failure_name = name;
    cluster_connect_failed(shell->cluster, name, failure->cause, now());
    shell->failure = NULL;
    settle(shell);
}

static void on_rejected(void *context, const struct peer_failure *failure, bool limited) {
    (void)context;
    (void)limited;
    cluster_events_rejected(failure);
}

static bool is_from_member(void *context, const struct address *peer) {
    struct cluster_shell *shell = context;
    return shell->hosts != NULL && member_hosts_has(shell->hosts, address_host(peer));
}

bool cluster_shell_take(struct cluster_shell *shell, int fd, const struct address *peer,
                        struct bytes first) {
    return peer_links_accept(shell->links, fd, peer, first);
}

/* --- discovery --- */

static bool on_wanted(void *context) {
    const struct cluster_shell *shell = context;
    return cluster_wants_discovery(shell->cluster);
}

static void on_found(void *context, const struct discovery_result *result) {
    struct cluster_shell *shell = context;
    cluster_discovered(shell->cluster, result->names, result->count, now());
    settle(shell);
}

static bool begin_discovery(struct cluster_shell *shell, struct event_base *base) {
    const struct cluster_discovery_hooks hooks = {
        .wanted = on_wanted, .found = on_found, .context = shell};
    shell->discovery = cluster_discovery_new(shell->config, base, &hooks);
    return shell->discovery != NULL;
}

/* --- the registry --- */

void cluster_shell_registered(struct cluster_shell *shell,
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
    cluster_name_registered(shell->cluster, &name, now());
    settle(shell);
}

void cluster_shell_unregistered(struct cluster_shell *shell,
                                const struct registration *registration) {
    cluster_name_unregistered(shell->cluster, registration->node.name, now());
    settle(shell);
}

/* --- commands --- */

enum cluster_verdict cluster_shell_join(struct cluster_shell *shell, const char *target,
                                        cluster_join_told *told, void *context) {
    enum cluster_verdict verdict = cluster_join(shell->cluster, target, now());
    if (verdict == CLUSTER_OK) {
        shell->told = told;
        shell->told_context = context;
    }
    settle(shell);
    return verdict;
}

void cluster_shell_forget(struct cluster_shell *shell, const void *context) {
    if (shell->told_context == context)
        shell->told = NULL;
}

enum cluster_verdict cluster_shell_leave(struct cluster_shell *shell) {
    enum cluster_verdict verdict = cluster_leave(shell->cluster, now());
    settle(shell);
    return verdict;
}

enum cluster_verdict cluster_shell_force_leave(struct cluster_shell *shell, const char *name) {
    enum cluster_verdict verdict = cluster_force_leave(shell->cluster, name, now());
    settle(shell);
    return verdict;
}

/* --- questions --- */

uint64_t cluster_shell_awaited(const struct cluster_shell *shell) {
    return shell->awaited;
}

const struct cluster *cluster_shell_cluster(const struct cluster_shell *shell) {
    return shell->cluster;
}

struct peer_counters cluster_shell_counters(const struct cluster_shell *shell) {
    return peer_links_counters(shell->links);
}

const struct address *cluster_shell_address(const struct cluster_shell *shell, const char *name) {
    const struct peer_link *link = peer_links_find(shell->links, name);
    return link == NULL ? NULL : peer_link_address(link);
}

bool cluster_shell_has_host(const struct cluster_shell *shell, struct bytes address) {
    return peer_links_has_host(shell->links, address) || member_hosts_has(shell->hosts, address);
}

/* --- beginning and end --- */

static struct cluster_options options_of(struct cluster_shell *shell, uint16_t front_port,
                                         uint64_t seed) {
    const struct config *config = shell->config;
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
    options.io_context = shell;
    return options;
}

static bool build(struct cluster_shell *shell, const struct cluster_shell_options *options) {
    const struct peer_hooks hooks = {
        .up = on_up,
        .received = on_received,
        .down = on_down,
        .failed = on_failed,
        .rejected = on_rejected,
        .is_from_member = is_from_member,
        .context = shell,
    };
    shell->links = peer_links_new(options->base, shell->tls, &hooks);
    shell->store = cluster_store_file_open(shell->config->data_dir);
    shell->tick_event = event_new(options->base, -1, 0, on_tick, shell);
    shell->save_event = event_new(options->base, -1, 0, on_save, shell);
    return shell->links != NULL && shell->store != NULL && shell->tick_event != NULL &&
           shell->save_event != NULL;
}

static bool attach(struct cluster_shell *shell, struct state_worker *worker) {
    const struct cluster_store_hooks hooks = {
        .saved = on_saved, .settled = on_settled, .context = shell};
    return cluster_store_file_attach(shell->store, shell->cluster, worker, &hooks);
}

static bool start(struct cluster_shell *shell, const struct cluster_shell_options *of,
                  char *error) {
    char old_name[CLUSTER_NAME_MAX + 1];
    uint64_t seed;
    if (RAND_bytes((unsigned char *)&seed, sizeof seed) != 1) {
        snprintf(error, CLUSTER_SHELL_ERROR_SIZE,
                 "cannot start: OpenSSL has no random numbers; check its configuration");
        return false;
    }
    const struct cluster_options options = options_of(shell, of->front_port, seed);
    enum cluster_start verdict =
        cluster_store_file_start(shell->store, &options, now(), &shell->cluster, old_name);
    if (verdict == CLUSTER_STARTED) {
        shell->hosts = member_hosts_new(of->base, shell->cluster);
        return attach(shell, of->worker) && shell->hosts != NULL;
    }
    if (verdict == CLUSTER_START_NAME_CHANGED)
        cluster_store_file_explain_name(shell->config->data_dir, options.name, old_name, error,
                                        CLUSTER_SHELL_ERROR_SIZE);
    else if (verdict == CLUSTER_START_BAD_NAME)
        snprintf(
            error, CLUSTER_SHELL_ERROR_SIZE,
            "cannot start as %s: the names of members have at most %d bytes; shorten node.name",
            options.name, CLUSTER_NAME_MAX);
    return false;
}

struct cluster_shell *cluster_shell_new(const struct cluster_shell_options *options,
                                        char error[CLUSTER_SHELL_ERROR_SIZE]) {
    struct cluster_shell *shell = calloc(1, sizeof *shell);
    snprintf(error, CLUSTER_SHELL_ERROR_SIZE, "cannot start: out of memory");
    if (shell == NULL) {
        tls_free(options->tls);
        return NULL;
    }
    shell->config = options->config;
    shell->events = options->events;
    shell->tls = options->tls;
    shell->settled = options->settled;
    shell->settled_context = options->settled_context;
    if (build(shell, options) && start(shell, options, error) &&
        begin_discovery(shell, options->base)) {
        settle(shell);
        return shell;
    }
    cluster_shell_free(shell);
    return NULL;
}

void cluster_shell_free(struct cluster_shell *shell) {
    if (shell == NULL)
        return;
    shell->told = NULL;
    if (shell->cluster != NULL) {
        shell->awaited = 0; /* nobody listens any longer */
        cluster_stop(shell->cluster, now());
        if (shell->save_wanted || cluster_store_file_unsaved(shell->store))
            cluster_store_file_save_last(shell->store);
    }
    cluster_discovery_free(shell->discovery);
    member_hosts_free(shell->hosts);
    peer_links_free(shell->links);
    cluster_free(shell->cluster);
    cluster_store_file_free(shell->store);
    tls_free(shell->tls);
    loop_free_event(shell->tick_event);
    loop_free_event(shell->save_event);
    free(shell);
}
