#include "config/check.h"

#include "base/comma_list.h"
#include "config/sense.h"
#include "config/types.h"
#include "erlang/ekka_port.h"
#include "net/address.h"

#include <string.h>

#define ADDRESS_ITEM_SIZE 128

static bool check_range(const struct config *config, struct config_report *report) {
    if (config->dist_listen_min <= config->dist_listen_max)
        return true;
    config_report_add(report, CONFIG_ERROR,
                      "cannot use the range of ports: node.dist_listen_min is %u (%s) and "
                      "node.dist_listen_max is %u (%s); the first must not exceed the second",
                      config->dist_listen_min, config_where(config, "node.dist_listen_min"),
                      config->dist_listen_max, config_where(config, "node.dist_listen_max"));
    return false;
}

static bool check_tool_ports(const struct config *config, struct config_report *report) {
    unsigned size = (unsigned)(config->dist_listen_max - config->dist_listen_min) + 1;
    if (config->dist_tool_ports < size || config->dist_listen_min > config->dist_listen_max)
        return true;
    config_report_add(
        report, CONFIG_ERROR,
        "cannot reserve ports for tools: node.dist_tool_ports is %llu (%s) and the range "
        "%u-%u has %u; leave at least one for leases, or set node.dist_listen_max (%s) "
        "higher",
        (unsigned long long)config->dist_tool_ports, config_where(config, "node.dist_tool_ports"),
        config->dist_listen_min, config->dist_listen_max, size,
        config_where(config, "node.dist_listen_max"));
    return false;
}

static bool check_addresses(const struct config *config, const char *name, const char *list,
                            struct config_report *report) {
    char quoted[CONFIG_QUOTE_SIZE];
    char item[ADDRESS_ITEM_SIZE];
    while (comma_list_next(&list, item, sizeof item)) {
        struct address address;
        if (!address_parse(item, 0, &address)) {
            config_report_add(report, CONFIG_ERROR,
                              "%s: cannot set %s: '%s' is not an IP address; expected %s",
                              config_where(config, name), name, config_quote(item, quoted),
                              config_type_takes(CONFIG_ADDRESSES));
            return false;
        }
    }
    return true;
}

static bool check_front_port(const struct config *config, struct config_report *report) {
    struct bytes node = bytes_of_text(config->node_name);
    uint32_t port;
    if (!config->front_enable)
        return true;
    if (ekka_is_remote_shell(node)) {
        config_report_add(report, CONFIG_ERROR,
                          "%s: cannot open the front port of node.name %s: names that "
                          "begin with remsh have no port; choose another name, or set "
                          "front.enable = off",
                          config_where(config, "node.name"), config->node_name);
        return false;
    }
    if (ekka_port(node, config->dist_base_port, &port))
        return true;
    config_report_add(report, CONFIG_ERROR,
                      "%s: cannot open the front port of node.name %s: node.dist_base_port %u (%s) "
                      "plus the offset %u is %u, which is above 65535; use a smaller number "
                      "before the @",
                      config_where(config, "node.name"), config->node_name, config->dist_base_port,
                      config_where(config, "node.dist_base_port"), ekka_offset(node), port);
    return false;
}

static bool check_some_port(const struct config *config, struct config_report *report) {
    if (config->epmd_enable || config->front_enable)
        return true;
    config_report_add(report, CONFIG_ERROR,
                      "no port to open: epmd.enable (%s) and front.enable (%s) are both off; "
                      "turn one of them on",
                      config_where(config, "epmd.enable"), config_where(config, "front.enable"));
    return false;
}

bool config_check(const struct config *config, struct config_report *report) {
    bool range = check_range(config, report);
    bool tools = check_tool_ports(config, report);
    bool epmd = check_addresses(config, "epmd.address", config->epmd_address, report);
    bool front = check_addresses(config, "front.address", config->front_address, report);
    bool port = check_front_port(config, report);
    bool some = check_some_port(config, report);
    config_sense(config, report);
    return range && tools && epmd && front && port && some;
}
