/*
 * Calling another daemon: from its name to a link.
 *
 * The host of Name@Host is looked up (net/host_lookup, which blocks nobody), its addresses are
 * tried one after the other, each with its share of CLUSTER_CONNECT_MS, and the first on which the
 * TLS handshake succeeds becomes the link of the hook `up`. Else the hook `failed` tells what came
 * nearest to success.
 *
 * Where there is an epmd to ask, each address is asked for Name's port (epmd/query) just
 * before it is called, for PEER_DIAL_QUERY_MS or two fifths of the address's time, whichever is
 * less. What it says is a hint, from anybody: so both ports are tried where they differ.
 *
 *   the epmd's word               ports, in this order
 *   a port, of a hidden node      that one, then `port`: a portoland answers so for itself
 *   a port, of another node       `port`, then that one: a node may have the daemon's name
 *   anything else, or none        `port`
 */
#ifndef PORTOLAN_LINK_DIAL_H
#define PORTOLAN_LINK_DIAL_H

#include "link/link.h"

struct peer_dial;

#define PEER_DIAL_QUERY_MS 2000

/*
 * Begins; one of the two hooks follows, from the event loop. `port` is the one that is known, or
 * that of the rule; 0: none follows from the name, which is how it fails. `epmd_port` is where the
 * host's epmd is asked, 0: it is not. False when out of memory.
 */
bool peer_dial_begin(struct peer_links *links, const char *name, uint16_t port, uint16_t epmd_port);

#endif
