#include "host/port_probe.h"

#include "loop/loop.h"
#include "net/address.h"

#include <errno.h>
#include <unistd.h>

/* A family that this host lacks has no listener either. */
static bool can_bind(const struct address *address, bool *starved) {
    const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *starved = *starved || loop_is_out_of_descriptors(errno);
        return errno == EAFNOSUPPORT;
    }
    /* as Erlang does: a port whose old connections are in TIME_WAIT is free */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    bool free = bind(fd, &address->any, address_len(address)) == 0 || errno == EADDRNOTAVAIL;
    close(fd);
    return free;
}

bool port_probe_is_free(void *context, uint16_t port) {
    const struct address v4 = address_any_v4(port), v6 = address_any_v6(port);
    return can_bind(&v4, context) && can_bind(&v6, context);
}

/* Without SO_REUSEADDR a port that is taken anywhere near is refused. */
static bool is_taken(struct address address) {
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool taken = bind(fd, &address.any, address_len(&address)) < 0 && errno == EADDRINUSE;
    close(fd);
    return taken;
}

/* 127.0.0.2 is loopback too, and nobody's own: what is bound there is bound to all addresses. */
bool port_probe_is_loopback_only(uint16_t port) {
    struct address second = address_loopback_v4(port);
    second.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    return !is_taken(second) &&
           (is_taken(address_loopback_v4(port)) || is_taken(address_loopback_v6(port)));
}
