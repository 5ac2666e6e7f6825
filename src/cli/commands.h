/* The entries of all commands, each in the file of its family. */
#ifndef PORTOLAN_CLI_COMMANDS_H
#define PORTOLAN_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct command status_command;                 /* cmd_status.c */
extern const struct command names_command, resolve_command; /* cmd_names.c */
extern const struct command port_command;                   /* cmd_port.c */
extern const struct command lease_command, leases_command;  /* cmd_lease.c */
extern const struct command exec_command;                   /* cmd_exec.c */
extern const struct command streams_command;                /* cmd_streams.c */
extern const struct command cluster_command;                /* cmd_cluster.c */
extern const struct command watch_command;                  /* cmd_watch.c */
extern const struct command reload_command, stop_command;   /* cmd_daemon.c */
extern const struct command help_command, version_command;  /* cmd_help.c */

#endif
