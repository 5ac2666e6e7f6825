#include "config/environment.h"

#include "config/keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OURS "PORTOLAN_"
#define EMQX "EMQX_"
#define OTP "ERL_"

const char *config_environment_variable(const char *prefix, const char *key, const char *separator,
                                        char *out) {
    size_t len = (size_t)snprintf(out, CONFIG_VARIABLE_SIZE, "%s", prefix);
    for (; *key != '\0' && len + 2 < CONFIG_VARIABLE_SIZE; key++) {
        if (*key == '.')
            len += (size_t)snprintf(out + len, CONFIG_VARIABLE_SIZE - len, "%s", separator);
        else
            out[len++] = (char)toupper((unsigned char)*key);
    }
    out[len] = '\0';
    return out;
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool set(struct config *config, const struct config_key *key, const char *variable,
                const char *value, struct config_report *report) {
    const struct config_origin origin = {CONFIG_FROM_ENVIRONMENT, variable};
    return value == NULL || config_set(config, key->name, value, &origin, report);
}

/* The variables that others made up for the same thing. */
static bool load_own_variable(struct config *config, const struct config_key *key,
                              struct config_report *report) {
    if (key->variable == NULL)
        return true;
    bool from_otp = begins_with(key->variable, OTP);
    const char *value = getenv(key->variable);
    if (value == NULL || (config->personality == CONFIG_AS_EPMD && !from_otp))
        return true;
    if (key->type == CONFIG_SWITCH && from_otp)
        value = "on"; /* OTP asks only whether the variable is there */
    if (key->type == CONFIG_SWITCH && value[0] == '\0')
        return true; /* to a shell script empty is as good as unset */
    return set(config, key, key->variable, value, report);
}

/*
 * Kubernetes sets EMQX_EPMD_PORT=tcp://10.0.0.1:4369 in every container for a service that is
 * called emqx-epmd. That is not a setting.
 */
static const char *emqx_value(const char *variable) {
    const char *value = getenv(variable);
    bool setting = value != NULL && value[0] != '\0' && strstr(value, "://") == NULL;
    return setting ? value : NULL;
}

static bool load_key(struct config *config, const struct config_key *key,
                     struct config_report *report) {
    char variable[CONFIG_VARIABLE_SIZE];
    bool good = load_own_variable(config, key, report);
    if (config->personality == CONFIG_AS_PORTOLAND) {
        config_environment_variable(EMQX, key->name, "_", variable);
        good &= set(config, key, variable, emqx_value(variable), report);
        config_environment_variable(EMQX, key->name, "__", variable);
        good &= set(config, key, variable, emqx_value(variable), report);
    }
    config_environment_variable(OURS, key->name, "__", variable);
    return set(config, key, variable, getenv(variable), report) && good;
}

/* PORTOLAN_NODE__NAME=... is node.name. False when the variable has no such form. */
static bool key_of(const char *variable, char *name, size_t size) {
    size_t len = 0;
    const char *at = variable + strlen(OURS);
    bool dotted = false;
    for (; *at != '=' && *at != '\0' && len + 1 < size; at++) {
        bool dot = at[0] == '_' && at[1] == '_';
        name[len++] = dot ? '.' : (char)tolower((unsigned char)*at);
        at += dot ? 1 : 0;
        dotted |= dot;
    }
    name[len] = '\0';
    return dotted;
}

static void warn_of(const char *variable, const char *name, struct config_report *report) {
    const char *nearest = config_key_nearest(name);
    char meant[CONFIG_VARIABLE_SIZE];
    int len = (int)strcspn(variable, "=");
    if (nearest == NULL)
        config_report_add(report, CONFIG_WARNING,
                          "%.*s: unknown key %s; --print-config lists all keys", len, variable,
                          name);
    else
        config_report_add(report, CONFIG_WARNING, "%.*s: unknown key %s; did you mean %s?", len,
                          variable, name, config_environment_variable(OURS, nearest, "__", meant));
}

/* PORTOLAN_LOG_LEVEL: of EMQX's variables some have one underscore for the dot, of ours none. */
static void warn_of_single_underscore(const char *variable, struct config_report *report) {
    char ours[CONFIG_VARIABLE_SIZE], meant[CONFIG_VARIABLE_SIZE];
    int len = (int)strcspn(variable, "=");
    for (size_t i = 0; i < config_keys_count; i++) {
        config_environment_variable(OURS, config_keys[i].name, "_", ours);
        if (strlen(ours) != (size_t)len || strncmp(ours, variable, (size_t)len) != 0)
            continue;
        config_report_add(report, CONFIG_WARNING,
                          "%s is ignored: the variable of %s is %s, with two underscores", ours,
                          config_keys[i].name,
                          config_environment_variable(OURS, config_keys[i].name, "__", meant));
    }
}

static void warn_of_unknown(struct config_report *report) {
    char name[CONFIG_VARIABLE_SIZE];
    for (char *const *at = environ; at != NULL && *at != NULL; at++) {
        if (!begins_with(*at, OURS))
            continue;
        if (!key_of(*at, name, sizeof name))
            warn_of_single_underscore(*at, report);
        else if (config_key_family_is_ours(name) && config_key_find(name) == NULL &&
                 !emqx_keys_has(name))
            warn_of(*at, name, report);
    }
}

bool config_environment_load(struct config *config, struct config_report *report) {
    bool good = true;
    for (size_t i = 0; i < config_keys_count; i++)
        good &= load_key(config, &config_keys[i], report);
    warn_of_unknown(report);
    return good;
}
