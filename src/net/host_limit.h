/*
 * How much each peer has of something, so that one cannot take it all. A peer is another host (an
 * IPv4 address, or an IPv6 /64, the smallest network one machine is given) or a user of this one.
 */
#ifndef PORTOLAN_NET_HOST_LIMIT_H
#define PORTOLAN_NET_HOST_LIMIT_H

#include "net/address.h"

struct host_limit;

struct limit_key {
    uint8_t kind; /* 4 and 6: a host, by the family; 1: a user */
    uint8_t bytes[8];
};

struct limit_key limit_key_of_host(const struct address *peer);
struct limit_key limit_key_of_user(uint32_t user);

/* `most`: that a peer may have, 0 for any number. NULL when out of memory. */
struct host_limit *host_limit_new(unsigned most);
void host_limit_free(struct host_limit *limit);

/* Another number from now on; what is over it stays. */
void host_limit_configure(struct host_limit *limit, unsigned most);

/* Counts so many more: false, and not counted, over the limit or when out of memory. */
bool host_limit_take(struct host_limit *limit, struct limit_key key, unsigned count);

/* So many that were taken are free again. */
void host_limit_give_back(struct host_limit *limit, struct limit_key key, unsigned count);

/* How many it has. */
unsigned host_limit_taken(const struct host_limit *limit, struct limit_key key);

/* One more of a host, or one less. */
bool host_limit_enter(struct host_limit *limit, const struct address *peer);
void host_limit_leave(struct host_limit *limit, const struct address *peer);

#endif
