#include "config/sense.h"

#include "discovery/discovery.h"
#include "erlang/ekka_port.h"
#include "names/port_pool.h"
#include "net/allow_list.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the emqx.conf that EMQX ships, and so known to everybody. */
#define KNOWN_COOKIE "emqxsecretcookie"

static void warn(const struct config *config, const char *key, struct config_report *report,
                 const char *text) {
    config_report_add(report, CONFIG_WARNING, "%s: %s %s", config_where(config, key), key, text);
}

static bool has_secret(const struct config *config) {
    return config->cookie[0] != '\0' || config->cookie_file[0] != '\0' ||
           config->cluster_certfile[0] != '\0';
}

/* Whether a list of names has one that is not this daemon's. */
static bool names_another(const struct config *config) {
    const char *list = config->cluster_seeds;
    for (list += strspn(list, ", \t"); *list != '\0'; list += strspn(list, ", \t")) {
        size_t len = strcspn(list, ", \t");
        if (len != strlen(config->node_name) || strncmp(list, config->node_name, len) != 0)
            return true;
        list += len;
    }
    return false;
}

static void judge_discovery(const struct config *config, struct config_report *report) {
    bool manual = config->cluster_discovery == DISCOVERY_MANUAL;
    if (manual && config->cluster_seeds[0] != '\0')
        warn(config, "cluster.static.seeds", report,
             "is ignored, because cluster.discovery is manual; set that to static");
    if (manual)
        return;
    if (!has_secret(config))
        warn(config, "cluster.discovery", report,
             "has no effect: a cluster needs a secret; set node.cookie_file, node.cookie or "
             "cluster.tls.*");
    if (!names_another(config))
        warn(config, "cluster.discovery", report,
             "has no effect: cluster.static.seeds names no other daemon");
}

static void judge_secret(const struct config *config, struct config_report *report) {
    if (strcmp(config->cookie, KNOWN_COOKIE) == 0)
        warn(config, "node.cookie", report,
             "is the default of EMQX, which is publicly known; choose another secret for all "
             "hosts");
    if (has_secret(config) && !config->front_enable)
        warn(config, "front.enable", report,
             "is off, so there is no cluster: daemons connect to each other through front ports");
}

/* The last port that a node may open as a front port. */
static unsigned last_front_port(const struct config *config) {
    uint64_t last = (uint64_t)config->dist_base_port + config->front_offset_max;
    return last > UINT16_MAX ? UINT16_MAX : (unsigned)last;
}

/* Where the first of the keys is set that make the two ranges meet. */
static const char *where_ranges_meet(const struct config *config) {
    static const char *const keys[] = {"node.dist_listen_min", "node.dist_listen_max",
                                       "front.offset_max", "node.dist_base_port"};
    const char *where = "the default";
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && strcmp(where, "the default") == 0; i++)
        where = config_where(config, keys[i]);
    return where;
}

static void judge_ports(const struct config *config, struct config_report *report) {
    uint16_t first = config->dist_listen_min, last = config->dist_listen_max;
    unsigned front_last = last_front_port(config);
    uint32_t own;
    bool has_own = ekka_port(bytes_of_text(config->node_name), config->dist_base_port, &own);
    if (config->port_enforce && config->port_policy == PORT_POLICY_ANY)
        warn(config, "node.port_enforce", report,
             "has no effect, because node.port_policy is any; set that to range or derived");
    if (config->epmd_enable && config->epmd_port >= first && config->epmd_port <= last)
        warn(
            config, "epmd.port", report,
            "is within the range of leases, node.dist_listen_min to node.dist_listen_max; move one "
            "of them");
    if (!config->front_enable)
        return;
    if ((config->dist_base_port <= last && front_last >= first) ||
        (has_own && own >= first && own <= last))
        config_report_add(
            report, CONFIG_WARNING,
            "%s: the range of leases, %u-%u, overlaps front ports (%u-%u, and that of "
            "node.name, %u): those in use are not leased; move the range",
            where_ranges_meet(config), first, last, config->dist_base_port, front_last,
            (unsigned)own);
}

static void judge_event_program(const struct config *config, struct config_report *report) {
    const char *path = config->cluster_on_event;
    struct stat status;
    const char *reason = NULL;
    if (path[0] == '\0')
        return;
    if (stat(path, &status) < 0)
        reason = strerror(errno);
    else if (!S_ISREG(status.st_mode))
        reason = "not a file";
    else if (access(path, X_OK) < 0)
        reason = "not executable by this user";
    if (reason != NULL)
        config_report_add(report, CONFIG_WARNING,
                          "%s: cluster.on_event %s cannot be run for events: %s",
                          config_where(config, "cluster.on_event"), path, reason);
    if (!has_secret(config))
        warn(config, "cluster.on_event", report,
             "is never run: without node.cookie_file, node.cookie or cluster.tls.* there is no "
             "cluster");
}

/* The text was judged when it was set. */
static void judge_admission(const struct config *config, struct config_report *report) {
    struct allow_list allow;
    bool restricted = allow_list_parse(config->front_allow, &allow) == NULL && !allow.any;
    if (restricted && !config->front_enable)
        warn(config, "front.allow", report, "has no effect, because front.enable is off");
    if (allow.members && !has_secret(config))
        warn(config, "front.allow", report,
             "allows members, but there are none: a cluster needs a secret; set node.cookie_file, "
             "node.cookie or cluster.tls.*");
}

void config_sense(const struct config *config, struct config_report *report) {
    if (config->personality == CONFIG_AS_EPMD)
        return;
    judge_discovery(config, report);
    judge_secret(config, report);
    judge_ports(config, report);
    judge_admission(config, report);
    judge_event_program(config, report);
}
