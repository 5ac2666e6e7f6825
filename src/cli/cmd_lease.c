/* portolan lease, portolan leases */
#include "cli/cmd_lease.h"

#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define TRYING_SIZE 2200 /* a sentence around the longest name */

/* --- lease --- */

/* The user of that name or number. False, with a complaint: there is none. */
static bool find_user(const char *name, json_int_t *user) {
    uint64_t number;
    errno = 0;
    const struct passwd *found = getpwnam(name);
    bool is_number = found == NULL && text_parse_number(name, 0, UINT32_MAX - 1, &number);
    if (found == NULL && !is_number) {
        if (errno == 0 || errno == ENOENT)
            cli_error("unknown user '%s'", name);
        else
            cli_error("cannot look up the user '%s': %s", name, strerror(errno));
        return false;
    }
    *user = found != NULL ? (json_int_t)found->pw_uid : (json_int_t)number;
    return true;
}

json_t *lease_ask(const struct call *call, const char *node, enum exit_code *code) {
    const char *name = call_option(call, "--user");
    char action[TRYING_SIZE];
    json_int_t user;
    json_t *reply;
    *code = CLI_USAGE;
    if (name != NULL && !find_user(name, &user))
        return NULL;
    json_t *request = request_new("lease", node);
    if (name != NULL && json_object_set_new(request, "user", json_integer(user)) < 0)
        alloc_or_exit(NULL);
    snprintf(action, sizeof action, "lease a port for %s", node);
    *code = call_ask(call, action, request, &reply);
    return reply;
}

void lease_give_back(const struct call *call, const char *node) {
    struct control_failure failure;
    struct control_client *client = call_connect(call, &failure);
    json_t *request = request_new("release", node);
    json_t *reply = client == NULL ? NULL : control_client_ask(client, request, &failure);
    if (reply == NULL)
        control_failure_free(&failure);
    json_decref(reply);
    json_decref(request);
    control_client_close(client);
}

/* How long from now, "54s"; rounded up, so that a fresh minute is one. */
static void format_expiry(const json_t *expires_in_ms, char *out) {
    output_duration((json_integer_value(expires_in_ms) + 999) / 1000, out);
}

/* "rabbit@s1 6369  (leased for 1m)" */
static void print_lease(const char *node, const json_t *reply) {
    char expiry[OUTPUT_DURATION_SIZE], note[64];
    format_expiry(json_object_get(reply, "expires_in_ms"), expiry);
    bool held = json_is_true(json_object_get(reply, "held"));
    snprintf(note, sizeof note, held ? "(registered)" : "(leased for %s)", expiry);
    output_coloured(stdout, COLOUR_NONE, node);
    printf(" %" JSON_INTEGER_FORMAT "  ", json_integer_value(json_object_get(reply, "port")));
    output_coloured(stdout, COLOUR_FAINT, note);
    putchar('\n');
}

static enum exit_code release(struct call *call, const char *node) {
    char action[TRYING_SIZE];
    json_t *reply;
    snprintf(action, sizeof action, "release the lease of %s", node);
    enum exit_code code = call_ask(call, action, request_new("release", node), &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json) {
        output_json(stdout, reply);
    } else {
        output_coloured(stdout, COLOUR_NONE, node);
        puts(" released");
    }
    json_decref(reply);
    return CLI_DONE;
}

static enum exit_code run_lease(struct call *call) {
    const char *node = call->operands[0];
    enum exit_code code;
    if (!check_node(node))
        return CLI_USAGE;
    if (call_option(call, "--release") != NULL && call_option(call, "--user") != NULL) {
        cli_error("lease takes --user or --release, not both");
        return CLI_USAGE;
    }
    if (call_option(call, "--release") != NULL)
        return release(call, node);
    json_t *reply = lease_ask(call, node, &code);
    if (reply == NULL)
        return code;
    if (call->json)
        output_json(stdout, reply);
    else
        print_lease(node, reply);
    json_decref(reply);
    return CLI_DONE;
}

const struct command lease_command = {
    .name = "lease",
    .arguments = "NODE [--user USER | --release]",
    .summary = "lease a port to a node, or release it",
    .details =
        "Leases a port to NODE and prints 'NODE PORT'. The node has one minute to register;\n"
        "repeating the command renews the lease. Once registered, the node keeps the port until"
        "\n"
        "it leaves. Only nodes of the caller or of root may use the lease; a lease of root may"
        "\n"
        "also be used by system users (below 1000), and root can lease for another user with\n"
        "--user. This needs root, the daemon's own user or the group portolan.",
    .example = "portolan lease rabbit@s1",
    .min_operands = 1,
    .max_operands = 1,
    .options = {LEASE_USER_OPTION,
                {"--release", NULL, "release the lease, if the node has not registered"}},
    .run = run_lease,
};

/* --- leases --- */

/* "leased for 52s", "registered, but the port is that of rabbit"; to be freed. */
static char *state_of(const json_t *lease) {
    char expiry[OUTPUT_DURATION_SIZE], state[64];
    const char *owner = json_string_value(json_object_get(lease, "conflicts_with"));
    format_expiry(json_object_get(lease, "expires_in_ms"), expiry);
    if (json_is_true(json_object_get(lease, "front")))
        snprintf(state, sizeof state, "front port");
    else if (json_is_true(json_object_get(lease, "held")))
        snprintf(state, sizeof state, "registered");
    else
        snprintf(state, sizeof state, "leased for %s", expiry);
    size_t size = sizeof state + (owner == NULL ? 0 : strlen(owner)) + 32;
    char *text = alloc_or_exit(malloc(size));
    snprintf(text, size, owner == NULL ? "%s" : "%s, but the port is that of %s", state, owner);
    return text;
}

static void print_leases(const json_t *leases) {
    static const struct column columns[] = {{"PORT", true}, {"NAME", false}, {"STATE", false}};
    struct table *table = table_new(columns, 3);
    size_t i;
    const json_t *lease;
    json_array_foreach(leases, i, lease) {
        char *state = state_of(lease);
        table_add_value(table, json_object_get(lease, "port"));
        table_add_value(table, json_object_get(lease, "name"));
        table_add(table, state);
        free(state);
    }
    if (table_rows(table) == 0)
        cli_error("no leases");
    else
        table_print(table, stdout);
    table_free(table);
}

static enum exit_code run_leases(struct call *call) {
    json_t *reply;
    enum exit_code code = call_ask(call, "list the leases", request_new("leases", NULL), &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json)
        output_json(stdout, reply);
    else
        print_leases(json_object_get(reply, "leases"));
    json_decref(reply);
    return CLI_DONE;
}

const struct command leases_command = {
    .name = "leases",
    .arguments = "",
    .summary = "list leased and registered ports",
    .details =
        "Lists the leased and registered ports at the daemon of this host, ordered by port, and"
        "\n"
        "the ports of the range that are front ports of nodes.",
    .example = "portolan leases",
    .run = run_leases,
};
