/* portolan exec: starts an Erlang program on its port. */
#include "cli/cmd_lease.h"
#include "cli/commands.h"
#include "cli/exec_environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As env(1), nohup(1) and the shell have it. */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_THERE 127

/* As Erlang documents it. It takes 'loopback' for both families as well, but RabbitMQ reads the
 * parameter too, as an address. */
#define ON_LOOPBACK " inet_dist_use_interface {127,0,0,1}"
#define ON_LOOPBACK_6 " inet_dist_use_interface {0,0,0,0,0,0,0,1}"

/* False when the number is not a port. */
static bool port_member(const json_t *reply, const char *key, uint16_t *port) {
    json_int_t number = json_integer_value(json_object_get(reply, key));
    if (number < 1 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Does not return when all is well. */
static int become(char **program) {
    execvp(program[0], program);
    int error = errno;
    cli_error("cannot run '%s': %s", program[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_THERE : EXIT_CANNOT_RUN;
}

/* Which addresses the node listens on, as flags; NULL, with a complaint, for two answers. */
static const char *interface_wanted(const struct call *call) {
    bool in_4 = call_option(call, "--private") != NULL;
    bool in_6 = call_option(call, "--private6") != NULL;
    if (!in_4 || !in_6)
        return in_4 ? ON_LOOPBACK : in_6 ? ON_LOOPBACK_6 : "";
    cli_error("exec takes --private or --private6, not both");
    return NULL;
}

/* What the reply says of the port; CLI_DONE, or what to exit with, with the error printed. */
static enum exit_code read_port(const struct call *call, const json_t *reply,
                                struct exec_port *port) {
    if (!port_member(reply, "port", &port->port) ||
        !port_member(reply, "epmd_port", &port->epmd_port))
        return call_fail_with(call, "start the program", CONTROL_BAD_REPLY,
                              "the daemon returned no port for %s", port->node);
    port->last = port->port;
    if (call_option(call, "--range") == NULL || port_member(reply, "last_port", &port->last))
        return CLI_DONE;
    return call_fail_with(
        call, "start the program with --range", "failed",
        "port %u of %s is outside the daemon's range because of node.port_policy; start it "
        "without --range",
        (unsigned)port->port, port->node);
}

static enum exit_code run_exec(struct call *call) {
    struct exec_port port = {.node = call->operands[0], .interface = interface_wanted(call)};
    enum exit_code code;
    if (port.interface == NULL || !check_node(port.node) || !exec_environment_agrees(port.node))
        return CLI_USAGE;
    json_t *reply = lease_ask(call, port.node, &code);
    if (reply == NULL)
        return code;
    bool held = json_is_true(json_object_get(reply, "held"));
    code = read_port(call, reply, &port);
    json_decref(reply);
    if (code == CLI_DONE) {
        exec_environment_warn(&port, call->program);
        exec_environment_set(&port);
        code = (enum exit_code)become(call->program);
    }
    if (!held)
        lease_give_back(call, port.node);
    return code;
}

const struct command exec_command = {
    .name = "exec",
    .arguments = "[--private | --private6] [--range] [--user USER] NODE -- PROGRAM [ARGUMENT...]",
    .summary = "start an Erlang program on a leased port",
    .details =
        "Leases a port for NODE and executes PROGRAM with ERL_EPMD_PORT set to the port of the"
        "\n"
        "daemon, and ERL_AFLAGS and ERL_ZFLAGS extended so that Erlang listens on the leased\n"
        "port. RABBITMQ_* and RELEASE_* variables are set for RabbitMQ and Elixir releases. The"
        "\n"
        "lease ends when the node leaves, or after a minute if it does not register.\n"
        "\n"
        "With --range, the node and every node started from it use the next free port of the\n"
        "range if that port is in use. With --private, the node listens on 127.0.0.1 only, so\n"
        "other hosts cannot reach its port; --private6 is for nodes with -proto_dist inet6_tcp."
        "\n"
        "--user is for root when the program changes to an ordinary user: only nodes of that "
        "user\n"
        "may then use the lease.\n"
        "\n"
        "This needs root, the daemon's own user or the group portolan.",
    .example = "portolan exec rabbit@$(hostname -s) -- rabbitmq-server",
    .min_operands = 1,
    .max_operands = 1,
    .takes_program = true,
    .options = {{"--private", NULL, "listen on 127.0.0.1 only"},
                {"--private6", NULL, "listen on ::1 only, for an IPv6 node"},
                {"--range", NULL, "if the port is in use, try the next ones of the range"},
                LEASE_USER_OPTION},
    .run = run_exec,
};
