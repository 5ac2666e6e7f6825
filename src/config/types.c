#include "config/types.h"

#include "base/comma_list.h"
#include "base/log.h"
#include "base/text.h"
#include "config/node.h"
#include "discovery/discovery.h"
#include "names/epmd_service.h"
#include "names/port_pool.h"
#include "net/allow_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define SOCKET_PATH_MAX (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

/* --- parsing: NULL, or why not --- */

static const char *parse_text(const char *text, union config_value *out) {
    out->text = strdup(text);
    return NULL;
}

static const char *parse_node(const char *text, union config_value *out) {
    const char *why = config_node_check(text);
    return why != NULL ? why : parse_text(text, out);
}

/* A comma list of names of nodes; what can be wrong is said of the first that is. */
static const char *parse_nodes(const char *text, union config_value *out) {
    char item[DISCOVERY_NAME_SIZE + 1]; /* one that is cut short is too long */
    size_t count = 0;
    for (const char *at = text; comma_list_next(&at, item, sizeof item);) {
        const char *why = config_node_check(item);
        if (strlen(item) >= DISCOVERY_NAME_SIZE)
            return "it is longer than 255 bytes";
        if (why != NULL)
            return why;
        if (++count > DISCOVERY_NAMES_MAX)
            return "it has too many names";
    }
    return parse_text(text, out);
}

/* Erlang's cookies are atoms: of at most 255 characters. */
static const char *parse_secret(const char *text, union config_value *out) {
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return "it contains a blank or a control character";
    }
    return strlen(text) > 255 ? "it is longer than 255 bytes" : parse_text(text, out);
}

static const char *parse_word(const char *text, union config_value *out) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr(letters, *at) == NULL && strchr("_-.", *at) == NULL)
            return "it contains another character";
    }
    if (text[0] == '\0')
        return "it is empty";
    return strlen(text) > 255 ? "it is longer than 255 bytes" : parse_text(text, out);
}

static const char *parse_directory(const char *text, const char *directory,
                                   union config_value *out) {
    char *path;
    if (text[0] == '\0')
        return "it is empty";
    if (text[0] == '/')
        return parse_text(text, out);
    out->text = asprintf(&path, "%s/%s", directory, text) < 0 ? NULL : path;
    return NULL;
}

static const char *parse_path(const char *text, const char *directory, union config_value *out) {
    return text[0] == '\0' ? parse_text("", out) : parse_directory(text, directory, out);
}

static const char *parse_socket(const char *text, union config_value *out) {
    if (text[0] == '\0' || strcasecmp(text, "off") == 0)
        return parse_text("", out);
    if (text[0] != '/')
        return "not an absolute path";
    if (strlen(text) > SOCKET_PATH_MAX)
        return "the path is too long for a socket";
    return parse_text(text, out);
}

static const char *parse_log_target(const char *text, union config_value *out) {
    bool known = strcmp(text, "console") == 0 || strcmp(text, "syslog") == 0 || text[0] == '/';
    return known ? parse_text(text, out) : "not a valid log target";
}

static const char *parse_allowed(const char *text, union config_value *out) {
    struct allow_list list;
    const char *why = allow_list_parse(text, &list);
    return why != NULL ? why : parse_text(text, out);
}

static const char *parse_port(const char *text, union config_value *out) {
    uint64_t port;
    if (!text_parse_number(text, 1, UINT16_MAX, &port))
        return "not a valid port";
    out->port = (uint16_t)port;
    return NULL;
}

static const char *parse_duration(const char *text, union config_value *out) {
    int64_t ms;
    if (!text_parse_duration_ms(text, &ms) || ms == 0)
        return "not a valid time";
    out->ms = ms;
    return NULL;
}

static const char *parse_interval(const char *text, union config_value *out) {
    bool on;
    if (text_parse_switch(text, &on) && !on)
        out->ms = 0;
    else if (!text_parse_duration_ms(text, &out->ms))
        return "not a valid time";
    return NULL;
}

static const char *parse_switch(const char *text, union config_value *out) {
    return text_parse_switch(text, &out->on) ? NULL : "neither on nor off";
}

static const char *parse_count(const char *text, union config_value *out) {
    return text_parse_number(text, 0, UINT32_MAX, &out->count) ? NULL : "not a valid number";
}

static const char *parse_percent(const char *text, union config_value *out) {
    char number[4] = "";
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '%')
        len--;
    if (len == 0 || len >= sizeof number)
        return "not a valid percentage";
    memcpy(number, text, len);
    return text_parse_number(number, 1, 100, &out->count) ? NULL : "not a valid percentage";
}

static bool find_name(const char *text, const char *const *names, int *out) {
    for (int i = 0; names[i] != NULL; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static const char *parse_choice(const char *text, const char *const *names,
                                union config_value *out) {
    return find_name(text, names, &out->choice) ? NULL : "not a valid choice";
}

/* Whatever says on or off elsewhere does so here. */
static const char *parse_listers(const char *text, union config_value *out) {
    bool on;
    if (!text_parse_switch(text, &on))
        return parse_choice(text, remote_names_names, out);
    out->choice = on ? REMOTE_NAMES_ON : REMOTE_NAMES_OFF;
    return NULL;
}

static const char *parse_discovery(const char *text, union config_value *out) {
    static const char *const later[] = {"mcast", "dns", "etcd", "k8s", NULL};
    int ignored;
    if (find_name(text, later, &ignored))
        return "this strategy is not implemented yet";
    return parse_choice(text, discovery_names, out);
}

/* The levels of Erlang's logger, as EMQX's log.level has them, beside our own names. */
static const struct {
    const char *name;
    enum log_level level;
} erlang_levels[] = {
    {"emergency", LOG_LEVEL_ERROR}, {"alert", LOG_LEVEL_ERROR}, {"critical", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARN},    {"notice", LOG_LEVEL_INFO}, {"all", LOG_LEVEL_TRACE},
};

static const char *parse_log_level(const char *text, union config_value *out) {
    for (size_t i = 0; i < sizeof erlang_levels / sizeof erlang_levels[0]; i++) {
        if (strcasecmp(text, erlang_levels[i].name) == 0) {
            out->choice = (int)erlang_levels[i].level;
            return NULL;
        }
    }
    return find_name(text, log_level_names, &out->choice) ? NULL : "not a valid level";
}

const char *config_type_parse(enum config_type type, const char *text, const char *directory,
                              union config_value *out) {
    switch (type) {
    case CONFIG_NODE:
        return parse_node(text, out);
    case CONFIG_NODES:
        return parse_nodes(text, out);
    case CONFIG_SECRET:
        return parse_secret(text, out);
    case CONFIG_WORD:
        return parse_word(text, out);
    case CONFIG_PATH:
        return parse_path(text, directory, out);
    case CONFIG_DIRECTORY:
        return parse_directory(text, directory, out);
    case CONFIG_SOCKET:
        return parse_socket(text, out);
    case CONFIG_ADDRESSES:
        return parse_text(text, out); /* judged by config_check: a call to a daemon needs none */
    case CONFIG_ALLOWED:
        return parse_allowed(text, out);
    case CONFIG_LOG_TARGET:
        return parse_log_target(text, out);
    case CONFIG_PORT:
        return parse_port(text, out);
    case CONFIG_DURATION:
        return parse_duration(text, out);
    case CONFIG_INTERVAL:
        return parse_interval(text, out);
    case CONFIG_SWITCH:
        return parse_switch(text, out);
    case CONFIG_COUNT:
        return parse_count(text, out);
    case CONFIG_PERCENT:
        return parse_percent(text, out);
    case CONFIG_POLICY:
        return parse_choice(text, port_policy_names, out);
    case CONFIG_LISTERS:
        return parse_listers(text, out);
    case CONFIG_DISCOVERY:
        return parse_discovery(text, out);
    case CONFIG_LOG_LEVEL:
        return parse_log_level(text, out);
    case CONFIG_LOG_FORMAT:
        return parse_choice(text, log_format_names, out);
    }
    return "its type is unknown";
}

/* --- what else there is to know of a type --- */

const char *config_type_takes(enum config_type type) {
    switch (type) {
    case CONFIG_NODE:
        return "Name@Host, such as portolan@192.0.2.1 or portolan@s1.example.com";
    case CONFIG_NODES:
        return "node names, Name@Host, separated by commas, or nothing";
    case CONFIG_SECRET:
        return "1 to 255 printable characters without blanks, or nothing";
    case CONFIG_WORD:
        return "letters, digits, underscores, hyphens and dots";
    case CONFIG_PATH:
        return "the path of a file, or nothing";
    case CONFIG_DIRECTORY:
        return "the path of a directory";
    case CONFIG_SOCKET:
        return "an absolute path of at most 107 bytes, or off";
    case CONFIG_ADDRESSES:
        return "IP addresses separated by commas, or nothing for all";
    case CONFIG_ALLOWED:
        return "any, or members and networks such as 192.0.2.0/24, separated by commas";
    case CONFIG_LOG_TARGET:
        return "console, syslog or an absolute path";
    case CONFIG_PORT:
        return "a port from 1 to 65535";
    case CONFIG_DURATION:
        return "a time above 0, such as 60, 500ms, 5m or 1h";
    case CONFIG_INTERVAL:
        return "a time, such as 60, 5m or 1h, or off";
    case CONFIG_SWITCH:
        return "on or off";
    case CONFIG_COUNT:
        return "a number from 0 to 4294967295";
    case CONFIG_PERCENT:
        return "a percentage from 1% to 100%";
    case CONFIG_POLICY:
        return "range, derived or any";
    case CONFIG_LISTERS:
        return "on, off or members";
    case CONFIG_DISCOVERY:
        return "manual or static";
    case CONFIG_LOG_LEVEL:
        return "error, warn, info, debug or trace";
    case CONFIG_LOG_FORMAT:
        return "text or json";
    }
    return "something else";
}

bool config_type_is_text(enum config_type type) {
    return type == CONFIG_NODE || type == CONFIG_NODES || type == CONFIG_SECRET ||
           type == CONFIG_WORD || type == CONFIG_PATH || type == CONFIG_DIRECTORY ||
           type == CONFIG_SOCKET || type == CONFIG_ADDRESSES || type == CONFIG_LOG_TARGET ||
           type == CONFIG_ALLOWED;
}

size_t config_type_size(enum config_type type) {
    const union config_value *value = NULL;
    if (config_type_is_text(type))
        return sizeof value->text;
    if (type == CONFIG_PORT)
        return sizeof value->port;
    if (type == CONFIG_DURATION || type == CONFIG_INTERVAL)
        return sizeof value->ms;
    if (type == CONFIG_SWITCH)
        return sizeof value->on;
    bool counts = type == CONFIG_COUNT || type == CONFIG_PERCENT;
    return counts ? sizeof value->count : sizeof value->choice;
}

void config_type_free_text(enum config_type type, char *text) {
    if (type == CONFIG_SECRET && text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void config_type_store(enum config_type type, void *place, union config_value value) {
    if (config_type_is_text(type)) {
        config_type_free_text(type, *(char **)place);
        *(char **)place = value.text;
    } else if (type == CONFIG_PORT) {
        *(uint16_t *)place = value.port;
    } else if (type == CONFIG_DURATION || type == CONFIG_INTERVAL) {
        *(int64_t *)place = value.ms;
    } else if (type == CONFIG_SWITCH) {
        *(bool *)place = value.on;
    } else if (type == CONFIG_COUNT || type == CONFIG_PERCENT) {
        *(uint64_t *)place = value.count;
    } else {
        *(int *)place = value.choice;
    }
}

static const char *choice_name(enum config_type type, int choice) {
    if (type == CONFIG_POLICY)
        return port_policy_names[choice];
    if (type == CONFIG_LISTERS)
        return remote_names_names[choice];
    if (type == CONFIG_DISCOVERY)
        return discovery_names[choice];
    return type == CONFIG_LOG_LEVEL ? log_level_names[choice] : log_format_names[choice];
}

const char *config_type_shown(enum config_type type, const char *text) {
    return type == CONFIG_SECRET && text[0] != '\0' ? "(set)" : text;
}

const char *config_type_format(enum config_type type, const void *place, char *buffer) {
    if (config_type_is_text(type)) {
        const char *text = *(char *const *)place;
        return text == NULL ? "" : text;
    }
    if (type == CONFIG_SWITCH)
        return *(const bool *)place ? "on" : "off";
    if (type == CONFIG_PORT)
        snprintf(buffer, CONFIG_TEXT_SIZE, "%u", *(const uint16_t *)place);
    else if (type == CONFIG_INTERVAL && *(const int64_t *)place == 0)
        return "off";
    else if (type == CONFIG_DURATION || type == CONFIG_INTERVAL)
        text_format_duration(*(const int64_t *)place, buffer);
    else if (type == CONFIG_COUNT)
        snprintf(buffer, CONFIG_TEXT_SIZE, "%" PRIu64, *(const uint64_t *)place);
    else if (type == CONFIG_PERCENT)
        snprintf(buffer, CONFIG_TEXT_SIZE, "%" PRIu64 "%%", *(const uint64_t *)place);
    else
        return choice_name(type, *(const int *)place);
    return buffer;
}
