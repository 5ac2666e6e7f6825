/* portolan_lease and portolan_release: asked of the daemon alone, on its control socket. */
#include "client/operation.h"

static void write_lease(const struct portolan_operation *operation, struct writer *writer) {
    control_write_request(writer, CONTROL_LEASE, &operation->node);
}

static void write_release(const struct portolan_operation *operation, struct writer *writer) {
    control_write_request(writer, CONTROL_RELEASE, &operation->node);
}

static enum verdict receive_lease(struct portolan_operation *operation, struct bytes reply,
                                  bool ended) {
    struct control_answer answer;
    enum verdict verdict =
        operation_control_answer(operation, CONTROL_LEASE, reply, ended, &answer);
    if (verdict == VERDICT_DONE)
        operation->lease = (struct portolan_leased_port){.port = answer.port,
                                                         .epmd_port = answer.epmd_port,
                                                         .held = answer.held,
                                                         .expires_in_ms = answer.expires_in_ms};
    return verdict;
}

static enum verdict receive_release(struct portolan_operation *operation, struct bytes reply,
                                    bool ended) {
    struct control_answer answer;
    return operation_control_answer(operation, CONTROL_RELEASE, reply, ended, &answer);
}

static const struct operation_kind lease_kind = {.verb = "lease a port for",
                                                 .control_reply_max = CONTROL_LINE_MAX,
                                                 .write_request = write_lease,
                                                 .receive = receive_lease};

static const struct operation_kind release_kind = {.verb = "release the lease of",
                                                   .control_reply_max = CONTROL_LINE_MAX,
                                                   .write_request = write_release,
                                                   .receive = receive_release};

static struct portolan_operation *prepare(const struct operation_kind *kind, const char *node,
                                          const struct portolan_options *options,
                                          enum portolan_code *code, struct portolan_error *error) {
    struct node parsed;
    const char *wrong = node_parse(node, &parsed);
    struct portolan_operation *made = operation_new(kind, options, node, wrong, code, error);
    if (made == NULL)
        return NULL;
    made->node = parsed;
    made->asks_control = true;
    return made;
}

static enum portolan_code start(const struct operation_kind *kind, const char *node,
                                const struct portolan_options *options,
                                struct portolan_operation **operation,
                                struct portolan_error *error) {
    enum portolan_code code;
    *operation = NULL;
    struct portolan_operation *made = prepare(kind, node, options, &code, error);
    return made == NULL ? code : operation_start(made, operation, error);
}

enum portolan_code portolan_lease_start(const char *node, const struct portolan_options *options,
                                        struct portolan_operation **operation,
                                        struct portolan_error *error) {
    return start(&lease_kind, node, options, operation, error);
}

enum portolan_code portolan_release_start(const char *node, const struct portolan_options *options,
                                          struct portolan_operation **operation,
                                          struct portolan_error *error) {
    return start(&release_kind, node, options, operation, error);
}

enum portolan_code portolan_lease(const char *node, const struct portolan_options *options,
                                  struct portolan_leased_port *lease,
                                  struct portolan_error *error) {
    enum portolan_code code;
    struct portolan_operation *made = prepare(&lease_kind, node, options, &code, error);
    if (made == NULL)
        return code;
    code = operation_run(made, error);
    if (code == PORTOLAN_OK)
        portolan_operation_leased_port(made, lease);
    portolan_operation_free(made);
    return code;
}

enum portolan_code portolan_release(const char *node, const struct portolan_options *options,
                                    struct portolan_error *error) {
    enum portolan_code code;
    struct portolan_operation *made = prepare(&release_kind, node, options, &code, error);
    if (made == NULL)
        return code;
    code = operation_run(made, error);
    portolan_operation_free(made);
    return code;
}

enum portolan_code portolan_operation_leased_port(const struct portolan_operation *operation,
                                                  struct portolan_leased_port *lease) {
    if (operation->kind != &lease_kind || operation->code != PORTOLAN_OK)
        return PORTOLAN_ERROR_ARGUMENT;
    *lease = operation->lease;
    return PORTOLAN_OK;
}
