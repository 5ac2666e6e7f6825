/*
 * Whether the socket that a connection to a node has reached is the node's: whether who listens
 * there is the user who registered it. A local user must not be able to lead other hosts to what
 * somebody else has open to this one alone.
 */
#ifndef PORTOLAN_HOST_LISTENER_OWNER_H
#define PORTOLAN_HOST_LISTENER_OWNER_H

#include "host/sock_diag.h"
#include "net/address.h"

#define LISTENER_OWNER_REASON_SIZE 128

/* Ports below this one are led to for root's nodes alone. */
#define LISTENER_OWNER_PRIVILEGED 1024

/* `address`: what was connected to. False: `reason` says why not. */
bool listener_owner_is(struct sock_diag *diag, uint32_t user, const struct address *address,
                       char reason[LISTENER_OWNER_REASON_SIZE]);

bool listener_owner_may_have(uint32_t user, uint16_t port);

#endif
