#include "config/print.h"

#include "base/text.h"
#include "config/environment.h"
#include "config/keys.h"

#include <stdlib.h>
#include <string.h>

/* An empty value is seen as "". */
static const char *shown(const char *value) {
    return value[0] == '\0' ? "\"\"" : value;
}

static const char *where_of(const struct config *config, size_t number) {
    return config->wheres[number] != NULL ? config->wheres[number] : "default";
}

static const char *file_of(const struct config *config) {
    if (!config->file_read)
        return NULL;
    return config->file != NULL ? config->file : CONFIG_DEFAULT_FILE;
}

/* --- values --- */

static const char *value_shown(const struct config *config, const struct config_key *key,
                               char *buffer) {
    return shown(config_type_shown(key->type, config_key_text(config, key, buffer)));
}

void config_print(const struct config *config, FILE *out) {
    char buffer[CONFIG_TEXT_SIZE];
    int widest = 0, name_width = 0;
    for (size_t i = 0; i < config_keys_count; i++) {
        const char *value = value_shown(config, &config_keys[i], buffer);
        int name_len = (int)strlen(config_keys[i].name), len = (int)strlen(value);
        name_width = name_len > name_width ? name_len : name_width;
        widest = len > widest ? len : widest;
    }
    int value_width = widest < 40 ? widest : 40;
    for (size_t i = 0; i < config_keys_count; i++)
        fprintf(out, "%-*s  %-*s  %s\n", name_width, config_keys[i].name, value_width,
                value_shown(config, &config_keys[i], buffer), where_of(config, i));
}

static void print_json_text(const char *text, FILE *out) {
    size_t size = strlen(text) * 6 + 1;
    char *escaped = malloc(size);
    if (text[0] == '\0' || escaped == NULL) {
        fputs("\"\"", out);
    } else {
        struct writer writer = writer_of(escaped, size);
        text_write_escaped(&writer, bytes_of_text(text));
        fprintf(out, "\"%.*s\"", (int)writer.len, escaped);
    }
    free(escaped);
}

static void print_json_value(const struct config_key *key, const char *text, FILE *out) {
    switch (key->type) {
    case CONFIG_PORT:
    case CONFIG_COUNT:
        fputs(text, out);
        break;
    case CONFIG_SWITCH:
        fputs(strcmp(text, "on") == 0 ? "true" : "false", out);
        break;
    default:
        print_json_text(text, out);
    }
}

static void print_json_key(const struct config *config, size_t number, FILE *out) {
    const struct config_key *key = &config_keys[number];
    char buffer[CONFIG_TEXT_SIZE];
    fprintf(out, "\"%s\":{\"value\":", key->name);
    print_json_value(key, config_type_shown(key->type, config_key_text(config, key, buffer)), out);
    fprintf(out, ",\"source\":\"%s\",\"where\":", config_source_names[config->sources[number]]);
    if (config->wheres[number] == NULL)
        fputs("null", out);
    else
        print_json_text(config->wheres[number], out);
    fputs(",\"default\":", out);
    print_json_value(key, config_key_initial(key, config->personality), out);
    fprintf(out, ",\"live\":%s}", key->live ? "true" : "false");
}

void config_print_json(const struct config *config, FILE *out) {
    const char *file = file_of(config);
    fputs("{\"file\":", out);
    if (file == NULL)
        fputs("null", out);
    else
        print_json_text(file, out);
    fprintf(out, ",\"ignored\":%zu,\"keys\":{", config->ignored.keys);
    for (size_t i = 0; i < config_keys_count; i++) {
        fputs(i == 0 ? "" : ",", out);
        print_json_key(config, i, out);
    }
    fputs("}}\n", out);
}

void config_print_checked(const struct config *config, const struct config_report *report,
                          const char *program, FILE *out) {
    char families[1024];
    const char *file = file_of(config);
    config_report_print(report, CONFIG_NOTE, program, out);
    if (file != NULL && config->ignored.keys > 0) {
        emqx_keys_format(&config->ignored, families, sizeof families);
        fprintf(out, "%s: %s: %zu keys of other programs ignored: %s\n", program, file,
                config->ignored.keys, families);
    }
    if (file == NULL)
        fprintf(out, "%s: no configuration file was read\n", program);
    if (report->counts[CONFIG_WARNING] == 0)
        fprintf(out, "%s: the configuration is valid\n", program);
    else
        fprintf(out, "%s: the configuration is valid, with warnings\n", program);
}

/* --- the table --- */

void config_print_help(enum config_personality personality, FILE *out) {
    for (size_t i = 0; i < config_keys_count; i++) {
        const char *initial = config_key_initial(&config_keys[i], personality);
        fprintf(out, "    %s", config_keys[i].name);
        if (initial[0] != '\0')
            fprintf(out, " (%s)", initial);
        fprintf(out, "\n        %s\n", config_keys[i].meaning);
    }
}

/* Breaks a text into lines that begin with `prefix`. */
static void print_wrapped(const char *prefix, const char *text, FILE *out) {
    const size_t width = 96;
    while (*text != '\0') {
        size_t len = strlen(text);
        if (len > width) {
            len = width;
            while (len > 0 && text[len] != ' ')
                len--;
        }
        fprintf(out, "%s%.*s\n", prefix, (int)len, text);
        text += len;
        text += *text == ' ' ? 1 : 0;
    }
}

static void print_family(size_t number, FILE *out) {
    const char *name = config_keys[number].name;
    size_t len = strcspn(name, ".");
    if (number == 0 || strncmp(name, config_keys[number - 1].name, len + 1) != 0)
        fprintf(out, "\n# --- %.*s ---\n", (int)len, name);
}

void config_print_example(FILE *out) {
    print_wrapped(
        "# ",
        "The configuration of portoland, which reads " CONFIG_DEFAULT_FILE
        " or the file given with -c. Every key is listed with its default: uncomment the "
        "ones to change. See portolan.conf(5). portoland --check-config checks a file, and "
        "portoland --print-config prints the effective values and their origin.",
        out);
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        char text[1024];
        snprintf(text, sizeof text, "%s.%s", key->meaning, key->live ? " Applied on reload." : "");
        print_family(i, out);
        fputc('\n', out);
        print_wrapped("# ", text, out);
        fprintf(out, "#%s =%s%s\n", key->name, key->initial[0] == '\0' ? "" : " ", key->initial);
    }
}

static void print_mdoc_default(const char *label, const char *value, FILE *out) {
    if (value[0] == '\0')
        fprintf(out, "%s: empty.\n", label);
    else
        fprintf(out, "%s:\n.Ql %s .\n", label, value);
}

/* Each on lines of its own, as mdoc wants them; the last full stop is added. */
static void print_sentences(const char *text, FILE *out) {
    char sentence[1024];
    for (const char *end; text != NULL; text = end == NULL ? NULL : end + 2) {
        end = strstr(text, ". ");
        size_t len = end == NULL ? strlen(text) : (size_t)(end - text);
        snprintf(sentence, sizeof sentence, "%.*s.", (int)len, text);
        print_wrapped("", sentence, out);
    }
}

static void print_mdoc_key(const struct config_key *key, FILE *out) {
    char variable[CONFIG_VARIABLE_SIZE];
    const char *takes = config_type_takes(key->type);
    fprintf(out, ".It Cm %s Pq %s\n", key->name, strncmp(takes, "a ", 2) == 0 ? takes + 2 : takes);
    print_sentences(key->meaning, out);
    print_mdoc_default("Default", key->initial, out);
    if (key->initial_epmd != NULL)
        print_mdoc_default("Under the name epmd", key->initial_epmd, out);
    config_environment_variable("PORTOLAN_", key->name, "__", variable);
    fprintf(out, "Environment:\n.Ev %s", variable);
    if (key->variable != NULL)
        fprintf(out, " ,\n.Ev %s", key->variable);
    fputs(" .\n", out);
    fputs(key->live ? "Applied on reload.\n" : "Requires a restart.\n", out);
}

void config_print_mdoc(FILE *out) {
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < config_keys_count; i++)
        print_mdoc_key(&config_keys[i], out);
    fputs(".El\n", out);
}
