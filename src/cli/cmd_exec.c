/* portolan exec: starts an Erlang program on its port. */
#include "cli/cmd_lease.h"
#include "cli/commands.h"
#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As env(1), nohup(1) and the shell have it. */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_THERE 127

#define LISTEN_FLAGS_SIZE 160

/* As Erlang documents it. It takes 'loopback' for both families as well, but RabbitMQ reads the
 * parameter too, as an address. */
#define ON_LOOPBACK " inet_dist_use_interface {127,0,0,1}"
#define ON_LOOPBACK_6 " inet_dist_use_interface {0,0,0,0,0,0,0,1}"

/*
 * Of several values of one parameter Erlang takes the first, and ERL_AFLAGS comes before the
 * command line: so the lease's port beats those that the program's own scripts set.
 */
static void set_flags(uint16_t port, const char *interface) {
    const char *present = getenv("ERL_AFLAGS");
    size_t size = LISTEN_FLAGS_SIZE + (present == NULL ? 0 : strlen(present));
    char *flags = must_have(malloc(size));
    snprintf(flags, size, "-kernel inet_dist_listen_min %u inet_dist_listen_max %u%s%s%s",
             (unsigned)port, (unsigned)port, interface,
             present == NULL || *present == '\0' ? "" : " ", present == NULL ? "" : present);
    setenv("ERL_AFLAGS", flags, 1);
    free(flags);
}

/* False when the number is no port. */
static bool port_member(const json_t *reply, const char *key, uint16_t *port) {
    json_int_t number = json_integer_value(json_object_get(reply, key));
    if (number < 1 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static void set_epmd_port(uint16_t port) {
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    setenv("ERL_EPMD_PORT", text, 1);
}

/* Does not return when all is well. */
static int become(char **program) {
    execvp(program[0], program);
    int error = errno;
    complain("cannot run '%s': %s", program[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_THERE : EXIT_CANNOT_RUN;
}

/* Which addresses the node listens on, as flags; NULL, with a complaint, for two answers. */
static const char *interface_wanted(const struct call *call) {
    bool in_4 = call_option(call, "--private") != NULL;
    bool in_6 = call_option(call, "--private6") != NULL;
    if (!in_4 || !in_6)
        return in_4 ? ON_LOOPBACK : in_6 ? ON_LOOPBACK_6 : "";
    complain("exec takes --private or --private6, not both");
    return NULL;
}

static enum exit_code run_exec(struct call *call) {
    const char *node = call->operands[0];
    const char *interface = interface_wanted(call);
    enum exit_code code;
    uint16_t port, epmd_port;
    if (interface == NULL || !check_node(node))
        return CLI_USAGE;
    json_t *reply = lease_ask(call, node, &code);
    if (reply == NULL)
        return code;
    bool complete =
        port_member(reply, "port", &port) && port_member(reply, "epmd_port", &epmd_port);
    bool held = json_is_true(json_object_get(reply, "held"));
    json_decref(reply);
    if (!complete)
        return call_fail_with(call, "start the program", CONTROL_BAD_REPLY,
                              "the daemon named no port for %s", node);
    set_epmd_port(epmd_port);
    set_flags(port, interface);
    code = (enum exit_code)become(call->program);
    if (!held)
        lease_give_back(call, node);
    return code;
}

const struct command exec_command = {
    .name = "exec",
    .arguments = "[--private | --private6] NODE -- PROGRAM [ARGUMENT...]",
    .summary = "start an Erlang program on the port of its node",
    .details =
        "Leases a port for NODE and becomes PROGRAM, with ERL_EPMD_PORT set to where nodes of\n"
        "this host find the daemon, and ERL_AFLAGS to make Erlang listen on that port; what is in\n"
        "ERL_AFLAGS already is kept behind it. The lease ends when the node leaves, or after a\n"
        "minute without it. With --private the node listens on 127.0.0.1 alone, and other hosts\n"
        "cannot reach that port; --private6 is for nodes with -proto_dist inet6_tcp. This needs\n"
        "root, the daemon's own user or the group portolan.",
    .example = "portolan exec rabbit@$(hostname -s) -- rabbitmq-server",
    .min_operands = 1,
    .max_operands = 1,
    .takes_program = true,
    .options = {{"--private", NULL, "listen on 127.0.0.1 only"},
                {"--private6", NULL, "listen on ::1 only, for a node of IPv6"}},
    .run = run_exec,
};
