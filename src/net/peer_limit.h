/*
 * How much each peer has of something, so that one cannot take it all. A peer is another host (an
 * IPv4 address, or an IPv6 /64, the smallest network one machine is given) or a user of this one.
 */
#ifndef PORTOLAN_NET_PEER_LIMIT_H
#define PORTOLAN_NET_PEER_LIMIT_H

#include "net/address.h"

struct peer_limit;

struct peer_key {
    uint8_t kind; /* 4 and 6: a host, by the family; 1: a user */
    uint8_t bytes[8];
};

struct peer_key peer_key_of_host(const struct address *peer);
struct peer_key peer_key_of_user(uint32_t user);

/* `most`: that a peer may have, 0 for any number. NULL when out of memory. */
struct peer_limit *peer_limit_new(unsigned most);
void peer_limit_free(struct peer_limit *limit);

/* Another number from now on; what is over it stays. */
void peer_limit_configure(struct peer_limit *limit, unsigned most);

/* Counts so many more: false, and not counted, over the limit or when out of memory. */
bool peer_limit_take(struct peer_limit *limit, struct peer_key key, unsigned count);

/* So many that were taken are free again. */
void peer_limit_give_back(struct peer_limit *limit, struct peer_key key, unsigned count);

/* How many it has. */
unsigned peer_limit_taken(const struct peer_limit *limit, struct peer_key key);

/* One more of a host, or one less. */
bool peer_limit_enter(struct peer_limit *limit, const struct address *peer);
void peer_limit_leave(struct peer_limit *limit, const struct address *peer);

#endif
