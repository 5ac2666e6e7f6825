/*
 * How many waiting connections each remote address has, so that one host cannot take them all. A
 * host is an IPv4 address or an IPv6 /64, the smallest network one machine is given.
 */
#ifndef PORTOLAN_NET_PEER_LIMIT_H
#define PORTOLAN_NET_PEER_LIMIT_H

#include "net/address.h"

struct peer_limit;

/* `most`: connections an address may have, 0 for any number. NULL when out of memory. */
struct peer_limit *peer_limit_new(unsigned most);
void peer_limit_free(struct peer_limit *limit);

/* Another number from now on; those over it stay. */
void peer_limit_configure(struct peer_limit *limit, unsigned most);

/* Counts one connection more: false, and not counted, at the limit or when out of memory. */
bool peer_limit_enter(struct peer_limit *limit, const struct address *peer);

/* One that entered is gone. */
void peer_limit_leave(struct peer_limit *limit, const struct address *peer);

#endif
