#include "cli/commands.h"

/* In the order of `portolan help`. */
const struct command *const portolan_commands[] = {
    &status_command, &names_command, &resolve_command, &port_command,    &lease_command,
    &leases_command, &exec_command,  &streams_command, &cluster_command, &watch_command,
    &reload_command, &stop_command,  &help_command,    &version_command, NULL,
};
