/* portolan_options_from_environment: the one place that reads the environment. */
#include "base/control_path.h"
#include "base/text.h"
#include "client/failure.h"
#include "client/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERB "read the environment variable"

static enum portolan_code refuse(struct portolan_error *error, const char *variable,
                                 const char *value, const char *wanted) {
    struct failure failure = {.code = PORTOLAN_OK};
    char shown[FAILURE_SHOWN_SIZE], message[PORTOLAN_MESSAGE_SIZE];
    failure_note(&failure, PORTOLAN_ERROR_ARGUMENT, "\"%s\" is not %s",
                 failure_show(bytes_of_text(value), shown, sizeof shown), wanted);
    failure_message(&failure, PORTOLAN_ERROR_ARGUMENT, VERB, variable, message);
    return failure_report(error, PORTOLAN_ERROR_ARGUMENT, message);
}

/* A variable that is not set, or empty, leaves *port alone. */
static enum portolan_code read_port(const char *variable, uint16_t *port,
                                    struct portolan_error *error) {
    const char *value = getenv(variable);
    uint64_t number;
    if (value == NULL || value[0] == '\0')
        return PORTOLAN_OK;
    if (!text_parse_number(value, 1, UINT16_MAX, &number))
        return refuse(error, variable, value, "a port, 1 to 65535");
    *port = (uint16_t)number;
    return PORTOLAN_OK;
}

static enum portolan_code read_control_socket(char *path, struct portolan_error *error) {
    static const char variable[] = "PORTOLAN_CONTROL__SOCKET";
    const char *value = getenv(variable);
    if (value == NULL || value[0] == '\0')
        return PORTOLAN_OK;
    if (strlen(value) >= PORTOLAN_CONTROL_SOCKET_SIZE)
        return refuse(error, variable, value, "the path of a socket: over 107 bytes");
    strcpy(path, value);
    return PORTOLAN_OK;
}

enum portolan_code portolan_options_from_environment(struct portolan_options *options,
                                                     struct portolan_error *error) {
    const char *wrong = settings_check(options);
    if (wrong != NULL)
        return failure_refuse("read the environment into", "the options", PORTOLAN_ERROR_ARGUMENT,
                              wrong, error);
    uint16_t epmd_port = options->epmd_port, base_port = options->base_port;
    char path[PORTOLAN_CONTROL_SOCKET_SIZE];
    memcpy(path, options->control_socket, sizeof path);
    enum portolan_code code = read_port("ERL_EPMD_PORT", &epmd_port, error);
    if (code == PORTOLAN_OK)
        code = read_port("PORTOLAN_NODE__DIST_BASE_PORT", &base_port, error);
    if (code == PORTOLAN_OK)
        code = read_control_socket(path, error);
    if (code != PORTOLAN_OK)
        return code;
    if (path[0] == '\0')
        control_path_find(path);
    options->epmd_port = epmd_port;
    options->base_port = base_port;
    memcpy(options->control_socket, path, sizeof path);
    return failure_report(error, PORTOLAN_OK, "");
}
