/* portolan status */
#include "cli/commands.h"
#include "cli/output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "?" : text;
}

static int64_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void add(struct table *table, const char *title, const char *text) {
    table_add(table, title);
    table_add(table, text);
}

static void add_daemon(struct table *table, const json_t *reply) {
    char text[256], uptime[OUTPUT_DURATION_SIZE];
    snprintf(text, sizeof text, "%s, process %" PRId64, text_of(reply, "version"),
             number_of(reply, "pid"));
    add(table, "portoland", text);
    add(table, "node", text_of(reply, "node"));
    output_duration(number_of(reply, "uptime_s"), uptime);
    snprintf(text, sizeof text, "%s, since %s", uptime, text_of(reply, "started_at"));
    add(table, "up", text);
}

static void add_listeners(struct table *table, const json_t *listeners) {
    size_t i;
    const json_t *listener;
    if (json_array_size(listeners) == 0)
        add(table, "listens at", "-");
    json_array_foreach(listeners, i, listener) {
        char text[256];
        snprintf(text, sizeof text, "%s (%s)", text_of(listener, "address"),
                 text_of(listener, "role"));
        add(table, i == 0 ? "listens at" : "", text);
    }
}

static void add_ports(struct table *table, const json_t *ports) {
    char text[256], tools[64] = "";
    if (json_is_integer(json_object_get(ports, "tools_min")))
        snprintf(tools, sizeof tools, " (%" PRId64 "-%" PRId64 " for tools)",
                 number_of(ports, "tools_min"), number_of(ports, "max"));
    snprintf(text, sizeof text, "policy %s%s, range %" PRId64 "-%" PRId64 "%s, base %" PRId64,
             text_of(ports, "policy"),
             json_is_true(json_object_get(ports, "enforce")) ? " (enforced)" : "",
             number_of(ports, "min"), number_of(ports, "max"), tools, number_of(ports, "base"));
    add(table, "ports", text);
}

/* "12 accepted, 3 timed out": every number of the object, whatever it is named. */
static void add_counts(struct table *table, const char *title, json_t *counts) {
    char text[512];
    size_t len = 0;
    const char *key;
    json_t *count;
    text[0] = '\0';
    json_object_foreach(counts, key, count) {
        int more = snprintf(text + len, sizeof text - len, "%s%" JSON_INTEGER_FORMAT " %s",
                            len == 0 ? "" : ", ", json_integer_value(count), key);
        len = more < 0 || (size_t)more >= sizeof text - len ? len : len + (size_t)more;
    }
    text[len] = '\0';
    for (char *at = text; (at = strchr(at, '_')) != NULL;)
        *at = ' ';
    add(table, title, len == 0 ? "-" : text);
}

/* An older daemon reports neither this nor the clients. */
static void add_loop(struct table *table, const json_t *loop) {
    char text[128];
    if (!json_is_object(loop))
        return;
    snprintf(text, sizeof text, "longest turn %.1f ms, %" PRId64 " over 10 ms",
             json_number_value(json_object_get(loop, "longest_turn_ms")),
             number_of(loop, "long_turns"));
    add(table, "loop", text);
}

/* "4370: a, b" */
static void describe_port(const json_t *port, char *text, size_t size) {
    const json_t *name;
    size_t i;
    int len = snprintf(text, size, "%" PRId64 ":", number_of(port, "port"));
    json_array_foreach(json_object_get(port, "names"), i, name) {
        if (len > 0 && (size_t)len < size)
            len += snprintf(text + len, size - (size_t)len, "%s %s", i == 0 ? "" : ",",
                            json_string_value(name));
    }
}

/* The front ports with nodes behind them, and what went through; nothing where there are none. */
static void add_front(struct table *table, const json_t *front) {
    const json_t *port;
    char text[512];
    size_t i;
    if (!json_is_object(front))
        return;
    if (!json_is_true(json_object_get(front, "proxy")))
        add(table, "front ports", "the proxy is off");
    json_array_foreach(json_object_get(front, "ports"), i, port) {
        describe_port(port, text, sizeof text);
        add(table, i == 0 ? "front ports" : "", text);
    }
    snprintf(text, sizeof text, "%" PRId64 " through the front ports", number_of(front, "streams"));
    add(table, "streams", text);
    add_counts(table, "", json_object_get(front, "counters"));
    add_counts(table, "look-ups", json_object_get(front, "lookups"));
}

/* Leased is what waits for its node, as `portolan leases` has it; the reply counts both. */
static void add_names(struct table *table, const json_t *reply) {
    char text[64];
    int64_t names = number_of(reply, "names"), held = number_of(reply, "leases");
    snprintf(text, sizeof text, "%" PRId64 " registered, %" PRId64 " leased", names,
             held > names ? held - names : 0);
    add(table, "names", text);
}

static void print_status(const json_t *reply) {
    static const struct column columns[] = {{NULL, false}, {NULL, false}};
    struct table *table = table_new(columns, 2);
    add_daemon(table, reply);
    add_listeners(table, json_object_get(reply, "listeners"));
    add_names(table, reply);
    add_ports(table, json_object_get(reply, "ports"));
    add_counts(table, "connections", json_object_get(reply, "connections"));
    add_counts(table, "counted", json_object_get(reply, "counters"));
    if (json_is_object(json_object_get(reply, "control")))
        add_counts(table, "control", json_object_get(reply, "control"));
    add_loop(table, json_object_get(reply, "loop"));
    add_front(table, json_object_get(reply, "front"));
    table_print(table, stdout);
    table_free(table);
}

static enum exit_code run_status(struct call *call) {
    json_t *reply;
    enum exit_code code =
        call_ask(call, "get the daemon's status", request_new("status", NULL), &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json)
        output_json(stdout, reply);
    else
        print_status(reply);
    json_decref(reply);
    return CLI_DONE;
}

const struct command status_command = {
    .name = "status",
    .arguments = "",
    .summary = "show the status of the daemon",
    .details = "Prints the daemon's version, addresses, names, leases and ports, and its counters "
               "since\n"
               "it started.",
    .example = "portolan status",
    .run = run_status,
};
