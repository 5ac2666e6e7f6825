/* What `portolan lease` and `portolan exec` share. */
#ifndef PORTOLAN_CLI_CMD_LEASE_H
#define PORTOLAN_CLI_CMD_LEASE_H

#include "cli/command.h"

/* The option of both for whom the lease is. */
#define LEASE_USER_OPTION                                                                          \
    { "--user", "USER", "lease it for this user, who may claim it then" }

/* Asks for a lease; the reply is the caller's. NULL: the error is printed, *code is what to exit
 * with. */
json_t *lease_ask(const struct call *call, const char *node, enum exit_code *code);

/* Gives it back; nothing is said of how that went. */
void lease_give_back(const struct call *call, const char *node);

#endif
