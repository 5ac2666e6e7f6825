/*
 * Calling another daemon: from its name to a link.
 *
 * The host of Name@Host is looked up (net/host_lookup, which blocks nobody), its addresses are
 * tried one after the other, each with its share of CLUSTER_CONNECT_MS, and the first on which the
 * TLS handshake succeeds becomes the link of the hook `up`. Else the hook `failed` tells what came
 * nearest to success.
 */
#ifndef PORTOLAN_NET_PEER_DIAL_H
#define PORTOLAN_NET_PEER_DIAL_H

#include "net/peer_link.h"

struct peer_dial;

/* Begins; one of the two hooks follows, from the event loop. False when out of memory. */
bool peer_dial_begin(struct peer_links *links, const char *name, uint16_t port);

#endif
