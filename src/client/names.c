/* portolan_names. */
#include "client/operation.h"

static void write_request(const struct portolan_operation *operation, struct writer *writer) {
    (void)operation;
    epmd_write_request(writer, EPMD_NAMES, bytes_of(NULL, 0));
}

static enum verdict receive(struct portolan_operation *operation, struct bytes reply, bool ended) {
    enum epmd_reply got = ended ? epmd_reply_names(reply, &operation->listing)
                                : epmd_reply_names_scan(&operation->scan, reply);
    return got == EPMD_REPLY_COMPLETE ? VERDICT_DONE : operation_bad_reply(operation, got, ended);
}

static const struct operation_kind names_kind = {
    .verb = "list the names of",
    .epmd_reply_max = PORTOLAN_NAMES_REPLY_MAX,
    .write_request = write_request,
    .receive = receive,
};

enum portolan_code portolan_names_start(const char *host, const struct portolan_options *options,
                                        struct portolan_operation **operation,
                                        struct portolan_error *error) {
    struct node parsed = {.name = ""};
    enum portolan_code code;
    *operation = NULL;
    const char *wrong = node_parse_host(host, &parsed);
    struct portolan_operation *made =
        operation_new(&names_kind, options, host == NULL || host[0] == '\0' ? "this host" : host,
                      wrong, &code, error);
    if (made == NULL)
        return code;
    made->node = parsed;
    made->asks_epmd = true;
    return operation_start(made, operation);
}

enum portolan_code portolan_names(const char *host, const struct portolan_options *options,
                                  struct portolan_listing **listing, struct portolan_error *error) {
    struct portolan_operation *operation;
    *listing = NULL;
    enum portolan_code code = portolan_names_start(host, options, &operation, error);
    if (code != PORTOLAN_OK)
        return code;
    code = operation_run(operation, error);
    if (code == PORTOLAN_OK)
        portolan_operation_listing(operation, listing);
    portolan_operation_free(operation);
    return code;
}

enum portolan_code portolan_operation_listing(struct portolan_operation *operation,
                                              struct portolan_listing **listing) {
    *listing = operation->listing;
    operation->listing = NULL;
    return *listing != NULL ? PORTOLAN_OK : PORTOLAN_ERROR_ARGUMENT;
}
