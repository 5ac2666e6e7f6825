/*
 * The ports of the daemon of this host, which those of other hosts share where all are configured
 * alike: what a look-up of another host's node asks, and what a port is derived from.
 */
#ifndef PORTOLAN_CLI_DAEMON_PORTS_H
#define PORTOLAN_CLI_DAEMON_PORTS_H

#include "cli/command.h"

struct daemon_ports {
    uint16_t base;  /* node.dist_base_port */
    uint16_t front; /* of the daemon's own name; 0: none is open */
    uint16_t epmd;  /* on which it is an epmd; 0: on none */
};

#define DAEMON_PORTS_MS 1000 /* it is waited for so long at most */

/* Asks the daemon. Where there is none, or it does not answer: 4370, 0 and 0. */
struct daemon_ports daemon_ports_ask(const struct call *call);

#endif
