/* Whether a host named somewhere is the one this program runs on. */
#ifndef PORTOLAN_HOST_LOCAL_HOST_H
#define PORTOLAN_HOST_LOCAL_HOST_H

#include "base/bytes.h"

/*
 * True for the host's name as the kernel has it, "localhost", and the address of any of its
 * interfaces. Asks no name server: a name that would need one is not recognised.
 */
bool local_host_is(struct bytes host);

#endif
