#include "cli/daemon_ports.h"

#include "base/text.h"
#include "erlang/ekka_port.h"

#include <string.h>

static uint16_t port_of(const json_t *number) {
    json_int_t value = json_integer_value(number);
    return value > 0 && value <= UINT16_MAX ? (uint16_t)value : 0;
}

/* The port of "0.0.0.0:4370" or "[::]:4370". */
static uint16_t port_of_address(const char *address) {
    const char *colon = address == NULL ? NULL : strrchr(address, ':');
    uint64_t port;
    return colon != NULL && text_parse_number(colon + 1, 1, UINT16_MAX, &port) ? (uint16_t)port : 0;
}

/* The first listener of that role: the daemon's own stands before those of its nodes. */
static uint16_t port_of_role(const json_t *status, const char *role) {
    size_t i;
    const json_t *listener;
    json_array_foreach(json_object_get(status, "listeners"), i, listener) {
        const char *of = json_string_value(json_object_get(listener, "role"));
        if (of != NULL && strcmp(of, role) == 0)
            return port_of_address(json_string_value(json_object_get(listener, "address")));
    }
    return 0;
}

static json_t *ask_status(const struct call *call) {
    struct call soon = *call;
    if (soon.timeout_ms > DAEMON_PORTS_MS)
        soon.timeout_ms = DAEMON_PORTS_MS;
    return call_ask_quietly(&soon, request_new("status", NULL));
}

struct daemon_ports daemon_ports_ask(const struct call *call) {
    json_t *status = ask_status(call);
    struct daemon_ports ports = {
        .base = port_of(json_object_get(json_object_get(status, "ports"), "base")),
        .front = port_of_role(status, "front"),
        .epmd = port_of_role(status, "epmd"),
    };
    if (ports.base == 0)
        ports.base = EKKA_DIST_BASE_PORT;
    json_decref(status);
    return ports;
}
