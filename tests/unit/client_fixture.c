#include "client_fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct portolan_options options_for(uint16_t epmd_port, unsigned sources) {
    struct portolan_options options;
    portolan_options_init(&options, sizeof options);
    options.epmd_port = epmd_port;
    options.sources = sources;
    strcpy(options.address, "127.0.0.1");
    strcpy(options.control_socket, "/nonexistent/portolan.sock");
    return options;
}

struct portolan_error last_error;

enum portolan_code resolve_rabbit(const struct portolan_options *options,
                                  struct portolan_endpoint *endpoint) {
    return portolan_resolve("rabbit@s1", options, endpoint, &last_error);
}

enum portolan_code resolve_from(struct fake_script script, int64_t deadline_ms) {
    struct portolan_endpoint endpoint;
    struct fake_server server;
    fake_server_start(&server, script);
    struct portolan_options options = options_for(server.port, PORTOLAN_SOURCE_EPMD);
    options.deadline_ms = deadline_ms;
    enum portolan_code code = resolve_rabbit(&options, &endpoint);
    fake_server_stop(&server);
    return code;
}

enum portolan_code names_from(struct fake_script script, int64_t deadline_ms) {
    struct portolan_listing *listing;
    struct fake_server server;
    fake_server_start(&server, script);
    struct portolan_options options = options_for(server.port, 0);
    options.deadline_ms = deadline_ms;
    enum portolan_code code = portolan_names("s1", &options, &listing, &last_error);
    portolan_listing_free(listing);
    fake_server_stop(&server);
    return code;
}

void assert_message(const char *part) {
    ck_assert_msg(strstr(last_error.message, part) != NULL, "\"%s\" is not in \"%s\"", part,
                  last_error.message);
}

enum portolan_code register_at(const struct fake_server *server,
                               struct portolan_registration **registration) {
    struct portolan_options options = options_for(server->port, 0);
    return portolan_register("rabbit", 25684, PORTOLAN_NODE_HIDDEN, &options, registration,
                             &last_error);
}

void use_own_control_socket(struct portolan_options *options) {
    snprintf(options->control_socket, sizeof options->control_socket, "/tmp/portolan-test-%d.sock",
             (int)getpid());
}
