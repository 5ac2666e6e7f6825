#include "host/local_host.h"

#include "net/address.h"

#include <ifaddrs.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_own_name(const char *host) {
    char own[HOST_NAME_MAX + 1] = "";
    gethostname(own, sizeof own - 1);
    return strcasecmp(host, own) == 0 || strcasecmp(host, "localhost") == 0;
}

static bool is_own_address(const struct address *address) {
    struct ifaddrs *interfaces;
    bool found = address_is_loopback(address);
    if (found || getifaddrs(&interfaces) < 0)
        return found;
    for (const struct ifaddrs *one = interfaces; one != NULL && !found; one = one->ifa_next) {
        struct address own;
        if (one->ifa_addr == NULL ||
            (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
            continue;
        own.any.sa_family = one->ifa_addr->sa_family;
        memcpy(&own, one->ifa_addr, address_len(&own));
        found = address_same_host(address, &own);
    }
    freeifaddrs(interfaces);
    return found;
}

bool local_host_is(struct bytes host) {
    char text[256];
    struct address address;
    if (host.len == 0 || host.len >= sizeof text)
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return address_parse(text, 0, &address) ? is_own_address(&address) : is_own_name(text);
}
