#include "net/port_probe.h"

#include "net/address.h"

#include <errno.h>
#include <unistd.h>

/* A family that this host lacks has no listener either. */
static bool can_bind(const struct address *address, bool *starved) {
    const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *starved = *starved || errno == EMFILE || errno == ENFILE;
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
