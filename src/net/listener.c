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

#define SEPARATORS ", \t"
#define ITEM_SIZE 128

/* Takes the next item off the list; false at its end. */
static bool next_item(const char **list, char item[ITEM_SIZE]) {
    const char *start = *list + strspn(*list, SEPARATORS);
    size_t len = strcspn(start, SEPARATORS);
    snprintf(item, ITEM_SIZE, "%.*s", (int)len, start);
    *list = start + len;
    return len > 0;
}

/* All is read before anything is opened: a list that is wrong is wrong whoever has the port. */
static bool is_readable(const char *list, struct listen_failure *failure) {
    char item[ITEM_SIZE];
    struct address address;
    while (next_item(&list, item)) {
        if (address_parse(item, 0, &address))
            continue;
        snprintf(failure->item, sizeof failure->item, "%s", item);
        failure->error = EINVAL;
        return false;
    }
    return true;
}

static bool is_loopback_itself(const struct address *address) {
    const struct address v4 = address_loopback_v4(0), v6 = address_loopback_v6(0);
    return address_same_host(address, &v4) || address_same_host(address, &v6);
}

static bool add_list(struct listeners *listeners, const char *list, uint16_t port,
                     struct listen_failure *failure) {
    char item[ITEM_SIZE];
    struct address address;
    while (next_item(&list, item)) {
        bool bound_already = address_parse(item, port, &address) && is_loopback_itself(&address);
        if (!bound_already && !add(listeners, &address, false, failure))
            return false;
    }
    return true;
}

static bool open_all(struct listeners *listeners, const char *list, uint16_t port,
                     struct listen_failure *failure) {
    bool everywhere = list == NULL || list[strspn(list, SEPARATORS)] == '\0';
    struct address v4 = everywhere ? address_any_v4(port) : address_loopback_v4(port);
    struct address v6 = everywhere ? address_any_v6(port) : address_loopback_v6(port);
    if (!everywhere && !is_readable(list, failure))
        return false;
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
        getsockname(fd, &address.any, &address_size) < 0 ||
        (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6))
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
