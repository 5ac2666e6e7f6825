#include "config/file.h"

#include "config/keys.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/*
 * What upstream's inih fixes when it is built (200 bytes a line, a ; begins a comment, blanks begin
 * a continuation) Debian's lets a program change. Where these are not, lines are held to inih's
 * limit.
 */
extern int ini_max_line __attribute__((weak));
extern bool ini_allow_inline_comments __attribute__((weak));
extern bool ini_allow_multiline __attribute__((weak));

struct parser {
    struct config *config;
    struct config_report *report;
    FILE *stream;
    const char *name;
    size_t line;                         /* of the text below, from 1 */
    bool line_unanswered;                /* inih was handed a setting and has not called back */
    size_t set_on_line[CONFIG_KEYS_MAX]; /* 0: not yet */
    char where[CONFIG_REMARK_SIZE / 2];  /* NAME:LINE */
    char text[CONFIG_LINE_MAX + 1];
};

static void complain(struct parser *parser, const char *what) {
    config_report_add(parser->report, CONFIG_ERROR, "%s: %s", parser->where, what);
}

/* --- lines --- */

enum read_result { READ_END, READ_LINE, READ_TOO_LONG, READ_HAS_NUL };

/* The next line into parser->text, without its end; what is too long is cut. */
static enum read_result read_line(struct parser *parser) {
    enum read_result result = READ_END;
    size_t len = 0;
    int byte;
    while ((byte = getc(parser->stream)) != EOF) {
        if (result == READ_END)
            result = READ_LINE;
        if (byte == '\n')
            break;
        if (byte == '\0')
            result = READ_HAS_NUL;
        else if (len < CONFIG_LINE_MAX)
            parser->text[len++] = (char)byte;
        else if (result == READ_LINE)
            result = READ_TOO_LONG;
    }
    parser->text[len] = '\0';
    if (result != READ_END) {
        parser->line++;
        snprintf(parser->where, sizeof parser->where, "%.400s:%zu", parser->name, parser->line);
    }
    return result;
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\v' || byte == '\f';
}

/* Cuts the comment and the blanks at both ends; the result lies within `line`. */
static char *trim(char *line) {
    bool quoted = false;
    char *end = line;
    for (; *end != '\0' && (quoted || *end != '#'); end++)
        quoted ^= *end == '"';
    while (end > line && is_blank(end[-1]))
        end--;
    *end = '\0';
    while (is_blank(*line))
        line++;
    return line;
}

/* The key of a line, up to `size`. */
static void key_of(const char *line, char *key, size_t size) {
    size_t len = strcspn(line, "= \t");
    snprintf(key, size, "%.*s", (int)len, line);
}

static bool is_ignored(const char *key) {
    if (config_key_family_is_ours(key))
        return emqx_keys_has(key);
    return !config_key_family_is_mistyped(key);
}

static void refuse_long_line(struct parser *parser, const char *line) {
    char key[128];
    key_of(line, key, sizeof key);
    if (is_ignored(key))
        emqx_keys_add(&parser->config->ignored, key);
    else
        complain(parser, "cannot read the line: it is too long; shorten it");
}

static void answer_for_last_line(struct parser *parser) {
    if (parser->line_unanswered)
        complain(parser, "cannot read the line: not of the form key = value; comments begin "
                         "with #");
    parser->line_unanswered = false;
}

/* Hands inih a line that it can digest, an empty one for what is dealt with here. */
static char *next_line(char *out, int size, void *context) {
    struct parser *parser = context;
    answer_for_last_line(parser);
    enum read_result result = read_line(parser);
    if (result == READ_END)
        return NULL;
    bool first = parser->line == 1 && strncmp(parser->text, "\xef\xbb\xbf", 3) == 0;
    const char *line = trim(parser->text + (first ? 3 : 0));
    bool fits = result != READ_TOO_LONG && strlen(line) + 2 < (size_t)size;
    out[0] = '\0';
    if (result == READ_HAS_NUL)
        complain(parser, "cannot read the line: it contains a NUL byte; is this a text file?");
    else if (line[0] == '[' || line[0] == ';')
        parser->line_unanswered = true; /* to inih a section, a comment; to EMQX an error */
    else if (!fits)
        refuse_long_line(parser, line);
    else if (line[0] != '\0') {
        parser->line_unanswered = true;
        snprintf(out, (size_t)size, "%s", line);
    }
    return out;
}

/* --- settings --- */

/* Takes the quotes off, in place. NULL: they do not match. */
static char *unquote(char *value) {
    size_t len = strlen(value);
    if (value[0] != '"')
        return value;
    if (len < 2 || strchr(value + 1, '"') != value + len - 1)
        return NULL;
    value[len - 1] = '\0';
    return value + 1;
}

static void warn_if_set_again(struct parser *parser, const struct config_key *key) {
    size_t *line = &parser->set_on_line[config_key_number(key)];
    if (*line != 0)
        config_report_add(parser->report, CONFIG_WARNING,
                          "%s: %s is set again, after line %zu; the last value is used",
                          parser->where, key->name, *line);
    *line = parser->line;
}

static void take(struct parser *parser, const char *name, const char *text) {
    const struct config_origin origin = {CONFIG_FROM_FILE, parser->where};
    const struct config_key *key = config_key_find(name);
    char *copy = strdup(text);
    char *value = copy == NULL ? NULL : unquote(copy);
    if (copy == NULL)
        complain(parser, "out of memory");
    else if (value == NULL)
        complain(parser, "cannot read the value: unbalanced quotes; put one \" at each end, "
                         "or none");
    else
        config_set(parser->config, name, value, &origin, parser->report);
    if (key != NULL)
        warn_if_set_again(parser, key);
    free(copy);
}

static int on_setting(void *context, const char *section, const char *name, const char *value) {
    struct parser *parser = context;
    (void)section;
    parser->line_unanswered = name[0] == '\0';
    if (name[0] == '\0')
        return 0;
    if (is_ignored(name))
        emqx_keys_add(&parser->config->ignored, name);
    else
        take(parser, name, value);
    return 1;
}

/* --- the file --- */

static void set_up_inih(void) {
    if (&ini_max_line != NULL)
        ini_max_line = CONFIG_LINE_MAX + 3;
    if (&ini_allow_inline_comments != NULL)
        ini_allow_inline_comments = false;
    if (&ini_allow_multiline != NULL)
        ini_allow_multiline = false;
}

bool config_file_parse(struct config *config, FILE *stream, const char *name,
                       struct config_report *report) {
    size_t errors = report->counts[CONFIG_ERROR];
    struct parser *parser = calloc(1, sizeof *parser);
    if (parser == NULL) {
        config_report_add(report, CONFIG_ERROR, "%s: out of memory", name);
        return false;
    }
    parser->config = config;
    parser->report = report;
    parser->stream = stream;
    parser->name = name;
    set_up_inih();
    ini_parse_stream(next_line, parser, on_setting, parser);
    if (ferror(stream))
        config_report_add(report, CONFIG_ERROR, "%s: cannot read the file: %s", name,
                          strerror(errno));
    free(parser);
    config->file_read = true;
    return report->counts[CONFIG_ERROR] == errors;
}

bool config_file_load(struct config *config, const char *path, struct config_report *report) {
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        config_report_add(report, CONFIG_ERROR,
                          "cannot read the configuration file %s: %s; use -c to name another", path,
                          strerror(errno));
        return false;
    }
    bool good = config_file_parse(config, stream, path, report);
    fclose(stream);
    return good;
}
