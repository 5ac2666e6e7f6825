#include "config/emqx_keys.h"

#include <stdio.h>
#include <string.h>

static size_t family_length(const char *key) {
    size_t len = strcspn(key, ".");
    if (key[len] == '\0')
        return 0;
    return len < CONFIG_FAMILY_SIZE ? len : CONFIG_FAMILY_SIZE - 1;
}

void emqx_keys_add(struct emqx_keys *ignored, const char *key) {
    char name[CONFIG_FAMILY_SIZE] = "";
    size_t i = 0;
    memcpy(name, key, family_length(key));
    ignored->keys++;
    while (i < ignored->families && strcmp(ignored->family[i].name, name) != 0)
        i++;
    if (i == CONFIG_FAMILIES_MAX)
        return;
    if (i == ignored->families)
        memcpy(ignored->family[ignored->families++].name, name, sizeof name);
    ignored->family[i].keys++;
}

/* The family with the most keys of those not yet said, or CONFIG_FAMILIES_MAX. */
static size_t largest_left(const struct emqx_keys *ignored, const bool *said) {
    size_t largest = CONFIG_FAMILIES_MAX;
    for (size_t i = 0; i < ignored->families; i++) {
        if (!said[i] && (largest == CONFIG_FAMILIES_MAX ||
                         ignored->family[i].keys > ignored->family[largest].keys))
            largest = i;
    }
    return largest;
}

void emqx_keys_format(const struct emqx_keys *ignored, char *out, size_t size) {
    bool said[CONFIG_FAMILIES_MAX] = {false};
    size_t used = 0, i;
    out[0] = '\0';
    while ((i = largest_left(ignored, said)) != CONFIG_FAMILIES_MAX && used < size) {
        const char *name = ignored->family[i].name;
        int len = snprintf(out + used, size - used, "%s%s %zu", used == 0 ? "" : ", ",
                           name[0] == '\0' ? "without a family" : name, ignored->family[i].keys);
        used += len < 0 ? size : (size_t)len;
        said[i] = true;
    }
}

/* Of the families that are ours too. EMQX 4.0's are all here, and what later releases of 4 added.
 */
const char *const emqx_keys_known[] = {
    "node.heartbeat",
    "node.async_threads",
    "node.process_limit",
    "node.max_ports",
    "node.dist_buffer_size",
    "node.max_ets_tables",
    "node.global_gc_interval",
    "node.fullsweep_after",
    "node.crash_dump",
    "node.ssl_dist_optfile",
    "node.dist_net_ticktime",
    "node.backtrace_depth",
    "node.etc_dir",
    "log.dir",
    "log.file",
    "log.size",
    "log.chars_limit",
    "log.rotation",
    "log.rotation.size",
    "log.rotation.count",
    "log.sync_mode_qlen",
    "log.drop_mode_qlen",
    "log.flush_qlen",
    "log.overload_kill",
    "log.overload_kill_qlen",
    "log.overload_kill_mem_size",
    "log.overload_kill_restart_after",
    "log.burst_limit",
    "log.primary_log_level",
    "log.logger_sasl_compatible",
    "log.sasl",
    "log.error_logger",
    "log.single_line",
    "log.max_depth",
    "log.formatter",
    "log.formatter.text.date.format",
    "log.time_offset",
    "log.debug.file",
    "log.info.file",
    "log.notice.file",
    "log.warning.file",
    "log.error.file",
    "log.critical.file",
    "log.alert.file",
    "log.emergency.file",
    "cluster.proto_dist",
    "cluster.mcast.addr",
    "cluster.mcast.ports",
    "cluster.mcast.iface",
    "cluster.mcast.ttl",
    "cluster.mcast.loop",
    "cluster.dns.name",
    "cluster.dns.app",
    "cluster.dns.type",
    "cluster.etcd.server",
    "cluster.etcd.prefix",
    "cluster.etcd.version",
    "cluster.etcd.node_ttl",
    "cluster.etcd.ssl",
    "cluster.etcd.ssl.keyfile",
    "cluster.etcd.ssl.certfile",
    "cluster.etcd.ssl.cacertfile",
    "cluster.k8s.apiserver",
    "cluster.k8s.service_name",
    "cluster.k8s.address_type",
    "cluster.k8s.app_name",
    "cluster.k8s.suffix",
    "cluster.k8s.namespace",
    "cluster.rlog.role",
    "cluster.db_backend",
    NULL,
};

bool emqx_keys_has(const char *key) {
    for (size_t i = 0; emqx_keys_known[i] != NULL; i++) {
        if (strcmp(emqx_keys_known[i], key) == 0)
            return true;
    }
    return false;
}
