#include "base/clock.h"
#include "base/log_limits.h"
#include "base/version.h"
#include "daemon/inner.h"
#include "loop/loop.h"
#include "preflight/listening.h"
#include "process/process.h"
#include "service/credentials.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int signals[DAEMON_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

static void log_control_socket(const struct daemon *daemon) {
    const char *path = daemon->config->control_socket;
    if (daemon->control != NULL)
        log_event(LOG_LEVEL_INFO, "control_socket", log_text("path", path));
    else if (path[0] != '\0')
        log_event(LOG_LEVEL_WARN, "no_control_socket", log_text("path", path),
                  log_text("reason", "its directory belongs to another user, or cannot be created"),
                  log_text("outcome", "portolan cannot talk to this daemon"),
                  log_text("cure", "set control.socket, or XDG_RUNTIME_DIR for both"));
}

static void log_started(const struct daemon *daemon) {
    for (size_t i = 0; i < daemon->listeners.count; i++) {
        const struct listener *listener = &daemon->listeners.all[i];
        char text[ADDRESS_TEXT_SIZE];
        log_event(LOG_LEVEL_INFO, "listening",
                  log_text("address", address_format(&listener->address, text)),
                  log_text("role", listener_role_names[listener->role]));
    }
    log_control_socket(daemon);
    config_log_loaded(daemon->config);
    log_event(LOG_LEVEL_INFO, "started", log_text("program", daemon->options->program),
              log_text("version", PORTOLAN_VERSION), log_number("process", getpid()));
}

/* --- the log --- */

static void on_report(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    (void)context;
    log_report_suppressed();
}

static void on_held_back(void *context) {
    const struct daemon *daemon = context;
    if (!event_pending(daemon->report_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(daemon->report_event, LOG_REPORT_MS);
}

static bool build_report(struct daemon *daemon) {
    daemon->report_event = event_new(daemon->base, -1, 0, on_report, NULL);
    if (daemon->report_event == NULL)
        return false;
    log_on_suppressed(on_held_back, daemon);
    return true;
}

/* --- reports of the server --- */

static uint64_t on_awaits(void *context, const struct registration *registration) {
    struct daemon *daemon = context;
    return creation_store_given(daemon->creation_store, registration->node.highest_version);
}

static void on_creations_settled(void *context, uint64_t number) {
    struct daemon *daemon = context;
    if (daemon->server != NULL)
        epmd_server_settled(daemon->server, number);
}

static void on_registered(void *context, struct registration *registration) {
    struct daemon *daemon = context;
    events_registered(&daemon->events, registration);
    if (daemon->pool != NULL && port_pool_unsaved(daemon->pool))
        daemon_leases_changed(daemon); /* it has taken its lease to another port */
    if (daemon->front_service.front != NULL)
        front_registered(daemon->front_service.front, registration);
    if (daemon->cluster != NULL)
        cluster_service_registered(daemon->cluster, registration);
}

static void on_unregistered(void *context, struct registration *registration, const char *reason) {
    struct daemon *daemon = context;
    if (daemon->front_service.front != NULL)
        front_unregistered(daemon->front_service.front, registration);
    events_unregistered(&daemon->events, registration, reason);
    daemon_leases_changed(daemon);
    if (daemon->cluster != NULL)
        cluster_service_unregistered(daemon->cluster, registration);
}

static bool on_is_member(void *context, const struct address *peer) {
    const struct daemon *daemon = context;
    return daemon->cluster != NULL && cluster_service_has_host(daemon->cluster, address_host(peer));
}

/* Its front port is another one: other members are told anew. */
static void on_route_changed(void *context, const struct registration *registration) {
    struct daemon *daemon = context;
    if (daemon->cluster != NULL)
        cluster_service_registered(daemon->cluster, registration);
}

static void on_refused(void *context, const struct epmd_refusal *refusal) {
    struct daemon *daemon = context;
    events_refused(&daemon->events, refusal);
}

/* Breaking off takes no memory, as event_base_loopexit would: there may be none left. */
static void stop_because(struct daemon *daemon, const char *reason) {
    log_event(LOG_LEVEL_INFO, "stopping", log_text("reason", reason));
    event_base_loopbreak(daemon->base);
}

static void on_killed(void *context) {
    stop_because(context, "KILL request");
}

static void on_stop(void *context) {
    stop_because(context, "control command");
}

static void on_signal(evutil_socket_t number, short what, void *context) {
    (void)what;
    char reason[16];
    if (number == SIGHUP) {
        daemon_hang_up(context);
        return;
    }
    snprintf(reason, sizeof reason, "SIG%s", sigabbrev_np((int)number));
    stop_because(context, reason);
}

/* --- beginning and end --- */

/*
 * Signals stay pending while they cannot be handled: before the loop runs, when the port is open
 * already, and after it.
 */
static void hold_signals(bool hold) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < DAEMON_SIGNALS; i++)
        sigaddset(&set, signals[i]);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static bool build_names(struct daemon *daemon) {
    const struct config *config = daemon->config;
    uint16_t port = listening_epmd_port(&daemon->listeners);
    daemon->creations = creations_new(clock_wall_us());
    if (daemon->creations == NULL || !daemon_open_pool(daemon, port))
        return false;
    daemon->creation_store = creation_store_open(config->data_dir, port, daemon->creations);
    daemon->registry = registry_new(daemon->creations);
    if (daemon->creation_store == NULL || daemon->registry == NULL)
        return false;
    creation_store_sync(daemon->creation_store);
    daemon->service = (struct epmd_service){
        .registry = daemon->registry,
        .pool = daemon->pool,
        .relaxed_commands = config->relaxed_commands,
        .quits_when_idle = config->personality == CONFIG_AS_EPMD,
        .remote_names = (enum remote_names)config->remote_names,
    };
    return true;
}

static bool build_loop(struct daemon *daemon) {
    daemon->base = event_base_new();
    if (daemon->base == NULL)
        return false;
    for (size_t i = 0; i < DAEMON_SIGNALS; i++) {
        daemon->signal_events[i] = evsignal_new(daemon->base, signals[i], on_signal, daemon);
        if (daemon->signal_events[i] == NULL || event_add(daemon->signal_events[i], NULL) < 0)
            return false;
    }
    /* these are reported in errno as well: a peer that is gone, a file that may not grow */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return daemon_start_leases(daemon);
}

static bool build_users(struct daemon *daemon) {
    daemon->owners = subordinate_users_read(SUBORDINATE_USERS_FILE);
    daemon->users.owners = daemon->owners;
    daemon->users.diag = sock_diag_new();
    daemon->users.descriptors =
        user_share_new(daemon_user_descriptors(daemon->config), daemon->owners);
    return daemon->owners != NULL && daemon->users.diag != NULL &&
           daemon->users.descriptors != NULL;
}

/* From here on nothing is written in the event loop. */
static bool build_worker(struct daemon *daemon) {
    daemon->worker = state_worker_new(daemon->base);
    if (daemon->worker == NULL || !creation_store_attach(daemon->creation_store, daemon->worker,
                                                         on_creations_settled, daemon))
        return false;
    return daemon_attach_leases(daemon);
}

static bool build_acceptor(struct daemon *daemon) {
    const struct acceptor_options options = {.budget = &daemon->turns.budget,
                                             .delay_s = daemon->options->delay_accept_s};
    const struct acceptor_hooks hooks = {.accepted = demux_accepted,
                                         .shed = demux_shed,
                                         .limit_hit = demux_limit_hit,
                                         .context = &daemon->demux};
    daemon->acceptor = acceptor_new(daemon->base, &options, &hooks, &daemon->listeners);
    return daemon->acceptor != NULL;
}

static bool build_server(struct daemon *daemon) {
    const struct epmd_server_options options = daemon_server_options(daemon);
    const struct epmd_server_hooks hooks = {
        .registered = on_registered,
        .awaits = on_awaits,
        .unregistered = on_unregistered,
        .refused = on_refused,
        .killed = on_killed,
        .context = daemon,
    };
    daemon->server =
        epmd_server_new(daemon->base, &daemon->service, daemon->acceptor, &options, &hooks);
    if (daemon->server == NULL)
        return false;
    daemon->demux.server = daemon->server;
    epmd_server_know_users(daemon->server, &daemon->users);
    return true;
}

static uint16_t front_port(const struct daemon *daemon) {
    for (size_t i = 0; i < daemon->listeners.count; i++) {
        if (daemon->listeners.all[i].role == LISTENER_FRONT)
            return address_port(&daemon->listeners.all[i].address);
    }
    return 0;
}

/* Callers at a front port that are not epmd clients have somewhere to go from here on. */
static bool build_demux(struct daemon *daemon) {
    struct demux *demux = &daemon->demux;
    const struct hello_queue_hooks hooks = {
        .arrived = demux_arrived, .refused = demux_refused, .context = demux};
    demux->hellos = hello_queue_new(daemon->base, daemon_hellos_max(), &hooks);
    demux->front = daemon->front_service.front;
    demux->events = &daemon->events;
    demux->accept_link = cluster_service_accept;
    epmd_server_on_other_protocol(daemon->server, demux_other_protocol, demux);
    return demux->hellos != NULL;
}

static bool build_front(struct daemon *daemon) {
    const struct front_deps deps = {.base = daemon->base,
                                    .acceptor = daemon->acceptor,
                                    .registry = daemon->registry,
                                    .pool = daemon->pool};
    if (!daemon->config->front_enable)
        return true;
    daemon->front_service = (struct front_service){.config = daemon->config,
                                                   .events = &daemon->events,
                                                   .users = &daemon->users,
                                                   .budget = &daemon->turns.budget,
                                                   .own_port = front_port(daemon),
                                                   .server = daemon->server,
                                                   .route_changed = on_route_changed,
                                                   .is_member = on_is_member,
                                                   .context = daemon};
    if (!front_service_build(&daemon->front_service, &deps))
        return false;
    daemon->service.routes = front_routes(daemon->front_service.front);
    return build_demux(daemon);
}

static bool on_member_asked(void *context, struct bytes address) {
    const struct daemon *daemon = context;
    return daemon->cluster != NULL && cluster_service_has_host(daemon->cluster, address);
}

/* Other daemons ask epmd's port where this one's front port is, by the name that they know. */
static void answer_for_itself(struct daemon *daemon) {
    const struct config *config = daemon->config;
    const char *at = strchr(config->node_name, '@');
    if (config->personality == CONFIG_AS_EPMD || !config->epmd_enable || at == NULL)
        return;
    daemon->service.own_name = bytes_of(config->node_name, (size_t)(at - config->node_name));
    daemon->service.own_front_port = front_port(daemon);
}

static void on_cluster_settled(void *context, uint64_t number) {
    struct daemon *daemon = context;
    if (daemon->control != NULL)
        control_server_settle(daemon->control, CONTROL_GATE_CLUSTER, number);
}

static bool build_cluster(struct daemon *daemon, char *error) {
    const char *program = daemon->config->cluster_on_event;
    struct cluster_service_options options = {.config = daemon->config,
                                              .base = daemon->base,
                                              .tls = daemon->tls,
                                              .events = &daemon->cluster_events,
                                              .front_port = front_port(daemon),
                                              .worker = daemon->worker,
                                              .settled = on_cluster_settled,
                                              .settled_context = daemon};
    if (daemon->tls == NULL)
        return true;
    if (program[0] != '\0') {
        daemon->event_hook = event_hook_new(daemon->base, program, EVENT_HOOK_MS);
        if (daemon->event_hook == NULL)
            return false;
    }
    daemon->cluster_events = (struct cluster_events){
        .events = &daemon->events, .hook = daemon->event_hook, .self = daemon->config->node_name};
    daemon->tls = NULL;
    daemon->cluster = cluster_service_new(&options, error);
    daemon->demux.links = daemon->cluster;
    return daemon->cluster != NULL;
}

static void on_process_ended(void *context, pid_t pid, int status) {
    struct daemon *daemon = context;
    event_hook_ended(daemon->event_hook, pid, status);
}

static bool build_orphans(struct daemon *daemon) {
    const struct orphans_hooks hooks = {.ended = on_process_ended, .context = daemon};
    return orphans_new(daemon->base, &hooks, &daemon->orphans);
}

static bool build_control(struct daemon *daemon) {
    int control_fd = daemon->control_fd;
    if (control_fd < 0)
        return true;
    daemon->control_fd = -1;
    daemon->control_context = (struct control_context){
        .config = daemon->config,
        .service = &daemon->service,
        .epmd_server = daemon->server,
        .events = &daemon->events,
        .listeners = &daemon->listeners,
        .cluster = daemon->cluster,
        .front = &daemon->front_service,
        .hellos = daemon->demux.hellos,
        .turns = &daemon->turns,
        .started_ms = clock_monotonic_ms(),
        .started_wall_ms = clock_wall_ms(),
        .own_epmd_port = listening_epmd_port(&daemon->listeners),
        .context = daemon,
        .leases_changed = daemon_lease_promised,
        .reload = daemon_reload,
        .stop = on_stop,
    };
    const struct control_server_options options = daemon_control_options(daemon);
    daemon->control = control_server_new(daemon->base, control_fd, daemon->config->control_socket,
                                         &options, control_handle, &daemon->control_context);
    daemon->control_context.server = daemon->control;
    control_connect_events(&daemon->events, daemon->control);
    return daemon->control != NULL;
}

static void destroy(struct daemon *daemon) {
    if (daemon->lease_store != NULL)
        lease_store_save_last(daemon->lease_store); /* with their nodes registered */
    control_server_free(daemon->control);
    daemon->control = NULL;
    if (daemon->control_fd >= 0)
        control_unlisten(daemon->control_fd, daemon->config->control_socket);
    control_connect_events(&daemon->events, NULL);
    cluster_service_free(daemon->cluster);
    daemon->cluster = daemon->demux.links = NULL;
    orphans_free(daemon->orphans);
    event_hook_free(daemon->event_hook);
    hello_queue_free(daemon->demux.hellos);
    front_service_end(&daemon->front_service);
    daemon->service.routes = NULL;
    epmd_server_free(daemon->server);
    daemon->server = NULL;
    acceptor_free(daemon->acceptor);
    user_share_free(daemon->users.descriptors);
    sock_diag_free(daemon->users.diag);
    subordinate_users_free(daemon->owners);
    registry_free(daemon->registry);
    if (daemon->creation_store != NULL)
        creation_store_save_last(daemon->creation_store);
    lease_store_free(daemon->lease_store);
    port_pool_free(daemon->pool);
    creation_store_free(daemon->creation_store);
    creations_free(daemon->creations);
    state_worker_free(daemon->worker);
    log_on_suppressed(NULL, NULL);
    loop_free_event(daemon->report_event);
    loop_free_event(daemon->lease_event);
    for (size_t i = 0; i < DAEMON_SIGNALS; i++)
        loop_free_event(daemon->signal_events[i]);
    if (daemon->base != NULL)
        event_base_free(daemon->base);
    libevent_global_shutdown();
}

static bool build(struct daemon *daemon) {
    char error[CLUSTER_SERVICE_ERROR_SIZE] = "out of memory";
    if (build_names(daemon) && build_loop(daemon) && build_report(daemon) && build_worker(daemon) &&
        build_users(daemon) && build_acceptor(daemon) && build_server(daemon) &&
        build_front(daemon) && build_cluster(daemon, error) && build_orphans(daemon) &&
        build_control(daemon)) {
        answer_for_itself(daemon);
        daemon->service.member_hosts =
            (struct member_hosts_query){.has = on_member_asked, .context = daemon};
        return true;
    }
    log_event(LOG_LEVEL_ERROR, "cannot_start", log_text("reason", error));
    if (daemon->options->detach || strcmp(daemon->config->log_to, "console") != 0)
        fprintf(stderr, "%s: %s\n", daemon->options->program, error);
    return false;
}

static enum exit_code run(struct daemon *daemon) {
    enum exit_code code = EXIT_FAILED;
    int error = daemon->options->detach ? process_detach(daemon->options->program) : 0;
    if (error < 0) {
        fprintf(stderr, "%s: cannot go to the background: %s\n", daemon->options->program,
                strerror(-error));
    } else if (build(daemon)) {
        log_started(daemon);
        process_notify_ready();
        process_detached(EXIT_DONE);
        hold_signals(false);
        code = loop_run(daemon->base, &daemon->turns) ? EXIT_DONE : EXIT_FAILED;
        hold_signals(true);
        process_notify_stopping();
    }
    return code;
}

/* -daemon returns when all runs, or has failed. */
enum exit_code daemon_run(struct config *config, const struct start_options *options) {
    struct daemon daemon = {.config = config, .options = options, .control_fd = -1};
    enum exit_code code;
    char error[CLUSTER_KEY_ERROR_SIZE];
    process_raise_descriptor_limit();
    hold_signals(true);
    if (!cluster_key_open(config, &daemon.tls, error)) {
        fprintf(stderr, "%s: %s\n", options->program, error);
        return EXIT_FAILED;
    }
    if (options->detach)
        process_close_inherited();
    if (!listening_open(&daemon.listeners, config, options, &code)) {
        tls_free(daemon.tls);
        return code;
    }
    bool controlled = config->control_socket[0] != '\0';
    if (controlled)
        daemon.control_fd = listening_open_control(config, options);
    bool refused = daemon.control_fd < 0 && daemon.control_fd != LISTENING_NO_CONTROL;
    if ((controlled && refused) || !daemon_open_log(config, options))
        code = EXIT_FAILED;
    else
        code = run(&daemon);
    destroy(&daemon);
    tls_free(daemon.tls); /* where it was not taken over */
    log_close();
    process_detached((int)code); /* when it has not become ready */
    return code;
}
