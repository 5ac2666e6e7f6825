#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_v6(const char *text, uint16_t port, struct address *out) {
    char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    size_t len = strlen(text);
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (bracketed)
        len -= 2;
    if (len >= sizeof host)
        return false;
    memcpy(host, text + (bracketed ? 1 : 0), len);
    host[len] = '\0';
    struct address parsed = address_any_v6(port);
    char *zone = strchr(host, '%');
    if (zone != NULL) {
        *zone++ = '\0';
        parsed.v6.sin6_scope_id = if_nametoindex(zone);
        if (parsed.v6.sin6_scope_id == 0)
            return false;
    }
    if (inet_pton(AF_INET6, host, &parsed.v6.sin6_addr) != 1)
        return false;
    *out = parsed;
    return true;
}

bool address_parse(const char *text, uint16_t port, struct address *out) {
    struct address parsed = address_any_v4(port);
    if (inet_pton(AF_INET, text, &parsed.v4.sin_addr) == 1) {
        *out = parsed;
        return true;
    }
    return parse_v6(text, port, out);
}

struct address address_any_v4(uint16_t port) {
    struct address address;
    memset(&address, 0, sizeof address);
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    return address;
}

struct address address_any_v6(uint16_t port) {
    struct address address;
    memset(&address, 0, sizeof address);
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
    return address;
}

struct address address_loopback_v4(uint16_t port) {
    struct address address = address_any_v4(port);
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

struct address address_loopback_v6(uint16_t port) {
    struct address address = address_any_v6(port);
    address.v6.sin6_addr = in6addr_loopback;
    return address;
}

socklen_t address_len(const struct address *address) {
    return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

uint16_t address_port(const struct address *address) {
    return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
}

struct address address_with_port(const struct address *address, uint16_t port) {
    struct address with_port = *address;
    if (address->any.sa_family == AF_INET)
        with_port.v4.sin_port = htons(port);
    else
        with_port.v6.sin6_port = htons(port);
    return with_port;
}

/* The four bytes of an IPv4 address, in whichever family it comes; NULL for others. */
static const uint8_t *v4_bytes(const struct address *address) {
    if (address->any.sa_family == AF_INET)
        return (const uint8_t *)&address->v4.sin_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return address->v6.sin6_addr.s6_addr + 12;
    return NULL;
}

bool address_is_loopback(const struct address *address) {
    const uint8_t *v4 = v4_bytes(address);
    return v4 != NULL ? v4[0] == 127 : IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

bool address_same_host(const struct address *a, const struct address *b) {
    const uint8_t *v4_a = v4_bytes(a), *v4_b = v4_bytes(b);
    if (v4_a != NULL && v4_b != NULL)
        return memcmp(v4_a, v4_b, 4) == 0;
    return v4_a == NULL && v4_b == NULL && IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

struct bytes address_host(const struct address *address) {
    const uint8_t *v4 = v4_bytes(address);
    return v4 != NULL ? bytes_of(v4, 4) : bytes_of(address->v6.sin6_addr.s6_addr, 16);
}

const char *address_format(const struct address *address, char *out) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_SIZE, "%s:%u", host, address_port(address));
    } else {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_SIZE, "[%s]:%u", host, address_port(address));
    }
    return out;
}

bool address_peer_is_local(int fd, const struct address *peer) {
    if (address_is_loopback(peer))
        return true;
    struct address own;
    socklen_t len = sizeof own;
    return getsockname(fd, &own.any, &len) == 0 && address_same_host(peer, &own);
}
