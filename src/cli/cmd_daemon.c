/* portolan reload, portolan stop */
#include "cli/commands.h"
#include "cli/output.h"

#include <string.h>

/* --- reload --- */

static void print_keys(const char *title, const json_t *keys) {
    size_t i;
    const json_t *key;
    json_array_foreach(keys, i, key) {
        const char *name = json_string_value(key);
        fputs(title, stdout);
        output_coloured(stdout, COLOUR_NONE, name == NULL ? "?" : name);
        putchar('\n');
    }
}

static void print_reload(const json_t *reply) {
    const json_t *applied = json_object_get(reply, "applied");
    const json_t *restart = json_object_get(reply, "restart");
    if (json_array_size(applied) + json_array_size(restart) == 0)
        puts("no changes");
    print_keys("applied: ", applied);
    print_keys("needs a restart: ", restart);
}

static enum exit_code run_reload(struct call *call) {
    json_t *reply;
    enum exit_code code =
        call_ask(call, "reload the configuration", request_new("reload", NULL), &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json)
        output_json(stdout, reply);
    else
        print_reload(reply);
    json_decref(reply);
    return CLI_DONE;
}

const struct command reload_command = {
    .name = "reload",
    .arguments = "",
    .summary = "reload the configuration",
    .details =
        "Makes the daemon reload its configuration, as SIGHUP does, and lists the keys whose\n"
        "new value is in effect and those that need a restart.",
    .example = "portolan reload",
    .run = run_reload,
};

/* --- stop --- */

static enum exit_code run_stop(struct call *call) {
    static const char action[] = "stop the daemon";
    struct control_failure failure;
    json_t *request = request_new("stop", NULL), *reply = NULL;
    struct control_client *client = call_connect(call, &failure);
    if (client != NULL)
        reply = control_client_ask(client, request, &failure);
    json_decref(request);
    enum exit_code code;
    if (reply == NULL)
        code = call_fail(call, action, &failure);
    else if (!control_client_wait_closed(client))
        code = call_fail_with(call, action, CONTROL_TIMED_OUT,
                              "it is still stopping; use a longer --timeout");
    else
        code = CLI_DONE;
    if (code == CLI_DONE && call->json)
        output_json(stdout, reply);
    else if (code == CLI_DONE)
        puts("stopped");
    control_client_close(client);
    json_decref(reply);
    return code;
}

const struct command stop_command = {
    .name = "stop",
    .arguments = "",
    .summary = "stop the daemon",
    .details = "Stops the daemon of this host and waits until it has closed the control socket.\n"
               "Registered nodes keep running, but cannot be found until they register again.",
    .example = "portolan stop",
    .run = run_stop,
};
