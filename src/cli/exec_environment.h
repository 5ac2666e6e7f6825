/*
 * How `portolan exec` passes a server its port: the variables of Erlang, RabbitMQ and Elixir's
 * releases. Each is read by its own kind of server only, so all are set for every program. What a
 * server reads after them, and so cannot be overridden by them, is warned of.
 *
 * Where each fact comes from is in docs/decisions.md.
 */
#ifndef PORTOLAN_CLI_EXEC_ENVIRONMENT_H
#define PORTOLAN_CLI_EXEC_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

struct exec_port {
    const char *node;      /* Name@Host, or Name */
    uint16_t port;         /* that is leased to it */
    uint16_t last;         /* the last that it may try instead; `port` where it may not */
    uint16_t epmd_port;    /* where the daemon is */
    const char *interface; /* flags that choose an address to listen on, or "" */
};

/* Whether the node may be started in this environment: false, with an error that names both,
 * where a variable that servers take their name from has another one. */
bool exec_environment_agrees(const char *node);

/* Sets the variables. Out of memory it ends the program. */
void exec_environment_set(const struct exec_port *port);

/* Warns of what will keep the program (`words`, NULL at the end) from the lease. Called before
 * exec_environment_set. */
void exec_environment_warn(const struct exec_port *port, char **words);

#endif
