#include "daemon/config.h"

#include "base/text.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum key_type {
    TYPE_TEXT,
    TYPE_PATH,
    TYPE_LOG_TARGET,
    TYPE_PORT,
    TYPE_DURATION,
    TYPE_SWITCH,
    TYPE_COUNT,
    TYPE_LOG_LEVEL,
    TYPE_LOG_FORMAT
};

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    const char *initial; /* NULL: worked out in config_init */
    const char *meaning;
};

#define AT(member) offsetof(struct config, member)

static const struct key keys[] = {
    {"node.data_dir", TYPE_PATH, AT(data_dir), NULL,
     "directory of the state file; /var/lib/portolan, or under $XDG_STATE_HOME when not root"},
    {"epmd.port", TYPE_PORT, AT(epmd_port), "4369", "port of the epmd protocol"},
    {"epmd.address", TYPE_TEXT, AT(epmd_address), "",
     "comma list of addresses to listen on besides loopback; empty: all"},
    {"epmd.packet_timeout", TYPE_DURATION, AT(packet_timeout_ms), "60s",
     "how long an unfinished request may go without a byte"},
    {"epmd.relaxed_command_check", TYPE_SWITCH, AT(relaxed_commands), "off",
     "whether -kill works while names are registered, and -stop at all"},
    {"epmd.remote_names", TYPE_SWITCH, AT(remote_names), NULL,
     "whether other hosts may list names; on under the name epmd, else off"},
    {"epmd.peer_connections", TYPE_COUNT, AT(peer_connections), "512",
     "waiting connections one other host may have; 0: any number"},
    {"log.level", TYPE_LOG_LEVEL, AT(log_level), "info", "error, warn, info, debug or trace"},
    {"log.to", TYPE_LOG_TARGET, AT(log_to), "console",
     "console, syslog or an absolute path; a detached daemon's console is syslog"},
    {"log.format", TYPE_LOG_FORMAT, AT(log_format), "text", "text or json"},
};
#define KEYS (sizeof keys / sizeof keys[0])

static bool set_text(char **place, const char *value) {
    char *copy = strdup(value);
    if (copy == NULL)
        return false;
    free(*place);
    *place = copy;
    return true;
}

static bool parse_name(const char *text, const char *const *names, int *out) {
    for (int i = 0; names[i] != NULL; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool parse_log_target(const char *text, char **place) {
    bool known = strcmp(text, "console") == 0 || strcmp(text, "syslog") == 0 || text[0] == '/';
    return known && set_text(place, text);
}

static bool parse_port(const char *text, uint16_t *out) {
    uint64_t port;
    if (!text_parse_number(text, 1, UINT16_MAX, &port))
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool parse_timeout(const char *text, int64_t *out) {
    int64_t ms;
    if (!text_parse_duration_ms(text, &ms) || ms == 0)
        return false;
    *out = ms;
    return true;
}

static bool parse(enum key_type type, void *place, const char *value) {
    switch (type) {
    case TYPE_TEXT:
        return set_text(place, value);
    case TYPE_PATH:
        return value[0] == '/' && set_text(place, value);
    case TYPE_LOG_TARGET:
        return parse_log_target(value, place);
    case TYPE_PORT:
        return parse_port(value, place);
    case TYPE_DURATION:
        return parse_timeout(value, place);
    case TYPE_SWITCH:
        return text_parse_switch(value, place);
    case TYPE_COUNT:
        return text_parse_number(value, 0, UINT32_MAX, place);
    case TYPE_LOG_LEVEL:
        return parse_name(value, log_level_names, place);
    case TYPE_LOG_FORMAT:
        return parse_name(value, log_format_names, place);
    }
    return false;
}

static const char *what_is_right(enum key_type type) {
    switch (type) {
    case TYPE_TEXT:
        return "any text";
    case TYPE_PATH:
        return "an absolute path";
    case TYPE_LOG_TARGET:
        return "console, syslog or an absolute path";
    case TYPE_PORT:
        return "a port from 1 to 65535";
    case TYPE_DURATION:
        return "a time over 0 such as 60, 500ms, 5m or 1h";
    case TYPE_SWITCH:
        return "on or off";
    case TYPE_COUNT:
        return "a number from 0 up";
    case TYPE_LOG_LEVEL:
        return "error, warn, info, debug or trace";
    case TYPE_LOG_FORMAT:
        return "text or json";
    }
    return "something else";
}

static const struct key *find_key(const char *name) {
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

static void *place_of(struct config *config, const struct key *key) {
    return (char *)config + key->offset;
}

bool config_set(struct config *config, const char *name, const char *value, char *error) {
    const struct key *key = find_key(name);
    if (key == NULL) {
        snprintf(error, CONFIG_ERROR_SIZE, "there is no key %.100s; --help lists them", name);
        return false;
    }
    if (parse(key->type, place_of(config, key), value))
        return true;
    snprintf(error, CONFIG_ERROR_SIZE, "%s cannot be '%.100s'; it takes %s", name, value,
             what_is_right(key->type));
    return false;
}

bool config_set_pair(struct config *config, const char *pair, char *error) {
    const char *equals = strchr(pair, '=');
    char name[64];
    if (equals == NULL || (size_t)(equals - pair) >= sizeof name) {
        snprintf(error, CONFIG_ERROR_SIZE, "'%.100s' is not of the form KEY=VALUE", pair);
        return false;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
    return config_set(config, name, equals + 1, error);
}

/* node.data_dir is PORTOLAN_NODE__DATA_DIR */
static const char *environment_of(const struct key *key) {
    char variable[96] = "PORTOLAN_";
    size_t len = strlen(variable);
    for (const char *at = key->name; *at != '\0' && len < sizeof variable - 3; at++) {
        if (*at == '.') {
            variable[len++] = '_';
            variable[len++] = '_';
        } else {
            variable[len++] = (char)toupper((unsigned char)*at);
        }
    }
    variable[len] = '\0';
    return getenv(variable);
}

/* The variables of OTP's epmd. */
static bool load_epmd_environment(struct config *config, char *error) {
    const char *port = getenv("ERL_EPMD_PORT");
    const char *address = getenv("ERL_EPMD_ADDRESS");
    if (port != NULL && !config_set(config, "epmd.port", port, error))
        return false;
    if (address != NULL && !config_set(config, "epmd.address", address, error))
        return false;
    if (getenv("ERL_EPMD_RELAXED_COMMAND_CHECK") != NULL)
        config->relaxed_commands = true;
    return true;
}

bool config_load_environment(struct config *config, char *error) {
    if (!load_epmd_environment(config, error))
        return false;
    for (size_t i = 0; i < KEYS; i++) {
        const char *value = environment_of(&keys[i]);
        if (value != NULL && !config_set(config, keys[i].name, value, error))
            return false;
    }
    return true;
}

/* Where state is kept unless it is said: systemd's choice, the system's place, or the user's. */
static bool set_default_data_dir(struct config *config) {
    const char *from_systemd = getenv("STATE_DIRECTORY");
    const char *state_home = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char path[4096];
    if (from_systemd != NULL && from_systemd[0] == '/')
        snprintf(path, sizeof path, "%.*s", (int)strcspn(from_systemd, ":"), from_systemd);
    else if (geteuid() == 0)
        snprintf(path, sizeof path, "/var/lib/portolan");
    else if (state_home != NULL && state_home[0] == '/')
        snprintf(path, sizeof path, "%s/portolan", state_home);
    else if (home != NULL && home[0] == '/')
        snprintf(path, sizeof path, "%s/.local/state/portolan", home);
    else
        return true;
    return set_text(&config->data_dir, path);
}

bool config_init(struct config *config, enum config_personality personality) {
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].initial != NULL &&
            !parse(keys[i].type, place_of(config, &keys[i]), keys[i].initial))
            return false;
    }
    config->remote_names = personality == CONFIG_AS_EPMD;
    return set_default_data_dir(config);
}

void config_free(struct config *config) {
    free(config->data_dir);
    free(config->epmd_address);
    free(config->log_to);
    memset(config, 0, sizeof *config);
}

void config_describe(FILE *out) {
    for (size_t i = 0; i < KEYS; i++) {
        fprintf(out, "    %s", keys[i].name);
        if (keys[i].initial != NULL && keys[i].initial[0] != '\0')
            fprintf(out, " (%s)", keys[i].initial);
        fprintf(out, "\n        %s\n", keys[i].meaning);
    }
}
