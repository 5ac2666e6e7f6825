/*
 * Which other hosts may come in: all of them, those of the cluster's members, those in some
 * networks, or the last two together. The text form is `any`, or a comma list of `members` and of
 * networks such as 192.0.2.0/24, 2001:db8::/32 or a single address.
 */
#ifndef PORTOLAN_NET_ALLOW_LIST_H
#define PORTOLAN_NET_ALLOW_LIST_H

#include "net/address.h"

#include <stddef.h>

#define ALLOW_NETWORKS_MAX 64

struct allow_network {
    uint8_t len; /* of the address: 4 or 16 bytes */
    uint8_t bits;
    uint8_t address[16];
};

struct allow_list {
    bool any, members;
    size_t count;
    struct allow_network networks[ALLOW_NETWORKS_MAX];
};

/* NULL, or why not, for people; then *list is undefined. */
const char *allow_list_parse(const char *text, struct allow_list *list);

/* Whether the address is in one of the networks; IPv4 mapped into IPv6 counts as IPv4. */
bool allow_list_has(const struct allow_list *list, const struct address *address);

#endif
