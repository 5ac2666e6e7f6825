#include "daemon/daemon.h"

#include "base/clock.h"
#include "daemon/creation_store.h"
#include "daemon/process.h"
#include "base/version.h"
#include "net/epmd_server.h"
#include "net/port_holder.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
#define SIGNALS (sizeof signals / sizeof signals[0])

struct daemon {
    struct event_base *base;
    struct event *signal_events[SIGNALS];
    struct creations *creations;
    struct creation_store *store;
    struct registry *registry;
    struct epmd_service service;
    struct epmd_server *server;
};

/* --- what can happen before the loop runs --- */

static void say_taken(const struct daemon_options *options, const char *address, uint16_t port) {
    struct port_holder holder;
    if (port_holder_find(port, &holder))
        fprintf(stderr,
                "%s: cannot listen on %s: it is in use by %s (process %d); stop that, or choose "
                "another port with -port\n",
                options->program, address, holder.program, (int)holder.pid);
    else
        fprintf(stderr,
                "%s: cannot listen on %s: it is in use by a process that cannot be seen from "
                "here; stop that, or choose another port with -port\n",
                options->program, address);
}

static const char *cure_of(int error) {
    switch (error) {
    case EADDRNOTAVAIL:
        return "; is it an address of this host? 'ip address' lists them";
    case EACCES:
    case EPERM:
        return "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    case EMFILE:
    case ENFILE:
        return "; allow more descriptors with 'ulimit -n'";
    case E2BIG:
        return "; the list has more addresses than can be served";
    default:
        return "";
    }
}

static enum exit_code listening_failed(const struct daemon_options *options, uint16_t port,
                                       const struct listen_failure *failure) {
    char address[ADDRESS_TEXT_SIZE];
    if (failure->item[0] != '\0') {
        fprintf(stderr,
                "%s: '%s' is not an IP address; -address takes numeric addresses, commas or "
                "blanks between them\n",
                options->program, failure->item);
        return EXIT_FAILED;
    }
    bool taken = failure->error == EADDRINUSE;
    address_format(&failure->address, address);
    if (taken && options->quiet_if_taken && !options->debugging)
        return EXIT_DONE;
    if (taken)
        say_taken(options, address, port);
    else
        fprintf(stderr, "%s: cannot listen on %s: %s%s\n", options->program, address,
                strerror(failure->error), cure_of(failure->error));
    return EXIT_FAILED;
}

/* False with the exit code set when there is nothing to listen on. */
static bool get_listeners(struct listeners *listeners, const struct config *config,
                          const struct daemon_options *options, enum exit_code *code) {
    struct listen_failure failure;
    const char *error;
    if (options->from_systemd) {
        if (process_systemd_listeners(listeners, &error))
            return true;
        fprintf(stderr, "%s: %s\n", options->program, error);
        *code = EXIT_FAILED;
        return false;
    }
    if (listeners_open(listeners, config->epmd_address, config->epmd_port, &failure))
        return true;
    *code = listening_failed(options, config->epmd_port, &failure);
    return false;
}

static bool open_log(const struct config *config, const struct daemon_options *options) {
    bool console = strcmp(config->log_to, "console") == 0;
    bool to_syslog = strcmp(config->log_to, "syslog") == 0 || (console && options->detach);
    enum log_target target = to_syslog ? LOG_TO_SYSLOG : console ? LOG_TO_CONSOLE : LOG_TO_FILE;
    int error = log_open(options->program, (enum log_level)config->log_level,
                         (enum log_format)config->log_format, target, config->log_to);
    if (error == 0)
        return true;
    fprintf(stderr,
            "%s: cannot write the log file %s: %s; does its directory exist, and may this "
            "user write there?\n",
            options->program, config->log_to, strerror(-error));
    return false;
}

/* --- the loop --- */

static void reopen_log(void) {
    int error = log_reopen();
    if (error == 0)
        log_event(LOG_LEVEL_INFO, "log_reopened", log_number("process", getpid()));
    else
        log_event(LOG_LEVEL_WARN, "log_not_reopened", log_text("reason", strerror(-error)),
                  log_text("outcome", "the old file stays in use"));
}

static void on_signal(evutil_socket_t number, short what, void *context) {
    struct daemon *daemon = context;
    (void)what;
    if (number == SIGHUP) {
        reopen_log();
        return;
    }
    log_event(LOG_LEVEL_INFO, "stopping", log_text("signal", sigabbrev_np((int)number)));
    event_base_loopbreak(daemon->base);
}

static void on_killed(void *context) {
    struct daemon *daemon = context;
    log_event(LOG_LEVEL_INFO, "stopping", log_text("reason", "KILL request"));
    event_base_loopbreak(daemon->base);
}

static void on_registered(void *context) {
    struct daemon *daemon = context;
    creation_store_sync(daemon->store);
}

static bool watch_signals(struct daemon *daemon) {
    for (size_t i = 0; i < SIGNALS; i++) {
        daemon->signal_events[i] = evsignal_new(daemon->base, signals[i], on_signal, daemon);
        if (daemon->signal_events[i] == NULL || event_add(daemon->signal_events[i], NULL) < 0)
            return false;
    }
    signal(SIGPIPE, SIG_IGN);
    return true;
}

/*
 * Signals wait while there is nobody to take them: before the loop runs, when the port is open
 * already, and after it.
 */
static void hold_signals(bool hold) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&set, signals[i]);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static bool build_names(struct daemon *daemon, const struct config *config, uint16_t port) {
    daemon->creations = creations_new(clock_wall_us());
    if (daemon->creations == NULL)
        return false;
    daemon->store = creation_store_open(config->data_dir, port, daemon->creations);
    daemon->registry = registry_new(daemon->creations);
    if (daemon->store == NULL || daemon->registry == NULL)
        return false;
    creation_store_sync(daemon->store);
    daemon->service = (struct epmd_service){
        .registry = daemon->registry,
        .port = port,
        .relaxed_commands = config->relaxed_commands,
        .remote_names = config->remote_names,
    };
    return true;
}

static bool build_server(struct daemon *daemon, const struct config *config,
                         const struct daemon_options *options, const struct listeners *listeners) {
    const struct epmd_server_options server_options = {
        .packet_timeout_ms = config->packet_timeout_ms,
        .peer_connections = (unsigned)config->peer_connections,
        .delay_accept_s = options->delay_accept_s,
        .delay_write_s = options->delay_write_s,
    };
    const struct epmd_server_hooks hooks = {
        .registered = on_registered, .killed = on_killed, .context = daemon};
    daemon->base = event_base_new();
    if (daemon->base == NULL || !watch_signals(daemon))
        return false;
    daemon->server =
        epmd_server_new(daemon->base, &daemon->service, &server_options, &hooks, listeners);
    return daemon->server != NULL;
}

static void destroy(struct daemon *daemon) {
    epmd_server_free(daemon->server);
    registry_free(daemon->registry);
    creation_store_free(daemon->store);
    creations_free(daemon->creations);
    for (size_t i = 0; i < SIGNALS; i++) {
        if (daemon->signal_events[i] != NULL)
            event_free(daemon->signal_events[i]);
    }
    if (daemon->base != NULL)
        event_base_free(daemon->base);
    libevent_global_shutdown();
}

static void log_started(const struct daemon_options *options, const struct listeners *listeners) {
    for (size_t i = 0; i < listeners->count; i++) {
        struct address address;
        socklen_t len = sizeof address;
        char text[ADDRESS_TEXT_SIZE];
        if (getsockname(listeners->fds[i], &address.any, &len) == 0)
            log_event(LOG_LEVEL_INFO, "listening",
                      log_text("address", address_format(&address, text)),
                      log_text("protocol", "epmd"));
    }
    log_event(LOG_LEVEL_INFO, "started", log_text("program", options->program),
              log_text("version", PORTOLAN_VERSION), log_number("process", getpid()));
}

/* The port that the sockets are bound to, whoever opened them. */
static uint16_t port_of(const struct listeners *listeners) {
    struct address address;
    socklen_t len = sizeof address;
    bool known = getsockname(listeners->fds[0], &address.any, &len) == 0;
    return known ? address_port(&address) : 0;
}

enum exit_code daemon_run(const struct config *config, const struct daemon_options *options) {
    struct daemon daemon = {.base = NULL};
    struct listeners listeners;
    enum exit_code code = EXIT_FAILED;
    process_raise_descriptor_limit();
    hold_signals(true);
    if (!get_listeners(&listeners, config, options, &code))
        return code;
    if (!open_log(config, options)) {
        listeners_close(&listeners);
        return EXIT_FAILED;
    }
    /* the port is bound from here on: who waits for the caller of -daemon may connect */
    int error = options->detach ? process_detach() : 0;
    if (error < 0) {
        fprintf(stderr, "%s: cannot go to the background: %s\n", options->program,
                strerror(-error));
        listeners_close(&listeners);
    } else if (build_names(&daemon, config, port_of(&listeners)) &&
               build_server(&daemon, config, options, &listeners)) {
        log_started(options, &listeners);
        process_notify_ready();
        hold_signals(false);
        code = event_base_dispatch(daemon.base) < 0 ? EXIT_FAILED : EXIT_DONE;
        hold_signals(true);
        process_notify_stopping();
    } else {
        log_event(LOG_LEVEL_ERROR, "cannot_start", log_text("reason", "out of memory"));
    }
    destroy(&daemon);
    log_close();
    return code;
}
