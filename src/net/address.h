/* IPv4 and IPv6 socket addresses: small enough to keep one for each connection. */
#ifndef PORTOLAN_NET_ADDRESS_H
#define PORTOLAN_NET_ADDRESS_H

#include "base/bytes.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* Numeric addresses only; an IPv6 address may carry a %zone and stand in brackets. */
bool address_parse(const char *text, uint16_t port, struct address *out);

struct address address_any_v4(uint16_t port);
struct address address_any_v6(uint16_t port);
struct address address_loopback_v4(uint16_t port);
struct address address_loopback_v6(uint16_t port);

socklen_t address_len(const struct address *address);
uint16_t address_port(const struct address *address);
struct address address_with_port(const struct address *address, uint16_t port);

/* The bytes of the host's address, 4 or 16, without port and zone; an IPv4 address mapped into IPv6
 * counts as IPv4. Borrows the address. */
struct bytes address_host(const struct address *address);

/* In 127/8, or ::1. */
bool address_is_loopback(const struct address *address);

/* The same host address, whatever the ports; an IPv4 address mapped into IPv6 counts as IPv4. */
bool address_same_host(const struct address *a, const struct address *b);

/* "192.0.2.1:4369" or "[2001:db8::1]:4369" */
#define ADDRESS_TEXT_SIZE (INET6_ADDRSTRLEN + 8 + 16)
const char *address_format(const struct address *address, char *out);

/* Whether the peer of a connected socket is on this host: loopback, or the very address it called.
 */
bool address_peer_is_local(int fd, const struct address *peer);

#endif
