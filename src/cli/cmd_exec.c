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

/* False when the number is no port. */
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
                              "the daemon named no port for %s", port->node);
    port->last = port->port;
    if (call_option(call, "--range") == NULL || port_member(reply, "last_port", &port->last))
        return CLI_DONE;
    return call_fail_with(call, "start the program with --range", "failed",
                          "port %u of %s is not in the range of the daemon, as node.port_policy "
                          "wants it; start it without --range",
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
    .summary = "start an Erlang program on the port of its node",
    .details =
        "Leases a port for NODE and becomes PROGRAM, with ERL_EPMD_PORT set to where nodes of\n"
        "this host find the daemon, and ERL_AFLAGS and ERL_ZFLAGS to make Erlang listen on that\n"
        "port; what is in them already is kept. RabbitMQ and releases of Elixir are told by\n"
        "variables of their own, RABBITMQ_* and RELEASE_*. The lease ends when the node leaves,\n"
        "or after a minute without it.\n"
        "\n"
        "With --range the node, and every node that is started from it, takes the next free port\n"
        "of the range where that one is taken. With --private the node listens on 127.0.0.1\n"
        "alone, and other hosts cannot reach that port; --private6 is for nodes with\n"
        "-proto_dist inet6_tcp. --user is for root, and a program that changes to an ordinary\n"
        "user: only nodes of that user may claim the lease then.\n"
        "\n"
        "This needs root, the daemon's own user or the group portolan.",
    .example = "portolan exec rabbit@$(hostname -s) -- rabbitmq-server",
    .min_operands = 1,
    .max_operands = 1,
    .takes_program = true,
    .options = {{"--private", NULL, "listen on 127.0.0.1 only"},
                {"--private6", NULL, "listen on ::1 only, for a node of IPv6"},
                {"--range", NULL, "where the port is taken, try the next ones of the range"},
                LEASE_USER_OPTION},
    .run = run_exec,
};
