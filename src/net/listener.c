#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel holds a connection back until it has sent something, or this many seconds have passed.
 */
#define DEFER_ACCEPT_S 1

static void prepare(int fd) {
    const int on = 1, defer_s = DEFER_ACCEPT_S;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#ifdef TCP_DEFER_ACCEPT
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof defer_s);
#endif
}

/* A listening socket, or -errno. */
static int open_one(const struct address *address) {
    const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    prepare(fd);
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &address->any, address_len(address)) < 0 || listen(fd, SOMAXCONN) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static bool add(struct listeners *listeners, const struct address *address, bool implied,
                struct listen_failure *failure) {
    if (listeners->count == LISTENERS_MAX) {
        failure->address = *address;
        failure->error = E2BIG;
        return false;
    }
    int fd = open_one(address);
    if (fd >= 0) {
        listeners->fds[listeners->count++] = fd;
        return true;
    }
    /* nobody asked for this one by name, and a host without IPv6 (or without IPv4) is a whole host
     */
    if (implied && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL))
        return true;
    failure->address = *address;
    failure->error = -fd;
    return false;
}

static bool add_item(struct listeners *listeners, const char *item, uint16_t port,
                     struct listen_failure *failure) {
    struct address address;
    if (!address_parse(item, port, &address)) {
        snprintf(failure->item, sizeof failure->item, "%s", item);
        failure->error = EINVAL;
        return false;
    }
    const struct address v4 = address_loopback_v4(port), v6 = address_loopback_v6(port);
    if (address_same_host(&address, &v4) || address_same_host(&address, &v6))
        return true; /* bound already */
    return add(listeners, &address, false, failure);
}

static bool add_list(struct listeners *listeners, const char *list, uint16_t port,
                     struct listen_failure *failure) {
    while (*list != '\0') {
        char item[128];
        size_t len = strcspn(list, ",");
        snprintf(item, sizeof item, "%.*s", (int)len, list);
        if (len > 0 && !add_item(listeners, item, port, failure))
            return false;
        list += len;
        if (*list == ',')
            list++;
    }
    return true;
}

static bool open_all(struct listeners *listeners, const char *list, uint16_t port,
                     struct listen_failure *failure) {
    bool everywhere = list == NULL || *list == '\0';
    struct address v4 = everywhere ? address_any_v4(port) : address_loopback_v4(port);
    struct address v6 = everywhere ? address_any_v6(port) : address_loopback_v6(port);
    if (!add(listeners, &v4, true, failure) || !add(listeners, &v6, true, failure))
        return false;
    if (listeners->count == 0) {
        failure->address = v4;
        failure->error = EADDRNOTAVAIL;
        return false;
    }
    return everywhere || add_list(listeners, list, port, failure);
}

bool listeners_open(struct listeners *listeners, const char *list, uint16_t port,
                    struct listen_failure *failure) {
    *listeners = (struct listeners){.count = 0};
    *failure = (struct listen_failure){.error = 0};
    if (open_all(listeners, list, port, failure))
        return true;
    listeners_close(listeners);
    return false;
}

bool listeners_adopt(struct listeners *listeners, int fd) {
    int type = 0, listening = 0;
    socklen_t type_len = sizeof type, listening_len = sizeof listening;
    struct address address;
    socklen_t address_size = sizeof address;
    if (listeners->count == LISTENERS_MAX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_len) < 0 || !listening ||
        getsockname(fd, &address.any, &address_size) < 0 || address_size > sizeof address)
        return false;
    prepare(fd);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return false;
    listeners->fds[listeners->count++] = fd;
    return true;
}

void listeners_close(struct listeners *listeners) {
    while (listeners->count > 0)
        close(listeners->fds[--listeners->count]);
}
