/* portolan_names and portolan_cluster_names. */
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

static struct portolan_operation *prepare(const char *host, const struct portolan_options *options,
                                          enum portolan_code *code, struct portolan_error *error) {
    struct node parsed = {.name = ""};
    const char *wrong = node_parse_host(host, &parsed);
    struct portolan_operation *made =
        operation_new(&names_kind, options, host == NULL || host[0] == '\0' ? "this host" : host,
                      wrong, code, error);
    if (made == NULL)
        return NULL;
    made->node = parsed;
    made->asks_epmd = true;
    return made;
}

enum portolan_code portolan_names_start(const char *host, const struct portolan_options *options,
                                        struct portolan_operation **operation,
                                        struct portolan_error *error) {
    enum portolan_code code;
    *operation = NULL;
    struct portolan_operation *made = prepare(host, options, &code, error);
    return made == NULL ? code : operation_start(made, operation, error);
}

static enum portolan_code run(struct portolan_operation *made, struct portolan_listing **listing,
                              struct portolan_error *error) {
    enum portolan_code code = operation_run(made, error);
    if (code == PORTOLAN_OK)
        portolan_operation_take_listing(made, listing);
    portolan_operation_free(made);
    return code;
}

enum portolan_code portolan_names(const char *host, const struct portolan_options *options,
                                  struct portolan_listing **listing, struct portolan_error *error) {
    enum portolan_code code;
    *listing = NULL;
    struct portolan_operation *made = prepare(host, options, &code, error);
    return made == NULL ? code : run(made, listing, error);
}

/* --- of a cluster --- */

static void write_cluster_request(const struct portolan_operation *operation,
                                  struct writer *writer) {
    control_write_request(writer, CONTROL_NAMES, &operation->node);
}

static enum verdict receive_cluster(struct portolan_operation *operation, struct bytes reply,
                                    bool ended) {
    struct control_answer answer;
    enum verdict verdict =
        operation_control_answer(operation, CONTROL_NAMES, reply, ended, &answer);
    if (verdict == VERDICT_DONE)
        operation->listing = answer.listing;
    return verdict;
}

static const struct operation_kind cluster_names_kind = {
    .verb = "list the names of",
    .control_reply_max = PORTOLAN_CLUSTER_REPLY_MAX,
    .write_request = write_cluster_request,
    .receive = receive_cluster,
};

static struct portolan_operation *prepare_cluster(const struct portolan_options *options,
                                                  enum portolan_code *code,
                                                  struct portolan_error *error) {
    struct portolan_operation *made =
        operation_new(&cluster_names_kind, options, "the cluster", NULL, code, error);
    if (made != NULL)
        made->asks_control = true;
    return made;
}

enum portolan_code portolan_cluster_names_start(const struct portolan_options *options,
                                                struct portolan_operation **operation,
                                                struct portolan_error *error) {
    enum portolan_code code;
    *operation = NULL;
    struct portolan_operation *made = prepare_cluster(options, &code, error);
    return made == NULL ? code : operation_start(made, operation, error);
}

enum portolan_code portolan_cluster_names(const struct portolan_options *options,
                                          struct portolan_listing **listing,
                                          struct portolan_error *error) {
    enum portolan_code code;
    *listing = NULL;
    struct portolan_operation *made = prepare_cluster(options, &code, error);
    return made == NULL ? code : run(made, listing, error);
}

enum portolan_code portolan_operation_take_listing(struct portolan_operation *operation,
                                                   struct portolan_listing **listing) {
    *listing = operation->listing;
    operation->listing = NULL;
    return *listing != NULL ? PORTOLAN_OK : PORTOLAN_ERROR_ARGUMENT;
}
