/* The part of command.h that talks to the daemon. */
#include "base/control_path.h"
#include "cli/command.h"
#include "cli/output.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct control_client *call_connect(const struct call *call, struct control_failure *failure) {
    char found[CONTROL_PATH_SIZE];
    if (call->socket_path != NULL)
        return control_client_open(call->socket_path, call->timeout_ms, failure);
    control_path_find(found);
    return control_client_open(found, call->timeout_ms, failure);
}

json_t *request_new(const char *command, const char *node) {
    return alloc_or_exit(json_pack("{s:i, s:s, s:s*}", "v", CONTROL_PROTOCOL_VERSION, "command",
                                   command, "node", node));
}

enum exit_code call_ask(const struct call *call, const char *action, json_t *request,
                        json_t **reply) {
    struct control_failure failure;
    struct control_client *client = call_connect(call, &failure);
    *reply = client == NULL ? NULL : control_client_ask(client, request, &failure);
    control_client_close(client);
    json_decref(request);
    return *reply == NULL ? call_fail(call, action, &failure) : CLI_DONE;
}

json_t *call_ask_quietly(const struct call *call, json_t *request) {
    struct control_failure failure;
    struct control_client *client = call_connect(call, &failure);
    json_t *reply = client == NULL ? NULL : control_client_ask(client, request, &failure);
    if (reply == NULL)
        control_failure_free(&failure);
    control_client_close(client);
    json_decref(request);
    return reply;
}

static enum exit_code exit_code_of(const char *code) {
    static const struct {
        const char *code;
        enum exit_code exit_code;
    } known[] = {
        {CONTROL_NO_DAEMON, CLI_NO_DAEMON}, {"not_found", CLI_NOT_FOUND}, {"denied", CLI_DENIED}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].code, code) == 0)
            return known[i].exit_code;
    }
    return CLI_FAILED;
}

/* "rabbit", or "front port of emqx-1"; a node that only says that it is there holds nothing. */
static void add_holder(struct table *table, const json_t *holder) {
    json_t *name = json_object_get(holder, "name");
    if (json_is_string(json_object_get(holder, "conflicts_with")))
        return;
    table_add_value(table, json_object_get(holder, "port"));
    json_t *shown = json_is_true(json_object_get(holder, "front"))
                        ? json_sprintf("front port of %s", json_string_value(name))
                        : json_incref(name);
    table_add_value(table, shown);
    json_decref(shown);
}

/* The holders of the ports, when the daemon lists them. */
static void print_holders(const json_t *holders) {
    static const struct column columns[] = {{"PORT", true}, {"HELD BY", false}};
    size_t i;
    const json_t *holder;
    if (json_array_size(holders) == 0)
        return;
    struct table *table = table_new(columns, 2);
    json_array_foreach(holders, i, holder) {
        add_holder(table, holder);
    }
    table_print(table, stderr);
    table_free(table);
}

enum exit_code call_fail(const struct call *call, const char *action,
                         struct control_failure *failure) {
    if (action == NULL)
        cli_error("%s", failure->message);
    else
        cli_error("cannot %s: %s", action, failure->message);
    print_holders(json_object_get(json_object_get(failure->reply, "error"), "holders"));
    if (call->json && failure->reply != NULL) {
        output_json(stdout, failure->reply);
    } else if (call->json) {
        json_t *made = alloc_or_exit(json_pack("{s:i, s:b, s:{s:s, s:s}}", "v",
                                               CONTROL_PROTOCOL_VERSION, "ok", 0, "error", "code",
                                               failure->code, "message", failure->message));
        output_json(stdout, made);
        json_decref(made);
    }
    control_failure_free(failure);
    return exit_code_of(failure->code);
}

enum exit_code call_fail_watching(const struct call *call, const char *action,
                                  struct control_failure *failure) {
    bool closed = strcmp(failure->code, CONTROL_CLOSED) == 0;
    enum exit_code code = call_fail(call, action, failure);
    return closed ? CLI_NO_DAEMON : code;
}

enum exit_code call_fail_with(const struct call *call, const char *action, const char *code,
                              const char *format, ...) {
    struct control_failure failure = {.code = ""};
    char message[sizeof failure.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    control_failure_set(&failure, code, "%s", message);
    return call_fail(call, action, &failure);
}

void call_print_usage_error(const char *message) {
    json_t *made =
        alloc_or_exit(json_pack("{s:i, s:b, s:{s:s, s:s}}", "v", CONTROL_PROTOCOL_VERSION, "ok", 0,
                                "error", "code", "usage", "message", message));
    output_json(stdout, made);
    json_decref(made);
}

static int stop_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

enum exit_code call_watch(const struct call *call, const char *action,
                          enum exit_code (*follow)(const struct call *call,
                                                   struct control_client *client, int stop_fd)) {
    struct control_failure failure;
    json_t *request = request_new("watch", NULL), *reply = NULL;
    struct control_client *client = call_connect(call, &failure);
    if (client != NULL)
        reply = control_client_ask(client, request, &failure);
    int stop_fd = stop_signals();
    enum exit_code code =
        reply == NULL ? call_fail(call, action, &failure) : follow(call, client, stop_fd);
    if (stop_fd >= 0)
        close(stop_fd);
    control_client_close(client);
    json_decref(reply);
    json_decref(request);
    return code;
}
