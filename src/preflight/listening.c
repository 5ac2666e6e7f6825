#include "preflight/listening.h"

#include "base/control_path.h"
#include "epmd/client.h"
#include "erlang/ekka_port.h"
#include "host/port_owner.h"
#include "net/systemd_listeners.h"
#include "process/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * An epmd is often there because a node started it when no daemon ran: nothing needs it then, and
 * nodes that register again every 2 s come to this daemon once it has the port.
 */
static void print_taken_by_epmd(const struct start_options *options, const char *address,
                                uint16_t port, pid_t pid) {
    int names = epmd_client_count_names(port);
    if (names == 0)
        fprintf(
            stderr,
            "%s: cannot listen on %s: in use by an epmd without names (process %d), as nodes start "
            "when no daemon runs; end it with 'kill %d', then start again\n",
            options->program, address, (int)pid, (int)pid);
    else if (names > 0)
        fprintf(
            stderr,
            "%s: cannot listen on %s: in use by an epmd with %d name%s (process %d); 'epmd -port %u"
            " -names' lists them; nodes of OTP 23 and later register again by themselves: end it "
            "with 'kill %d', then start again; or choose another port\n",
            options->program, address, names, names == 1 ? "" : "s", (int)pid, port, (int)pid);
    else
        fprintf(
            stderr,
            "%s: cannot listen on %s: in use by an epmd that does not respond (process %d); end it "
            "with 'kill %d', or choose another port\n",
            options->program, address, (int)pid, (int)pid);
}

static void say_taken(const struct start_options *options, const char *address, uint16_t port) {
    struct port_owner holder;
    if (!port_owner_find(port, &holder))
        fprintf(
            stderr,
            "%s: cannot listen on %s: in use by a process that is not visible to this user; stop "
            "it, or choose another port\n",
            options->program, address);
    else if (strcmp(holder.program, "epmd") == 0)
        print_taken_by_epmd(options, address, port, holder.pid);
    else
        fprintf(
            stderr,
            "%s: cannot listen on %s: in use by %s (process %d); stop it, or choose another port\n",
            options->program, address, holder.program, (int)holder.pid);
}

const char *listening_cure(int error) {
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
        return "; the list has too many addresses";
    default:
        return "";
    }
}

static enum exit_code explain(const struct start_options *options, uint16_t port,
                              const struct listen_failure *failure) {
    char address[ADDRESS_TEXT_SIZE];
    if (failure->item[0] != '\0') {
        fprintf(
            stderr,
            "%s: '%s' is not an IP address; -address takes numeric addresses separated by commas or"
            " blanks\n",
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
                strerror(failure->error), listening_cure(failure->error));
    return EXIT_FAILED;
}

/* 0, said on standard error, when the rule gives no port that exists. */
static uint16_t front_port(const struct config *config, const struct start_options *options) {
    uint32_t port;
    if (ekka_port(bytes_of_text(config->node_name), config->dist_base_port, &port) && port > 0)
        return (uint16_t)port;
    fprintf(stderr,
            "%s: no front port: node.dist_base_port %u and the digits of node.name %s give %u, "
            "which must be from 1 to 65535; choose another name or base\n",
            options->program, config->dist_base_port, config->node_name, (unsigned)port);
    return 0;
}

static bool open_one(struct listeners *listeners, enum listener_role role, const char *addresses,
                     uint16_t port, const struct start_options *options, enum exit_code *code) {
    struct listen_failure failure;
    if (listeners_open(listeners, role, addresses, port, &failure))
        return true;
    *code = explain(options, port, &failure);
    return false;
}

static bool has_port(const struct listeners *listeners, uint16_t port) {
    for (size_t i = 0; i < listeners->count; i++) {
        if (address_port(&listeners->all[i].address) == port)
            return true;
    }
    return false;
}

/* All ports of the configuration, but those that systemd brought. */
static bool open_all(struct listeners *listeners, const struct config *config,
                     const struct start_options *options, enum exit_code *code) {
    uint16_t front = 0;
    if (config->front_enable && (front = front_port(config, options)) == 0)
        return false;
    /* one port for both is served as the front port's: that answers all that epmd's does */
    bool shared = config->epmd_enable && front == config->epmd_port;
    if (config->epmd_enable && !shared && !has_port(listeners, config->epmd_port) &&
        !open_one(listeners, LISTENER_EPMD, config->epmd_address, config->epmd_port, options, code))
        return false;
    if (front != 0 && !has_port(listeners, front) &&
        !open_one(listeners, LISTENER_FRONT, config->front_address, front, options, code))
        return false;
    if (listeners->count > 0)
        return true;
    fprintf(stderr, "%s: nothing to listen on; turn epmd.enable or front.enable on\n",
            options->program);
    return false;
}

static bool adopt_from_systemd(struct listeners *listeners, const struct config *config,
                               const struct start_options *options) {
    const char *error;
    bool separate = config->front_enable && config->epmd_enable;
    uint32_t front = 0;
    if (separate)
        ekka_port(bytes_of_text(config->node_name), config->dist_base_port, &front);
    /* see open_all for the port that serves both */
    uint16_t epmd_port = separate && front == config->epmd_port ? 0 : config->epmd_port;
    if (systemd_listeners(listeners, epmd_port, &error))
        return true;
    fprintf(stderr, "%s: %s\n", options->program, error);
    return false;
}

bool listening_open(struct listeners *listeners, const struct config *config,
                    const struct start_options *options, enum exit_code *code) {
    *listeners = (struct listeners){.count = 0};
    *code = EXIT_FAILED;
    if (options->from_systemd && !adopt_from_systemd(listeners, config, options))
        return false;
    /* epmd's -systemd takes those that it is given and no others, as stock's */
    if (options->from_systemd && config->personality == CONFIG_AS_EPMD)
        return true;
    return open_all(listeners, config, options, code);
}

uint16_t listening_epmd_port(const struct listeners *listeners) {
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->all[i].role == LISTENER_EPMD)
            return address_port(&listeners->all[i].address);
    }
    return listeners->count > 0 ? address_port(&listeners->all[0].address) : 0;
}

/* --- the control socket --- */

const char *listening_control_obstacle(enum control_path_state place) {
    switch (place) {
    case CONTROL_PATH_FREE:
        break;
    case CONTROL_PATH_ANSWERS:
        return "another daemon answers there; stop it";
    case CONTROL_PATH_BUSY:
        return "another daemon listens there, and its queue is full; stop it";
    case CONTROL_PATH_CLOSED:
        return "there is a socket that this user may not connect to; stop the program that listens "
               "there";
    case CONTROL_PATH_OTHER_SOCKET:
        return "it is a socket of another type; remove it if it is not needed";
    case CONTROL_PATH_FILE:
        return "it is an existing file; move it away";
    case CONTROL_PATH_DIRECTORY:
        return "it is a directory; use a path in it";
    case CONTROL_PATH_FIFO:
        return "it is a FIFO; remove it";
    case CONTROL_PATH_LINK:
        return "it is a symbolic link; remove it";
    case CONTROL_PATH_DEVICE:
        return "it is a device; remove it if it is not needed";
    }
    return NULL;
}

/* What was in the way may be gone by now: then a next start finds the place free. */
static const char *obstacle_at(const char *path) {
    const char *obstacle = listening_control_obstacle(control_path_inspect(path));
    return obstacle == NULL ? "another program used it a moment ago; try again" : obstacle;
}

int listening_open_control(const struct config *config, const struct start_options *options) {
    if (control_path_is_in_tmp(config->control_socket) &&
        !control_path_make_private(config->control_socket))
        return LISTENING_NO_CONTROL;
    int fd = control_listen(config->control_socket);
    if (fd == -EADDRINUSE)
        fprintf(stderr,
                "%s: cannot create the control socket %s: %s, or set another path with "
                "control.socket\n",
                options->program, config->control_socket, obstacle_at(config->control_socket));
    else if (fd < 0)
        fprintf(
            stderr,
            "%s: cannot create the control socket %s: %s; set a path where this user may write with"
            " control.socket\n",
            options->program, config->control_socket, strerror(-fd));
    return fd;
}
