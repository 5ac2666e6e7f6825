#include "config/reload.h"
#include "base/clock.h"
#include "daemon/inner.h"
#include "net/json_whole.h"
#include "process/process.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of the descriptors, those that may be callers of the control socket who wait. */
#define CONTROL_WAITING_SHARE 8

/* And those that may be callers whose TLS hello is not whole. */
#define HELLOS_SHARE 16

/* --- log --- */

static int start_log(const struct config *config, const struct start_options *options) {
    bool console = strcmp(config->log_to, "console") == 0;
    bool to_syslog = strcmp(config->log_to, "syslog") == 0 || (console && options->detach);
    enum log_target target = to_syslog ? LOG_TO_SYSLOG : console ? LOG_TO_CONSOLE : LOG_TO_FILE;
    return log_open(options->program, (enum log_level)config->log_level,
                    (enum log_format)config->log_format, target, config->log_to);
}

bool daemon_open_log(const struct config *config, const struct start_options *options) {
    int error = start_log(config, options);
    if (error == 0)
        return true;
    fprintf(stderr,
            "%s: cannot write the log file %s: %s; does its directory exist, and may this user "
            "write there?\n",
            options->program, config->log_to, strerror(-error));
    return false;
}

/* --- reload --- */

struct epmd_server_options daemon_server_options(struct daemon *daemon) {
    return (struct epmd_server_options){
        .packet_timeout_ms = daemon->config->packet_timeout_ms,
        .peer_connections = (unsigned)daemon->config->peer_connections,
        .delay_write_s = daemon->options->delay_write_s,
        .budget = &daemon->turns.budget,
    };
}

struct port_pool_options daemon_pool_options(const struct config *config) {
    return (struct port_pool_options){
        .policy = (enum port_policy)config->port_policy,
        .first = config->dist_listen_min,
        .last = config->dist_listen_max,
        .tools = (uint16_t)config->dist_tool_ports,
        .base = config->dist_base_port,
        .enforce = config->port_enforce,
        .any_user = !config->front_check_owner,
    };
}

size_t daemon_user_descriptors(const struct config *config) {
    return user_share_of(process_descriptor_limit(), config->user_share);
}

size_t daemon_hellos_max(void) {
    return process_descriptor_limit() / HELLOS_SHARE;
}

struct control_server_options daemon_control_options(const struct daemon *daemon) {
    return (struct control_server_options){
        .user_share = daemon->config->user_share,
        .waiting_max = process_descriptor_limit() / CONTROL_WAITING_SHARE,
        .owners = daemon->owners,
    };
}

/* Brings what runs in line with the configuration. */
static void apply_config(struct daemon *daemon) {
    const struct epmd_server_options options = daemon_server_options(daemon);
    const struct port_pool_options ports = daemon_pool_options(daemon->config);
    const struct control_server_options control = daemon_control_options(daemon);
    daemon->service.relaxed_commands = daemon->config->relaxed_commands;
    daemon->service.remote_names = (enum remote_names)daemon->config->remote_names;
    epmd_server_configure(daemon->server, &options);
    user_share_configure(daemon->users.descriptors, daemon_user_descriptors(daemon->config));
    if (daemon->control != NULL)
        control_server_configure(daemon->control, &control);
    if (daemon->pool != NULL)
        port_pool_configure(daemon->pool, &ports);
    if (daemon->front_service.front != NULL)
        front_service_configure(&daemon->front_service);
    if (start_log(daemon->config, daemon->options) < 0)
        log_event(LOG_LEVEL_ERROR, "log_not_changed", log_text("to", daemon->config->log_to));
}

/* A visitor of config_reload: one key that changed. */
struct changes {
    json_t **applied;
    json_t **restart;
};

static void on_changed(void *context, const char *key, bool applied) {
    const struct changes *changes = context;
    json_t **keys = applied ? changes->applied : changes->restart;
    *keys = json_whole_append(*keys, json_string(key));
    log_event(LOG_LEVEL_INFO, "reloaded", log_text("key", key),
              log_text("outcome", applied ? "applied" : "needs a restart"));
}

/* Tries the log of a configuration before anything of it is taken over. */
static bool can_log(const struct daemon *daemon, const struct config *fresh, char *error) {
    int result = start_log(fresh, daemon->options);
    if (result == 0)
        return true;
    snprintf(error, CONTROL_ERROR_SIZE, "cannot write the log file %s: %s", fresh->log_to,
             strerror(-result));
    log_event(LOG_LEVEL_ERROR, "log_not_changed", log_text("to", fresh->log_to),
              log_text("reason", strerror(-result)));
    return false;
}

bool daemon_reload(void *context, json_t **applied, json_t **restart, char *error) {
    struct daemon *daemon = context;
    struct changes changes = {.applied = applied, .restart = restart};
    struct config fresh;
    bool read = daemon->options->read_config(daemon->options->read_context, &fresh, error,
                                             CONTROL_ERROR_SIZE);
    if (read && !can_log(daemon, &fresh, error))
        read = false;
    if (read) {
        config_reload(daemon->config, &fresh, on_changed, &changes);
        apply_config(daemon);
    } else {
        log_event(LOG_LEVEL_ERROR, "reload_failed", log_text("reason", error),
                  log_text("outcome", "the old configuration stays in effect"));
    }
    config_free(&fresh);
    return read;
}

static void reopen_log(void) {
    int error = log_reopen();
    if (error == 0)
        log_event(LOG_LEVEL_INFO, "log_reopened", log_number("process", getpid()));
    else
        log_event(LOG_LEVEL_WARN, "log_not_reopened", log_text("reason", strerror(-error)),
                  log_text("outcome", "the old file stays in use"));
}

void daemon_hang_up(struct daemon *daemon) {
    char error[CONTROL_ERROR_SIZE];
    json_t *applied = json_array(), *restart = json_array();
    daemon_reload(daemon, &applied, &restart, error);
    json_decref(applied);
    json_decref(restart);
    reopen_log();
}
