#include "config/config.h"

#include "base/control_path.h"
#include "config/defaults.h"
#include "config/environment.h"
#include "config/file.h"
#include "config/keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *const config_source_names[] = {"default", "file", "environment", "flag"};

/* --- one key --- */

/* Takes the value over, unless a source with precedence has set it. False when out of memory. */
static bool keep(struct config *config, const struct config_key *key, union config_value value,
                 const struct config_origin *origin) {
    size_t number = config_key_number(key);
    bool is_text = config_type_is_text(key->type);
    char *where = strdup(origin->where);
    if (where == NULL || (is_text && value.text == NULL) ||
        origin->source < config->sources[number]) {
        bool in_memory = where != NULL && (!is_text || value.text != NULL);
        free(where);
        if (is_text)
            free(value.text);
        return in_memory;
    }
    config_type_store(key->type, config_key_place(config, key), value);
    config->sources[number] = origin->source;
    free(config->wheres[number]);
    config->wheres[number] = where;
    return true;
}

static bool refuse_key(const char *name, const struct config_origin *origin,
                       struct config_report *report) {
    char quoted[CONFIG_QUOTE_SIZE];
    const char *nearest = config_key_nearest(name);
    config_quote(name, quoted);
    if (emqx_keys_has(name))
        config_report_add(report, CONFIG_ERROR,
                          "%s: cannot set %s: this key of EMQX has no meaning here; remove it",
                          origin->where, quoted);
    else if (nearest != NULL)
        config_report_add(report, CONFIG_ERROR, "%s: cannot set %s: unknown key; did you mean %s?",
                          origin->where, quoted, nearest);
    else
        config_report_add(report, CONFIG_ERROR,
                          "%s: cannot set %s: unknown key; --print-config lists all keys",
                          origin->where, quoted);
    return false;
}

/* EMQX's log.to has words that are about files of its own. */
static bool is_about_emqx_log(const struct config_key *key, const char *value,
                              const struct config_origin *origin) {
    bool emqx_may_speak =
        origin->source == CONFIG_FROM_FILE || strncmp(origin->where, "EMQX_", strlen("EMQX_")) == 0;
    return key->type == CONFIG_LOG_TARGET && emqx_may_speak &&
           (strcasecmp(value, "file") == 0 || strcasecmp(value, "both") == 0 ||
            strcasecmp(value, "off") == 0);
}

bool config_set(struct config *config, const char *name, const char *value,
                const struct config_origin *origin, struct config_report *report) {
    const struct config_key *key = config_key_find(name);
    union config_value parsed;
    char quoted[CONFIG_QUOTE_SIZE];
    if (key == NULL)
        return refuse_key(name, origin, report);
    if (is_about_emqx_log(key, value, origin)) {
        config_report_add(report, CONFIG_NOTE,
                          "%s: %s = %s concerns EMQX's log files and is ignored", origin->where,
                          name, value);
        return true;
    }
    const char *why = config_type_parse(key->type, value, config->directory, &parsed);
    if (why != NULL && key->type == CONFIG_SECRET) {
        config_report_add(report, CONFIG_ERROR, "%s: cannot set %s: %s; expected %s", origin->where,
                          name, why, config_type_takes(key->type));
        return false;
    }
    if (why != NULL) {
        config_report_add(report, CONFIG_ERROR, "%s: cannot set %s to '%s': %s; expected %s",
                          origin->where, name, config_quote(value, quoted), why,
                          config_type_takes(key->type));
        return false;
    }
    if (keep(config, key, parsed, origin))
        return true;
    config_report_add(report, CONFIG_ERROR, "%s: cannot set %s: out of memory", origin->where,
                      name);
    return false;
}

bool config_set_pair(struct config *config, const char *pair, const char *flag,
                     struct config_report *report) {
    const struct config_origin origin = {CONFIG_FROM_FLAG, flag};
    char quoted[CONFIG_QUOTE_SIZE];
    const char *equals = strchr(pair, '=');
    if (equals == NULL) {
        config_report_add(report, CONFIG_ERROR,
                          "%s: cannot set '%s': no = in it; expected KEY=VALUE, such as "
                          "log.level=debug",
                          flag, config_quote(pair, quoted));
        return false;
    }
    char *name = strndup(pair, (size_t)(equals - pair));
    if (name == NULL) {
        config_report_add(report, CONFIG_ERROR, "%s: out of memory", flag);
        return false;
    }
    bool done = config_set(config, name, equals + 1, &origin, report);
    free(name);
    return done;
}

const char *config_where(const struct config *config, const char *name) {
    const char *where = config->wheres[config_key_number(config_key_find(name))];
    return where == NULL ? "the default" : where;
}

/* --- all of it --- */

static bool replace_text(char **place, const char *text) {
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL)
        return false;
    free(*place);
    *place = copy;
    return true;
}

static bool set_initial(struct config *config, const struct config_key *key) {
    union config_value value;
    const char *initial = config_key_initial(key, config->personality);
    if (config_type_parse(key->type, initial, config->directory, &value) != NULL)
        return false;
    if (config_type_is_text(key->type) && value.text == NULL)
        return false;
    config_type_store(key->type, config_key_place(config, key), value);
    return true;
}

static bool set_paths(struct config *config) {
    char path[CONFIG_PATH_SIZE];
    bool has_data_dir = config_default_data_dir(path);
    if (!replace_text(&config->data_dir, has_data_dir ? path : NULL))
        return false;
    if (config->personality == CONFIG_AS_EPMD)
        return true;
    bool has_socket = control_path_default(path);
    return replace_text(&config->control_socket, has_socket ? path : "");
}

bool config_init(struct config *config, enum config_personality personality) {
    char *directory = getcwd(NULL, 0);
    memset(config, 0, sizeof *config);
    config->personality = personality;
    config->directory = directory != NULL ? directory : strdup("/");
    if (config->directory == NULL)
        return false;
    for (size_t i = 0; i < config_keys_count; i++) {
        if (!set_initial(config, &config_keys[i]))
            return false;
    }
    return set_paths(config);
}

void config_free(struct config *config) {
    for (size_t i = 0; i < config_keys_count; i++) {
        free(config->wheres[i]);
        if (config_type_is_text(config_keys[i].type))
            config_type_free_text(config_keys[i].type,
                                  *(char **)config_key_place(config, &config_keys[i]));
    }
    free(config->directory);
    free(config->file);
    memset(config, 0, sizeof *config);
}

bool config_use_file(struct config *config, const char *path) {
    char *absolute;
    if (path[0] == '/')
        return replace_text(&config->file, path);
    if (asprintf(&absolute, "%s/%s", config->directory, path) < 0)
        return false;
    free(config->file);
    config->file = absolute;
    return true;
}

static bool load_file(struct config *config, struct config_report *report) {
    if (config->file != NULL)
        return config_file_load(config, config->file, report);
    if (config->personality == CONFIG_AS_EPMD || access(CONFIG_DEFAULT_FILE, F_OK) < 0)
        return true;
    return config_file_load(config, CONFIG_DEFAULT_FILE, report);
}

bool config_load(struct config *config, struct config_report *report) {
    bool environment = config_environment_load(config, report);
    bool file = load_file(config, report);
    return environment && file;
}

void config_log_loaded(const struct config *config) {
    char families[512];
    if (!config->file_read)
        return;
    emqx_keys_format(&config->ignored, families, sizeof families);
    log_event(LOG_LEVEL_INFO, "configuration",
              log_text("file", config->file != NULL ? config->file : CONFIG_DEFAULT_FILE),
              log_number("ignored", (int64_t)config->ignored.keys), log_text("of", families));
}
