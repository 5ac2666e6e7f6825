/* The calls that epmd's command line makes to the daemon that runs on this host. */
#ifndef PORTOLAN_EPMD_CLIENT_H
#define PORTOLAN_EPMD_CLIENT_H

#include <stdint.h>

enum epmd_call {
    EPMD_CALL_NONE,
    EPMD_CALL_NAMES,
    EPMD_CALL_DUMP,
    EPMD_CALL_STARTED,
    EPMD_CALL_KILL,
    EPMD_CALL_STOP,
};

/* Asks over loopback and prints the answer as OTP's epmd does. `name` is for EPMD_CALL_STOP.
 * Returns the exit code. */
int epmd_client_call(uint16_t port, enum epmd_call call, const char *name);

/* How many names an epmd of this host has registered; -1 when none answers on the port. */
int epmd_client_count_names(uint16_t port);

#endif
