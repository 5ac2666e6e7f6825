#include "daemon/config_keys.h"

#include "base/nearest.h"

#include <string.h>

#define AT(member) offsetof(struct config, member)

/* When a change of the file takes effect. */
enum { AT_START = false, LIVE = true };

const struct config_key config_keys[] = {
    {"node.name", CONFIG_NODE, AT(node_name), "portolan@127.0.0.1", NULL, AT_START, NULL,
     "The name of this daemon, Name@Host, where Host is an IP address or a fully qualified name; "
     "the digits before the @ are the offset of its front port"},
    {"node.cookie", CONFIG_SECRET, AT(cookie), "", NULL, AT_START, NULL,
     "The secret that the daemons of a cluster share; without one this daemon runs alone; it is "
     "never printed or logged; node.cookie_file keeps it out of this file"},
    {"node.cookie_file", CONFIG_PATH, AT(cookie_file), "", NULL, AT_START, NULL,
     "A file with that secret alone in it, readable by its owner only (mode 0400 or 0600), such as "
     "the ~/.erlang.cookie of Erlang; where node.cookie is set too, that counts"},
    {"node.data_dir", CONFIG_DIRECTORY, AT(data_dir), "/var/lib/portolan", NULL, AT_START, NULL,
     "The directory of the state file; when not started by root $XDG_STATE_HOME/portolan or "
     "~/.local/state/portolan, under systemd what StateDirectory= says"},
    {"node.dist_base_port", CONFIG_PORT, AT(dist_base_port), "4370", NULL, AT_START, NULL,
     "The port of the rule: a node with offset k is found on this port + k"},
    {"node.dist_listen_min", CONFIG_PORT, AT(dist_listen_min), "6369", NULL, LIVE, NULL,
     "The first port of the range that leases are taken from"},
    {"node.dist_listen_max", CONFIG_PORT, AT(dist_listen_max), "7369", NULL, LIVE, NULL,
     "The last port of that range"},
    {"node.dist_tool_ports", CONFIG_COUNT, AT(dist_tool_ports), "0", NULL, LIVE, NULL,
     "How many ports at the end of that range are kept for command-line tools, such as rabbitmqctl "
     "and ejabberdctl: they are never leased, and a node of any name may register on them"},
    {"node.port_policy", CONFIG_POLICY, AT(port_policy), "any", NULL, LIVE, NULL,
     "Which port a node is to have: one of the range (range), the one of the rule (derived), or "
     "whichever it likes (any; a lease comes from the range)"},
    {"node.port_enforce", CONFIG_SWITCH, AT(port_enforce), "off", NULL, LIVE, NULL,
     "Whether a registration on a port outside of the policy is refused"},
    {"epmd.enable", CONFIG_SWITCH, AT(epmd_enable), "off", "on", AT_START, "WITH_EPMD",
     "Whether the port of epmd is opened; on under the name epmd; with it, the epmd of another "
     "host is asked where the daemon there listens"},
    {"epmd.port", CONFIG_PORT, AT(epmd_port), "4369", NULL, AT_START, "ERL_EPMD_PORT",
     "The port of epmd, here and on the hosts of other daemons"},
    {"epmd.address", CONFIG_ADDRESSES, AT(epmd_address), "", NULL, AT_START, "ERL_EPMD_ADDRESS",
     "The addresses to open it on besides loopback, with commas between them; empty for all"},
    {"epmd.packet_timeout", CONFIG_DURATION, AT(packet_timeout_ms), "1m", NULL, LIVE, NULL,
     "How long an unfinished request may go without a byte; whole seconds have passed when one "
     "more "
     "has, as OTP's epmd counts"},
    {"epmd.relaxed_command_check", CONFIG_SWITCH, AT(relaxed_commands), "off", NULL, LIVE,
     "ERL_EPMD_RELAXED_COMMAND_CHECK",
     "Whether epmd -kill and -stop work; under the name epmd, -kill does so long as no name is "
     "registered"},
    {"epmd.remote_names", CONFIG_LISTERS, AT(remote_names), "members", "on", LIVE, NULL,
     "Which other hosts may list the names: all (on), none (off), or those of the cluster's "
     "members; "
     "the others get an empty list"},
    {"epmd.peer_connections", CONFIG_COUNT, AT(peer_connections), "512", NULL, LIVE, NULL,
     "How many waiting connections one other host may have; 0 for any number"},
    {"front.enable", CONFIG_SWITCH, AT(front_enable), "on", "off", AT_START, NULL,
     "Whether the front port is opened: node.dist_base_port + the offset of node.name"},
    {"front.address", CONFIG_ADDRESSES, AT(front_address), "", NULL, AT_START, NULL,
     "The addresses to open it, and the front ports of nodes, on besides loopback, with commas "
     "between them; empty for all"},
    {"front.proxy", CONFIG_SWITCH, AT(front_proxy), "on", NULL, LIVE, NULL,
     "Whether other hosts reach the nodes of this one through front ports: node.dist_base_port + "
     "the offset of a node's name; off: on the nodes' own ports"},
    {"front.offset_max", CONFIG_COUNT, AT(front_offset_max), "99", NULL, LIVE, NULL,
     "The largest offset that has a front port of its own; nodes of a larger one are behind this "
     "daemon's: such digits are process ids, dates and hashes, and are to open no port"},
    {"front.peer_streams", CONFIG_COUNT, AT(front_peer_streams), "1000", NULL, LIVE, NULL,
     "How many distribution connections through front ports one other host may have; 0 for any "
     "number"},
    {"front.allow", CONFIG_ALLOWED, AT(front_allow), "any", NULL, LIVE, NULL,
     "Which other hosts may come in at front ports: any; or, with commas between them, networks "
     "(nobody else is answered there) and members, the hosts of the cluster's members (which alone "
     "reach nodes then, while epmd's questions and links of daemons are open to all)"},
    {"front.check_owner", CONFIG_SWITCH, AT(front_check_owner), "on", NULL, LIVE, NULL,
     "Whether a front port leads only to a listener of the user who registered the node, and to no "
     "port below 1024 but of root's nodes, and whether a lease is for its user alone; the kernel "
     "is "
     "asked, which takes AF_NETLINK"},
    {"limits.user_share", CONFIG_PERCENT, AT(user_share), "25%", NULL, LIVE, NULL,
     "How much of the descriptors (names, waiting connections, streams) one user of this host may "
     "take; root and the daemon's own user are free; 100% for any number"},
    {"cluster.name", CONFIG_WORD, AT(cluster_name), "emqxcl", NULL, AT_START, NULL,
     "The name of the cluster: daemons of other names keep apart, whatever their cookie"},
    {"cluster.discovery", CONFIG_DISCOVERY, AT(cluster_discovery), "manual", NULL, AT_START, NULL,
     "How this daemon finds others: by the command portolan cluster join alone (manual), or also "
     "from cluster.static.seeds (static)"},
    {"cluster.static.seeds", CONFIG_NODES, AT(cluster_seeds), "", NULL, AT_START, NULL,
     "The names of the daemons to look for, with commas between them; its own may be among them"},
    {"cluster.autoheal", CONFIG_SWITCH, AT(cluster_autoheal), "on", NULL, AT_START, NULL,
     "Whether the sides of a split look for each other, and become one again, whole"},
    {"cluster.autoclean", CONFIG_INTERVAL, AT(cluster_autoclean_ms), "5m", NULL, AT_START, NULL,
     "How long a member may be down before it leaves the list; off for any time; with "
     "cluster.autoheal on it is called once more then, which takes up to 12 seconds"},
    {"cluster.tls.cacertfile", CONFIG_PATH, AT(cluster_cacertfile), "", NULL, AT_START, NULL,
     "The certificates of the authorities that vouch for members; with this and the next two set, "
     "certificates take the place of the cookie between daemons"},
    {"cluster.tls.certfile", CONFIG_PATH, AT(cluster_certfile), "", NULL, AT_START, NULL,
     "This daemon's certificate, with the host of node.name among its alternative names"},
    {"cluster.tls.keyfile", CONFIG_PATH, AT(cluster_keyfile), "", NULL, AT_START, NULL,
     "The private key of that certificate, readable by its owner only; one of root's may be "
     "readable by a group"},
    {"cluster.on_event", CONFIG_PATH, AT(cluster_on_event), "", NULL, AT_START, NULL,
     "A program to run for every event of the cluster; portoland(8) tells what it is handed"},
    {"control.socket", CONFIG_SOCKET, AT(control_socket), "/run/portolan/portolan.sock", "",
     AT_START, NULL,
     "The socket that portolan talks to; when not started by root portolan.sock in "
     "$XDG_RUNTIME_DIR, in /run/user/UID or in /tmp/portolan-UID, the first that there is; off "
     "for none"},
    {"log.level", CONFIG_LOG_LEVEL, AT(log_level), "info", NULL, LIVE, NULL,
     "What is logged: error, warn, info, debug or trace; EMQX's names of levels are understood"},
    {"log.to", CONFIG_LOG_TARGET, AT(log_to), "console", NULL, LIVE, NULL,
     "Where to: console, syslog or an absolute path; a detached daemon's console is syslog"},
    {"log.format", CONFIG_LOG_FORMAT, AT(log_format), "text", NULL, LIVE, NULL,
     "How: text, or json for an object a line"},
};
#define KEYS (sizeof config_keys / sizeof config_keys[0])
_Static_assert(KEYS <= CONFIG_KEYS_MAX, "CONFIG_KEYS_MAX is too small");

const size_t config_keys_count = KEYS;

const struct config_key *config_key_find(const char *name) {
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    }
    return NULL;
}

size_t config_key_number(const struct config_key *key) {
    return (size_t)(key - config_keys);
}

bool config_key_family_is_ours(const char *name) {
    size_t len = strcspn(name, ".");
    for (size_t i = 0; i < KEYS; i++) {
        if (strncmp(config_keys[i].name, name, len) == 0 && config_keys[i].name[len] == '.')
            return true;
    }
    return false;
}

/* What follows the first dot is exactly that of the nearest key. */
bool config_key_family_is_mistyped(const char *name) {
    const char *rest = strchr(name, '.');
    const char *meant = rest == NULL ? NULL : config_key_nearest(name);
    const char *meant_rest = meant == NULL ? NULL : strchr(meant, '.');
    return meant_rest != NULL && strcmp(rest, meant_rest) == 0;
}

const char *config_key_nearest(const char *name) {
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < KEYS; i++)
        nearest_try(&nearest, config_keys[i].name);
    for (size_t i = 0; config_emqx_keys[i] != NULL; i++)
        nearest_try(&nearest, config_emqx_keys[i]);
    return nearest.found;
}

/* --- values --- */

void *config_key_place(struct config *config, const struct config_key *key) {
    return (char *)config + key->offset;
}

const char *config_key_text(const struct config *config, const struct config_key *key,
                            char *buffer) {
    return config_type_format(key->type, (const char *)config + key->offset, buffer);
}

const char *config_key_initial(const struct config_key *key, enum config_personality personality) {
    bool other = personality == CONFIG_AS_EPMD && key->initial_epmd != NULL;
    return other ? key->initial_epmd : key->initial;
}
