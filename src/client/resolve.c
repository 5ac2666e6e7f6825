/* portolan_resolve and portolan_derive_port. */
#include "client/operation_notes.h"
#include "erlang/ekka_port.h"
#include "host/local_host.h"

#include <string.h>

enum portolan_code portolan_derive_port(const char *node, uint16_t base_port, uint16_t *port) {
    uint32_t derived;
    if (node == NULL || node[0] == '\0')
        return PORTOLAN_ERROR_ARGUMENT;
    if (!ekka_port(bytes_of_text(node), base_port != 0 ? base_port : PORTOLAN_DEFAULT_BASE_PORT,
                   &derived))
        return PORTOLAN_ERROR_NO_PORT;
    *port = (uint16_t)derived;
    return PORTOLAN_OK;
}

static void write_request(const struct portolan_operation *operation, struct writer *writer) {
    if (operation->stage == STAGE_CONTROL)
        control_write_request(writer, CONTROL_RESOLVE, &operation->node);
    else
        epmd_write_request(writer, EPMD_PORT_PLEASE2, bytes_of_text(operation->node.name));
}

static void set_host(struct portolan_operation *operation) {
    const char *host = operation->node.host[0] != '\0' ? operation->node.host : "localhost";
    strcpy(operation->endpoint.host, host);
}

/*
 * The daemon knows the nodes of this host and those of its cluster. That it does not know one of
 * another host is not the last word: why that host could not be asked counts for more.
 */
static void judge_unknown(struct portolan_operation *operation) {
    const char *host = operation->node.host;
    if (operation->failure.code == PORTOLAN_ERROR_NOT_FOUND && operation->asks_epmd &&
        host[0] != '\0' && !local_host_is(bytes_of_text(host)))
        operation->failure.code = PORTOLAN_OK;
}

static enum verdict receive_registered(struct portolan_operation *operation, struct bytes reply,
                                       bool ended) {
    struct portolan_endpoint *endpoint = &operation->endpoint;
    struct control_answer answer;
    enum verdict verdict =
        operation_control_answer(operation, CONTROL_RESOLVE, reply, ended, &answer);
    if (verdict == VERDICT_NEXT)
        judge_unknown(operation);
    if (verdict != VERDICT_DONE)
        return verdict;
    set_host(operation);
    endpoint->port = answer.port;
    endpoint->own_port = answer.own_port;
    endpoint->front_port = answer.front_port;
    strcpy(endpoint->member, answer.member);
    endpoint->source = PORTOLAN_SOURCE_REGISTERED;
    return VERDICT_DONE;
}

static void note_unknown(struct portolan_operation *operation, enum portolan_code code,
                         const char *what) {
    char server[OPERATION_SERVER_SIZE];
    failure_note(&operation->failure, code, "%s %s", operation_server(operation, server), what);
}

static enum verdict receive_from_epmd(struct portolan_operation *operation, struct bytes reply,
                                      bool ended) {
    struct portolan_endpoint *endpoint = &operation->endpoint;
    struct epmd_node node;
    enum epmd_reply got = epmd_reply_port2(reply, bytes_of_text(operation->node.name), &node);
    if (got == EPMD_REPLY_NO) {
        note_unknown(operation, PORTOLAN_ERROR_NOT_FOUND, "does not know it");
        return VERDICT_NEXT;
    }
    if (got != EPMD_REPLY_COMPLETE)
        return operation_bad_reply(operation, got, ended);
    if (node.port == 0) {
        note_unknown(operation, PORTOLAN_ERROR_NO_PORT, "reports it without a port");
        return VERDICT_STOP;
    }
    set_host(operation);
    endpoint->port = node.port;
    endpoint->type = node.type;
    endpoint->highest_version = node.highest_version;
    endpoint->lowest_version = node.lowest_version;
    endpoint->source = PORTOLAN_SOURCE_EPMD;
    return VERDICT_DONE;
}

static enum verdict receive(struct portolan_operation *operation, struct bytes reply, bool ended) {
    return operation->stage == STAGE_CONTROL ? receive_registered(operation, reply, ended)
                                             : receive_from_epmd(operation, reply, ended);
}

static bool derive(struct portolan_operation *operation) {
    struct bytes name = bytes_of_text(operation->node.name);
    uint16_t base = operation->settings.base_port;
    uint32_t port;
    if ((operation->settings.sources & PORTOLAN_SOURCE_DERIVED) == 0)
        return false;
    if (!ekka_port(name, base, &port)) {
        failure_note(&operation->failure, PORTOLAN_ERROR_NO_PORT,
                     "the derived port %u (base %u + offset %u) is above 65535", port, base,
                     ekka_offset(name));
        return false;
    }
    if (port == 0) {
        failure_note(&operation->failure, PORTOLAN_ERROR_NO_PORT,
                     "remote shells (remsh...) have no port");
        return false;
    }
    set_host(operation);
    operation->endpoint.port = (uint16_t)port;
    operation->endpoint.source = PORTOLAN_SOURCE_DERIVED;
    return true;
}

static const struct operation_kind resolve_kind = {
    .verb = "resolve",
    .epmd_reply_max = EPMD_SHORT_REPLY_MAX,
    .control_reply_max = CONTROL_LINE_MAX,
    .is_endpoint = true,
    .only_asks = true,
    .write_request = write_request,
    .receive = receive,
    .last_resort = derive,
};

static struct portolan_operation *prepare(const char *node, const struct portolan_options *options,
                                          enum portolan_code *code, struct portolan_error *error) {
    struct node parsed;
    const char *wrong = node_parse(node, &parsed);
    struct portolan_operation *made =
        operation_new(&resolve_kind, options, node, wrong, code, error);
    if (made == NULL)
        return NULL;
    made->node = parsed;
    made->asks_control = (made->settings.sources & PORTOLAN_SOURCE_REGISTERED) != 0;
    made->asks_epmd = (made->settings.sources & PORTOLAN_SOURCE_EPMD) != 0;
    made->wants_address = (made->settings.sources & PORTOLAN_SOURCE_DERIVED) != 0;
    return made;
}

enum portolan_code portolan_resolve_start(const char *node, const struct portolan_options *options,
                                          struct portolan_operation **operation,
                                          struct portolan_error *error) {
    enum portolan_code code;
    *operation = NULL;
    struct portolan_operation *made = prepare(node, options, &code, error);
    return made == NULL ? code : operation_start(made, operation, error);
}

enum portolan_code portolan_resolve(const char *node, const struct portolan_options *options,
                                    struct portolan_endpoint *endpoint,
                                    struct portolan_error *error) {
    enum portolan_code code;
    struct portolan_operation *made = prepare(node, options, &code, error);
    if (made == NULL)
        return code;
    code = operation_run(made, error);
    if (code == PORTOLAN_OK)
        portolan_operation_endpoint(made, endpoint);
    portolan_operation_free(made);
    return code;
}

enum portolan_code portolan_operation_endpoint(const struct portolan_operation *operation,
                                               struct portolan_endpoint *endpoint) {
    if (operation->kind != &resolve_kind || operation->code != PORTOLAN_OK)
        return PORTOLAN_ERROR_ARGUMENT;
    *endpoint = operation->endpoint;
    return PORTOLAN_OK;
}
