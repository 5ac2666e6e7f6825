#include "client/settings.h"

#include "base/text.h"
#include "net/host_lookup.h"

#include <string.h>

/* a derived port is only for callers that ask for it */
#define DEFAULT_SOURCES (PORTOLAN_SOURCE_REGISTERED | PORTOLAN_SOURCE_EPMD)
#define ALL_SOURCES (DEFAULT_SOURCES | PORTOLAN_SOURCE_DERIVED)

/* The options of the first version end here: no program can know fewer. */
#define SMALLEST_OPTIONS sizeof(struct portolan_options)
#define LARGEST_OPTIONS 4096

void portolan_options_init(struct portolan_options *options, size_t size) {
    memset(options, 0, size);
    if (size >= sizeof options->size)
        options->size = size;
}

/* A program that is newer than this library may set nothing that the library does not know. */
static bool sets_the_unknown(const struct portolan_options *options) {
    const uint8_t *bytes = (const uint8_t *)options;
    for (size_t i = sizeof *options; i < options->size; i++) {
        if (bytes[i] != 0)
            return true;
    }
    return false;
}

static bool is_terminated(const char *text, size_t size) {
    return memchr(text, 0, size) != NULL;
}

static bool is_numeric(const char *address) {
    struct host_addresses addresses;
    return host_numeric(address, &addresses);
}

const char *settings_check(const struct portolan_options *options) {
    if (options->size < SMALLEST_OPTIONS || options->size > LARGEST_OPTIONS)
        return "the options were not initialised with portolan_options_init";
    if (sets_the_unknown(options))
        return "the options set members that this version of libportolan does not know";
    if (options->deadline_ms < 0 || options->deadline_ms > PORTOLAN_DEADLINE_MAX_MS)
        return "the deadline is not between 1 ms and a day";
    if ((options->sources & ~(unsigned)ALL_SOURCES) != 0)
        return "the options contain an unknown source";
    if (!is_terminated(options->address, sizeof options->address))
        return "the address in the options is too long";
    if (!is_numeric(options->address))
        return "the address in the options is not a numeric one";
    if (!is_terminated(options->control_socket, sizeof options->control_socket))
        return "the path of the control socket is too long";
    return NULL;
}

static void set_ports(struct settings *settings, uint16_t epmd_port, uint16_t base_port) {
    settings->base_port = base_port != 0 ? base_port : PORTOLAN_DEFAULT_BASE_PORT;
    settings->epmd_ports[0] = epmd_port != 0 ? epmd_port : PORTOLAN_DEFAULT_EPMD_PORT;
    settings->epmd_ports[1] = settings->base_port;
    settings->epmd_port_count =
        epmd_port != 0 || settings->epmd_ports[0] == settings->base_port ? 1 : 2;
}

const char *settings_from(const struct portolan_options *options, struct settings *settings) {
    struct portolan_options defaults;
    if (options == NULL) {
        portolan_options_init(&defaults, sizeof defaults);
        options = &defaults;
    }
    const char *wrong = settings_check(options);
    if (wrong != NULL)
        return wrong;
    set_ports(settings, options->epmd_port, options->base_port);
    settings->deadline_ms =
        options->deadline_ms != 0 ? options->deadline_ms : PORTOLAN_DEFAULT_DEADLINE_MS;
    settings->sources = options->sources != 0 ? options->sources : DEFAULT_SOURCES;
    settings->session = options->session;
    memcpy(settings->address, options->address, sizeof settings->address);
    if (options->control_socket[0] != '\0')
        memcpy(settings->control_socket, options->control_socket, sizeof settings->control_socket);
    else
        strcpy(settings->control_socket, PORTOLAN_DEFAULT_CONTROL_SOCKET);
    return NULL;
}

static const char *check_name(struct bytes name) {
    switch (alive_name_check(name)) {
    case ALIVE_NAME_OK:
        return NULL;
    case ALIVE_NAME_EMPTY:
        return "the name is empty";
    case ALIVE_NAME_HAS_NUL:
    case ALIVE_NAME_NOT_UTF8:
        return "the name is not UTF-8";
    case ALIVE_NAME_TOO_LONG:
        return "the name is longer than 255 characters";
    }
    return "not a valid node name";
}

const char *node_parse_host(const char *host, struct node *node) {
    size_t len = host == NULL ? 0 : strlen(host);
    if (len >= sizeof node->host)
        return "the host is longer than 255 bytes";
    if (!text_is_utf8(bytes_of(host, len), NULL))
        return "the host is not UTF-8";
    for (size_t i = 0; i < len; i++) {
        if ((uint8_t)host[i] <= ' ' || host[i] == 0x7f || host[i] == '@')
            return "the host contains an invalid character";
    }
    if (len > 0)
        memcpy(node->host, host, len);
    node->host[len] = '\0';
    return NULL;
}

/* The length of a text, and no more than one over what a name may have. */
static const char *take_name(const char *name, size_t len, struct node *node) {
    const char *wrong = check_name(bytes_of(name, len));
    if (wrong != NULL)
        return wrong;
    memcpy(node->name, name, len);
    node->name[len] = '\0';
    return NULL;
}

const char *node_parse(const char *text, struct node *node) {
    if (text == NULL)
        return "no node given";
    size_t len = strcspn(text, "@");
    const char *wrong = take_name(text, len, node);
    if (wrong != NULL)
        return wrong;
    if (text[len] == '@' && text[len + 1] == '\0')
        return "no host after the @";
    return node_parse_host(text[len] == '@' ? text + len + 1 : NULL, node);
}

const char *node_parse_alive(const char *name, struct node *node) {
    if (name == NULL)
        return "no name given";
    if (strchr(name, '@') != NULL)
        return "the name contains an @: pass only the part before it";
    node->host[0] = '\0';
    return take_name(name, strlen(name), node);
}
