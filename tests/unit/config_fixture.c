#include "config_fixture.h"

#include "config/file.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config config;
struct config_report report;

static char remarks_text[2 * CONFIG_REMARKS_MAX * CONFIG_REMARK_SIZE];

static bool may_be_a_setting(const char *variable) {
    static const char *const prefixes[] = {"PORTOLAN_",         "EMQX_", "ERL_",
                                           "WITH_EPMD=",        "XDG_",  "STATE_DIRECTORY=",
                                           "RUNTIME_DIRECTORY="};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

/* Nothing of the environment that the tests run in may be taken for a setting. */
static void clear_environment(void) {
    for (char **at = environ; at != NULL && *at != NULL;) {
        char name[256];
        if (!may_be_a_setting(*at)) {
            at++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        unsetenv(name);
        at = environ;
    }
}

void config_fixture_begin(void) {
    clear_environment();
    ck_assert(config_init(&config, CONFIG_AS_PORTOLAND));
}

void config_fixture_end(void) {
    config_free(&config);
    config_report_free(&report);
    clear_environment();
}

void config_fixture_become(enum config_personality personality) {
    config_free(&config);
    config_report_free(&report);
    ck_assert(config_init(&config, personality));
}

bool set(const char *key, const char *value) {
    const struct config_origin origin = {CONFIG_FROM_FLAG, "--set"};
    return config_set(&config, key, value, &origin, &report);
}

bool parse_file(const char *text) {
    char *copy = strdup(text);
    FILE *stream = fmemopen(copy, strlen(text), "r");
    ck_assert_ptr_nonnull(stream);
    bool good = config_file_parse(&config, stream, "test.conf", &report);
    fclose(stream);
    free(copy);
    return good;
}

const char *remarks(enum config_remark_kind kind) {
    FILE *out = fmemopen(remarks_text, sizeof remarks_text, "w");
    ck_assert_ptr_nonnull(out);
    config_report_print(&report, kind, "t", out);
    fputc('\0', out);
    fclose(out);
    return remarks_text;
}

void assert_error(const char *part) {
    const char *errors = remarks(CONFIG_ERROR);
    ck_assert_msg(errors[0] != '\0' && strstr(errors, part) != NULL, "'%s' does not say '%s'",
                  errors, part);
}
