/* Which process listens on a port of this host, as far as /proc shows it. For error messages. */
#ifndef PORTOLAN_HOST_PORT_OWNER_H
#define PORTOLAN_HOST_PORT_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct port_owner {
    pid_t pid;
    char program[32];
};

/* False when none is found: no such listener, or a process of someone else's that we may not see.
 */
bool port_owner_find(uint16_t port, struct port_owner *owner);

#endif
