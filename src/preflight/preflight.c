#include "preflight/preflight.h"

#include "base/control_path.h"
#include "erlang/ekka_port.h"
#include "host/port_owner.h"
#include "host/port_probe.h"
#include "preflight/listening.h"
#include "service/credentials.h"
#include "store/member_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- secrets --- */

/* Whether the daemon would be in a cluster, or is meant to be. */
static bool check_secrets(const struct config *config, struct config_report *report) {
    struct tls *tls;
    char error[CLUSTER_KEY_ERROR_SIZE];
    if (!cluster_key_open(config, &tls, error)) {
        config_report_add(report, CONFIG_ERROR, "%s", error);
        return true;
    }
    bool is_clustered = tls != NULL;
    tls_free(tls);
    return is_clustered;
}

/* --- addresses and ports --- */

/* On port 0 an address is opened without taking anything from anybody. */
static void check_addresses(const struct config *config, const char *key, const char *list,
                            struct config_report *report) {
    struct listeners listeners = {.count = 0};
    struct listen_failure failure;
    char address[ADDRESS_TEXT_SIZE];
    if (listeners_open(&listeners, LISTENER_FRONT, list, 0, &failure)) {
        listeners_close(&listeners);
        return;
    }
    address_format(&failure.address, address);
    int len = (int)(strrchr(address, ':') - address); /* the port is none that was asked for */
    config_report_add(report, CONFIG_ERROR, "%s: cannot listen on %.*s (%s): %s%s",
                      config_where(config, key), len, address, key, strerror(failure.error),
                      listening_cure(failure.error));
}

/* Whether a program is what this configuration is for, or holds the port for it. */
static bool is_expected(const char *program) {
    return strcmp(program, "portoland") == 0 || strcmp(program, "systemd") == 0;
}

static void check_port(uint16_t port, const char *what, struct config_report *report) {
    struct port_owner holder;
    bool starved = false;
    if (port_probe_is_free(&starved, port) || starved)
        return;
    if (!port_owner_find(port, &holder))
        config_report_add(
            report, CONFIG_WARNING,
            "%s, %u, is in use by a process that is not visible to this user; unless it is "
            "portoland, the start will fail",
            what, port);
    else if (!is_expected(holder.program))
        config_report_add(
            report, CONFIG_ERROR,
            "cannot listen on %s, %u: in use by %s (process %d); stop it, or choose another port",
            what, port, holder.program, (int)holder.pid);
}

static void check_ports(const struct config *config, struct config_report *report) {
    uint32_t front;
    if (config->front_enable &&
        ekka_port(bytes_of_text(config->node_name), config->dist_base_port, &front)) {
        check_addresses(config, "front.address", config->front_address, report);
        check_port((uint16_t)front, "the front port", report);
    }
    if (config->epmd_enable) {
        check_addresses(config, "epmd.address", config->epmd_address, report);
        check_port(config->epmd_port, "the port of epmd", report);
    }
}

/* --- files --- */

/* The directory above, in the place of the path. False: there is none. */
static bool cut_to_directory(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == NULL || strcmp(path, "/") == 0)
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

/* 0 when a file can be made in the directory of the path; else an errno. */
static int why_not_made(const char *path) {
    char directory[PATH_MAX];
    if ((size_t)snprintf(directory, sizeof directory, "%s", path) >= sizeof directory)
        return ENAMETOOLONG;
    if (!cut_to_directory(directory))
        return ENOENT;
    return access(directory, W_OK | X_OK) == 0 ? 0 : errno;
}

/* 0 when a file can be written at the path, or made there; else an errno. */
static int why_not_writable(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    return errno == ENOENT ? why_not_made(path) : errno;
}

static void check_log(const struct config *config, struct config_report *report) {
    int error = config->log_to[0] == '/' ? why_not_writable(config->log_to) : 0;
    if (error != 0)
        config_report_add(report, CONFIG_ERROR,
                          "%s: cannot write the log file %s: %s; does its directory exist, and may "
                          "this user write there?",
                          config_where(config, "log.to"), config->log_to, strerror(error));
}

/* 0 when a socket can be made at the path, or its directory in the one above, as the start does it;
 * else an errno. */
static int why_no_socket(const char *path) {
    char directory[PATH_MAX];
    int error = why_not_made(path);
    if (error != ENOENT)
        return error;
    snprintf(directory, sizeof directory, "%s", path);
    return cut_to_directory(directory) ? why_not_made(directory) : error;
}

/* A daemon that answers is not a fault: a check is made while one runs, too. */
static void check_control_socket(const struct config *config, struct config_report *report) {
    const char *path = config->control_socket;
    if (path[0] == '\0' || control_path_is_in_tmp(path))
        return;
    enum control_path_state place = control_path_inspect(path);
    int error = why_no_socket(path);
    if (error != 0)
        config_report_add(
            report, CONFIG_ERROR,
            "%s: cannot create the control socket %s: %s; choose a path where this user may write",
            config_where(config, "control.socket"), path, strerror(error));
    const char *obstacle = listening_control_obstacle(place);
    if (obstacle != NULL && place >= CONTROL_PATH_OTHER_SOCKET)
        config_report_add(report, CONFIG_ERROR,
                          "%s: cannot create the control socket %s: %s, or choose another path",
                          config_where(config, "control.socket"), path, obstacle);
}

/* The nearest directory above a path that is there. */
static int why_no_directory(const char *path) {
    char directory[PATH_MAX];
    struct stat status;
    if ((size_t)snprintf(directory, sizeof directory, "%s", path) >= sizeof directory)
        return ENAMETOOLONG;
    while (stat(directory, &status) < 0) {
        int error = errno;
        if (error != ENOENT || !cut_to_directory(directory))
            return error;
    }
    if (!S_ISDIR(status.st_mode))
        return ENOTDIR;
    return access(directory, W_OK | X_OK) == 0 ? 0 : errno;
}

static void check_name(const struct config *config, struct config_report *report) {
    char old_name[CLUSTER_NAME_MAX + 1], text[CONFIG_REMARK_SIZE];
    if (cluster_store_file_fits(config->data_dir, config->node_name, old_name))
        return;
    cluster_store_file_explain_name(config->data_dir, config->node_name, old_name, text,
                                    sizeof text);
    config_report_add(report, CONFIG_ERROR, "%s: %s", config_where(config, "node.name"), text);
}

static void check_state(const struct config *config, bool is_clustered,
                        struct config_report *report) {
    int error = config->data_dir == NULL ? 0 : why_no_directory(config->data_dir);
    if (error != 0)
        config_report_add(report, CONFIG_WARNING,
                          "%s: the directory %s cannot be written: %s; a restart will forget "
                          "leases, creations and the cluster",
                          config_where(config, "node.data_dir"), config->data_dir, strerror(error));
    if (is_clustered && config->data_dir != NULL)
        check_name(config, report);
}

bool preflight(const struct config *config, struct config_report *report) {
    size_t errors = report->counts[CONFIG_ERROR];
    bool is_clustered = check_secrets(config, report);
    check_ports(config, report);
    check_log(config, report);
    check_control_socket(config, report);
    check_state(config, is_clustered, report);
    return report->counts[CONFIG_ERROR] == errors;
}
