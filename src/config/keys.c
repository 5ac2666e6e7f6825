#include "config/keys.h"

#include "base/nearest.h"

#include <string.h>

#define AT(member) offsetof(struct config, member)

/* When a change of the file takes effect. */
enum { AT_START = false, LIVE = true };

const struct config_key config_keys[] = {
    {"node.name", CONFIG_NODE, AT(node_name), "portolan@127.0.0.1", NULL, AT_START, NULL,
     "The name of this daemon, Name@Host, where Host is an IP address or a fully qualified domain "
     "name. The digits before the @ are the offset of its front port"},
    {"node.cookie", CONFIG_SECRET, AT(cookie), "", NULL, AT_START, NULL,
     "The secret shared by the daemons of a cluster; without one, this daemon runs alone. It is "
     "never printed or logged. node.cookie_file keeps it out of this file"},
    {"node.cookie_file", CONFIG_PATH, AT(cookie_file), "", NULL, AT_START, NULL,
     "A file that contains only that secret, readable by its owner only (mode 0400 or 0600), such "
     "as Erlang's ~/.erlang.cookie. node.cookie takes precedence"},
    {"node.data_dir", CONFIG_DIRECTORY, AT(data_dir), "/var/lib/portolan", NULL, AT_START, NULL,
     "The directory of the state files. The default under systemd is StateDirectory=, and without "
     "root $XDG_STATE_HOME/portolan or ~/.local/state/portolan"},
    {"node.dist_base_port", CONFIG_PORT, AT(dist_base_port), "4370", NULL, AT_START, NULL,
     "The base of the fixed-port rule: a node with offset k is reached on this port + k"},
    {"node.dist_listen_min", CONFIG_PORT, AT(dist_listen_min), "6369", NULL, LIVE, NULL,
     "The first port of the range that leases are taken from"},
    {"node.dist_listen_max", CONFIG_PORT, AT(dist_listen_max), "7369", NULL, LIVE, NULL,
     "The last port of that range"},
    {"node.dist_tool_ports", CONFIG_COUNT, AT(dist_tool_ports), "0", NULL, LIVE, NULL,
     "How many ports at the end of that range are reserved for command-line tools, such as "
     "rabbitmqctl and ejabberdctl. They are never leased, and a node of any name may register on "
     "them"},
    {"node.port_policy", CONFIG_POLICY, AT(port_policy), "any", NULL, LIVE, NULL,
     "Which port a node should use: one from the range (range), the one given by the fixed-port "
     "rule (derived), or any (any; leases come from the range)"},
    {"node.port_enforce", CONFIG_SWITCH, AT(port_enforce), "off", NULL, LIVE, NULL,
     "Whether registrations on ports that the policy does not allow are refused"},
    {"epmd.enable", CONFIG_SWITCH, AT(epmd_enable), "off", "on", AT_START, "WITH_EPMD",
     "Whether epmd's port is opened. If it is, the epmd of another host is also asked for the port "
     "of the daemon there"},
    {"epmd.port", CONFIG_PORT, AT(epmd_port), "4369", NULL, AT_START, "ERL_EPMD_PORT",
     "The port of epmd, on this host and on the hosts of other daemons"},
    {"epmd.address", CONFIG_ADDRESSES, AT(epmd_address), "", NULL, AT_START, "ERL_EPMD_ADDRESS",
     "The addresses to listen on besides loopback, separated by commas; empty for all"},
    {"epmd.packet_timeout", CONFIG_DURATION, AT(packet_timeout_ms), "1m", NULL, LIVE, NULL,
     "How long an incomplete request may go without a byte. Like OTP's epmd, a timeout in whole "
     "seconds expires one second late"},
    {"epmd.relaxed_command_check", CONFIG_SWITCH, AT(relaxed_commands), "off", NULL, LIVE,
     "ERL_EPMD_RELAXED_COMMAND_CHECK",
     "Whether epmd -kill and -stop are allowed. Under the name epmd, -kill is also allowed while "
     "no name is registered"},
    {"epmd.remote_names", CONFIG_LISTERS, AT(remote_names), "members", "on", LIVE, NULL,
     "Which other hosts may list the names: all (on), none (off), or hosts of cluster members "
     "(members). Others get an empty list"},
    {"epmd.peer_connections", CONFIG_COUNT, AT(peer_connections), "512", NULL, LIVE, NULL,
     "How many waiting connections another host may have; 0 for no limit"},
    {"front.enable", CONFIG_SWITCH, AT(front_enable), "on", "off", AT_START, NULL,
     "Whether the front port is opened: node.dist_base_port + the offset of node.name"},
    {"front.address", CONFIG_ADDRESSES, AT(front_address), "", NULL, AT_START, NULL,
     "The addresses to open front ports on besides loopback, separated by commas; empty for all"},
    {"front.proxy", CONFIG_SWITCH, AT(front_proxy), "on", NULL, LIVE, NULL,
     "Whether other hosts reach the nodes of this host through front ports: node.dist_base_port + "
     "the offset of the node's name. If off, they connect to the nodes' own ports"},
    {"front.offset_max", CONFIG_COUNT, AT(front_offset_max), "99", NULL, LIVE, NULL,
     "The largest offset that has a front port of its own. Larger numbers are usually process ids, "
     "dates or hashes; such nodes are behind the daemon's own front port"},
    {"front.peer_streams", CONFIG_COUNT, AT(front_peer_streams), "1000", NULL, LIVE, NULL,
     "How many distribution connections through front ports another host may have; 0 for no limit"},
    {"front.allow", CONFIG_ALLOWED, AT(front_allow), "any", NULL, LIVE, NULL,
     "Which other hosts may connect to front ports: any; or a list of networks, which excludes all "
     "other hosts; or members, which allows only hosts of cluster members to reach nodes, while "
     "epmd requests and cluster links stay open to all; or both"},
    {"front.check_owner", CONFIG_SWITCH, AT(front_check_owner), "on", NULL, LIVE, NULL,
     "Whether a front port leads only to listeners of the user who registered the node, and to "
     "ports below 1024 only for root's nodes, and whether leases are reserved for their user. "
     "Needs AF_NETLINK"},
    {"limits.user_share", CONFIG_PERCENT, AT(user_share), "25%", NULL, LIVE, NULL,
     "How much of the descriptors (for names, waiting connections and streams) and of the places "
     "at the control socket one user of this host may use. Root and the daemon's own user are "
     "exempt; 100% for no limit"},
    {"cluster.name", CONFIG_WORD, AT(cluster_name), "emqxcl", NULL, AT_START, NULL,
     "The name of the cluster. Daemons with another name stay apart, whatever their cookie"},
    {"cluster.discovery", CONFIG_DISCOVERY, AT(cluster_discovery), "manual", NULL, AT_START, NULL,
     "How this daemon finds others: only by the command portolan cluster join (manual), or also by "
     "cluster.static.seeds (static)"},
    {"cluster.static.seeds", CONFIG_NODES, AT(cluster_seeds), "", NULL, AT_START, NULL,
     "The names of the daemons to look for, separated by commas; the daemon's own may be among "
     "them"},
    {"cluster.autoheal", CONFIG_SWITCH, AT(cluster_autoheal), "on", NULL, AT_START, NULL,
     "Whether the sides of a network split look for each other and merge again"},
    {"cluster.autoclean", CONFIG_INTERVAL, AT(cluster_autoclean_ms), "5m", NULL, AT_START, NULL,
     "How long a member may be down before it is removed from the list; off for never. With "
     "cluster.autoheal on, it is contacted once more before that, which takes up to 12 seconds"},
    {"cluster.tls.cacertfile", CONFIG_PATH, AT(cluster_cacertfile), "", NULL, AT_START, NULL,
     "The certificates of the authorities that members' certificates are verified with. If this "
     "and the next two are set, certificates replace the cookie between daemons"},
    {"cluster.tls.certfile", CONFIG_PATH, AT(cluster_certfile), "", NULL, AT_START, NULL,
     "This daemon's certificate, with the host of node.name in its subjectAltName"},
    {"cluster.tls.keyfile", CONFIG_PATH, AT(cluster_keyfile), "", NULL, AT_START, NULL,
     "The private key of that certificate, readable by its owner only; a key owned by root may be "
     "readable by a group"},
    {"cluster.on_event", CONFIG_PATH, AT(cluster_on_event), "", NULL, AT_START, NULL,
     "A program to run for every cluster event; see portolan-events(7)"},
    {"control.socket", CONFIG_SOCKET, AT(control_socket), "/run/portolan/portolan.sock", "",
     AT_START, NULL,
     "The control socket, used by portolan; off for none. The default without root is "
     "portolan.sock in $XDG_RUNTIME_DIR, /run/user/UID or /tmp/portolan-UID, the first of these "
     "that exists"},
    {"log.level", CONFIG_LOG_LEVEL, AT(log_level), "info", NULL, LIVE, NULL,
     "What is logged: error, warn, info, debug or trace; EMQX's names of levels are accepted"},
    {"log.to", CONFIG_LOG_TARGET, AT(log_to), "console", NULL, LIVE, NULL,
     "Where to log: console, syslog or an absolute path. With -daemon, console means syslog"},
    {"log.format", CONFIG_LOG_FORMAT, AT(log_format), "text", NULL, LIVE, NULL,
     "The format of the log: text, or json for one object per line"},
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
    for (size_t i = 0; emqx_keys_known[i] != NULL; i++)
        nearest_try(&nearest, emqx_keys_known[i]);
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
