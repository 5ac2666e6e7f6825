/* portolan names, portolan resolve: both work without a daemon on this host, through libportolan.
 */
#include "cli/commands.h"
#include "cli/daemon_ports.h"
#include "cli/output.h"
#include "cli/race.h"
#include "host/local_host.h"
#include "portolan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- libportolan's way and ours --- */

/* The environment, and what the command line says on top of it. */
static bool library_options(const struct call *call, struct portolan_options *options) {
    struct portolan_error error;
    portolan_options_init(options, sizeof *options);
    if (portolan_options_from_environment(options, &error) != PORTOLAN_OK) {
        cli_error("%s", error.message);
        return false;
    }
    options->deadline_ms =
        call->timeout_ms < PORTOLAN_DEADLINE_MAX_MS ? call->timeout_ms : PORTOLAN_DEADLINE_MAX_MS;
    if (call->socket_path == NULL)
        return true;
    int len =
        snprintf(options->control_socket, sizeof options->control_socket, "%s", call->socket_path);
    if (len > 0 && (size_t)len < sizeof options->control_socket)
        return true;
    cli_error("--socket takes a path of 1 to %zu bytes", sizeof options->control_socket - 1);
    return false;
}

/* --- several ports of a host at once --- */

static void add_port(uint16_t ports[RACE_MAX], size_t *count, uint16_t port) {
    for (size_t i = 0; i < *count; i++) {
        if (ports[i] == port)
            return;
    }
    if (port != 0 && *count < RACE_MAX)
        ports[(*count)++] = port;
}

/*
 * Where the epmd of another host may be, the likeliest first: the port that the environment names,
 * and no other; else epmd's own, and those that the daemon of this host has. Its base is that of
 * the rule, too, unless the environment says another.
 */
static size_t ports_to_ask(const struct call *call, struct portolan_options *options,
                           uint16_t ports[RACE_MAX]) {
    const struct daemon_ports own = daemon_ports_ask(call);
    size_t count = 0;
    if (options->base_port == 0)
        options->base_port = own.base;
    if (options->epmd_port != 0) {
        add_port(ports, &count, options->epmd_port);
        return count;
    }
    add_port(ports, &count, own.epmd != 0 ? own.epmd : PORTOLAN_DEFAULT_EPMD_PORT);
    add_port(ports, &count, PORTOLAN_DEFAULT_EPMD_PORT);
    add_port(ports, &count, options->base_port);
    add_port(ports, &count, own.front);
    return count;
}

typedef enum portolan_code start_function(const char *subject,
                                          const struct portolan_options *options,
                                          struct portolan_operation **operation,
                                          struct portolan_error *error);

static bool add_runner(struct race *race, start_function *start, const char *subject,
                       const struct portolan_options *options, struct portolan_error *error) {
    race->ports[race->count] = options->epmd_port;
    if (start(subject, options, &race->operations[race->count], error) != PORTOLAN_OK)
        return false;
    race->count++;
    return true;
}

/* The epmd of the host, on each port where it may be. False: one could not even begin. */
static bool add_epmds(struct race *race, const struct call *call, start_function *start,
                      const char *subject, struct portolan_options *options,
                      struct portolan_error *error) {
    uint16_t ports[RACE_MAX];
    size_t count = ports_to_ask(call, options, ports);
    struct portolan_options of_one = *options;
    of_one.sources = PORTOLAN_SOURCE_EPMD;
    for (size_t i = 0; i < count && race->count < RACE_MAX; i++) {
        of_one.epmd_port = ports[i];
        if (!add_runner(race, start, subject, &of_one, error))
            return false;
    }
    return true;
}

static enum exit_code library_failure(const struct call *call, const struct portolan_error *error) {
    static const struct {
        enum portolan_code code;
        const char *name;
    } names[] = {
        {PORTOLAN_ERROR_TIMEOUT, CONTROL_TIMED_OUT},   {PORTOLAN_ERROR_HOST, "not_found"},
        {PORTOLAN_ERROR_CONNECT, CONTROL_NO_DAEMON},   {PORTOLAN_ERROR_CLOSED, CONTROL_CLOSED},
        {PORTOLAN_ERROR_REPLY, CONTROL_BAD_REPLY},     {PORTOLAN_ERROR_NOT_FOUND, "not_found"},
        {PORTOLAN_ERROR_NO_PORT, "no_port"},           {PORTOLAN_ERROR_DENIED, "denied"},
        {PORTOLAN_ERROR_NO_DAEMON, CONTROL_NO_DAEMON}, {PORTOLAN_ERROR_TRY_AGAIN, "try_again"},
    };
    const char *name = "failed";
    if (error->code == PORTOLAN_ERROR_ARGUMENT) {
        cli_error("%s", error->message);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == error->code)
            name = names[i].name;
    }
    return call_fail_with(call, NULL, name, "%s", error->message);
}

/* --- names --- */

static void print_names(const struct table *table, const char *host) {
    if (table_rows(table) == 0)
        cli_error("no nodes registered at %s", host);
    else
        table_print(table, stdout);
}

static void print_reply(const json_t *reply) {
    static const struct column columns[] = {
        {"NAME", false}, {"PORT", true}, {"TYPE", false}, {"CREATION", true}, {"SINCE", false}};
    struct table *table = table_new(columns, 5);
    size_t i;
    const json_t *name;
    json_array_foreach(json_object_get(reply, "names"), i, name) {
        char since[OUTPUT_DURATION_SIZE];
        table_add_value(table, json_object_get(name, "name"));
        table_add_value(table, json_object_get(name, "port"));
        table_add_value(table, json_object_get(name, "type"));
        table_add_value(table, json_object_get(name, "creation"));
        output_duration(json_integer_value(json_object_get(name, "since_s")), since);
        table_add(table, since);
    }
    print_names(table, "the daemon of this host");
    table_free(table);
}

static void print_listing(const struct portolan_listing *listing, const char *host) {
    static const struct column columns[] = {{"NAME", false}, {"PORT", true}};
    struct table *table = table_new(columns, 2);
    for (size_t i = 0; i < portolan_listing_count(listing); i++) {
        const struct portolan_name *name = portolan_listing_name(listing, i);
        table_add(table, name->name);
        table_add_number(table, name->port);
    }
    print_names(table, host);
    table_free(table);
}

/* A name that is not UTF-8 is not a JSON string; it is shown as on a terminal. */
static json_t *json_of_text(const char *text) {
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char *printable = output_printable(bytes_of_text(text));
    value = alloc_or_exit(json_string(printable));
    free(printable);
    return value;
}

static void print_listing_json(const struct portolan_listing *listing, const char *host) {
    json_t *names = alloc_or_exit(json_array());
    for (size_t i = 0; i < portolan_listing_count(listing); i++) {
        const struct portolan_name *name = portolan_listing_name(listing, i);
        json_array_append_new(
            names, alloc_or_exit(json_pack("{s:o, s:i}", "name", json_of_text(name->name), "port",
                                           (int)name->port)));
    }
    json_t *document = alloc_or_exit(json_pack(
        "{s:i, s:b, s:o, s:i, s:o}", "v", CONTROL_PROTOCOL_VERSION, "ok", 1, "host",
        json_of_text(host), "epmd_port", (int)portolan_listing_epmd_port(listing), "names", names));
    output_json(stdout, document);
    json_decref(document);
}

static enum exit_code ask_epmd(const struct call *call, const char *host) {
    struct portolan_options options;
    struct portolan_listing *listing;
    struct portolan_error error;
    struct race race = {.count = 0};
    if (!library_options(call, &options))
        return CLI_USAGE;
    bool began = add_epmds(&race, call, portolan_names_start, host, &options, &error);
    struct portolan_operation *won = began ? race_run(&race, &error) : NULL;
    bool found = won != NULL && portolan_operation_take_listing(won, &listing) == PORTOLAN_OK;
    race_end(&race);
    if (!found)
        return library_failure(call, &error);
    if (call->json)
        print_listing_json(listing, host);
    else
        print_listing(listing, host);
    if (portolan_listing_malformed(listing) > 0)
        cli_error("ignored %zu invalid lines", portolan_listing_malformed(listing));
    portolan_listing_free(listing);
    return CLI_DONE;
}

static void print_cluster(const json_t *reply) {
    static const struct column columns[] = {
        {"NODE", false}, {"PORT", true}, {"TYPE", false}, {"MEMBER", false}, {"STATE", false}};
    struct table *table = table_new(columns, 5);
    size_t i;
    const json_t *name;
    json_array_foreach(json_object_get(reply, "names"), i, name) {
        char node[2048];
        const char *alive = json_string_value(json_object_get(name, "name"));
        const char *host = json_string_value(json_object_get(name, "host"));
        snprintf(node, sizeof node, "%s@%s", alive == NULL ? "" : alive, host == NULL ? "" : host);
        table_add(table, node);
        table_add_value(table, json_object_get(name, "port"));
        table_add_value(table, json_object_get(name, "type"));
        table_add_value(table, json_object_get(name, "member"));
        table_add_value(table, json_object_get(name, "member_state"));
    }
    print_names(table, "any member of the cluster");
    table_free(table);
}

static enum exit_code run_cluster_names(const struct call *call) {
    json_t *request = request_new("names", NULL), *reply;
    json_object_set_new(request, "cluster", json_true());
    enum exit_code code = call_ask(call, "list the names of the cluster", request, &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json)
        output_json(stdout, reply);
    else
        print_cluster(reply);
    json_decref(reply);
    return CLI_DONE;
}

static enum exit_code run_names(struct call *call) {
    struct control_failure failure;
    if (call_option(call, "--cluster") != NULL && call->operand_count == 0)
        return run_cluster_names(call);
    if (call_option(call, "--cluster") != NULL) {
        cli_error("names takes HOST or --cluster, not both");
        return CLI_USAGE;
    }
    if (call->operand_count == 1)
        return ask_epmd(call, call->operands[0]);
    struct control_client *client = call_connect(call, &failure);
    if (client == NULL && strcmp(failure.code, CONTROL_NO_DAEMON) == 0) {
        if (call->socket_path != NULL)
            cli_error("no daemon listens at %s; asking epmd", call->socket_path);
        return ask_epmd(call, "localhost");
    }
    json_t *request = request_new("names", NULL);
    json_t *reply = client == NULL ? NULL : control_client_ask(client, request, &failure);
    json_decref(request);
    control_client_close(client);
    if (reply == NULL)
        return call_fail(call, "list the names", &failure);
    if (call->json)
        output_json(stdout, reply);
    else
        print_reply(reply);
    json_decref(reply);
    return CLI_DONE;
}

const struct command names_command = {
    .name = "names",
    .arguments = "[HOST | --cluster]",
    .summary = "list the names registered on a host or in the cluster",
    .details =
        "Lists the names registered at the daemon of this host, the newest first; without a\n"
        "daemon, or if HOST is given, the names that the host's epmd reports. ERL_EPMD_PORT\n"
        "is the port to ask; without it, 4369 and the ports of the daemon of this host are "
        "asked\n"
        "at the same time, or 4369 and 4370 without a daemon.",
    .example = "portolan names s1.emqx.io",
    .max_operands = 1,
    .options = {{"--cluster", NULL, "list the names of all members of the cluster"}},
    .run = run_names,
};

/* --- resolve --- */

/* Where an address belongs before a colon, one of IPv6 stands in brackets. */
static void format_place(const struct portolan_endpoint *endpoint, char *out, size_t size) {
    bool bare_v6 = strchr(endpoint->host, ':') != NULL;
    snprintf(out, size, "%s%s%s:%u", bare_v6 ? "[" : "", endpoint->host, bare_v6 ? "]" : "",
             (unsigned)endpoint->port);
}

static const char *source_name(enum portolan_source source) {
    switch (source) {
    case PORTOLAN_SOURCE_REGISTERED:
        return "registered";
    case PORTOLAN_SOURCE_EPMD:
        return "epmd";
    case PORTOLAN_SOURCE_DERIVED:
        return "derived";
    }
    return "unknown";
}

/* A node with a front port has two: the one that is not `port` is told as well. */
static void format_registered(const json_t *reply, uint16_t port, char *out, size_t size) {
    const char *member = json_string_value(json_object_get(reply, "member"));
    json_int_t own = json_integer_value(json_object_get(reply, "own_port"));
    json_int_t front = json_integer_value(json_object_get(reply, "front_port"));
    bool has_two = own != 0 && front != 0 && own != front;
    char other[64] = "";
    if (has_two && port == own)
        snprintf(other, sizeof other, "; from other hosts %" JSON_INTEGER_FORMAT, front);
    else if (has_two && port == front)
        snprintf(other, sizeof other, "; on its host %" JSON_INTEGER_FORMAT, own);
    snprintf(out, size, "(registered%s%s%s)", member == NULL ? "" : " at ",
             member == NULL ? "" : member, other);
}

/* `reply` is what the daemon knows of it, or NULL. */
static void print_endpoint(const struct portolan_endpoint *endpoint, const json_t *reply) {
    char place[PORTOLAN_HOST_SIZE + 16], source[PORTOLAN_HOST_SIZE + 1024];
    format_place(endpoint, place, sizeof place);
    if (endpoint->source == PORTOLAN_SOURCE_EPMD)
        snprintf(source, sizeof source, "(epmd at %s)", endpoint->address);
    else if (endpoint->source == PORTOLAN_SOURCE_DERIVED)
        snprintf(source, sizeof source, "(derived from the name; unknown to epmd)");
    else
        format_registered(reply, endpoint->port, source, sizeof source);
    output_coloured(stdout, COLOUR_STRONG, place);
    fputs("  ", stdout);
    output_coloured(stdout, COLOUR_FAINT, source);
    putchar('\n');
}

/* `reply` as above; `note` is what failed before something else knew. */
static void print_endpoint_json(const char *node, const struct portolan_endpoint *endpoint,
                                const json_t *reply, const char *note) {
    static const char *const of_daemon[] = {"own_port", "front_port", "member"};
    json_t *document = alloc_or_exit(
        json_pack("{s:i, s:b, s:o, s:o, s:i, s:s}", "v", CONTROL_PROTOCOL_VERSION, "ok", 1, "node",
                  json_of_text(node), "host", json_of_text(endpoint->host), "port",
                  (int)endpoint->port, "source", source_name(endpoint->source)));
    if (endpoint->source == PORTOLAN_SOURCE_EPMD)
        json_object_set_new(document, "epmd", json_of_text(endpoint->address));
    for (size_t i = 0; i < sizeof of_daemon / sizeof of_daemon[0]; i++) {
        json_t *value = json_object_get(reply, of_daemon[i]);
        if (value != NULL)
            json_object_set(document, of_daemon[i], value);
    }
    if (*note != '\0')
        json_object_set_new(document, "note", json_of_text(note));
    output_json(stdout, document);
    json_decref(document);
}

/* Whether nobody knows the node, for sure: the daemon of this host had its say. */
static bool is_unknown(const struct race *race) {
    return race->count > 0 &&
           (race->codes[0] == PORTOLAN_ERROR_NOT_FOUND ||
            race->codes[0] == PORTOLAN_ERROR_NO_DAEMON || race->codes[0] == PORTOLAN_ERROR_DENIED);
}

/* The rule, if the caller wants that, and the host has an address. `error` says what failed before;
 * it is replaced where the rule gives nothing. */
static bool derive(const char *node, struct portolan_options options,
                   struct portolan_endpoint *endpoint, struct portolan_error *error) {
    struct portolan_error of_rule;
    options.sources = PORTOLAN_SOURCE_DERIVED;
    if (portolan_resolve(node, &options, endpoint, &of_rule) == PORTOLAN_OK)
        return true;
    *error = of_rule;
    return false;
}

/* The daemon of this host, and the epmd of the node's; the first that knows the node wins. */
static bool find_endpoint(const struct call *call, const char *node,
                          struct portolan_options options, struct portolan_endpoint *endpoint,
                          struct portolan_error *error) {
    const char *at = strchr(node, '@');
    struct race race = {.is_elsewhere = at != NULL && !local_host_is(bytes_of_text(at + 1))};
    struct portolan_options of_daemon = options;
    of_daemon.sources = PORTOLAN_SOURCE_REGISTERED;
    of_daemon.epmd_port = 0;
    bool began = add_runner(&race, portolan_resolve_start, node, &of_daemon, error) &&
                 add_epmds(&race, call, portolan_resolve_start, node, &options, error);
    struct portolan_operation *won = began ? race_run(&race, error) : NULL;
    bool found = won != NULL && portolan_operation_endpoint(won, endpoint) == PORTOLAN_OK;
    if (began && !found && is_unknown(&race) && call_option(call, "--derive") != NULL)
        found = derive(node, options, endpoint, error);
    race_end(&race);
    return found;
}

static enum exit_code run_resolve(struct call *call) {
    const char *node = call->operands[0];
    struct portolan_options options;
    struct portolan_endpoint endpoint;
    struct portolan_error error;
    if (!check_node(node) || !library_options(call, &options))
        return CLI_USAGE;
    if (!find_endpoint(call, node, options, &endpoint, &error))
        return library_failure(call, &error);
    json_t *reply = NULL;
    if (endpoint.source == PORTOLAN_SOURCE_REGISTERED) /* the daemon knows more of it */
        reply = call_ask_quietly(call, request_new("resolve", node));
    if (call->json)
        print_endpoint_json(node, &endpoint, reply, error.message);
    else
        print_endpoint(&endpoint, reply);
    json_decref(reply);
    if (endpoint.source == PORTOLAN_SOURCE_DERIVED && !call->json && error.message[0] != '\0')
        cli_error("no registration found for %s: %s", node, error.message);
    return CLI_DONE;
}

const struct command resolve_command = {
    .name = "resolve",
    .arguments = "NODE [--derive]",
    .summary = "show the host and port of a node",
    .details =
        "Prints HOST:PORT of a node and the source: 'registered' at the daemon of this host or "
        "at\n"
        "a member of its cluster, or the 'epmd' of the node's host. If the node is not found, "
        "it\n"
        "exits with 4, or with --derive prints the port that ekka's rule derives from the name,"
        " if\n"
        "the host has an address; whether a node listens on a derived port is unknown. A node\n"
        "that other hosts reach through its daemon has two ports: PORT is the one to connect to"
        "\n"
        "from this host, and the other is printed after it. ERL_EPMD_PORT is the port to ask;\n"
        "without it, 4369 and the ports of the daemon of this host are asked at the same time,"
        "\n"
        "or 4369 and 4370 without a daemon.",
    .example = "portolan resolve emqx-1@s1.emqx.io",
    .min_operands = 1,
    .max_operands = 1,
    .options = {{"--derive", NULL, "if the node is not found, derive its port from its name"}},
    .run = run_resolve,
};
